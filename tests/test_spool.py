"""The spool: products and their deliveries, state of other machines, one daemon at a time.

Proves that what was stored comes back as it was, by priority and age for each destination, until it
is delivered, cancelled or purged; that a frame offered again finds its product; that changes made
in one transaction stand or fall together; and that misuse is refused before anything changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from occulta.errors import Reason
from onboard.spool import Counts, Part, Product, Spool
from onboard.spool import rows as product_rows
from tests.spool_support import (
    CAMERA,
    GROUND,
    OTHER,
    PEER,
    data_of,
    deliver,
    manifest_of,
    names,
    open_spool,
    product_of,
    queue,
    refused,
    store,
    waiting,
)

refusal = contextmanager(refused)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with open_spool(tmp_path) as found:
        yield found


def next_id(spool: Spool, destination: int = GROUND) -> bytes | None:
    product = spool.deliveries.next_waiting(destination)
    return product and product.id


# --- storing


def test_a_product_is_stored_as_it_is(spool: Spool, tmp_path: Path) -> None:
    product, _ = store(spool, 7, 1000, priority=3, destinations=(GROUND, OTHER))
    place = tmp_path / "products" / ("0" * 31 + "7")
    assert (place / "data").read_bytes() == bytes([7]) * 1000
    assert (place / "manifest").read_bytes() == manifest_of(product)
    assert names(place) == {"data", "manifest", "record"}
    assert spool.products.get(product.id) == product
    assert spool.deliveries.next_waiting(GROUND) == product
    assert spool.deliveries.next_waiting(OTHER) == product
    assert spool.deliveries.next_waiting(4) is None


def test_what_is_stored_is_there_after_a_restart(tmp_path: Path) -> None:
    with open_spool(tmp_path) as spool:
        products = [store(spool, n, priority=n % 3)[0] for n in range(6)]
        spool.deliveries.mark_sending(products[0].id, GROUND)
    with open_spool(tmp_path) as spool:
        assert spool.take_notices() == []
        assert waiting(spool) == [products[n] for n in (3, 1, 4, 2, 5)]
        assert spool.deliveries.sending() == [(products[0].id, GROUND)]


def test_a_file_in_progress_has_no_name_and_leaves_nothing(spool: Spool) -> None:
    file = spool.products.begin(None, 0)
    file.write(b"abc")
    assert all(name.startswith(".") for name in names(spool.products.folder))
    file.discard()
    file.discard()
    assert names(spool.products.folder) == set()
    with pytest.raises(ValueError):
        file.write(b"d")


def test_closing_discards_what_is_in_progress(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    spool.products.begin(None, 0).write(b"abc")
    spool.items.begin(PEER, "key", 3).write(b"abc")
    spool.close()
    spool.close()
    assert names(tmp_path / "products") == names(tmp_path / "items") == set()


def changed(product: Product, **changes: object) -> Product:
    return msgspec.structs.replace(product, **changes)


@pytest.mark.parametrize("changes", [
    {"size": 4}, {"sha256": bytes(32)}, {"id": b"short"}, {"frame_id": "a/b"}, {"priority": 256},
    {"priority": -1}, {"destinations": ()}, {"destinations": (2, 2)}, {"destinations": (-1,)},
    {"camera": ""}, {"captured_at": float("nan")},
])
def test_a_product_that_is_not_valid(spool: Spool, changes: dict[str, object]) -> None:
    file = spool.products.begin(None, 0)
    file.write(b"abc")
    product = product_of(1, b"abc")
    wrong = changed(product, **changes)
    with pytest.raises(ValueError):
        spool.products.commit(file, wrong, manifest_of(product))
    assert spool.products.commit(file, product, manifest_of(product)) == product.id


def test_a_manifest_of_another_product(spool: Spool) -> None:
    file = spool.products.begin(None, 0)
    file.write(b"abc")
    product = product_of(1, b"abc")
    for other in (product_of(2, b"abc"), product_of(1, b"abd"), product_of(1, b"abc", frame="f")):
        with pytest.raises(ValueError):
            spool.products.commit(file, product, manifest_of(other))
    for manifest in (b"", b"junk", bytes(1 << 17)):
        with pytest.raises(ValueError):
            spool.products.commit(file, product, manifest)


def test_what_the_file_was_not_given_cannot_be_carried(spool: Spool) -> None:
    queue(spool, "key", bytes(100))
    file = spool.products.begin(None, 0)
    spool.items.next_pieces(file, 50, 0)
    file.write(b"abc")
    product = product_of(1, b"abc")
    whole = Part("key", 0, 50)
    for parts in ([Part("key", 1, 10)], [Part("key", 0, 51)], [whole, whole], [Part("k", 0, 1)]):
        with pytest.raises(ValueError):
            spool.products.commit(file, product, manifest_of(product), parts)
    assert spool.products.commit(file, product, manifest_of(product), [whole]) == product.id


def test_the_id_of_a_product_is_its_own(spool: Spool) -> None:
    product, _ = store(spool, 1)
    file = spool.products.begin(None, 0)
    file.write(b"abc")
    other = product_of(1, b"abc", frame="other")
    with pytest.raises(ValueError):
        spool.products.commit(file, other, manifest_of(other))
    assert data_of(spool, product) == bytes([1]) * 100


def test_nothing_is_committed_inside_a_transaction(spool: Spool) -> None:
    file = spool.products.begin(None, 0)
    file.write(b"abc")
    product = product_of(1, b"abc")
    item = spool.items.begin(PEER, "key", 1)
    item.write(b"a")
    with spool.transaction():
        with pytest.raises(ValueError):
            spool.products.commit(file, product, manifest_of(product))
        with pytest.raises(ValueError):
            spool.items.commit(item)


# --- frames offered again


def test_a_frame_is_known_by_its_product(spool: Spool) -> None:
    product, _ = store(spool, 1)
    assert spool.products.known_frame(CAMERA, "frame-1") == product.id
    assert spool.products.known_frame(CAMERA, "frame-2") is None
    deliver(spool, product)
    assert spool.products.known_frame(CAMERA, "frame-1") == product.id


def test_a_frame_stored_twice_is_stored_once(spool: Spool) -> None:
    first, _ = store(spool, 1)
    file = spool.products.begin(None, 0)
    file.write(b"abc")
    again = product_of(2, b"abc", frame="frame-1")
    assert spool.products.commit(file, again, manifest_of(again)) == first.id
    assert names(spool.products.folder) == {first.id.hex()}
    assert spool.counts().products == 1


def test_the_history_is_bounded(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product_rows, "HISTORY", 3)
    kept, _ = store(spool, 0)
    for number in range(1, 7):
        deliver(spool, store(spool, number)[0])
    store(spool, 7)
    known = [n for n in range(8) if spool.products.known_frame(CAMERA, f"frame-{n}")]
    assert known == [0, 4, 5, 6, 7]
    assert next_id(spool) == kept.id


# --- deliveries


def test_by_priority_then_by_age(spool: Spool) -> None:
    priorities = [9, 0, 255, 9, 1, 0]
    products = [store(spool, n, priority=p)[0] for n, p in enumerate(priorities)]
    assert waiting(spool) == [products[n] for n in (1, 5, 4, 0, 3, 2)]


def test_each_destination_has_its_own_order(spool: Spool) -> None:
    first, _ = store(spool, 1, destinations=(GROUND, OTHER))
    second, _ = store(spool, 2, destinations=(OTHER,))
    assert spool.deliveries.mark_sending(first.id, OTHER)
    assert next_id(spool) == first.id
    assert next_id(spool, OTHER) == second.id


def test_a_delivery_from_state_to_state(spool: Spool) -> None:
    product, _ = store(spool, 1)
    deliveries, name = spool.deliveries, product.id
    assert not deliveries.mark_delivered(name, GROUND)
    assert not deliveries.mark_waiting(name, GROUND)
    assert deliveries.mark_sending(name, GROUND)
    assert not deliveries.mark_sending(name, GROUND)
    assert next_id(spool) is None
    assert deliveries.mark_waiting(name, GROUND)
    assert next_id(spool) == name
    assert deliveries.mark_sending(name, GROUND)
    assert deliveries.mark_delivered(name, GROUND)
    assert not deliveries.mark_delivered(name, GROUND)
    assert not deliveries.mark_sending(name, OTHER)
    assert not deliveries.mark_sending(bytes(16), GROUND)


def test_files_go_after_the_last_delivery(spool: Spool) -> None:
    product, _ = store(spool, 1, destinations=(GROUND, OTHER))
    deliver(spool, product, OTHER)
    assert data_of(spool, product) == bytes([1]) * 100
    assert next_id(spool, OTHER) is None
    deliver(spool, product)
    assert names(spool.products.folder) == set()
    assert spool.products.get(product.id) is None
    assert spool.counts() == Counts(0, 0, 0, 0, 0, 0, 0)


def test_cancelling(spool: Spool) -> None:
    product, _ = store(spool, 1, destinations=(GROUND, OTHER))
    spool.deliveries.mark_sending(product.id, GROUND)
    assert spool.products.cancel(product.id)
    assert not spool.products.cancel(product.id)
    assert not spool.deliveries.mark_delivered(product.id, GROUND)
    assert spool.deliveries.sending() == [] and next_id(spool, OTHER) is None
    assert names(spool.products.folder) == set()
    assert spool.products.known_frame(CAMERA, "frame-1") == product.id


def test_purging_takes_what_waits_and_is_no_more_important(spool: Spool) -> None:
    products = [store(spool, n, priority=p)[0] for n, p in enumerate((10, 20, 30, 20))]
    both, _ = store(spool, 9, priority=40, destinations=(GROUND, OTHER))
    spool.deliveries.mark_sending(products[3].id, GROUND)
    spool.deliveries.mark_sending(both.id, OTHER)
    assert spool.deliveries.purge(20) == 3
    assert waiting(spool) == [products[0]]
    assert names(spool.products.folder) == {p.id.hex() for p in (products[0], products[3], both)}
    assert spool.deliveries.mark_delivered(both.id, OTHER)
    assert not (spool.products.folder / both.id.hex()).exists()
    assert spool.deliveries.purge(20) == 0


def test_changing_a_priority(spool: Spool) -> None:
    first, second = store(spool, 1)[0], store(spool, 2)[0]
    assert spool.deliveries.set_priority(second.id, 5)
    assert waiting(spool) == [changed(second, priority=5), first]
    assert not spool.deliveries.set_priority(bytes(16), 5)
    for wrong in (-1, 256):
        with pytest.raises(ValueError):
            spool.deliveries.set_priority(second.id, wrong)


def test_holding_a_destination(tmp_path: Path) -> None:
    with open_spool(tmp_path) as spool:
        spool.deliveries.hold(GROUND)
        product, _ = store(spool, 1, destinations=(GROUND, OTHER))
    with open_spool(tmp_path) as spool:
        assert next_id(spool) is None and spool.deliveries.is_held(GROUND)
        assert next_id(spool, OTHER) == product.id
        spool.deliveries.resume(GROUND)
        assert next_id(spool) == product.id


def test_holding_everything(spool: Spool) -> None:
    product, _ = store(spool, 1, destinations=(GROUND, OTHER))
    spool.deliveries.hold(None)
    spool.deliveries.hold(GROUND)
    spool.deliveries.resume(GROUND)
    assert spool.deliveries.is_held(GROUND) and next_id(spool, OTHER) is None
    spool.deliveries.hold(GROUND)
    spool.deliveries.resume(None)
    assert next_id(spool) == next_id(spool, OTHER) == product.id


def test_counts(spool: Spool) -> None:
    products = [store(spool, n, 1000, destinations=(GROUND, OTHER))[0] for n in range(3)]
    queue(spool, "key", bytes(500))
    carrier, pieces = store(spool, 4, 0, private=200)
    assert len(pieces[0].data) == 200 - 16
    spool.deliveries.mark_sending(products[0].id, GROUND)
    file = spool.products.begin(5000, 0)
    file.write(bytes(30))
    folders = [spool.products.folder / p.id.hex() for p in (*products, carrier)]
    stored = sum(path.stat().st_size for folder in folders for path in folder.iterdir())
    assert spool.counts() == Counts(
        products=4, damaged=0, waiting=6, sending=1, items=1, private_bytes=500 - 184,
        bytes=stored + 500 + 30,
    )


# --- state of other machines, transactions


def test_values_and_snapshots(tmp_path: Path) -> None:
    with open_spool(tmp_path) as spool:
        spool.state.put({"sender": b"1", "receiver": b""})
        spool.state.put({"sender": b"2"})
        spool.state.save_snapshots("down", [(-1, -1, b"entity"), (2, (1 << 64) - 1, b"a"),
                                            (2, 7, b"b")])
        spool.state.save_snapshots("up", [(2, 7, b"other")])
        spool.state.save_snapshots("down", [(2, 7, None), (-1, -1, b"later"), (5, 5, None)])
    with open_spool(tmp_path) as spool:
        assert spool.state.get("sender") == b"2"
        assert spool.state.get("receiver") == b""
        assert spool.state.get("nothing") is None
        assert spool.state.load_snapshots("down") == {
            (-1, -1): b"later", (2, (1 << 64) - 1): b"a",
        }
        assert spool.state.load_snapshots("up") == {(2, 7): b"other"}


class Mishap(Exception):
    pass


def test_a_transaction_stands_or_falls_as_one(spool: Spool) -> None:
    product, _ = store(spool, 1)
    spool.deliveries.mark_sending(product.id, GROUND)
    with pytest.raises(Mishap), spool.transaction():
        spool.state.put({"key": b"value"})
        assert spool.deliveries.mark_delivered(product.id, GROUND)
        spool.state.save_snapshots("down", [(1, 1, b"x")])
        assert spool.counts().bytes == 0
        raise Mishap
    assert spool.counts().bytes > 100
    spool.state.put({"later": b"1"})
    assert spool.state.get("key") is None and spool.state.load_snapshots("down") == {}
    assert spool.deliveries.sending() == [(product.id, GROUND)]
    assert data_of(spool, product) == bytes([1]) * 100
    with spool.transaction():
        spool.state.put({"key": b"value"})
        assert spool.deliveries.mark_delivered(product.id, GROUND)
        assert data_of(spool, product) == bytes([1]) * 100
    assert spool.state.get("key") == b"value"
    assert names(spool.products.folder) == set()


def test_what_fails_inside_a_transaction_is_undone_by_itself(spool: Spool) -> None:
    with spool.transaction():
        spool.state.put({"before": b"1"})
        with pytest.raises(Mishap), spool.transaction():
            spool.state.put({"inside": b"2"})
            raise Mishap
        spool.state.put({"after": b"3"})
    found = [spool.state.get(key) for key in ("before", "inside", "after")]
    assert found == [b"1", None, b"3"]


def test_what_is_committed_is_on_the_disk_and_what_is_erased_is_gone(spool: Spool) -> None:
    pragmas = ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
    found = [spool._database.value(f"PRAGMA {pragma}") for pragma in pragmas]
    assert found == ["wal", 2, 1, 1]


# --- one daemon


def test_a_second_daemon_is_refused(tmp_path: Path) -> None:
    with open_spool(tmp_path), refusal(Reason.OUTPUT_UNWRITABLE):
        open_spool(tmp_path)
    open_spool(tmp_path).close()


@pytest.mark.parametrize("changes", [
    {"max_bytes": -1}, {"max_items": -1}, {"when_full": "drop-highest"},
])
def test_limits_that_make_no_sense(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        open_spool(tmp_path, **changes)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with refusal(Reason.OUTPUT_UNWRITABLE):
        open_spool(tmp_path / "file" / "spool")


def test_nobody_else_reads_the_spool(tmp_path: Path) -> None:
    with open_spool(tmp_path / "spool") as spool:
        store(spool, 1)
        modes = {path: path.stat().st_mode & 0o77 for path in (tmp_path / "spool").iterdir()}
        assert (tmp_path / "spool").stat().st_mode & 0o77 == 0
        assert not any(modes.values()), modes
