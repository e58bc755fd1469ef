"""Drivers of the coefficient reader and writer, and pictures of any sampling factors for them."""

from __future__ import annotations

import io
from array import array
from collections.abc import Iterable

import numpy as np
from PIL import Image

from occulta.codec import dct
from occulta.codec.jpeg.coefficient_frame import CodedComponent, CoefficientFrame, Row
from occulta.codec.jpeg.coefficients import CoefficientReader, Header
from occulta.codec.jpeg.quantisation import standard_tables
from occulta.codec.jpeg.writer import CoefficientWriter
from occulta.limits import DEFAULT_LIMITS, Limits
from tests.jpegs import picture
from tests.support import each_byte

FACTORS = [
    ((1, 1),), ((1, 1), (1, 1), (1, 1)), ((2, 1), (1, 1), (1, 1)), ((2, 2), (1, 1), (1, 1)),
    ((1, 2), (1, 1), (1, 1)), ((4, 1), (1, 1), (1, 1)), ((2, 2), (1, 1), (1, 1), (2, 2)),
    ((1, 1), (2, 2)), ((3, 1), (1, 2)), ((1, 1), (1, 3), (2, 1)),
]


def read(
    data: bytes, size: int = 0, kernel: str | None = None, limits: Limits = DEFAULT_LIMITS
) -> tuple[Header, list[Row]]:
    """Everything before the scan and all rows of a file, fed in chunks of `size` bytes."""
    size = size or max(1, len(data))
    return read_chunks((data[at : at + size] for at in range(0, len(data), size)), kernel, limits)


def read_bytewise(data: bytes) -> tuple[Header, list[Row]]:
    return read_chunks(each_byte(data))


def read_chunks(
    chunks: Iterable[bytes], kernel: str | None = None, limits: Limits = DEFAULT_LIMITS
) -> tuple[Header, list[Row]]:
    reader = CoefficientReader(limits, kernel)
    rows = [row for chunk in chunks for row in reader.feed(chunk)]
    rows += reader.finish()
    assert reader.header is not None and reader.frame is reader.header.frame
    return reader.header, rows


def write(header: Header, rows: Iterable[Row], kernel: str | None = None) -> bytes:
    writer = CoefficientWriter(header.frame, header.segments, kernel)
    return writer.begin() + b"".join(writer.row(row.planes) for row in rows) + writer.end()


def frame_of(
    factors: tuple[tuple[int, int], ...], width: int, height: int, quality: int = 75
) -> CoefficientFrame:
    tables = standard_tables(quality)
    return CoefficientFrame(width, height, tuple(
        CodedComponent(at + 1, h, v, tables[min(at, 1)]) for at, (h, v) in enumerate(factors)
    ))


def random_rows(frame: CoefficientFrame, seed: int = 1) -> list[Row]:
    """Sparse values of every size that baseline has."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(frame.rows):
        planes = []
        for size in frame.row_sizes():
            values = rng.integers(-1023, 1024, size) >> rng.integers(0, 11, size)
            values *= rng.random(size) < rng.choice([0.01, 0.2, 0.9], size // 64).repeat(64)
            planes.append(array("h", values.astype(np.int16).tobytes()))
        rows.append(Row(number, tuple(planes)))
    return rows


def plane(header: Header, rows: list[Row], component: int = 0) -> array:
    """A component's coefficients, all of them."""
    return array("h", b"".join(row.planes[component] for row in rows))


def luma_pixels(header: Header, rows: list[Row]) -> np.ndarray:
    """The first component through our own DCT; for pictures where it has the full size."""
    frame = header.frame
    values = dct.dequantise(plane(header, rows), frame.components[0].table)
    across = frame.across(0)
    raster = np.frombuffer(dct.inverse(values, across), np.uint8).reshape(-1, 8 * across)
    return raster[: frame.height, : frame.width].astype(int)


def pillow_luma(data: bytes) -> np.ndarray:
    """What libjpeg makes of the first component."""
    with Image.open(io.BytesIO(data)) as image:
        image.draft("L", image.size)
        return np.asarray(image.convert("L")).astype(int)


def gray(seed: int, width: int, height: int, noise: float = 12.0) -> np.ndarray:
    return np.ascontiguousarray(picture(seed, width, height, noise)[:, :, 0])


def pillow_jpeg(pixels: np.ndarray, quality: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=quality)
    return out.getvalue()
