"""The luminance of pictures of every depth; quietly."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
from PIL import Image

from occulta.errors import OccultaError, Reason
from occulta.program import rasters

GRAY = np.arange(64 * 48, dtype=np.uint32).reshape(48, 64) % 251


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def pgm(samples: bytes, most: int) -> bytes:
    return b"P5\n64 48\n%d\n" % most + samples


def mode_i(values: np.ndarray) -> Image.Image:
    return Image.fromarray(values.astype(np.int32))


FILES = {
    "PGM": lambda: pgm(GRAY.astype(np.uint8).tobytes(), 255),
    "PGM with a newline behind": lambda: pgm(GRAY.astype(np.uint8).tobytes(), 255) + b"\n",
    "PGM of 16 bits": lambda: pgm((GRAY * 256 + 17).astype(">u2").tobytes(), 65_535),
    "PNG of 16 bits": lambda: saved(
        Image.fromarray((GRAY * 256 + 17).astype(np.uint16)), "PNG"),
    "TIFF of 32 bits, 16 used": lambda: saved(mode_i(GRAY * 256 + 17), "TIFF"),
    "TIFF of 32 bits, 8 used": lambda: saved(mode_i(GRAY), "TIFF"),
    "palette with transparency": lambda: saved(
        Image.fromarray(GRAY.astype(np.uint8)).convert("P"), "PNG", transparency=bytes(range(256))),
}


@pytest.mark.parametrize("kind", FILES)
def test_depths(kind: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        raster = rasters.luminance(FILES[kind]())
    assert (raster.width, raster.height) == (64, 48)
    found = np.frombuffer(raster.pixels, np.uint8).reshape(48, 64)
    assert np.array_equal(found, GRAY)


def test_a_pgm_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    short = pgm(b"1234", 255)
    with pytest.raises(OccultaError) as caught:
        rasters.luminance(short)
    assert caught.value.reason is Reason.BAD_RASTER
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(OccultaError) as caught:
        rasters.luminance(short)
    assert caught.value.reason is Reason.BAD_RASTER
