"""Private data that arrives in pieces, in any order, over any number of products.

An item is a sealed file (occulta/schemes/sealed.py); its pieces are the records that products
carry. They are written to `items/<source>/<item>.part`, what was received is kept in `items.db`,
and an item of which nothing is missing is opened into `items/<source>/<item>.bin`.

The source is whoever signed the products: item ids are a satellite's own, and nobody without its
key can add to an item of its, or spoil it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from ground.database import Database
from ground.opening import open_sealed
from ground.product import ITEMS, ITEMS_DATABASE
from occulta.codec.crypto import PrivateKey, VerifyingKey
from occulta.errors import ExitCode, OccultaError, Reason
from occulta.link.cfdp.intervals import Intervals
from occulta.program import files
from occulta.schemes.records import Record, decode_records

MAX_ITEMS = 1024
"""Items of one payload; the daemon puts no more into a frame."""
MAX_MISSING = 16
"""Missing ranges that a report lists."""
INCOMPLETE, COMPLETE, NO_KEY, FAILED = "incomplete", "complete", "no_key", "failed"
ITEMS_SCHEMA = """
CREATE TABLE items (
    source TEXT NOT NULL, item TEXT NOT NULL,
    total INTEGER NOT NULL, received BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('incomplete', 'complete', 'no_key', 'failed')),
    product TEXT, authentic INTEGER NOT NULL, size INTEGER, sha256 BLOB,
    error INTEGER, detail TEXT,
    PRIMARY KEY (source, item)
) STRICT;
CREATE INDEX item_incomplete ON items (state) WHERE state = 'incomplete';
PRAGMA user_version = 1;
"""
_COLUMNS = "source, item, total, received, state, product, authentic, size, sha256, error, detail"
_RANGES = msgspec.msgpack.Decoder(list[tuple[int, int]])
_LENGTH = 4


def source_of(signer: bytes, is_authentic: bool) -> str:
    """The folder of a signer's items; products that are not authentic share none with others."""
    return signer.hex() if is_authentic else f"unverified-{signer.hex()}"


def read_records(payload: BinaryIO, size: int) -> Iterator[Record]:
    """The records of a payload, one in memory at a time; raises OccultaError(BAD_HIDDEN_DATA)."""
    payload.seek(0)
    while head := files.read_some(payload, _LENGTH, "the payload"):
        length = int.from_bytes(head, "big")
        if length > size:
            raise OccultaError(Reason.BAD_HIDDEN_DATA, "a record of private data ends early")
        yield from decode_records(head + files.read_some(payload, length, "the payload"))


def is_records(payload: BinaryIO, size: int) -> bool:
    """Whether a payload of so many bytes consists of records, and nothing else."""
    names = set()
    try:
        for record in read_records(payload, size):
            names.add(record.item)
            if len(names) > MAX_ITEMS:
                return False
    except OccultaError as error:
        if error.reason is not Reason.BAD_HIDDEN_DATA:
            raise
        return False
    return True


@dataclass
class Item:
    """An item as it is known; `product` is the one that completed it."""

    source: str
    item: str
    total: int
    received: Intervals = field(default_factory=Intervals)
    state: str = INCOMPLETE
    product: str | None = None
    authentic: bool = False
    size: int | None = None
    sha256: bytes | None = None
    error: int | None = None
    detail: str | None = None
    refused: str | None = None
    """Why a piece was not taken."""
    is_kept: bool = True

    def as_dict(self) -> dict[str, Any]:
        """For a report."""
        gaps = list(self.received.gaps(0, self.total)) if self.state == INCOMPLETE else []
        error = {"number": self.error, "detail": self.detail}
        return {
            "item": self.item, "state": self.state, "authentic": self.authentic,
            "sealed_bytes": self.total, "missing_bytes": sum(end - start for start, end in gaps),
            "missing": gaps[:MAX_MISSING], "bytes": self.size,
            "sha256": self.sha256 and self.sha256.hex(),
            "file": f"{ITEMS}/{self.source}/{self.item}.bin" if self.state == COMPLETE else None,
            "completed_by": self.product, "refused": self.refused,
            "error": None if self.error is None else error,
        }


@dataclass(frozen=True, slots=True)
class Limits:
    """What is kept of items that are not complete; a piece beyond that is refused, and said so."""

    max_incomplete: int = 65_536
    max_ranges: int = 4_096
    """Of one item."""


class ItemStore:
    """The items of an archive; one process writes them."""

    def __init__(self, archive: Path, limits: Limits = Limits()) -> None:  # noqa: B008 - frozen
        """Raises OccultaError: DISK_FULL or OUTPUT_UNWRITABLE."""
        self._folder = archive / ITEMS
        self._limits = limits
        self._database = Database(archive / ITEMS_DATABASE, ITEMS_SCHEMA)

    def close(self) -> None:
        """It is no longer needed."""
        self._database.close()

    def path(self, item: Item) -> Path:
        """Where an item lies once it is complete."""
        return self._folder / item.source / f"{item.item}.bin"

    def take(
        self, source: str, product: str, records: Iterable[Record], keys: Sequence[PrivateKey],
        signer: VerifyingKey | None,
    ) -> list[Item]:
        """Keep a product's pieces, and open the items that they complete; returns the items.

        Doing so again changes nothing. Raises OccultaError for a failure of the machine.
        """
        touched: dict[str, Item] = {}
        incomplete = "SELECT count(*) FROM items WHERE state = 'incomplete'"
        self._room = self._limits.max_incomplete - self._database.value(incomplete)
        files.make_folder(self._folder / source, 0o700)
        with _writing(self._folder):
            for record in records:
                item = touched.get(record.item) or self._find(source, record)
                touched[record.item] = item
                self._place(item, record)
            self._save([item for item in touched.values() if item.is_kept])
        for item in touched.values():
            if item.state in (INCOMPLETE, NO_KEY) and item.received.covers(0, item.total):
                item.product = item.product or product
                self._open(item, keys, signer)
            if item.state == COMPLETE:  # now, or before a crash that left the pieces
                with suppress(OSError):  # they only take room
                    self._part(item).unlink(missing_ok=True)
        return list(touched.values())

    def _find(self, source: str, record: Record) -> Item:
        row = self._database.row(
            f"SELECT {_COLUMNS} FROM items WHERE source = ? AND item = ?", source, record.item
        )
        if row is None:
            self._room -= 1
            return Item(source, record.item, record.total, is_kept=self._room >= 0)
        item = Item(*row)
        item.received, item.authentic = Intervals(_RANGES.decode(row[3])), bool(item.authentic)
        if item.state == INCOMPLETE and _size(self._part(item)) < item.received.end:
            item.received = Intervals()  # the file is not what it was
        return item

    def _place(self, item: Item, record: Record) -> None:
        start, end = record.offset, record.offset + len(record.data)
        if not item.is_kept:
            item.refused = "too many items are incomplete"
        elif record.total != item.total:
            item.refused = f"a piece of an item of {record.total} bytes"
        elif item.state != INCOMPLETE:
            pass  # nothing is missing
        elif len(item.received) >= self._limits.max_ranges and not item.received.joins(start, end):
            item.refused = "the item has too many gaps"
        elif not self._write(item, start, record.data):
            item.refused = "a piece contradicts what was received before"
        else:
            item.received.add(start, end)

    def _write(self, item: Item, start: int, data: bytes) -> bool:
        """Write what is new of a piece; False if what is not new is not the same."""
        end = start + len(data)
        gaps = Intervals(item.received.gaps(start, end))
        part = os.open(self._part(item), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            for at, stop in gaps.gaps(start, end):
                if os.pread(part, stop - at, at) != data[at - start : stop - start]:
                    return False
            for at, stop in gaps:
                _write_all(part, data[at - start : stop - start], at)
        finally:
            os.close(part)
        return True

    def _save(self, items: Collection[Item]) -> None:
        """Make the pieces durable, then what is known of them."""
        for item in items:
            if item.state == INCOMPLETE and item.received:
                _sync(self._part(item))
        for folder in {self._part(item).parent for item in items}:
            files.sync_folder(folder)
        with self._database.transaction():
            for item in items:
                self._put(item)

    def _open(self, item: Item, keys: Sequence[PrivateKey], signer: VerifyingKey | None) -> None:
        """Open a complete item; what cannot be opened stays as it came."""
        part, path = self._part(item), self.path(item)
        with _writing(path):
            files.sweep(path.parent, path.name)
        try:
            with (
                files.open_input(str(part)) as sealed,
                files.output(path, 0o600, replace=True) as out,
            ):
                opened = open_sealed(sealed, out, keys, signer)
                out.publish()
        except OccultaError as error:
            if error.reason.exit_code is ExitCode.MACHINE:
                raise
            item.state = NO_KEY if error.reason is Reason.WRONG_KEY else FAILED
            item.error, item.detail = error.reason.value, error.detail
        else:
            item.state, item.error, item.detail = COMPLETE, None, None
            item.size, item.sha256 = opened.size, opened.digest
            item.authentic = opened.is_authentic
        self._put(item)

    def _put(self, item: Item) -> None:
        self._database.change(
            f"REPLACE INTO items ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            item.source, item.item, item.total, msgspec.msgpack.encode(list(item.received)),
            item.state, item.product, item.authentic, item.size, item.sha256, item.error,
            item.detail,
        )

    def _part(self, item: Item) -> Path:
        return self._folder / item.source / f"{item.item}.part"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _sync(path: Path) -> None:
    part = os.open(path, os.O_RDONLY)
    try:
        os.fdatasync(part)
    finally:
        os.close(part)


def _write_all(part: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:  # a disk nearly full takes a part, then nothing
        done = os.pwrite(part, view, offset)
        view, offset = view[done:], offset + done


@contextmanager
def _writing(name: Path) -> Iterator[None]:
    """OSError becomes OccultaError: DISK_FULL or OUTPUT_UNWRITABLE."""
    try:
        yield
    except OSError as error:
        raise files.write_failure(error, name) from None
