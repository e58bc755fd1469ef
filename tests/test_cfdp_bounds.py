"""CFDP against a peer that forges: nothing escapes, nothing grows beyond its limit, it all ends.

Proves with valid PDUs of every kind about few transactions, at any moment, with requests of the
user and restarts between them, that an entity raises nothing, keeps to `Limits`, can always save
and load its state, and is idle again in the end; and each limit exactly, by a flood made for it.
"""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.link.cfdp import ENTITY_KEY, Limits, PutRequest, TransactionId
from occulta.link.cfdp.constants import Condition, Delivery, Direction, FileStatus, Mode
from occulta.link.cfdp.events import TransactionFinished
from occulta.link.cfdp.pdu import Eof, FileData, Finished, Header, Metadata, Nak, encode, frame
from occulta.link.cfdp.saved import SavedClosed, SavedReceiver, SavedSender
from occulta.link.cfdp.transaction import MAX_OUTBOX
from occulta.link.drops import Drop
from tests.cfdp_hostile import any_pdu, damaged
from tests.cfdp_station import ASK, OWN, PEER, RECEIVE, Station

EXAMPLES = settings(deadline=None, derandomize=True, database=None, max_examples=80)


@EXAMPLES
@given(st.randoms(use_true_random=False), st.integers(10, 150), st.booleans())
def test_forged_pdus_at_any_moment(rng: random.Random, count: int, durable: bool) -> None:
    station = Station(durable=durable)
    for _ in range(count):
        pdu = any_pdu(rng) if rng.random() < 0.8 else damaged(rng, any_pdu(rng))
        op = RECEIVE if rng.random() < 0.6 else rng.randrange(RECEIVE, ASK + 1)
        station.act(op | rng.randrange(4) << 4, pdu)
        station.check()
    station.idle()


# --- each limit by itself


def test_ranges_of_a_file() -> None:
    station = Station(Limits(max_fragments=10))
    station.send(1, *(FileData(offset, b"x") for offset in range(0, 100, 2)))
    assert station.entity.drops == {Drop.TOO_FRAGMENTED: 40}
    [kept] = station.kept(SavedReceiver)
    assert kept.received == [(offset, offset + 1) for offset in range(0, 20, 2)]
    station.send(1, FileData(1, b"x"), FileData(22, b"x"))
    assert station.entity.drops[Drop.TOO_FRAGMENTED] == 40, "a gap closed makes room for another"


def test_ranges_asked_for_again() -> None:
    station = Station(Limits(max_fragments=10))
    number = station.entity.put(PutRequest(PEER, "own", "own"), 0.0)
    station.entity.pdus_to_send(0.0, 1 << 20)
    wanted = tuple((offset, offset + 1) for offset in range(0, 100, 2))
    station.send(number.sequence, Nak(0, 200, wanted), source=OWN)
    [kept] = station.kept(SavedSender)
    assert len(kept.asked) == 10
    assert station.entity.drops == {Drop.TOO_FRAGMENTED: 1}


def test_transactions_open_at_once() -> None:
    station = Station(Limits(max_transactions=4))
    station.entity.put(PutRequest(PEER, "own", "own"), 0.0)
    for sequence in range(20):
        station.send(sequence, FileData(0, b"x"))
    assert station.entity.drops == {Drop.TOO_MANY_TRANSACTIONS: 16}
    assert len(station.entity.transactions()) == 5, "what is sent does not count"
    station.idle()
    station.send(20, FileData(0, b"x"))
    assert station.entity.transactions() == [TransactionId(PEER, 20)]


@pytest.mark.parametrize("saving", [True, False])
def test_transactions_remembered(saving: bool) -> None:
    station = Station(Limits(max_history=6))
    for sequence in range(50):
        station.send(
            sequence, Metadata(1, "a", f"f{sequence}", 15), FileData(0, b"x"),
            Eof(Condition.NO_ERROR, 0, 1), mode=Mode.UNACKNOWLEDGED,
        )
        if saving:
            station.check()
    assert sorted(station.store.files) == sorted(f"f{sequence}" for sequence in range(50))
    assert len(station.kept(SavedClosed)) == 6
    assert sorted(station.saved) == [ENTITY_KEY, *(TransactionId(PEER, at) for at in range(44, 50))]


def test_answers_that_wait() -> None:
    station = Station()
    report = Finished(Condition.NO_ERROR, Delivery.COMPLETE, FileStatus.RETAINED)
    for sequence in range(MAX_OUTBOX + 100):
        station.send(sequence, report, source=OWN)
    sent = station.entity.pdus_to_send(0.0, 1 << 30)
    assert len(sent) == MAX_OUTBOX
    assert station.entity.transactions() == []


def test_the_largest_file() -> None:
    station = Station(Limits(max_file_size=100))
    station.send(1, FileData(99, b"x"), FileData(99, b"xy"), FileData(1 << 31, b"x"))
    assert station.entity.drops == {Drop.BEYOND_FILE_SIZE: 2}
    assert len(station.store.sinks[TransactionId(PEER, 1)].data) == 100
    station.send(2, Metadata(101, "a", "b"))
    told = [e for e in station.entity.events() if isinstance(e, TransactionFinished)]
    assert [(e.transaction.sequence, e.condition) for e in told] == [(2, Condition.FILE_SIZE_ERROR)]


@pytest.mark.parametrize("offset", [1, 1 << 31])
def test_file_data_without_data_reserves_nothing(offset: int) -> None:
    station = Station(Limits())
    station.send(1, FileData(offset, b""))
    assert all(not sink.data for sink in station.store.sinks.values())
    station.idle()


# --- forgeries of one field


def test_a_fault_location_of_any_length_can_be_saved() -> None:
    """An entity id has 8 octets at most (5.1); the length octet of its TLV can say 255."""
    station = Station()
    for size in (8, 9, 255):
        header = Header(PEER, size, OWN, Direction.TO_RECEIVER, Mode.ACKNOWLEDGED)
        field = Eof(Condition.NO_ERROR, 0, 10).field(header) + bytes([6, size]) + b"\xff" * size
        station.entity.receive(frame(header, field), 0.0)
    station.restart()


def test_file_data_against_its_direction_opens_nothing() -> None:
    station = Station()
    header = Header(OWN, 1, PEER, Direction.TO_SENDER, Mode.ACKNOWLEDGED)
    station.entity.receive(encode(header, FileData(0, b"x")), 0.0)
    assert station.entity.drops == {Drop.PDU_DIRECTION: 1}
    assert station.entity.transactions() == []
    assert station.entity.put(PutRequest(PEER, "own", "own"), 0.0) == TransactionId(OWN, 1)
