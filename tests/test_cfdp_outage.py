"""Loss and acquisition of signal.

Proves that an outage counts toward no limit however long and however often, and that acquisition
repeats at once what awaited an answer.
"""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.link.cfdp.constants import Condition, Delivery, FileStatus, Mode
from occulta.link.cfdp.pdu import Eof, FileData, Finished, Metadata, Nak
from tests.cfdp_world import (
    DATA,
    GROUND,
    SAT,
    SEGMENT,
    Fate,
    MemorySource,
    World,
    arrives,
    no_second_segment,
    without,
)

AGES = 1e7
CLASS_1 = {"mode": Mode.UNACKNOWLEDGED}
CLOSURE = {"mode": Mode.UNACKNOWLEDGED, "closure": True}


def outage(world: World, seconds: float = AGES) -> float:
    """Out of sight; nothing is sent meanwhile. Returns when the signal was acquired again."""
    said = len(world.log)
    world.loss_of_signal()
    assert world.sat.next_timer() is world.ground.next_timer() is None
    world.run(seconds)
    assert len(world.log) == said
    world.acquisition_of_signal()
    world.fate = arrives
    return world.since()


def assert_delivered(world: World) -> None:
    world.run()
    assert world.delivered() == [DATA]
    assert world.outcome(SAT) == (Condition.NO_ERROR, Delivery.COMPLETE, FileStatus.RETAINED)
    assert world.faults(SAT) == world.faults(GROUND) == []


def streaming(fate: Fate = arrives, **settings: object) -> World:
    world = World(fate, large_when_unknown=False, **settings)
    world.put(MemorySource(DATA[: 4 * SEGMENT], ended=False))
    return world


def end(world: World) -> None:
    source = world.stores[SAT].sources["file.bin"]
    source.data, source.ended = DATA, True


# --- outages


def test_an_outage_in_mid_transfer() -> None:
    world = World()
    world.put(DATA)
    world.window = 2_500
    world.transmit()
    assert world.kinds() == ["Metadata", "FileData", "FileData"]  # lost on their way
    at = outage(world)
    assert_delivered(world)
    asked = round(at + 0.21, 6)
    assert world.sent(FileData) == [0, 0, at, at, at, asked + 0.01, asked + 0.01]
    assert world.sent(Nak) == [asked] and world.sent(Metadata) == [0, asked + 0.01]


@pytest.mark.parametrize("kind", [Eof, Finished])
def test_an_outage_while_an_answer_is_awaited(kind: type) -> None:
    """Nine of ten attempts were made; acquisition sends at once and counts anew."""
    world = World(without(kind))
    world.put(DATA)
    world.run(42)
    before = world.sent(kind)
    assert len(before) == 9
    at = outage(world)
    assert_delivered(world)
    assert world.sent(kind) == [*before, at]


def test_an_outage_while_naks_are_not_answered() -> None:
    world = World(no_second_segment)
    world.put(DATA)
    world.run(47)
    assert len(world.sent(Nak)) == 10
    at = outage(world)
    assert_delivered(world)
    assert world.sent(Nak)[10:] == [at] and world.ends(SAT)[0][0] == round(at + 0.03, 6)


def test_an_outage_before_the_reorder_window_has_passed() -> None:
    world = streaming(no_second_segment)
    world.run(0.1)
    at = outage(world)
    world.run(1)
    assert world.sent(Nak) == [round(at + 0.11, 6)]
    end(world)
    assert_delivered(world)


def test_an_outage_while_the_ack_of_finished_is_on_its_way() -> None:
    world = World()
    world.put(DATA)
    world.run(0.02)
    assert world.ends(SAT) and not world.sat.transactions()
    at = outage(world)
    assert_delivered(world)
    assert world.sent(Finished) == [0.01, at] and world.ground.transactions() == []


def test_an_outage_of_a_sender_of_class_1_with_closure() -> None:
    world = World(without(Finished), check_limit=4, **CLOSURE)
    world.put(DATA)
    world.run(19)
    at = outage(world)
    world.run()
    assert world.faults(SAT) == [(at + 20, Condition.CHECK_LIMIT)]


def test_an_outage_of_a_receiver_of_class_1() -> None:
    world = World(no_second_segment, **CLASS_1)
    world.put(DATA)
    world.run(19)
    second = next(sent for sent in world.log if getattr(sent.body, "offset", 0) == SEGMENT)
    outage(world)
    world.run(19)
    world.ground.receive(second.pdu, world.now)
    assert world.delivered() == [DATA] and world.faults(GROUND) == []


def test_outages_without_end() -> None:
    """In each contact nothing gets through but silence; a hundred times the limit of attempts."""
    world = World(without(Eof), inactivity=30.0)
    world.put(DATA)
    for _ in range(100):
        world.run(29)
        world.loss_of_signal()
        world.run(5_400)
        world.acquisition_of_signal()
    world.fate = arrives
    assert_delivered(world)


def test_what_is_put_out_of_sight_waits_for_the_signal() -> None:
    world = World()
    world.loss_of_signal()
    world.put(DATA)
    world.run(AGES)
    assert world.log == []
    world.acquisition_of_signal()
    assert_delivered(world)
    assert world.sent(Metadata) == [AGES]


def test_one_remote_out_of_sight() -> None:
    world = World(grounds=(2, 3))
    world.put(DATA, "two", 2)
    world.put(DATA, "three", 3)
    world.sat.freeze(3, world.now)
    world.run()
    assert world.delivered("two", 2) == [DATA] and world.delivered("three", 3) == []
    world.now += AGES
    world.sat.thaw(3, world.now)
    world.run()
    assert world.delivered("three", 3) == [DATA]


def test_suspended_and_out_of_sight_both_have_to_end() -> None:
    for first in ("resume", "thaw"):
        world = World(without(Eof))
        transaction = world.put(DATA)
        world.run(1)
        world.sat.suspend(transaction, world.now)
        world.sat.freeze(GROUND, world.now)
        world.fate = arrives
        ways: dict[str, Callable[[], None]] = {
            "resume": lambda world=world, id=transaction: world.sat.resume(id, world.now),
            "thaw": lambda world=world: world.sat.thaw(GROUND, world.now),
        }
        ways.pop(first)()
        world.run(100)
        assert len(world.sent(Eof)) == 1 and world.sat.next_timer() is None
        ways.popitem()[1]()
        assert_delivered(world)
        assert world.sent(Eof) == [0, 101]


def test_seeing_a_remote_that_was_never_out_of_sight_changes_nothing() -> None:
    world = World(without(Eof))
    world.put(DATA)
    world.run(2)
    world.acquisition_of_signal()
    world.run(4)
    assert world.sent(Eof) == [0, 5]


@given(seed=st.integers(0, 1 << 32))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_contacts(seed: int) -> None:
    """Contacts of any length from 50 ms on, of which a third of the PDUs is lost."""
    random = Random(seed)
    world = World(lambda sent: [random.random()] if random.random() < 0.66 else [])
    world.put(DATA)
    for _ in range(30):
        world.window = random.choice((1_024, 2_500, 1 << 30))
        for _ in range(random.randrange(4)):
            world.transmit()
        world.window = 1 << 30
        world.run(random.uniform(0.05, 20))
        world.loss_of_signal()
        world.run(random.uniform(0, 1e6))
        world.acquisition_of_signal()
    world.fate = arrives
    assert_delivered(world)
    assert world.sat.transactions() == world.ground.transactions() == []
