"""Small rasters, their shares under fixed randomness, and ways to alter them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import pytest

from occulta.errors import OccultaError, Reason
from occulta.schemes.shares import paper
from occulta.schemes.shares.paper_parameters import Parameters
from occulta.schemes.shares.raster import Box, Raster, blocks_of


def picture(width: int = 64, height: int = 48, seed: int = 1) -> Raster:
    """A slope with a bright patch and a dark margin, as in a scan; the same on every machine."""
    def pixel(x: int, y: int) -> int:
        if x < 5:
            return 0
        patch = 90 if (x - 20) ** 2 + (y - 20) ** 2 < 150 else 0
        return (x + 2 * y + patch + (x * 7 + y * 13 + seed * x * y) % 11) % 256

    return Raster(width, height, bytes(pixel(x, y) for y in range(height) for x in range(width)))


def fixed_random(salt: bytes = b"") -> Callable[[int], bytes]:
    """Randomness that is the same each time."""
    calls = iter(range(1000))
    return lambda size: hashlib.sha256(salt + bytes([next(calls)])).digest()[:size]


def protect(
    raster: Raster, *regions: Sequence[int], salt: bytes = b""
) -> tuple[paper.Shares, Parameters]:
    """Shares and parameters."""
    return paper.protect(raster, [Box(*each) for each in regions], "png", fixed_random(salt))


def altered(raster: Raster, changes: dict[int, int]) -> Raster:
    """The raster with pixels XORed with values that are not zero."""
    pixels = bytearray(raster.pixels)
    for at, value in changes.items():
        pixels[at] ^= value
    return Raster(raster.width, raster.height, bytes(pixels))


def with_share(shares: paper.Shares, index: int, changes: dict[int, int]) -> paper.Shares:
    """The shares with one of them altered."""
    pair = list(shares)
    pair[index] = altered(pair[index], changes)
    return paper.Shares(*pair)


def block_at(regions: Sequence[Box], at: int, width: int = 64) -> Box | None:
    """The block of the regions that holds a pixel."""
    x, y = at % width, at // width
    return next(
        (box for box in blocks_of(regions)
         if 0 <= x - box.x < box.width and 0 <= y - box.y < box.height), None,
    )


def refuses(reason: Reason, action: Callable[[], object], saying: str = "") -> None:
    """The action raises this reason."""
    with pytest.raises(OccultaError) as caught:
        action()
    assert caught.value.reason is reason, caught.value
    assert saying in caught.value.detail
