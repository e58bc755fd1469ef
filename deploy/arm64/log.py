"""Commands of a step, each with what it printed in the step's log, and the time that they have."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TIMED_OUT = 124
"""Exit status of a command that was ended by its own limit, as timeout(1) has it."""
KILLED = 137
"""Exit status of a container that was killed: by its cap, by the system or by hand."""
_GRACE = 10.0
"""Seconds between asking a command to end and killing it."""
_TIDYING = 60.0


class Failed(Exception):
    """A command failed that a step cannot do without."""


class Log:
    """The log file of one step. Commands run in the project's root."""

    def __init__(self, file: Path, limit: float = 600.0) -> None:
        """Begin the file anew, and the `limit` seconds of the step; raises OSError."""
        self.file = file
        self._limit = limit
        self._end = time.monotonic() + limit
        file.parent.mkdir(parents=True, exist_ok=True)
        self._out = file.open("wb", buffering=0)

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._out.close()

    def status(self, command: Sequence[str], within: float | None = None) -> int:
        """Run a command; its exit status, TIMED_OUT after `within` seconds.

        Raises Failed where it cannot be run, and where the time of the step is over.
        """
        return self._run(command, self._left(), within, self._out, subprocess.STDOUT)[0]

    def must(self, command: Sequence[str]) -> None:
        """Run a command; raises Failed unless it ends well."""
        self.require(command[0], self.status(command))

    def require(self, name: str, status: int) -> None:
        """Raise Failed unless a command ended well."""
        if status:
            killed = ", killed by its memory cap or the system" if status == KILLED else ""
            raise Failed(f"{name} ended with status {status}{killed}: see {self.file}")

    def output(self, command: Sequence[str]) -> str:
        """What a command prints, stripped; raises Failed unless it ends well."""
        status, said = self._run(command, self._left(), None, subprocess.PIPE, self._out)
        self._out.write(said + b"\n")
        self.require(command[0], status)
        return said.decode().strip()

    def tidy(self, command: Sequence[str]) -> None:
        """Run a command that takes away what is left, even if the step's time is over."""
        with suppress(Failed):
            self._run(command, _TIDYING, None, self._out, subprocess.STDOUT)

    def text(self) -> str:
        """What the log says."""
        return self.file.read_text("utf-8", "replace")

    def _left(self) -> float:
        return max(0.0, self._end - time.monotonic())

    def _run(
        self, command: Sequence[str], left: float, within: float | None, out: Any, err: Any
    ) -> tuple[int, bytes]:
        self._write(f"$ {shlex.join(command)}\n")
        began = time.monotonic()
        with _started(command, out, err) as process:
            try:
                said, _ = process.communicate(timeout=min(left, left if within is None else within))
                status = _shell_status(process.returncode)
            except subprocess.TimeoutExpired as error:
                self._out.write(error.output or b"")
                if within is None or left < within:
                    raise Failed(
                        f"{command[0]} was not done when the {self._limit:.0f} s of the step were "
                        f"over: see {self.file}"
                    ) from None
                said, status = b"", TIMED_OUT
            finally:
                _end(process)
        self._write(f"-- status {status}, {time.monotonic() - began:.1f} s\n")
        return status, said or b""

    def _write(self, text: str) -> None:
        self._out.write(text.encode())


def _started(command: Sequence[str], out: Any, err: Any) -> subprocess.Popen[bytes]:
    """In a group of its own, so that everything it starts can be ended with it."""
    try:
        return subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            start_new_session=True,
        )
    except OSError as error:
        raise Failed(f"cannot run {command[0]}: {error.strerror}") from None


def _shell_status(status: int) -> int:
    return status if status >= 0 else 128 - status


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask a command and its children to end, then make them."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
