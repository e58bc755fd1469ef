"""What each state goes on with after a restart, and what becomes of files that have changed.

Proves that what awaited an answer is repeated at once, that lost data are asked for again, and that
what was refused before stays refused.
"""

import zlib

import pytest

from occulta.link.cfdp.constants import Condition, Delivery, FaultAction, TransactionStatus
from occulta.link.cfdp.events import Suspended
from occulta.link.cfdp.pdu import Ack, Eof, FileData, Finished, Metadata, Nak
from occulta.link.cfdp.receiver import SLICE
from occulta.link.cfdp.states import State
from occulta.link.drops import Drop
from tests.cfdp_restarts import assert_delivered, go, started, state, until
from tests.cfdp_world import (
    DATA,
    DELAY,
    GROUND,
    SAT,
    SEGMENT,
    MemorySource,
    World,
    arrives,
    no_second_segment,
    pdu,
    without,
)

# --- each state goes on


def test_a_sender_goes_on_from_what_was_saved() -> None:
    world = started()
    world.window = 2_500
    world.step()
    world.save()
    world.fate = lambda sent: []
    world.step()  # two more segments, of which nothing will be remembered
    world.restart(SAT)
    world.fate = arrives
    world.log.clear()
    go(world)
    assert world.bodies(FileData)[0].offset == 2 * SEGMENT and len(world.bodies(Metadata)) == 1
    assert_delivered(world)


def test_what_is_asked_for_survives() -> None:
    world = started(no_second_segment)
    go_on = without(FileData, Eof)
    world.run(0.1)
    world.fate = go_on
    world.run(0.115)
    world.sat.receive(pdu(Nak(0, 9, ((3, 9),)), up=True), world.now)
    world.save()
    world.restart(SAT)
    world.log.clear()
    world.run(0)
    assert [(data.offset, len(data.data)) for data in world.bodies(FileData)][-1] == (3, 6)


def test_an_eof_that_was_not_acknowledged_is_sent_again() -> None:
    world = until(started(without(Eof)), SAT, State.AWAITING_ACK)
    world.run(12)
    world.save()
    world.restart(SAT)
    world.fate = arrives
    go(world)
    assert world.sent(Eof)[-1] == 12
    assert_delivered(world)


def test_a_cancellation_survives() -> None:
    world = until(started(without(Eof)), SAT, State.AWAITING_ACK)
    world.sat.cancel(world.sat.transactions()[0], world.now)
    world.save()
    world.restart(SAT)
    world.fate = arrives
    go(world)
    assert world.outcome(SAT)[0] is world.outcome(GROUND)[0] is Condition.CANCEL_REQUEST
    assert world.delivered() == []


def test_finished_is_said_again() -> None:
    world = until(started(without(Finished)), GROUND, State.FINISHING)
    world.save()
    world.restart(GROUND)
    world.fate = arrives
    go(world)
    assert world.delivered() == [DATA] and len(world.finished(GROUND)) == 1
    assert_delivered(world)


def test_what_is_missing_is_asked_for_at_once() -> None:
    world = until(started(no_second_segment), GROUND, State.COMPLETING)
    world.run(20)
    world.save()
    world.restart(GROUND)
    world.fate = arrives
    go(world)
    assert world.sent(Nak) == [0.21, 5.21, 10.21, 15.21, 20.01]
    assert_delivered(world)


def test_a_suspended_transaction_stays_suspended() -> None:
    for number in (SAT, GROUND):
        world = started(no_second_segment)
        world.run(0.1)
        entity = world.entities[number]
        entity.suspend(entity.transactions()[0], world.now)
        world.save()
        world.restart(number)
        world.fate = arrives
        said = len(world.kinds(number))
        world.run(20)
        entity = world.entities[number]
        assert entity.report(entity.transactions()[0]).suspended
        assert len(world.kinds(number)) == said
        entity.resume(entity.transactions()[0], world.now)
        go(world)
        assert_delivered(world)


def test_what_is_taken_up_out_of_sight_waits_for_the_signal() -> None:
    world = started(without(Eof))
    world.run(1)
    world.save()
    entity = world.entities[SAT] = world.entity(SAT)
    entity.freeze(GROUND, world.now)
    entity.load(world.saved[SAT], world.now)
    world.fate = arrives
    world.run(200)
    assert world.sent(Eof) == [0]
    entity.thaw(GROUND, world.now)
    world.run(0)
    assert world.sent(Eof) == [0, 201]


def test_what_has_ended_is_remembered() -> None:
    world = started()
    go(world)
    world.restart(GROUND)
    world.restart(SAT)
    world.log.clear()
    world.hears(FileData(0, b"x"), Metadata(3, "a", "a"), Eof(Condition.NO_ERROR, 0, 3))
    world.save()
    world.run(0)
    assert [ack.status for ack in world.bodies(Ack)] == [TransactionStatus.TERMINATED]
    assert world.ground.transactions() == [] and world.delivered() == [DATA]


# --- files that are not what they were


def test_a_lost_sink_is_filled_anew() -> None:
    for wanted in (State.RECEIVING, State.COMPLETING):
        fate = without(Eof) if wanted is State.RECEIVING else no_second_segment
        world = until(started(fate), GROUND, wanted)
        world.run(0.1)
        world.save()
        world.stores[GROUND].sinks.clear()
        world.restart(GROUND)
        world.fate = arrives
        go(world)
        assert_delivered(world)
        asked = world.bodies(Nak)[-1].requests
        assert asked[0][0] == 0 and asked[-1][1] == len(DATA)


def test_a_lost_sink_is_not_begun_anew_before_that_is_saved() -> None:
    """The machine fails again: the new file would be taken for the one whose ranges were saved."""
    world = until(started(no_second_segment), GROUND, State.COMPLETING)
    world.save()
    world.stores[GROUND].sinks.clear()
    world.restart(GROUND)
    world.hears(FileData(0, DATA[:SEGMENT]))
    assert world.stores[GROUND].sinks == {}
    assert world.ground.drops == {Drop.UNEXPECTED_PDU: 1} and world.bodies(Nak) == []
    world.restart(GROUND)
    world.fate = arrives
    go(world)
    assert_delivered(world)


def verifying() -> World:
    """Everything is here, six slices are to be read back."""
    data = bytes(range(256)) * (6 * SLICE // 256)
    world = World(lambda s: [0.1 if getattr(s.body, "offset", 1) == 0 else DELAY], durable=True)
    world.put(data)
    return until(world, GROUND, State.VERIFYING)


def test_verification_starts_anew() -> None:
    world = verifying()
    world.save()
    world.restart(GROUND)
    assert state(world, GROUND) is State.VERIFYING
    go(world)
    assert world.delivered() == [world.stores[SAT].sources["file.bin"].data]
    assert world.bodies(Nak) == []


@pytest.mark.parametrize("how", ["lost", "not synced"])
def test_data_lost_while_they_were_verified_are_asked_for_again(how: str) -> None:
    world = verifying()
    world.stores[GROUND].full = how == "not synced"
    world.save()
    world.stores[GROUND].full = False
    if how == "lost":
        world.stores[GROUND].sinks.clear()
    world.restart(GROUND)
    assert state(world, GROUND) is State.COMPLETING
    go(world)
    assert world.delivered() == [world.stores[SAT].sources["file.bin"].data]


def test_a_sink_that_lost_what_it_had_made_durable() -> None:
    """Nothing wrong is published."""
    world = until(started(no_second_segment), GROUND, State.COMPLETING)
    world.save()
    (sink,) = world.stores[GROUND].sinks.values()
    sink.durable = sink.durable[: 3 * SEGMENT]
    world.restart(GROUND)
    world.fate = arrives
    go(world)
    assert world.delivered() == []
    assert world.outcome(GROUND)[0] is Condition.FILESTORE_REJECTION


@pytest.mark.parametrize("wanted", [State.SENDING, State.AWAITING_ACK])
def test_a_source_that_is_gone(wanted: State) -> None:
    world = World(without(Eof), durable=True, large_when_unknown=False)
    world.put(MemorySource(DATA[: 4 * SEGMENT], ended=wanted is not State.SENDING))
    world.save()
    world.run(1)
    world.save()
    assert state(world, SAT) is wanted
    del world.stores[SAT].sources["file.bin"]
    world.restart(SAT)
    world.fate = arrives
    go(world)
    assert world.faults(SAT) == [(1, Condition.FILESTORE_REJECTION)]
    assert world.outcome(SAT)[0] is world.outcome(GROUND)[0] is Condition.FILESTORE_REJECTION


def test_a_source_that_is_gone_but_was_delivered() -> None:
    world = until(started(without(Finished)), SAT, State.AWAITING_FINISHED)
    world.save()
    del world.stores[SAT].sources["file.bin"]
    world.restart(SAT)
    world.fate = arrives
    go(world)
    assert_delivered(world)


def test_a_hostile_name_stays_hostile() -> None:
    world = World(faults={Condition.FILESTORE_REJECTION: FaultAction.SUSPEND})
    world.hears(Metadata(3, "a", "../a", 3), FileData(0, b"abc"))
    world.save()
    world.restart(GROUND)
    (transaction,) = world.ground.transactions()
    assert world.events[GROUND][-1] == Suspended(transaction, Condition.FILESTORE_REJECTION)
    world.ground.resume(transaction, world.now)
    world.hears(FileData(0, b"abc"), Eof(Condition.NO_ERROR, zlib.crc32(b"abc"), 3))
    world.run(1_000)
    assert world.stores[GROUND].files == {}
    assert world.finished(GROUND)[-1].delivery is Delivery.INCOMPLETE
