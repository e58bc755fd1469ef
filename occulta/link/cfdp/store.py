"""What CFDP needs of files. The machines touch none: callers hand these in."""

from __future__ import annotations

from typing import Protocol

from occulta.link.cfdp.pdu import TransactionId


class FilestoreError(Exception):
    """A file cannot be read, written or published; the text says why."""


class FileSource(Protocol):
    """A file to be sent. Every method may raise FilestoreError."""

    def size(self) -> int | None:
        """Octets; None while the file is still growing."""

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` octets; fewer only at the end of what there is."""

    def close(self) -> None:
        """It is no longer needed."""


class FileSink(Protocol):
    """A file being received, under no name of the peer's. Methods may raise FilestoreError."""

    def write(self, offset: int, data: bytes) -> None:
        """Keep data at an offset; ranges arrive in any order."""

    def read(self, offset: int, size: int) -> bytes:
        """What was written, `size` octets."""

    def sync(self) -> None:
        """Make durable what was written."""

    def commit(self, name: str, size: int) -> None:
        """The file is complete: make it durable and visible as `name`, a safe relative path."""

    def discard(self) -> None:
        """The file will not be completed: forget it."""


class Filestore(Protocol):
    """Opens files. Methods may raise FilestoreError."""

    def open_source(self, name: str) -> FileSource:
        """A file to be sent, by the name given to `put`."""

    def open_sink(self, transaction: TransactionId, resume: bool) -> FileSink:
        """A place for a transaction's file; with `resume` the one it had, or FilestoreError."""
