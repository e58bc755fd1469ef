"""The anti-replay window over the counters of one epoch (the bitmap of RFC 4303, 3.4.3)."""

from __future__ import annotations

from occulta.link.drops import Drop, PacketError

WINDOW = 1024
"""Counters below the highest one that may still arrive."""
_FULL = (1 << WINDOW) - 1


class ReplayWindow:
    """Which counters have been seen. Starts with everything up to `seen_up_to` seen; -1: nothing.

    Bit n stands for the counter `highest - n`.
    """

    def __init__(self, seen_up_to: int) -> None:
        self._highest = seen_up_to
        self._seen = _FULL

    def check(self, counter: int) -> None:
        """Raises PacketError: REPLAYED if seen, STALE if too old to know. Changes nothing."""
        behind = self._highest - counter
        if behind >= WINDOW:
            raise PacketError(Drop.STALE, f"counter {counter} is {behind} behind")
        if behind >= 0 and self._seen >> behind & 1:
            raise PacketError(Drop.REPLAYED, f"counter {counter} was seen before")

    def mark(self, counter: int) -> None:
        """Take a checked counter as seen."""
        behind = self._highest - counter
        if behind >= 0:
            self._seen |= 1 << behind
            return
        # A shift by more than the window would only build a huge number to mask it away.
        self._seen = (self._seen << min(-behind, WINDOW) | 1) & _FULL
        self._highest = counter
