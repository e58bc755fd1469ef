"""The measurements of papers/003, tables 2 to 4, on the `paper` profile of shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from occulta.codec import chaos
from occulta.schemes.shares import paper
from occulta.schemes.shares.raster import Box, Raster, blocks_of
from sim.analysis.measures import Correlation, Pixels, correlation, entropy, npcr, uaci

TABLE_2 = (
    (102, 118, 405, 453), (83, 70, 434, 469), (83, 55, 434, 486), (75, 66, 426, 481),
    (102, 1, 357, 480), (81, 17, 448, 448),
)
"""Upper left and lower right corner, both inside, of the paper's regions in 512 x 512 pixels."""

TABLE_3 = {
    "IM-0001-0004": (33.55, 99.61), "IM-0001-0010": (33.39, 99.60), "IM-0001-0012": (33.48, 99.59),
    "IM-0001-0014": (33.43, 99.61), "IM-0001-0019": (33.43, 99.61), "IM-0002-0022": (33.51, 99.64),
}
"""UACI and NPCR of the paper's images in percent, for a change of the key's last bit."""
TABLE_4 = {
    "IM-0001-0004": ((-0.0056, -0.0073, -0.0024), (-0.0011, -0.0096, -0.0107)),
    "IM-0001-0010": ((-0.0105, -0.0128, 0.0198), (-0.01232, 0.0016, 0.0110)),
    "IM-0001-0012": ((-0.0085, -0.0131, 0.0011), (-0.0016, 0.0044, 0.0001)),
    "IM-0001-0014": ((-0.0217, 0.0031, -0.0026), (-0.0067, 0.0088, -0.0028)),
    "IM-0001-0019": ((0.0073, -0.0022, -0.0053), (0.0021, 0.0039, 0.0011)),
    "IM-0002-0022": ((0.0018, -0.0213, 0.0016), (0.0026, -0.0136, -0.0029)),
}
"""Correlation of the paper's two shares: horizontal, vertical, diagonal; of 16,384 pairs each."""


class Measured(NamedTuple):
    """One share image: bits per pixel; three coefficients; percent against the next key's."""

    entropy: float
    correlation: Correlation
    npcr: float
    uaci: float


def scaled_regions(width: int, height: int) -> list[Box]:
    """Table 2 for images of another size."""
    scaled = []
    for left, top, right, bottom in TABLE_2:
        x, y = left * width // 512, top * height // 512
        scaled.append(Box(x, y, (right + 1) * width // 512 - x, (bottom + 1) * height // 512 - y))
    return scaled


def measure(
    raster: Raster, region: Box, random: Callable[[int], bytes]
) -> tuple[Measured, Measured]:
    """Share A and share B under fresh keys, compared with those of keys whose last bit differs."""
    shares, parameters = paper.protect(raster, [region], "pgm", random)
    hashes = paper.block_hashes(raster, blocks_of([region]))
    marked = paper.mark(raster, [region], hashes, parameters.check_key)
    return against_next_keys(raster, marked, parameters.keys, shares)


def against_next_keys(
    raster: Raster, marked: paper.Marked, keys: tuple[bytes, bytes], shares: paper.Shares
) -> tuple[Measured, Measured]:
    """Both shares measured, against those of the same marked planes under `next_key` of each."""
    a, b = keys
    others = paper.diffuse(raster, marked, (next_key(a), next_key(b)))
    first, second = (
        _measure(pixels_of(one), pixels_of(other))
        for one, other in zip(shares, others, strict=True)
    )
    return first, second


def literal_collapses(keys: Iterable[bytes], terms: int) -> int:
    """For how many keys of 8 bytes equation 9 as printed is constant after `terms` terms."""
    return collapses(keys, terms, literal=True)


def collapses(keys: Iterable[bytes], terms: int, *, literal: bool) -> int:
    """The same for equation 9 as printed or as the profile closes it; at least 100 terms."""
    found = 0
    for key in keys:
        begin = chaos.seed(key)
        end = begin._replace(skip=begin.skip + terms - 100)
        found += len(set(chaos.sequence(chaos.Map.CHEBYSHEV, end, 100, literal=literal))) == 1
    return found


def next_key(key: bytes) -> bytes:
    """The key with its last bit changed."""
    return key[:-1] + bytes([key[-1] ^ 1])


def pixels_of(raster: Raster) -> Pixels:
    """A raster as an array; shares its memory, read-only."""
    return np.frombuffer(raster.pixels, np.uint8).reshape(raster.height, raster.width)


def _measure(share: Pixels, other: Pixels) -> Measured:
    return Measured(entropy(share), correlation(share), npcr(share, other), uaci(share, other))
