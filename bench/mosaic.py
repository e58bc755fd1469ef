"""Large pictures out of small ones, varied so that they do not plainly repeat."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from PIL import Image, ImageChops

from bench.data import SIDE

_TURNS = [None, *Image.Transpose]


def varied(tile: Image.Image, chance: random.Random) -> Image.Image:
    """The tile turned or mirrored, and shifted so that its blocks are cut anew."""
    turn = chance.choice(_TURNS)
    turned = tile if turn is None else tile.transpose(turn)
    return ImageChops.offset(turned, chance.randrange(SIDE), chance.randrange(SIDE))


def mosaic(tiles: Sequence[Image.Image], columns: int, rows: int, seed: int = 1) -> Image.Image:
    """`columns` x `rows` varied tiles; every tile comes once before any comes again."""
    chance = random.Random(seed)
    whole = Image.new(tiles[0].mode, (SIDE * columns, SIDE * rows))
    order: list[Image.Image] = []
    for index in range(columns * rows):
        if not order:
            order = chance.sample(list(tiles), len(tiles))
        at = (SIDE * (index % columns), SIDE * (index // columns))
        whole.paste(varied(order.pop(), chance), at)
    return whole


def columns_for(bytes_wanted: int, sample: int, sample_columns: int) -> int:
    """Columns of a square mosaic of that many bytes, by what a sample square one takes."""
    return math.ceil(sample_columns * math.sqrt(1.08 * bytes_wanted / sample))
