"""Private data in the queue: every byte carried once, none lost, whatever becomes of its carriers.

Proves the order and the limits of pieces, that frames in progress at the same time never get the
same bytes, and, by a machine of Hypothesis that stores, discards, delivers, cancels, drops and
restarts, that what is delivered, carried and queued together is always each item exactly.
"""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from occulta.errors import OccultaError, Reason
from occulta.link.cfdp.intervals import Intervals
from onboard.spool import Piece, ProductFile, Spool
from onboard.spool import items as item_module
from onboard.spool.records import MAX_PARTS
from tests.spool_support import (
    GROUND,
    OTHER,
    OVERHEAD,
    PEER,
    deliver,
    manifest_of,
    names,
    open_spool,
    product_of,
    queue,
    refused,
    still_queued,
    store,
)

refusal = contextmanager(refused)
ITEM = bytes(range(200))


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with open_spool(tmp_path, max_items=2000) as found:
        yield found


def ranges(pieces: list[Piece]) -> list[tuple[str, int, int]]:
    return [(piece.item_key, piece.offset, len(piece.data)) for piece in pieces]


@contextmanager
def no_descriptors() -> Iterator[None]:
    """This process can open no file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    least = os.open(os.devnull, os.O_RDONLY)
    os.close(least)
    resource.setrlimit(resource.RLIMIT_NOFILE, (least, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_pieces_in_order_within_the_room(spool: Spool) -> None:
    for key, size in (("b", 50), ("a", 30), ("c", 100)):
        queue(spool, key, ITEM[:size])
    file = spool.products.begin(None, 0)
    pieces = spool.items.next_pieces(file, 50 + 30 + 20 + 3 * OVERHEAD, OVERHEAD)
    assert pieces == [
        Piece("b", 0, 50, ITEM[:50]), Piece("a", 0, 30, ITEM[:30]), Piece("c", 0, 100, ITEM[:20]),
    ]
    assert ranges(spool.items.next_pieces(file, OVERHEAD, OVERHEAD)) == []
    assert ranges(spool.items.next_pieces(file, OVERHEAD + 1, OVERHEAD)) == [("c", 20, 1)]
    assert ranges(spool.items.next_pieces(file, 1000, OVERHEAD)) == [("c", 21, 79)]
    assert spool.items.next_pieces(file, 1000, OVERHEAD) == []


def test_files_in_progress_share_nothing(spool: Spool) -> None:
    queue(spool, "key", ITEM)
    first, second = spool.products.begin(None, 0), spool.products.begin(None, 0)
    assert ranges(spool.items.next_pieces(first, 60, 0)) == [("key", 0, 60)]
    assert ranges(spool.items.next_pieces(second, 60, 0)) == [("key", 60, 60)]
    first.discard()
    third = spool.products.begin(None, 0)
    assert ranges(spool.items.next_pieces(third, 70, 0)) == [("key", 0, 60), ("key", 120, 10)]
    with pytest.raises(ValueError):
        spool.items.next_pieces(first, 60, 0)


def test_what_was_given_but_not_carried_stays_in_the_queue(spool: Spool) -> None:
    queue(spool, "a", ITEM[:50])
    queue(spool, "b", ITEM[:50])
    file = spool.products.begin(None, 0)
    first, _ = spool.items.next_pieces(file, 100, 0)
    file.write(b"abc")
    product = product_of(1, b"abc")
    cut = Piece("a", 0, 50, first.data[:20]).part
    spool.products.commit(file, product, manifest_of(product), [cut])
    assert still_queued(spool) == {"a": [(20, ITEM[20:50])], "b": [(0, ITEM[:50])]}


def test_the_number_of_pieces_of_a_product_is_bounded(spool: Spool) -> None:
    file = spool.products.begin(None, 0)
    queue(spool, "key", bytes(MAX_PARTS + 5))
    for _ in range(MAX_PARTS):
        assert len(spool.items.next_pieces(file, 1, 0)) == 1
    assert spool.items.next_pieces(file, 1, 0) == []
    other = spool.products.begin(None, 0)
    assert ranges(spool.items.next_pieces(other, 100, 0)) == [("key", MAX_PARTS, 5)]


def test_an_item_goes_when_all_of_it_was_delivered(spool: Spool) -> None:
    queue(spool, "key", ITEM)
    first, _ = store(spool, 1, private=100 + OVERHEAD, destinations=(GROUND, OTHER))
    second, _ = store(spool, 2, private=100 + OVERHEAD)
    deliver(spool, second)
    deliver(spool, first)
    assert spool.items.known("key") == "queued" and names(spool.items.folder) == {"payload~key~200"}
    deliver(spool, first, OTHER)
    assert spool.items.known("key") == "delivered" and names(spool.items.folder) == set()
    assert spool.counts().items == spool.counts().bytes == 0


def test_what_was_delivered_to_one_was_delivered(spool: Spool) -> None:
    queue(spool, "key", ITEM)
    product, _ = store(spool, 1, private=1000, destinations=(GROUND, OTHER))
    deliver(spool, product)
    assert spool.products.cancel(product.id)
    assert spool.items.known("key") == "delivered"


def test_an_item_offered_again(spool: Spool) -> None:
    queue(spool, "key", ITEM)
    queue(spool, "key", b"another")
    assert still_queued(spool) == {"key": [(0, ITEM)]}
    deliver(spool, store(spool, 1, private=1000)[0])
    queue(spool, "key", b"another")
    assert spool.items.known("key") == "queued"
    assert still_queued(spool) == {"key": [(0, b"another")]}
    assert spool.items.known("nothing") is None


def test_the_history_is_bounded(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_module, "HISTORY", 2)
    for number in range(5):
        queue(spool, f"{number}", b"abc")
        deliver(spool, store(spool, number, private=100)[0])
    queue(spool, "last", b"abc")
    assert [n for n in range(5) if spool.items.known(f"{n}")] == [3, 4]


@pytest.mark.parametrize("key", ["", ".", "..", "a/b", "a~", "ä", "a" * 65, "a\n"])
def test_what_is_no_key(spool: Spool, key: str) -> None:
    with pytest.raises(ValueError):
        spool.items.begin(PEER, key, 1)


@pytest.mark.parametrize("key", [".hidden", ".7", "...", "-", "a" * 64])
def test_odd_keys(spool: Spool, tmp_path: Path, key: str) -> None:
    queue(spool, key, b"abc")
    spool.close()
    with open_spool(tmp_path) as again:
        assert still_queued(again) == {key: [(0, b"abc")]}


def test_an_item_has_the_size_it_was_given(spool: Spool) -> None:
    for size in (0, -1, (1 << 40) + 1):
        with pytest.raises(ValueError):
            spool.items.begin(PEER, "key", size)
    file = spool.items.begin(PEER, "key", 3)
    file.write(b"ab")
    with pytest.raises(ValueError):
        spool.items.commit(file)
    with pytest.raises(ValueError):
        file.write(b"cd")
    file.write(b"c")
    spool.items.commit(file)
    with pytest.raises(ValueError):
        spool.items.commit(file)


def test_an_item_that_cannot_be_read_disturbs_no_other(spool: Spool) -> None:
    for key in ("a", "b", "c"):
        queue(spool, key, ITEM)
    (spool.items.folder / "payload~a~200").unlink()
    (spool.items.folder / "payload~b~200").write_bytes(ITEM[:100])
    assert still_queued(spool) == {"c": [(0, ITEM)]}
    assert spool.take_notices() == [
        "item a is lost: its file is missing",
        "item b is lost: its file has 100 bytes, not 200",
    ]
    assert spool.items.known("a") is None and names(spool.items.folder) == {"payload~c~200"}
    queue(spool, "a", b"again")
    assert still_queued(spool) == {"c": [(0, ITEM)], "a": [(0, b"again")]}


def test_an_item_that_cannot_be_read_now_stays(spool: Spool) -> None:
    """Without a descriptor nothing is known of its file: frames go without it for a time."""
    queue(spool, "a", ITEM)
    file = spool.products.begin(None, 0)
    with no_descriptors():
        assert spool.items.next_pieces(file, 1000, 0) == []
        assert spool.items.next_pieces(file, 1000, 0) == []
    assert spool.take_notices() == ["item a waits: cannot read it: Too many open files"]
    assert spool.items.known("a") == "queued" and names(spool.items.folder) == {"payload~a~200"}
    file.discard()
    assert still_queued(spool) == {"a": [(0, ITEM)]}


def test_what_was_given_of_an_item_lost_meanwhile(spool: Spool) -> None:
    """Its bytes are in the product; they count for no new item of the same key."""
    queue(spool, "a", ITEM)
    file = spool.products.begin(None, 0)
    (piece,) = spool.items.next_pieces(file, 50, 0)
    (spool.items.folder / "payload~a~200").unlink()
    assert still_queued(spool) == {}
    queue(spool, "a", bytes(60))
    file.write(b"abc")
    product = product_of(1, b"abc")
    spool.products.commit(file, product, manifest_of(product), [piece.part])
    assert still_queued(spool) == {"a": [(0, bytes(60))]}


class Queue(RuleBasedStateMachine):
    """A spool, and what each of its products carries."""

    files = Bundle("files")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.items: dict[str, bytes] = {}
        self.number = 0
        self.products: dict[bytes, list[Piece]] = {}
        self.delivered: list[Piece] = []
        self.arrived: dict[str, Intervals] = {}
        self.lent: dict[ProductFile, list[Piece]] = {}
        self.spool = self.open()

    def open(self) -> Spool:
        return open_spool(
            self.folder, max_bytes=12_000, max_items=6, when_full="drop-lowest",
            max_item_bytes=2000,
        )

    def teardown(self) -> None:
        self.spool.close()
        shutil.rmtree(self.folder)

    @rule(size=st.integers(1, 500))
    def offer(self, size: int) -> None:
        key = f"item-{len(self.items)}"
        data = bytes((len(self.items) * 37 + n) % 256 for n in range(size))
        try:
            queue(self.spool, key, data)
        except OccultaError as error:
            assert error.reason is Reason.SPOOL_FULL
        else:
            self.items[key] = data

    @rule(target=files, room=st.integers(0, 900), priority=st.integers(0, 2))
    def begin(self, room: int, priority: int) -> tuple[ProductFile, list[Piece], int]:
        file = self.spool.products.begin(None, priority)
        pieces = self.spool.items.next_pieces(file, room, OVERHEAD)
        assert sum(len(piece.data) + OVERHEAD for piece in pieces) <= room
        self.lent[file] = pieces
        return file, pieces, priority

    @rule(begun=consumes(files), carried=st.integers(0, 9), size=st.integers(0, 3000))
    def commit(
        self, begun: tuple[ProductFile, list[Piece], int], carried: int, size: int
    ) -> None:
        file, pieces, priority = begun
        if self.lent.pop(file, None) is None:
            return
        self.number += 1
        data = self.number.to_bytes(4, "big") + bytes(size)
        product = product_of(self.number, data, priority, (GROUND, OTHER))
        try:
            file.write(data)
            self.spool.products.commit(
                file, product, manifest_of(product), [piece.part for piece in pieces[:carried]]
            )
        except OccultaError as error:
            assert error.reason is Reason.SPOOL_FULL
            file.discard()
        else:
            self.products[product.id] = pieces[:carried]

    @rule(begun=consumes(files))
    def discard(self, begun: tuple[ProductFile, list[Piece], int]) -> None:
        self.lent.pop(begun[0], None)
        begun[0].discard()

    @rule(destination=st.sampled_from([GROUND, OTHER]), ends=st.sampled_from("sdw"))
    def send(self, destination: int, ends: str) -> None:
        product = self.spool.deliveries.next_waiting(destination)
        if product is None:
            return
        self.spool.deliveries.mark_sending(product.id, destination)
        if ends == "d":
            self.spool.deliveries.mark_delivered(product.id, destination)
            self.delivered += self.products[product.id]
            for piece in self.products[product.id]:
                end = piece.offset + len(piece.data)
                self.arrived.setdefault(piece.item_key, Intervals()).add(piece.offset, end)
        elif ends == "w":
            self.spool.deliveries.mark_waiting(product.id, destination)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        if self.products:
            self.spool.products.cancel(data.draw(st.sampled_from(sorted(self.products))))

    @rule(priority=st.integers(1, 3))
    def purge(self, priority: int) -> None:
        self.spool.deliveries.purge(priority)

    @rule(is_crash=st.booleans())
    def restart(self, is_crash: bool) -> None:
        """A crash takes the rows too: everything is made again from the folders."""
        self.spool.close()
        if is_crash:
            for path in self.folder.glob("spool.db*"):
                path.unlink()
            self.delivered.clear()  # the marks are lost: items still there are carried again
        self.lent.clear()
        self.spool = self.open()
        assert is_crash or self.spool.take_notices() == []

    @invariant()
    def nothing_is_lost_and_nothing_carried_twice(self) -> None:
        live = [p for n, p in self.products.items() if self.spool.products.get(n) is not None]
        carried = {key: Intervals() for key in self.items}
        total = dict.fromkeys(self.items, 0)
        for piece in {id(p): p for pieces in (*live, self.delivered) for p in pieces}.values():
            end = piece.offset + len(piece.data)
            carried[piece.item_key].add(piece.offset, end)
            total[piece.item_key] += len(piece.data)
            assert self.items[piece.item_key][piece.offset : end] == piece.data
        for pieces in self.lent.values():
            for piece in pieces:
                carried[piece.item_key].add(piece.offset, piece.offset + len(piece.data))
                total[piece.item_key] += len(piece.data)
        self.check(carried, total)

    def check(self, carried: dict[str, Intervals], total: dict[str, int]) -> None:
        queued = still_queued(self.spool)
        for key, data in self.items.items():
            if self.spool.items.known(key) != "queued":
                assert not (self.folder / "items" / f"{PEER}~{key}~{len(data)}").exists()
                assert self.arrived[key].covers(0, len(data)), key
                continue
            for offset, piece in queued.get(key, []):
                assert data[offset : offset + len(piece)] == piece
                carried[key].add(offset, offset + len(piece))
                total[key] += len(piece)
            assert carried[key].covers(0, len(data)), key
            assert total[key] == len(data), key
        assert self.spool.counts().bytes <= 12_000


TestQueue = Queue.TestCase
TestQueue.settings = settings(
    max_examples=80, stateful_step_count=40, deadline=None, derandomize=True,
    suppress_health_check=list(HealthCheck),
)
