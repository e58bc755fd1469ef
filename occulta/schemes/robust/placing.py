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
_EFFORT = 150_000_000
"""Slots looked at to find width and size of one view, about."""
_NEAR, _LEAST_FAR = 2, 24
"""Widths, at least, of which all sizes are looked at, also those sent about once; and others, of
which those are that were sent several times."""
_SEVERAL = 1.5
_LEAST_LOOK, _PAIRS = 20_000, 100.0
"""Slots that are looked at for a size: more where few of them are copies of each other."""
_OVERHEAD = 4
"""Of a width, in looks at all slots."""
_SAMPLE = 100_000
"""Slots that tell which place known bits fit best, about."""
_ALL_FIT, _DIGITS = 0.95, 6
"""Share of what came that agrees with known bits where all does; and how exactly it is compared."""
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
            for bits, agreement in _agreeing(here, sizes, all_slots=True)
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


def likeliest(view: View, right: Guess, coded: bytes) -> Trial:
    """The trial that known coded bits fit best: a wrong width may have told the message too.

    Of places that they fit equally, as where a single row of tiles came, the nearest one.
    """
    origins = _origins(view) if view.moved else ((0, 0),)
    wide = [
        right._replace(origin=origin, tiles=tiles)
        for origin in origins for tiles in _widths(view, origin)
    ]
    step = 1 + 2 * int(np.sqrt(view.soft.size / _SAMPLE) / 2)  # odd: tiles are even
    bits = np.frombuffer(coded, dtype=np.uint8)[_order(len(coded))]
    signs = np.where(bits, -1.0, 1.0)
    known = list(_fitted(view, wide if view.moved else [right], signs, step))
    if max(guess.agreement for guess in known) < _ALL_FIT:
        known += _fitted(view, wide, signs, step, farther=view.moved)
    best = max(known, key=_preferred)
    return Trial(best, llrs_of(view, best))


def _preferred(guess: Guess) -> tuple[float, int]:
    row, column = guess.origin
    return round(guess.agreement, _DIGITS), -abs(row) - abs(column)


def _fitted(
    view: View, known: list[Guess], signs: Floats, step: int, farther: bool = False
) -> Iterator[Guess]:
    """With the share of what came that agrees with known bits as their `agreement`.

    Instead of the guesses themselves those whole periods `farther` off. `signs`: of the bits, in
    the order of slots. One in `step` rows and columns of blocks is looked at.
    """
    strength = _strength(view, step)
    for guess in known:
        here = _placed(view, guess.origin, guess.tiles, step)
        places = np.bincount(here.slots % len(signs), here.soft, minlength=len(signs))
        for each, shift in _turned(view, guess) if farther else ((guess, 0),):
            fit = float((places * np.roll(signs, -shift)).sum())
            yield each._replace(agreement=fit / strength)


def _strength(view: View, step: int) -> float:
    """What came in slots that carry data, about."""
    layout = view.grid.layout
    carrying = layout.tile_slots / (layout.slots * TILE * TILE)
    return max(1e-9, carrying * float(np.abs(view.soft[::step, ::step]).sum()))


def _coded(places: Floats, shift: int) -> Floats:
    """From the order of slots, which begin `shift` places later, to that of coded bits."""
    found = np.empty(len(places))
    found[np.roll(_order(len(places)), -shift)] = places
    return found


def _order(count: int) -> Places:
    """The coded bits in the order of slots."""
    return np.arange(count) * stride(count) % count


def _shifted(view: View, guess: Guess) -> Iterator[Trial]:
    """Whole periods lower or farther right: the slots shift in a circle."""
    count = TurboCode(guess.bits).coded_size
    here = _placed(view, guess.origin, guess.tiles)
    places = np.bincount(here.slots % count, here.soft, minlength=count).astype(np.float64)
    for moved, shift in _turned(view, guess):
        yield Trial(moved, _coded(places, shift))


def _turned(view: View, guess: Guess) -> Iterator[tuple[Guess, int]]:
    """Guesses so much farther, and by how many slots of the coded bits' circle they shift."""
    count = TurboCode(guess.bits).coded_size
    row, column = guess.origin
    across = range(-(-guess.tiles // _TILES_IN_PERIOD) if column >= 0 else 1)
    down = range(_MOST_PERIODS if row >= 0 else 1)
    seen = {0}
    for low, far in product(down, across):
        tiles = _TILES_IN_PERIOD * (low * guess.tiles + far)
        shift = tiles * view.grid.layout.tile_slots % count
        if shift in seen:
            continue
        if len(seen) > max(8, min(_MOST_SHIFTS, _MOST_SHIFTED_BITS // count)):
            return
        seen.add(shift)
        moved = guess._replace(origin=(row + PERIOD * low, column + PERIOD * far))
        yield moved, shift


def _placed(view: View, origin: tuple[int, int], tiles: int, step: int = 1) -> _Placed:
    """Of one in `step` rows and columns of blocks; without slots of which nothing came."""
    soft = view.soft[::step, ::step]
    down, across = (np.arange(0, size, step) for size in view.soft.shape[:2])
    slots = view.grid.slots(down + origin[0], across + origin[1], tiles)
    used = (slots >= 0) & (soft != 0.0)
    return _Placed(slots[used], soft[used])


def _origins(view: View) -> Iterator[tuple[int, int]]:
    """The known place, and, where something may lie before the picture, one period less."""
    down, across = view.soft.shape[:2]
    row, column = view.origin
    rows = [row, row - PERIOD] if PERIOD - row < down else [row]
    columns = [column, column - PERIOD] if PERIOD - column < across else [column]
    return product(rows, columns)


def _wide(view: View, origin: tuple[int, int], effort: int) -> Iterator[Guess]:
    """Widths and sizes of messages, as far as the effort allows, half of it for all sizes."""
    came = int(np.count_nonzero(view.soft))
    sizes = sizes_within(min(MOST_BITS, came // (1 + view.profile.halved)))
    order = _scattered(view.soft.size)
    for rank, tiles in enumerate(_widths(view, origin)):
        here = _mixed(_placed(view, origin, tiles), order)
        often = [size for size in sizes if 3 * size * _SEVERAL <= len(here.slots)]
        rarely = len(here.slots) * (len(sizes) - len(often))
        is_full = rank < _NEAR or rarely < effort // 2
        for bits, agreement in _agreeing(here, sizes if is_full else often):
            yield Guess(bits, tiles, origin, agreement)
        effort -= len(here.slots) * _OVERHEAD + _LEAST_LOOK * len(often) + is_full * rarely
        if effort < 0 and rank >= _NEAR + _LEAST_FAR:
            return


def _widths(view: View, origin: tuple[int, int]) -> list[int]:
    """Tiles in a row, the likeliest first: as far as anything is seen, then more or less.

    Less is likelier where other things lie before the picture, as they then may behind it.
    """
    seen = np.flatnonzero(view.soft.any(axis=(0, 2)))
    least = tiles_across(max(1, origin[1] + (int(seen[-1]) + 1 if len(seen) else 0)))
    below = 1 if origin[1] < 0 else 2
    return sorted(
        range(max(0, origin[1]) // TILE + 1, least + _MORE_TILES + 1),
        key=lambda tiles: tiles - least if tiles >= least else below * (least - tiles),
    )


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


def _agreeing(
    here: _Placed, sizes: Iterable[int], all_slots: bool = False
) -> Iterator[tuple[int, float]]:
    """Each size and how far the copies of its coded bits agree, by as many slots as tell it.

    `here` is then in random order; with `all_slots` it need not be.
    """
    # Without its mean: where most values lie in even cells, they agree whatever the size is.
    weak = np.tanh(here.soft / 2.0)
    weak -= float(weak.sum()) / max(1, len(weak))
    energy = weak * weak
    for bits in sizes:
        count = TurboCode(bits).coded_size
        looked = len(here.slots) if all_slots else _looked(count, len(here.slots))
        yield bits, _agreement(here.slots[:looked] % count, weak[:looked], energy[:looked])


def _looked(count: int, came: int) -> int:
    """As many slots as hold pairs enough: n of them hold n^2 / 2 count, less what came once."""
    copies = came / count
    if copies < _SEVERAL:
        return came
    return min(came, max(_LEAST_LOOK, int(_PAIRS * np.sqrt(2 * count) * copies / (copies - 1.0))))


def _agreement(places: Places, weak: Floats, energy: Floats) -> float:
    """In standard deviations of chance."""
    joined, squares = np.bincount(places, weak), np.bincount(places, energy)
    # Not `@`: for long vectors it starts threads, which wait for each other on a busy machine.
    spread = 2.0 * max(1e-9, float((squares * squares).sum()) - float((energy * energy).sum()))
    return float((joined * joined).sum() - squares.sum()) / float(np.sqrt(spread))
