"""Robust hiding: random, foreign and damaged files, read as the command reads them."""

from __future__ import annotations

import io
import random
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property
from math import ceil, sqrt
from pathlib import Path

import numpy as np
from PIL import Image

from bench import data
from bench.noise import private_bytes
from bench.report import Figure, Result, Table
from bench.robust_mark import QUALITY, largest, mark
from bench.robust_recovery import received
from occulta.codec import crypto
from occulta.schemes.robust.message import LEAST_BITS
from occulta.schemes.robust.profiles import PROFILES

FILES = 500
PICTURES = 4
"""Of each profile."""
FLIPPED = "one bit of the scan flipped"
OUTCOMES = ("exact", "lost", "wrong")
_OTHER = crypto.PrivateKey(bytes(range(2, 34)))
_BLOCK = 8


class Sample:
    """A picture, marked and not, as small as the smallest message of a profile allows."""

    def __init__(self, tile: Image.Image, profile: str, place: int) -> None:
        self.profile = profile
        side = _BLOCK * ceil(sqrt(LEAST_BITS * PROFILES[profile].blocks_per_bit))
        start = place * (tile.width - side) // PICTURES
        self.plain = data.gray_jpeg(tile.crop((start, start, start + side, start + side)), QUALITY)
        self.private = largest(profile, side, side)
        self.marked = mark(self.plain, profile, self.private)

    @cached_property
    def other(self) -> bytes:
        """Marked for another recipient."""
        return mark(self.plain, self.profile, private_bytes(len(self.private)), _OTHER.public)

    @cached_property
    def scan(self) -> int:
        """Where the marked file's entropy-coded data begins."""
        return scan_start(self.marked)


Damage = Callable[[random.Random, Sample], bytes]


def measure(result: Result, folder: Path, say: Callable[[str], None]) -> None:
    """No wrong message from any file, and every single flipped bit borne."""
    say(f"robust, {FILES} damaged and random files")
    outcomes = campaign(samples(data.tiles(folder, False)), FILES)
    rows = [
        [kind, *(str(outcomes[kind, outcome]) for outcome in OUTCOMES)]
        for kind in dict.fromkeys(KINDS)
    ]
    result.tables.append(Table(
        f"{FILES} files, all profiles, read as the command reads them", ["file", *OUTCOMES], rows))
    flipped = sum(outcomes[FLIPPED, outcome] for outcome in OUTCOMES)
    result.figures += [
        Figure(f"wrong messages from {FILES} random, foreign and damaged files",
               sum(outcomes[kind, "wrong"] for kind in set(KINDS)), 0, digits=0),
        Figure(f"of {flipped} with {FLIPPED}, recovered exactly", outcomes[FLIPPED, "exact"],
               flipped, True, digits=0),
        Figure("of all, recovered exactly", sum(outcomes[kind, "exact"] for kind in set(KINDS)),
               digits=0),
    ]


def samples(tiles: list[Image.Image]) -> list[Sample]:
    """Each profile in turn, on different pictures."""
    return [
        Sample(tiles[(place * len(PROFILES) + at) % len(tiles)], profile, place)
        for place in range(PICTURES) for at, profile in enumerate(PROFILES)
    ]


def campaign(pictures: list[Sample], count: int, seed: int = 1) -> Counter[tuple[str, str]]:
    """How many files of each kind had each outcome."""
    spoiled = files(pictures, count, seed)
    return Counter((kind, received(file, sample.private)) for kind, sample, file in spoiled)


def files(pictures: list[Sample], count: int, seed: int) -> Iterator[tuple[str, Sample, bytes]]:
    """Every kind and every profile in turn, what is drawn by the seed alone."""
    chance, kinds = random.Random(seed), list(KINDS)
    for at in range(count):
        kind = kinds[at % len(kinds)]
        sample = pictures[(at + at // len(kinds)) % len(pictures)]
        yield kind, sample, DAMAGES[kind](chance, sample)


def scan_start(jpeg: bytes) -> int:
    """Where the data behind the first SOS segment begins."""
    at = 2
    while jpeg[at + 1] != 0xDA:
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")


def _noise(chance: random.Random, sample: Sample) -> bytes:
    return chance.randbytes(int(2 ** chance.uniform(0, 16)))


def _noise_behind_header(chance: random.Random, sample: Sample) -> bytes:
    size = chance.randrange(len(sample.marked) - sample.scan)
    return sample.marked[: sample.scan] + chance.randbytes(size)


def _flipped_bit(chance: random.Random, sample: Sample) -> bytes:
    out = bytearray(sample.marked)
    out[chance.randrange(sample.scan, len(out) - 2)] ^= 1 << chance.randrange(8)
    return bytes(out)


def _flipped_bits(chance: random.Random, sample: Sample) -> bytes:
    out = bytearray(sample.marked)
    for _ in range(int(2 ** chance.uniform(1, 8))):
        out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)
    return bytes(out)


def _cut(chance: random.Random, sample: Sample) -> bytes:
    file = sample.marked
    start, end = sorted(chance.randrange(len(file)) for _ in range(2))
    return file[:start] + file[end:]


def _swapped(chance: random.Random, sample: Sample) -> bytes:
    file = sample.marked
    a, b, c = sorted(chance.randrange(len(file)) for _ in range(3))
    return file[:a] + file[b:c] + file[a:b] + file[c:]


def _zeroed(chance: random.Random, sample: Sample) -> bytes:
    out, size = bytearray(sample.marked), 256
    for _ in range(chance.randrange(1, 20)):
        at = chance.randrange(len(out))
        out[at : at + size] = bytes(len(out[at : at + size]))
    return bytes(out)


def _noisy(chance: random.Random, sample: Sample) -> bytes:
    rng = np.random.default_rng(chance.randrange(1 << 30))
    with Image.open(io.BytesIO(sample.marked)) as image:
        raster = np.asarray(image).astype(np.float64)
    raster += rng.normal(0, chance.choice((3.0, 5.0, 15.0)), raster.shape)
    noisy = Image.fromarray(np.clip(np.rint(raster), 0, 255).astype(np.uint8))
    return data.gray_jpeg(noisy, chance.choice((40, 60, 90)))


DAMAGES: dict[str, Damage] = {
    "random bytes": _noise,
    "random bytes behind a header": _noise_behind_header,
    "nothing hidden": lambda chance, sample: sample.plain,
    "for another key": lambda chance, sample: sample.other,
    FLIPPED: _flipped_bit,
    "bits flipped anywhere": _flipped_bits,
    "a stretch removed": _cut,
    "two parts swapped": _swapped,
    "packets zeroed": _zeroed,
    "noise, encoded again": _noisy,
}
_DAMAGED = tuple(DAMAGES)[4:]
KINDS = (*DAMAGES, *_DAMAGED, FLIPPED, "bits flipped anywhere", "packets zeroed", "packets zeroed")
"""In this order, over and over: one file in ten is random bytes, one in ten another picture."""
