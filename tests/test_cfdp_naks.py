"""What a receiver asks for, when, and in how many PDUs; and what a sender makes of it.

Proves that lateness is not taken for loss, that no NAK is empty, longer than the largest PDU or
lost for want of room, and that what is asked for is sent again before what is new.
"""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.link.cfdp import Limits
from occulta.link.cfdp.constants import Condition, Mode, Response
from occulta.link.cfdp.pdu import Body, Eof, FileData, Metadata, Nak
from occulta.link.drops import Drop
from tests.cfdp_world import (
    DELAY,
    GROUND,
    SAT,
    SEGMENT,
    Fate,
    MemorySource,
    Sent,
    World,
    arrives,
    pdu,
)

DATA = Random(1).randbytes(5_000)
LOST = float("inf")


def late(delays: dict[int, float]) -> Fate:
    """The first copy of the segment at an offset takes longer than the rest, or is LOST."""
    left = dict(delays)

    def fate(sent: Sent) -> list[float]:
        body = sent.body
        delay = left.pop(body.offset, DELAY) if isinstance(body, FileData) else DELAY
        return [delay] if delay < LOST else []

    return fate


def streaming(fate: Fate) -> tuple[World, MemorySource]:
    """A file that has not ended, so that there is no EOF yet."""
    world = World(fate, large_when_unknown=False)
    source = MemorySource(DATA[: 4 * SEGMENT], ended=False)
    world.put(source)
    return world, source


def end(world: World, source: MemorySource) -> None:
    source.data, source.ended = DATA, True
    world.run()
    assert world.delivered() == [DATA]


def requests(world: World) -> list[tuple[float, tuple[tuple[int, int], ...]]]:
    naks = [(world.since(sent.at), sent.body) for sent in world.log]
    return [(at, nak.requests) for at, nak in naks if isinstance(nak, Nak)]


# --- how many PDUs


@pytest.mark.parametrize(("max_pdu", "segments", "counts"), [
    (1_024, 58, [58, 58, 58, 26]),
    (512, 58, [58, 58, 58, 26]),
    (300, 58, [34] * 5 + [30]),
    (64, 58, [5] * 40),
    (1_024, 7, [7] * 28 + [4]),
])
def test_a_nak_longer_than_one_pdu(max_pdu: int, segments: int, counts: list[int]) -> None:
    segment = max_pdu - 16
    data = Random(2).randbytes(400 * segment)
    lost = dict.fromkeys(range(segment, len(data), 2 * segment), LOST)
    world = World(late(lost), max_pdu=max_pdu, nak_segments=segments)
    world.put(data)
    world.run()
    assert world.delivered() == [data]
    naks = world.bodies(Nak)
    assert [len(nak.requests) for nak in naks] == counts
    assert [a for nak in naks for a, _ in nak.requests] == list(lost)
    assert max(len(sent.pdu) for sent in world.log) <= max_pdu
    assert [nak.start for nak in naks] == [0, *(nak.end for nak in naks[:-1])]
    assert naks[-1].end == len(data)
    assert all(nak.start <= a < b <= nak.end for nak in naks for a, b in nak.requests)


def fragmented(gaps: int, large: bool = False, **settings: object) -> World:
    """The ground has every second octet of a file, and EOF; the reorder window has passed."""
    world = World(**settings)
    file = [FileData(2 * at, b"x") for at in range(gaps)]
    size = 2 * gaps
    for body in [Metadata(size, "a", "a"), *file, Eof(Condition.NO_ERROR, 0, size)]:
        world.ground.receive(pdu(body, large=large), world.now)
    world.ground.pdus_to_send(world.now, 1 << 20)
    world.now += 0.2
    world.ground.handle_timer(world.now)
    return world


def bodies(world: World, room: int) -> list[Body]:
    out = world.ground.pdus_to_send(world.now, room)
    assert sum(len(one.pdu) for one in out) <= room
    return [Sent(0, GROUND, one.remote, one.pdu).body for one in out]


@given(rooms=st.lists(st.integers(0, 1_200), max_size=30))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_naks_wait_for_room_and_none_is_lost(rooms: list[int]) -> None:
    world = fragmented(150)
    naks = [body for room in [*rooms, 1 << 20] for body in bodies(world, room)]
    asked = [request for nak in naks if isinstance(nak, Nak) for request in nak.requests]
    assert asked == [(2 * at + 1, 2 * at + 2) for at in range(150)]
    assert bodies(world, 1 << 20) == []


def test_what_arrives_while_naks_wait_for_room_is_not_asked_for() -> None:
    world = fragmented(60)
    assert len(bodies(world, 490)) == 1
    world.ground.receive(pdu(FileData(117, b"y")), world.now)
    (nak,) = bodies(world, 490)
    assert isinstance(nak, Nak) and nak.requests == ((119, 120),)


def test_large_files_have_fewer_requests_in_a_pdu() -> None:
    found = bodies(fragmented(100, large=True, max_pdu=512), 1 << 20)
    assert [len(nak.requests) for nak in found if isinstance(nak, Nak)] == [30, 30, 30, 10]


# --- loss or reordering


@pytest.mark.parametrize("delay", [0.011, 0.1, 0.2])
def test_reordering_within_the_window_is_no_loss(delay: float) -> None:
    world, source = streaming(late({SEGMENT: delay}))
    world.run(10)
    assert world.bodies(Nak) == []
    end(world, source)
    assert world.bodies(Nak) == []


@pytest.mark.parametrize("delay", [0.22, 1.0, 50.0, LOST])
def test_reordering_beyond_the_window_is_asked_for_once(delay: float) -> None:
    world, source = streaming(late({SEGMENT: delay}))
    world.run(10)
    assert requests(world) == [(0.21, ((SEGMENT, 2 * SEGMENT),))]
    end(world, source)
    assert len(world.bodies(Nak)) == 1


def test_reordering_around_eof_is_no_loss() -> None:
    world = World(late({4 * SEGMENT: 0.2, 0: 0.15}))
    world.put(DATA)
    world.run()
    assert world.delivered() == [DATA] and world.bodies(Nak) == []


def test_metadata_behind_eof_is_no_loss() -> None:
    world = World(lambda sent: [0.2 if isinstance(sent.body, Metadata) else DELAY])
    world.put(DATA)
    world.run()
    assert world.delivered() == [DATA] and world.bodies(Nak) == []


def test_no_window_means_at_once() -> None:
    world = World(late({SEGMENT: 0.011}), reorder_window=0.0)
    world.put(DATA)
    world.run()
    assert requests(world) == [(0.01, ((SEGMENT, 2 * SEGMENT),))]


def test_each_gap_stands_for_its_own_window() -> None:
    world, source = streaming(late({SEGMENT: LOST}))
    world.run(0.15)
    world.fate = late({4 * SEGMENT: LOST})
    source.data = (DATA + DATA)[: 6 * SEGMENT]
    world.run(5)
    assert requests(world) == [
        (0.21, ((SEGMENT, 2 * SEGMENT),)), (0.41, ((4 * SEGMENT, 5 * SEGMENT),)),
    ]


def test_a_nak_lost_before_eof_is_repeated_after_it() -> None:
    world, source = streaming(late({SEGMENT: LOST}))
    fate = world.fate
    world.fate = lambda sent: [] if isinstance(sent.body, Nak) else fate(sent)
    world.run(10)
    world.fate = arrives
    end(world, source)  # EOF arrives at 10.01; what was asked for may still be on its way
    assert [at for at, _ in requests(world)] == [0.21, 15.21]


def test_deferred_naks_wait_for_eof() -> None:
    world = World(late({SEGMENT: LOST}), immediate_nak=False, large_when_unknown=False)
    source = MemorySource(DATA[: 4 * SEGMENT], ended=False)
    world.put(source)
    world.run(10)
    assert world.bodies(Nak) == []
    end(world, source)
    assert requests(world) == [(10.21, ((SEGMENT, 2 * SEGMENT),))]


def test_a_prompt_is_answered_by_what_is_missing() -> None:
    world, source = streaming(late({SEGMENT: LOST}))
    fate = world.fate
    world.fate = lambda sent: [] if isinstance(sent.body, Nak) else fate(sent)
    world.run(10)
    world.fate = arrives
    world.sat.prompt(world.sat.transactions()[0], Response.NAK)
    world.run(1)
    assert requests(world)[1:] == [(10.01, ((SEGMENT, 2 * SEGMENT),))]
    assert world.sat.report(world.sat.transactions()[0]).progress == 4 * SEGMENT
    end(world, source)


def test_no_empty_nak_on_a_prompt_without_gaps() -> None:
    world, source = streaming(arrives)
    world.run(1)
    world.sat.prompt(world.sat.transactions()[0], Response.NAK)
    end(world, source)
    assert world.bodies(Nak) == [] and "Prompt" in world.kinds(SAT)


@pytest.mark.parametrize("number", [SAT, GROUND])
def test_no_empty_nak_on_resuming_without_gaps(number: int) -> None:
    world, source = streaming(arrives)
    world.run(1)
    transaction = world.sat.transactions()[0]
    for pause in ("suspend", "freeze"):
        entity, other = world.entities[number], GROUND if number == SAT else SAT
        if pause == "suspend":
            entity.suspend(transaction, world.now)
            world.run(10)
            entity.resume(transaction, world.now)
        else:
            entity.freeze(other, world.now)
            world.run(10)
            entity.thaw(other, world.now)
        world.run(10)
    end(world, source)
    assert world.bodies(Nak) == []


# --- the sender's side of a NAK


def test_what_was_lost_goes_before_what_is_new() -> None:
    world, source = streaming(arrives)
    world.run(1)
    world.sat.receive(pdu(Nak(0, SEGMENT, ((0, SEGMENT),)), up=True), world.now)
    source.data = DATA + DATA
    offsets = [body.offset for body in sat_data(world, 2_048)]
    assert offsets == [0, 4 * SEGMENT]


def sat_data(world: World, room: int) -> list[FileData]:
    out = world.sat.pdus_to_send(world.now, room)
    assert sum(len(one.pdu) for one in out) <= room
    found = [Sent(0, SAT, one.remote, one.pdu).body for one in out]
    return [body for body in found if isinstance(body, FileData)]


def test_requests_beyond_what_was_sent_are_left_out() -> None:
    world, _ = streaming(arrives)
    world.run(1)
    nak = Nak(0, 1 << 31, ((3 * SEGMENT, 1 << 31), (1 << 20, 1 << 21)))
    world.sat.receive(pdu(nak, up=True), world.now)
    assert [body.offset for body in sat_data(world, 1 << 20)] == [3 * SEGMENT]
    assert sat_data(world, 1 << 20) == []


def test_a_class_1_sender_takes_no_nak() -> None:
    world = World(mode=Mode.UNACKNOWLEDGED, closure=True)
    world.put(DATA)
    world.sat.pdus_to_send(world.now, 1 << 20)
    nak = pdu(Nak(0, 9, ((0, 9),)), up=True, mode=Mode.UNACKNOWLEDGED)
    world.sat.receive(nak, world.now)
    assert world.sat.drops == {Drop.UNEXPECTED_PDU: 1} and sat_data(world, 1 << 20) == []


def test_requests_kept_are_bounded() -> None:
    """A NAK may hold thousands of ranges; what is still missing is asked for again."""
    world = World(limits=Limits(max_fragments=10))
    world.put(DATA)
    world.sat.pdus_to_send(world.now, 1 << 20)
    odd = tuple((at, at + 1) for at in range(0, 100, 2))
    world.sat.receive(pdu(Nak(0, 100, odd), up=True), world.now)
    assert world.sat.drops == {Drop.TOO_FRAGMENTED: 1}
    assert [body.offset for body in sat_data(world, 1 << 20)] == list(range(0, 20, 2))


# --- all together


@given(seed=st.integers(0, 1 << 32), loss=st.floats(0, 0.6), spread=st.floats(0, 3))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_any_loss_reordering_and_duplication(seed: int, loss: float, spread: float) -> None:
    random = Random(seed)

    def fate(sent: Sent) -> list[float]:
        copies = random.choice((1, 1, 1, 2, 3))
        return [random.random() * spread for _ in range(copies) if random.random() >= loss]

    world = World(fate, ack_limit=100, nak_limit=100, inactivity=10_000.0)
    world.put(DATA)
    world.run()
    assert world.delivered() == [DATA]
    ((_, sat),), ((_, ground),) = world.ends(SAT), world.ends(GROUND)
    assert sat is ground is Condition.NO_ERROR
    assert world.sat.transactions() == world.ground.transactions() == []
    assert set(world.kinds()) <= {"Metadata", "FileData", "Eof", "Ack", "Nak", "Finished"}
    assert all(nak.requests for nak in world.bodies(Nak))
