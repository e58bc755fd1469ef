"""The spool: everything that the daemon must not lose, in one folder.

    spool.db                what is stored and what became of it; state of other machines
    products/<32 hex>/      data, manifest, record
    items/<peer>~<key>~<size>
                            sealed private data
    lock                    held while the spool is open

One process, one thread. Nothing has its name before it is whole and durable; a row follows its
file, an acknowledgement follows its row. The spool needs no clock: products and items are as old as
their order says.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal, Self, get_args

from occulta.program.lock import lock
from onboard.spool.database import Database
from onboard.spool.deliveries import Deliveries
from onboard.spool.files import Checkpoint, Room, sweep, sync, writing
from onboard.spool.items import Items
from onboard.spool.notices import Notices
from onboard.spool.products import Products
from onboard.spool.rebuild import open_database
from onboard.spool.reconcile import reconcile
from onboard.spool.records import Counts
from onboard.spool.rows import Rows
from onboard.spool.state import State

WhenFull = Literal["refuse", "drop-lowest"]
"""At a limit: take nothing more, or remove the least important products for what comes."""


class Spool:
    """Products, their deliveries, the queue of items, and the state of other machines."""

    products: Products
    deliveries: Deliveries
    items: Items
    state: State

    def __init__(
        self, folder: Path, *, max_bytes: int, max_products: int, max_items: int,
        when_full: WhenFull = "refuse",
        max_item_bytes: int | None = None, checkpoint: Checkpoint = lambda step: None,
    ) -> None:
        """Open the spool in `folder`, made if need be, and mend what a crash left.

        `max_bytes` bounds all files together, `max_products` the products. `max_items` and
        `max_item_bytes` (half of `max_bytes` if not given) bound the queue, so that private data
        never takes the room of the products that are to carry it. `checkpoint` is told each step
        by which something becomes durable. Raises OccultaError: OUTPUT_UNWRITABLE, also where
        another process has the spool open, or DISK_FULL; ValueError for limits that make no sense.
        """
        if min(max_bytes, max_products, max_items) < 0 or when_full not in get_args(WhenFull):
            raise ValueError("limits are not negative, when_full is refuse or drop-lowest")
        item_bytes = max_bytes // 2 if max_item_bytes is None else max_item_bytes
        self._notices = Notices()
        held = lock(folder, "daemon")
        try:
            def make_room(database: Database) -> Room:
                return Room(folder, database, max_bytes, max_products)

            self._open(folder, make_room, max_items, item_bytes, when_full, checkpoint)
        except BaseException:
            os.close(held)
            raise
        self._lock: int | None = held

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Discard files in progress, and let another process open the spool."""
        for file in list(self._room.files):
            file.discard()
        self._database.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def transaction(self) -> AbstractContextManager[None]:
        """Changes of deliveries and state made inside stand together, or not at all.

        Products and items are committed each by itself, outside.
        """
        return self._database.transaction()

    def note(self, line: str) -> None:
        """Have the operator know something of what the spool holds."""
        self._notices.add(line)

    def take_notices(self) -> list[str]:
        """What the operator should know since the last call: a line each, the last 1000."""
        return self._notices.take()

    def counts(self) -> Counts:
        """How full it is."""
        value = self._database.value
        return Counts(
            products=value("SELECT count(*) FROM products WHERE state = 'stored'"),
            damaged=value("SELECT count(*) FROM products WHERE state = 'damaged' AND bytes > 0"),
            waiting=value("SELECT count(*) FROM deliveries WHERE state = 'waiting'"),
            sending=value("SELECT count(*) FROM deliveries WHERE state = 'sending'"),
            items=value("SELECT count(*) FROM items WHERE state = 'queued'"),
            private_bytes=value(
                "SELECT coalesce(sum(size - carried), 0) FROM items WHERE state = 'queued'"
            ),
            bytes=self._room.used,
        )

    def _open(
        self, folder: Path, make_room: Callable[[Database], Room], max_items: int,
        item_bytes: int, when_full: WhenFull, checkpoint: Checkpoint,
    ) -> None:
        places = folder / "products", folder / "items"
        with writing(folder):
            for place in places:
                place.mkdir(0o700, exist_ok=True)
            sync(folder)
            for place in places:
                sweep(place)
        self._database = database = open_database(folder, self._notices)
        try:
            self._room = room = make_room(database)
            self.items = Items(
                places[1], database, room, self._notices, max_items=max_items,
                max_bytes=item_bytes, checkpoint=checkpoint,
            )
            rows = Rows(database)
            self.products = Products(
                places[0], database, rows, room, self.items,
                notices=self._notices, checkpoint=checkpoint,
            )
            self.deliveries = Deliveries(database, rows, self.products)
            self.state = State(database)
            if when_full == "drop-lowest":
                room.policy = self.products
            reconcile(database, rows, self.products, self.items, self._notices)
        except BaseException:
            database.close()
            raise
