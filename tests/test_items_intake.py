"""Private data on its way in: sealed as it arrives, kept once, given to those who are named.

Proves that no byte of it reaches the disk in the clear, also of an item that is never completed,
that it comes back whole from the frames that carried it, and that what a payload program says (by
a machine of Hypothesis) is answered by nothing but valid messages.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from occulta.codec import crypto
from occulta.errors import OccultaError, Reason
from occulta.link.messages import (
    MAX_SIZE,
    ItemBegin,
    ItemChunk,
    ItemEnd,
    ItemRefused,
    ItemStored,
    encode,
)
from occulta.schemes.sealed import sealed_size
from tests import jpegs
from tests.intake_support import (
    EXACT,
    EXAMPLES,
    PAYLOAD,
    Onboard,
    give,
    item_end,
    joined,
    open_sealed,
    queue,
    recovered,
    refused,
    store,
)
from tests.support import KEY, OTHER_KEY

FRAME = jpegs.encode(3, 256, 256, quality=90)
SECRET = b"a name, an address, a place; " * 2000
OTHER = "payload-2"
LOST = (Reason.BAD_INTAKE, True)
NEVER = (Reason.BAD_INTAKE, False)


@pytest.fixture
def onboard(tmp_path: Path) -> Iterator[Onboard]:
    with Onboard(
        tmp_path / "spool", EXACT, recipients=(KEY.public, OTHER_KEY.public), share=0.2
    ) as found:
        yield found


def begin(size: int, item_id: str = "item-1", *recipients: bytes) -> ItemBegin:
    return ItemBegin(item_id, size, recipients)


def item(onboard: Onboard, item_id: str = "item-1") -> bytes:
    """The sealed item as it lies in the queue."""
    return onboard.queued()[item_id]


# --- only ciphertext reaches the disk


def test_sealed_on_arrival(onboard: Onboard) -> None:
    onboard.items.receive(PAYLOAD, begin(len(SECRET)), 0)
    for at in range(0, len(SECRET), 4000):
        data = SECRET[at : at + 4000]
        assert onboard.items.receive(PAYLOAD, ItemChunk("item-1", at, data), 0) == []
        assert b"address" not in onboard.everything()
    assert len(onboard.everything()) > len(SECRET) // 2  # it is written as it comes
    onboard.items.receive(PAYLOAD, item_end(SECRET), 0)
    found = onboard.everything()
    for at in range(0, len(SECRET) - 8, 8):
        assert SECRET[at : at + 8] not in found
    assert open_sealed(item(onboard)) == open_sealed(item(onboard), OTHER_KEY) == SECRET


def test_no_plaintext_stays_in_any_frame_or_database(onboard: Onboard) -> None:
    secret = b"a name, an address, a place"
    queue(onboard.items, secret)
    product = store(onboard.frames, FRAME)
    onboard.restart()
    for at in range(len(secret) - 8):
        assert secret[at : at + 8] not in onboard.everything()
    assert open_sealed(joined([recovered(onboard, product)[1]])["item-1"]) == secret


@given(data=st.binary(max_size=40_000), chunk=st.integers(1, 20_000), n=st.integers(0, 1 << 60))
@settings(EXAMPLES, max_examples=15)
def test_any_item_opens_again(data: bytes, chunk: int, n: int) -> None:
    with tempfile.TemporaryDirectory() as folder, Onboard(Path(folder)) as onboard:
        queue(onboard.items, data, f"item.{n}", chunk=max(chunk, len(data) // 50))
        sealed = item(onboard, f"item.{n}")
        assert len(sealed) == sealed_size(len(data), 1, True)
        assert open_sealed(sealed) == data


# --- for whom


def test_the_recipients_named_and_no_others(onboard: Onboard) -> None:
    queue(onboard.items, SECRET, "one", recipients=(OTHER_KEY.public.fingerprint,))
    queue(onboard.items, SECRET, "both",
          recipients=(KEY.public.fingerprint, OTHER_KEY.public.fingerprint))
    assert open_sealed(item(onboard, "one"), OTHER_KEY) == SECRET
    with pytest.raises(OccultaError) as caught:
        open_sealed(item(onboard, "one"), KEY)
    assert caught.value.reason is Reason.WRONG_KEY
    for key in (KEY, OTHER_KEY):
        assert open_sealed(item(onboard, "both"), key) == SECRET


def test_an_unknown_recipient(onboard: Onboard) -> None:
    stranger = crypto.PrivateKey.generate().public.fingerprint
    for named in [(stranger,), (KEY.public.fingerprint, stranger), (bytes(16),)]:
        answer = give(onboard.items, SECRET, recipients=named)
        assert refused(answer, "item-1") == NEVER
        # The end that was on its way already is answered as the beginning was.
        assert onboard.items.receive(PAYLOAD, item_end(SECRET), 0) == [answer]
    assert onboard.spool.counts().items == 0
    assert onboard.unfinished() == []
    queue(onboard.items, SECRET)
    assert onboard.items.receive(PAYLOAD, item_end(SECRET), 0) == [ItemStored("item-1")]


# --- once


def test_an_item_given_twice(onboard: Onboard) -> None:
    queue(onboard.items, SECRET)
    before = item(onboard)
    stored = [ItemStored("item-1")]
    assert onboard.items.receive(PAYLOAD, begin(7), 0) == stored
    assert onboard.items.receive(PAYLOAD, item_end(SECRET), 0) == stored
    onboard.restart()
    assert onboard.items.receive(PAYLOAD, begin(len(SECRET)), 0) == stored
    assert give(onboard.items, SECRET) == ItemStored("item-1")
    assert onboard.spool.counts().items == 1
    assert item(onboard) == before
    assert onboard.items.counters["items_in"] == 0


def test_an_item_that_was_delivered_is_known(onboard: Onboard) -> None:
    queue(onboard.items, b"a private item")
    product = store(onboard.frames, FRAME)
    assert onboard.spool.counts().private_bytes == 0
    onboard.spool.deliveries.mark_sending(product, 2)
    onboard.spool.deliveries.mark_delivered(product, 2)
    assert onboard.spool.counts().items == 0
    onboard.restart()
    assert give(onboard.items, b"a private item") == ItemStored("item-1")
    assert onboard.spool.counts().items == 0


def test_an_item_id_is_for_the_first_to_use_it(onboard: Onboard) -> None:
    """Nobody is told that his item is stored where another's is; the reason says whose it is."""
    queue(onboard.items, b"not the item", peer=OTHER)
    taken = ItemRefused("item-1", Reason.BAD_INTAKE, "the id item-1 is another program's", True)
    assert give(onboard.items, SECRET) == taken
    assert refused(onboard.items.receive(PAYLOAD, item_end(SECRET), 0), "item-1") == LOST
    (onboard.folder / "spool.db").unlink()
    onboard.restart()
    assert give(onboard.items, SECRET) == taken
    product = store(onboard.frames, FRAME)
    onboard.spool.deliveries.mark_sending(product, 2)
    onboard.spool.deliveries.mark_delivered(product, 2)
    assert (onboard.queued(), onboard.spool.counts().items) == ({}, 0)
    assert give(onboard.items, SECRET) == taken  # on the ground it would be the item that arrived
    assert give(onboard.items, b"not the item", peer=OTHER) == ItemStored("item-1")
    queue(onboard.items, SECRET, "item-2")
    assert open_sealed(item(onboard, "item-2")) == SECRET


def test_one_item_id_from_two_programs_at_once(onboard: Onboard) -> None:
    data = SECRET[:1000]
    for peer in (PAYLOAD, OTHER):
        onboard.items.receive(peer, begin(1000), 0)
        onboard.items.receive(peer, ItemChunk("item-1", 0, data), 0)
    assert onboard.items.receive(PAYLOAD, item_end(data), 0) == [ItemStored("item-1")]
    assert refused(onboard.items.receive(OTHER, item_end(data), 0), "item-1") == LOST
    assert refused(onboard.items.receive(OTHER, begin(1000), 0), "item-1") == LOST
    assert onboard.spool.counts().items == 1
    assert open_sealed(item(onboard)) == data
    assert onboard.unfinished() == []


# --- what does not agree with itself


@pytest.mark.parametrize("offset", [0, 999, 1001, MAX_SIZE])
def test_offsets_out_of_order(onboard: Onboard, offset: int) -> None:
    onboard.items.receive(PAYLOAD, begin(5000), 0)
    assert onboard.items.receive(PAYLOAD, ItemChunk("item-1", 0, bytes(1000)), 0) == []
    answer = onboard.items.receive(PAYLOAD, ItemChunk("item-1", offset, b"x"), 0)
    assert refused(answer, "item-1") == LOST
    assert onboard.unfinished() == []
    # The rest of it, on its way already, starts nothing; its end is answered the same.
    assert onboard.items.receive(PAYLOAD, ItemChunk("item-1", 1001, b"x"), 0) == []
    assert onboard.items.receive(PAYLOAD, item_end(bytes(5000)), 0) == answer


def test_more_than_announced(onboard: Onboard) -> None:
    onboard.items.receive(PAYLOAD, begin(10), 0)
    answer = onboard.items.receive(PAYLOAD, ItemChunk("item-1", 0, bytes(11)), 0)
    assert refused(answer, "item-1") == LOST


@pytest.mark.parametrize("wrong", [
    ItemEnd("item-1", 99, hashlib.sha256(SECRET[:100]).digest()),
    ItemEnd("item-1", 100, hashlib.sha256(SECRET[:99]).digest()),
    ItemEnd("item-1", 200, hashlib.sha256(SECRET[:200]).digest()),
])
def test_wrong_size_or_digest_at_the_end(onboard: Onboard, wrong: ItemEnd) -> None:
    onboard.items.receive(PAYLOAD, begin(wrong.size), 0)
    onboard.items.receive(PAYLOAD, ItemChunk("item-1", 0, SECRET[:99]), 0)
    if wrong.size == 100:
        onboard.items.receive(PAYLOAD, ItemChunk("item-1", 99, SECRET[99:100]), 0)
    assert refused(onboard.items.receive(PAYLOAD, wrong, 0), "item-1") == LOST
    assert onboard.spool.counts().items == 0
    assert onboard.unfinished() == []


def test_less_than_announced(onboard: Onboard) -> None:
    onboard.items.receive(PAYLOAD, begin(200), 0)
    onboard.items.receive(PAYLOAD, ItemChunk("item-1", 0, SECRET[:100]), 0)
    answer = onboard.items.receive(PAYLOAD, item_end(SECRET[:100]), 0)
    assert refused(answer, "item-1") == LOST
    assert onboard.unfinished() == []


@pytest.mark.parametrize("size", [MAX_SIZE, MAX_SIZE - 1, MAX_SIZE - (1 << 28)])
def test_an_item_that_is_too_long_when_sealed(onboard: Onboard, size: int) -> None:
    assert refused(onboard.items.receive(PAYLOAD, begin(size), 0), "item-1") == NEVER


# --- programs that die, spools that are full


def test_a_program_that_dies(onboard: Onboard) -> None:
    items = onboard.items
    assert items.next_timer() is None
    items.receive(PAYLOAD, begin(1000), 1)
    items.receive(OTHER, begin(1000, "item-2"), 2)
    items.receive(PAYLOAD, ItemChunk("item-1", 0, b"x"), 3)
    assert items.next_timer() == 12
    items.handle_timer(11.9)
    assert len(onboard.unfinished()) == 2
    items.handle_timer(12)
    assert len(onboard.unfinished()) == 1
    assert items.next_timer() == 13
    items.handle_timer(99)
    assert (items.next_timer(), onboard.unfinished()) == (None, [])
    assert items.counters["items_discarded"] == 2
    answer = items.receive(PAYLOAD, item_end(b"x"), 99)
    assert refused(answer, "item-1") == LOST


@pytest.mark.parametrize("item_id", ["item-1", "item-2"])
def test_a_program_that_starts_anew(onboard: Onboard, item_id: str) -> None:
    onboard.items.receive(PAYLOAD, begin(9000), 0)
    onboard.items.receive(PAYLOAD, ItemChunk("item-1", 0, bytes(100)), 0)
    queue(onboard.items, SECRET, item_id)
    assert open_sealed(item(onboard, item_id)) == SECRET
    assert onboard.spool.counts().items == 1
    assert onboard.unfinished() == []


def test_too_many_items(tmp_path: Path) -> None:
    full = (Reason.SPOOL_FULL, True)
    with Onboard(tmp_path, most_open=2, max_items=3) as onboard:
        for peer in ("a", "b"):
            assert onboard.items.receive(peer, begin(10, peer), 0) == []
        assert refused(give(onboard.items, b"c", "c", "c"), "c") == full
        onboard.items.abandon()
        assert onboard.unfinished() == []
        for item_id in ("a", "b", "c"):
            queue(onboard.items, b"x", item_id)
        assert refused(give(onboard.items, b"x", "d"), "d") == full
        assert give(onboard.items, b"x", "c") == ItemStored("c")


def test_a_disk_that_fails(onboard: Onboard) -> None:
    failed = (Reason.OUTPUT_UNWRITABLE, True)
    shutil.rmtree(onboard.spool.items.folder)
    assert refused(give(onboard.items, SECRET), "item-1") == failed
    onboard.spool.items.folder.mkdir()
    onboard.items.receive(PAYLOAD, begin(10), 0)
    onboard.items.receive(PAYLOAD, ItemChunk("item-1", 0, bytes(10)), 0)
    shutil.rmtree(onboard.spool.items.folder)
    answer = onboard.items.receive(PAYLOAD, item_end(bytes(10)), 0)
    assert refused(answer, "item-1") == failed
    assert onboard.spool.counts().bytes == 0  # nothing of it counts any more
    onboard.spool.items.folder.mkdir()
    queue(onboard.items, SECRET)


# --- anything at all

_PEERS = st.sampled_from(["a", "b", "c"])
_IDS = st.sampled_from(["i1", "i2", "i3"])
_ITEMS = {"i1": b"", "i2": SECRET[:50], "i3": SECRET[:300]}


class AnyProgram(RuleBasedStateMachine):
    """Programs that keep to nothing, beside one that keeps to everything."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._onboard = Onboard(Path(self._folder.name), most_open=2)
        self._now = 0.0
        self._stored: dict[str, str] = {}
        """Whose item it is."""

    def teardown(self) -> None:
        self._onboard.items.abandon()
        assert self._onboard.unfinished() == []
        assert self._onboard.spool.counts().items == len(self._stored)
        for item_id in self._stored:
            assert open_sealed(item(self._onboard, item_id)) == _ITEMS[item_id]
        self._onboard.spool.close()
        self._folder.cleanup()

    def _send(self, peer: str, message: ItemBegin | ItemChunk | ItemEnd) -> None:
        for answer in self._onboard.items.receive(peer, message, self._now):
            assert encode(answer)
            if isinstance(answer, ItemStored):
                assert self._stored.setdefault(answer.item_id, peer) == peer
            else:
                assert isinstance(answer, ItemRefused)
                if isinstance(message, ItemBegin):
                    assert self._stored.get(message.item_id) != peer

    @rule(peer=_PEERS, item_id=_IDS, size=st.none() | st.integers(0, 400) | st.just(MAX_SIZE),
          recipients=st.sampled_from([(), (KEY.public.fingerprint,), (bytes(16),)]))
    def begin(self, peer: str, item_id: str, size: int | None, recipients: tuple[bytes]) -> None:
        announced = len(_ITEMS[item_id]) if size is None else size
        self._send(peer, begin(announced, item_id, *recipients))

    @rule(peer=_PEERS, item_id=_IDS, offset=st.sampled_from([0, 50, 100, 250]),
          size=st.sampled_from([1, 50, 200, 250]))
    def chunk(self, peer: str, item_id: str, offset: int, size: int) -> None:
        data = _ITEMS[item_id][offset : offset + size] or b"?"
        self._send(peer, ItemChunk(item_id, offset, data))

    @rule(peer=_PEERS, item_id=_IDS)
    def end(self, peer: str, item_id: str) -> None:
        self._send(peer, item_end(_ITEMS[item_id], item_id))

    @rule(seconds=st.floats(0, 15))
    def wait(self, seconds: float) -> None:
        self._now += seconds
        self._onboard.items.handle_timer(self._now)

    @rule()
    def restart(self) -> None:
        self._onboard.restart()

    @rule(peer=_PEERS, item_id=_IDS)
    def well_behaved(self, peer: str, item_id: str) -> None:
        if len(self._onboard.unfinished()) < 2:
            data, owner = _ITEMS[item_id], self._stored.setdefault(item_id, peer)
            answer = give(self._onboard.items, data, item_id, peer, self._now)
            if owner == peer:
                assert answer == ItemStored(item_id)
            else:
                assert refused(answer, item_id) == LOST

    @invariant()
    def nothing_in_the_clear(self) -> None:
        assert b"address" not in self._onboard.everything()


AnyProgram.TestCase.settings = settings(EXAMPLES, max_examples=15, stateful_step_count=25)
TestAnyProgram = AnyProgram.TestCase
