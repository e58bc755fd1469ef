"""What a receiver has: luminance in blocks, from a JPEG file, damaged or not, or from pixels.

numpy; ground only.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from occulta.codec import dct
from occulta.codec.jpeg.coefficients import Header
from occulta.codec.jpeg.salvage import DECODED, SALVAGE_LIMITS, salvage
from occulta.errors import OccultaError, Reason
from occulta.limits import Limits
from occulta.schemes.robust.mark import check_luminance

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
PLACES = 22
"""Of the zigzag, from 0 on: no profile's carriers lie beyond."""
MOST_BLOCKS = 1 << 21
"""Of luminance, 134 megapixels: a search takes some tens of bytes of memory for each pixel."""
_BLOCK, _SIDE = 64, 8
_STRIP = 64
"""Block rows transformed at once: bounds the memory that a large picture takes."""
_IMPULSE = 12
"""How far a black or white pixel must lie from the median around it to be noise."""
_TILE, _AROUND = 512, 32
"""Pixels filtered at once, and what is looked at around them."""
_PART_SIDE = 1024
_PART = _PART_SIDE**2
_SMALL, _PARTS = 4 * _PART, 3
"""Pixels of a picture that is looked at in full; of a larger one parts of _PART pixels."""
_LINES = 64
"""Repaired at once."""
_ROUNDS = 8
_NATURAL = np.array(dct.ZIGZAG)


class Carriers(NamedTuple):
    """Coefficients of the whole blocks of a grid."""

    values: Floats
    """(down, across, PLACES): the first ones of the zigzag, in units of the orthonormal DCT."""
    rough: Floats
    """(down, across): the rank-1 residual of each block (papers/002, section 3.1)."""
    present: Flags
    """(down, across): blocks that were received."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Luminance of `height` x `width` pixels, uint8; `present` flags its whole blocks.

    `blocks`: the coefficients of those blocks where they are known better than by the pixels.
    """

    pixels: Bytes
    present: Flags
    blocks: npt.NDArray[np.float32] | None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        height, width = self.pixels.shape
        return width, height

    def carriers(self, dx: int = 0, dy: int = 0) -> Carriers:
        """The coefficients of a grid that begins at (dx, dy), 0..7."""
        found = [(part[..., :PLACES], _roughness(part)) for part in self._strips(dx, dy)]
        values = np.concatenate([part for part, _ in found])
        rough = np.concatenate([part for _, part in found])
        return Carriers(values, rough, self._seen(values.shape[:2], bool(dx), bool(dy)))

    def values(self, dx: int = 0, dy: int = 0) -> Floats:
        """As `carriers`, the coefficients alone; 0 in blocks that were not received."""
        found = np.concatenate([part[..., :PLACES] for part in self._strips(dx, dy)])
        return found * self._seen(found.shape[:2], bool(dx), bool(dy))[..., None]

    def _strips(self, dx: int, dy: int) -> Iterator[Floats]:
        height, width = self.pixels.shape
        across, down = max(0, width - dx) // _SIDE, max(0, height - dy) // _SIDE
        if not across or not down:
            yield np.zeros((0, across, _BLOCK))
        elif self.blocks is not None and not dx and not dy:
            for first in range(0, down, _STRIP):
                yield self.blocks[first : first + _STRIP].astype(np.float64)
        else:
            for first in range(0, down, _STRIP):
                lines = self.pixels[dy + first * _SIDE : dy + min(down, first + _STRIP) * _SIDE]
                block = dct.forward(np.ascontiguousarray(lines).tobytes(), width, dx, 0)
                yield np.frombuffer(block).reshape(-1, across, _BLOCK)

    def _seen(self, shape: tuple[int, ...], right: bool, lower: bool) -> Flags:
        """A block of a shifted grid is there if the up to four blocks it lies on are."""
        down, across = shape[:2]
        seen = self.present[:down, :across].copy()
        for y in range(1 + lower):
            for x in range(1 + right):
                part = self.present[y : y + down, x : x + across]
                seen[: part.shape[0], : part.shape[1]] &= part
        return seen


def from_luminance(pixels: Bytes) -> Picture:
    """A raster as it is. `pixels`: (height, width), uint8."""
    height, width = pixels.shape
    present = np.ones((height // _SIDE, width // _SIDE), dtype=np.bool_)
    return Picture(pixels, present, None)


def repaired(picture: Picture) -> Picture | None:
    """With black and white pixels that stand out made the median of the 3x3 around them.

    None where there are none. They may be noise, or belong to the picture.
    """
    pixels = _repaired(picture.pixels)
    return None if pixels is picture.pixels else Picture(pixels, picture.present, None)


def without_filler(decoded: Picture, received: Picture) -> Picture:
    """Another decoder's picture of a damaged file, of the same size.

    Blocks that are flat there and were not received are taken for what decoders fill gaps with.
    """
    return Picture(decoded.pixels, received.present | _shown(decoded), decoded.blocks)


class Part(NamedTuple):
    """Whole blocks of a picture; `row` and `column` of the first one."""

    picture: Picture
    row: int
    column: int


def parts_of(picture: Picture) -> list[Part]:
    """Of a large picture parts that show most, enough to see the pattern; else all of it."""
    height, width = picture.pixels.shape
    if height * width <= _SMALL:
        return [Part(picture, 0, 0)]
    tall = min(height, max(_PART_SIDE, _PART // width)) // _SIDE
    wide = min(width, _PART // (_SIDE * tall)) // _SIDE
    down, across = picture.present.shape
    places = [
        (row, column) for row in _spread(down - tall) for column in _spread(across - wide)
    ]
    shown = _shown(picture)
    best = sorted(places, key=lambda at: -int(
        shown[at[0] : at[0] + tall, at[1] : at[1] + wide].sum()))
    return [Part(_cut(picture, row, column, tall, wide), row, column) for row, column in
            best[:_PARTS]]


def _spread(most: int) -> list[int]:
    """Up to five numbers from 0 to `most`, the middle one first."""
    return list(dict.fromkeys(most * step // 4 for step in (2, 0, 4, 1, 3)))


def _shown(picture: Picture) -> Flags:
    """Blocks that were received and are not flat, by two of their lines."""
    down, across = picture.present.shape
    whole = picture.pixels[: down * _SIDE, : across * _SIDE].reshape(down, _SIDE, across, _SIDE)
    lines = whole[:, (1, 5)]
    return np.asarray(picture.present & (lines != lines[..., :1]).any(axis=(1, 3)))


def _cut(picture: Picture, row: int, column: int, tall: int, wide: int) -> Picture:
    rows, columns = slice(row, row + tall), slice(column, column + wide)
    pixels = picture.pixels[
        _SIDE * row : _SIDE * (row + tall), _SIDE * column : _SIDE * (column + wide)]
    blocks = None if picture.blocks is None else picture.blocks[rows, columns]
    return Picture(pixels, picture.present[rows, columns], blocks)


def equalised(picture: Picture, amount: float) -> Picture:
    """The picture before y = x + amount (x - mean of its 8 neighbours): 1 sharpens, -0.4 blurs.

    `amount` above -0.5. What rounding and clipping took away then does not come back. The filter's
    inverse fades within some pixels, so tiles are filtered one by one, with what is around them.
    """
    frequencies = 2.0 * np.cos(2.0 * np.pi * np.fft.fftfreq(_TILE + 2 * _AROUND))
    across, down = frequencies[None, : len(frequencies) // 2 + 1], frequencies[:, None]
    response = 1.0 + amount * (1.0 - (across + down + across * down) / 8.0)
    height, width = picture.pixels.shape
    beyond = ((_AROUND, _AROUND + -height % _TILE), (_AROUND, _AROUND + -width % _TILE))
    padded = np.pad(picture.pixels, beyond, mode="symmetric")
    plain = np.empty((height, width), dtype=np.uint8)
    for y in range(0, height, _TILE):
        for x in range(0, width, _TILE):
            tile = padded[y : y + _TILE + 2 * _AROUND, x : x + _TILE + 2 * _AROUND]
            found = np.fft.irfft2(np.fft.rfft2(tile) / response, s=tile.shape)
            inner = np.clip(np.rint(found[_AROUND:-_AROUND, _AROUND:-_AROUND]), 0, 255)
            rest = plain[y : y + _TILE, x : x + _TILE]
            rest[:] = inner[: rest.shape[0], : rest.shape[1]]
    return Picture(plain, picture.present, None)


def from_jpeg(data: bytes, limits: Limits = SALVAGE_LIMITS) -> Picture:
    """What can be read of a sequential JPEG file, see `salvage`; raises OccultaError.

    NO_LUMINANCE among others: the first component of a file of another colour space shows nothing.
    LIMIT_BLOCKS beyond MOST_BLOCKS of luminance.
    """
    found = salvage(data, limits)
    check_luminance(found.header)
    if found.down * found.across > MOST_BLOCKS:
        raise OccultaError(
            Reason.LIMIT_BLOCKS, f"{found.down * found.across} blocks, at most {MOST_BLOCKS}",
            "give a part of the picture",
        )
    table = np.array(found.table, dtype=np.float32)
    raw = np.frombuffer(found.coefficients, dtype=np.int16)
    blocks = raw.reshape(found.down, found.across, _BLOCK) * table
    width, height = _size(found.header)
    flags = np.frombuffer(bytes(found.flags), dtype=np.uint8) == DECODED
    present = flags.reshape(found.down, found.across)[: height // _SIDE, : width // _SIDE]
    pixels = _pixels(blocks, found.across)[:height, :width]
    return Picture(pixels, present, blocks[: present.shape[0], : present.shape[1]])


def _size(header: Header) -> tuple[int, int]:
    """Of the first component, in its own samples."""
    frame = header.frame
    first = frame.components[0]
    across = max(component.horizontal for component in frame.components)
    down = max(component.vertical for component in frame.components)
    return (
        -(-frame.width * first.horizontal // across), -(-frame.height * first.vertical // down)
    )


def _pixels(blocks: npt.NDArray[np.float32], across: int) -> Bytes:
    parts = []
    for first in range(0, blocks.shape[0], _STRIP):
        part = array("d")
        part.frombytes(blocks[first : first + _STRIP].astype(np.float64).tobytes())
        parts.append(np.frombuffer(dct.inverse(part, across), dtype=np.uint8))
    return np.concatenate(parts).reshape(-1, _SIDE * across)


def _repaired(pixels: Bytes) -> Bytes:
    """Black and white pixels that stand out become the median of the 3x3 around them."""
    better: Bytes | None = None
    for first in range(0, len(pixels), _LINES):
        at, values = _standing_out(pixels, first, min(first + _LINES, len(pixels)))
        if len(values):
            better = pixels.copy() if better is None else better
            better[at] = values
    return pixels if better is None else better


def _standing_out(
    pixels: Bytes, first: int, end: int
) -> tuple[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]], Bytes]:
    """Rows and columns of such pixels in some lines, and what they are to be."""
    height, width = pixels.shape
    rows, columns = np.nonzero((pixels[first:end] == 0) | (pixels[first:end] == 255))
    rows += first
    around = np.stack([
        pixels[np.clip(rows + y, 0, height - 1), np.clip(columns + x, 0, width - 1)]
        for y in (-1, 0, 1) for x in (-1, 0, 1)
    ])
    middle = np.partition(around, 4, axis=0)[4]
    noisy = np.abs(pixels[rows, columns].astype(np.int16) - middle) > _IMPULSE
    return (rows[noisy], columns[noisy]), middle[noisy]


def _roughness(blocks: Floats) -> Floats:
    """sqrt(|A|^2 - s1^2) of each block, s1 by power iteration."""
    natural = np.zeros_like(blocks)
    natural[..., _NATURAL] = blocks
    square = natural.reshape(*blocks.shape[:2], _SIDE, _SIDE)
    gram = square @ square.swapaxes(-1, -2)
    trace = np.trace(gram, axis1=-2, axis2=-1)
    largest = np.argmax(np.diagonal(gram, axis1=-2, axis2=-1), axis=-1)
    vector = np.take_along_axis(gram, largest[..., None, None], axis=-1)
    for _ in range(_ROUNDS):
        norm = np.sqrt((vector * vector).sum(axis=-2, keepdims=True))
        vector = gram @ (vector / np.maximum(norm, 1e-30))
    unit = vector / np.maximum(np.sqrt((vector * vector).sum(axis=-2, keepdims=True)), 1e-30)
    top = (unit * (gram @ unit)).sum(axis=(-2, -1))
    return np.asarray(np.sqrt(np.maximum(trace - top, 0.0)))
