"""The known answers before a flight, computed in a process of their own.

What they load (each scheme's code and its tables) does not stay in the daemon's memory, and a
kernel that this processor cannot run ends that process and not the daemon.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from types import ModuleType
from typing import NoReturn

from occulta.errors import OccultaError, Reason

_RIGHT = b"right"


def known_answers() -> ModuleType:
    """`onboard.selftest`; a library that does not load here grounds the machine as a wrong answer.

    Raises OccultaError(SELFTEST_FAILED).
    """
    try:
        from onboard import selftest
    except Exception as error:
        raise OccultaError(Reason.SELFTEST_FAILED, f"cannot be loaded: {error!r}") from error
    return selftest


def require() -> None:
    """Refuse a machine that computes otherwise: raises OccultaError(SELFTEST_FAILED).

    It forks: to be called before there are threads or sockets.
    """
    reading, writing = os.pipe()
    with open(reading, "rb") as answer:
        child = _answering(writing)
        said = answer.read()
    ended = _ended(child)
    if said != _RIGHT:
        raise OccultaError(Reason.SELFTEST_FAILED, said.decode(errors="replace") or ended)


def _answering(writing: int) -> int:
    """The process that computes; closes this one's end for writing."""
    try:
        child = os.fork()
        if not child:
            _answer(writing)
        return child
    except OSError as error:
        raise OccultaError(Reason.SELFTEST_FAILED, f"cannot be started: {error!r}") from None
    finally:
        os.close(writing)


def _answer(writing: int) -> NoReturn:
    """In the other process, which never goes back to what it was forked from."""
    try:
        os.write(writing, _outcome())
    finally:
        os._exit(0)


def _outcome() -> bytes:
    try:
        known_answers().require()
    except OccultaError as error:
        return error.detail.encode(errors="backslashreplace")
    return _RIGHT


def _ended(child: int) -> str:
    """How the other process ended, which not every parent may know (SIGCHLD ignored)."""
    status = 0
    with suppress(ChildProcessError):
        status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return f"killed by signal {number} ({signal.strsignal(number)})"
    return "ended without an answer"
