"""The tables of transitions: complete, without dead ends, and nothing in them that is not used.

Proves that every state is reached and leads to CLOSED, that machines change state by the tables
alone, and, by scenarios that record each look-up, that every transition happens.
"""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from occulta.link.cfdp.constants import Condition, FaultAction, Mode
from occulta.link.cfdp.pdu import Ack, Eof, FileData, Finished
from occulta.link.cfdp.receiver import SLICE, Receiver
from occulta.link.cfdp.sender import Sender
from occulta.link.cfdp.states import RECEIVER, SENDER, Input, State
from tests.cfdp_world import (
    DATA,
    DELAY,
    GROUND,
    SAT,
    Fate,
    MemorySource,
    Sent,
    World,
    arrives,
    no_second_segment,
    without,
)

Table = dict[tuple[State, Input], State]
CLASS_1 = {"mode": Mode.UNACKNOWLEDGED}
CLOSURE = {"mode": Mode.UNACKNOWLEDGED, "closure": True}


def after(table: Table, state: State) -> set[State]:
    """All states that can follow, and the state itself."""
    found, last = {state}, set()
    while found != last:
        last = set(found)
        found |= {to for (source, _), to in table.items() if source in last}
    return found


@pytest.mark.parametrize(("table", "first"), [
    (SENDER, State.SENDING), (RECEIVER, State.RECEIVING),
])
def test_every_state_is_reached_and_leads_to_the_end(table: Table, first: State) -> None:
    states = {source for source, _ in table} | set(table.values())
    assert after(table, first) == states
    for state in states - {State.CLOSED}:
        assert State.CLOSED in after(table, state)
        assert table[state, Input.END] is State.CLOSED
    assert all(source is not State.CLOSED for source, _ in table)


def test_every_state_and_input_has_a_use() -> None:
    keys = [*SENDER, *RECEIVER]
    assert {state for state, _ in keys} | {State.CLOSED} == set(State)
    assert {event for _, event in keys} == set(Input)


def test_machines_change_state_by_the_tables_alone() -> None:
    """Beside a look-up only the constructor and a restart set a state."""
    found = []
    for path in sorted(Path("occulta/link/cfdp").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            targets = node.targets if isinstance(node, ast.Assign) else []
            names = [t.attr for t in targets if isinstance(t, ast.Attribute)]
            found += [path.stem for name in names if name == "state"]
    assert set(found) == {"restore", "transaction"} and found.count("transaction") == 2


# --- every transition happens


class Recording(dict):  # type: ignore[type-arg]
    """A table that remembers what was looked up."""

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self.used: set[tuple[State, Input]] = set()

    def __getitem__(self, key: tuple[State, Input]) -> State:
        self.used.add(key)
        return super().__getitem__(key)


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Recording, Recording]]:
    sender, receiver = Recording(SENDER), Recording(RECEIVER)
    monkeypatch.setattr(Sender, "table", sender)
    monkeypatch.setattr(Receiver, "table", receiver)
    yield sender, receiver


def start(fate: Fate = arrives, data: bytes = DATA, seconds: float = 0.02, **s: object) -> World:
    world = World(fate, **s)
    world.put(data)
    world.run(seconds)
    return world


def growing(fate: Fate = arrives, **settings: object) -> World:
    world = World(fate, **settings)
    world.put(MemorySource(DATA, ended=False))
    world.run(1)
    return world


def cancel(world: World, number: int) -> None:
    (transaction,) = world.entities[number].transactions()
    world.entities[number].cancel(transaction, world.now)


def verifying(**settings: object) -> World:
    world = World(lambda s: [0.1 if getattr(s.body, "offset", 1) == 0 else DELAY], **settings)
    world.put(bytes(6 * SLICE))
    while State.VERIFYING not in [world.ground.report(t).state for t in
                                  world.ground.transactions()]:
        world.step()
    return world


def abandoning(condition: Condition) -> dict[str, object]:
    return {"faults": {condition: FaultAction.ABANDON}}


def unfinished(sent: Sent) -> list[float]:
    return [] if isinstance(sent.body, Finished) else no_second_segment(sent)


def shrunk() -> World:
    world = World(**abandoning(Condition.FILE_SIZE_ERROR))
    world.put(DATA)
    world.stores[SAT].sources["file.bin"].data = b""
    return world


CASES: list[tuple[Callable[[], World], int | None]] = [
    (start, None),
    (lambda: start(**CLASS_1), None),
    (lambda: start(**CLOSURE), None),
    (lambda: start(no_second_segment, **CLASS_1), GROUND),
    (lambda: start(no_second_segment, **CLOSURE), SAT),
    (lambda: start(no_second_segment), SAT),
    (lambda: start(unfinished, **abandoning(Condition.INACTIVITY)), None),
    (lambda: start(no_second_segment), GROUND),
    (lambda: start(without(Ack)), None),
    (lambda: start(without(Eof)), SAT),
    (lambda: start(without(Eof), **abandoning(Condition.POSITIVE_ACK_LIMIT)), None),
    (lambda: growing(without(Ack)), SAT),
    (lambda: growing(without(Finished)), SAT),
    (growing, SAT),
    (growing, GROUND),
    (lambda: growing(**CLASS_1), SAT),
    (lambda: growing(**CLASS_1), GROUND),
    (shrunk, None),
    (verifying, GROUND),
    (lambda: verifying(**CLASS_1), GROUND),
    (lambda: start(without(FileData), **abandoning(Condition.NAK_LIMIT)), None),
]


def test_every_transition_happens(tables: tuple[Recording, Recording]) -> None:
    sender, receiver = tables
    for make, canceller in CASES:
        world = make()
        if canceller is not None:
            cancel(world, canceller)
        world.run()
        assert world.ends(SAT) or world.sat.transactions()
    assert sender.used == set(SENDER) and receiver.used == set(RECEIVER)
