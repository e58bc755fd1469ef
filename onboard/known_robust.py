"""A known answer of robust hiding, for `onboard/selftest.py`.

HPKE draws randomness of its own, so coded bits are given: sealing and coding have known answers
of their own.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from occulta.schemes.robust.mark import mark_coded
from occulta.schemes.robust.profiles import PROFILES

_PICTURES = ("exact-gray", "exact-restart")
"""Gray and in colour."""
_FINGERPRINT = bytes(range(16))
_CODED = bytes(at * at % 251 & 1 for at in range(1932))


def robust(vectors: Mapping[str, Any]) -> bytes:
    """Pictures marked with each profile that streams."""
    pictures = [base64.b64decode(vectors["pictures"][name]["original"]) for name in _PICTURES]
    return b"".join(
        mark_coded(picture, profile, _FINGERPRINT, _CODED)
        for profile in PROFILES.values() for picture in pictures
    )
