"""The receiver: from a picture to the message, exactly, or nothing.

Nothing of the received file is believed: profile, size of the message, gain and place are tried,
led by the synchronisation pattern, and only a message whose seal opens is one. numpy; ground only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from occulta.codec import crypto
from occulta.codec.fec.message import TurboCode
from occulta.errors import OccultaError, Reason
from occulta.schemes.robust import message
from occulta.schemes.robust.demodulate import soft_slots
from occulta.schemes.robust.layout import TILE, layout_of, permutation, tiles_across
from occulta.schemes.robust.message import Opened
from occulta.schemes.robust.picture import Carriers, Floats, Picture, equalised
from occulta.schemes.robust.profiles import PROFILES, Profile
from occulta.schemes.robust.synchronise import Grid

_UNIT = 8.0
"""LLRs of the turbo decoder are in eighths of a nat."""
_CLAMP = 255.0
_GAINS = tuple(round(0.8 + 0.01 * step, 2) for step in range(51))
_EQUALISED = (1.0, 0.5, -0.2, -0.35, -0.45)
"""Filters undone, see `equalised`."""
_GAINS_TRIED = 8
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


def recover(
    picture: Picture, key: crypto.PrivateKey, profiles: Iterable[Profile] = PROFILES.values(),
    search: bool = True, kernel: str | None = None,
) -> Found:
    """The message for this key; without `search` only in its place and of the right size.

    Raises OccultaError(NOT_RECOVERED).
    """
    chosen = tuple(profiles)
    fingerprint = key.public.fingerprint
    for view in _views(picture, chosen, fingerprint, search):
        for tiles in _widths(picture, view):
            found = _decode(picture, view, tiles, key, kernel)
            if found is not None:
                return found
    names = ", ".join(profile.name for profile in chosen)
    raise OccultaError(
        Reason.NOT_RECOVERED, f"no message for this key can be read (profiles tried: {names})"
    )


def soft_bits(picture: Picture, profile: Profile, fingerprint: bytes, count: int) -> Floats:
    """LLRs of `count` coded bits, positive for 0, from the likeliest view of the picture."""
    views = _views(picture, (profile,), fingerprint, search=False)
    view = max(views, key=lambda each: each.score)
    return _gather(view, count, tiles_across(picture.size[0] // 8))


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
    gained = [_view(p, grids[p.name], seen, g) for p in profiles for g in _GAINS]
    for amount in _EQUALISED:
        seen = equalised(picture, amount).carriers()
        gained += [_view(p, grids[p.name], seen, 1.0) for p in profiles]
    likely = sorted(gained, key=lambda view: -view.score)[:_GAINS_TRIED]
    yield from (view for view in likely if view.score >= _LEAST_SCORE)
    if search:
        moved = _moved(picture, profiles, grids)
        likely = sorted(moved, key=lambda view: -view.score)[:_PLACES_TRIED]
        yield from (view for view in likely if view.score >= _LEAST_PEAK)


def _view(profile: Profile, grid: Grid, carriers: Carriers, gain: float) -> _View:
    soft = soft_slots(profile, carriers, gain)
    return _View(profile, grid, soft, gain, score=grid.score(soft))


def _moved(
    picture: Picture, profiles: tuple[Profile, ...], grids: dict[str, Grid]
) -> Iterator[_View]:
    """Every grid, each at the likeliest place."""
    for offset in range(64):
        dy, dx = divmod(offset, 8)
        carriers = picture.carriers(dx, dy)
        for profile in profiles if carriers.present.any() else ():
            grid = grids[profile.name]
            soft = soft_slots(profile, carriers)
            at = grid.find(soft)
            yield _View(profile, grid, soft, 1.0, (dx, dy), (at.row, at.column), at.score)


def _widths(picture: Picture, view: _View) -> Iterator[int]:
    """Tiles in a row of the marked picture: as here; where it was cropped, what may have been."""
    seen = tiles_across(picture.size[0] // 8)
    if view.offset == view.origin == (0, 0):
        yield seen
        return
    least = tiles_across(view.origin[1] + view.soft.shape[1])
    yield from range(least, least + _MORE_TILES)


def _gather(view: _View, count: int, tiles: int) -> Floats:
    """LLRs of the coded bits, their copies added up."""
    slots = view.grid.slots(view.soft.shape, view.origin, tiles)
    used = slots >= 0
    where = np.array(permutation(count, count), dtype=np.int64)
    return np.asarray(
        np.bincount(where[slots[used] % count], view.soft[used], minlength=count), dtype=np.float64
    )


def _decode(
    picture: Picture, view: _View, tiles: int, key: crypto.PrivateKey, kernel: str | None
) -> Found | None:
    """Try the sizes that a message can have here, those first whose copies agree best."""
    for bits in _sizes(picture, view, tiles):
        code = TurboCode(bits, kernel=kernel)
        llrs = _gather(view, code.coded_size, tiles)
        scaled = np.clip(np.rint(llrs * _UNIT), -_CLAMP, _CLAMP).astype(np.int16)
        decided = code.decode(memoryview(scaled.tobytes()).cast("h"))
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


def _sizes(picture: Picture, view: _View, tiles: int) -> list[int]:
    width, height = picture.size
    if view.origin != (0, 0) or view.offset != (0, 0):
        width = height = 8 * TILE * tiles
    most = message.most_bits(view.profile, width, height)
    scores = {
        bits: _agreement(view, TurboCode(bits).coded_size, tiles)
        for bits in message.sizes_within(most)
    }
    return sorted(scores, key=lambda bits: -scores[bits])[:_SIZES_TRIED]


def _agreement(view: _View, count: int, tiles: int) -> float:
    """How far the copies of each coded bit agree, in standard deviations."""
    slots = view.grid.slots(view.soft.shape, view.origin, tiles)
    used = slots >= 0
    places, weak = slots[used] % count, np.tanh(view.soft[used] / 2.0)
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
