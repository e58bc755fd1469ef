"""Where the slots of a view lie in the marked picture, and how long the message is.

Of a picture that has not moved its size says the first. Of one that was cut out of the marked one,
or lies within another, only the place modulo 256 blocks is known: what the copies of the coded bits
agree about tells the width and the size of the message together. numpy; ground only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import nlargest
from itertools import chain, product
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
_EFFORT = 150_000_000
"""Slots looked at to find width and size of one view, about."""
_NEAR = 2
"""Widths, at least, of which all sizes are looked at, also those sent about once."""
_LEAST_FAR, _COPIES, _LEAST_LOOK, _FAR_COST = 16, 6, 20_000, 4
"""Of so many other widths, sizes that were sent so often; each by half of that, and so many slots,
which costs as much as so many looks at all of them."""
_SURE = 6.0
"""Agreement, in standard deviations, from which on width and size may be right."""
_SHIFTED, _MOST_SHIFTS = 16, 64
"""Guesses tried some periods farther too (half of width and size agree as well as both), and by
how many of them."""
_MOST_SHIFTED_BITS = 5_000_000
_MOST_PERIODS = -(-(65_535 // 8) // PERIOD)
_TILES_IN_PERIOD = PERIOD // TILE


class Guess(NamedTuple):
    """Where a view lies, and the size of the message."""

    bits: int
    tiles: int
    """In a row of them of the marked picture."""
    origin: tuple[int, int]
    """Row and column of the first block here in the marked picture, in blocks; below 0 before."""
    agreement: float = 0.0


class Trial(NamedTuple):
    """LLRs of the coded bits, if a guess is right."""

    guess: Guess
    llrs: Floats


class _Placed(NamedTuple):
    """Slots that carry data: their numbers in the marked picture, and their LLRs."""

    slots: Places
    soft: Floats


def guesses(picture: Picture, view: View) -> list[Guess]:
    """What to try, the likeliest first."""
    if not view.moved:
        width, height = picture.size
        sizes = sizes_within(most_bits(view.profile, width, height))
        here = _placed(view, (0, 0), tiles_across(width // 8))
        tried = (
            Guess(bits, tiles_across(width // 8), (0, 0), agreement)
            for bits, agreement in _agreeing(here, sizes, len(here.slots))
        )
        return nlargest(_SIZES_TRIED, tried, key=lambda guess: guess.agreement)
    origins = list(_origins(view))
    found = (guess for origin in origins for guess in _wide(view, origin, _EFFORT // len(origins)))
    return nlargest(_GUESSES_TRIED, found, key=lambda guess: guess.agreement)


def trials(view: View, found: list[Guess]) -> Iterator[Trial]:
    """All guesses as they are; then the surest of them some periods lower or farther right."""
    for guess in found:
        yield Trial(guess, llrs_of(view, guess))
    sure = [guess for guess in found if view.moved and guess.agreement >= _SURE]
    for guess in sure[:_SHIFTED]:
        yield from _shifted(view, guess)


def llrs_of(view: View, guess: Guess) -> Floats:
    """LLRs of the coded bits, their copies added up."""
    return gathered(view, guess.origin, guess.tiles, TurboCode(guess.bits).coded_size)


def gathered(view: View, origin: tuple[int, int], tiles: int, count: int) -> Floats:
    """As `llrs_of`, of `count` coded bits of any code."""
    here = _placed(view, origin, tiles)
    places = np.bincount(here.slots % count, here.soft, minlength=count)
    return _coded(places.astype(np.float64), 0)


def likeliest(view: View, found: list[Guess], right: Guess, coded: bytes) -> Trial:
    """The trial that known coded bits fit best: a wrong width may have told a message too."""
    signs = 1.0 - 2.0 * np.frombuffer(coded, dtype=np.uint8)
    if not view.moved:
        return Trial(right, llrs_of(view, right))
    same = dict.fromkeys([right, *(guess for guess in found if guess.bits == right.bits)])
    plain = (Trial(guess, llrs_of(view, guess)) for guess in same)
    shifted = (trial for guess in same for trial in _shifted(view, guess))
    return max(chain(plain, shifted), key=lambda trial: float((trial.llrs * signs).sum()))


def _coded(places: Floats, shift: int) -> Floats:
    """From the order of slots, which begin `shift` places later, to that of coded bits."""
    count = len(places)
    found = np.empty(count)
    found[(np.arange(count) + shift) % count * stride(count) % count] = places
    return found


def _shifted(view: View, guess: Guess) -> Iterator[Trial]:
    """Whole periods lower or farther right: the slots shift in a circle."""
    count = TurboCode(guess.bits).coded_size
    here = _placed(view, guess.origin, guess.tiles)
    places = np.bincount(here.slots % count, here.soft, minlength=count).astype(np.float64)
    row, column = guess.origin
    across = range(max(1, guess.tiles // _TILES_IN_PERIOD) if column >= 0 else 1)
    down = range(_MOST_PERIODS if row >= 0 else 1)
    seen = {0}
    for far, low in product(across, down):
        tiles = _TILES_IN_PERIOD * (low * guess.tiles + far)
        shift = tiles * view.grid.layout.tile_slots % count
        if shift in seen:
            continue
        if len(seen) > max(8, min(_MOST_SHIFTS, _MOST_SHIFTED_BITS // count)):
            return
        seen.add(shift)
        moved = guess._replace(origin=(row + PERIOD * low, column + PERIOD * far))
        yield Trial(moved, _coded(places, shift))


def _placed(view: View, origin: tuple[int, int], tiles: int) -> _Placed:
    slots = view.grid.slots(view.soft.shape, origin, tiles)
    used = slots >= 0
    return _Placed(slots[used], view.soft[used])


def _origins(view: View) -> Iterator[tuple[int, int]]:
    """The known place, and, where something may lie before the picture, one period less."""
    down, across = view.soft.shape[:2]
    row, column = view.origin
    rows = [row, row - PERIOD] if PERIOD - row < down else [row]
    columns = [column, column - PERIOD] if PERIOD - column < across else [column]
    return product(rows, columns)


def _wide(view: View, origin: tuple[int, int], effort: int) -> Iterator[Guess]:
    """Widths from what is seen on, first more, then less, as far as the effort allows."""
    across = view.soft.shape[1]
    sizes = sizes_within(min(MOST_BITS, view.soft.size // (1 + view.profile.halved)))
    least = tiles_across(max(1, origin[1] + across))
    widths = sorted(
        range(max(0, origin[1]) // TILE + 1, least + _MORE_TILES + 1),
        key=lambda tiles: (tiles - least) * (1 if tiles >= least else -2),
    )
    order = _scattered(view.soft.size)
    near = max(_NEAR, effort // 2 // max(1, view.soft.size * len(sizes)))
    for rank, tiles in enumerate(widths):
        here = _mixed(_placed(view, origin, tiles), order)
        often = [size for size in sizes if 3 * size * _COPIES <= len(here.slots)]
        for bits, agreement in _agreeing(here, sizes if rank < near else often, _LEAST_LOOK):
            yield Guess(bits, tiles, origin, agreement)
        effort -= len(here.slots) * (len(sizes) if rank < near else _FAR_COST)
        if effort < 0 and rank >= near + _LEAST_FAR:
            return


def _scattered(size: int) -> Places:
    """The numbers below `size` in an order that has nothing to do with any period."""
    mixed = np.arange(size, dtype=np.uint64)
    for _ in range(2):
        mixed = (mixed ^ (mixed >> np.uint64(15))) * np.uint64(0x9E3779B97F4A7C15)
    return np.argsort(mixed)


def _mixed(here: _Placed, order: Places) -> _Placed:
    """In random order, so that any first part is from all over the picture."""
    chosen = order[order < len(here.slots)]
    return _Placed(here.slots[chosen], here.soft[chosen])


def _agreeing(here: _Placed, sizes: Iterable[int], least: int) -> Iterator[tuple[int, float]]:
    """Each size and how far the copies of its coded bits agree, by `least` slots or more."""
    # Without its mean: where most values lie in even cells, they agree whatever the size is.
    weak = np.tanh(here.soft / 2.0)
    heard = weak != 0.0
    weak = np.where(heard, weak - float(weak.sum()) / max(1, int(heard.sum())), 0.0)
    energy = weak * weak
    for bits in sizes:
        count = TurboCode(bits).coded_size
        looked = max(least, _COPIES // 2 * count)
        yield bits, _agreement(here.slots[:looked] % count, weak[:looked], energy[:looked])


def _agreement(places: Places, weak: Floats, energy: Floats) -> float:
    """In standard deviations of chance."""
    joined, squares = np.bincount(places, weak), np.bincount(places, energy)
    # Not `@`: for long vectors it starts threads, which wait for each other on a busy machine.
    spread = 2.0 * max(1e-9, float((squares * squares).sum()) - float((energy * energy).sum()))
    return float((joined * joined).sum() - squares.sum()) / float(np.sqrt(spread))
