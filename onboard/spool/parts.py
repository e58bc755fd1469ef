"""Which ranges of the items are carried, and by which product: rows of the table of parts.

A part without a product was delivered. What no part covers is still to be carried.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from occulta.link.cfdp.intervals import Intervals
from onboard.spool.database import Database
from onboard.spool.files import Lease
from onboard.spool.records import Part


class Parts:
    """Every change is made within the caller's transaction, and counted in the item's row."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def gaps(self, item: int, size: int, leases: Iterable[Lease]) -> list[tuple[int, int]]:
        """The ranges [start, end) of an item that are neither carried nor leased."""
        return list(self._taken(item, leases).gaps(0, size))

    def carry(self, product: int, leases: Sequence[Lease]) -> None:
        """A product carries these ranges; those of items given up meanwhile count for nothing."""
        for item, part in leases:
            if self._database.row("SELECT 1 FROM items WHERE seq = ? AND state = 'queued'", item):
                self._database.insert(
                    "INSERT INTO parts VALUES (?, ?, ?, ?)", item, part.offset, part.size, product
                )
                self._recount(item)

    def release(self, product: int, delivered: bool) -> list[int]:
        """A product goes: its parts are delivered, or free again. Returns the items concerned."""
        found = self._database.rows("SELECT DISTINCT item FROM parts WHERE product = ?", product)
        items = [item for item, in found]
        if delivered:
            self._database.change("UPDATE parts SET product = NULL WHERE product = ?", product)
        else:
            self._database.change("DELETE FROM parts WHERE product = ?", product)
        for item in items:
            self._recount(item)
        return items

    def is_delivered(self, item: int) -> bool:
        """Whether every byte of an item was delivered."""
        return self._database.row(
            "SELECT 1 FROM items WHERE seq = ? AND size = (SELECT coalesce(sum(size), 0)"
            " FROM parts WHERE item = items.seq AND product IS NULL)", item,
        ) is not None

    def still_free(self, parts: Sequence[Part]) -> list[Lease]:
        """Those ranges that lie within queued items and that nothing else carries."""
        leases: list[Lease] = []
        for part in parts:
            row = self._database.row(
                "SELECT seq, size FROM items WHERE key = ? AND state = 'queued'", part.item_key
            )
            if row is None or part.offset + part.size > row[1]:
                continue
            wanted = (part.offset, part.offset + part.size)
            if list(self._taken(row[0], leases).gaps(*wanted)) == [wanted]:
                leases.append(Lease(row[0], part))
        return leases

    def _taken(self, item: int, leases: Iterable[Lease]) -> Intervals:
        taken = Intervals(
            (start, end) for start, end in self._database.rows(
                "SELECT offset, offset + size FROM parts WHERE item = ? ORDER BY offset", item
            )
        )
        for leased, part in leases:
            if leased == item:
                taken.add(part.offset, part.offset + part.size)
        return taken

    def _recount(self, item: int) -> None:
        self._database.change(
            "UPDATE items SET carried = (SELECT coalesce(sum(size), 0) FROM parts WHERE item = seq)"
            " WHERE seq = ?", item,
        )
