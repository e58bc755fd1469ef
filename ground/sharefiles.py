"""Shares where they lie: files, product folders of an archive, whole archives."""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from ground.product import PRODUCTS, SHARES, received_name
from occulta.errors import OccultaError, Reason
from occulta.program import files
from occulta.schemes.shares.header import FIXED_SIZE, MAGIC, Clear, parse_clear

RECEIVED = received_name(SHARES)
"""The archive's name for a share."""


class ShareFile:
    """A share in a file that can be read anywhere."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        """Raises OccultaError: INPUT_UNREADABLE for what is no regular file."""
        self._stream = stream
        self._path = path
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OccultaError(Reason.INPUT_UNREADABLE, f"{path} is not a file")
        self._size = status.st_size

    @property
    def name(self) -> str:
        """Its path."""
        return str(self._path)

    @property
    def size(self) -> int:
        """Bytes."""
        return self._size

    def read(self, at: int, size: int) -> bytes:
        """Bytes from `at` on, fewer at the end; raises OccultaError(INPUT_UNREADABLE)."""
        try:
            self._stream.seek(at)
            return self._stream.read(max(0, min(size, self._size - at)))
        except OSError as error:
            raise files.read_failure(error, self._path) from None


def open_all(names: list[str], stack: ExitStack) -> list[ShareFile]:
    """The shares that are named, each a file, a product folder or an archive.

    Of an archive those count that belong to the shares named otherwise, and are not named
    themselves. Raises OccultaError(INPUT_UNREADABLE).
    """
    named: list[ShareFile] = []
    archived: list[ShareFile] = []
    for name in names:
        path = Path(name)
        if not path.is_dir():
            named.append(_open(path, stack))
        elif (path / RECEIVED).is_file():
            named.append(_open(path / RECEIVED, stack))
        elif (path / PRODUCTS).is_dir():
            found = sorted((path / PRODUCTS).glob(f"*/{RECEIVED}"))
            archived += [_open(each, stack) for each in found]
        else:
            raise OccultaError(Reason.INPUT_UNREADABLE, f"{path} holds no share")
    return named + _fitting(named, archived)


def _open(path: Path, stack: ExitStack) -> ShareFile:
    return ShareFile(path, stack.enter_context(files.open_input(str(path))))


def _fitting(named: list[ShareFile], archived: list[ShareFile]) -> list[ShareFile]:
    clears = [clear for clear in map(_clear, named) if clear is not None]
    sets = {clear.set_id for clear in clears}
    taken = {(clear.set_id, clear.index) for clear in clears}
    chosen = []
    for share in archived:
        clear = _clear(share)
        if clear is None or (sets and clear.set_id not in sets):
            continue
        if (clear.set_id, clear.index) not in taken:
            chosen.append(share)
    return chosen


def _clear(share: ShareFile) -> Clear | None:
    try:
        return parse_clear(share.read(0, FIXED_SIZE))
    except OccultaError:
        return None


def is_share(name: str) -> bool:
    """Whether an input is a share, or a folder that may hold some."""
    path = Path(name)
    if name == files.STANDARD or not path.exists():
        return False
    if path.is_dir():
        return True
    with files.open_input(name) as stream:
        return files.read_some(stream, len(MAGIC), name) == MAGIC
