"""A full spool: refused or made room in, by the rule, and never by half.

Proves that no more is stored than allowed, files in progress included; that `refuse` keeps what was
reserved; that `drop-lowest` removes the least important first, never what is being sent nor what is
more important, and gives private data back; and that a disk without room is named and leaves
nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import pytest

from occulta.errors import OccultaError, Reason
from onboard.spool import Product, ProductFile, Spool
from onboard.spool.files import PartialFile
from tests.spool_support import (
    CAMERA,
    GROUND,
    OTHER,
    OVERHEAD,
    PEER,
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


def size_stored(tmp_path: Path, data: int = 1000) -> int:
    """Bytes of a product of so many bytes of data, with manifest and record."""
    with open_spool(tmp_path / "measure") as spool:
        before = spool.counts().bytes
        store(spool, spool.counts().products + 1, data)
        return spool.counts().bytes - before


@pytest.fixture
def one(tmp_path: Path) -> int:
    return size_stored(tmp_path)


def spool_of(tmp_path: Path, limit: int, drop: bool = False, **changes: object) -> Spool:
    policy = "drop-lowest" if drop else "refuse"
    return open_spool(tmp_path / "spool", max_bytes=limit, when_full=policy, **changes)


def ids(products: list[Product]) -> list[int]:
    return [int.from_bytes(product.id, "big") for product in products]


# --- refuse


def test_what_fits_exactly_fits(tmp_path: Path, one: int) -> None:
    with spool_of(tmp_path, 2 * one) as spool:
        store(spool, 1, 1000)
        store(spool, 2, 1000)
        assert spool.counts().bytes == 2 * one
        with refusal(Reason.SPOOL_FULL):
            spool.products.begin(1, 0)


def test_one_byte_too_many_is_refused_and_leaves_nothing(tmp_path: Path, one: int) -> None:
    with spool_of(tmp_path, 2 * one - 1) as spool:
        store(spool, 1, 1000)
        with refusal(Reason.SPOOL_FULL):
            store(spool, 2, 1000)
        assert ids(waiting(spool)) == [1]
        assert spool.counts().bytes == one
        assert len(names(spool.products.folder)) == 1


def test_what_is_in_progress_counts(tmp_path: Path) -> None:
    with spool_of(tmp_path, 100) as spool:
        first, second = spool.products.begin(None, 0), spool.products.begin(None, 0)
        first.write(bytes(60))
        with refusal(Reason.SPOOL_FULL):
            second.write(bytes(41))
        second.write(bytes(40))
        with refusal(Reason.SPOOL_FULL):
            first.write(b"x")
        second.discard()
        first.write(bytes(40))


def test_a_declared_size_is_reserved(tmp_path: Path) -> None:
    with spool_of(tmp_path, 100) as spool:
        declared = spool.products.begin(70, 0)
        other = spool.products.begin(None, 0)
        with refusal(Reason.SPOOL_FULL):
            spool.products.begin(31, 0)
        with refusal(Reason.SPOOL_FULL):
            other.write(bytes(31))
        other.write(bytes(30))
        declared.write(bytes(70))
        with refusal(Reason.SPOOL_FULL):
            declared.write(b"x")
        declared.discard()
        other.write(bytes(70))


def test_nothing_is_dropped_by_refuse(tmp_path: Path, one: int) -> None:
    with spool_of(tmp_path, one) as spool:
        store(spool, 1, 1000, priority=127)
        with refusal(Reason.SPOOL_FULL):
            spool.products.begin(None, 0).write(b"x")
        assert ids(waiting(spool)) == [1]


# --- drop-lowest


def test_the_least_important_goes_first_then_the_oldest(tmp_path: Path, one: int) -> None:
    with spool_of(tmp_path, 4 * one, drop=True) as spool:
        for number, priority in enumerate((5, 9, 7, 9)):
            store(spool, number, 1000, priority)
        for number, left in ((4, [4, 0, 2, 3]), (5, [4, 5, 0, 2]), (6, [4, 5, 6, 0])):
            store(spool, number, 1000, 5 if number > 6 else 4)
            assert ids(waiting(spool)) == left
        notices = spool.take_notices()
    dropped = [product_of(n, b"") for n in (1, 3, 2)]
    assert notices == [
        f"product {p.id.hex()} of frame {p.frame_id} dropped: the spool is full" for p in dropped
    ]


def test_nothing_more_important_goes(tmp_path: Path, one: int) -> None:
    with spool_of(tmp_path, 2 * one, drop=True) as spool:
        store(spool, 1, 1000, priority=5)
        store(spool, 2, 1000, priority=6)
        with refusal(Reason.SPOOL_FULL):
            store(spool, 3, 1000, priority=7)
        assert ids(waiting(spool)) == [1, 2]
        store(spool, 4, 1000, priority=6)
        assert ids(waiting(spool)) == [1, 4]
        assert spool.take_notices() != []


def test_nothing_that_is_being_sent_goes(tmp_path: Path, one: int) -> None:
    with spool_of(tmp_path, 2 * one + 60, drop=True) as spool:
        both = (GROUND, OTHER)
        sent, _ = store(spool, 1, 1000, 200, both)
        store(spool, 2, 1000, 100, both)
        spool.deliveries.mark_sending(sent.id, OTHER)
        store(spool, 3, 1000, 0)
        assert ids(waiting(spool)) == [3, 1]
        with refusal(Reason.SPOOL_FULL):
            spool.products.begin(1100 + one, 0)
        with refusal(Reason.SPOOL_FULL):
            spool.products.begin(None, 1).write(bytes(2000))
        assert ids(waiting(spool)) == [3, 1]


def test_what_is_delivered_to_some_may_go(tmp_path: Path, one: int) -> None:
    with spool_of(tmp_path, one + 60, drop=True) as spool:
        product, _ = store(spool, 1, 1000, destinations=(GROUND, OTHER))
        spool.deliveries.mark_sending(product.id, GROUND)
        spool.deliveries.mark_delivered(product.id, GROUND)
        store(spool, 2, 1000)
        assert ids(waiting(spool, OTHER)) == [] and ids(waiting(spool)) == [2]


def test_nothing_goes_before_the_bytes_are_there(tmp_path: Path, one: int) -> None:
    """A frame that is announced and never comes costs nothing."""
    with spool_of(tmp_path, 2 * one, drop=True) as spool:
        store(spool, 1, 1000)
        store(spool, 2, 1000)
        file = spool.products.begin(2 * one, 0)
        assert ids(waiting(spool)) == [1, 2]
        file.write(bytes(one))
        assert ids(waiting(spool)) == [2]
        file.discard()
        assert spool.counts().bytes == one


def test_what_can_never_fit_is_refused_at_once(tmp_path: Path, one: int) -> None:
    with spool_of(tmp_path, 2 * one, drop=True) as spool:
        store(spool, 1, 1000)
        with refusal(Reason.SPOOL_FULL):
            spool.products.begin(2 * one + 1, 0)
        assert ids(waiting(spool)) == [1]


def test_private_data_of_what_is_dropped_is_carried_again(tmp_path: Path, one: int) -> None:
    with spool_of(tmp_path, 2 * one + 1600, drop=True) as spool:
        item = bytes(range(250))
        queue(spool, "key", item)
        store(spool, 1, 900, 9, private=100 + OVERHEAD)
        store(spool, 2, 900, 8, private=100 + OVERHEAD)
        assert still_queued(spool) == {"key": [(200, item[200:])]}
        store(spool, 3, 1400, 7)
        assert ids(waiting(spool)) == [3, 2]
        assert still_queued(spool) == {"key": [(0, item[:100]), (200, item[200:])]}
        _, pieces = store(spool, 4, 0, 0, private=1000)
        assert [(piece.offset, len(piece.data)) for piece in pieces] == [(0, 100), (200, 50)]
        assert still_queued(spool) == {}


def test_private_data_makes_room_as_the_most_important(tmp_path: Path, one: int) -> None:
    with spool_of(tmp_path, 2 * one, drop=True) as spool:
        store(spool, 1, 1000, priority=0)
        store(spool, 2, 1000, priority=0)
        queue(spool, "key", bytes(one))
        assert ids(waiting(spool)) == [2]


def test_damaged_products_go_first(tmp_path: Path, one: int) -> None:
    with spool_of(tmp_path, 2 * one, drop=True) as spool:
        product, _ = store(spool, 1, 1000, priority=0)
        store(spool, 2, 1000, priority=127)
    with open(tmp_path / "spool/products" / product.id.hex() / "data", "ab") as stream:
        stream.write(b"x")
    with spool_of(tmp_path, 2 * one, drop=True) as spool:
        assert spool.counts().damaged == 1 and spool.counts().bytes == 2 * one + 1
        store(spool, 3, 1000, priority=127)
        assert ids(waiting(spool)) == [2, 3]
        assert spool.counts().damaged == 0


# --- items


def test_the_number_of_items_is_bounded(tmp_path: Path) -> None:
    with spool_of(tmp_path, 1000, max_items=2) as spool:
        queue(spool, "a", b"1")
        file = spool.items.begin(PEER, "b", 1)
        with refusal(Reason.SPOOL_FULL):
            spool.items.begin(PEER, "c", 1)
        file.discard()
        queue(spool, "c", b"3")
        with refusal(Reason.SPOOL_FULL):
            spool.items.begin(PEER, "b", 1)


def test_private_data_leaves_room_for_what_carries_it(tmp_path: Path) -> None:
    with spool_of(tmp_path, 1000) as spool:
        queue(spool, "a", bytes(400))
        with refusal(Reason.SPOOL_FULL):
            spool.items.begin(PEER, "b", 101)
        file = spool.items.begin(PEER, "b", 100)
        with refusal(Reason.SPOOL_FULL):
            spool.items.begin(PEER, "c", 1)
        file.discard()
    with spool_of(tmp_path, 1000, max_item_bytes=401) as spool:
        with refusal(Reason.SPOOL_FULL):
            spool.items.begin(PEER, "b", 2)
        queue(spool, "b", b"1")


def test_an_item_is_reserved_whole(tmp_path: Path) -> None:
    with spool_of(tmp_path, 1000) as spool:
        spool.items.begin(PEER, "a", 500)
        with refusal(Reason.SPOOL_FULL):
            spool.products.begin(501, 0)
        spool.products.begin(500, 0).write(bytes(500))


# --- the disk itself


def full_disk(file: PartialFile) -> None:
    file._stream.close()
    file._stream = open("/dev/full", "wb", buffering=0)  # noqa: SIM115 - the file closes it


def test_a_disk_without_room(tmp_path: Path) -> None:
    with open_spool(tmp_path) as spool:
        file, item = spool.products.begin(None, 0), spool.items.begin(PEER, "key", 3)
        for each in (file, item):
            full_disk(each)
            with refusal(Reason.DISK_FULL):
                each.write(b"abc")
            with pytest.raises(ValueError):
                each.write(b"abc")
            each.discard()
        assert names(spool.products.folder) == names(spool.items.folder) == set()
        store(spool, 1)


def database_full(spool: Spool) -> None:
    pages = spool._database.value("PRAGMA page_count")
    spool._database.value(f"PRAGMA max_page_count = {pages}")


def fill_database(spool: Spool) -> None:
    with pytest.raises(OccultaError) as caught:
        for number in range(1000):
            spool.state.put({f"filler-{number}": bytes(500)})
    assert caught.value.reason is Reason.DISK_FULL


def test_a_database_without_room(tmp_path: Path) -> None:
    """Whatever could not be written is not there; what was stored before is."""
    with open_spool(tmp_path, max_items=10_000) as spool:
        queue(spool, "old", b"abc")
        kept, _ = store(spool, 1)
        database_full(spool)
        fill_database(spool)
        for attempt in range(2, 40):
            before = names(spool.products.folder)
            try:
                store(spool, attempt, private=100)
            except OccultaError as error:
                assert error.reason is Reason.DISK_FULL
                assert names(spool.products.folder) == before
                break
        else:
            pytest.fail("the database took everything")
        with refusal(Reason.DISK_FULL):
            for number in range(1000):
                queue(spool, f"item-{number:0>59}", b"abc")
        assert len(names(spool.items.folder)) == spool.counts().items
        count = spool.counts()
    with open_spool(tmp_path) as spool:
        assert spool.take_notices() == []
        assert waiting(spool)[0] == kept and spool.counts() == count


def test_nothing_follows_a_transaction_that_a_full_disk_undid(tmp_path: Path) -> None:
    with open_spool(tmp_path) as spool:
        database_full(spool)
        with pytest.raises(OccultaError), spool.transaction():
            spool.state.put({"first": b"1"})
            with refusal(Reason.DISK_FULL):
                spool.state.put({"large": bytes(1 << 20)})
            spool.state.put({"second": b"2"})
        assert spool.state.get("first") == spool.state.get("second")


def unwritable(file: ProductFile, monkeypatch: pytest.MonkeyPatch) -> None:
    os.rename(file.place, f"{file.place}moved")


def unsyncable(file: ProductFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)


@pytest.mark.parametrize("trouble", [unwritable, unsyncable])
def test_a_product_that_cannot_be_made_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    trouble: Callable[[ProductFile, pytest.MonkeyPatch], None],
) -> None:
    with open_spool(tmp_path) as spool:
        file = spool.products.begin(None, 0)
        file.write(b"abc")
        product = product_of(1, b"abc")
        trouble(file, monkeypatch)
        with refusal(Reason.OUTPUT_UNWRITABLE):
            spool.products.commit(file, product, manifest_of(product))
        assert product.id.hex() not in names(spool.products.folder)
        assert spool.products.known_frame(CAMERA, product.frame_id) is None
        assert spool.counts().bytes == 0
