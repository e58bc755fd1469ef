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
    try:
        said, ended = _apart()
    except OSError as error:
        raise OccultaError(Reason.SELFTEST_FAILED, f"cannot be started: {error!r}") from None
    if said != _RIGHT:
        raise OccultaError(Reason.SELFTEST_FAILED, said.decode(errors="replace") or ended)


def _apart() -> tuple[bytes, str]:
    """What the process that computes has said, and how it ended; raises OSError."""
    reading, writing = os.pipe()
    with open(reading, "rb") as answer:
        try:
            child = os.fork()
            if not child:
                _answer(writing)
        finally:
            os.close(writing)
        said = answer.read()
    return said, _ended(child)


def _answer(writing: int) -> NoReturn:
    """In the other process, which never goes back to what it was forked from."""
    try:
        os.write(writing, _outcome().encode(errors="backslashreplace"))
    finally:
        os._exit(0)


def _outcome() -> str:
    try:
        known_answers().require()
    except OccultaError as error:
        return error.detail
    except BaseException as error:  # whatever it is, only the answer can tell it
        return f"cannot be computed: {error!r}"
    return _RIGHT.decode()


def _ended(child: int) -> str:
    """How the other process ended, which not every parent may know (SIGCHLD ignored)."""
    status = 0
    with suppress(ChildProcessError):
        status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return f"killed by signal {number} ({signal.strsignal(number)})"
    return "ended without an answer"
