"""Files for CFDP on a disk: sources below one folder, received files below another.

What is received lies under a name made of the transaction's number until it is complete; then it
takes its own name, never through a symbolic link, and that of a file that exists already only where
the store was told so.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from occulta.errors import OccultaError
from occulta.link.cfdp.names import is_safe_name
from occulta.link.cfdp.pdu import TransactionId
from occulta.link.cfdp.store import FilestoreError
from occulta.program.files import make_folder, rename_anew, sync_folder, write_failure

PARTS = ".incoming"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def failure(error: OSError, what: str) -> FilestoreError:
    """The filestore's word for what the machine said."""
    return FilestoreError(f"{what}: {error.strerror}")


class DiskSource:
    """A file to be sent, of the size it has when it is opened."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = os.open(path, os.O_RDONLY)
            self._size = os.fstat(self._file).st_size
        except OSError as error:
            raise failure(error, f"cannot read {path.name}") from None
        self._open = True

    def size(self) -> int:
        """Octets."""
        return self._size

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` octets; raises FilestoreError."""
        try:
            return os.pread(self._file, size, offset)
        except OSError as error:
            raise failure(error, "cannot read") from None

    def close(self) -> None:
        """It is no longer needed."""
        if self._open:
            self._open = False
            os.close(self._file)


class DiskSink:
    """A file being received."""

    def __init__(
        self, root: Path, folders: tuple[str, ...], part: Path, resume: bool, replace: bool
    ) -> None:
        """Its name will be below `folders` in `root`; these are made once there is a file."""
        self._root = root
        self._folders = folders
        self._part = part
        self._replace = replace
        flags = os.O_RDWR | os.O_NOFOLLOW | (0 if resume else os.O_CREAT | os.O_TRUNC)
        try:
            self._file = os.open(part, flags, 0o600)
        except OSError as error:
            raise failure(error, f"cannot open {part.name}") from None

    def write(self, offset: int, data: bytes) -> None:
        """Keep data at an offset; raises FilestoreError."""
        try:
            view = memoryview(data)
            while view:  # a disk nearly full takes a part, then nothing
                done = os.pwrite(self._file, view, offset)
                view, offset = view[done:], offset + done
        except OSError as error:
            raise failure(error, "cannot write") from None

    def read(self, offset: int, size: int) -> bytes:
        """What was written; raises FilestoreError."""
        try:
            return os.pread(self._file, size, offset)
        except OSError as error:
            raise failure(error, "cannot read back") from None

    def sync(self) -> None:
        """Make durable what was written; raises FilestoreError."""
        try:
            os.fdatasync(self._file)
        except OSError as error:
            raise failure(error, "cannot sync") from None

    def commit(self, name: str, size: int) -> None:
        """Take the name below the root, durably; raises FilestoreError if something has it."""
        if not is_safe_name(name) or name.startswith(PARTS + "/"):
            raise FilestoreError("an unsafe name")
        try:
            os.ftruncate(self._file, size)
            os.fsync(self._file)
            *folders, last = name.split("/")
            target = _make_folders(self._root, [*self._folders, *folders]) / last
            (os.replace if self._replace else rename_anew)(self._part, target)
        except OSError as error:
            raise failure(error, f"cannot publish {name!r}") from None
        except OccultaError as error:
            raise FilestoreError(error.detail) from None
        sync_folder(target.parent)
        sync_folder(self._part.parent)
        os.close(self._file)

    def discard(self) -> None:
        """Forget it; raises FilestoreError."""
        os.close(self._file)
        try:
            self._part.unlink(missing_ok=True)
        except OSError as error:
            raise failure(error, "cannot remove") from None


def _make_folders(root: Path, folders: list[str]) -> Path:
    """Create folders below the root, one by one; raises OSError for what is not a folder."""
    path = root
    for folder in folders:
        path /= folder
        with suppress(FileExistsError):
            path.mkdir(0o700)
            sync_folder(path.parent)
        os.close(os.open(path, _FOLDER))  # a symbolic link is refused
    return path


def _part_name(transaction: TransactionId) -> str:
    return f"{transaction.source}-{transaction.sequence}.part"


class DiskFilestore:
    """Sends files from below `outgoing`, receives them below `incoming`.

    With `replace`, a received file takes the place of an earlier one of its name: for folders where
    only this store writes, and a file may arrive again after a crash. With `by_source`, each
    source's files take their names below a folder that is named by its entity id, in decimal:
    whatever a name says, it meets no other source's.
    """

    def __init__(
        self, outgoing: Path, incoming: Path, *, replace: bool = False, by_source: bool = False
    ) -> None:
        """Raises OccultaError: DISK_FULL or OUTPUT_UNWRITABLE."""
        self._replace = replace
        self._by_source = by_source
        self._outgoing = outgoing
        self._incoming = incoming
        self._parts = incoming / PARTS
        make_folder(self._parts, 0o700)

    def sweep(self, open_ones: Iterable[TransactionId]) -> int:
        """Remove what was received by transactions that are not open any more; returns how many.

        Raises OccultaError: DISK_FULL or OUTPUT_UNWRITABLE.
        """
        wanted = {_part_name(transaction) for transaction in open_ones}
        gone = [path for path in self._parts.glob("*.part") if path.name not in wanted]
        try:
            for path in gone:
                path.unlink()
        except OSError as error:
            raise write_failure(error, self._parts) from None
        return len(gone)

    def open_source(self, name: str) -> DiskSource:
        """A file below `outgoing`; raises FilestoreError."""
        if not is_safe_name(name):
            raise FilestoreError(f"an unsafe name: {name!r}")
        return DiskSource(self._outgoing / name)

    def open_sink(self, transaction: TransactionId, resume: bool) -> DiskSink:
        """A place for a transaction's file; raises FilestoreError."""
        part = self._parts / _part_name(transaction)
        folders = (str(transaction.source),) if self._by_source else ()
        return DiskSink(self._incoming, folders, part, resume, self._replace)
