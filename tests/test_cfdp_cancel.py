"""Cancelling from each end, in each state, in both classes.

Proves that a cancellation ends both ends with its condition and publishes nothing, that one which
comes too late changes nothing, and what is done where its answer does not come.
"""

from collections.abc import Callable

import pytest

from occulta.link.cfdp import TransactionId
from occulta.link.cfdp.constants import (
    Condition,
    Delivery,
    FileStatus,
    Mode,
    Response,
    TransactionStatus,
)
from occulta.link.cfdp.events import Resumed
from occulta.link.cfdp.pdu import Ack, Eof, Finished, KeepAlive
from occulta.link.cfdp.receiver import SLICE
from occulta.link.cfdp.states import State
from occulta.link.drops import Drop
from tests.cfdp_world import (
    DATA,
    DELAY,
    GROUND,
    SAT,
    SEGMENT,
    Fate,
    MemorySource,
    World,
    arrives,
    no_second_segment,
    pdu,
)

CLASS_2 = {"mode": Mode.ACKNOWLEDGED}
CLASS_1 = {"mode": Mode.UNACKNOWLEDGED}
CLOSURE = {"mode": Mode.UNACKNOWLEDGED, "closure": True}
CANCELLED = (Condition.CANCEL_REQUEST, Delivery.INCOMPLETE, FileStatus.DISCARDED)
UNHEARD = (Condition.CANCEL_REQUEST, Delivery.INCOMPLETE, FileStatus.UNREPORTED)
OK = (Condition.NO_ERROR, Delivery.COMPLETE, FileStatus.RETAINED)


def reach(world: World, number: int, state: State) -> TransactionId:
    """Go on until the one transaction of an entity is in a state."""
    entity = world.entities[number]
    while True:
        for transaction in entity.transactions():
            if entity.report(transaction).state is state:
                return transaction
        assert world.step(), f"{state} is never reached"


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


def cancel(world: World, number: int) -> float:
    """Cancel, go on without faults to the end, and return when that was asked for."""
    at = world.since()
    (transaction,) = world.entities[number].transactions()
    world.entities[number].cancel(transaction, world.now)
    world.fate = arrives
    world.run()
    assert world.sat.transactions() == world.ground.transactions() == []
    assert world.stores[GROUND].sinks == {} and world.stores[SAT].sources["file.bin"].closed
    return at


def last(world: World, kind: type) -> Eof | Finished:
    return world.bodies(kind)[-1]


# --- by the sender


@pytest.mark.parametrize(("start", "state"), [
    (sending, State.SENDING),
    (lambda: incomplete(without(Eof)), State.AWAITING_ACK),
    (incomplete, State.AWAITING_FINISHED),
])
def test_the_sender_cancels_class_2(start: Callable[[], World], state: State) -> None:
    world = start()
    reach(world, SAT, state)
    sent = world.sat.report(world.sat.transactions()[0]).progress
    at = cancel(world, SAT)
    assert world.outcome(SAT) == world.outcome(GROUND) == CANCELLED
    assert world.ends(SAT) == [(round(at + 0.02, 6), Condition.CANCEL_REQUEST)]
    eof, finished = last(world, Eof), last(world, Finished)
    assert (eof.condition, eof.size, eof.fault_entity) == (Condition.CANCEL_REQUEST, sent, SAT)
    assert finished.fault_entity == SAT and world.delivered() == []


@pytest.mark.parametrize(("start", "settings", "state"), [
    (sending, CLASS_1, State.SENDING),
    (sending, CLOSURE, State.SENDING),
    (incomplete, CLOSURE, State.AWAITING_FINISHED),
])
def test_the_sender_cancels_class_1(
    start: Callable[..., World], settings: dict, state: State
) -> None:
    world = start(**settings)
    reach(world, SAT, state)
    at = cancel(world, SAT)
    assert world.outcome(SAT) == UNHEARD and world.ends(SAT)[0][0] == at
    assert world.outcome(GROUND) == CANCELLED and world.delivered() == []


@pytest.mark.parametrize("settings", [CLASS_2, CLASS_1, CLOSURE])
def test_a_sender_cancels_before_anything_was_sent(settings: dict) -> None:
    """A receiver that knows nothing of it has no Finished to send, and the sender sees that."""
    world = World(**settings)
    world.put(DATA)
    at = cancel(world, SAT)
    answered = settings is CLASS_2
    assert world.ends(SAT) == [(at + 0.02 * answered, Condition.CANCEL_REQUEST)]
    assert world.outcome(SAT) == UNHEARD and world.events[GROUND] == []
    assert [ack.status for ack in world.bodies(Ack)] == [TransactionStatus.UNRECOGNIZED] * answered
    assert world.kinds(SAT) == ["Eof"]


def test_a_cancellation_that_comes_too_late() -> None:
    """Everything has arrived: the receiver's word stands, at both ends."""
    world = World()
    world.put(DATA)
    world.transmit()
    cancel(world, SAT)
    assert world.delivered() == [DATA] and world.outcome(SAT) == world.outcome(GROUND) == OK


def test_the_ack_of_the_eof_before_is_none_of_the_cancellation() -> None:
    """EOF (cancel) is lost while the ACK of the EOF before is under way: it is sent again."""
    world = World(lambda s: [] if getattr(s.body, "condition", 0) else no_second_segment(s))
    world.put(DATA)
    world.run(0.015)
    world.sat.cancel(world.sat.transactions()[0], world.now)
    world.run(1)
    assert world.sat.report(world.sat.transactions()[0]).state is State.CANCELLING
    assert world.sat.drops == {Drop.UNEXPECTED_PDU: 2}  # that ACK, and a NAK
    world.fate = arrives
    world.run()
    assert world.ends(SAT) == [(5.035, Condition.CANCEL_REQUEST)]
    assert world.outcome(SAT) == world.outcome(GROUND) == CANCELLED


def test_the_eof_of_a_cancellation_is_lost() -> None:
    world = sending()
    world.fate = without(Eof)
    world.sat.cancel(world.sat.transactions()[0], world.now)
    world.run(12)
    world.fate = arrives
    world.run()
    assert world.sent(Eof) == [1, 6, 11, 16] and world.ends(SAT)[0][0] == 16.02


def test_nobody_answers_a_cancellation() -> None:
    world = sending()
    world.fate = without(Eof)
    world.sat.cancel(world.sat.transactions()[0], world.now)
    world.run(299)
    assert world.ends(SAT) == [(51, Condition.CANCEL_REQUEST)] and len(world.sent(Eof)) == 10
    assert world.outcome(SAT) == UNHEARD and world.faults(SAT) == []


def test_nobody_finishes_a_cancellation() -> None:
    world = sending()
    world.fate = without(Finished, source=GROUND)
    world.sat.cancel(world.sat.transactions()[0], world.now)
    world.run()
    assert world.ends(SAT) == [(301.02, Condition.CANCEL_REQUEST)]  # heard last: the ACK of EOF
    assert world.outcome(SAT) == UNHEARD and world.faults(SAT) == []
    assert world.ends(GROUND)[1:] == [(51.01, Condition.POSITIVE_ACK_LIMIT)]


def test_a_keep_alive_does_not_end_a_cancellation() -> None:
    world = sending(keep_alive_discrepancy=0)
    world.fate = without(Eof)
    world.sat.cancel(world.sat.transactions()[0], world.now)
    world.run(1)
    world.sat.receive(pdu(KeepAlive(0), up=True), world.now)
    assert world.sat.drops == {Drop.UNEXPECTED_PDU: 1} and world.ends(SAT) == []


# --- by the receiver


def verifying(**settings: object) -> World:
    """All has arrived, the first segment at last, so that six slices are to be read back."""
    world = World(
        lambda s: [0.1 if getattr(s.body, "offset", -1) == 0 else DELAY], **settings
    )
    world.put(bytes(6 * SLICE))
    reach(world, GROUND, State.VERIFYING)
    return world


@pytest.mark.parametrize("settings", [CLASS_2, CLOSURE])
@pytest.mark.parametrize(("start", "state"), [
    (sending, State.RECEIVING), (incomplete, State.COMPLETING), (verifying, State.VERIFYING),
])
def test_the_receiver_cancels(
    start: Callable[..., World], settings: dict, state: State
) -> None:
    world = start(**settings)
    reach(world, GROUND, state)
    at = cancel(world, GROUND)
    assert world.outcome(SAT) == world.outcome(GROUND) == CANCELLED
    assert world.ends(GROUND)[0][0] == at and world.ends(SAT)[0][0] == round(at + 0.01, 6)
    assert last(world, Finished).fault_entity == GROUND and world.delivered() == []


@pytest.mark.parametrize(("start", "state"), [
    (sending, State.RECEIVING), (incomplete, State.COMPLETING), (verifying, State.VERIFYING),
])
def test_the_receiver_cancels_class_1_without_a_word(
    start: Callable[..., World], state: State
) -> None:
    world = start(**CLASS_1)
    reach(world, GROUND, state)
    world.stores[SAT].sources["file.bin"].ended = True
    cancel(world, GROUND)
    assert world.outcome(GROUND) == CANCELLED and world.kinds(GROUND) == []
    assert world.outcome(SAT) == (Condition.NO_ERROR, Delivery.INCOMPLETE, FileStatus.UNREPORTED)
    assert world.delivered() == []


def test_the_receiver_cancels_what_is_finished() -> None:
    world = World(without(Finished, source=GROUND))
    world.put(DATA)
    reach(world, GROUND, State.FINISHING)
    cancel(world, GROUND)
    assert world.outcome(SAT) == world.outcome(GROUND) == OK and world.delivered() == [DATA]


def test_what_was_received_is_published_if_that_is_wanted() -> None:
    world = incomplete(retain_incomplete=True)
    reach(world, GROUND, State.COMPLETING)
    cancel(world, GROUND)
    kept = DATA[:SEGMENT] + bytes(SEGMENT) + DATA[2 * SEGMENT :]
    assert world.delivered() == [kept]
    expected = (Condition.CANCEL_REQUEST, Delivery.INCOMPLETE, FileStatus.RETAINED)
    assert world.outcome(SAT) == world.outcome(GROUND) == expected


def test_both_cancel_at_once() -> None:
    world = sending()
    transaction = world.sat.transactions()[0]
    world.ground.cancel(transaction, world.now)
    cancel(world, SAT)
    assert world.outcome(SAT) == world.outcome(GROUND) == CANCELLED


def test_cancelling_twice_is_cancelling_once() -> None:
    for number in (SAT, GROUND):
        world = sending()
        world.entities[number].cancel(world.sat.transactions()[0], world.now)
        cancel(world, number)
        assert len(world.finished(SAT)) == len(world.finished(GROUND)) == 1


def test_what_is_not_open_cannot_be_commanded() -> None:
    world, unknown = World(), TransactionId(SAT, 7)
    for command in (world.sat.cancel, world.sat.suspend, world.sat.resume):
        with pytest.raises(KeyError):
            command(unknown, world.now)
    with pytest.raises(KeyError):
        world.sat.prompt(unknown, Response.NAK)
    with pytest.raises(KeyError):
        world.sat.report(unknown)


@pytest.mark.parametrize("settings", [CLASS_2, CLOSURE])
@pytest.mark.parametrize("suspended", [SAT, GROUND])
@pytest.mark.parametrize("canceller", [SAT, GROUND])
def test_what_is_cancelled_is_not_suspended(
    suspended: int, canceller: int, settings: dict
) -> None:
    """Neither end waits for somebody to resume what is over, whoever ends it."""
    world = sending(**settings)
    (transaction,) = world.sat.transactions()
    world.entities[suspended].suspend(transaction, world.now)
    world.run(50)
    at = cancel(world, canceller)
    assert max(world.ends(SAT) + world.ends(GROUND))[0] <= at + 0.02
    assert world.outcome(GROUND) == CANCELLED
    assert Resumed(transaction) not in world.events[suspended]
