"""Rows of products: what is stored, what became of the rest.

`bytes` of a row are those of its files, 0 once they are gone.
"""

from __future__ import annotations

from typing import Literal

from onboard.spool.database import Database, Row
from onboard.spool.records import Product

HISTORY = 10_000
"""Products that are gone whose frames are remembered."""
State = Literal["stored", "damaged", "delivered", "cancelled", "dropped"]
_COLUMNS = (
    "id, frame_id, camera, captured_at, created_at, scheme, profile, priority, size, sha256"
)
_NOT_SENDING = (
    "NOT EXISTS (SELECT 1 FROM deliveries WHERE product = products.seq AND state = 'sending')"
)


class Rows:
    """Queries and changes of the table of products, within the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def insert(
        self, product: Product, manifest_size: int, size: int, state: State, *, first: bytes,
        answers: bool,
    ) -> int:
        """A product whose files have `size` bytes in all; one that is stored waits everywhere.

        `first` of the frame's products, `answers` if the camera is told this one: see schema.py.
        """
        seq = self._database.insert(
            f"INSERT INTO products ({_COLUMNS}, manifest_size, bytes, state, first, answers)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            product.id, product.frame_id, product.camera, product.captured_at, product.created_at,
            product.scheme, product.profile, product.priority, product.size, product.sha256,
            manifest_size, size, state, first, answers,
        )
        for destination in product.destinations if state == "stored" else ():
            self._database.insert(
                "INSERT INTO deliveries VALUES (?, ?, 'waiting', ?)",
                seq, destination, product.priority,
            )
        self._prune()
        return seq

    def set(self, seq: int, state: State, size: int) -> None:
        """What became of a product, and how many bytes are left of it; it is delivered no more."""
        self._database.change("DELETE FROM deliveries WHERE product = ?", seq)
        self._database.change(
            "UPDATE products SET state = ?, bytes = ? WHERE seq = ?", state, size, seq
        )

    def at(self, seq: int) -> Product:
        """The product of a row that is stored, its destinations in ascending order."""
        row = self._database.row(f"SELECT {_COLUMNS} FROM products WHERE seq = ?", seq)
        assert row is not None
        destinations = self._database.rows(
            "SELECT destination FROM deliveries WHERE product = ? ORDER BY destination", seq
        )
        product_id, frame_id, camera, captured, created, scheme, profile, priority = row[:8]
        return Product(
            product_id, frame_id, camera, captured, created, scheme, profile, priority,
            tuple(found for found, in destinations), *row[8:],
        )

    def stored(self, product_id: bytes) -> int | None:
        """The row of a product that is stored and whole."""
        found: int | None = self._database.value(
            "SELECT seq FROM products WHERE id = ? AND state = 'stored'", product_id
        )
        return found

    def sizes(self, product_id: bytes) -> tuple[int, int] | None:
        """Bytes of the data and the manifest of a product that is stored and whole."""
        row = self._database.row(
            "SELECT size, manifest_size FROM products WHERE id = ? AND state = 'stored'", product_id
        )
        return None if row is None else (row[0], row[1])

    def with_files(self, product_id: bytes) -> int | None:
        """The row of a product of which there are files, whole or damaged."""
        found: int | None = self._database.value(
            "SELECT seq FROM products WHERE id = ? AND bytes > 0", product_id
        )
        return found

    def of_frame(self, camera: str, frame_id: str) -> bytes | None:
        """The first product that a frame became, unless it or a share beside it was damaged."""
        found: bytes | None = self._database.value(
            "SELECT id FROM products WHERE camera = ? AND frame_id = ? AND answers = 1",
            camera, frame_id,
        )
        return found

    def forget_frame(self, seq: int) -> None:
        """The frame of this product may be offered again, whatever is there of it."""
        self._database.change(
            "UPDATE products SET answers = 0"
            " WHERE first = (SELECT first FROM products WHERE seq = ?)", seq,
        )

    def is_known(self, product_id: bytes) -> bool:
        """Whether a product has a row, stored or gone."""
        return self._database.row("SELECT 1 FROM products WHERE id = ?", product_id) is not None

    def is_delivered_somewhere(self, seq: int) -> bool:
        """Whether one of the product's deliveries is complete."""
        return self._database.row(
            "SELECT 1 FROM deliveries WHERE product = ? AND state = 'delivered'", seq
        ) is not None

    def identity(self, seq: int) -> tuple[bytes, str, State]:
        """A product's id, frame and state."""
        row = self._database.row("SELECT id, frame_id, state FROM products WHERE seq = ?", seq)
        assert row is not None
        return row[0], row[1], row[2]

    def every(self) -> list[Row]:
        """(seq, id, state, size, manifest size, bytes) of every product that is known."""
        return self._database.rows(
            "SELECT seq, id, state, size, manifest_size, bytes FROM products"
        )

    def droppable(self, priority: int) -> tuple[int, int]:
        """Bytes and number of all that `lowest` could name, one after another."""
        size, count = self._database.rows(
            "SELECT coalesce(sum(bytes), 0), count(*) FROM products WHERE bytes > 0"
            f" AND (state = 'damaged' OR priority >= ? AND {_NOT_SENDING})", priority,
        )[0]
        return size, count

    def lowest(self, priority: int) -> int | None:
        """The first to be dropped for something of this priority: see `Products.drop_lowest`."""
        found: int | None = self._database.value(
            "SELECT seq FROM products WHERE state = 'damaged' AND bytes > 0 ORDER BY seq LIMIT 1"
        ) or self._database.value(
            "SELECT seq FROM products WHERE state = 'stored' AND priority >= ?"
            f" AND {_NOT_SENDING} ORDER BY priority DESC, seq LIMIT 1", priority,
        )
        return found

    def _prune(self) -> None:
        """Forget the oldest that are gone, but no share while another of its frame is there."""
        self._database.change(
            "DELETE FROM products WHERE bytes = 0 AND seq <= (SELECT seq FROM products"
            " WHERE bytes = 0 ORDER BY seq DESC LIMIT 1 OFFSET ?) AND NOT EXISTS"
            " (SELECT 1 FROM products AS other WHERE other.first = products.first"
            " AND other.bytes > 0)", HISTORY,
        )
