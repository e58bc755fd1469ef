"""Every control PDU lost once, lost again and again, and duplicated, in both classes.

Proves when what is lost is repeated, to the millisecond; that a duplicate changes nothing, before
and after the end; and which fault, outcome and moment follow at both ends where a limit is reached.
"""

from collections.abc import Callable

import pytest

from occulta.link.cfdp.constants import Condition, Delivery, FileStatus, Mode, TransactionStatus
from occulta.link.cfdp.events import EofSent, Event, MetadataReceived, TransactionFinished
from occulta.link.cfdp.pdu import Ack, Eof, FileData, Finished, Metadata, Nak
from occulta.link.drops import Drop
from tests.cfdp_world import DATA, DELAY, GROUND, SAT, SEGMENT, Fate, Sent, World, arrives, doubles

CLASS_1 = {"mode": Mode.UNACKNOWLEDGED}
CLOSURE = {"mode": Mode.UNACKNOWLEDGED, "closure": True}
ALWAYS = 1 << 30
OK = (Condition.NO_ERROR, Delivery.COMPLETE, FileStatus.RETAINED)
UNHEARD = (Delivery.INCOMPLETE, FileStatus.UNREPORTED)
DISCARDED = (Delivery.INCOMPLETE, FileStatus.DISCARDED)


def missing(times: int, *which: Callable[[Sent], bool]) -> Fate:
    """A link that loses the first `times` PDUs of each description."""
    left = [times] * len(which)

    def fate(sent: Sent) -> list[float]:
        for index, describes in enumerate(which):
            if left[index] and describes(sent):
                left[index] -= 1
                return []
        return [DELAY]

    return fate


def kind(of: type, source: int | None = None) -> Callable[[Sent], bool]:
    return lambda sent: isinstance(sent.body, of) and source in (None, sent.source)


def second_segment(sent: Sent) -> bool:
    return isinstance(sent.body, FileData) and sent.body.offset == SEGMENT


METADATA, EOF, FINISHED, NAK = kind(Metadata), kind(Eof), kind(Finished), kind(Nak)
EOF_ACK, FINISHED_ACK = kind(Ack, GROUND), kind(Ack, SAT)


def world(fate: Fate = arrives, data: bytes = DATA, **settings: object) -> World:
    found = World(fate, **settings)
    found.put(data)
    return found.run()


def how(found: World, number: int) -> tuple[float, Condition, Delivery, FileStatus]:
    """When and how the one transaction finished, as this end tells it."""
    told = zip(found.times[number], found.events[number], strict=True)
    ((at, end),) = [(at, e) for at, e in told if isinstance(e, TransactionFinished)]
    return at, end.condition, end.delivery, end.file_status


def kinds_of_events(found: World, number: int) -> list[type[Event]]:
    return [type(event) for event in found.events[number]]


def assert_whole(found: World, at: float) -> None:
    """The file is there once, the sender knew at `at`, and nothing is left open."""
    assert found.delivered() == [DATA]
    assert how(found, GROUND)[1:] == how(found, SAT)[1:] == OK
    assert how(found, SAT)[0] == at
    assert found.sat.transactions() == found.ground.transactions() == []
    assert found.stores[GROUND].sinks == {} and found.stores[SAT].sources["file.bin"].closed
    assert max(len(sent.pdu) for sent in found.log) <= 1_024
    assert all(nak.requests for nak in found.bodies(Nak))


# --- without faults


def test_class_2_says_each_thing_once() -> None:
    found = world()
    assert_whole(found, 0.02)
    assert found.kinds(SAT) == ["Metadata", *["FileData"] * 5, "Eof", "Ack"]
    assert found.kinds(GROUND) == ["Ack", "Finished"]
    assert [sent.at - 1000 for sent in found.log][-3:] == pytest.approx([0.01, 0.01, 0.02])
    assert kinds_of_events(found, SAT) == [EofSent, TransactionFinished]
    assert kinds_of_events(found, GROUND) == [MetadataReceived, TransactionFinished]


def test_class_1_ends_with_its_eof() -> None:
    found = world(**CLASS_1)
    assert found.delivered() == [DATA]
    assert found.kinds() == ["Metadata", *["FileData"] * 5, "Eof"]
    assert how(found, SAT) == (0, Condition.NO_ERROR, *UNHEARD)
    assert how(found, GROUND) == (0.01, *OK)


def test_class_1_with_closure_ends_with_finished() -> None:
    found = world(**CLOSURE)
    assert_whole(found, 0.02)
    assert found.kinds(GROUND) == ["Finished"] and found.kinds(SAT)[-1] == "Eof"


def test_an_empty_file() -> None:
    for settings in ({}, CLASS_1):
        found = world(data=b"", **settings)
        assert found.delivered() == [b""] and how(found, GROUND) == (0.01, *OK)


# --- Class 2: each control PDU lost once, and three times


@pytest.mark.parametrize(("times", "end"), [(1, 0.24), (3, 10.24)])
def test_metadata_lost(times: int, end: float) -> None:
    found = world(missing(times, METADATA))
    assert_whole(found, end)
    assert {nak.requests for nak in found.bodies(Nak)} == {((0, 0),)}
    assert found.sent(Nak) == [0.21, 5.21, 10.21][:times]


@pytest.mark.parametrize(("times", "end"), [(1, 0.24), (3, 10.24)])
def test_metadata_lost_with_deferred_nak_only(times: int, end: float) -> None:
    found = world(missing(times, METADATA, second_segment), immediate_nak=False)
    assert_whole(found, end)
    wanted = ((0, 0), (SEGMENT, 2 * SEGMENT))
    assert {nak.requests for nak in found.bodies(Nak)} == {wanted}


def test_metadata_and_all_data_lost() -> None:
    found = world(missing(6, kind(Metadata), lambda sent: isinstance(sent.body, FileData)))
    assert found.bodies(Nak)[0].requests == ((0, 0), (0, len(DATA)))
    assert found.delivered() == [DATA]


@pytest.mark.parametrize(("times", "end"), [(1, 5.02), (3, 15.02)])
def test_eof_lost(times: int, end: float) -> None:
    found = world(missing(times, EOF))
    assert_whole(found, end)
    assert found.sent(Eof) == [5.0 * i for i in range(times + 1)]
    assert kinds_of_events(found, SAT).count(EofSent) == 1


@pytest.mark.parametrize(("times", "end"), [(1, 5.24), (3, 15.24)])
def test_ack_of_eof_lost_while_data_is_missing(times: int, end: float) -> None:
    """The second segment is lost with each round of NAKs, so that EOF is repeated meanwhile."""
    fate = missing(times + 1, second_segment)
    losing = missing(times, EOF_ACK)
    found = world(lambda sent: fate(sent) and losing(sent))
    assert_whole(found, end)
    assert found.sent(Eof) == [5.0 * i for i in range(times + 1)]
    assert len(found.bodies(Ack)) == times + 2  # and that of Finished


@pytest.mark.parametrize("times", [1, 3])
def test_ack_of_eof_lost_but_finished_arrives(times: int) -> None:
    found = world(missing(times, EOF_ACK))
    assert_whole(found, 0.02)
    assert found.sent(Eof) == [0]


@pytest.mark.parametrize(("times", "end"), [(1, 5.02), (3, 15.02)])
def test_finished_lost(times: int, end: float) -> None:
    found = world(missing(times, FINISHED))
    assert_whole(found, end)
    assert found.sent(Finished) == [0.01 + 5 * i for i in range(times + 1)]
    assert found.sent(Eof) == [0]  # it was acknowledged


@pytest.mark.parametrize("times", [1, 3])
def test_ack_of_finished_lost(times: int) -> None:
    """The sender has closed; it goes on acknowledging, and tells its user nothing more."""
    found = world(missing(times, FINISHED_ACK))
    assert_whole(found, 0.02)
    assert found.sent(Ack, SAT) == [0.02 + 5 * i for i in range(times + 1)]
    acks = [sent.body for sent in found.log if sent.source == SAT and isinstance(sent.body, Ack)]
    assert {ack.status for ack in acks} == {TransactionStatus.TERMINATED}
    assert found.now == pytest.approx(1000.03 + 5 * times)


@pytest.mark.parametrize(("times", "end"), [(1, 5.24), (3, 15.24)])
def test_nak_lost(times: int, end: float) -> None:
    fate, losing = missing(1, second_segment), missing(times, NAK)
    found = world(lambda sent: fate(sent) and losing(sent))
    assert_whole(found, end)
    assert found.sent(Nak) == [0.21 + 5 * i for i in range(times + 1)]
    assert {nak.requests for nak in found.bodies(Nak)} == {((SEGMENT, 2 * SEGMENT),)}


# --- Class 1: what is lost stays lost, and is told


def test_class_1_metadata_lost() -> None:
    found = world(missing(1, METADATA), **CLASS_1)
    assert found.delivered() == [] and found.kinds(GROUND) == []
    assert found.faults(GROUND) == [(20.01, Condition.CHECK_LIMIT)]
    assert how(found, GROUND) == (20.01, Condition.CHECK_LIMIT, *DISCARDED)


def test_class_1_data_lost() -> None:
    found = world(missing(1, second_segment), **CLASS_1)
    assert found.delivered() == [] and found.kinds(GROUND) == []
    assert how(found, GROUND) == (20.01, Condition.CHECK_LIMIT, *DISCARDED)
    assert found.stores[GROUND].sinks == {}


def test_class_1_eof_lost() -> None:
    found = world(missing(1, EOF), **CLASS_1)
    assert found.delivered() == []
    assert how(found, GROUND) == (300.01, Condition.INACTIVITY, *DISCARDED)


@pytest.mark.parametrize("late", [4.0, 19.0])
def test_class_1_data_behind_eof(late: float) -> None:
    found = world(lambda sent: [late if second_segment(sent) else DELAY], **CLASS_1)
    assert found.delivered() == [DATA] and how(found, GROUND) == (late, *OK)


def test_class_1_with_closure_finished_lost() -> None:
    """The sender waits out its checks; the receiver, which has closed, ignores the cancellation."""
    found = world(missing(ALWAYS, FINISHED), **CLOSURE)
    assert found.delivered() == [DATA] and how(found, GROUND) == (0.01, *OK)
    assert found.sent(Finished) == [0.01]
    assert how(found, SAT) == (20, Condition.CHECK_LIMIT, *UNHEARD)
    assert found.ground.drops == {Drop.CLOSED_TRANSACTION: 1}


def test_class_1_with_closure_eof_lost() -> None:
    found = world(missing(1, EOF), **CLOSURE)
    assert found.sent(Eof) == [0, 20]
    assert how(found, SAT) == (20, Condition.CHECK_LIMIT, *UNHEARD)
    assert how(found, GROUND) == (20.01, Condition.CHECK_LIMIT, *DISCARDED)
    assert found.bodies(Finished)[0].fault_entity == SAT
    assert found.sat.drops == {Drop.CLOSED_TRANSACTION: 1}  # Finished, for one that has ended


# --- duplicates


@pytest.mark.parametrize("settings", [{}, CLASS_1, CLOSURE])
@pytest.mark.parametrize("duplicate", [Metadata, FileData, Eof, Ack, Finished])
def test_duplicates_after_the_end_change_nothing(duplicate: type, settings: dict) -> None:
    found, plain = world(doubles(duplicate), **settings), world(**settings)
    assert found.delivered() == [DATA]
    assert found.events == plain.events and found.times == plain.times
    assert found.sat.transactions() == found.ground.transactions() == []


@pytest.mark.parametrize(("duplicate", "end"), [
    (Metadata, 5.24), (FileData, 5.24), (Eof, 5.24), (Ack, 5.24), (Finished, 5.24), (Nak, 1.24),
])
def test_duplicates_in_time_change_nothing(duplicate: type, end: float) -> None:
    """The second segment is lost twice; it is sent again for each copy of a NAK that arrives."""
    fate, twice = missing(2, second_segment), doubles(duplicate)
    found = world(lambda sent: fate(sent) and twice(sent))
    assert_whole(found, end)
    assert kinds_of_events(found, SAT) == [EofSent, TransactionFinished]
    assert kinds_of_events(found, GROUND) == [MetadataReceived, TransactionFinished]


def test_a_duplicate_of_eof_after_the_end_is_acknowledged_as_over() -> None:
    found = world(doubles(Eof))
    acks = [sent.body for sent in found.log if sent.source == GROUND and sent.at > 1000.5]
    assert acks == [Ack(4, Condition.NO_ERROR, TransactionStatus.TERMINATED)]
    assert found.ground.drops == {}


def test_a_duplicate_of_finished_after_the_end_is_acknowledged_as_over() -> None:
    found = world(doubles(Finished))
    acks = [sent for sent in found.log if sent.source == SAT and isinstance(sent.body, Ack)]
    assert [found.since(sent.at) for sent in acks] == [0.02, 1.02]
    assert acks[1].body == Ack(5, Condition.NO_ERROR, TransactionStatus.TERMINATED)
    assert found.ground.drops == {Drop.CLOSED_TRANSACTION: 1}  # the second ACK


# --- limits


def test_nobody_acknowledges_eof() -> None:
    found = world(missing(ALWAYS, lambda sent: sent.source == SAT))
    assert found.sent(Eof) == [5.0 * i for i in range(20)]
    cancels = [eof.condition for eof in found.bodies(Eof)]
    assert cancels == [Condition.NO_ERROR] * 10 + [Condition.POSITIVE_ACK_LIMIT] * 10
    assert found.faults(SAT) == [(50, Condition.POSITIVE_ACK_LIMIT)]
    assert how(found, SAT) == (100, Condition.POSITIVE_ACK_LIMIT, *UNHEARD)
    assert found.events[GROUND] == []


def test_the_way_back_is_dead() -> None:
    """Each end reaches its limit of ACKs; the receiver's outcome stands all the same."""
    found = world(missing(ALWAYS, lambda sent: sent.source == GROUND))
    assert found.delivered() == [DATA] and how(found, GROUND) == (0.01, *OK)
    assert found.sent(Finished) == [0.01 + 5 * i for i in range(10)]
    assert found.ends(GROUND)[1:] == [(50.01, Condition.POSITIVE_ACK_LIMIT)]
    assert found.faults(SAT) == [(50, Condition.POSITIVE_ACK_LIMIT)]
    assert how(found, SAT) == (100, Condition.POSITIVE_ACK_LIMIT, *UNHEARD)


@pytest.mark.parametrize("limit", [1, 2])
def test_a_small_limit_of_acks(limit: int) -> None:
    found = world(missing(ALWAYS, lambda sent: sent.source == SAT), ack_limit=limit,
                  ack_interval=2.5)
    assert len(found.sent(Eof)) == 2 * limit
    assert found.ends(SAT) == [(5.0 * limit, Condition.POSITIVE_ACK_LIMIT)]


def test_nobody_answers_naks() -> None:
    found = world(missing(ALWAYS, second_segment))
    assert found.sent(Nak) == [round(0.21 + 5 * i, 6) for i in range(10)]
    assert found.faults(GROUND) == [(50.21, Condition.NAK_LIMIT)]
    assert how(found, GROUND) == (50.21, Condition.NAK_LIMIT, *DISCARDED)
    assert how(found, SAT) == (50.22, Condition.NAK_LIMIT, *DISCARDED)
    (finished,) = found.bodies(Finished)
    assert finished.fault_entity == GROUND
    assert found.delivered() == [] and found.stores[GROUND].sinks == {}


def test_progress_starts_the_count_of_naks_again() -> None:
    """With a limit of three rounds, one of five lost segments arrives in every third."""
    rounds = 0

    def fate(sent: Sent) -> list[float]:
        nonlocal rounds
        rounds += isinstance(sent.body, Nak)
        if isinstance(sent.body, FileData) and sent.body.offset // SEGMENT >= (rounds + 1) // 3:
            return []
        return [DELAY]

    found = world(fate, nak_limit=3)
    assert found.delivered() == [DATA] and found.faults(GROUND) == []
    assert len(found.bodies(Nak)) == 14


def test_duplicates_are_no_progress() -> None:
    """The first segment comes again with every round; the second never does."""
    found = World(missing(ALWAYS, second_segment), nak_limit=3)
    found.put(DATA)
    found.run(0.02)
    first = next(sent for sent in found.log if isinstance(sent.body, FileData))
    for _ in range(20):
        found.run(1.0)
        found.ground.receive(first.pdu, found.now)
    found.run()
    assert found.faults(GROUND) == [(15.21, Condition.NAK_LIMIT)]


def test_the_sender_of_class_1_with_closure_hears_nothing() -> None:
    found = world(missing(ALWAYS, lambda sent: True), check_limit=2, check_interval=3.0, **CLOSURE)
    assert found.faults(SAT) == [(6, Condition.CHECK_LIMIT)]
    assert how(found, SAT) == (6, Condition.CHECK_LIMIT, *UNHEARD)
    assert found.sent(Eof) == [0, 6]
