"""Damaged files, and very many: what is wrong with one product or item disturbs no other.

Proves that a product or item whose file is missing or of another size is reported and not sent,
with and without a database; that private data it carried is carried again; that what is none of the
spool's is left alone; and that ten thousand products are no burden.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.spool_support import (
    CAMERA,
    GROUND,
    ITEM,
    by_priority,
    cut,
    deliver,
    fill,
    manifest_of,
    names,
    open_spool,
    product_of,
    still_queued,
    store,
    waiting,
)


def longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


@pytest.mark.parametrize(("name", "damage", "why"), [
    ("data", Path.unlink, "its data is missing"),
    ("data", longer, "its data has 2306 bytes, not 2305"),
    ("data", cut(0), "its data has 0 bytes, not 2305"),
    ("manifest", Path.unlink, "its manifest is missing"),
    ("manifest", cut(0), "its manifest has 0 bytes, not {size}"),
])
def test_a_damaged_product_is_not_sent(
    tmp_path: Path, name: str, damage: Callable[[Path], None], why: str
) -> None:
    _, products = fill(tmp_path)
    broken = products[5]
    size = len(manifest_of(broken))
    damage(tmp_path / "products" / broken.id.hex() / name)
    rest = [p for p in products if p not in (broken, products[3])]
    with open_spool(tmp_path) as spool:
        expected = f"product {broken.id.hex()} is damaged: " + why.format(size=size)
        assert spool.take_notices() == [expected]
        assert waiting(spool) == by_priority(rest)
        assert spool.counts().damaged == 1
        assert spool.products.get(broken.id) is None
        assert spool.products.known_frame(CAMERA, broken.frame_id) is None
        assert not spool.deliveries.mark_sending(broken.id, GROUND)
        assert still_queued(spool)["key"] == [(300, ITEM[300:600]), (900, ITEM[900:])]
    with open_spool(tmp_path) as spool:
        assert spool.take_notices() == []
        again = product_of(99, b"abc", frame=broken.frame_id)
        file = spool.products.begin(None, 0)
        file.write(b"abc")
        assert spool.products.commit(file, again, manifest_of(again)) == again.id
        assert spool.products.cancel(broken.id) and not spool.products.cancel(broken.id)
        assert broken.id.hex() not in names(spool.products.folder)
        assert spool.products.known_frame(CAMERA, broken.frame_id) == again.id


@pytest.mark.parametrize(("name", "damage", "why"), [
    ("data", longer, "size or digest of the data is not what its record says"),
    ("data", Path.unlink, "No such file or directory"),
    ("manifest", cut(0.5), "its manifest is damaged"),
    ("record", cut(0.5), "its record is damaged"),
    ("record", longer, "its record is damaged"),
])
def test_a_damaged_product_without_a_database(
    tmp_path: Path, name: str, damage: Callable[[Path], None], why: str
) -> None:
    _, products = fill(tmp_path)
    (tmp_path / "spool.db").unlink()
    damage(tmp_path / "products" / products[5].id.hex() / name)
    with open_spool(tmp_path) as spool:
        said = [line for line in spool.take_notices() if "damaged" in line]
        assert len(said) == 1
        assert said[0].startswith(f"product {products[5].id.hex()} is damaged: {why}")
        assert waiting(spool) == by_priority([*products[:5], *products[6:]])
        assert still_queued(spool)["key"] == [(300, ITEM[300:600]), (900, ITEM[900:])]
        assert spool.products.cancel(products[5].id)


@pytest.mark.parametrize("change", [
    lambda data: bytes([data[0] ^ 1]) + data[1:], lambda data: data[:-1] + b"y",
])
def test_a_product_of_the_right_size_and_other_bytes(
    tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    _, products = fill(tmp_path)
    (tmp_path / "spool.db").unlink()
    path = tmp_path / "products" / products[0].id.hex() / "data"
    path.write_bytes(change(path.read_bytes()))
    with open_spool(tmp_path) as spool:
        assert spool.products.get(products[0].id) is None
        assert spool.counts().damaged == 1


def test_a_damaged_item(tmp_path: Path) -> None:
    fill(tmp_path)
    longer(tmp_path / "items" / "payload~key~1024")
    with open_spool(tmp_path) as spool:
        expected = "item key is lost: its file has 1025 bytes, not 1024"
        assert spool.take_notices() == [expected]
        assert still_queued(spool) == {"other": [(0, ITEM[:300])]}
        assert spool.items.known("key") is None
        deliver(spool, product_of(2, b""))


def test_an_item_that_is_smaller_than_what_was_carried_of_it(tmp_path: Path) -> None:
    """Without a database, an item of the same key: what lies within it is carried."""
    fill(tmp_path)
    (tmp_path / "spool.db").unlink()
    (tmp_path / "items" / "payload~key~1024").unlink()
    (tmp_path / "items" / "payload~key~500").write_bytes(ITEM[:500])
    with open_spool(tmp_path) as spool:
        assert still_queued(spool)["key"] == [(300, ITEM[300:500])]


def test_a_missing_item(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "items" / "payload~key~1024").unlink()
    with open_spool(tmp_path) as spool:
        assert spool.take_notices() == ["item key is lost: its file is missing"]


def test_what_is_none_of_the_spools_is_left_alone(tmp_path: Path) -> None:
    open_spool(tmp_path).close()
    (tmp_path / "products" / "notes").write_bytes(b"mine")
    (tmp_path / "items" / "my notes").write_bytes(b"mine")
    with open_spool(tmp_path) as spool:
        assert spool.take_notices() == [
            "items/my notes is none of the spool's: left alone",
            "products/notes is none of the spool's: left alone",
        ]
    assert (tmp_path / "products" / "notes").read_bytes() == b"mine"


def test_a_frame_stored_twice_by_a_crash(tmp_path: Path) -> None:
    """Refused when its row could not be written, then offered again and stored."""
    with open_spool(tmp_path) as spool:
        first, _ = store(spool, 1)
    shutil.copytree(tmp_path / "products" / first.id.hex(), tmp_path / "kept")
    with open_spool(tmp_path) as spool:
        spool.products.cancel(first.id)
    (tmp_path / "spool.db").unlink()
    with open_spool(tmp_path) as spool:
        file = spool.products.begin(None, 0)
        file.write(b"abc")
        second = product_of(2, b"abc", frame=first.frame_id)
        spool.products.commit(file, second, manifest_of(second))
    (tmp_path / "kept").rename(tmp_path / "products" / first.id.hex())
    with open_spool(tmp_path) as spool:
        assert spool.take_notices() == [
            f"product {first.id.hex()} is removed: its frame is stored already"
        ]
        assert names(spool.products.folder) == {second.id.hex()}


def test_ten_thousand_products(tmp_path: Path) -> None:
    """Ordered, counted and purged; what is asked often reads an index."""
    priorities = [number * 7919 % 256 for number in range(10_000)]
    with open_spool(tmp_path) as spool:
        with spool.transaction():
            for number, priority in enumerate(priorities):
                product = product_of(number, b"", priority)
                spool.products._rows.insert(
                    product, 1, 1, "stored", first=product.id, answers=True
                )
        assert spool.counts().waiting == 10_000
        for expected in sorted(priorities)[:200]:
            product = spool.deliveries.next_waiting(GROUND)
            assert product is not None and product.priority == expected
            spool.deliveries.mark_sending(product.id, GROUND)
        assert spool.deliveries.purge(50) == sum(priority >= 50 for priority in priorities)
        assert spool.counts().products == sum(priority < 50 for priority in priorities)
        plan = spool._database.rows(
            "EXPLAIN QUERY PLAN SELECT product FROM deliveries WHERE destination = ?"
            " AND state = 'waiting' ORDER BY priority, product LIMIT 1", GROUND,
        )
        assert [row[3] for row in plan] == [
            "SEARCH deliveries USING INDEX delivery_waiting (destination=?)"
        ]


def test_many_products_are_taken_up_in_their_order(tmp_path: Path) -> None:
    with open_spool(tmp_path) as spool:
        products = [store(spool, n * 7919 % 200, size=10)[0] for n in range(200)]
    (tmp_path / "spool.db").unlink()
    with open_spool(tmp_path) as spool:
        assert waiting(spool) == sorted(products, key=lambda product: product.created_at)
