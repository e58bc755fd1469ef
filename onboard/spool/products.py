"""Products: a folder each with data, manifest and record, and a row that says what became of it.

The folder is complete and durable before it takes its name, and has its name before the row is
committed: a named folder is a whole product. One without a row, after a crash, is taken up again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from onboard.spool.database import Database
from onboard.spool.files import (
    Checkpoint,
    Lease,
    PartialFile,
    Room,
    fault_of_product,
    remove,
    size_of_product,
    sync,
    temporary_name,
    write_synced,
    writing,
)
from onboard.spool.items import Items
from onboard.spool.notices import Notices
from onboard.spool.records import (
    DATA,
    MANIFEST,
    MAX_MANIFEST_FILE,
    RECORD,
    Part,
    Product,
    Record,
    check_manifest,
    encode_record,
)
from onboard.spool.rows import Rows, State


class ProductFile(PartialFile):
    """The data of a product being written."""

    products = 1

    def __init__(self, place: str, room: Room, priority: int, declared: int) -> None:
        super().__init__(place, os.path.join(place, DATA), room, priority, declared)


class Products:
    """Stored products, in `folder / <id in hex>`."""

    def __init__(
        self, folder: Path, database: Database, rows: Rows, room: Room, items: Items, *,
        notices: Notices, checkpoint: Checkpoint,
    ) -> None:
        self.folder = folder
        self._database = database
        self._rows = rows
        self._room = room
        self._items = items
        self._notices = notices
        self._checkpoint = checkpoint

    # Storing.

    def begin(self, declared: int | None, priority: int) -> ProductFile:
        """A file for a product's data, of about `declared` bytes if that is known.

        Raises OccultaError: SPOOL_FULL, DISK_FULL or OUTPUT_UNWRITABLE.
        """
        self._room.admit(declared or 0, priority)
        self._room.admit_product(priority)
        place = os.path.join(self.folder, temporary_name())
        with writing(self.folder):
            os.mkdir(place, 0o700)
            try:
                return ProductFile(place, self._room, priority, declared or 0)
            except OSError:
                os.rmdir(place)
                raise

    def commit(
        self, file: ProductFile, product: Product, manifest: bytes, carried: Sequence[Part] = ()
    ) -> bytes:
        """Make a product durable, with its deliveries and what it carries; returns its id.

        `manifest` is signed and names the data's size and digest; `carried` are the ranges of the
        pieces that the file was given and that are in it, each whole or cut at its end. The file is
        closed. Where the frame is stored already this one is discarded, and the id is that of the
        first. Raises OccultaError: SPOOL_FULL, DISK_FULL or OUTPUT_UNWRITABLE, after which nothing
        is left of the product; ValueError for what does not agree, or inside a transaction.
        """
        record = self._checked(file, product, manifest, carried)
        leases = _leases(file, carried)
        known = self.known_frame(product.camera, product.frame_id)
        if known is not None:
            file.discard()
            return known
        try:
            self._room.place_product(file.priority)
            self._room.grow(file, len(manifest) + len(record))
            place = self._name(file, product, manifest, record)
        except BaseException:
            file.discard()
            raise
        try:
            with writing(self.folder):
                sync(self.folder)
            self._checkpoint("product named")
            with self._database.transaction():
                size = file.size + len(manifest) + len(record)
                self._insert(product, len(manifest), size, leases)
                self._checkpoint("product inserted")
        except Exception:
            self._remove(place)
            raise
        self._checkpoint("product committed")
        return product.id

    def known_frame(self, camera: str, frame_id: str) -> bytes | None:
        """The product that a camera's frame became; the last 10 000 that are gone are remembered.

        A frame id is its camera's own. A frame whose product was damaged is not known: it may be
        offered again.
        """
        return self._rows.of_frame(camera, frame_id)

    def get(self, product_id: bytes) -> Product | None:
        """A product that is stored and whole."""
        seq = self._rows.stored(product_id)
        return None if seq is None else self._rows.at(seq)

    # Leaving.

    def cancel(self, product_id: bytes) -> bool:
        """Give a product up, stored or damaged, whatever is being sent of it; False: no such one.

        Private data that was not delivered with it goes back into the queue.
        """
        seq = self._rows.with_files(product_id)
        if seq is None:
            return False
        with self._database.transaction():
            self.leave(seq, "cancelled")
        return True

    def droppable(self, priority: int) -> int:
        """Bytes of the products that `drop_lowest` could remove, one after another."""
        return self._rows.droppable(priority)

    def drop_lowest(self, priority: int) -> bool:
        """Remove the least important product, with a notice; False if there is none to remove.

        Damaged ones first; then those of the highest priority number, the oldest of them first.
        Never one that is being sent, never one that is more important than `priority`.
        """
        seq = self._rows.lowest(priority)
        if seq is None:
            return False
        product_id, frame_id, _ = self._rows.identity(seq)
        with self._database.transaction():
            self.leave(seq, "dropped")
            self._say(f"product {product_id.hex()} of frame {frame_id} dropped: the spool is full")
        return True

    def leave(self, seq: int, state: State) -> None:
        """A product goes, in the caller's transaction; its files once that is committed.

        What was delivered anywhere has been delivered, whatever becomes of the rest.
        """
        product_id, _, before = self._rows.identity(seq)
        delivered = self._release(seq)
        if before == "damaged":
            state = before
        elif delivered:
            state = "delivered"
        self._rows.set(seq, state, 0)
        self._database.afterwards(lambda: self._remove(self._place(product_id)))

    def find_fault(self, product_id: bytes) -> str | None:
        """What of a stored product is missing or has another size; None where nothing is.

        Raises OSError where the disk does not say.
        """
        sizes = self._rows.sizes(product_id)
        return None if sizes is None else fault_of_product(self._place(product_id), *sizes)

    def give_up(self, product_id: bytes, why: str) -> None:
        """A product cannot be read: its frame may be offered again."""
        seq = self._rows.stored(product_id)
        if seq is not None:
            with self._database.transaction():
                self.damage(seq, why, size_of_product(self._place(product_id)))

    def damage(self, seq: int, why: str, size: int) -> None:
        """A product cannot be sent: `size` bytes are left of it, to be looked at or cancelled."""
        self._release(seq)
        self._rows.set(seq, "damaged", size)
        self._say(f"product {self._rows.identity(seq)[0].hex()} is damaged: {why}")

    def adopt(self, product: Product, manifest_size: int, size: int, parts: Sequence[Part]) -> None:
        """Take up a product that has its folder already, in the caller's transaction."""
        leases = self._items.parts.still_free(parts)
        self._insert(product, manifest_size, size, leases)

    def adopt_damaged(self, product: Product, size: int, why: str) -> None:
        """Take up what is left of a product, in the caller's transaction."""
        self.damage(self._rows.insert(product, 0, size, "damaged"), why, size)

    def _insert(
        self, product: Product, manifest_size: int, size: int, leases: Sequence[Lease]
    ) -> None:
        seq = self._rows.insert(product, manifest_size, size, "stored")
        self._items.parts.carry(seq, leases)

    def _checked(
        self, file: ProductFile, product: Product, manifest: bytes, carried: Sequence[Part]
    ) -> bytes:
        file.require_open()
        if self._database.in_transaction:
            raise ValueError("a product is committed by itself")
        if (product.size, product.sha256) != (file.size, file.sha256):
            raise ValueError("the product's size or digest is not that of its file")
        if len(manifest) > MAX_MANIFEST_FILE:
            raise ValueError(f"a manifest of {len(manifest)} bytes")
        check_manifest(product, manifest)
        if self._rows.is_known(product.id):
            raise ValueError("the product's id is taken")
        return encode_record(Record(product, tuple(carried)))

    def _name(self, file: ProductFile, product: Product, manifest: bytes, record: bytes) -> str:
        place = self._place(product.id)
        with writing(self.folder):
            file.sync()
            self._checkpoint("data synced")
            write_synced(os.path.join(file.place, MANIFEST), manifest)
            write_synced(os.path.join(file.place, RECORD), record)
            sync(file.place)
            self._checkpoint("product synced")
            os.rename(file.place, place)
        file.close()
        self._checkpoint("product renamed")
        return place

    def _release(self, seq: int) -> bool:
        delivered = self._rows.is_delivered_somewhere(seq)
        self._items.release(seq, delivered)
        return delivered

    def _place(self, product_id: bytes) -> str:
        return os.path.join(self.folder, product_id.hex())

    def _remove(self, place: str) -> None:
        self._checkpoint("product left")
        try:
            remove(place)
        except OSError as error:  # gone at the next start
            self._notices.add(f"cannot remove {os.path.basename(place)}: {error.strerror}")

    def _say(self, line: str) -> None:
        self._database.afterwards(lambda: self._notices.add(line))


def _leases(file: ProductFile, carried: Sequence[Part]) -> list[Lease]:
    """What the file carries, and whose it is; raises ValueError for what it was not given."""
    given = {(lease.part.item_key, lease.part.offset): lease for lease in file.leases}
    leases = []
    for part in carried:
        lease = given.pop((part.item_key, part.offset), None)
        if lease is None or part.size > lease.part.size:
            raise ValueError(f"the file was not given {part}")
        leases.append(Lease(lease.item, part))
    return leases
