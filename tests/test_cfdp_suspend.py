"""Suspending and resuming: from each end, in both classes.

Proves that what is suspended sends nothing and its time stands still, and that it goes on
where it was.
"""

import pytest

from occulta.link.cfdp.constants import (
    Condition,
    Delivery,
    Directive,
    FileStatus,
    Mode,
    Response,
    TransactionStatus,
)
from occulta.link.cfdp.events import Resumed, Suspended
from occulta.link.cfdp.pdu import Ack, Eof, FileData, Finished, Metadata, Nak
from occulta.link.drops import Drop
from tests.cfdp_world import (
    DATA,
    DELAY,
    GROUND,
    SAT,
    SEGMENT,
    Fate,
    MemorySource,
    Sent,
    World,
    arrives,
    no_second_segment,
    pdu,
)

CLASS_2 = {"mode": Mode.ACKNOWLEDGED}
CLASS_1 = {"mode": Mode.UNACKNOWLEDGED}
CLOSURE = {"mode": Mode.UNACKNOWLEDGED, "closure": True}
CANCELLED = (Condition.CANCEL_REQUEST, Delivery.INCOMPLETE, FileStatus.DISCARDED)
OK = (Condition.NO_ERROR, Delivery.COMPLETE, FileStatus.RETAINED)


def without(*kinds: type, source: int = SAT) -> Fate:
    return lambda s: [] if s.source == source and isinstance(s.body, kinds) else [DELAY]


def sending(**settings: object) -> World:
    """Four segments have arrived and the file has not ended."""
    world = World(large_when_unknown=False, **settings)
    world.put(MemorySource(DATA[: 4 * SEGMENT], ended=False))
    world.run(1)
    return world


def incomplete(fate: Fate = no_second_segment, **settings: object) -> World:
    """The second segment is lost, every time."""
    world = World(fate, **settings)
    world.put(DATA)
    world.run(0.02)
    return world


@pytest.mark.parametrize("number", [SAT, GROUND])
@pytest.mark.parametrize("settings", [CLASS_2, CLASS_1, CLOSURE])
def test_suspending_and_resuming_in_mid_transfer(number: int, settings: dict) -> None:
    world = sending(**settings)
    source, entity = world.stores[SAT].sources["file.bin"], world.entities[number]
    (transaction,) = entity.transactions()
    entity.suspend(transaction, world.now)
    entity.suspend(transaction, world.now)
    source.data, source.ended = DATA, True
    world.run(200)
    if transaction in entity.transactions():  # a receiver of class 1 has nothing to say any more
        assert entity.report(transaction).suspended
    assert (Eof in map(type, (sent.body for sent in world.log))) is (number == GROUND)
    for _ in range(2):
        if transaction in entity.transactions():
            entity.resume(transaction, world.now)
    world.run()
    assert world.delivered() == [DATA]
    told = [event for event in world.events[number] if isinstance(event, Suspended | Resumed)]
    resumed = [Resumed(transaction)] if Resumed in map(type, told) else []
    assert told == [Suspended(transaction, Condition.SUSPEND_REQUEST), *resumed]
    assert bool(resumed) or settings is CLASS_1


def test_time_stands_still_for_a_suspended_sender() -> None:
    """EOF was sent three times; resumed after hours it is sent at once, and counted anew."""
    world = World(lambda sent: [])
    world.put(DATA)
    world.run(12)
    (transaction,) = world.sat.transactions()
    world.sat.suspend(transaction, world.now)
    world.run(100_000)
    assert world.sent(Eof) == [0, 5, 10] and world.sat.next_timer() is None
    at = world.since()
    world.sat.resume(transaction, world.now)
    world.run(60)
    assert world.sent(Eof)[3:14] == [round(at + 5 * i, 6) for i in range(11)]
    assert world.faults(SAT) == [(at + 50, Condition.POSITIVE_ACK_LIMIT)]


def test_a_suspended_receiver_asks_for_nothing_until_it_is_resumed() -> None:
    world = incomplete()
    (transaction,) = world.ground.transactions()
    world.ground.suspend(transaction, world.now)
    world.run(100)
    assert world.bodies(Nak) == [] and world.ground.next_timer() is None
    world.fate = arrives
    world.ground.resume(transaction, world.now)
    world.run()
    assert world.sent(Nak) == [100.02] and world.delivered() == [DATA]


def test_a_suspended_receiver_finishes_when_it_is_resumed() -> None:
    world = sending()
    (transaction,) = world.ground.transactions()
    world.ground.suspend(transaction, world.now)
    world.stores[SAT].sources["file.bin"].ended = True
    world.run(100)
    assert world.delivered() == [DATA[: 4 * SEGMENT]] and world.bodies(Finished) == []
    world.ground.resume(transaction, world.now)
    world.run()
    assert world.outcome(SAT) == OK and world.sent(Finished) == [101]


def test_a_suspended_sender_takes_finished() -> None:
    world = World(without(Finished, source=GROUND))
    world.put(DATA)
    (transaction,) = world.sat.transactions()
    world.run(1)
    world.sat.suspend(transaction, world.now)
    world.fate = arrives
    world.run()
    assert world.outcome(SAT) == world.outcome(GROUND) == OK


def test_data_and_metadata_are_not_sent_while_suspended() -> None:
    world = World()
    transaction = world.put(DATA)
    world.sat.suspend(transaction, world.now)
    world.sat.receive(pdu(Nak(0, 9, ((0, 0), (0, 9))), up=True), world.now)
    world.sat.prompt(transaction, Response.NAK)
    assert world.sat.pdus_to_send(world.now, 1 << 20) == []
    world.sat.resume(transaction, world.now)
    kinds = [type(Sent(0, SAT, GROUND, one.pdu).body) for one in
             world.sat.pdus_to_send(world.now, 1_200)]
    assert kinds[0] is Metadata and FileData in kinds


def test_an_ack_of_finished_while_nothing_is_finished() -> None:
    world = sending()
    world.hears(Ack(Directive.FINISHED, Condition.NO_ERROR, TransactionStatus.TERMINATED))
    assert world.ground.drops == {Drop.UNEXPECTED_PDU: 1} and world.ends(GROUND) == []
