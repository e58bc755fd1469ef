"""8-bit grayscale rasters, and rectangles in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from occulta.errors import OccultaError, Reason
from occulta.schemes.shares.regions import MAX_REGIONS

MAX_SIDE = 65_535
MAX_PIXELS = 1 << 26
"""Bound on width * height: 8192 x 8192; a protection holds 8 times as many bytes, a recovery 13."""
BLOCK = 16
"""Pixels of a block's side."""
_PIECE = 1 << 16


class Box(NamedTuple):
    """A rectangle: upper left corner and size, in pixels."""

    x: int
    y: int
    width: int
    height: int

    def rows(self, stride: int) -> Iterator[slice]:
        """The slices of its rows in pixels of `stride` columns, from the top."""
        for y in range(self.y, self.y + self.height):
            yield slice(y * stride + self.x, y * stride + self.x + self.width)


@dataclass(frozen=True, slots=True)
class Raster:
    """`pixels` row by row from the upper left, one byte each; raises ValueError."""

    width: int
    height: int
    pixels: bytes

    def __post_init__(self) -> None:
        if len(self.pixels) != self.width * self.height or not self.pixels:
            raise ValueError("a raster has width * height pixels, at least one")

    def cut(self, box: Box) -> bytes:
        """The pixels of a rectangle, row by row."""
        return b"".join(self.pixels[row] for row in box.rows(self.width))

    def mapped(self, boxes: Iterable[Box], table: bytes) -> Raster:
        """The pixels of the rectangles replaced by a table of 256 bytes, the others as they are."""
        pixels = bytearray(self.pixels)
        for box in boxes:
            for row in box.rows(self.width):
                pixels[row] = pixels[row].translate(table)
        return Raster(self.width, self.height, bytes(pixels))

    def kept(self, boxes: Iterable[Box], ground: int) -> Raster:
        """The pixels of the rectangles as they are, all others of one value."""
        pixels = bytearray([ground]) * len(self.pixels)
        for box in boxes:
            for row in box.rows(self.width):
                pixels[row] = self.pixels[row]
        return Raster(self.width, self.height, bytes(pixels))


def merged(one: bytes, other: bytes, operation: Callable[[int, int], int]) -> bytes:
    """Two strings of one length under a bitwise operation, piece by piece."""
    pieces = (slice(at, at + _PIECE) for at in range(0, len(one), _PIECE))
    return b"".join(
        operation(int.from_bytes(one[at]), int.from_bytes(other[at])).to_bytes(len(one[at]))
        for at in pieces
    )


def check_size(width: int, height: int) -> None:
    """Raises OccultaError(LIMIT_DIMENSIONS); before anything is allocated."""
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE and width * height <= MAX_PIXELS):
        raise OccultaError(
            Reason.LIMIT_DIMENSIONS, f"a raster of {width} x {height} pixels",
            f"sides of 1 to {MAX_SIDE} pixels, at most {MAX_PIXELS} pixels together",
        )


def check_regions(regions: Sequence[Box], width: int, height: int) -> None:
    """1 to 16 rectangles inside the raster, none over another; raises OccultaError(BAD_REGION)."""
    if not 1 <= len(regions) <= MAX_REGIONS:
        raise OccultaError(Reason.BAD_REGION, f"{len(regions)} regions: give 1 to {MAX_REGIONS}")
    for number, region in enumerate(regions):
        x, y, w, h = region
        if min(x, y) < 0 or min(w, h) < 1 or x + w > width or y + h > height:
            raise OccultaError(
                Reason.BAD_REGION, f"region {_text(region)} is not within {width} x {height} pixels"
            )
        for other in regions[:number]:
            if _meet(region, other):
                raise OccultaError(
                    Reason.BAD_REGION, f"regions {_text(other)} and {_text(region)} overlap"
                )


def _meet(one: Box, other: Box) -> bool:
    return (
        one.x < other.x + other.width and other.x < one.x + one.width
        and one.y < other.y + other.height and other.y < one.y + one.height
    )


def _text(box: Box) -> str:
    return ",".join(map(str, box))


def blocks_of(regions: Iterable[Box]) -> list[Box]:
    """Section 3.1, step 2: the 16x16 blocks of each region in turn, row by row.

    The grid begins at the region's upper left corner; where a side is no multiple of 16, the last
    blocks are smaller, so that a region is never more than what was asked for.
    """
    return [
        Box(x, y, min(BLOCK, region.x + region.width - x), min(BLOCK, region.y + region.height - y))
        for region in regions
        for y in range(region.y, region.y + region.height, BLOCK)
        for x in range(region.x, region.x + region.width, BLOCK)
    ]
