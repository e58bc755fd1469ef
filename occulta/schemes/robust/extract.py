"""The receiver: from a picture to the message, exactly, or nothing.

Nothing of the received file is believed: profile, size of the message, gain and place are tried,
led by the synchronisation pattern, and only a message whose seal opens is one. numpy; ground only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import nlargest
from typing import NamedTuple

import numpy as np

from occulta.codec import crypto
from occulta.codec.fec.message import TurboCode
from occulta.errors import OccultaError, Reason
from occulta.schemes.robust import message
from occulta.schemes.robust.demodulate import coarse_means, soft_slots
from occulta.schemes.robust.layout import TILE, layout_of, permutation, tiles_across
from occulta.schemes.robust.message import Opened
from occulta.schemes.robust.picture import Carriers, Floats, Picture, equalised
from occulta.schemes.robust.profiles import PROFILES, Profile
from occulta.schemes.robust.synchronise import Grid, Places

_UNIT = 8.0
"""LLRs of the turbo decoder are in eighths of a nat."""
_CLAMP = 255.0
_GAINS = tuple(round(0.8 + 0.01 * step, 2) for step in range(51))
_EQUALISED = (1.0, 0.5, -0.2, -0.35, -0.45)
"""Filters undone, see `equalised`."""
_GAINS_LOOKED_AT = 12
_GAINS_TRIED = 8
_GRIDS_LOOKED_AT = 8
_LEAST_SCORE = 3.0
_LEAST_PEAK = 6.0
_PLACES_TRIED = 4
_SIZES_TRIED = 6
_MORE_TILES = 16
"""Tiles that a cropped picture's rows may have lost."""
_LARGEST_SIDE = 65_535 // 8


class Found(NamedTuple):
    """A message, and how it was found."""

    opened: Opened
    profile: Profile
    message_bits: int
    corrected: int
    """Coded bits that had the wrong sign."""
    compared: int
    """Coded bits of which anything was received."""
    margin: float
    """Information received over information needed, in dB: decoding fails at about 0.5."""
    gain: float
    offset: tuple[int, int]
    """Of the grid of blocks: columns and lines before its first one."""
    origin: tuple[int, int]
    """Row and column of the first block here in the marked picture; in blocks."""


@dataclass(frozen=True, slots=True)
class _View:
    """One way to look at the picture."""

    profile: Profile
    grid: Grid
    soft: Floats
    gain: float = 1.0
    offset: tuple[int, int] = (0, 0)
    origin: tuple[int, int] = (0, 0)
    score: float = 0.0


class _Placed(NamedTuple):
    """Slots that carry data: their numbers in the marked picture, and their LLRs."""

    slots: Places
    soft: Floats


def recover(
    picture: Picture, key: crypto.PrivateKey, profiles: Iterable[Profile] = PROFILES.values(),
    search: bool = True, kernel: str | None = None,
) -> Found:
    """The message for this key; without `search` only in its place and of the right size.

    Raises OccultaError(NOT_RECOVERED).
    """
    chosen = tuple(profiles)
    fingerprint = key.public.fingerprint
    views = _views(picture, chosen, fingerprint, search) if picture.present.any() else ()
    for view in views:
        for tiles in _widths(picture, view):
            found = _decode(picture, view, tiles, key, kernel)
            if found is not None:
                return found
    names = ", ".join(profile.name for profile in chosen)
    raise OccultaError(
        Reason.NOT_RECOVERED, f"no message for this key can be read (profiles tried: {names})"
    )


def soft_bits(
    picture: Picture, profile: Profile, fingerprint: bytes, count: int, search: bool = True
) -> Floats:
    """LLRs of `count` coded bits, positive for 0, from the likeliest view of the picture.

    Without `search` as it is.
    """
    views = _views(picture, (profile,), fingerprint, search=False)
    view = max(views, key=lambda each: each.score) if search else next(views)
    return _gather(_placed(view, tiles_across(picture.size[0] // 8)), count)


def margin(llrs: Floats, coded: bytes, bits: int) -> float:
    """Information that LLRs hold of known coded bits over `bits`, in dB (-99: none)."""
    signs = 1.0 - 2.0 * np.frombuffer(coded, dtype=np.uint8)
    lost = np.log2(1.0 + np.exp(-np.clip(llrs * signs, -60.0, 60.0)))
    held = float((1.0 - lost).sum())
    return 10.0 * float(np.log10(held / bits)) if held > 0.0 else -99.0


def _views(
    picture: Picture, profiles: tuple[Profile, ...], fingerprint: bytes, search: bool
) -> Iterator[_View]:
    """Likeliest first: as it is; with other gains; with other grids and places."""
    grids = {p.name: Grid(layout_of(fingerprint, p.slots)) for p in profiles}
    seen = picture.carriers()
    plain = [_view(p, grids[p.name], seen, 1.0) for p in profiles]
    yield from sorted(plain, key=lambda view: -view.score)
    if not seen.present.any():
        return
    # Most views are dropped at once: each holds several megabytes.
    gained = _gained(picture, seen, profiles, grids)
    likely = nlargest(_GAINS_TRIED, gained, key=lambda view: view.score)
    yield from (view for view in likely if view.score >= _LEAST_SCORE)
    if search:
        moved = _moved(picture, profiles, grids)
        likely = nlargest(_PLACES_TRIED, moved, key=lambda view: view.score)
        yield from (view for view in likely if view.score >= _LEAST_PEAK)


def _view(profile: Profile, grid: Grid, carriers: Carriers, gain: float) -> _View:
    soft = soft_slots(profile, carriers, gain)
    return _View(profile, grid, soft, gain, score=grid.score(np.tanh(soft / 2.0)))


def _gained(
    picture: Picture, seen: Carriers, profiles: tuple[Profile, ...], grids: dict[str, Grid]
) -> Iterator[_View]:
    """The gains, and the filters undone, that show most of the pattern at a coarse look."""
    coarse: list[tuple[float, float, Profile, float]] = []
    for amount in (0.0, *_EQUALISED):
        values = equalised(picture, amount).values() if amount else picture.values()
        for profile in profiles:
            pattern = grids[profile.name].pattern(values.shape)
            marked = values[pattern != 0.0]
            for gain in (1.0,) if amount else _GAINS:
                means = coarse_means(profile, marked * gain)
                score = grids[profile.name].score_of(means, pattern[pattern != 0.0])
                coarse.append((score, amount, profile, gain))
    likely = nlargest(_GAINS_LOOKED_AT, coarse, key=lambda each: each[0])
    looks = {0.0: seen}
    for _, amount, profile, gain in likely:
        if amount not in looks:
            looks[amount] = equalised(picture, amount).carriers()
        yield _view(profile, grids[profile.name], looks[amount], gain)


def _moved(
    picture: Picture, profiles: tuple[Profile, ...], grids: dict[str, Grid]
) -> Iterator[_View]:
    """The grids that show most of the pattern at a coarse look, each at the likeliest place."""
    coarse: list[tuple[float, int, Profile]] = []
    for offset in range(64):
        values = picture.values(offset % 8, offset // 8)
        for profile in profiles if values.size else ():
            at = grids[profile.name].find(coarse_means(profile, values))
            coarse.append((at.score, offset, profile))
    for _, offset, profile in nlargest(_GRIDS_LOOKED_AT, coarse, key=lambda each: each[0]):
        dy, dx = divmod(offset, 8)
        soft = soft_slots(profile, picture.carriers(dx, dy))
        at = grids[profile.name].find(np.tanh(soft / 2.0))
        yield _View(
            profile, grids[profile.name], soft, 1.0, (dx, dy), (at.row, at.column), at.score
        )


def _widths(picture: Picture, view: _View) -> Iterator[int]:
    """Tiles in a row of the marked picture: as here; where it was cropped, what may have been."""
    seen = tiles_across(picture.size[0] // 8)
    if view.offset == view.origin == (0, 0):
        yield seen
        return
    least = tiles_across(view.origin[1] + view.soft.shape[1])
    yield from range(least, least + _MORE_TILES)


def _placed(view: _View, tiles: int) -> _Placed:
    slots = view.grid.slots(view.soft.shape, view.origin, tiles)
    used = slots >= 0
    return _Placed(slots[used], view.soft[used])


def _gather(placed: _Placed, count: int) -> Floats:
    """LLRs of the coded bits, their copies added up."""
    where = np.array(permutation(count, count), dtype=np.int64)
    return np.asarray(
        np.bincount(where[placed.slots % count], placed.soft, minlength=count), dtype=np.float64
    )


def _decode(
    picture: Picture, view: _View, tiles: int, key: crypto.PrivateKey, kernel: str | None
) -> Found | None:
    """Try the sizes that a message can have here, those first whose copies agree best."""
    placed = _placed(view, tiles)
    for rank, bits in enumerate(_sizes(picture, view, tiles, placed)):
        code = TurboCode(bits, kernel=kernel)
        llrs = _gather(placed, code.coded_size)
        scaled = np.clip(np.rint(llrs * _UNIT), -_CLAMP, _CLAMP).astype(np.int16)
        decided = code.decode(memoryview(scaled.tobytes()).cast("h"), again=rank == 0)
        found = message.from_bits(decided.bits)
        if message.is_whole(found):
            opened = _open(found, key)
            if opened is not None:
                return _found(view, code, decided.bits, llrs, opened)
    return None


def _open(found: bytes, key: crypto.PrivateKey) -> Opened | None:
    try:
        return message.open_message(found, key)
    except OccultaError:
        return None


def _sizes(picture: Picture, view: _View, tiles: int, placed: _Placed) -> list[int]:
    width, height = picture.size
    if view.origin != (0, 0) or view.offset != (0, 0):
        width = height = 8 * TILE * tiles
    most = message.most_bits(view.profile, width, height)
    weak = np.tanh(placed.soft / 2.0)
    scores = {
        bits: _agreement(placed, weak, TurboCode(bits).coded_size)
        for bits in message.sizes_within(most)
    }
    return sorted(scores, key=lambda bits: -scores[bits])[:_SIZES_TRIED]


def _agreement(placed: _Placed, weak: Floats, count: int) -> float:
    """How far the copies of each coded bit agree, in standard deviations."""
    places = placed.slots % count
    joined = np.bincount(places, weak, minlength=count)
    squares = np.bincount(places, weak**2, minlength=count)
    fourth = float((weak**4).sum())
    spread = 2.0 * max(1e-9, float((squares**2).sum()) - fourth)
    return float((joined**2).sum() - squares.sum()) / float(np.sqrt(spread))


def _found(view: _View, code: TurboCode, bits: bytes, llrs: Floats, opened: Opened) -> Found:
    coded = code.encode(bits)
    signs = 1.0 - 2.0 * np.frombuffer(coded, dtype=np.uint8)
    return Found(
        opened, view.profile, code.bits, int((llrs * signs < 0.0).sum()),
        int((llrs != 0.0).sum()), margin(llrs, coded, code.bits), view.gain, view.offset,
        view.origin,
    )
