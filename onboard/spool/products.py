"""Products: a folder each with data, manifest and record, and a row that says what became of it.

The folder is complete and durable before it takes its name, and has its name before the row is
committed (folders.py): a named folder is a whole product. One without a row, after a crash, is
taken up again. A frame becomes one product, or several shares, whose rows are committed as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from onboard.spool.database import Database
from onboard.spool.files import Checkpoint, Lease, Room, fault_of_product, size_of_product
from onboard.spool.folders import Entry, Folders, ProductFile, ShareFiles
from onboard.spool.items import Items
from onboard.spool.notices import Notices
from onboard.spool.records import (
    MAX_MANIFEST_FILE,
    Part,
    Product,
    Record,
    check_manifest,
    encode_record,
)
from onboard.spool.rows import Rows, State


class Products:
    """Stored products, in `folder / <id in hex>`."""

    def __init__(
        self, folder: Path, database: Database, rows: Rows, room: Room, items: Items, *,
        notices: Notices, checkpoint: Checkpoint,
    ) -> None:
        self.folder = folder
        self._folders = Folders(folder, room, notices, checkpoint)
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
        self._room.admit_products(1, priority)
        return self._folders.begin(declared or 0, priority)

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
        record = self._checked(file, manifest, Record(product, tuple(carried)))
        entry = Entry(file, product, manifest, record, product.id, _leases(file, carried))
        known = self.known_frame(product.camera, product.frame_id)
        if known is not None:
            file.discard()
            return known
        try:
            self._make_room([entry])
            self._folders.name(entry)
        except BaseException:
            file.discard()
            raise
        try:
            self._enter([entry])
        except Exception:
            self._folders.remove(self._folders.place(product.id))
            raise
        self._checkpoint("product committed")
        return product.id

    def begin_shares(
        self, ids: Sequence[bytes], declared: Sequence[int], priority: int
    ) -> ShareFiles:
        """Files for the products that one frame becomes together, with these ids.

        `declared` are the bytes of each, about. Raises OccultaError as `begin` does.
        """
        self._room.admit(sum(declared), priority)
        self._room.admit_products(len(ids), priority)
        return self._folders.begin_shares(ids, declared, priority)

    def commit_shares(
        self, shares: ShareFiles, products: Sequence[Product], manifests: Sequence[bytes]
    ) -> bytes:
        """Make all products of a frame durable, or none; returns the id of the first.

        In the order of the ids that the files were begun with; each has one file, one manifest and
        its own destinations. As `commit` for all else: where the frame is stored already, the id is
        that of its first product.
        """
        ids = tuple(product.id for product in products)
        records = [
            self._checked(file, manifest, Record(product, (), ids))
            for file, product, manifest in zip(shares.files, products, manifests, strict=True)
        ]
        entries = [
            Entry(*parts, ids[0])
            for parts in zip(shares.files, products, manifests, records, strict=True)
        ]
        known = self.known_frame(products[0].camera, products[0].frame_id)
        if known is not None:
            shares.discard()
            return known
        try:
            self._make_room(entries)
            packed = self._folders.name_together(shares, entries)
        except BaseException:
            shares.discard()
            raise
        try:
            self._folders.part(packed)
            self._enter(entries)
        except Exception:
            self._folders.take_back(packed, ids)
            raise
        self._checkpoint("product committed")
        return ids[0]

    def known_frame(self, camera: str, frame_id: str) -> bytes | None:
        """The product that a camera's frame became, of several the first; the last 10 000 that are
        gone are remembered.

        A frame id is its camera's own. A frame of which a product was damaged is not known: it may
        be offered again.
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

    def droppable(self, priority: int) -> tuple[int, int]:
        """Bytes and number of the products that `drop_lowest` could remove, one after another."""
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
        place = self._folders.place(product_id)
        self._database.afterwards(lambda: self._folders.remove(place))

    def find_fault(self, product_id: bytes) -> str | None:
        """What of a stored product is missing or has another size; None where nothing is.

        Raises OSError where the disk does not say.
        """
        sizes = self._rows.sizes(product_id)
        return None if sizes is None else fault_of_product(self._folders.place(product_id), *sizes)

    def give_up(self, product_id: bytes, why: str) -> None:
        """A product cannot be read: its frame may be offered again."""
        seq = self._rows.stored(product_id)
        if seq is not None:
            with self._database.transaction():
                self.damage(seq, why, size_of_product(self._folders.place(product_id)))

    def damage(self, seq: int, why: str, size: int) -> None:
        """A product cannot be sent: `size` bytes are left of it, to be looked at or cancelled."""
        self._release(seq)
        self._rows.set(seq, "damaged", size)
        self._rows.forget_frame(seq)
        self._say(f"product {self._rows.identity(seq)[0].hex()} is damaged: {why}")

    def adopt(self, record: Record, manifest_size: int, size: int, is_whole: bool) -> None:
        """Take up a product that has its folder already, in the caller's transaction.

        `is_whole` where all shares beside it are there: else its frame may be offered again.
        """
        product = record.product
        answers = is_whole and record.first == product.id
        seq = self._rows.insert(
            product, manifest_size, size, "stored", first=record.first, answers=answers
        )
        self._items.parts.carry(seq, self._items.parts.still_free(record.parts))

    def adopt_damaged(self, product: Product, first: bytes, size: int, why: str) -> None:
        """Take up what is left of a product, in the caller's transaction."""
        seq = self._rows.insert(product, 0, size, "damaged", first=first, answers=False)
        self.damage(seq, why, size)

    def _make_room(self, entries: Sequence[Entry]) -> None:
        file = entries[0].file
        self._room.place_products(len(entries), file.priority)
        self._room.grow(file, sum(entry.extra for entry in entries))

    def _enter(self, entries: Sequence[Entry]) -> None:
        """Make names durable, then the rows, all in one transaction."""
        self._folders.sync()
        self._checkpoint("product named")
        with self._database.transaction():
            for entry in entries:
                seq = self._rows.insert(
                    entry.product, len(entry.manifest), entry.size, "stored", first=entry.first,
                    answers=entry.first == entry.product.id,
                )
                self._items.parts.carry(seq, entry.leases)
            self._checkpoint("product inserted")

    def _checked(self, file: ProductFile, manifest: bytes, record: Record) -> bytes:
        product = record.product
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
        return encode_record(record)

    def _release(self, seq: int) -> bool:
        delivered = self._rows.is_delivered_somewhere(seq)
        self._items.release(seq, delivered)
        return delivered

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
