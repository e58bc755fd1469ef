"""JPEG files of any sampling factors from known coefficients, and their cells by brute force.

The second opinion on cells: blocks and cells as intervals of exact fractions, hashes from the
coefficients that were written rather than from those read.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np

from occulta.codec.jpeg.cells import CellDecoder, CellKeys, CellReader, Stretch
from occulta.codec.jpeg.huffman import dht_segment
from occulta.limits import DEFAULT_LIMITS
from tests.encoder import BitWriter, Block, put_block, random_block, segment, wide_tables

SECRET = bytes(range(16))
KEYS = CellKeys(SECRET)
Factors = tuple[tuple[int, int], ...]


def read(data: bytes, size: int = 0, kernel: str | None = None) -> list[Stretch]:
    """All stretches of a file, fed in chunks of `size` bytes."""
    size = size or len(data)
    return read_chunks([data[at : at + size] for at in range(0, len(data), size)], kernel)


def read_chunks(chunks: list[bytes], kernel: str | None = None) -> list[Stretch]:
    reader = CellReader(DEFAULT_LIMITS, KEYS, kernel)
    found = [stretch for chunk in chunks for stretch in reader.feed(chunk)]
    return found + reader.finish()


def joined(stretches: list[Stretch]) -> bytes:
    return b"".join(stretch.data for stretch in stretches)


def rows(stretches: list[Stretch]) -> list[Stretch]:
    """Those that can be decoded by themselves."""
    return [stretch for stretch in stretches if stretch.cut is not None]


def hashes(stretches: list[Stretch]) -> list[bytes]:
    """Those of all cells."""
    data = b"".join(stretch.hashes for stretch in stretches)
    return [data[at : at + 4] for at in range(0, len(data), 4)]


def head(stretches: list[Stretch]) -> bytes:
    """What comes before the first row."""
    first = next(at for at, stretch in enumerate(stretches) if stretch.cut is not None)
    return joined(stretches[:first])


def decoder(stretches: list[Stretch], kernel: str | None = None) -> CellDecoder:
    return CellDecoder(head(stretches), KEYS, DEFAULT_LIMITS, kernel)


@dataclass(frozen=True)
class Sampled:
    """A picture of known coefficients: per component rows of blocks, padding included."""

    width: int
    height: int
    factors: Factors
    planes: tuple[list[list[Block]], ...]
    interval: int = 0

    @property
    def sampling(self) -> Factors:
        """One component alone has one block in an MCU, whatever its factors (T.81 A.2.2)."""
        return self.factors if len(self.factors) > 1 else ((1, 1),)

    @property
    def mcus(self) -> tuple[int, int]:
        """Across and down."""
        widest, highest = (max(f) for f in zip(*self.sampling, strict=True))
        return -(-self.width // (8 * widest)), -(-self.height // (8 * highest))

    def to_jpeg(self) -> bytes:
        """The file, 12 bits deep so that any coefficient fits, every code 5 or 8 bits long."""
        frame = b"\x0c" + self.height.to_bytes(2, "big") + self.width.to_bytes(2, "big")
        frame += bytes([len(self.factors)])
        frame += b"".join(bytes([i + 1, h << 4 | v, 0]) for i, (h, v) in enumerate(self.factors))
        scan = bytes([len(self.factors)])
        scan += b"".join(bytes([i + 1, 0]) for i in range(len(self.factors))) + b"\x00\x3f\x00"
        tables = dht_segment([(kind, 0, wide_tables()[kind, 0]) for kind in (0, 1)])
        restart = segment(0xDD, self.interval.to_bytes(2, "big")) if self.interval else b""
        headers = b"\xff\xd8" + segment(0xC1, frame) + tables + restart + segment(0xDA, scan)
        return headers + self._entropy() + b"\xff\xd9"

    def _entropy(self) -> bytes:
        out, data, tables = BitWriter(), b"", wide_tables()
        across, down = self.mcus
        previous = [0] * len(self.factors)
        for mcu in range(across * down):
            if self.interval and mcu and mcu % self.interval == 0:
                data += out.take(0x7F) + bytes([0xFF, 0xD0 + (mcu // self.interval - 1) % 8])
                previous = [0] * len(self.factors)
            for c, (h, v) in enumerate(self.sampling):
                for at in range(h * v):
                    block = self.planes[c][mcu // across * v + at // h][mcu % across * h + at % h]
                    put_block(out, block, previous[c], tables[0, 0], tables[1, 0])
                    previous[c] = block[0]
        return data + out.take(0x7F)

    def hashes(self) -> list[bytes]:
        """Of all cells, from the coefficients."""
        columns, lines = -(-self.width // 16), -(-self.height // 16)
        words = KEYS.words
        sums = [words[4096] * (cell + 1) for cell in range(columns * lines)]
        widest, highest = (max(f) for f in zip(*self.sampling, strict=True))
        for c, (h, v) in enumerate(self.sampling):
            plane = self.planes[c]
            wide = covered(Fraction(8 * widest, h), len(plane[0]), columns)
            high = covered(Fraction(8 * highest, v), len(plane), lines)
            for row, y, place_y in high:
                for column, x, place_x in wide:
                    base = c << 10 | place_y << 8 | place_x << 6
                    block = plane[y][x]
                    sums[row * columns + column] += sum(
                        value * words[base | k] for k, value in enumerate(block)
                    )
        return [(total % 2**64 >> 32).to_bytes(4, "big") for total in sums]


def covered(side: Fraction, blocks: int, cells: int) -> list[tuple[int, int, int]]:
    """(cell, block, the how manieth of the cell) of blocks `side` pixels wide."""
    members: list[list[int]] = [[] for _ in range(cells)]
    for block in range(blocks):
        start, stop = block * side, (block + 1) * side
        found = {min(pixel // 16, cells - 1) for pixel in range(int(start), -int(-stop // 1))}
        for cell in found:
            members[cell].append(block)
    return [
        (cell, block, place) for cell, held in enumerate(members)
        for place, block in enumerate(held)
    ]


@cache
def sampled(
    factors: Factors, width: int, height: int, interval: int = 0, seed: int = 5
) -> Sampled:
    """Seeded blocks in every place, padding too."""
    rng = np.random.default_rng(seed)
    empty = Sampled(width, height, factors, (), interval)
    across, down = empty.mcus
    planes = tuple(
        [[random_block(rng, 12) for _ in range(across * h)] for _ in range(down * v)]
        for h, v in empty.sampling
    )
    return Sampled(width, height, factors, planes, interval)
