"""Files of the spool: under a temporary name while they grow, counted against its room.

Temporary names start with a dot and end with a tilde, which no name of a frame or item contains;
what bears one when the spool is opened is left over from a crash.

Paths that no two frames share are strings here: pathlib has the interpreter intern every name, and
its table of those grows with the frames.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import NamedTuple, Protocol

from occulta.errors import OccultaError, Reason
from occulta.program.files import write_failure
from onboard.spool.database import Database
from onboard.spool.records import DATA, MANIFEST, RECORD, Part

AnyPath = str | Path
Checkpoint = Callable[[str], None]
"""Told each step by which something becomes durable."""
RESERVE = 1 << 23
"""Bytes of the disk that are left to the database: its log grows to 4 MiB before it is emptied."""
_PUSHED = 1 << 19
"""Bytes after which the disk begins to write: little is left to wait for when a file is whole."""
_numbers = count()


def temporary_name() -> str:
    """A name that nothing else in this process has."""
    return f".{next(_numbers)}~"


def is_temporary(name: str) -> bool:
    """Whether a name is one of `temporary_name`."""
    return name.startswith(".") and name.endswith("~")


@contextmanager
def writing(name: object) -> Iterator[None]:
    """OSError becomes OccultaError: DISK_FULL or OUTPUT_UNWRITABLE."""
    try:
        yield
    except OSError as error:
        raise write_failure(error, name) from None


def sync(path: AnyPath) -> None:
    """Make a folder's entries durable; raises OSError. The acknowledgement depends on it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _for_owner(path: str, flags: int) -> int:
    """Mode 0600: a rule may leave a picture in view, but not for other users of the machine."""
    return os.open(path, flags, 0o600)


def _push(descriptor: int) -> None:
    """Have the system write what it holds of a file, without waiting, and hold it no longer."""
    if hasattr(os, "posix_fadvise"):  # Linux
        with suppress(OSError):  # a file system that takes no advice
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def write_synced(path: AnyPath, data: bytes) -> None:
    """A new file of these bytes, durable but for its name; raises OSError."""
    with open(path, "xb", opener=_for_owner) as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def remove(path: AnyPath) -> None:
    """Remove a file or folder, if it is there; raises OSError.

    A folder goes at once: what is left of it after a crash has a temporary name.
    """
    if os.path.isdir(path) and not os.path.islink(path):
        doomed = os.path.join(os.path.dirname(path), temporary_name())
        os.rename(path, doomed)
        shutil.rmtree(doomed)
    else:
        with suppress(FileNotFoundError):
            os.unlink(path)


def file_size(path: AnyPath) -> int:
    """Bytes of a regular file, -1 if there is none."""
    if os.path.islink(path) or not os.path.isfile(path):
        return -1
    return os.stat(path).st_size


def fault_of(path: AnyPath, what: str, expected: int) -> str | None:
    """What is wrong with a file by its size, if anything; raises OSError."""
    found = file_size(path)
    if found < 0:
        return f"its {what} is missing"
    return None if found == expected else f"its {what} has {found} bytes, not {expected}"


def fault_of_product(place: AnyPath, size: int, manifest_size: int) -> str | None:
    """What is wrong with a product's files by their sizes, if anything; raises OSError."""
    data, manifest = os.path.join(place, DATA), os.path.join(place, MANIFEST)
    return fault_of(data, DATA, size) or fault_of(manifest, MANIFEST, manifest_size)


def size_of_product(place: AnyPath) -> int:
    """Bytes of what is there of a product's files."""
    paths = (os.path.join(place, name) for name in (DATA, MANIFEST, RECORD))
    return sum(max(file_size(path), 0) for path in paths)


def unpack(packed: AnyPath, moved: Callable[[], object] = lambda: None) -> None:
    """Move the folders that came together to where their folder is, which goes; raises OSError.

    Done again it goes on where a crash came between. What has no place there stays.
    """
    around = os.path.dirname(packed)
    for name in sorted(os.listdir(packed)):
        if not os.path.lexists(os.path.join(around, name)):
            os.rename(os.path.join(packed, name), os.path.join(around, name))
            moved()
    with suppress(OSError):
        os.rmdir(packed)


def pack(packed: AnyPath, names: Iterable[str], moved: Callable[[], object]) -> None:
    """Move folders back to where `unpack` took them from; raises OSError.

    Until all are back, `unpack` brings each to its own name again.
    """
    around = os.path.dirname(packed)
    with suppress(FileExistsError):
        os.mkdir(packed, 0o700)
    for name in names:
        if os.path.lexists(os.path.join(around, name)):
            os.rename(os.path.join(around, name), os.path.join(packed, name))
            moved()


def sweep(folder: Path) -> None:
    """Remove what a crash left under temporary names; raises OSError."""
    for path in folder.iterdir():
        if is_temporary(path.name):
            remove(path)


class Lease(NamedTuple):
    """A range of private data that a file in progress was given, and the item's row."""

    item: int
    part: Part


class PartialFile:
    """A file being written. The caller commits or discards it.

    `priority` says what may have to go for it; `declared` is how large it is expected to be.
    """

    products = 0
    """How many products it is to become."""

    def __init__(
        self, place: str, data: str, room: Room, priority: int, declared: int
    ) -> None:
        """`place` is what `discard` removes. Raises OSError; the room was asked for before."""
        self.place = place
        self.priority = priority
        self.leases: list[Lease] = []
        self._room = room
        self._declared = declared
        self._digest = hashlib.sha256()
        self._size = self._pushed = 0
        self._is_whole = True
        self._stream = open(  # noqa: SIM115 - closed by its owner's verbs
            data, "xb", buffering=0, opener=_for_owner
        )
        room.files.append(self)

    @property
    def size(self) -> int:
        """Bytes written."""
        return self._size

    @property
    def sha256(self) -> bytes:
        """The digest of what was written."""
        return self._digest.digest()

    @property
    def charged(self) -> int:
        """Bytes of the room that are taken."""
        return max(self._size, self._declared if self._room.reserves else 0)

    def write(self, data: bytes) -> None:
        """Append; raises OccultaError: SPOOL_FULL, DISK_FULL or OUTPUT_UNWRITABLE.

        A file that could not take everything can only be discarded.
        """
        self.require_open()
        self._room.grow(self, len(data))
        self._is_whole = False
        view = memoryview(data)
        with writing("the spool"):
            while view:  # a disk nearly full takes a part, then nothing
                view = view[self._stream.write(view) or 0 :]
        self._size += len(data)
        self._digest.update(data)
        self._is_whole = True
        if self._size - self._pushed >= _PUSHED:
            self._pushed = self._size
            _push(self._stream.fileno())

    def require_open(self) -> None:
        """Raises ValueError for a file that was committed or discarded, or is not whole."""
        if self._stream.closed or not self._is_whole:
            raise ValueError("the file is closed or incomplete")

    def sync(self) -> None:
        """Make durable what was written, but not its name; raises OSError."""
        os.fsync(self._stream.fileno())

    def close(self) -> None:
        """It is no file in progress any more; what it is under some name stays."""
        if not self._stream.closed:
            self._room.files.remove(self)
            with suppress(OSError):
                self._stream.close()

    def discard(self) -> None:
        """Close and remove it. Afterwards, and after a commit, this does nothing."""
        if not self._stream.closed:
            self.close()
            with suppress(OSError):  # left to the next start
                remove(self.place)


class Policy(Protocol):
    """What may go when there is no room."""

    def droppable(self, priority: int) -> tuple[int, int]:
        """Bytes and products that could be freed for something of this priority."""

    def drop_lowest(self, priority: int) -> bool:
        """Free some bytes for something of this priority; False if there is nothing to free."""


class Room:
    """The bytes and products in use, rows and files in progress, and how many there may be.

    Nothing is taken in that would leave less than `RESERVE` bytes of the disk: the database needs
    them, for what leaves the spool too.

    Without a policy a product and its declared size are reserved at once; with one, room is made as
    bytes arrive and when the product is complete, so that a frame that never completes has cost
    nothing more than it took.
    """

    def __init__(
        self, folder: Path, database: Database, max_bytes: int, max_products: int
    ) -> None:
        self.files: list[PartialFile] = []
        self.policy: Policy | None = None
        self._folder = folder
        self._database = database
        self._max_bytes = max_bytes
        self._max_products = max_products
        self._stored = (0, 0)
        self._seen = -1

    @property
    def reserves(self) -> bool:
        """Whether a declared size counts before it is written."""
        return self.policy is None

    @property
    def stored(self) -> int:
        """Bytes of committed products and items."""
        return self._counted()[0]

    @property
    def used(self) -> int:
        """Bytes on the disk."""
        return self.stored + sum(file.size for file in self.files)

    def admit(self, declared: int, priority: int) -> None:
        """Raises OccultaError(SPOOL_FULL) if so many bytes more could not be taken."""
        self._require_disk(declared)
        if self._charged + declared > self._max_bytes + self._spare(priority)[0]:
            raise self._full()

    def admit_products(self, count: int, priority: int) -> None:
        """Raises OccultaError(SPOOL_FULL) if so many products more could not be taken."""
        reserved = sum(file.products for file in self.files) if self.reserves else 0
        if self._too_many(count + reserved, priority) or count > self._max_products:
            raise self._full()

    def place_products(self, count: int, priority: int) -> None:
        """Make room for so many more, which are complete; raises OccultaError(SPOOL_FULL)."""
        if self._too_many(count, priority):  # before anything goes for nothing
            raise self._full()
        while self._products + count > self._max_products:
            if self.policy is None or not self.policy.drop_lowest(priority):
                raise self._full()

    def _too_many(self, count: int, priority: int) -> bool:
        return self._products + count > self._max_products + self._spare(priority)[1]

    def _spare(self, priority: int) -> tuple[int, int]:
        """Bytes and products that the policy could free."""
        return self.policy.droppable(priority) if self.policy else (0, 0)

    def grow(self, file: PartialFile, size: int) -> None:
        """Make room for more bytes of a file; raises OccultaError(SPOOL_FULL)."""
        self._require_disk(size)
        needed = max(file.size + size - file.charged, 0)
        while self._charged + needed > self._max_bytes:
            if self.policy is None or not self.policy.drop_lowest(file.priority):
                raise self._full()

    @property
    def _charged(self) -> int:
        return self.stored + sum(file.charged for file in self.files)

    @property
    def _products(self) -> int:
        """Of which there are files, damaged ones included."""
        return self._counted()[1]

    def _counted(self) -> tuple[int, int]:
        """Bytes and products that are committed."""
        if self._seen != self._database.changes:
            self._seen = self._database.changes
            size, count = self._database.rows(
                "SELECT coalesce(sum(bytes), 0), count(*) FROM products WHERE bytes > 0"
            )[0]
            queued = self._database.value(
                "SELECT coalesce(sum(size), 0) FROM items WHERE state = 'queued'"
            )
            self._stored = size + queued, count
        return self._stored

    def _require_disk(self, size: int) -> None:
        with writing(self._folder):
            found = os.statvfs(self._folder)
        if found.f_bavail * found.f_frsize < size + RESERVE:
            raise OccultaError(Reason.DISK_FULL, f"the spool's disk has no room for {size} bytes")

    def _full(self) -> OccultaError:
        return OccultaError(
            Reason.SPOOL_FULL,
            f"the spool holds {self.used} of {self._max_bytes} bytes,"
            f" {self._products} of {self._max_products} products",
        )
