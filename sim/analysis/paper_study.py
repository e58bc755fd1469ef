"""The `paper` profile on one picture: its shares under many keys, and what a wrong key restores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np

from occulta.codec import chaos
from occulta.errors import OccultaError, Reason
from occulta.schemes.shares import paper
from occulta.schemes.shares.paper_parameters import Parameters
from occulta.schemes.shares.paper_recover import recover
from occulta.schemes.shares.paper_watermark import Round, extract
from occulta.schemes.shares.raster import Box, Raster, blocks_of
from sim.analysis import noise
from sim.analysis.measures import Pixels, Statistics, statistics
from sim.analysis.paper_tables import (
    Measured,
    against_next_keys,
    collapses,
    next_key,
    pixels_of,
)

Random = Callable[[int], bytes]
_LITERAL_KEYS = 10
"""Keys for which equation 9 is tried, per key of the shares."""
_LITERAL_TERMS = 1 << 18
_SALT_SIZE = 16


class Decryption(NamedTuple):
    """Both shares decrypted with some key's last bit changed."""

    wrong: str
    """The shares whose key is wrong: ``, `a`, `b` or `ab`."""
    refusal: int | None
    """The number under which the recovery refuses them."""
    right: float
    """Pixels equal to the original's, percent."""
    inside: float
    """Correlation with the original, pixel by pixel of the regions; NaN where one is flat."""
    outside: float
    """The same beside the regions; NaN where the whole image is one."""
    pixels: Pixels


class Collapse(NamedTuple):
    """Equation 9: of `keys` keys those that are constant after `terms` terms, in both forms."""

    keys: int
    terms: int
    printed: int
    closed: int


@dataclass(frozen=True)
class PaperStudy:
    """Everything measured of the profile; pictures and `shares` are those of the first key."""

    pixels: Pixels
    original: Statistics
    share_pixels: tuple[Pixels, Pixels]
    shares: tuple[Statistics, Statistics]
    keys: list[tuple[Measured, Measured]]
    """Share a and share b of each key, NPCR and UACI against those of a changed last bit."""
    decryptions: list[Decryption]
    collapse: Collapse

    @property
    def is_noise(self) -> bool:
        """Whether every figure of every share is one that noise gives."""
        return all(is_noise(found, self.pixels.shape) for pair in self.keys for found in pair)


def study(
    raster: Raster, regions: Sequence[Box], keys: int, random: Random,
    progress: Callable[[int], None] = lambda done: None,
) -> PaperStudy:
    """Protect and measure; `progress` gets the pixels of each key done.

    Planes are marked once; every further key comes from a fresh salt as in a protection of its own.
    Raises OccultaError as `paper.protect`.
    """
    shares, parameters = paper.protect(raster, regions, "pgm", random)
    hashes = paper.block_hashes(raster, blocks_of(parameters.regions))
    marked = paper.mark(raster, parameters.regions, hashes, parameters.check_key)
    measured = [against_next_keys(raster, marked, parameters.keys, shares)]
    progress(len(raster.pixels))
    for _ in range(keys - 1):
        pair = paper.share_keys(hashes, random(_SALT_SIZE) + parameters.digest)
        under = paper.diffuse(raster, marked, pair)
        measured.append(against_next_keys(raster, marked, pair, under))
        progress(len(raster.pixels))
    a, b = map(pixels_of, shares)
    original = pixels_of(raster)
    return PaperStudy(
        original, statistics(original), (a, b), (statistics(a), statistics(b)), measured,
        [_decrypt(raster, shares, parameters, wrong) for wrong in ("", "a", "b", "ab")],
        _collapse(_LITERAL_KEYS * keys, len(raster.pixels), random),
    )


def decrypted(shares: paper.Shares, parameters: Parameters) -> Raster:
    """Section 3.2, steps 2 to 4, without any verification."""
    size = 8 * (paper.HASH_SIZE * len(blocks_of(parameters.regions)) + paper.CHECK_SIZE)
    high, low = (
        np.frombuffer(_plane(share, key, rounds, size), np.uint8)
        for share, key, rounds in zip(shares, parameters.keys, parameters.rounds, strict=True)
    )
    joined = (high & 0xF0 | low & 0x0F).tobytes()
    summed = Raster(parameters.width, parameters.height, joined)
    return summed.mapped(parameters.regions, paper.RESTORE)


def _plane(share: Raster, key: bytes, rounds: Sequence[Round], size: int) -> bytes:
    marked = chaos.gather(share.pixels, *chaos.key_matrices(key, len(share.pixels)))
    return extract(marked, rounds, size)[0]


def _decrypt(
    raster: Raster, shares: paper.Shares, parameters: Parameters, wrong: str
) -> Decryption:
    a, b = (
        next_key(key) if name in wrong else key
        for name, key in zip("ab", parameters.keys, strict=True)
    )
    tried = msgspec.structs.replace(parameters, keys=(a, b))
    found, original = pixels_of(decrypted(shares, tried)), pixels_of(raster)
    right = 100.0 * float(np.count_nonzero(found == original)) / original.size
    within = np.zeros(original.shape, np.bool_)
    for x, y, width, height in parameters.regions:
        within[y : y + height, x : x + width] = True
    inside, outside = (_likeness(found[part], original[part]) for part in (within, ~within))
    return Decryption(wrong, _refusal(shares, tried), right, inside, outside, found)


def _refusal(shares: paper.Shares, parameters: Parameters) -> Reason | None:
    try:
        recover(shares, parameters)
    except OccultaError as error:
        return error.reason
    return None


def _likeness(one: Pixels, other: Pixels) -> float:
    if not one.size or one.min() == one.max() or other.min() == other.max():
        return float("nan")
    return float(np.corrcoef(one, other)[0, 1])


def _collapse(keys: int, pixels: int, random: Random) -> Collapse:
    terms = max(100, min(pixels, _LITERAL_TERMS))
    drawn = [random(chaos.SECTION_SIZE) for _ in range(keys)]
    printed, closed = (collapses(drawn, terms, literal=literal) for literal in (True, False))
    return Collapse(keys, terms, printed, closed)


def is_noise(found: Measured, shape: tuple[int, ...]) -> bool:
    """Whether every figure of a share of (height, width) pixels is one that noise gives."""
    height, width = shape
    size = height * width
    pairs = height * (width - 1), (height - 1) * width, (height - 1) * (width - 1)
    sides = zip(found.correlation, pairs, strict=True)
    return (
        noise.entropy(size).holds(found.entropy)
        and noise.npcr(size).holds(found.npcr)
        and noise.uaci(size).holds(found.uaci)
        and all(noise.correlation(count).holds(value) for value, count in sides if count)
    )
