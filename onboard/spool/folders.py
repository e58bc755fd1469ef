"""Folders of products while they are written, and how they take their names.

A folder is complete and durable before it takes its name: a named folder is a whole product.
Products that belong together, shares of one frame, come by one name first, in a folder of their own
(`<id of the first>.set`), so that after a crash all of them are there or none is. Then each takes
its own name.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from onboard.spool.files import (
    Checkpoint,
    Lease,
    PartialFile,
    Room,
    pack,
    remove,
    sync,
    temporary_name,
    unpack,
    write_synced,
    writing,
)
from onboard.spool.notices import Notices
from onboard.spool.records import DATA, MANIFEST, RECORD, Product

SET = ".set"
"""Behind the id of the first: products of one frame that have not taken their own names yet."""


class ProductFile(PartialFile):
    """The data of a product being written."""

    products = 1

    def __init__(
        self, folder: str, room: Room, priority: int, declared: int, place: str | None = None
    ) -> None:
        """`folder` is the product's; `place` that of the products which it is discarded with."""
        super().__init__(place or folder, os.path.join(folder, DATA), room, priority, declared)
        self.folder = folder


@dataclass(frozen=True, slots=True)
class ShareFiles:
    """Products being written that are committed together, or none of them."""

    files: tuple[ProductFile, ...]
    place: str

    def discard(self) -> None:
        """Close and remove all. Afterwards, and after a commit, this does nothing."""
        for file in self.files:
            file.discard()


@dataclass(frozen=True, slots=True)
class Entry:
    """A product about to be stored: what lies beside its data, and what it carries."""

    file: ProductFile
    product: Product
    manifest: bytes
    record: bytes
    first: bytes
    leases: Sequence[Lease] = ()

    @property
    def extra(self) -> int:
        """Bytes besides the data."""
        return len(self.manifest) + len(self.record)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return self.file.size + self.extra


class Folders:
    """`folder / <id in hex>`. What fails raises OccultaError: DISK_FULL or OUTPUT_UNWRITABLE."""

    def __init__(
        self, folder: Path, room: Room, notices: Notices, checkpoint: Checkpoint
    ) -> None:
        self.folder = folder
        self._room = room
        self._notices = notices
        self._checkpoint = checkpoint

    def place(self, product_id: bytes) -> str:
        """Where a product lies."""
        return os.path.join(self.folder, product_id.hex())

    def begin(self, declared: int, priority: int) -> ProductFile:
        """A file in a folder without a name."""
        place = os.path.join(self.folder, temporary_name())
        with writing(self.folder):
            os.mkdir(place, 0o700)
            try:
                return ProductFile(place, self._room, priority, declared)
            except OSError:
                os.rmdir(place)
                raise

    def begin_shares(
        self, ids: Sequence[bytes], declared: Sequence[int], priority: int
    ) -> ShareFiles:
        """A file for each id, all in one folder without a name."""
        place = os.path.join(self.folder, temporary_name())
        files: list[ProductFile] = []
        with writing(self.folder):
            os.mkdir(place, 0o700)
            try:
                for product_id, size in zip(ids, declared, strict=True):
                    folder = os.path.join(place, product_id.hex())
                    os.mkdir(folder, 0o700)
                    files.append(ProductFile(folder, self._room, priority, size, place))
            except BaseException:
                for file in files:
                    file.close()
                with suppress(OSError):  # left to the next start
                    remove(place)
                raise
        return ShareFiles(tuple(files), place)

    def name(self, entry: Entry) -> None:
        """A product takes its name, which is not durable yet. The file is closed."""
        self._write(entry)
        self._rename(entry.file.folder, self.place(entry.product.id), [entry.file])
        self._checkpoint("product renamed")

    def name_together(self, shares: ShareFiles, entries: Sequence[Entry]) -> str:
        """Products take one name, which is not durable yet; where they lie. All files are closed.

        Raises ValueError for ids that the files were not begun with.
        """
        for entry in entries:
            if os.path.basename(entry.file.folder) != entry.product.id.hex():
                raise ValueError("a product was begun with another id")
            self._write(entry)
        with writing(self.folder):
            sync(shares.place)
        packed = self.place(entries[0].product.id) + SET
        self._rename(shares.place, packed, shares.files)
        self._checkpoint("set renamed")
        return packed

    def part(self, packed: str) -> None:
        """Each takes its own name, once the one that they came by is durable."""
        self.sync()
        self._checkpoint("set named")
        with writing(self.folder):
            unpack(packed, lambda: self._checkpoint("share moved"))

    def take_back(self, packed: str, ids: Iterable[bytes]) -> None:
        """Remove products that came by one name, and by one name: all go, or after a crash none.

        If they cannot go, that is told, and the next start takes them up, all of them.
        """
        try:
            pack(packed, map(bytes.hex, ids), lambda: self._checkpoint("share moved back"))
            sync(packed)
            sync(self.folder)
        except OSError as error:
            self._notices.add(f"cannot remove {os.path.basename(packed)}: {error.strerror}")
        else:
            self.remove(packed)

    def sync(self) -> None:
        """Make names durable."""
        with writing(self.folder):
            sync(self.folder)

    def remove(self, place: str) -> None:
        """Remove a folder; what cannot be removed now is told."""
        self._checkpoint("product left")
        try:
            remove(place)
        except OSError as error:  # gone at the next start
            self._notices.add(f"cannot remove {os.path.basename(place)}: {error.strerror}")

    def _write(self, entry: Entry) -> None:
        """Make all durable but the name."""
        folder = entry.file.folder
        with writing(self.folder):
            entry.file.sync()
            self._checkpoint("data synced")
            write_synced(os.path.join(folder, MANIFEST), entry.manifest)
            write_synced(os.path.join(folder, RECORD), entry.record)
            sync(folder)
        self._checkpoint("product synced")

    def _rename(self, folder: str, place: str, files: Sequence[ProductFile]) -> None:
        with writing(self.folder):
            os.rename(folder, place)
        for file in files:
            file.close()
