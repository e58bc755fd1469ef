"""JPEG files of any height out of one strip, without ever holding the picture.

The strip is encoded with a restart marker behind every row of MCUs. A restart resets the DC
prediction and byte-aligns the data, so each row stands on its own: rows are repeated in any order,
only the restart markers are numbered anew and the height in SOF is written over.
"""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

SOF0, SOS, EOI = 0xC0, 0xDA, b"\xff\xd9"
RST0 = 0xD0
RESTARTS = 8


@dataclass(frozen=True, slots=True)
class Strip:
    """The headers up to the first scan byte, and the entropy-coded rows of MCUs."""

    headers: bytes
    rows: tuple[bytes, ...]
    row_height: int
    """Lines of a row of MCUs."""

    def with_height(self, height: int) -> bytes:
        """The headers with another height in SOF."""
        at = dict(_segments(self.headers))[SOF0] + 5
        return self.headers[:at] + height.to_bytes(2, "big") + self.headers[at + 2 :]

    def repeated(self, height: int, order: Iterator[int]) -> Iterator[bytes]:
        """A JPEG of `height` lines whose rows are `order` (indices into `rows`), in pieces."""
        count = -(-height // self.row_height)
        yield self.with_height(height)
        for index in range(count):
            yield self.rows[next(order)]
            if index + 1 < count:
                yield bytes([0xFF, RST0 + index % RESTARTS])
        yield EOI


def encode_strip(picture: Image.Image, quality: int) -> Strip:
    """Encode a strip: grayscale as it is, colour as 4:2:0; its height is whole rows of MCUs."""
    out = io.BytesIO()
    picture.save(
        out, "JPEG", quality=quality, subsampling="4:2:0", restart_marker_rows=1, optimize=False
    )
    jpeg = out.getvalue()
    start = dict(_segments(jpeg))[SOS]
    start += 2 + int.from_bytes(jpeg[start + 2 : start + 4], "big")
    rows = _rows(jpeg[start : -len(EOI)])
    row_height = 8 if picture.mode == "L" else 16
    if len(rows) * row_height != picture.height:
        raise ValueError(f"a strip of {picture.height} lines is not whole rows of {row_height}")
    return Strip(jpeg[:start], rows, row_height)


def _segments(jpeg: bytes) -> Iterator[tuple[int, int]]:
    """(code, offset) of each marker segment up to SOS."""
    at = 2
    while at < len(jpeg):
        yield jpeg[at + 1], at
        if jpeg[at + 1] == SOS:
            return
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")


def _rows(scan: bytes) -> tuple[bytes, ...]:
    """The scan cut at its restart markers, which count from 0 and come round after 7."""
    rows: list[bytes] = []
    while (at := scan.find(bytes([0xFF, RST0 + len(rows) % RESTARTS]))) >= 0:
        rows.append(scan[:at])
        scan = scan[at + 2 :]
    return (*rows, scan)


def shuffled(count: int, seed: int = 1) -> Iterator[int]:
    """Numbers below `count` for ever, each once before any comes again."""
    chance = random.Random(seed)
    while True:
        yield from chance.sample(range(count), count)
