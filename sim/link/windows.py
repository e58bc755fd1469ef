"""Stretches of time: contact windows, and outages."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import msgspec

_EXPECTED = "expected [start, end] in seconds, the start before the end"


class Window(NamedTuple):
    """From `start` up to `end`, which is outside; seconds."""

    start: float
    end: float

    @classmethod
    def from_config(cls, value: object, folder: Path) -> Window:
        """A window from a list of two numbers; raises ValueError."""
        try:
            window: Window = msgspec.convert(value, cls)
        except msgspec.ValidationError:
            raise ValueError(_EXPECTED) from None
        if not window.start < window.end:
            raise ValueError(_EXPECTED)
        return window


class Windows:
    """Any number of windows, those that overlap or touch taken together."""

    def __init__(self, windows: Iterable[tuple[float, float]]) -> None:
        """Raises ValueError for a window that does not end after it starts."""
        self.joined: list[Window] = []
        for start, end in sorted(windows):
            self._add(start, end)
        self._edges = list(chain.from_iterable(self.joined))

    def __contains__(self, time: float) -> bool:
        return bisect_right(self._edges, time) % 2 == 1

    def _add(self, start: float, end: float) -> None:
        if not start < end:
            raise ValueError(f"a window from {start:g} to {end:g} holds no time")
        if self.joined and start <= self.joined[-1].end:
            start, before = self.joined.pop()
            end = max(end, before)
        self.joined.append(Window(start, end))
