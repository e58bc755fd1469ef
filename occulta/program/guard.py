"""Keeps a program's loop going where a disk is full or fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from occulta.errors import OccultaError, Reason

T = TypeVar("T")
RETRY = 1.0
"""Seconds after which a part that failed is tried again."""
SILENCE = 60.0
"""Seconds in which the same part is not complained of again."""
_FAULTS_OF_DISKS = (Reason.DISK_FULL, Reason.OUTPUT_UNWRITABLE)


class Guard:
    """Parts of a loop, each of which may fail by itself; the others go on.

    A part has to be such that it can be tried again. `tell` is given a line when one fails.
    """

    def __init__(self, tell: Callable[[str], object]) -> None:
        self._tell = tell
        self._later: dict[str, float] = {}
        self._told: dict[str, float] = {}

    def attempt(
        self, part: str, action: Callable[[], T], now: float, pause: float = RETRY
    ) -> T | None:
        """What the action returns; None if the part fails or has failed within `pause` seconds.

        Raises OccultaError for what is no fault of a disk.
        """
        if now < self._later.get(part, now):
            return None
        try:
            return action()
        except OccultaError as error:
            if error.reason not in _FAULTS_OF_DISKS:
                raise
            self._later[part] = now + pause
            if now >= self._told.get(part, now):
                self._told[part] = now + SILENCE
                self._tell(f"{part}: {error}")
        return None
