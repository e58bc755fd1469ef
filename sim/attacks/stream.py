"""Attacks on the bytes of a JPEG file: bit errors and lost packets.

Pixels are encoded first, at the quality of `picture.QUALITY`.
"""

from __future__ import annotations

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
_EOI = b"\xff\xd9"


def bit_flips(picture: Picture, given: Arguments, chance: Generator) -> Picture:
    """Each bit of the entropy-coded data, or with the word `all` of the file, flips at `rate`."""
    file = picture.encoded("JPEG")
    body = _body(file, given)
    data = np.frombuffer(file, np.uint8).copy()
    for start in range(body.start, body.stop, _DRAWN):
        piece = data[start : min(start + _DRAWN, body.stop)]
        flips = chance.random(8 * piece.size) < given.numbers[0]
        piece ^= np.packbits(flips)
    return Picture(data.tobytes())


def packets(picture: Picture, given: Arguments, chance: Generator) -> Picture:
    """Packets of `size` bytes, each lost at `rate`: zeros stand for it, or with `removed` nothing.

    Of the entropy-coded data only, or with the word `all` of the whole file.
    """
    file = picture.encoded("JPEG")
    body = _body(file, given)
    data = file[body]
    rate = given.numbers[0]
    size = int(given.numbers[1]) if len(given.numbers) > 1 else PACKET
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    lost = chance.random(len(parts)) < rate
    left = 0 if REMOVED in given.words else 1
    kept = [
        bytes(left * len(part)) if is_lost else part
        for part, is_lost in zip(parts, lost, strict=True)
    ]
    return Picture(file[: body.start] + b"".join(kept) + file[body.stop :])


def _body(file: bytes, given: Arguments) -> slice:
    """From behind the first scan's header up to EOI; later headers of the file lie within."""
    if ALL in given.words:
        return slice(0, len(file))
    start = _scan_start(file)
    end = file.rfind(_EOI, start)
    return slice(start, len(file) if end < 0 else end)


def _scan_start(file: bytes) -> int:
    """Where the first SOS segment ends; raises OccultaError(BAD_SEGMENT)."""
    at = 2
    while at + 4 <= len(file) and file[at] == 0xFF:
        if file[at + 1] == 0xFF:  # a fill byte
            at += 1
            continue
        end = at + 2 + int.from_bytes(file[at + 2 : at + 4], "big")
        if file[at + 1] == markers.SOS:
            return min(end, len(file))
        at = end
    raise OccultaError(Reason.BAD_SEGMENT, "the file's headers lead to no picture data")
