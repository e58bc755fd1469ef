"""Where the slots of a view lie in the marked picture, and how long the message is.

Of a picture that has not moved its size says the first. Of one that was cut out of the marked one,
or lies within another, only the place modulo 256 blocks is known: what the copies of the coded bits
agree about tells the width and the size of the message together. numpy; ground only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import nlargest
from itertools import product
from typing import NamedTuple

import numpy as np

from occulta.codec.fec.message import TurboCode
from occulta.schemes.robust.layout import PERIOD, TILE, stride, tiles_across
from occulta.schemes.robust.message import MOST_BITS, most_bits, sizes_within
from occulta.schemes.robust.picture import Floats, Picture
from occulta.schemes.robust.synchronise import Places
from occulta.schemes.robust.views import View

_SIZES_TRIED = 6
_GUESSES_TRIED = 24
_MORE_TILES = 2 * PERIOD // TILE
"""Tiles that a cropped picture's rows may have lost."""
_EFFORT = 100_000_000
"""Slots looked at to find width and size, all guesses together."""
_SURE = 5.0
"""Agreement, in standard deviations, from which on width and size are taken for right."""
_MOST_PERIODS = -(-(65_535 // 8) // PERIOD)


class Guess(NamedTuple):
    """Where a view lies, and the size of the message."""

    bits: int
    tiles: int
    """In a row of them of the marked picture."""
    origin: tuple[int, int]
    """Row and column of the first block here in the marked picture, in blocks; below 0 before."""
    agreement: float = 0.0


class Placed(NamedTuple):
    """Slots that carry data: their numbers in the marked picture, and their LLRs."""

    slots: Places
    soft: Floats


def guesses(picture: Picture, view: View) -> Iterator[Guess]:
    """What to try, the likeliest first."""
    if not view.moved:
        width, height = picture.size
        sizes = sizes_within(most_bits(view.profile, width, height))
        tried = _agreeing(view, (0, 0), tiles_across(width // 8), sizes)
        yield from nlargest(_SIZES_TRIED, tried, key=lambda guess: guess.agreement)
        return
    tried = (guess for origin in _origins(view) for guess in _wide(view, origin))
    for guess in nlargest(_GUESSES_TRIED, tried, key=lambda guess: guess.agreement):
        yield from _periods(guess)


def placed(view: View, origin: tuple[int, int], tiles: int) -> Placed:
    """The slots of a view that lies so."""
    slots = view.grid.slots(view.soft.shape, origin, tiles)
    used = slots >= 0
    return Placed(slots[used], view.soft[used])


def gather(found: Placed, count: int) -> Floats:
    """LLRs of the `count` coded bits, their copies added up."""
    where = found.slots % count * stride(count) % count
    return np.asarray(np.bincount(where, found.soft, minlength=count), dtype=np.float64)


def _origins(view: View) -> Iterator[tuple[int, int]]:
    """The known place, and, where something may lie before the picture, one period less."""
    down, across = view.soft.shape[:2]
    row, column = view.origin
    rows = [row, row - PERIOD] if PERIOD - row < down else [row]
    columns = [column, column - PERIOD] if PERIOD - column < across else [column]
    return product(rows, columns)


def _wide(view: View, origin: tuple[int, int]) -> Iterator[Guess]:
    """Widths from what is seen on, first more, then less, as far as the effort allows."""
    down, across = view.soft.shape[:2]
    sizes = sizes_within(min(MOST_BITS, view.soft.size // (1 + view.profile.halved)))
    least = tiles_across(max(1, origin[1] + across))
    widths = sorted(
        range(max(0, origin[1]) // TILE + 1, least + _MORE_TILES + 1),
        key=lambda tiles: (tiles - least) * (1 if tiles >= least else -2),
    )
    affordable = max(4, _EFFORT // max(1, view.soft.size * len(sizes)))
    for tiles in widths[:affordable]:
        yield from nlargest(
            3, _agreeing(view, origin, tiles, sizes), key=lambda guess: guess.agreement
        )


def _agreeing(
    view: View, origin: tuple[int, int], tiles: int, sizes: Iterable[int]
) -> Iterator[Guess]:
    here = placed(view, origin, tiles)
    weak = np.tanh(here.soft / 2.0)
    energy = weak * weak
    alone = float((energy * energy).sum())
    for bits in sizes:
        places = here.slots % TurboCode(bits).coded_size
        yield Guess(bits, tiles, origin, _agreement(places, weak, energy, alone))


def _agreement(places: Places, weak: Floats, energy: Floats, alone: float) -> float:
    """How far the copies of each coded bit agree, in standard deviations."""
    joined, squares = np.bincount(places, weak), np.bincount(places, energy)
    spread = 2.0 * max(1e-9, float((squares * squares).sum()) - alone)
    return float((joined * joined).sum() - squares.sum()) / float(np.sqrt(spread))


def _periods(guess: Guess) -> Iterator[Guess]:
    """The same some periods lower or farther right: the coded bits shift in a circle."""
    yield guess
    row, column = guess.origin
    if guess.agreement < _SURE:
        return
    across = range(max(1, guess.tiles * TILE // PERIOD) if column >= 0 else 1)
    down = range(_MOST_PERIODS if row >= 0 else 1)
    for far, low in product(across, down):
        if far or low:
            yield guess._replace(origin=(row + PERIOD * low, column + PERIOD * far))
