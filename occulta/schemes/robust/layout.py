"""Where each coded bit lies: tiles, slots, and the pattern by which a receiver finds its way.

A tile is 16x16 blocks. Sixteen of its blocks, the same ones in every tile, carry the pattern in all
their slots; the others number their slots in a permuted order, which each of 16x16 tiles begins
elsewhere. Tiles follow one another row by row, and slot n of the picture carries coded bit
p(n mod N), p a permutation of the N coded bits. So whole tiles send each bit equally often, strips
of tiles nearly so, and copies of a bit lie in different tiles. Whoever knows how many tiles are in
a row needs to know no more of the picture's size, and whoever mistakes where the picture was cut by
a multiple of 256 blocks has the slots in a cyclic shift.

Everything is drawn from the fingerprint of the recipient's key, which is public: it spreads, it
does not hide.
"""

from __future__ import annotations

import hashlib
import math
import struct
from array import array
from dataclasses import dataclass

TILE = 16
"""Blocks on each side."""
CELLS = TILE * TILE
PATTERN_CELLS = 16
"""Blocks of a tile that carry the pattern."""
PERIOD = 256
"""Blocks, across and down, after which the pattern begins again."""
PATTERN = -1
"""In `Layout.first`: this block carries the pattern."""
TURNS = PERIOD // TILE
"""Tiles, across and down, after which their orders begin in the same places again."""
_LABEL = b"occulta robust layout 2"


@dataclass(frozen=True, slots=True)
class Layout:
    """Slots of one recipient and one number of slots in a block.

    `first`: for each block of a tile, row by row, its number among those that carry data, or
    PATTERN. `order`: the place of each data slot of a tile among them, `number * slots + j`, to
    which `turns`, for TURNS^2 tiles, row by row, is added modulo `tile_slots`.
    `pattern`: a bit for each of the PERIOD^2 blocks, row by row, whether used or not; slot j of a
    block inverts it where j is odd.
    """

    slots: int
    first: array[int]
    order: array[int]
    turns: array[int]
    pattern: bytes

    @property
    def tile_slots(self) -> int:
        """Data slots of a tile."""
        return (CELLS - PATTERN_CELLS) * self.slots


def layout_of(fingerprint: bytes, slots: int) -> Layout:
    """The layout for a recipient's key; raises ValueError for less than one slot."""
    if slots < 1:
        raise ValueError(f"{slots} slots in a block")
    drawn = hashlib.shake_256(_LABEL + fingerprint)
    words = struct.unpack(f"<{CELLS}Q", drawn.digest(8 * CELLS))
    ranked = sorted(range(CELLS), key=lambda cell: (words[cell], cell))
    chosen = set(ranked[:PATTERN_CELLS])
    first, number = array("i"), 0
    for cell in range(CELLS):
        first.append(PATTERN if cell in chosen else number)
        number += cell not in chosen
    size = number * slots
    order = permutation(size, words[0])
    drawn = hashlib.shake_256(_LABEL + b" turns" + fingerprint)
    turned = struct.unpack(f"<{TURNS * TURNS}Q", drawn.digest(8 * TURNS * TURNS))
    turns = array("i", (word % size for word in turned))
    bits = hashlib.shake_256(_LABEL + b" pattern" + fingerprint).digest(PERIOD * PERIOD // 8)
    pattern = bytes(byte >> shift & 1 for byte in bits for shift in range(8))
    return Layout(slots, first, order, turns, pattern)


def stride(size: int) -> int:
    """The step of `permutation`: prime to `size`, and near its golden section."""
    factor = max(1, round(size * 0.6180339887498949))
    while math.gcd(factor, size) > 1:
        factor += 1
    return factor


def permutation(size: int, seed: int) -> array[int]:
    """The numbers below `size`, evenly spread: n * stride + seed modulo size."""
    factor = stride(size)
    return array("i", ((n * factor + seed) % size for n in range(size)))


def tiles_across(blocks_across: int) -> int:
    """Tiles in a row of them, the last one perhaps cut."""
    return -(-blocks_across // TILE)
