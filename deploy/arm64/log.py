"""Commands of a step, each with what it printed in the step's log."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parents[2]


class Failed(Exception):
    """A command failed that a step cannot do without."""


class Log:
    """The log file of one step. Commands run in the project's root."""

    def __init__(self, file: Path) -> None:
        """Begin the file anew; raises OSError."""
        self.file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        self._out = file.open("wb")

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._out.close()

    def status(self, command: Sequence[str]) -> int:
        """Run a command; its exit status."""
        self._begin(command)
        began = time.monotonic()
        done = subprocess.run(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=self._out,
            stderr=subprocess.STDOUT, check=False,
        )
        self._write(f"-- status {done.returncode}, {time.monotonic() - began:.1f} s\n")
        return done.returncode

    def must(self, command: Sequence[str]) -> None:
        """Run a command; raises Failed unless it ends well."""
        status = self.status(command)
        if status:
            raise Failed(f"{command[0]} ended with status {status}: see {self.file}")

    def output(self, command: Sequence[str]) -> str:
        """What a command prints, stripped; raises Failed unless it ends well."""
        self._begin(command)
        done = subprocess.run(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=self._out, check=False,
        )
        self._out.write(done.stdout)
        if done.returncode:
            raise Failed(f"{command[0]} ended with status {done.returncode}: see {self.file}")
        return done.stdout.decode().strip()

    def _begin(self, command: Sequence[str]) -> None:
        self._write(f"$ {shlex.join(command)}\n")

    def _write(self, text: str) -> None:
        self._out.write(text.encode())
        self._out.flush()
