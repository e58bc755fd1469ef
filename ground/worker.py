"""Recovery in a process of its own, so that the link is served meanwhile.

`Worker` is the parent's side. The child, `python -m ground.worker`, reads jobs from
its standard input and writes outcomes to its standard output, each one line of JSON. A child that
dies or hangs is killed and replaced, and its job is tried once more; lost twice it has failed
(WORKER_LOST), what was received stays, and the next product has its turn. A child does not outlive
its parent, however that ends: the next node's child may be at the same product.
"""

from __future__ import annotations

import argparse
import ctypes
import io
import logging
import os
import select
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from ground.outcome import Failure, Outcome
from ground.product import SETTLED, Job, State
from ground.restore import restore
from occulta.errors import OccultaError, Reason

MAX_LINE = 1 << 20
"""Bytes of an outcome."""
log = logging.getLogger("occulta.ground")
_ATTEMPTS = 2
_LAST_MOMENT = 1.0
"""Seconds between the end of a child's output and its own, at most: they are one exit."""
_KILLED = "from outside: mostly the system's, for want of memory; the next start tries again"
_READ = 1 << 16
_PR_SET_PDEATHSIG = 1


class Worker:
    """A child process that recovers one product at a time. `now` is of any steady clock.

    It never waits for the child's work, and for its end only once that has begun.

    `fileno` is readable when `poll` has something to do.
    """

    def __init__(
        self, archive: Path, keys: Sequence[Path], *, timeout: float,
        command: Sequence[str] = (sys.executable, "-m", "ground.worker"),
    ) -> None:
        """`keys` are recipients' private key files, which the child reads; `timeout` in seconds."""
        if timeout <= 0:
            raise ValueError("timeout must be positive")
        self.counters: Counter[str] = Counter(
            {"recovered": 0, "failed": 0, "no_key": 0, "share": 0, "lost": 0}
        )
        """Outcomes, and children that died or hung."""
        self._command = [
            *command, "--parent", str(os.getpid()), "--archive", str(archive), *_key_options(keys)
        ]
        self._timeout = timeout
        self._poller = select.epoll()
        self._child: subprocess.Popen[bytes] | None = None
        self._gone: list[subprocess.Popen[bytes]] = []
        self._job: Job | None = None
        self._attempt = 0
        self._deadline = 0.0
        self._line = bytearray()
        self._outcomes: list[Outcome] = []

    def fileno(self) -> int:
        """The same as long as this lives."""
        return self._poller.fileno()

    @property
    def is_busy(self) -> bool:
        """Whether a job is being done."""
        return self._job is not None

    def next_timer(self) -> float | None:
        """When the child is taken to hang."""
        return self._deadline if self._job else None

    def submit(self, job: Job, now: float) -> None:
        """Do this job; raises ValueError while another is being done."""
        if self.is_busy:
            raise ValueError("the worker is busy")
        self._job, self._attempt = job, 0
        self._try(now)

    def poll(self, now: float) -> list[Outcome]:
        """What has ended by now."""
        self._gone = [child for child in self._gone if child.poll() is None]
        if self._child is not None:
            self._read(self._child, now)
        if self._job and now >= self._deadline:
            self._lose(f"did not end within {self._timeout:g} s", now)
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def close(self) -> None:
        """End the child; a job in progress is left undone."""
        self._drop_child()
        for child in self._gone:
            with suppress(subprocess.TimeoutExpired):
                child.wait(1)
        self._poller.close()

    def _try(self, now: float) -> None:
        self._attempt += 1
        self._deadline = now + self._timeout
        try:
            child = self._child or self._start()
            assert child.stdin is not None
            # A line is far shorter than an empty pipe is long, and the child has read all others.
            line = msgspec.json.encode(self._job) + b"\n"
            if child.stdin.write(line) != len(line):
                self._lose("does not read", now)
        except OSError as error:
            self._lose(f"cannot be used: {error.strerror}", now)

    def _start(self) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
            process_group=0,  # an interrupt from the terminal is for the parent
        )
        assert child.stdin is not None and child.stdout is not None
        for pipe in (child.stdin, child.stdout):
            os.set_blocking(pipe.fileno(), False)
        self._poller.register(child.stdout, select.EPOLLIN)
        self._child = child
        self._line.clear()
        return child

    def _drop_child(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        assert child.stdin is not None and child.stdout is not None
        self._poller.unregister(child.stdout)
        child.kill()
        child.stdin.close()
        child.stdout.close()
        self._gone.append(child)  # reaped later: a child that waits for its disk dies late

    def _lose(self, what: str, now: float, hint: str | None = None) -> None:
        self.counters["lost"] += 1
        log.warning("the recovery worker %s", what)
        self._drop_child()
        if self._job is None:
            return
        if self._attempt < _ATTEMPTS:
            self._try(now)
            return
        error = OccultaError(Reason.WORKER_LOST, f"the recovery worker {what}", hint)
        failure = Failure(error.reason.value, error.detail, error.hint)
        self._end(Outcome(
            self._job.product, State.FAILED, False, self._job.revoked,
            f"not verified: {failure.detail}", failure,
        ))

    def _bury(self, child: subprocess.Popen[bytes], now: float) -> None:
        """It ended its output: say how it ended itself."""
        status = None
        with suppress(subprocess.TimeoutExpired):
            status = child.wait(_LAST_MOMENT)
        if status is None:
            self._lose("closed its output", now)
        elif status >= 0:
            self._lose(f"ended with status {status}", now)
        else:
            hint = _KILLED if status == -signal.SIGKILL else None
            self._lose(f"was killed by signal {-status}", now, hint)

    def _end(self, outcome: Outcome) -> None:
        self.counters[outcome.state.value] += 1
        self._outcomes.append(outcome)
        self._job = None

    def _read(self, child: subprocess.Popen[bytes], now: float) -> None:
        assert child.stdout is not None
        with suppress(BlockingIOError):
            data = os.read(child.stdout.fileno(), _READ)
            line, end, rest = data.partition(b"\n")
            self._line += line
            if not data:
                self._bury(child, now)
            elif rest or len(self._line) > MAX_LINE or end and not self._take(bytes(self._line)):
                self._lose("said what it was not asked", now)
            elif end:
                self._line.clear()

    def _take(self, line: bytes) -> bool:
        """Take an outcome; False for what is none of the job's."""
        try:
            outcome = msgspec.json.decode(line, type=Outcome)
        except msgspec.MsgspecError:
            return False
        job = self._job
        if job is None or outcome.product != job.product or outcome.state not in SETTLED:
            return False
        self._end(outcome)
        return True


def _key_options(keys: Sequence[Path]) -> list[str]:
    return [word for key in keys for word in ("--key", str(key))]


# --- the child


class _Log(io.FileIO):
    """Standard error, never as a terminal: a worker shows no progress there."""

    def isatty(self) -> bool:
        return False


def end_with(parent: int) -> None:
    """Let Linux kill this process, even a stopped one, at the end of its parent's main thread.

    Exits if that has come already (PR_SET_PDEATHSIG, prctl(2)). Raises OSError.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    if os.getppid() != parent:
        sys.exit()


def serve(archive: Path, keys: Sequence[Path], jobs: BinaryIO, out: io.FileIO) -> None:
    """Do one job after the other until there are no more, or nobody listens."""
    for line in jobs:
        outcome = restore(archive, msgspec.json.decode(line, type=Job), keys)
        with memoryview(msgspec.json.encode(outcome) + b"\n") as view:
            sent = 0
            while sent < len(view):
                sent += out.write(view[sent:]) or 0


def main() -> None:
    """The child. Nothing but outcomes goes to standard output, whatever is called."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--archive", type=Path, required=True)
    parser.add_argument("--key", type=Path, action="append", default=[])
    options = parser.parse_args()
    end_with(options.parent)
    out = io.FileIO(os.dup(1), "w")
    os.dup2(2, 1)
    sys.stderr = io.TextIOWrapper(_Log(2, "w", closefd=False), write_through=True)
    with suppress(BrokenPipeError):  # the parent is gone
        serve(options.archive, options.key, sys.stdin.buffer, out)


if __name__ == "__main__":
    main()
