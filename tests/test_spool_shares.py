"""Shares of one frame in the spool: several products, each for its own destination, as one.

The camera is told that its frame is stored only while none of them is lost; bytes and numbers of
all of them count. One of them leaves by itself. test_spool_shares_crashes.py has the crashes.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from msgspec import structs

from occulta.errors import Reason
from onboard.spool import Product, Spool
from onboard.spool import rows as product_rows
from tests.spool_support import (
    CAMERA,
    GROUND,
    OTHER,
    data_of,
    deliver,
    manifest_of,
    names,
    open_spool,
    product_of,
    refused,
    store,
    waiting,
)

THIRD = 4
FRAME = "frame"
refusal = contextmanager(refused)


def shares_of(
    *numbers: int, frame: str = FRAME, priority: int = 100, size: int = 50
) -> list[Product]:
    """Products of one frame, each for a destination of its own."""
    return [
        structs.replace(product_of(n, bytes([n]) * size, priority, (destination,), frame),
                        scheme="shares", profile="jpeg")
        for n, destination in zip(numbers, (GROUND, OTHER, THIRD), strict=False)
    ]


def store_shares(spool: Spool, products: list[Product]) -> bytes:
    """Store them; the id that the frame has."""
    ids = [product.id for product in products]
    shares = spool.products.begin_shares(ids, [p.size for p in products], products[0].priority)
    try:
        for product, file in zip(products, shares.files, strict=True):
            file.write(bytes([product.id[-1]]) * product.size)
        return spool.products.commit_shares(shares, products, list(map(manifest_of, products)))
    finally:
        shares.discard()


def waiting_anywhere(spool: Spool) -> list[Product]:
    return [product for number in (GROUND, OTHER, THIRD) for product in waiting(spool, number)]


def known(spool: Spool, frame: str = FRAME) -> bytes | None:
    return spool.products.known_frame(CAMERA, frame)


# --- what is stored


def test_each_share_is_a_product_for_its_own_destination(tmp_path: Path) -> None:
    with open_spool(tmp_path) as spool:
        products = shares_of(1, 2, 3)
        assert store_shares(spool, products) == products[0].id == known(spool)
        for destination, product in zip((GROUND, OTHER, THIRD), products, strict=True):
            assert waiting(spool, destination) == [product]
            assert spool.products.get(product.id) == product
            assert data_of(spool, product) == bytes([product.id[-1]]) * 50
        counts = spool.counts()
        files = [path for path in spool.products.folder.rglob("*") if path.is_file()]
        assert (counts.products, counts.waiting, len(files)) == (3, 3, 9)
        assert counts.bytes == sum(path.stat().st_size for path in files)
        assert names(spool.products.folder) == {product.id.hex() for product in products}


def test_a_frame_offered_again_is_not_stored_twice(tmp_path: Path) -> None:
    with open_spool(tmp_path) as spool:
        first, again = shares_of(1, 2), shares_of(3, 4)
        assert store_shares(spool, first) == store_shares(spool, again) == first[0].id
        store(spool, 5)
        assert store_shares(spool, shares_of(6, 7, frame="frame-5")) == product_of(5, b"").id
        assert waiting_anywhere(spool) == [first[0], product_of(5, bytes([5]) * 100), first[1]]


def test_misuse(tmp_path: Path) -> None:
    with open_spool(tmp_path) as spool:
        one, two = shares_of(1, 2)
        shares = spool.products.begin_shares([two.id, one.id], [0, 0], 100)
        for file, product in zip(shares.files, (one, two), strict=True):
            file.write(bytes([product.id[-1]]) * 50)
        with pytest.raises(ValueError, match="another id"):
            spool.products.commit_shares(shares, [one, two], [manifest_of(one), manifest_of(two)])
        assert names(spool.products.folder) == set()
        shares = spool.products.begin_shares([one.id, two.id], [0, 0], 100)
        with pytest.raises(ValueError, match="size or digest"):
            spool.products.commit_shares(shares, [one, two], [manifest_of(one), manifest_of(two)])
        shares.discard()
        shares.discard()
        assert names(spool.products.folder) == set()


# --- what becomes of one of them


def test_each_leaves_by_itself(tmp_path: Path) -> None:
    with open_spool(tmp_path) as spool:
        one, two, three = products = shares_of(1, 2, 3)
        store_shares(spool, products)
        deliver(spool, one, GROUND)
        assert spool.products.cancel(two.id)
        assert spool.deliveries.set_priority(three.id, 7)
        assert [product.priority for product in waiting_anywhere(spool)] == [7]
        assert names(spool.products.folder) == {three.id.hex()}
        assert known(spool) == one.id
        assert spool.deliveries.purge(7) == 1
        assert names(spool.products.folder) == set() and known(spool) == one.id


@pytest.mark.parametrize("lost", [0, 1])
def test_a_frame_with_a_damaged_share_may_come_again(tmp_path: Path, lost: int) -> None:
    with open_spool(tmp_path) as spool:
        products = shares_of(1, 2)
        store_shares(spool, products)
        spool.products.give_up(products[lost].id, "unreadable")
        left = products[1 - lost]
        assert known(spool) is None and waiting_anywhere(spool) == [left]
        again = shares_of(3, 4)
        assert store_shares(spool, again) == again[0].id == known(spool)
    with open_spool(tmp_path) as spool:
        found = waiting_anywhere(spool)
        assert sorted(product.id for product in found) == sorted(
            product.id for product in (left, *again)
        )
        assert known(spool) == again[0].id


def test_a_share_whose_file_is_gone_at_the_start(tmp_path: Path) -> None:
    with open_spool(tmp_path) as spool:
        one, two = products = shares_of(1, 2)
        store_shares(spool, products)
    (tmp_path / "products" / two.id.hex() / "data").unlink()
    with open_spool(tmp_path) as spool:
        assert known(spool) is None and waiting_anywhere(spool) == [one]
        assert spool.counts().damaged == 1


# --- a lost database


def test_a_lost_database(tmp_path: Path) -> None:
    with open_spool(tmp_path) as spool:
        products = shares_of(1, 2, 3)
        store_shares(spool, products)
        store(spool, 9)
    (tmp_path / "spool.db").unlink()
    with open_spool(tmp_path) as spool:
        assert known(spool) == products[0].id
        assert [p.id[-1] for p in waiting_anywhere(spool)] == [1, 9, 2, 3]
        assert "products taken up again: 4" in spool.take_notices()


@pytest.mark.parametrize("delivered", [0, 1])
def test_the_others_are_kept_where_one_was_delivered(tmp_path: Path, delivered: int) -> None:
    """Nothing acknowledged is lost, and the camera is not told more than is known."""
    with open_spool(tmp_path) as spool:
        products = shares_of(1, 2)
        store_shares(spool, products)
        deliver(spool, products[delivered], (GROUND, OTHER)[delivered])
    (tmp_path / "spool.db").unlink()
    left = products[1 - delivered]
    with open_spool(tmp_path) as spool:
        assert waiting_anywhere(spool) == [left]
        assert known(spool) is None
        again = shares_of(3, 4)
        assert store_shares(spool, again) == known(spool) == again[0].id
    (tmp_path / "spool.db").unlink()
    with open_spool(tmp_path) as spool:
        assert known(spool) == again[0].id
        assert {product.id for product in waiting_anywhere(spool)} == {
            product.id for product in (left, *again)
        }


def test_a_damaged_share_without_a_row(tmp_path: Path) -> None:
    with open_spool(tmp_path) as spool:
        one, two = products = shares_of(1, 2)
        store_shares(spool, products)
    (tmp_path / "spool.db").unlink()
    (tmp_path / "products" / one.id.hex() / "data").write_bytes(b"x" * 50)
    with open_spool(tmp_path) as spool:
        assert known(spool) is None and waiting_anywhere(spool) == [two]
        assert spool.counts().damaged == 1


@pytest.mark.parametrize("statement", [
    "UPDATE products SET first = randomblob(16) WHERE seq = 2",
    "UPDATE products SET answers = 2 WHERE seq = 1",
    "UPDATE deliveries SET destination = 2 WHERE product = 2",
])
def test_rows_that_say_something_else(tmp_path: Path, statement: str) -> None:
    """Above all no other destination than the one in the record."""
    with open_spool(tmp_path) as spool:
        products = shares_of(1, 2)
        store_shares(spool, products)
    with closing(sqlite3.connect(tmp_path / "spool.db")) as connection, connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        assert connection.execute(statement).rowcount == 1
    with open_spool(tmp_path) as spool:
        assert spool.take_notices()[0].startswith("spool.db is damaged (")
        assert waiting_anywhere(spool) == products
        assert known(spool) == products[0].id


# --- quotas


def test_all_of_them_count_as_products(tmp_path: Path) -> None:
    with open_spool(tmp_path, max_products=4) as spool:
        store_shares(spool, shares_of(1, 2))
        with refusal(Reason.SPOOL_FULL):
            spool.products.begin_shares([p.id for p in shares_of(3, 4, 5)], [0] * 3, 1)
        progress = spool.products.begin_shares([p.id for p in shares_of(3, 4)], [0, 0], 1)
        with refusal(Reason.SPOOL_FULL):
            spool.products.begin(0, 1)
        progress.discard()
        store_shares(spool, shares_of(3, 4, frame="other"))
        assert spool.counts().products == 4


def test_all_of_them_count_in_bytes(tmp_path: Path) -> None:
    with open_spool(tmp_path, max_bytes=10_000) as spool:
        ids = [product.id for product in shares_of(1, 2)]
        with refusal(Reason.SPOOL_FULL):
            spool.products.begin_shares(ids, [5000, 5001], 1)
        shares = spool.products.begin_shares(ids, [5000, 5000], 1)
        with refusal(Reason.SPOOL_FULL):
            spool.products.begin(1, 1)
        shares.files[0].write(bytes(5000))
        with refusal(Reason.SPOOL_FULL):
            shares.files[1].write(bytes(5001))
        shares.discard()
        with refusal(Reason.SPOOL_FULL):  # manifests and records have no room
            store_shares(spool, shares_of(1, 2, size=5000))
        assert names(spool.products.folder) == set()


def test_the_last_byte(tmp_path: Path) -> None:
    with open_spool(tmp_path / "measure") as spool:
        store_shares(spool, shares_of(1, 2, 3))
        size = spool.counts().bytes
    with open_spool(tmp_path / "enough", max_bytes=size) as spool:
        store_shares(spool, shares_of(1, 2, 3))
        assert spool.counts().bytes == size
    with open_spool(tmp_path / "less", max_bytes=size - 1) as spool:
        with refusal(Reason.SPOOL_FULL):
            store_shares(spool, shares_of(1, 2, 3))
        assert names(spool.products.folder) == set()


def test_making_room_for_all_of_them(tmp_path: Path) -> None:
    with open_spool(tmp_path, max_products=3, when_full="drop-lowest") as spool:
        for number in (7, 8, 9):
            store(spool, number, priority=200)
        with refusal(Reason.SPOOL_FULL):
            store_shares(spool, [
                product_of(n, bytes([n]) * 50, 1, (n,), FRAME) for n in range(10, 14)
            ])
        assert spool.counts().products == 3
        store_shares(spool, shares_of(1, 2, priority=1))
        assert [product.id[-1] for product in waiting(spool)] == [1, 9]
        assert [product.id[-1] for product in waiting(spool, OTHER)] == [2]


def test_nothing_is_dropped_for_a_set_that_does_not_fit(tmp_path: Path) -> None:
    with open_spool(tmp_path, max_products=3, when_full="drop-lowest") as spool:
        for number, priority in ((1, 200), (2, 0), (3, 0)):
            store(spool, number, priority=priority)
        with refusal(Reason.SPOOL_FULL):
            store_shares(spool, shares_of(11, 12, 13))
        assert [product.id[-1] for product in waiting(spool, GROUND)] == [2, 3, 1]


def test_a_frame_is_known_while_one_of_its_shares_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(product_rows, "HISTORY", 3)
    with open_spool(tmp_path) as spool:
        first, second = shares_of(1, 2)
        store_shares(spool, [first, second])
        deliver(spool, first)
        for number in range(10, 16):
            deliver(spool, store(spool, number)[0])
        assert known(spool) == first.id
        deliver(spool, second, OTHER)
        for number in range(20, 26):
            deliver(spool, store(spool, number)[0])
        assert known(spool) is None
