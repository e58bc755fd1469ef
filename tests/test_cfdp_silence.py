"""Silence, and the ways to ask whether the other end is alive.

Proves when inactivity is declared, what keep-alives and answers to prompts say and when they stop,
and when a receiver lies too far behind.
"""

import pytest

from occulta.link.cfdp.constants import Condition, FaultAction, Mode, Response
from occulta.link.cfdp.events import Suspended
from occulta.link.cfdp.pdu import Eof, FileData, Finished, KeepAlive, Nak, Prompt
from occulta.link.drops import Drop
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
    pdu,
    without,
)

CLASS_1 = {"mode": Mode.UNACKNOWLEDGED}


def streaming(fate: Fate = arrives, **settings: object) -> World:
    world = World(fate, large_when_unknown=False, **settings)
    world.put(MemorySource(DATA[: 4 * SEGMENT], ended=False))
    return world


def end(world: World) -> None:
    source = world.stores[SAT].sources["file.bin"]
    source.data, source.ended = DATA, True


# --- inactivity


def test_a_receiver_that_hears_nothing_any_more() -> None:
    world = streaming()
    world.run(100)
    world.stores[SAT].sources["file.bin"].data = DATA[: 4 * SEGMENT] + bytes(SEGMENT)
    world.run()
    assert world.faults(GROUND) == [(400.01, Condition.INACTIVITY)]
    assert world.outcome(GROUND)[0] is world.outcome(SAT)[0] is Condition.INACTIVITY
    assert world.faults(SAT) == [] and world.delivered() == []


def test_a_receiver_hears_duplicates_too() -> None:
    world = streaming()
    world.run(200)
    world.hears(FileData(0, b"x"))
    world.run()
    assert world.faults(GROUND) == [(500, Condition.INACTIVITY)]


def test_a_sender_that_awaits_finished_in_vain() -> None:
    """Naks are heard for 50 seconds; then the ground gives up and its Finished is lost."""
    world = World(lambda s: [] if isinstance(s.body, Finished) else no_second_segment(s))
    world.put(DATA)
    world.run()
    assert world.faults(SAT) == [(345.22, Condition.INACTIVITY)]
    assert world.ends(GROUND)[0] == (50.21, Condition.NAK_LIMIT)
    assert world.ends(SAT) == [(345.24, Condition.INACTIVITY)]


def test_a_sender_of_a_file_that_grows_is_never_inactive() -> None:
    world = streaming(lambda sent: [])
    world.run(1e6)
    assert world.faults(SAT) == [] and world.sat.next_timer() is None


def test_inactivity_ignored_is_told_again() -> None:
    world = streaming(inactivity=10.0, faults={Condition.INACTIVITY: FaultAction.IGNORE})
    world.run(35)
    assert [at for at, _ in world.faults(GROUND)] == [10.01, 20.01, 30.01]
    end(world)
    world.run()
    assert world.delivered() == [DATA]


def test_inactivity_suspends() -> None:
    world = streaming(faults={Condition.INACTIVITY: FaultAction.SUSPEND})
    world.run(1_000)
    (transaction,) = world.ground.transactions()
    assert world.events[GROUND][-1] == Suspended(transaction, Condition.INACTIVITY)
    world.ground.resume(transaction, world.now)
    end(world)
    world.run()
    assert world.delivered() == [DATA] and world.faults(GROUND) == [(300.01, Condition.INACTIVITY)]


# --- keep-alive and prompt


def test_keep_alives_tell_the_progress_until_eof() -> None:
    world = streaming(no_second_segment, keep_alive_interval=10.0)
    world.run(25)
    end(world)
    world.run(30)
    assert world.sent(Eof) == [25] and world.sent(KeepAlive) == [10.01, 20.01]
    assert world.bodies(KeepAlive) == [KeepAlive(SEGMENT)] * 2


def test_a_receiver_that_ends_keeps_nothing_alive() -> None:
    """Inactivity and the thirtieth keep-alive fall on the same moment; Finished is lost."""
    world = streaming(without(Finished, KeepAlive), keep_alive_interval=10.0, inactivity=300.0)
    world.run(340)
    assert world.faults(GROUND) == [(300.01, Condition.INACTIVITY)]
    assert world.sent(KeepAlive)[-1] == 290.01


def test_class_1_keeps_nothing_alive() -> None:
    world = streaming(keep_alive_interval=10.0, **CLASS_1)
    world.run(100)
    assert world.sent(KeepAlive) == []


@pytest.mark.parametrize(("allowed", "fault"), [(3 * SEGMENT - 1, True), (3 * SEGMENT, False)])
def test_a_receiver_that_lies_behind(allowed: int, fault: bool) -> None:
    """Only the first of four segments has arrived without a gap."""
    world = streaming(
        lambda s: [] if isinstance(s.body, Nak) else no_second_segment(s),
        keep_alive_interval=10.0, keep_alive_discrepancy=allowed,
    )
    world.run(12)
    assert world.bodies(KeepAlive) == [KeepAlive(SEGMENT)]
    assert world.faults(SAT) == [(10.02, Condition.KEEP_ALIVE_LIMIT)] * fault
    if fault:
        assert world.outcome(SAT)[0] is world.outcome(GROUND)[0] is Condition.KEEP_ALIVE_LIMIT


def test_progress_beyond_what_was_sent() -> None:
    world = streaming()
    world.run(1)
    world.sat.receive(pdu(KeepAlive(4 * SEGMENT + 1), up=True), world.now)
    assert world.sat.drops == {Drop.PDU_FIELD: 1}


def test_a_prompt_for_progress() -> None:
    world = streaming(lambda s: [] if isinstance(s.body, Nak) else no_second_segment(s))
    world.run(1)
    world.sat.prompt(world.sat.transactions()[0], Response.KEEP_ALIVE)
    world.run(1)
    assert world.bodies(Prompt) == [Prompt(Response.KEEP_ALIVE)]
    assert world.bodies(KeepAlive) == [KeepAlive(SEGMENT)] and world.sent(KeepAlive) == [1.01]


def test_only_a_sender_prompts() -> None:
    world = streaming()
    world.run(1)
    with pytest.raises(ValueError, match="only a sender"):
        world.ground.prompt(world.ground.transactions()[0], Response.NAK)


def test_a_prompt_behind_the_end_is_of_no_use() -> None:
    world = World(without(Finished))
    world.put(DATA)
    world.run(1)
    world.sat.prompt(world.sat.transactions()[0], Response.NAK)
    world.run(1)
    assert world.ground.drops == {Drop.UNEXPECTED_PDU: 1}


def test_class_1_is_not_prompted() -> None:
    world = streaming(**CLASS_1)
    world.run(1)
    world.sat.prompt(world.sat.transactions()[0], Response.NAK)
    world.run(1)
    assert world.bodies(Prompt) == []
    world.hears(Prompt(Response.NAK), mode=Mode.UNACKNOWLEDGED)
    assert world.ground.drops == {Drop.UNEXPECTED_PDU: 1}
