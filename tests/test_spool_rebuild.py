"""A damaged database: nothing that was acknowledged is lost, and damage stays where it is.

Proves that a database that was truncated, overwritten or removed is made again from the folders,
with what every product carries and what other machines keep; that a crash in the middle of that
changes nothing; and that flipped bits lose nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from occulta.errors import OccultaError, Reason
from onboard.spool import Product
from onboard.spool.rebuild import MAX_SET_ASIDE
from tests.spool_support import (
    CAMERA,
    GROUND,
    ITEM,
    OTHER,
    SNAPSHOTS,
    STATE,
    by_priority,
    cut,
    data_of,
    deliver,
    fill,
    manifest_of,
    names,
    open_spool,
    product_of,
    queue,
    refused,
    still_queued,
    store,
    waiting,
)

refusal = contextmanager(refused)


def assert_rebuilt(folder: Path, products: list[Product]) -> list[str]:
    """Everything acknowledged is there, to be sent in its order; returns the notices."""
    with open_spool(folder) as spool:
        assert waiting(spool) == by_priority(products)
        elsewhere = [product for product in products if OTHER in product.destinations]
        assert waiting(spool, OTHER) == by_priority(elsewhere)
        for number, product in enumerate(products):
            assert data_of(spool, product)[: 2000 + number] == bytes([number]) * (2000 + number)
            assert spool.products.known_frame(CAMERA, product.frame_id) == product.id
        assert still_queued(spool) == {"key": [(900, ITEM[900:])], "other": [(0, ITEM[:300])]}
        return spool.take_notices()


def pages_overwritten(start: int, stop: int, filling: int) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        data = bytearray(path.read_bytes())
        area = range(4096 * start, min(4096 * stop, len(data)))
        assert area
        data[area.start : area.stop] = bytes([filling]) * len(area)
        path.write_bytes(data)

    return damage


def replaced(path: Path) -> None:
    path.write_bytes(b"not a database at all" * 500)


def another_schema(path: Path) -> None:
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE products (id)")
    connection.close()


def test_ids_stay_their_peers_own(tmp_path: Path) -> None:
    """Two cameras' frames of one id, and whose an item is, are in the folders too."""
    with open_spool(tmp_path) as spool:
        queue(spool, "key", ITEM, "payload-2")
        for number, camera in ((1, CAMERA), (2, "camera-2")):
            file = spool.products.begin(None, 0)
            product = product_of(number, b"", frame="frame", camera=camera)
            assert spool.products.commit(file, product, manifest_of(product)) == product.id
    (tmp_path / "spool.db").unlink()
    with open_spool(tmp_path) as spool:
        known = [spool.products.known_frame(c, "frame") for c in (CAMERA, "camera-2", "camera-3")]
        assert known == [product_of(1, b"").id, product_of(2, b"").id, None]
        assert spool.items.owner("key") == "payload-2"
        assert still_queued(spool) == {"key": [(0, ITEM)]}
        file = spool.items.begin("payload", "key", 1)
        file.write(b"x")
        with refusal(Reason.BAD_INTAKE):
            spool.items.commit(file)
        assert still_queued(spool) == {"key": [(0, ITEM)]}
        assert names(tmp_path / "items") == {f"payload-2~key~{len(ITEM)}"}


def test_a_row_that_says_the_item_is_anothers(tmp_path: Path) -> None:
    with open_spool(tmp_path) as spool:
        queue(spool, "key", ITEM)
    with closing(sqlite3.connect(tmp_path / "spool.db")) as connection, connection:
        connection.execute("UPDATE items SET peer = 'payload-2'")
    with open_spool(tmp_path) as spool:
        assert "item key has another peer or size" in spool.take_notices()[0]
        assert spool.items.owner("key") == "payload"


def another_version(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


@pytest.mark.parametrize("damage", [
    cut(0.5), cut(0.9), cut(0.001), pages_overwritten(0, 1, 0), pages_overwritten(0, 1, 0xFF),
    pages_overwritten(1, 99, 0), pages_overwritten(2, 3, 0x55), pages_overwritten(4, 8, 0xAA),
    replaced, another_schema, another_version,
])
def test_a_damaged_database_is_made_again(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    _, products = fill(tmp_path)
    damage(tmp_path / "spool.db")
    damaged = (tmp_path / "spool.db").read_bytes()
    notices = assert_rebuilt(tmp_path, products)
    assert notices[0].startswith("spool.db is damaged (")
    assert "the damaged spool.db is kept as spool.db.corrupt-1" in notices
    assert "products taken up again: 12" in notices
    assert "items taken up again: 2" in notices
    assert len((tmp_path / "spool.db.corrupt-1").read_bytes()) >= len(damaged) > 0
    with open_spool(tmp_path) as spool:
        assert spool.take_notices() == []


@pytest.mark.parametrize("lose", [Path.unlink, cut(0)])
def test_a_lost_database_is_made_again(tmp_path: Path, lose: Callable[[Path], None]) -> None:
    _, products = fill(tmp_path)
    lose(tmp_path / "spool.db")
    assert "products taken up again: 12" in assert_rebuilt(tmp_path, products)


@pytest.mark.parametrize("damage", [
    Path.unlink, cut(0), cut(0.3), pages_overwritten(0, 1, 0), pages_overwritten(6, 7, 0x55),
])
def test_a_damaged_log(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """What the write-ahead log held last is gone without any fault to be seen."""
    spool, products = fill(tmp_path / "spool", close=False)
    shutil.copytree(tmp_path / "spool", tmp_path / "copy")
    spool.close()
    damage(tmp_path / "copy" / "spool.db-wal")
    assert_rebuilt(tmp_path / "copy", products)


def test_what_other_machines_keep_is_copied(tmp_path: Path) -> None:
    fill(tmp_path)
    path = tmp_path / "spool.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with open_spool(tmp_path) as spool:
        assert {key: spool.state.get(key) for key in STATE} == STATE
        assert spool.state.load_snapshots("down") == SNAPSHOTS
        notices = spool.take_notices()
    assert "2 rows of table state are taken over" in notices
    assert "2 rows of table snapshots are taken over" in notices


def test_only_sound_values_are_copied(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "spool.db") as connection:
        connection.execute("CREATE TABLE state (key, value)")
        connection.executemany(
            "INSERT INTO state VALUES (?, ?)",
            [("good", b"1"), (7, b"2"), ("text", "3"), (None, b"")],
        )
        connection.execute("CREATE TABLE snapshots (namespace, source, sequence, data)")
        connection.executemany(
            "INSERT INTO snapshots VALUES (?, ?, ?, ?)",
            [("down", "1", "2", b"good"), ("down", "x", "2", b""), ("down", 1, 2, b"")],
        )
    connection.close()
    with open_spool(tmp_path) as spool:
        assert [spool.state.get(key) for key in ("good", "7", "text")] == [b"1", None, None]
        assert spool.state.load_snapshots("down") == {(1, 2): b"good"}


def test_a_rebuild_that_is_cut_off_begins_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each renaming, and before and after each of them."""
    folder, last = tmp_path / "spool", False
    _, products = fill(folder)
    another_version(folder / "spool.db")
    for allowed in range(20):
        copy = tmp_path / f"copy-{allowed}"
        shutil.copytree(folder, copy)
        with monkeypatch.context() as patch:
            last = not _open_until(copy, allowed, patch)
        assert_rebuilt(copy, products)
        with open_spool(copy) as spool:
            assert spool.state.get("sender") == STATE["sender"]
        assert "spool.db.corrupt-1" in names(copy) and "spool.db.rebuilding" not in names(copy)
        if last:
            break
    assert last and allowed > 2


def test_a_rebuild_cut_off_before_the_log_was_moved(tmp_path: Path) -> None:
    spool, products = fill(tmp_path / "spool", close=False)
    shutil.copytree(tmp_path / "spool", tmp_path / "copy")
    spool.close()
    (tmp_path / "copy/spool.db").rename(tmp_path / "copy/spool.db.rebuilding")
    assert "2 rows of table state are taken over" in assert_rebuilt(tmp_path / "copy", products)


class Cut(BaseException):
    pass


def _open_until(folder: Path, allowed: int, patch: pytest.MonkeyPatch) -> bool:
    """Whether opening was cut off at the rename or sync of that number."""
    left = [allowed]

    def limited(real: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: object) -> None:
            if left[0] == 0:
                raise Cut
            left[0] -= 1
            real(*arguments)

        return call

    patch.setattr("os.replace", limited(os.replace))
    patch.setattr("onboard.spool.rebuild.sync", limited(lambda path: None))
    try:
        open_spool(folder).close()
    except Cut:
        return True
    return False


def test_only_some_damaged_databases_are_kept(tmp_path: Path) -> None:
    for _ in range(MAX_SET_ASIDE + 3):
        open_spool(tmp_path).close()
        replaced(tmp_path / "spool.db")
    open_spool(tmp_path).close()
    kept = sorted(name for name in names(tmp_path) if "corrupt" in name)
    assert kept == [f"spool.db.corrupt-{n}" for n in range(4, 4 + MAX_SET_ASIDE)]


def test_what_was_delivered_does_not_come_back(tmp_path: Path) -> None:
    _, products = fill(tmp_path)
    with open_spool(tmp_path) as spool:
        spool.deliveries.mark_waiting(products[3].id, GROUND)
        for product in products[:4]:
            for destination in product.destinations:
                deliver(spool, product, destination)
    (tmp_path / "spool.db").unlink()
    with open_spool(tmp_path) as spool:
        assert waiting(spool) == by_priority(products[4:])
        # The ranges of what was delivered are not known any more: they are carried again.
        assert still_queued(spool)["key"] == [(0, ITEM[:300]), (900, ITEM[900:])]


@pytest.mark.parametrize("statement", [
    "UPDATE products SET size = size + 1, bytes = bytes + 1 WHERE seq = 3",
    "UPDATE products SET bytes = 1 WHERE seq = 3",
    "UPDATE products SET manifest_size = manifest_size - 1, bytes = bytes - 1 WHERE seq = 3",
    "UPDATE products SET frame_id = 'frame-x' WHERE seq = 3",
    "UPDATE products SET priority = 99 WHERE seq = 3",
    "UPDATE products SET sha256 = zeroblob(32) WHERE seq = 3",
    "UPDATE products SET camera = CAST(x'ff' AS TEXT) WHERE seq = 3",
    "UPDATE deliveries SET destination = 6 WHERE product = 3",
    "DELETE FROM deliveries WHERE product = 3",
    "UPDATE items SET size = 1025 WHERE key = 'key'",
    "UPDATE items SET carried = 899 WHERE key = 'key'",
    "UPDATE parts SET size = 301 WHERE offset = 600",
    "UPDATE parts SET offset = 601 WHERE offset = 600",
    "UPDATE parts SET offset = 299 WHERE offset = 300",
    "UPDATE parts SET product = 9999 WHERE offset = 300",
    "UPDATE state SET key = CAST(x'ff' AS TEXT) WHERE key = 'sender'",
    "UPDATE snapshots SET sequence = 'x'",
])
def test_rows_that_say_something_else(tmp_path: Path, statement: str) -> None:
    """Well formed for SQLite, and not what was stored."""
    _, products = fill(tmp_path)
    with sqlite3.connect(tmp_path / "spool.db") as connection:
        assert connection.execute(statement).rowcount >= 1
    connection.close()
    assert assert_rebuilt(tmp_path, products)[0].startswith("spool.db is damaged (")


@settings(
    max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(flips=st.lists(st.tuples(st.floats(0, 0.999999), st.integers(0, 7)), min_size=1, max_size=8))
def test_flipped_bits_lose_nothing(
    tmp_path_factory: pytest.TempPathFactory, flips: list[tuple[float, int]]
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    _, products = fill(folder)
    data = bytearray((folder / "spool.db").read_bytes())
    for place, bit in flips:
        data[int(place * len(data))] ^= 1 << bit
    (folder / "spool.db").write_bytes(data)
    with open_spool(folder) as spool:
        found = {product.id for product in waiting(spool)}
        sending = {product_id for product_id, _ in spool.deliveries.sending()}
        assert found | sending == {product.id for product in products}
        assert {p.id for p in waiting(spool, OTHER)} == {p.id for p in products[1::2]}
        assert still_queued(spool) == {"key": [(900, ITEM[900:])], "other": [(0, ITEM[:300])]}
    for product in products:
        found = (folder / "products" / product.id.hex() / "data").read_bytes()
        assert hashlib.sha256(found).digest() == product.sha256
    shutil.rmtree(folder)


def test_damage_that_shows_later_is_named(tmp_path: Path) -> None:
    with open_spool(tmp_path) as spool:
        for number in range(20):
            store(spool, number)
        spool._database.value("PRAGMA wal_checkpoint(TRUNCATE)")
        spool._database.value("PRAGMA shrink_memory")
        (tmp_path / "spool.db").write_bytes(bytes(40960))
        with pytest.raises(OccultaError) as caught:
            for number in range(20, 30):
                store(spool, number)
        assert caught.value.reason is Reason.OUTPUT_UNWRITABLE


def test_a_database_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "spool.db").mkdir()
    with refusal(Reason.OUTPUT_UNWRITABLE):
        open_spool(tmp_path)
