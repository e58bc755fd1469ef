"""What is done on a fault: SUSPEND goes on after resuming, IGNORE goes on, ABANDON says nothing.

Proves that each keeps to what is configured, at exact times, and that a fault which leaves nothing
to go on with never publishes a file, ignored or resumed.
"""

from zlib import crc32

import pytest

from occulta.link.cfdp.constants import (
    ChecksumType,
    Condition,
    Delivery,
    FaultAction,
    FileStatus,
    Mode,
)
from occulta.link.cfdp.events import Abandoned, Fault, Suspended
from occulta.link.cfdp.pdu import Body, Eof, FileData, Finished, Metadata
from tests.cfdp_world import DATA, DELAY, GROUND, SAT, SEGMENT, MemorySource, World, arrives

CRC = ChecksumType.CRC_32


def assert_nothing_published(world: World) -> None:
    assert world.stores[GROUND].files == {} and world.stores[GROUND].sinks == {}


def lossy(action: FaultAction, condition: Condition, **settings: object) -> World:
    """The second segment is lost until `world.fate` is changed."""
    world = World(
        lambda sent: [] if getattr(sent.body, "offset", 0) == SEGMENT else [DELAY],
        faults={condition: action}, **settings,
    )
    world.put(DATA)
    return world


def actions(world: World, number: int) -> list[FaultAction]:
    return [event.action for event in world.events[number] if isinstance(event, Fault)]


def test_a_nak_limit_ignored() -> None:
    world = lossy(FaultAction.IGNORE, Condition.NAK_LIMIT)
    world.run(120)
    assert world.faults(GROUND) == [(50.21, Condition.NAK_LIMIT), (100.21, Condition.NAK_LIMIT)]
    world.fate = arrives
    world.run()
    assert world.delivered() == [DATA] and world.ends(SAT) == [(120.24, Condition.NO_ERROR)]


def test_a_nak_limit_suspends() -> None:
    world = lossy(FaultAction.SUSPEND, Condition.NAK_LIMIT)
    world.run(200)
    assert world.faults(GROUND) == [(50.21, Condition.NAK_LIMIT)]
    (transaction,) = world.ground.transactions()
    assert world.ground.report(transaction).suspended
    world.fate = arrives
    world.ground.resume(transaction, world.now)
    world.run()
    assert world.delivered() == [DATA] and world.ends(SAT) == [(200.03, Condition.NO_ERROR)]


def test_a_nak_limit_abandons() -> None:
    """The ground says nothing more; the satellite waits out its inactivity, and a cancellation."""
    world = lossy(FaultAction.ABANDON, Condition.NAK_LIMIT)
    world.run()
    assert world.events[GROUND][-1] == Abandoned(
        world.events[GROUND][0].transaction, Condition.NAK_LIMIT, len(DATA) - SEGMENT
    )
    assert_nothing_published(world)
    assert world.bodies(Finished) == [] and world.finished(GROUND) == []
    heard = 45.22  # the last NAK
    assert world.ends(SAT) == [(heard + 300 + 0.02, Condition.INACTIVITY)]


def test_a_limit_of_acks_ignored() -> None:
    world = World(lambda sent: [], faults={Condition.POSITIVE_ACK_LIMIT: FaultAction.IGNORE})
    world.put(DATA)
    world.run(104)
    assert world.sent(Eof) == [5.0 * i for i in range(21)]
    assert [at for at, _ in world.faults(SAT)] == [50, 100]
    world.fate = arrives
    world.run()
    assert world.delivered() == [DATA]


def test_a_limit_of_acks_suspends() -> None:
    world = World(lambda sent: [], faults={Condition.POSITIVE_ACK_LIMIT: FaultAction.SUSPEND})
    world.put(DATA)
    world.run(10_000)
    assert world.sent(Eof) == [5.0 * i for i in range(10)]
    assert world.events[SAT][-1] == Suspended(
        world.sat.transactions()[0], Condition.POSITIVE_ACK_LIMIT
    )
    world.fate = arrives
    world.sat.resume(world.sat.transactions()[0], world.now)
    world.run()
    assert world.sent(Eof)[10] == 10_000 and world.delivered() == [DATA]


def test_a_check_limit_ignored() -> None:
    world = World(
        lambda sent: [], mode=Mode.UNACKNOWLEDGED, closure=True,
        faults={Condition.CHECK_LIMIT: FaultAction.IGNORE},
    )
    world.put(DATA)
    world.run(70)
    assert [at for at, _ in world.faults(SAT)] == [20, 40, 60]


@pytest.mark.parametrize("full_at", [0, 3])
def test_a_full_store_goes_on_after_resuming(full_at: int) -> None:
    """The store is full from the first segment on, or when the file is to be published."""
    world = World(faults={Condition.FILESTORE_REJECTION: FaultAction.SUSPEND},
                  large_when_unknown=False)
    source = MemorySource(DATA[: 4 * SEGMENT], ended=False)
    world.put(source)
    world.run(full_at)
    world.stores[GROUND].full, source.ended = True, True
    world.run(200)
    (transaction,) = world.ground.transactions()
    assert world.ground.report(transaction).suspended and world.finished(GROUND) == []
    world.ground.resume(transaction, world.now)
    world.run(1)
    assert world.delivered() == [] and world.ground.report(transaction).suspended
    world.stores[GROUND].full = False
    world.ground.resume(transaction, world.now)
    world.run()
    assert world.delivered() == [DATA[: 4 * SEGMENT]]
    assert world.outcome(SAT) == (Condition.NO_ERROR, Delivery.COMPLETE, FileStatus.RETAINED)


FINAL = [
    (Condition.FILE_SIZE_ERROR, [Metadata(3, "a", "a", CRC), Eof(Condition.NO_ERROR, 0, 2)]),
    (Condition.FILE_SIZE_ERROR, [FileData(0, b"abc"), Eof(Condition.NO_ERROR, 0, 2)]),
    (Condition.FILE_SIZE_ERROR, [Eof(Condition.NO_ERROR, 0, 2), Metadata(3, "a", "a", CRC)]),
    (Condition.FILESTORE_REJECTION, [Metadata(3, "a", "../a", CRC)]),
    (Condition.UNSUPPORTED_CHECKSUM, [Metadata(3, "a", "a", 7)]),
    (Condition.FILE_CHECKSUM_FAILURE, [
        Metadata(3, "a", "a", CRC), FileData(0, b"abc"), Eof(Condition.NO_ERROR, 0, 3),
    ]),
]


@pytest.mark.parametrize(("condition", "bodies"), FINAL)
def test_what_leaves_nothing_to_go_on_with_cannot_be_ignored(
    condition: Condition, bodies: list[Body]
) -> None:
    world = World(faults={condition: FaultAction.IGNORE})
    world.hears(*bodies)
    assert actions(world, GROUND) == [FaultAction.CANCEL]
    assert world.outcome(GROUND)[0] is condition
    assert_nothing_published(world)


@pytest.mark.parametrize(("condition", "bodies"), FINAL)
def test_suspended_by_such_a_fault_nothing_is_ever_published(
    condition: Condition, bodies: list[Body]
) -> None:
    world = World(faults={condition: FaultAction.SUSPEND})
    world.hears(*bodies)
    assert world.events[GROUND][-1] == Suspended(world.ground.transactions()[0], condition)
    world.hears(FileData(0, b"abc"), Eof(Condition.NO_ERROR, crc32(b"abc"), 3))
    world.run(1_000)
    for _ in range(3):
        assert world.ends(GROUND) == []
        for transaction in world.ground.transactions():
            world.ground.resume(transaction, world.now)
        world.run(10)
    for transaction in world.ground.transactions():
        world.ground.cancel(transaction, world.now)
    world.run()
    assert world.finished(GROUND)[0].delivery is Delivery.INCOMPLETE
    assert_nothing_published(world)


def test_an_ignored_full_store_is_asked_for_again() -> None:
    world = World(faults={Condition.FILESTORE_REJECTION: FaultAction.IGNORE})
    world.stores[GROUND].full = True
    world.put(DATA)
    world.run(7)
    world.stores[GROUND].full = False
    world.run()
    assert world.delivered() == [DATA]
    assert actions(world, GROUND) == [FaultAction.IGNORE] * 15


@pytest.mark.parametrize("action", [FaultAction.IGNORE, FaultAction.CANCEL])
def test_a_file_that_has_shrunk_cannot_be_ignored(action: FaultAction) -> None:
    world = World(faults={Condition.FILE_SIZE_ERROR: action})
    world.put(DATA)
    world.stores[SAT].sources["file.bin"].data = DATA[:3_000]
    world.run()
    assert actions(world, SAT) == [FaultAction.CANCEL]
    assert world.outcome(SAT)[0] is world.outcome(GROUND)[0] is Condition.FILE_SIZE_ERROR
    assert_nothing_published(world)


def test_a_sender_that_abandons_says_nothing_more() -> None:
    world = World(faults={Condition.FILE_SIZE_ERROR: FaultAction.ABANDON})
    world.put(DATA)
    world.stores[SAT].sources["file.bin"].data = DATA[:3_000]
    world.run()
    assert world.bodies(Eof) == [] and world.stores[SAT].sources["file.bin"].closed
    assert isinstance(world.events[SAT][-1], Abandoned)
    assert world.ends(GROUND)[0] == (300.01, Condition.INACTIVITY)
