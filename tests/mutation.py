"""Structure-aware damage: what a fuzz run does to JPEG files."""

from __future__ import annotations

import random
from collections.abc import Callable

_MARKERS = [0x01, *range(0xC0, 0xE3), 0xEE, 0xFE, 0xFF, 0x00]
_EDGES = [0, 1, 2, 3, 7, 8, 15, 16, 17, 63, 64, 127, 128, 254, 255]


def marker_places(data: bytes) -> list[int]:
    """Offsets of FF bytes that something other than 00 follows."""
    return [
        at for at in range(len(data) - 1) if data[at] == 0xFF and data[at + 1] not in (0x00, 0xFF)
    ]


def _stretch(rng: random.Random, data: bytes) -> tuple[int, int]:
    """From one marker to another, or some bytes from a marker or anywhere."""
    places = [*marker_places(data), len(data)]
    start = rng.choice(places) if rng.random() < 0.7 else rng.randrange(len(data) + 1)
    later = [at for at in places if at > start]
    if later and rng.random() < 0.7:
        return start, rng.choice(later[:3])
    return start, min(len(data), start + rng.randrange(1, 40))


def flip_bits(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Flip one to four bits anywhere."""
    out = bytearray(data)
    for _ in range(rng.randrange(1, 5)):
        if out:
            out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def flip_in_headers(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Set a byte close behind a marker."""
    out = bytearray(data)
    places = marker_places(data)
    if places:
        at = rng.choice(places) + rng.randrange(1, 40)
        if at < len(out):
            out[at] = rng.choice([*_EDGES, rng.randrange(256), out[at] ^ 1, out[at] ^ 16])
    return bytes(out)


def insert_bytes(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Insert a few bytes, markers and edge values preferred."""
    at = rng.choice([rng.randrange(len(data) + 1), *marker_places(data)[:40]])
    piece = bytes(rng.choice([0xFF, *_EDGES, rng.randrange(256)]) for _ in range(rng.randrange(6)))
    if rng.random() < 0.4:
        piece += bytes([0xFF, rng.choice(_MARKERS)])
    return data[:at] + piece + data[at:]


def cut_out(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Remove a stretch."""
    start, end = _stretch(rng, data)
    return data[:start] + data[end:]


def repeat(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Repeat a stretch somewhere."""
    start, end = _stretch(rng, data)
    at = rng.choice([end, start, *marker_places(data)[:40]])
    return data[:at] + data[start:end] * rng.choice([1, 1, 1, 2, 5]) + data[at:]


def splice(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Put a stretch of another file in."""
    start, end = _stretch(rng, other)
    from_, to = _stretch(rng, data)
    return data[:from_] + other[start:end] + data[rng.choice([from_, to]) :]


def truncate(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """End early."""
    return data[: rng.choice([rng.randrange(len(data) + 1), *marker_places(data)[:40]])]


def edit_length(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Change the length field of a segment."""
    out = bytearray(data)
    places = marker_places(data)
    if places:
        at = rng.choice(places) + 2
        if at + 2 <= len(out):
            length = int.from_bytes(out[at : at + 2], "big") + rng.choice([-3, -1, 1, 2, 300, -300])
            out[at : at + 2] = (length & 0xFFFF).to_bytes(2, "big")
    return bytes(out)


def change_marker(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Turn a marker into another."""
    out = bytearray(data)
    places = marker_places(data)
    if places:
        out[rng.choice(places) + 1] = rng.choice(_MARKERS)
    return bytes(out)


Mutation = Callable[[random.Random, bytes, bytes], bytes]
MUTATIONS: list[Mutation] = [
    flip_bits, flip_in_headers, flip_in_headers, insert_bytes, cut_out, repeat, splice, truncate,
    edit_length, change_marker,
]


def mutate(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """One to three mutations."""
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        data = rng.choice(MUTATIONS)(rng, data, other)
    return data
