"""What the operator should know, in lines: bounded, taken once."""

from __future__ import annotations

from collections import deque

MAX_NOTICES = 1000


class Notices:
    """Lines about what was dropped, damaged or taken up again; the latest `MAX_NOTICES`."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=MAX_NOTICES)

    def add(self, line: str) -> None:
        """Say so."""
        self._lines.append(line)

    def take(self) -> list[str]:
        """What was said since the last call."""
        lines = list(self._lines)
        self._lines.clear()
        return lines
