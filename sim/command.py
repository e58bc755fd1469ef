"""The real programs as child processes, each run measured."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""Where the packages lie: the project's root, or the folder they are installed in."""


@dataclass(frozen=True)
class Ran:
    """A finished command."""

    shown: str
    """The command as a person would type it."""
    status: int
    output: str
    errors: str
    seconds: float
    """Wall clock, start-up included."""
    peak_mib: float
    """Greatest resident memory, MiB."""

    @property
    def ok(self) -> bool:
        """True where the command did what it was asked."""
        return self.status == 0

    @property
    def message(self) -> str:
        """What it had to say for itself in one line: the error, or else the verdict.

        That is the first line (a hint follows it), or the last one of a traceback.
        """
        lines = (self.errors if not self.ok else self.output).strip().splitlines()
        if not lines:
            return f"exit status {self.status}, no message"
        return lines[-1] if lines[0].startswith("Traceback") else lines[0]


class CommandFailed(Exception):
    """A command the demonstration cannot go on without failed."""

    def __init__(self, ran: Ran) -> None:
        super().__init__(f"`{ran.shown}` ended with status {ran.status}: {ran.message}")
        self.ran = ran


def run(program: str, *arguments: str, cwd: Path) -> Ran:
    """Run `python -m program arguments` in `cwd`, measured by `sim/launch.py`."""
    reader, writer = os.pipe()
    launcher = [sys.executable, "-I", "-S", str(Path(__file__).with_name("launch.py"))]
    command = [sys.executable, "-m", program, *arguments]
    try:
        done = subprocess.run(
            [*launcher, str(writer), *command],
            cwd=cwd,
            env=environment(),
            pass_fds=[writer],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        os.set_blocking(reader, False)
        seconds, peak = (float(number) for number in os.read(reader, 100).split())
    finally:
        os.close(reader)
        os.close(writer)
    shown = " ".join([f"occulta-{program}", *arguments])
    return Ran(shown, done.returncode, done.stdout, done.stderr, seconds, peak)


def must(program: str, *arguments: str, cwd: Path) -> Ran:
    """Like `run`, for a command that has to succeed; raises CommandFailed."""
    ran = run(program, *arguments, cwd=cwd)
    if not ran.ok:
        raise CommandFailed(ran)
    return ran


def environment() -> dict[str, str]:
    """This process's environment with the packages importable from any directory."""
    inherited = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([str(ROOT), inherited] if inherited else [str(ROOT)])
    return {**os.environ, "PYTHONPATH": path}
