"""What the relay tells of itself: a JSON file that is always whole."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

import msgspec

from sim.link.model import Counts

MAX_SECONDS = 3600
"""Seconds of a timeline that are kept, the latest."""


class Timeline:
    """Bytes that arrived and bytes that were lost or dropped, second by second."""

    def __init__(self) -> None:
        self.seconds: deque[tuple[int, int, int]] = deque(maxlen=MAX_SECONDS)
        """(number of the second, bytes arrived, bytes lost)."""
        self._sent = 0
        self._lost = 0

    def end_second(self, second: int, counts: Counts) -> None:
        """Give to a second what was counted since the one before."""
        sent, lost = counts.bytes_sent - self._sent, counts.bytes_lost - self._lost
        self.seconds.append((second, sent, lost))
        self._sent, self._lost = counts.bytes_sent, counts.bytes_lost


def write(path: Path, told: object) -> None:
    """Replace a JSON file; raises OSError. It outlives this process, not a loss of power."""
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_bytes(msgspec.json.encode(told))
    os.replace(temporary, path)
