"""A folder's lock: one process at a time works in it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from occulta.errors import OccultaError, Reason
from occulta.program.files import write_failure

LOCK = "lock"
"""The lock's file in its folder; it stays when nobody holds it."""


def lock(folder: Path, user: str) -> int:
    """The descriptor whose closing, or the process's end, gives the folder free again.

    `user` names the kind of program that may hold it. Raises OccultaError: DISK_FULL, or
    OUTPUT_UNWRITABLE, also where another process holds it.
    """
    try:
        folder.mkdir(0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise write_failure(error, folder / LOCK) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise OccultaError(
            Reason.OUTPUT_UNWRITABLE, f"{folder} is in use by another {user}",
            f"stop the other {user}, or give each a folder of its own",
        ) from None
    return descriptor
