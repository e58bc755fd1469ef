"""JPEG files of many kinds from seeded synthetic pictures, by Pillow and by byte surgery."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from tests.encoder import Picture, random_blocks, segment, wide_tables


def picture(seed: int, width: int, height: int, noise: float = 12.0) -> np.ndarray:
    """Gradients, a texture and noise, three channels."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    planes = []
    for _ in range(3):
        a, b, c = rng.uniform(-1, 1, 3)
        wave = 30 * np.sin(x * (0.1 + abs(a) / 2)) * np.cos(y * (0.1 + abs(b) / 2))
        planes.append(128 + 60 * (a * x / width + b * y / height) + c * wave)
    noisy = np.stack(planes, axis=-1) + rng.normal(0, noise, (height, width, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def encode(
    seed: int, width: int = 96, height: int = 80, mode: str = "RGB", noise: float = 12.0,
    **options: Any,
) -> bytes:
    """A JPEG of `picture` as Pillow writes it."""
    out = io.BytesIO()
    image = Image.fromarray(picture(seed, width, height, noise)).convert(mode)
    image.save(out, "JPEG", **{"quality": 75, **options})
    return out.getvalue()


def segments(data: bytes) -> list[tuple[int, int, int]]:
    """(marker, start, end) of the segments up to the first SOS, as a slow second opinion."""
    found = []
    at = 2
    while True:
        marker = data[at + 1]
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        found.append((marker, at, end))
        if marker == 0xDA:
            return found
        at = end


def find(data: bytes, *markers: int) -> tuple[int, int]:
    """(start, end) of the first segment with one of the markers."""
    return next((start, end) for marker, start, end in segments(data) if marker in markers)


def with_fill_bytes(data: bytes, count: int = 3) -> bytes:
    """Fill bytes before every segment, before restart markers and before EOI."""
    last = find(data, 0xDA)[1]
    head = b"".join(b"\xff" * count + data[a:b] for _, a, b in segments(data))
    scan = data[last:-2]
    for code in range(0xD0, 0xD8):
        scan = scan.replace(bytes([0xFF, code]), b"\xff" * (count + 1) + bytes([code]))
    return data[:2] + head + scan + b"\xff" * count + data[-2:]


def with_trailer(data: bytes) -> bytes:
    """Bytes behind EOI, markers among them."""
    return data + b"trailing \xff\xd8\xff\xda\x00\x00\xff\xd9 bytes\xff"


def with_thumbnail(data: bytes) -> bytes:
    """A whole JPEG inside APP1."""
    return data[:2] + segment(0xE1, b"Exif\0\0" + encode(99, 32, 24, quality=50)) + data[2:]


def with_dnl(data: bytes) -> bytes:
    """The height moved from the frame header to a DNL segment behind the scan."""
    start, _ = find(data, 0xC0, 0xC1, 0xC2)
    height = data[start + 5 : start + 7]
    return data[: start + 5] + b"\0\0" + data[start + 7 : -2] + segment(0xDC, height) + data[-2:]


def without_tables(data: bytes) -> bytes:
    """MJPEG: the typical tables are meant, not given."""
    return data[:2] + b"".join(data[a:b] for m, a, b in segments(data) if m != 0xC4) + data[
        find(data, 0xDA)[1] :
    ]


def with_one_dht(data: bytes) -> bytes:
    """All tables in one DHT segment."""
    bodies = b"".join(data[a + 4 : b] for m, a, b in segments(data) if m == 0xC4)
    others = [(m, data[a:b]) for m, a, b in segments(data) if m != 0xC4]
    head = b"".join((segment(0xC4, bodies) if m == 0xDA else b"") + part for m, part in others)
    return data[:2] + head + data[find(data, 0xDA)[1] :]


def _blocks(seed: int, components: int, across: int, down: int, **options: Any) -> bytes:
    count = across * down
    parts = [random_blocks(seed + c, count, last=30) for c in range(components)]
    return Picture(parts, across, **options).to_jpeg()


def deep(seed: int, across: int, down: int) -> bytes:
    """12-bit samples: coefficients of up to 14 bits."""
    blocks = random_blocks(seed, across * down, last=50, spread=900)
    return Picture([blocks], across, tables=wide_tables(), precision=12).to_jpeg()


Maker = Callable[[int, int, int], bytes]
"""(seed, width, height), the size in whole blocks for those made by hand."""

PLAIN: dict[str, Maker] = {
    "gray": lambda s, w, h: encode(s, w, h, "L"),
    "gray_q30": lambda s, w, h: encode(s, w, h, "L", quality=30),
    "gray_q95": lambda s, w, h: encode(s, w, h, "L", quality=95),
    "ycc444": lambda s, w, h: encode(s, w, h, subsampling="4:4:4"),
    "ycc422": lambda s, w, h: encode(s, w, h, subsampling="4:2:2"),
    "ycc420": lambda s, w, h: encode(s, w, h, subsampling="4:2:0", quality=90),
    "ycc411": lambda s, w, h: encode(s, w, h, subsampling="4:1:1"),
    "cmyk": lambda s, w, h: encode(s, w, h, "CMYK"),
    "odd_size": lambda s, w, h: encode(s, w - 3, h - 5, subsampling="4:2:0"),
    "optimised": lambda s, w, h: encode(s, w, h, optimize=True),
    "restart_blocks": lambda s, w, h: encode(s, w, h, "L", restart_marker_blocks=3),
    "restart_rows": lambda s, w, h: encode(s, w, h, restart_marker_rows=1),
    "fill_bytes": lambda s, w, h: with_fill_bytes(encode(s, w, h, restart_marker_rows=1)),
    "trailer": lambda s, w, h: with_trailer(encode(s, w, h)),
    "no_eoi": lambda s, w, h: encode(s, w, h)[:-2],
    "thumbnail": lambda s, w, h: with_thumbnail(encode(s, w, h)),
    "mjpeg": lambda s, w, h: without_tables(encode(s, w, h)),
    "one_dht": lambda s, w, h: with_one_dht(encode(s, w, h, optimize=True)),
    "zero_padding": lambda s, w, h: _blocks(s, 1, w // 8, h // 8, padding=0, interval=5),
    "odd_padding": lambda s, w, h: _blocks(s, 1, w // 8, h // 8, padding=0x2A, interval=7),
    "by_hand": lambda s, w, h: _blocks(s, 3, w // 8, h // 8),
    "not_interleaved": lambda s, w, h: _blocks(s, 3, w // 8, h // 8, interleaved=False),
    "redeclared": lambda s, w, h: _blocks(
        s, 3, w // 8, h // 8, interleaved=False, redeclare=True, interval=11
    ),
}
UNREADABLE: dict[str, Maker] = {
    "dnl": lambda s, w, h: with_dnl(encode(s, w, h)),
    "deep": lambda s, w, h: deep(s, w // 8, h // 8),
}
"""Well-formed, but Pillow cannot decode them."""
PROGRESSIVE: dict[str, Maker] = {
    "progressive": lambda s, w, h: encode(s, w, h, progressive=True, subsampling="4:2:0"),
    "progressive_gray": lambda s, w, h: encode(s, w, h, "L", progressive=True, quality=85),
    "progressive_restart": lambda s, w, h: encode(s, w, h, progressive=True, restart_marker_rows=2),
}
SEQUENTIAL = PLAIN | UNREADABLE
KINDS = SEQUENTIAL | PROGRESSIVE


@cache
def sample(kind: str, seed: int = 7, width: int = 96, height: int = 80) -> bytes:
    """A file of a kind, kept for the next test that asks for it."""
    return KINDS[kind](seed, width, height)


def pixels(data: bytes) -> bytes:
    """What Pillow decodes; warnings are errors, and a missing EOI is forgiven."""
    with Image.open(io.BytesIO(data)) as image:
        return image.tobytes()


def segments_and_trailer(data: bytes) -> tuple[list[bytes], bytes]:
    """Segments other than DHT up to the first SOS, and what follows the first EOI."""
    others = [data[a:b] for m, a, b in _all_segments(data) if m != 0xC4]
    return others, data[_scan_stop(data) :]


def _all_segments(data: bytes) -> list[tuple[int, int, int]]:
    at, found = 2, []
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xD9:
        start = at
        while data[at + 1] == 0xFF:
            at += 1
        marker = data[at + 1]
        if marker == 0xD9:
            break
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        found.append((marker, start, at))
        if marker == 0xDA:
            at = _entropy_end(data, at)
    return found


def _entropy_end(data: bytes, at: int) -> int:
    while at < len(data):
        at = data.find(b"\xff", at)
        if at < 0:
            return len(data)
        code = data[at + 1] if at + 1 < len(data) else 0
        if code in (0, 0xFF) or 0xD0 <= code <= 0xD7:
            at += 1 if code == 0xFF else 2
        else:
            return at
    return at


def _scan_stop(data: bytes) -> int:
    found = _all_segments(data)
    return _entropy_end(data, found[-1][2])
