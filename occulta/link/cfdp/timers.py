"""The timers of one transaction, on a clock that can stand still."""

from __future__ import annotations

from enum import Enum, auto


class Timer(Enum):
    """What a transaction waits for."""

    ACK = auto()
    """EOF or Finished is to be acknowledged (4.7.1)."""
    NAK = auto()
    """What was asked for is to arrive (4.6.4.7)."""
    GAP = auto()
    """A gap is to be closed by data that was only late."""
    CHECK = auto()
    """Class 1: the rest is to arrive behind EOF, or Finished (4.6.3.3)."""
    INACTIVITY = auto()
    KEEP_ALIVE = auto()
    VERIFY = auto()
    """The next slice of the checksum."""


class Timers:
    """Deadlines in the transaction's own time, which stands still while it is halted."""

    __slots__ = ("_behind", "_due", "_halted_at")

    def __init__(self) -> None:
        self._due: dict[Timer, float] = {}
        self._behind = 0.0
        self._halted_at: float | None = None

    @property
    def halted(self) -> bool:
        """True while time stands still."""
        return self._halted_at is not None

    def local(self, now: float) -> float:
        """The transaction's own time."""
        return (now if self._halted_at is None else self._halted_at) - self._behind

    def start(self, timer: Timer, now: float, seconds: float) -> None:
        """(Re)start a timer."""
        self._due[timer] = self.local(now) + seconds

    def start_at(self, timer: Timer, at: float) -> None:
        """(Re)start a timer that runs out at a moment of the transaction's own time."""
        self._due[timer] = at

    def stop(self, timer: Timer) -> None:
        """A timer is no longer needed."""
        self._due.pop(timer, None)

    def clear(self) -> None:
        """Stop all."""
        self._due.clear()

    def runs(self, timer: Timer) -> bool:
        """True if the timer was started and has not expired."""
        return timer in self._due

    def next(self) -> float | None:
        """When the first expires, in the caller's time; None if none can."""
        if self.halted or not self._due:
            return None
        return min(self._due.values()) + self._behind

    def passed(self, at: float, now: float) -> bool:
        """True from a moment of the transaction's own time on; to the last bit as `next` says."""
        return at + self._behind <= now

    def expired(self, now: float) -> list[Timer]:
        """Timers that have run out, the first first; `take` stops them."""
        if self.halted:
            return []
        due = [(at, timer.value, timer) for timer, at in self._due.items() if self.passed(at, now)]
        return [timer for _, _, timer in sorted(due)]

    def take(self, timer: Timer, now: float) -> bool:
        """Stop a timer; False if it has not run out, or was stopped or halted since."""
        if self.halted or timer not in self._due or not self.passed(self._due[timer], now):
            return False
        del self._due[timer]
        return True

    def halt(self, now: float) -> None:
        """Let time stand still."""
        if self._halted_at is None:
            self._halted_at = now

    def go_on(self, now: float) -> None:
        """Let time pass again."""
        if self._halted_at is not None:
            self._behind += now - self._halted_at
            self._halted_at = None
