"""Reversible hiding in the JPEG stream (papers/000): profiles `exact` and `paper`."""

from __future__ import annotations

from collections.abc import Callable

from occulta.codec import crypto
from occulta.limits import DEFAULT_LIMITS, Limits
from occulta.schemes.reversible.exact import ExactMarker
from occulta.schemes.reversible.exact_recover import ExactRestorer
from occulta.schemes.reversible.hidden import SCHEME, HiddenSource
from occulta.schemes.reversible.mark import EXACT, PAPER, Marker
from occulta.schemes.reversible.paper import PaperMarker
from occulta.schemes.reversible.recover import PaperRestorer, Restorer

PROFILES = {"exact": EXACT, "paper": PAPER}
"""Name of a profile -> its number in the format."""
_MARKERS: dict[int, type[Marker]] = {EXACT: ExactMarker, PAPER: PaperMarker}
_RESTORERS: dict[int, type[Restorer]] = {EXACT: ExactRestorer, PAPER: PaperRestorer}


def profile_name(profile: int) -> str:
    """The name of a profile's number."""
    return next(name for name, number in PROFILES.items() if number == profile)


def open_marker(
    profile: int, source: HiddenSource, limits: Limits = DEFAULT_LIMITS, kernel: str | None = None
) -> Marker:
    """A marker of the given profile."""
    return _MARKERS[profile](source, limits, kernel)


def open_restorer(
    profile: int, key: crypto.PrivateKey, write: Callable[[bytes], object],
    record: Callable[[bytes], object], limits: Limits = DEFAULT_LIMITS, kernel: str | None = None,
) -> Restorer:
    """A restorer of the given profile."""
    return _RESTORERS[profile](key, write, record, limits, kernel)


__all__ = ["EXACT", "PAPER", "PROFILES", "SCHEME", "open_marker", "open_restorer", "profile_name"]
