"""Files: read in chunks, published whole or not at all.

An output file is written under a temporary name beside its place, flushed to the disk and renamed.
Whatever goes wrong before that leaves nothing under the final name. An output that exists already
is refused before any work.
"""

from __future__ import annotations

import errno
import glob
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from occulta.errors import OccultaError, Reason

CHUNK = 1 << 16
STANDARD = "-"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_failure(error: OSError, name: object) -> OccultaError:
    """The numbered reason of a failed write."""
    if error.errno in _FULL:
        return OccultaError(Reason.DISK_FULL, f"no room to write {name}")
    return OccultaError(Reason.OUTPUT_UNWRITABLE, f"cannot write {name}: {error.strerror}")


def read_failure(error: OSError, name: object) -> OccultaError:
    """The numbered reason of a failed read."""
    return OccultaError(Reason.INPUT_UNREADABLE, f"cannot read {name}: {error.strerror}")


@contextmanager
def open_input(name: str) -> Iterator[BinaryIO]:
    """Open a file, or standard input for `-`; raises OccultaError(INPUT_UNREADABLE)."""
    if name == STANDARD:
        if sys.stdin is None:
            raise OccultaError(Reason.INPUT_UNREADABLE, "standard input is closed")
        yield sys.stdin.buffer
        return
    try:
        stream = open(name, "rb")  # noqa: SIM115 - closed below, opened apart from its use
    except OSError as error:
        raise read_failure(error, name) from None
    with stream:
        yield stream


@contextmanager
def open_regular(name: str) -> Iterator[BinaryIO]:
    """Open a regular file, which can be read anywhere and again, and nothing else; never waits.

    A pipe is not even opened: its writer would see a reader come and go. Raises
    OccultaError(INPUT_UNREADABLE).
    """
    try:
        _refuse_irregular(os.stat(name), name)
        stream = open(name, "rb", opener=_without_waiting)  # noqa: SIM115 - as above
    except OSError as error:
        raise read_failure(error, name) from None
    with stream:
        _refuse_irregular(os.fstat(stream.fileno()), name)
        yield stream


def _without_waiting(path: str, flags: int) -> int:
    """For a name that became a pipe since it was looked at."""
    return os.open(path, flags | os.O_NONBLOCK)


def _refuse_irregular(found: os.stat_result, name: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        hint = "name a regular file; what comes through a pipe can be copied to one"
        raise OccultaError(Reason.INPUT_UNREADABLE, f"{name} is not a file", hint)


def head_of(name: str, size: int) -> bytes:
    """Up to `size` first bytes of a regular file; none of what is no file or cannot be read."""
    if name == STANDARD:
        return b""
    try:
        with open_regular(name) as stream:
            return read_some(stream, size, name)
    except OccultaError:
        return b""


def size_of(stream: BinaryIO) -> int | None:
    """Bytes of a named regular file, None for what may hold more or less than it says."""
    if sys.stdin is not None and stream is sys.stdin.buffer:
        return None  # it may be a file that was read from already
    try:
        found = os.fstat(stream.fileno())
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) and found.st_size else None


def read_some(stream: BinaryIO, size: int, name: str) -> bytes:
    """Up to `size` bytes; raises OccultaError(INPUT_UNREADABLE)."""
    try:
        return stream.read(size)
    except OSError as error:
        raise read_failure(error, name) from None


def chunks_of(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """The rest of a stream in chunks; raises OccultaError(INPUT_UNREADABLE)."""
    while chunk := read_some(stream, CHUNK, name):
        yield chunk


class Spool:
    """A nameless temporary file in a folder; gone when closed."""

    def __init__(self, folder: Path) -> None:
        """Raises OccultaError(OUTPUT_UNWRITABLE)."""
        self.name: object = folder
        try:
            self._stream: BinaryIO = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        except OSError as error:
            raise write_failure(error, folder) from None

    def write(self, data: bytes) -> None:
        """Raises OccultaError: DISK_FULL or OUTPUT_UNWRITABLE."""
        self._do(lambda: self._stream.write(data))

    def read_again(self) -> BinaryIO:
        """The stream at its start, for reading what was written."""
        self._do(self._stream.flush)
        self._stream.seek(0)
        return self._stream

    def restart(self) -> None:
        """Forget what was written."""
        self._do(lambda: self._stream.truncate(self._stream.seek(0)))

    def discard(self) -> None:
        """Close; what was written is gone."""
        with suppress(OSError):  # the data is not wanted
            self._stream.close()

    def _do(self, action: Callable[[], object]) -> None:
        try:
            action()
        except OSError as error:
            raise write_failure(error, self.name) from None


def sweep(folder: Path, name: str | None = None) -> None:
    """Remove what outputs of one name, or of any, left that was cut off.

    For folders that have one writer. Raises OSError.
    """
    for path in folder.glob(f".{'*' if name is None else glob.escape(name)}.*.partial"):
        path.unlink(missing_ok=True)


class OutputFile(Spool):
    """A file under a temporary name until `publish`; `discard` leaves nothing.

    `retract` takes the published file away again, for outputs that count only together.
    """

    def __init__(self, path: Path, mode: int = 0o666, replace: bool = False) -> None:
        """Raises OccultaError: OUTPUT_EXISTS (unless `replace`) or OUTPUT_UNWRITABLE."""
        if not replace:
            refuse_existing(path)
        self.name = self.path = path
        self._replace = replace
        self._published = False
        self.temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}.partial")
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
            self._stream = os.fdopen(os.open(self.temporary, flags, mode), "w+b")
        except OSError as error:
            raise write_failure(error, path) from None

    def publish(self) -> None:
        """Flush to the disk and take the final name."""
        self._do(self._sync)
        try:
            if self._replace:
                os.replace(self.temporary, self.path)
            else:
                rename_anew(self.temporary, self.path)
        except FileExistsError:
            raise OccultaError(Reason.OUTPUT_EXISTS, f"{self.path} exists already") from None
        except OSError as error:
            raise write_failure(error, self.path) from None
        self._published = True
        sync_folder(self.path.parent)

    def retract(self) -> None:
        """Remove the file if it was published."""
        if self._published:
            self.path.unlink(missing_ok=True)
            self._published = False

    def discard(self) -> None:
        """Close and remove the temporary file, if it is still there."""
        super().discard()
        self.temporary.unlink(missing_ok=True)

    def _sync(self) -> None:
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()


def rename_anew(temporary: Path, path: Path) -> None:
    """Rename without replacing; where the file system has no links, as near as it gets.

    Raises FileExistsError or another OSError, or OccultaError(OUTPUT_EXISTS).
    """
    try:
        os.link(temporary, path)
        os.unlink(temporary)
    except FileExistsError:
        raise
    except OSError:
        refuse_existing(path)
        os.replace(temporary, path)


def publish_together(outputs: Sequence[OutputFile], last: Callable[[], object]) -> None:
    """Publish all and do `last`, or leave none of them."""
    try:
        for file in outputs:
            file.publish()
        last()
    except BaseException:
        for file in outputs:
            file.retract()
        raise


class StandardOutput:
    """Standard output in the place of an output file: nothing can be taken back."""

    def write(self, data: bytes) -> None:
        """Raises OccultaError(OUTPUT_UNWRITABLE)."""
        if sys.stdout is None:
            raise OccultaError(Reason.OUTPUT_UNWRITABLE, "standard output is closed")
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except OSError as error:
            raise write_failure(error, "standard output") from None

    def discard(self) -> None:
        """What was written is out; the exit status says that it does not count."""


def refuse_existing(path: Path) -> None:
    """Raises OccultaError(OUTPUT_EXISTS) if something has this name."""
    if os.path.lexists(path):
        raise OccultaError(Reason.OUTPUT_EXISTS, f"{path} exists already")


def remove(path: Path) -> None:
    """Remove a file if it is there; raises OccultaError(OUTPUT_UNWRITABLE)."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise write_failure(error, path) from None


@contextmanager
def output(path: Path, mode: int = 0o666, replace: bool = False) -> Iterator[OutputFile]:
    """An output file that is discarded unless it was published."""
    file = OutputFile(path, mode, replace)
    try:
        yield file
    finally:
        file.discard()


@contextmanager
def spool(folder: Path) -> Iterator[Spool]:
    """A temporary file that goes in the end."""
    file = Spool(folder)
    try:
        yield file
    finally:
        file.discard()


def make_folder(path: Path, mode: int = 0o777) -> None:
    """Create a folder and the parents it lacks, all of this mode.

    Raises OccultaError: DISK_FULL or OUTPUT_UNWRITABLE.
    """
    try:
        for parent in reversed([each for each in path.parents if not each.exists()]):
            parent.mkdir(mode, exist_ok=True)
        path.mkdir(mode, exist_ok=True)
    except OSError as error:
        raise write_failure(error, path) from None


def sync_folder(path: Path) -> None:
    """Make a rename durable, where the file system can."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return  # a folder that may not be read: the rename stands all the same
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some file systems cannot sync a folder
    finally:
        os.close(descriptor)
