"""The programs of a mission as child processes: started, watched, measured, and always ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from sim.command import environment

GRACE = 15.0
"""Seconds from SIGTERM to SIGKILL: a daemon may finish the frame it is taking in."""
_STEP = 0.02
_WORDS_OF_TROUBLE = (" ERROR ", " CRITICAL ", "Traceback ")


class ProcessFailed(Exception):
    """A program ended that was to go on."""


class Interrupted(Exception):
    """SIGINT, SIGTERM or SIGHUP asked this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.number = number


class Process:
    """One program; its output goes to a file."""

    def __init__(self, name: str, arguments: list[str], log: Path) -> None:
        """Start `python -m arguments`; raises OSError."""
        self.name = name
        self.log = log
        self.status: int | None = None
        """The exit status, negative for a signal; None while it runs."""
        self.cpu_seconds = 0.0
        """User and system, of the children it has waited for too; known once it has ended."""
        self.peaks: dict[int, float] = {}
        """Greatest resident memory in MiB as of the last look, of itself and of each child."""
        with log.open("wb") as out:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", *arguments], stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, env=environment(),
                process_group=0,  # an interrupt from the terminal is for the scenario alone
            )
        self.pid = self._popen.pid

    def poll(self) -> int | None:
        """The exit status, None while it runs."""
        if self.status is None:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                self.status = self._popen.returncode = os.waitstatus_to_exitcode(status)
                self.cpu_seconds = usage.ru_utime + usage.ru_stime
        return self.status

    def measure(self) -> None:
        """Look at its memory. The kernel's own maximum counts what its parent held at the start."""
        if self.status is None:
            for pid in [self.pid, *_children(self.pid)]:
                self.peaks[pid] = max(self.peaks.get(pid, 0.0), _peak_mib(pid))

    def signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def text(self) -> str:
        """Everything it has said."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def complaint(self) -> str:
        """One line on how it ended, with its error or else the last line that it said."""
        lines = self.text().strip().splitlines()
        errors = [line for line in lines if line.startswith("error ")]
        said = (errors or lines[-1:] or ["it said nothing"])[0]
        return f"{self.name} ended with status {self.status}: {said}"

    def troubles(self) -> list[str]:
        """Lines of its log that tell of errors."""
        lines = self.text().splitlines()
        return [line for line in lines if any(word in line for word in _WORDS_OF_TROUBLE)]


class Processes:
    """All programs of a scenario; a context that leaves none behind.

    Within it, SIGINT, SIGTERM and SIGHUP are noted, for `watch` to raise; a second one makes the
    end a short one.
    """

    def __init__(self, logs: Path) -> None:
        """`logs` is the folder of what they say."""
        self.all: dict[str, Process] = {}
        self._logs = logs
        self._interrupts: list[int] = []
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Processes:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._handlers[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._interrupts.append(number)

    def start(self, name: str, arguments: list[str]) -> None:
        """Start a program; raises OSError."""
        self.all[name] = Process(name, arguments, self._logs / f"{name}.log")

    def watch(self) -> None:
        """Look at each; raises ProcessFailed if one has ended, and Interrupted."""
        if self._interrupts:
            raise Interrupted(self._interrupts[0])
        for process in self.all.values():
            process.measure()
            if process.poll() is not None:
                raise ProcessFailed(process.complaint())

    def has_said(self, name: str, words: str) -> bool:
        """Whether a program has said something yet."""
        return words in self.all[name].text()

    def end(self) -> None:
        """Ask all to end, and kill those that do not."""
        for process in self.all.values():
            process.measure()
            process.signal(signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        while self._running() and time.monotonic() < deadline and len(self._interrupts) < 2:
            time.sleep(_STEP)
        for process in self._running():
            process.signal(signal.SIGKILL)
        while self._running():
            time.sleep(_STEP)

    def failures(self) -> list[str]:
        """Of programs that have ended: which did not as they should, or told of errors."""
        found = [each.complaint() for each in self.all.values() if each.poll() != 0]
        for each in self.all.values():
            found += [f"{each.name} says: {line}" for line in each.troubles()]
        return found

    def _running(self) -> list[Process]:
        return [process for process in self.all.values() if process.poll() is None]


def _children(pid: int) -> Iterable[int]:
    """Processes that a process has started and that still run, where the system says so."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return ()
    return map(int, text.split())


def _peak_mib(pid: int) -> float:
    """Greatest resident memory of a process so far; 0 where the system does not say."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    found = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(next(found, "0")) / 1024
