"""Two entities whose state is saved, and which can fail."""

from occulta.link.cfdp.constants import Condition, Delivery, FileStatus
from occulta.link.cfdp.states import State
from tests.cfdp_world import DATA, GROUND, SAT, Fate, World, arrives

OK = (Condition.NO_ERROR, Delivery.COMPLETE, FileStatus.RETAINED)


def started(fate: Fate = arrives, data: bytes = DATA, **changes: object) -> World:
    world = World(fate, durable=True, **changes)
    world.put(data)
    world.save()
    return world


def go(world: World, period: float = 0, crashes: dict[int, int] | None = None) -> int:
    """To the end, saving both entities every so many seconds; entities fail before given steps.

    Nothing happens for longer than the period without a save. Returns the number of steps.
    """
    due = world.now
    for count in range(100_000):
        if world.now >= due:
            world.save()
            due = world.now + period
        if crashes and count in crashes:
            world.restart(crashes[count])
        if not world.step(due):
            world.save()
            if not world.step():
                return count
    raise AssertionError("it never ends")


def state(world: World, number: int) -> State:
    (transaction,) = world.entities[number].transactions()
    return world.entities[number].report(transaction).state


def until(world: World, number: int, wanted: State) -> World:
    while not world.entities[number].transactions() or state(world, number) is not wanted:
        world.save()
        assert world.step()
    return world


def assert_delivered(world: World) -> None:
    """At least once: the machine may fail between publishing and saving that it has."""
    assert set(world.delivered()) == {DATA}
    end = world.finished(SAT)[-1]
    assert (end.condition, end.delivery, end.file_status) == OK
    assert world.sat.transactions() == world.ground.transactions() == []
    assert world.stores[GROUND].sinks == {}


