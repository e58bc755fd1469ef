"""The schemes that can be compared, by name."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from occulta.schemes.robust.paper import PAPER
from occulta.schemes.robust.profiles import PROFILES
from sim.attacks.robust.codes import CODES
from sim.attacks.robust.literal import Literal
from sim.attacks.robust.schemes import Rival, Robust, Scheme

NAMES = (PAPER.name, *PROFILES)
"""Of the profiles."""
_JOINT = " + "


def names(profiles: Iterable[str], codes: Iterable[str]) -> list[str]:
    """Each profile, followed by its lattice under each other code; `paper` has no lattice."""
    listed = list(codes)
    found = []
    for profile in profiles:
        found.append(profile)
        found += [f"{profile}{_JOINT}{code}" for code in listed if profile in PROFILES]
    return found


def is_rival(name: str) -> bool:
    """Whether it is not a profile as it is."""
    return _JOINT in name


@cache
def by_name(name: str) -> Scheme:
    """One of `names`; raises OccultaError(USAGE) where its code's package is missing."""
    if name == PAPER.name:
        return Literal()
    profile, _, code = name.partition(_JOINT)
    return Rival(PROFILES[profile], CODES[code]()) if code else Robust(PROFILES[profile])
