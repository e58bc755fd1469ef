"""Deliveries: each product once for each of its destinations, by priority, then by age."""

from __future__ import annotations

from collections.abc import Collection

from onboard.spool.database import Database
from onboard.spool.products import Products
from onboard.spool.records import Product
from onboard.spool.rows import Rows

_EVERYWHERE = -1
"""In the table of holds: all destinations."""


class Deliveries:
    """What waits for a destination, is being sent to it, and was delivered.

    The verbs that follow a transfer return False, and do nothing, where the product is gone or
    damaged or its delivery is over: a transfer may end after its product was cancelled.
    """

    def __init__(self, database: Database, rows: Rows, products: Products) -> None:
        self._database = database
        self._rows = rows
        self._products = products

    def next_waiting(
        self, destination: int, besides: Collection[bytes] = ()
    ) -> Product | None:
        """The most important product that waits for a destination, the oldest of them; None while
        it is held. Products `besides` are passed over.
        """
        if self.is_held(destination):
            return None
        seq = self._database.value(
            "SELECT product FROM deliveries WHERE destination = ? AND state = 'waiting'"
            f" AND product NOT IN (SELECT seq FROM products WHERE id IN ({_marks(besides)}))"
            " ORDER BY priority, product LIMIT 1", destination, *besides,
        )
        return None if seq is None else self._rows.at(seq)

    def sending(self) -> list[tuple[bytes, int]]:
        """(product id, destination) of all that is being sent, as it was before a restart."""
        rows = self._database.rows(
            "SELECT id, destination FROM deliveries JOIN products ON product = seq"
            " WHERE deliveries.state = 'sending' ORDER BY seq, destination"
        )
        return [(bytes(product_id), destination) for product_id, destination in rows]

    def mark_sending(self, product_id: bytes, destination: int) -> bool:
        """A transfer has begun."""
        return self._move(product_id, destination, "waiting", "sending")

    def mark_waiting(self, product_id: bytes, destination: int) -> bool:
        """A transfer has failed: it is to begin again."""
        return self._move(product_id, destination, "sending", "waiting")

    def mark_delivered(self, product_id: bytes, destination: int) -> bool:
        """A transfer is complete. After the last one the product's files are removed."""
        with self._database.transaction():
            if not self._move(product_id, destination, "sending", "delivered"):
                return False
            seq = self._rows.stored(product_id)
            assert seq is not None
            self._end(seq)
        return True

    def purge(self, priority: int) -> int:
        """Cancel everything that waits with this priority number or a higher one.

        What is being sent goes on. Returns how many deliveries were cancelled.
        """
        with self._database.transaction():
            rows = self._database.rows(
                "SELECT DISTINCT product FROM deliveries"
                " WHERE state = 'waiting' AND priority >= ?", priority,
            )
            cancelled = self._database.change(
                "UPDATE deliveries SET state = 'cancelled'"
                " WHERE state = 'waiting' AND priority >= ?", priority,
            )
            for (seq,) in rows:
                self._end(seq)
        return cancelled

    def cancel_elsewhere(self, destinations: Collection[int]) -> int:
        """Cancel what was to go to any but these destinations; how many deliveries that were."""
        elsewhere = (
            f"state IN ('waiting', 'sending') AND destination NOT IN ({_marks(destinations)})"
        )
        with self._database.transaction():
            rows = self._database.rows(
                f"SELECT DISTINCT product FROM deliveries WHERE {elsewhere}", *destinations
            )
            cancelled = self._database.change(
                f"UPDATE deliveries SET state = 'cancelled' WHERE {elsewhere}", *destinations
            )
            for (seq,) in rows:
                self._end(seq)
        return cancelled

    def set_priority(self, product_id: bytes, priority: int) -> bool:
        """Change a stored product's priority, 0..255; False: no such one; raises ValueError."""
        if not 0 <= priority <= 255:
            raise ValueError(f"priority {priority} is not one of 0..255")
        seq = self._rows.stored(product_id)
        if seq is None:
            return False
        with self._database.transaction():
            for statement in (
                "UPDATE products SET priority = ? WHERE seq = ?",
                "UPDATE deliveries SET priority = ? WHERE product = ?",
            ):
                self._database.change(statement, priority, seq)
        return True

    def hold(self, destination: int | None) -> None:
        """Begin nothing more towards a destination, or towards any, across restarts too."""
        self._database.change(
            "INSERT OR IGNORE INTO holds VALUES (?)",
            _EVERYWHERE if destination is None else destination,
        )

    def hold_shares(self, destination: int) -> bool:
        """Hold a destination that shares are to go to, those being sent too; False: there are none.

        The transfers of what was being sent are the caller's to end.
        """
        found = self._database.row(
            "SELECT 1 FROM deliveries JOIN products ON product = seq WHERE destination = ?"
            " AND deliveries.state IN ('waiting', 'sending') AND scheme = 'shares'", destination,
        )
        if found is None:
            return False
        with self._database.transaction():
            self.hold(destination)
            self._database.change(
                "UPDATE deliveries SET state = 'waiting' WHERE destination = ?"
                " AND state = 'sending'", destination,
            )
        return True

    def resume(self, destination: int | None) -> None:
        """End a hold; None ends all. A hold of everything is ended by None only."""
        if destination is None:
            self._database.change("DELETE FROM holds")
        else:
            self._database.change("DELETE FROM holds WHERE destination = ?", destination)

    def is_held(self, destination: int) -> bool:
        """Whether nothing is to begin towards a destination."""
        return self._database.row(
            "SELECT 1 FROM holds WHERE destination IN (?, ?)", destination, _EVERYWHERE
        ) is not None

    def _move(self, product_id: bytes, destination: int, before: str, after: str) -> bool:
        return self._database.change(
            "UPDATE deliveries SET state = ? WHERE destination = ? AND state = ?"
            " AND product = (SELECT seq FROM products WHERE id = ?)",
            after, destination, before, product_id,
        ) == 1

    def _end(self, seq: int) -> None:
        if not self._database.row(
            "SELECT 1 FROM deliveries WHERE product = ? AND state IN ('waiting', 'sending')", seq
        ):
            self._products.leave(seq, "cancelled")


def _marks(values: Collection[object]) -> str:
    """Placeholders of as many values."""
    return ", ".join("?" * len(values))
