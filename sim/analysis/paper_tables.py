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
    a, b = parameters.keys
    others = paper.diffuse(raster, marked, (_next_key(a), _next_key(b)))
    first, second = (
        _measure(_pixels(one), _pixels(other)) for one, other in zip(shares, others, strict=True)
    )
    return first, second


def literal_collapses(keys: Iterable[bytes], terms: int) -> int:
    """For how many keys of 8 bytes equation 9 as printed is constant after `terms` terms."""
    found = 0
    for key in keys:
        begin = chaos.seed(key)
        end = begin._replace(skip=begin.skip + terms - 100)
        found += len(set(chaos.sequence(chaos.Map.CHEBYSHEV, end, 100, literal=True))) == 1
    return found


def _next_key(key: bytes) -> bytes:
    return key[:-1] + bytes([key[-1] ^ 1])


def _pixels(raster: Raster) -> Pixels:
    return np.frombuffer(raster.pixels, np.uint8).reshape(raster.height, raster.width)


def _measure(share: Pixels, other: Pixels) -> Measured:
    return Measured(entropy(share), correlation(share), npcr(share, other), uaci(share, other))
