"""The receiver: from a picture to the message, exactly, or nothing.

Nothing of the received file is believed: profile, size of the message, gain and place are tried,
led by the synchronisation pattern, and only a message whose seal opens is one. numpy; ground only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from occulta.codec import crypto
from occulta.codec.fec.message import TurboCode
from occulta.codec.fec.turbo import STRONGEST, Decoded
from occulta.errors import OccultaError, Reason
from occulta.schemes.robust import message
from occulta.schemes.robust.layout import tiles_across
from occulta.schemes.robust.message import Opened
from occulta.schemes.robust.picture import Floats, Picture
from occulta.schemes.robust.placing import Trial, gathered, guesses, likeliest, trials
from occulta.schemes.robust.profiles import PROFILES, Profile
from occulta.schemes.robust.views import View, views

_UNIT = 8.0
"""LLRs of the turbo decoder are in eighths of a nat."""
_MEAN = 32.0
"""What LLRs are brought to, in the mean, for decoders that know no unit."""
_TRUSTS = (1.0, 2.0, 4.0)
"""Factors of the LLRs, which are too timid where it is uncertain which blocks carry."""
_SCALES = 2.0 ** np.arange(-2.0, 5.1, 0.25)
_NOTHING = -99.0


class Found(NamedTuple):
    """A message, and how it was found."""

    opened: Opened
    profile: Profile
    """As which it was read: scaled by 1.3, `max` reads as `strong`."""
    message_bits: int
    corrected: int
    """Coded bits that had the wrong sign."""
    compared: int
    """Coded bits of which anything was received."""
    margin: float
    """Information received over information needed, in dB: decoding fails at about 0.5."""
    gain: float
    undone: float
    """The filter that was undone first, see `equalised`; 0: none."""
    offset: tuple[int, int]
    """Of the grid of blocks: columns and lines before its first one."""
    origin: tuple[int, int]
    """Row and column of the first block here in the marked picture, in blocks; below 0 before."""


def recover(
    picture: Picture, key: crypto.PrivateKey, profiles: Iterable[Profile] = PROFILES.values(),
    search: bool = True, kernel: str | None = None,
) -> Found:
    """The message for this key; without `search` only in its place and of the right size.

    Raises OccultaError(NOT_RECOVERED).
    """
    chosen = tuple(profiles)
    for view in views(picture, chosen, key.public.fingerprint, search):
        likely = guesses(picture, view)
        for rank, trial in enumerate(trials(view, likely)):
            found = _decode(trial, key, kernel, is_first=rank == 0)
            if found is not None:
                best = likeliest(view, trial.guess, found.coded)
                return _found(view, best, found)
    names = ", ".join(profile.name for profile in chosen)
    raise OccultaError(
        Reason.NOT_RECOVERED, f"no message for this key can be read (profiles tried: {names})"
    )


def soft_bits(
    picture: Picture, profile: Profile, fingerprint: bytes, count: int, search: bool = True
) -> Floats:
    """LLRs of `count` coded bits, positive for 0, from the likeliest view of the picture.

    Without `search` as it is. Zeros of a picture of which too little came.
    """
    seen = views(picture, (profile,), fingerprint, search=False)
    view = max(seen, key=lambda each: each.score, default=None) if search else next(seen, None)
    if view is None:
        return np.zeros(count)
    return gathered(view, (0, 0), tiles_across(picture.size[0] // 8), count)


def as_llrs(soft: Floats, trust: float | None = None) -> memoryview:
    """LLRs in nats as the turbo decoder takes them; without `trust` only their ratios count."""
    unit = _UNIT if trust is None else _UNIT * trust
    if trust is None:
        mean = float(np.abs(soft[soft != 0.0]).mean()) if soft.any() else 1.0
        unit = _MEAN / mean
    scaled = np.clip(np.rint(soft * unit), -STRONGEST, STRONGEST).astype(np.int16)
    return memoryview(scaled.tobytes()).cast("h")


def margin(llrs: Floats, coded: bytes, bits: int) -> float:
    """Information that LLRs hold of known coded bits over `bits`, in dB (-99: none).

    That of the multiple of all LLRs that holds most: decoders that know no unit use it.
    """
    signed = llrs * (1.0 - 2.0 * np.frombuffer(coded, dtype=np.uint8))
    held = max(
        float((1.0 - np.log2(1.0 + np.exp(-np.clip(scale * signed, -60.0, 60.0)))).sum())
        for scale in _SCALES
    )
    return 10.0 * float(np.log10(held / bits)) if held > 0.0 else _NOTHING


class _Read(NamedTuple):
    """A message whose seal opened, and the coded bits that it was sent as."""

    opened: Opened
    coded: bytes


def _decode(
    trial: Trial, key: crypto.PrivateKey, kernel: str | None, is_first: bool
) -> _Read | None:
    code = TurboCode(trial.guess.bits, kernel=kernel)
    for decided in _decided(code, trial.llrs, is_first):
        found = message.from_bits(decided.bits)
        if message.is_whole(found):
            opened = _open(found, key)
            if opened is not None:
                return _Read(opened, code.encode(decided.bits))
    return None


def _decided(code: TurboCode, llrs: Floats, thoroughly: bool) -> Iterator[Decoded]:
    """One decision after the other; `thoroughly` by log-MAP too, which is slow and needs a unit."""
    yield code.decode(as_llrs(llrs))
    for trust in _TRUSTS if thoroughly else ():
        yield code.decode(as_llrs(llrs, trust), again=True)


def _open(found: bytes, key: crypto.PrivateKey) -> Opened | None:
    try:
        return message.open_message(found, key)
    except OccultaError:
        return None


def _found(view: View, trial: Trial, read: _Read) -> Found:
    guess, llrs = trial
    signs = 1.0 - 2.0 * np.frombuffer(read.coded, dtype=np.uint8)
    return Found(
        read.opened, view.profile, guess.bits, int((llrs * signs < 0.0).sum()),
        int((llrs != 0.0).sum()), margin(llrs, read.coded, guess.bits), view.gain, view.undone,
        view.offset, guess.origin,
    )
