"""Either end fails at any moment and goes on from what was saved: the file arrives all the same.

Proves that nothing is said that a restart would make untrue, that numbers are never given away
twice, what each state goes on with, and that a damaged snapshot is refused.
"""

import zlib
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.link.cfdp import ENTITY_KEY, Entity, Limits, Remote, TransactionId
from occulta.link.cfdp.constants import ChecksumType, Condition, Mode, TransactionStatus
from occulta.link.cfdp.pdu import Ack, Eof, FileData, Finished
from tests.cfdp_restarts import assert_delivered, go, started
from tests.cfdp_world import (
    DATA,
    DELAY,
    GROUND,
    SAT,
    SEGMENT,
    Fate,
    MemoryStore,
    Sent,
    World,
    no_second_segment,
)

# --- at any moment


LOSSES = {
    "nothing": [],
    "a segment": [lambda s: getattr(s.body, "offset", 0) == SEGMENT],
    "all but one": [
        lambda s: getattr(s.body, "offset", 0) == SEGMENT, lambda s: isinstance(s.body, Eof),
        lambda s: isinstance(s.body, Ack), lambda s: isinstance(s.body, Finished),
    ],
}
"""What is lost the first time, so that states last and answers cross."""


def losing(name: str) -> Fate:
    left = list(LOSSES[name])

    def fate(sent: Sent) -> list[float]:
        for one in left:
            if one(sent):
                left.remove(one)
                return []
        return [DELAY]

    return fate


@pytest.mark.parametrize("lost", LOSSES)
@pytest.mark.parametrize("period", [0, 0.005, 0.015, 0.1, 3])
@pytest.mark.parametrize("number", [SAT, GROUND])
def test_one_crash_at_each_step(number: int, period: float, lost: str) -> None:
    for count in range(40):
        world = started(losing(lost))
        world.window = 2_500
        steps = go(world, period, {count: number})
        assert_delivered(world)
    assert 5 < steps < 40  # the last one came when all was over


@given(seed=st.integers(0, 1 << 32), period=st.floats(0, 2),
       kind=st.sampled_from(ChecksumType),
       crashes=st.dictionaries(st.integers(0, 80), st.sampled_from([SAT, GROUND]), max_size=8))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_any_crashes_on_any_link(
    seed: int, period: float, kind: ChecksumType, crashes: dict[int, int]
) -> None:
    """With checksum NULL too, which would let a wrong file pass."""
    random = Random(seed)

    def fate(sent: Sent) -> list[float]:
        return [random.random() / 2] * random.choice((1, 1, 2)) if random.random() < 0.8 else []

    world = started(fate, ack_limit=100, nak_limit=100, inactivity=10_000.0, checksum_type=kind)
    world.window = random.choice((1_024, 2_500, 1 << 30))
    go(world, period, crashes)
    assert_delivered(world)


def test_a_crash_of_both_ends_in_class_1() -> None:
    """What was sent and not saved is sent again; what the receiver loses is lost."""
    world = started(mode=Mode.UNACKNOWLEDGED)
    world.window = 2_500
    world.step()
    world.restart(SAT)
    go(world)
    assert world.delivered() == [DATA]
    assert world.bodies(FileData)[2].offset == 0


# --- durable first


def test_nothing_is_sent_before_it_is_saved() -> None:
    world = World(durable=True)
    world.put(DATA)
    world.run(100)
    assert world.log == []
    found = world.sat.snapshots()
    assert [one.key for one in found] == [ENTITY_KEY, TransactionId(SAT, 1)]
    world.run(1)
    assert world.kinds(SAT)[0] == "Metadata"


def test_numbers_go_on_after_a_restart() -> None:
    world = started()
    go(world)
    for expected in (2, 3, 4):
        world.restart(SAT)
        assert world.put(DATA, f"{expected}") == TransactionId(SAT, expected)
        world.save()
    go(world)
    assert [world.delivered(f"{number}") for number in (2, 3, 4)] == [[DATA]] * 3


def test_a_number_that_was_not_saved_was_never_seen() -> None:
    world = World(durable=True)
    world.put(b"one", "one")
    world.run(1)
    world.restart(SAT)
    assert world.put(b"two", "two") == TransactionId(SAT, 1) and world.log == []
    world.save()
    go(world)
    assert world.delivered("two") == [b"two"] and world.delivered("one") == []


def test_a_cancelled_request_that_was_not_saved_was_never_seen() -> None:
    world = World(durable=True)
    world.sat.cancel(world.put(DATA), world.now)
    world.run(100)
    assert world.log == [] and world.events[SAT] == []


@pytest.mark.parametrize("number", [SAT, GROUND])
def test_answers_wait_until_what_they_say_is_saved(number: int) -> None:
    """ACK of EOF and Finished at the ground, ACK of Finished at the satellite."""
    world = started()
    if number == SAT:
        while not world.bodies(Finished):
            world.save()
            world.step()
    said = len(world.kinds(number)) if number == SAT else 0
    world.run(3)
    assert len(world.kinds(number)) == said and world.finished(number)
    world.save(number)
    world.run(0)
    answers = {SAT: ["Ack"], GROUND: ["Ack", "Finished"]}
    assert world.kinds(number)[said:] == answers[number]


def test_an_answer_for_what_has_ended_waits_too() -> None:
    world = started()
    go(world)
    world.log.clear()
    world.hears(Eof(Condition.NO_ERROR, 0, 3))
    assert world.log == []
    world.save()
    world.run(0)
    assert [ack.status for ack in world.bodies(Ack)] == [TransactionStatus.TERMINATED]


def test_only_what_changed_is_saved_again() -> None:
    world = started(no_second_segment)
    world.put(DATA, "other")
    assert [one.key.sequence for one in world.sat.snapshots()] == [-1, 2]
    assert world.sat.snapshots() == []
    world.run(0)
    assert [one.key.sequence for one in world.sat.snapshots()] == [1, 2]
    world.run(0.1)
    world.ground.snapshots()
    world.hears(FileData(0, DATA[:10]), Eof(Condition.NO_ERROR, zlib.crc32(DATA), len(DATA)))
    assert world.ground.snapshots() == []  # nothing new in that


# --- damaged snapshots


def snapshots() -> dict[TransactionId, bytes]:
    """An entity's own, of a sender, and of a receiver that is incomplete; and of one that ended."""
    world = started()
    go(world)
    world.fate = no_second_segment
    world.put(DATA, "more")
    world.save()
    world.run(1)
    world.save()
    found = {**world.saved[SAT], TransactionId(GROUND, 1): b""}
    found[TransactionId(GROUND, 1)] = world.saved[GROUND][TransactionId(SAT, 2)]
    assert len(found) == 4
    return found


def assert_dropped(entity: Entity, key: TransactionId, data: bytes) -> None:
    """A snapshot is done without, and removed unless a new one takes its place."""
    (line,) = entity.load({key: data}, 0.0)
    assert "snapshot" in line and entity.transactions() == []
    assert [one.data is None for one in entity.snapshots() if one.key == key] == [
        key != ENTITY_KEY
    ]


@pytest.mark.parametrize("index", range(4))
def test_a_damaged_snapshot_is_dropped(index: int) -> None:
    key, data = sorted(snapshots().items())[index]
    damaged = [data[:size] for size in range(len(data))]
    damaged += [data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
                for at in range(len(data)) for bit in range(8)]
    for one in [*damaged, data + b"\0", b"", bytes(4)]:
        assert_dropped(World().sat, key, one)


@pytest.mark.parametrize("content", [
    b"\xc0", b"\x80", b"\x81\xa4kind\xa6entity", b"\x93\x01\x02\x03",
    b"\x83\xa4kind\xa6entity\xa6format\x02\xadnext_sequence\x01",
    b"\x83\xa4kind\xa6closer\xa6format\x01\xadnext_sequence\x01",
])
def test_what_is_no_snapshot_is_dropped(content: bytes) -> None:
    data = zlib.crc32(content).to_bytes(4, "big") + content
    assert_dropped(World().sat, ENTITY_KEY, data)


def test_a_transaction_with_an_entity_that_is_not_configured_any_more() -> None:
    world = started()
    entity = Entity(SAT, [Remote(9)], MemoryStore(), limits=Limits())
    assert entity.load(world.saved[SAT], 0.0) == [
        "transaction 1-1: a transaction with entity 2, which is not configured"
    ]
    assert entity.transactions() == []
    assert (TransactionId(SAT, 1), None) in entity.snapshots()


def test_a_snapshot_under_the_key_of_another_is_dropped() -> None:
    world = started()
    data = world.saved[SAT][TransactionId(SAT, 1)]
    assert_dropped(World().sat, TransactionId(SAT, 3), data)


def test_one_damaged_snapshot_harms_no_other_transaction() -> None:
    """Its own is gone, for good; the others go on, and its number is not given away again."""
    world = started()
    world.put(b"other", "other")
    world.save()
    own, first = ENTITY_KEY, TransactionId(SAT, 1)
    for key in (own, first):
        world.saved[SAT][key] = world.saved[SAT][key][:-1]
    world.entities[SAT] = Entity(
        SAT, [Remote(GROUND)], world.stores[SAT], durable=True, first_sequence=(1 << 32) - 1
    )
    assert sorted(world.sat.load(world.saved[SAT], world.now)) == [
        "the next sequence number: a damaged snapshot",
        "transaction 1-1: a damaged snapshot",
    ]
    assert [world.put(b"new", f"new-{n}").sequence for n in range(3)] == [(1 << 32) - 1, 0, 1]
    go(world)
    assert world.delivered("other") == [b"other"] and world.delivered() == []
    assert [world.delivered(f"new-{n}") for n in range(3)] == [[b"new"]] * 3


def test_transactions_keep_their_order_where_numbers_come_round() -> None:
    world = World(durable=True)
    world.entities[SAT] = Entity(
        SAT, [Remote(GROUND)], world.stores[SAT], first_sequence=(1 << 32) - 2
    )
    world.loss_of_signal()
    numbers = [world.put(b"x", f"file-{n}") for n in range(4)]
    assert [number.sequence for number in numbers] == [(1 << 32) - 2, (1 << 32) - 1, 0, 1]
    world.save(SAT)
    world.restart(SAT)
    assert world.sat.transactions() == numbers
