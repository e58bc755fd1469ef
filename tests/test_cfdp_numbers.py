"""Sequence numbers after the loss of everything that was saved: no file is taken for another.

A receiver answers for transactions that it knows. What it says of one must not be taken for an
answer about another file that has its number.
"""

import pytest

from occulta.link.cfdp import Entity, Limits, PutRequest, Remote, TransactionId
from occulta.link.cfdp.constants import Condition, Delivery, FileStatus, TransactionStatus
from occulta.link.cfdp.events import TransactionFinished
from occulta.link.cfdp.pdu import Ack, Eof, FileData, Finished, Metadata
from occulta.link.cfdp.states import State
from occulta.link.drops import Drop
from tests.cfdp_world import DATA, GROUND, SAT, MemorySource, World, loses, pdu, without

FIRST = TransactionId(SAT, 1)
EOF_ACK = 4


def lost(world: World) -> World:
    """The satellite begins anew, and knows nothing; the ground awaits the ACK of Finished."""
    world.put(DATA)
    world.fate = without(Finished)
    world.run(0.1)
    assert world.ground.report(FIRST).state is State.FINISHING
    world.entities[SAT] = world.entity(SAT)
    world.loss_of_signal()
    world.run(100)
    world.events[SAT].clear()
    return world


def test_the_finished_of_another_file_is_not_repeated_once_the_new_one_is_known() -> None:
    world = lost(World())
    assert world.put(b"other" * 1000, "other") == FIRST
    world.fate = loses(Finished)  # that which went as contact began
    world.acquisition_of_signal()
    world.run()
    (end,) = world.finished(SAT)
    assert (end.condition, end.delivery, end.file_status) == (
        Condition.INACTIVITY, Delivery.INCOMPLETE, FileStatus.UNREPORTED
    )
    assert world.ground.drops[Drop.CONFLICTING_METADATA] == 1
    assert world.delivered("other") == [] and world.delivered() == [DATA]
    assert world.put(b"other" * 1000, "other").sequence == 2
    world.run()
    assert world.delivered("other") == [b"other" * 1000]
    assert world.finished(SAT)[-1].delivery is Delivery.COMPLETE


@pytest.mark.parametrize("body", [
    Metadata(4, "a", "a", 3), Eof(Condition.NO_ERROR, 1, 5_000), Eof(Condition.NO_ERROR, 0, 4),
])
def test_what_conflicts_ends_a_transaction_that_was_reported(body: Metadata | Eof) -> None:
    world = lost(World())
    world.ground.receive(pdu(body), world.now)
    drop = Drop.CONFLICTING_EOF if isinstance(body, Eof) else Drop.CONFLICTING_METADATA
    assert world.ground.drops == {drop: 1}
    assert world.ground.transactions() == []
    assert world.ground.outcome(FIRST) is Condition.NO_ERROR
    world.ground.receive(pdu(FileData(0, b"x")), world.now)
    assert world.ground.drops[Drop.CLOSED_TRANSACTION] == 1
    assert world.delivered() == [DATA]


@pytest.mark.parametrize("is_acked", [False, True])
@pytest.mark.parametrize("status", [TransactionStatus.TERMINATED, TransactionStatus.UNRECOGNIZED])
def test_a_receiver_that_is_over_will_not_finish(
    status: TransactionStatus, is_acked: bool
) -> None:
    """The sender does not wait for its Finished, and the file counts as not delivered."""
    world = World(without(FileData, Eof, Ack))
    world.put(DATA)
    world.run(0.1)
    if is_acked:  # by an answer that was about another file
        active = Ack(EOF_ACK, Condition.NO_ERROR, TransactionStatus.ACTIVE)
        world.sat.receive(pdu(active, up=True), world.now)
        assert world.sat.report(FIRST).state is State.AWAITING_FINISHED
    at = world.since()
    world.sat.receive(pdu(Ack(EOF_ACK, Condition.NO_ERROR, status), up=True), world.now)
    assert world.sat.transactions() == []
    assert world.sat.outcome(FIRST) is Condition.INACTIVITY
    world.run(0)
    assert world.ends(SAT) == [(at, Condition.INACTIVITY)]
    assert [one.delivery for one in world.events[SAT] if isinstance(one, TransactionFinished)] == [
        Delivery.INCOMPLETE
    ]


@pytest.mark.parametrize("first", [0, 1, 77, (1 << 32) - 1])
def test_numbers_begin_where_they_are_told_to(first: int) -> None:
    world = World(durable=True)
    world.stores[SAT].sources["x"] = MemorySource(b"x")
    for _ in range(2):  # what was saved counts more, in the next life
        entity = Entity(
            SAT, [Remote(GROUND)], world.stores[SAT], limits=Limits(), durable=True,
            first_sequence=first,
        )
        entity.load(world.saved[SAT], world.now)
        world.entities[SAT] = entity
        entity.put(PutRequest(GROUND, "x", "x"), world.now)
        world.save(SAT)
    found = [transaction.sequence for transaction in world.sat.transactions()]
    assert found == [first, (first + 1) % (1 << 32)]
