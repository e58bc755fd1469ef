"""Private data on its way: sealed items in a queue, cut into pieces that products carry.

An item's next piece is its first range that no product carries and that no product in progress was
given. A product that goes without having been delivered gives back what it carried. An item leaves
the queue, and its file the disk, when all of it was delivered.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, cast

from occulta.errors import OccultaError, Reason
from occulta.link.messages import MAX_SIZE
from onboard.spool.database import Database, Row
from onboard.spool.files import (
    Checkpoint,
    Lease,
    PartialFile,
    Room,
    remove,
    sync,
    temporary_name,
    writing,
)
from onboard.spool.notices import Notices
from onboard.spool.parts import Parts
from onboard.spool.records import MAX_PARTS, Piece

HISTORY = 10_000
"""Delivered items whose keys are remembered."""
_KEY = r"(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,64}"
_FILE = re.compile(r"([A-Za-z0-9._-]{1,64})~([A-Za-z0-9._-]{1,64})~([1-9][0-9]{0,12})")
_MOST_IMPORTANT = 0


def is_item_key(key: str) -> bool:
    """Whether a text can name an item: as `occulta.link.messages.Name`."""
    return re.fullmatch(_KEY, key) is not None


def item_path(folder: Path, peer: str, key: str, size: int) -> str:
    """Where an item lies: the name says what the row says, for a start without rows."""
    return os.path.join(folder, f"{peer}~{key}~{size}")


def parse_name(name: str) -> tuple[str, str, int] | None:
    """The peer, key and size in the name of an item's file, None for any other name."""
    found = _FILE.fullmatch(name)
    return None if found is None else (found[1], found[2], int(found[3]))


class ItemFile(PartialFile):
    """A sealed item being written, of a size known before."""

    def __init__(self, peer: str, key: str, size: int, place: str, room: Room) -> None:
        super().__init__(place, place, room, _MOST_IMPORTANT, size)
        self.peer = peer
        self.key = key
        self.item_size = size

    def write(self, data: bytes) -> None:
        """Append; raises ValueError beyond the item's size, OccultaError as of `PartialFile`."""
        if self.size + len(data) > self.item_size:
            raise ValueError(f"more than the {self.item_size} bytes of {self.key}")
        super().write(data)


class Items:
    """The queue of sealed items, oldest first; files in `folder`, `<peer>~<key>~<size>`.

    A key is one item's alone, whichever peer sent it: on the ground items are joined by their keys.

    At most `max_items` and `max_bytes` are queued, files in progress included. Where the spool
    drops products to make room, an item counts as important as the most important product.
    """

    def __init__(
        self, folder: Path, database: Database, room: Room, notices: Notices, *,
        max_items: int, max_bytes: int, checkpoint: Checkpoint,
    ) -> None:
        self.folder = folder
        self.parts = Parts(database)
        self._database = database
        self._room = room
        self._notices = notices
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._checkpoint = checkpoint
        self._trouble = ""

    def known(self, key: str) -> Literal["queued", "delivered"] | None:
        """What became of an item; the last 10 000 delivered ones are remembered."""
        state = self._database.value("SELECT state FROM items WHERE key = ?", key)
        return cast(Literal["queued", "delivered"] | None, state)

    def owner(self, key: str) -> str | None:
        """The peer that sent the item known under a key."""
        peer: str | None = self._database.value("SELECT peer FROM items WHERE key = ?", key)
        return peer

    def begin(self, peer: str, key: str, size: int) -> ItemFile:
        """A file for a peer's item of `size` bytes as sealed.

        Raises OccultaError: SPOOL_FULL, DISK_FULL or OUTPUT_UNWRITABLE; ValueError for what can be
        no name, key or size.
        """
        if not is_item_key(peer) or not is_item_key(key) or not 1 <= size <= MAX_SIZE:
            raise ValueError(f"no item {key!r} of {size} bytes from {peer!r}")
        self._admit(size)
        self._room.admit(size, _MOST_IMPORTANT)
        with writing(self.folder):
            place = os.path.join(self.folder, temporary_name())
            return ItemFile(peer, key, size, place, self._room)

    def commit(self, file: ItemFile) -> None:
        """Queue the item: its file is durable first, then its row. The file is closed.

        An item that is queued already under this key stays as it is. Raises OccultaError:
        BAD_INTAKE where the key is another peer's, DISK_FULL or OUTPUT_UNWRITABLE, after which
        nothing is left of it; ValueError for a file that is incomplete, or inside a transaction.
        """
        self._require_complete(file)
        if self.owner(file.key) not in (None, file.peer):
            file.discard()
            raise OccultaError(Reason.BAD_INTAKE, f"the id {file.key} is another program's")
        if self.known(file.key) == "queued":
            file.discard()
            return
        try:
            place = self._name(file)
        except BaseException:
            file.discard()
            raise
        try:
            with writing(self.folder):
                sync(self.folder)
            self._checkpoint("item named")
            with self._database.transaction():
                self._replace(file.peer, file.key, file.item_size)
                self._checkpoint("item inserted")
        except Exception:
            self._unlink(place)
            raise
        self._checkpoint("item committed")

    def next_pieces(self, file: PartialFile, room: int, overhead: int) -> list[Piece]:
        """The queue's next bytes for a product in progress, read into memory.

        `room` bytes at most, with `overhead` bytes for each piece; at most 1024 pieces. They are
        given to no other file until this one is committed or discarded. An item whose file is
        missing or of another size is given up, with a notice; one that cannot be read now stays.
        """
        file.require_open()
        pieces: list[Piece] = []
        for item, peer, key, size in self._open_items():
            leases = [lease for other in self._room.files for lease in other.leases]
            for start, end in self.parts.gaps(item, size, leases):
                fits = min(end - start, room - overhead)
                if fits < 1 or len(file.leases) == MAX_PARTS:
                    return pieces
                path = item_path(self.folder, peer, key, size)
                data = self._read(path, (key, size), start, fits)
                if data is None:
                    break
                piece = Piece(key, start, size, data)
                file.leases.append(Lease(item, piece.part))
                pieces.append(piece)
                room -= overhead + fits
        return pieces

    @property
    def given_bytes(self) -> int:
        """What products in progress were given, which hold it in memory."""
        return sum(lease.part.size for file in self._room.files for lease in file.leases)

    def release(self, product: int, delivered: bool) -> None:
        """A product goes, in the caller's transaction: see `Parts.release`.

        An item of which every byte was delivered leaves the queue.
        """
        for item in self.parts.release(product, delivered):
            if self.parts.is_delivered(item):
                self._finish(item)

    # What a start finds on the disk.

    def rows(self) -> list[Row]:
        """(peer, key, size, state) of every item that is known."""
        return self._database.rows("SELECT peer, key, size, state FROM items")

    def adopt(self, peer: str, key: str, size: int) -> None:
        """Queue a file that has its name already."""
        self._replace(peer, key, size)

    def give_up(self, key: str, why: str) -> None:
        """Forget an item whose file is damaged; offered again, it is new."""
        peer, size = self._database.rows("SELECT peer, size FROM items WHERE key = ?", key)[0]
        self._database.change("DELETE FROM items WHERE key = ?", key)
        self._database.afterwards(lambda: self._notices.add(f"item {key} is lost: {why}"))
        self._database.afterwards(lambda: self._unlink(item_path(self.folder, peer, key, size)))

    def _admit(self, size: int) -> None:
        count, stored = self._database.rows(
            "SELECT count(*), coalesce(sum(size), 0) FROM items WHERE state = 'queued'"
        )[0]
        files = [file for file in self._room.files if isinstance(file, ItemFile)]
        if count + len(files) >= self._max_items:
            raise OccultaError(Reason.SPOOL_FULL, f"{count} items of private data are queued")
        if stored + sum(file.item_size for file in files) + size > self._max_bytes:
            raise OccultaError(Reason.SPOOL_FULL, f"{stored} bytes of private data are queued")

    def _require_complete(self, file: ItemFile) -> None:
        file.require_open()
        if file.size != file.item_size:
            raise ValueError(f"{file.size} of {file.item_size} bytes of {file.key}")
        if self._database.in_transaction:
            raise ValueError("an item is committed by itself")

    def _name(self, file: ItemFile) -> str:
        with writing(self.folder):
            file.sync()
            self._checkpoint("item synced")
            place = item_path(self.folder, file.peer, file.key, file.item_size)
            os.rename(file.place, place)
        file.close()
        self._checkpoint("item renamed")
        return place

    def _replace(self, peer: str, key: str, size: int) -> None:
        """The row; one of an item delivered before under the same key goes."""
        self._database.change("DELETE FROM items WHERE key = ?", key)
        self._database.insert(
            "INSERT INTO items (peer, key, size, carried, state) VALUES (?, ?, ?, 0, 'queued')",
            peer, key, size,
        )
        self._database.change(
            "DELETE FROM items WHERE state = 'delivered' AND seq <= (SELECT seq FROM items"
            " WHERE state = 'delivered' ORDER BY seq DESC LIMIT 1 OFFSET ?)", HISTORY,
        )

    def _open_items(self) -> Iterator[tuple[int, str, str, int]]:
        """(seq, peer, key, size) of items not carried whole, one query each: they may change."""
        last = 0
        while row := self._database.row(
            "SELECT seq, peer, key, size FROM items"
            " WHERE state = 'queued' AND carried < size AND seq > ? ORDER BY seq LIMIT 1", last,
        ):
            last, peer, key, size = row
            yield last, peer, key, size

    def _read(self, path: str, item: tuple[str, int], offset: int, size: int) -> bytes | None:
        key, item_size = item
        try:
            with open(path, "rb", buffering=0) as stream:
                found = os.fstat(stream.fileno()).st_size
                data = os.pread(stream.fileno(), size, offset)
        except FileNotFoundError:
            self.give_up(key, "its file is missing")
            return None
        except OSError as error:  # no descriptor, no memory, a bus: the file may be whole
            self._note_trouble(f"item {key} waits: cannot read it: {error.strerror}")
            return None
        if found != item_size:
            self.give_up(key, f"its file has {found} bytes, not {item_size}")
            return None
        self._trouble = ""
        return data if len(data) == size else None

    def _note_trouble(self, line: str) -> None:
        """Once, not for each frame that goes without the item."""
        if line != self._trouble:
            self._trouble = line
            self._notices.add(line)

    def _finish(self, item: int) -> None:
        peer, key, size = self._database.rows(
            "SELECT peer, key, size FROM items WHERE seq = ?", item
        )[0]
        self._database.change("DELETE FROM parts WHERE item = ?", item)
        self._database.change(
            "UPDATE items SET state = 'delivered', carried = size WHERE seq = ?", item
        )
        self._database.afterwards(lambda: self._unlink(item_path(self.folder, peer, key, size)))

    def _unlink(self, place: str) -> None:
        self._checkpoint("item left")
        try:
            remove(place)
        except OSError as error:  # gone at the next start
            self._notices.add(f"cannot remove {os.path.basename(place)}: {error.strerror}")
