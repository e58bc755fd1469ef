"""A clock that can stand still, and the settings of what it measures.

Proves that a timer expires exactly when `next` says, to the last bit and after any halts, that
nothing expires while time stands still, and that settings which make no sense are refused.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.link.cfdp import Remote
from occulta.link.cfdp.constants import Condition
from occulta.link.cfdp.timers import Timer, Timers
from tests.cfdp_world import DATA, GROUND, SEGMENT, MemorySource, World

SECONDS = st.floats(0, 1e6)


def fire(timers: Timers, now: float) -> list[Timer]:
    return [timer for timer in timers.expired(now) if timers.take(timer, now)]


def test_timers_expire_in_order_and_once() -> None:
    timers = Timers()
    timers.start(Timer.NAK, 10, 5)
    timers.start(Timer.ACK, 10, 3)
    timers.start(Timer.GAP, 10, 9)
    assert timers.next() == 13 and fire(timers, 12.999) == []
    assert fire(timers, 15) == [Timer.ACK, Timer.NAK]
    assert fire(timers, 15) == [] and timers.next() == 19 and not timers.runs(Timer.ACK)


def test_starting_again_replaces() -> None:
    timers = Timers()
    timers.start(Timer.NAK, 0, 5)
    timers.start(Timer.NAK, 4, 5)
    assert timers.next() == 9 and fire(timers, 8) == []
    timers.start_at(Timer.NAK, 7)
    assert timers.next() == 7 and fire(timers, 8) == [Timer.NAK]


def test_what_was_stopped_or_started_again_since_is_not_taken() -> None:
    timers = Timers()
    for timer in (Timer.ACK, Timer.NAK, Timer.GAP):
        timers.start(timer, 0, 1)
    found = timers.expired(2)
    timers.stop(Timer.ACK)
    timers.start(Timer.NAK, 2, 1)
    assert [timers.take(timer, 2) for timer in found] == [False, False, True]
    timers.start(Timer.GAP, 2, 0)
    timers.halt(2)
    assert not timers.take(Timer.GAP, 2) and timers.runs(Timer.GAP)
    timers.clear()
    timers.go_on(2)
    assert timers.next() is None and fire(timers, 1e9) == []


def test_time_stands_still_while_halted() -> None:
    timers = Timers()
    timers.start(Timer.ACK, 0, 10)
    timers.halt(4)
    timers.halt(5)  # it stood still already
    assert timers.halted and timers.next() is None and fire(timers, 1_000) == []
    assert timers.local(1_000) == 4
    timers.start(Timer.NAK, 1_000, 1)  # counts from when time goes on
    timers.go_on(1_000)
    timers.go_on(2_000)
    assert not timers.halted and timers.next() == 1_001
    assert fire(timers, 1_005.5) == [Timer.NAK] and fire(timers, 1_006) == [Timer.ACK]


@given(start=SECONDS, seconds=SECONDS, halts=st.lists(st.tuples(SECONDS, SECONDS), max_size=5))
@settings(max_examples=500, deadline=None, derandomize=True)
def test_a_timer_has_expired_when_next_says_so(
    start: float, seconds: float, halts: list[tuple[float, float]]
) -> None:
    timers, now = Timers(), start
    for before, stands in halts:
        timers.start(Timer.ACK, now, seconds)
        now += before
        timers.halt(now)
        now += stands
        timers.go_on(now)
    timers.start(Timer.ACK, now, seconds)
    at = timers.next()
    assert at is not None and at >= now - 1e-6
    assert fire(timers, at) == [Timer.ACK] and timers.next() is None


@given(pauses=st.lists(st.tuples(st.floats(0.01, 3), st.floats(0, 1e5)), min_size=1, max_size=6),
       inactivity=st.floats(20, 400))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_inactivity_is_declared_once_whatever_the_pauses(
    pauses: list[tuple[float, float]], inactivity: float
) -> None:
    """A clock that is a bit off would find it neither over nor still to come, for ever."""
    world = World(large_when_unknown=False, inactivity=inactivity)
    world.put(MemorySource(DATA[: 4 * SEGMENT], ended=False))
    world.run(1)
    for before, stands in pauses:
        world.run(before)
        world.loss_of_signal()
        world.run(stands)
        world.acquisition_of_signal()
    world.run(steps=10_000)
    ((at, condition),) = world.faults(GROUND)
    passed = sum(map(sum, pauses[:-1])) + sum(pauses[-1])
    assert condition is Condition.INACTIVITY
    assert at == pytest.approx(1 + passed + inactivity, abs=1e-4)


def test_data_put_off_inactivity_without_any_timer_being_restarted() -> None:
    world = World(large_when_unknown=False, inactivity=10.0)
    source = MemorySource(b"", ended=False)
    world.put(source)
    for _ in range(4):
        source.data += bytes(SEGMENT)
        world.run(9)
    world.run()
    assert world.faults(GROUND) == [(37.01, Condition.INACTIVITY)]


@pytest.mark.parametrize("wrong", [
    {"entity_width": 0}, {"entity_width": 9}, {"sequence_width": 0}, {"sequence_width": 9},
    {"entity": 1 << 16}, {"entity": -1}, {"max_pdu": 63}, {"max_pdu": 65_537},
    {"ack_limit": 0}, {"nak_limit": 0}, {"check_limit": 0}, {"nak_segments": 0},
    {"ack_interval": 0}, {"nak_interval": -1}, {"check_interval": 0}, {"inactivity": 0},
    {"reorder_window": -0.1}, {"keep_alive_interval": 0}, {"keep_alive_interval": -1},
])
def test_settings_that_make_no_sense(wrong: dict) -> None:
    with pytest.raises(ValueError, match="."):
        Remote(**{"entity": 1, **wrong})


def test_settings_at_their_limits() -> None:
    Remote(255, entity_width=1, sequence_width=8, max_pdu=64, reorder_window=0, nak_segments=1)
    Remote((1 << 64) - 1, entity_width=8, sequence_width=1, max_pdu=65_536)
