"""The ways to look at a received picture, the likeliest first, led by the pattern.

As it is; with other gains, or filters undone; with other grids and origins. Of a large picture a
part tells which of them are worth looking at in full. numpy; ground only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import nlargest
from itertools import chain, product
from typing import NamedTuple

import numpy as np

from occulta.schemes.robust.demodulate import coarse_means, soft_slots
from occulta.schemes.robust.layout import layout_of
from occulta.schemes.robust.message import LEAST_BITS
from occulta.schemes.robust.picture import (
    Carriers,
    Floats,
    Part,
    Picture,
    equalised,
    parts_of,
    repaired,
)
from occulta.schemes.robust.profiles import Profile
from occulta.schemes.robust.synchronise import Grid

_GAINS = tuple(round(0.8 + 0.01 * step, 2) for step in range(51))
_EQUALISED = (1.0, 0.5, -0.2, -0.35, -0.45)
"""Filters undone, see `equalised`."""
_GAINS_LOOKED_AT = 12
_GAINS_TRIED = 8
_GRIDS_LOOKED_AT = 8
_LEAST_SCORE = 3.0
_LEAST_PEAK = 6.0
_PLACES_TRIED = 4
_PART_SCORE, _PART_PEAK = 3.5, 5.7
"""What a part must show of the pattern before the whole of a large picture is looked at."""


@dataclass(frozen=True, slots=True)
class View:
    """One way to look at the picture."""

    profile: Profile
    grid: Grid
    soft: Floats
    """LLRs of all slots, (down, across, slots)."""
    gain: float = 1.0
    undone: float = 0.0
    """The filter, see `equalised`."""
    offset: tuple[int, int] = (0, 0)
    """Of the grid of blocks: columns and lines before its first one."""
    origin: tuple[int, int] = (0, 0)
    """Row and column of the first block here in the marked picture, in blocks modulo PERIOD."""
    score: float = 0.0
    """What it shows of the pattern, in standard deviations of chance."""
    moved: bool = False


class _Look(NamedTuple):
    """At a coarse look."""

    score: float
    profile: Profile
    gain: float
    undone: float
    offset: int


def views(
    picture: Picture, profiles: Sequence[Profile], fingerprint: bytes, search: bool
) -> Iterator[View]:
    """All that are worth a trial; without `search` only where the picture has not moved."""
    grids = {
        p.name: Grid(layout_of(fingerprint, p.slots)) for p in profiles if _has_room(picture, p)
    }
    if not grids:
        return
    chosen = [profile for profile in profiles if profile.name in grids]
    better = repaired(picture)
    versions = [picture] if better is None else [picture, better]
    seen = [version.carriers() for version in versions]
    plain = [_view(p, grids[p.name], each) for each in seen for p in chosen]
    yield from sorted(plain, key=lambda view: -view.score)
    # Most views are dropped at once: each holds several megabytes.
    for version, each in zip(versions, seen, strict=True):
        gained = _gained(version, each, chosen, grids)
        likely = nlargest(_GAINS_TRIED, gained, key=lambda view: view.score)
        yield from (view for view in likely if view.score >= _LEAST_SCORE)
    for version in versions if search else ():
        moved = _moved(version, chosen, grids)
        likely = nlargest(_PLACES_TRIED, moved, key=lambda view: view.score)
        yield from (view for view in likely if view.score >= _LEAST_PEAK)


def _has_room(picture: Picture, profile: Profile) -> bool:
    """Whether as many slots came as the shortest message has bits."""
    return int(picture.present.sum()) * profile.slots // (1 + profile.halved) >= LEAST_BITS


def _view(
    profile: Profile, grid: Grid, carriers: Carriers, gain: float = 1.0, undone: float = 0.0
) -> View:
    soft = soft_slots(profile, carriers, gain)
    return View(profile, grid, soft, gain, undone, score=grid.score(np.tanh(soft / 2.0)))


def _gained(
    picture: Picture, seen: Carriers, profiles: list[Profile], grids: dict[str, Grid]
) -> Iterator[View]:
    """The gains, and the filters undone, that show most of the pattern at a coarse look."""
    parts = parts_of(picture)
    least = -np.inf if parts[0].picture is picture else _PART_SCORE
    coarse = chain.from_iterable(
        _coarse_gains(part, amount, profiles, grids)
        for part in parts for amount in (0.0, *_EQUALISED)
    )
    looks = {0.0: seen}
    for look in _best(coarse, _GAINS_LOOKED_AT):
        if look.score < least:
            return
        if look.undone not in looks:
            looks[look.undone] = equalised(picture, look.undone).carriers()
        grid = grids[look.profile.name]
        yield _view(look.profile, grid, looks[look.undone], look.gain, look.undone)


def _coarse_gains(
    part: Part, amount: float, profiles: list[Profile], grids: dict[str, Grid]
) -> Iterator[_Look]:
    seen = part.picture
    values = equalised(seen, amount).values() if amount else seen.values()
    for profile in profiles:
        grid = grids[profile.name]
        pattern = grid.pattern(values.shape, part.row, part.column)
        marked = values[pattern != 0.0]
        for gain in (1.0,) if amount else _GAINS:
            means = coarse_means(profile, marked * gain)
            score = grid.score_of(means, pattern[pattern != 0.0])
            yield _Look(score, profile, gain, amount, 0)


def _moved(picture: Picture, profiles: list[Profile], grids: dict[str, Grid]) -> Iterator[View]:
    """The grids that show most of the pattern at a coarse look, each at the likeliest place."""
    parts = parts_of(picture)
    least = -np.inf if parts[0].picture is picture else _PART_PEAK
    coarse: list[_Look] = []
    for part, offset in product(parts, range(64)):
        values = part.picture.values(offset % 8, offset // 8)
        for profile in profiles if values.size else ():
            at = grids[profile.name].find(coarse_means(profile, values))
            coarse.append(_Look(at.score, profile, 1.0, 0.0, offset))
    for look in _best(coarse, _GRIDS_LOOKED_AT):
        if look.score < least:
            return
        dy, dx = divmod(look.offset, 8)
        grid = grids[look.profile.name]
        soft = soft_slots(look.profile, picture.carriers(dx, dy))
        at = grid.find(np.tanh(soft / 2.0))
        yield View(
            look.profile, grid, soft, offset=(dx, dy), origin=(at.row, at.column),
            score=at.score, moved=True,
        )


def _best(coarse: Iterable[_Look], count: int) -> list[_Look]:
    """The best ones, what several parts show once."""
    best: dict[tuple[str, float, float, int], _Look] = {}
    for look in coarse:
        key = look.profile.name, look.gain, look.undone, look.offset
        if key not in best or look.score > best[key].score:
            best[key] = look
    return nlargest(count, best.values(), key=lambda look: look.score)
