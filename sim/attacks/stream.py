"""Attacks on the bytes of a JPEG file: bit errors and lost packets.

Pixels are encoded first, at the quality of `picture.QUALITY`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from occulta.codec.jpeg import markers
from occulta.errors import OccultaError, Reason
from sim.attacks.kinds import Arguments
from sim.attacks.picture import Picture

ALL, REMOVED = "all", "removed"
PACKET = 1024
"""Bytes of a packet where no size is given."""
_DRAWN = 1 << 18
"""Bytes whose bits are drawn at a time, 64 bytes of memory for each."""
_MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")
"""No restart marker (T.81 B.1.1.3), and no FF of the data, which 00 follows."""


def bit_flips(picture: Picture, given: Arguments, chance: Generator) -> Picture:
    """Each bit of the entropy-coded data, or with the word `all` of the file, flips at `rate`.

    Raises OccultaError(BAD_SEGMENT) where there is no such data.
    """
    def flipped(data: bytes) -> bytes:
        found = np.frombuffer(data, np.uint8).copy()
        for start in range(0, found.size, _DRAWN):
            piece = found[start : start + _DRAWN]
            piece ^= np.packbits(chance.random(8 * piece.size) < given.numbers[0])
        return found.tobytes()

    return _damaged(picture, given, flipped)


def packets(picture: Picture, given: Arguments, chance: Generator) -> Picture:
    """Packets of `size` bytes, each lost at `rate`: zeros stand for it, or with `removed` nothing.

    Of each scan's entropy-coded data, or with the word `all` of the whole file. Raises OccultaError
    as above.
    """
    rate = given.numbers[0]
    size = int(given.numbers[1]) if len(given.numbers) > 1 else PACKET
    left = 0 if REMOVED in given.words else 1

    def thinned(data: bytes) -> bytes:
        parts = [data[at : at + size] for at in range(0, len(data), size)]
        lost = chance.random(len(parts)) < rate
        return b"".join(
            bytes(left * len(part)) if is_lost else part
            for part, is_lost in zip(parts, lost, strict=True)
        )

    return _damaged(picture, given, thinned)


def _damaged(picture: Picture, given: Arguments, damage: Callable[[bytes], bytes]) -> Picture:
    """`damage` done to each scan's data, or to all of the file."""
    file = picture.encoded("JPEG")
    parts = [slice(0, len(file))] if ALL in given.words else _scans(file)
    if not parts:
        detail = "the file's headers lead to no picture data"
        raise picture.refusal(OccultaError(Reason.BAD_SEGMENT, detail))
    out, at = b"", 0
    for part in parts:
        out += file[at : part.start] + damage(file[part])
        at = part.stop
    return Picture(out + file[at:], damaged_by=given.text)


def _scans(file: bytes) -> list[slice]:
    """The entropy-coded data of each scan, its restart markers included."""
    found = []
    marker, start = _headers(file, 2)
    while marker == markers.SOS:
        end = _scan_end(file, start)
        found.append(slice(start, end))
        marker, start = _headers(file, end)
    return found


def _scan_end(file: bytes, start: int) -> int:
    """Where segments follow; in a file damaged before, not at bytes that only look like one."""
    for found in _MARKER.finditer(file, start):
        if _headers(file, found.start())[0]:
            return found.start()
    return len(file)


def _headers(file: bytes, at: int) -> tuple[int, int]:
    """SOS or EOI, whichever the segments from `at` on lead to, and where it ends; 0 if neither."""
    while at + 2 <= len(file) and file[at] == 0xFF:
        marker = file[at + 1]
        if marker == markers.EOI:
            return marker, at + 2
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        at += 2 + int.from_bytes(file[at + 2 : at + 4], "big")
        if marker == markers.SOS:
            return marker, min(at, len(file))
    return 0, at
