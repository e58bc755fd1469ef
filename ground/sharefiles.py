"""Shares where they lie: files, folders of them, product folders of an archive, whole archives."""

from __future__ import annotations

import os
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ground.product import PRODUCTS, SHARES, received_name
from occulta.errors import OccultaError, Reason
from occulta.program import files
from occulta.schemes.shares.header import FIXED_SIZE, MAGIC, Clear, parse_clear

RECEIVED = received_name(SHARES)
"""The archive's name for a share."""
WRITTEN = "share-*.occ"
"""The names that `protect` gives."""
MOST_FOUND = 64
"""Shares that are used of all that folders and archives hold; a frame has 16 at most."""


class ShareFile:
    """A share in a regular file."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        """Raises OccultaError(INPUT_UNREADABLE)."""
        self._stream = stream
        self._path = path
        self._size = os.fstat(stream.fileno()).st_size
        head = self.read(0, FIXED_SIZE)
        self.is_share = head.startswith(MAGIC)
        """Whether it begins like a share."""
        self.clear = _clear(head)
        """What it says of itself, which is anybody's to write; None where it makes no sense."""

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


class _Found(NamedTuple):
    """A file that was looked into; `clear` is None where it is no share, or its header is bad."""

    path: Path
    clear: Clear | None

    @property
    def place(self) -> tuple[bytes, int] | None:
        """Set and index."""
        return None if self.clear is None else (self.clear.set_id, self.clear.index)


class _Named(NamedTuple):
    """What the names on a command line stand for."""

    files: list[Path]
    products: list[Path]
    written: list[Path]
    archived: list[Path]


class _Chosen:
    """Files that are taken, copies of one share once."""

    def __init__(self) -> None:
        self.found: list[_Found] = []
        self.places: dict[tuple[bytes, int], list[Path]] = {}

    def add(self, found: _Found) -> None:
        """Take a file whatever it is."""
        self.found.append(found)
        if found.place is not None:
            self.places.setdefault(found.place, []).append(found.path)

    def add_new(self, found: _Found) -> None:
        """Take a file unless a copy of it was taken."""
        beside = self.places.get(found.place, []) if found.place is not None else []
        if not any(_is_copy(path, found.path) for path in beside):
            self.add(found)


def open_all(names: list[str], stack: ExitStack) -> list[ShareFile]:
    """The shares that are named: files, folders of `share-*.occ`, product folders, archives.

    Files and product folders all count. Of other folders and archives those do that belong to the
    shares named otherwise, and are not named themselves. Copies of one share that are alike are
    taken once, unless they were named as files. Only what is taken stays open. Raises
    OccultaError: INPUT_UNREADABLE, USAGE, SHARES_OF_DIFFERENT_SETS, SHARE_TWICE.
    """
    named = _sorted(names)
    chosen = _Chosen()
    for path in named.files:
        chosen.add(_looked_into(path))
    for path in named.products:
        chosen.add_new(_looked_into(path))
    taken = [*chosen.found, *_fitting(chosen, named)]
    if not taken:
        raise OccultaError(Reason.INPUT_UNREADABLE, f"{', '.join(names)}: no share")
    return [_open(found.path, stack) for found in taken]


def _sorted(names: list[str]) -> _Named:
    if files.STANDARD in names:
        raise OccultaError(Reason.USAGE, "shares are read here and there: name files")
    named = _Named([], [], [], [])
    for name in names:
        path = Path(name)
        if not os.path.isdir(path):
            named.files.append(path)
        elif os.path.lexists(path / RECEIVED):
            named.products.append(path / RECEIVED)
        elif os.path.isdir(path / PRODUCTS):
            named.archived.extend(_matching(path / PRODUCTS, f"*/{RECEIVED}"))
        elif written := _matching(path, WRITTEN):
            named.written.extend(written)
        else:
            raise OccultaError(Reason.INPUT_UNREADABLE, f"{path} holds no share")
    return named


def _matching(folder: Path, pattern: str) -> list[Path]:
    """Files of a folder in order; raises OccultaError(INPUT_UNREADABLE)."""
    try:
        return sorted(folder.glob(pattern))
    except OSError as error:
        raise files.read_failure(error, folder) from None


def _looked_into(path: Path) -> _Found:
    with files.open_regular(str(path)) as stream:
        return _Found(path, _clear(files.read_some(stream, FIXED_SIZE, str(path))))


def _clear(head: bytes) -> Clear | None:
    try:
        return parse_clear(head)
    except OccultaError:
        return None


def _fitting(chosen: _Chosen, named: _Named) -> list[_Found]:
    """What folders and archives add to what was named; without that, all shares they hold."""
    sets = {set_id for set_id, _ in chosen.places}
    fitting = _Chosen()
    written = [_looked_into(path) for path in named.written]
    for found in [*written, *map(_looked_into, named.archived)]:
        if found.place is None:
            # In a folder of its own it is no stranger's: let it be told what is wrong with it.
            if not sets and found in written:
                fitting.add(found)
        elif found.place not in chosen.places and (not sets or found.place[0] in sets):
            fitting.add_new(found)
    _refuse_many(fitting)
    return fitting.found


def _refuse_many(fitting: _Chosen) -> None:
    if len(fitting.found) <= MOST_FOUND:
        return
    sets = {set_id for set_id, _ in fitting.places}
    if len(sets) > 1:
        hint = "name a share of the frame that is wanted"
        detail = f"shares of {len(sets)} frames"
        raise OccultaError(Reason.SHARES_OF_DIFFERENT_SETS, detail, hint)
    detail = f"{len(fitting.found)} shares of one frame, no two alike"
    raise OccultaError(Reason.SHARE_TWICE, detail)


def _is_copy(path: Path, other: Path) -> bool:
    with files.open_regular(str(path)) as one, files.open_regular(str(other)) as two:
        if os.fstat(one.fileno()).st_size != os.fstat(two.fileno()).st_size:
            return False
        pairs = zip_longest(files.chunks_of(one, str(path)), files.chunks_of(two, str(other)))
        return all(first == second for first, second in pairs)


def _open(path: Path, stack: ExitStack) -> ShareFile:
    return ShareFile(path, stack.enter_context(files.open_regular(str(path))))


def is_share(name: str) -> bool:
    """Whether an input is a share, or a folder that may hold some."""
    return os.path.isdir(name) or files.head_of(name, len(MAGIC)) == MAGIC
