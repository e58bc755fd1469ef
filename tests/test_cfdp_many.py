"""Many transactions at once and one after another: destinations, priorities, numbers, history.

Proves that transactions do not touch each other, that the link goes to the most urgent, that
numbers come round without harm, and that what is remembered of the past is bounded and enough.
"""

from random import Random

import pytest

from occulta.link.cfdp import ENTITY_KEY, Limits, TransactionId
from occulta.link.cfdp.constants import Condition, Direction, Mode, TransactionStatus
from occulta.link.cfdp.pdu import Ack, Body, Eof, FileData, Header, Metadata, Nak, encode
from occulta.link.drops import Drop
from tests.cfdp_world import DATA, GROUND, SAT, Fate, World, arrives, pdu


def noisy(seed: int) -> Fate:
    random = Random(seed)
    return lambda sent: [random.random() / 4] if random.random() < 0.8 else []


@pytest.mark.parametrize("mixed", [False, True])
def test_many_transactions_with_several_destinations(mixed: bool) -> None:
    """Forty files, put while others are under way, to three entities over a bad link."""
    world = World(noisy(7), grounds=(2, 3, 4), ack_limit=40, nak_limit=40)
    random, files = Random(1), {}
    for index in range(40):
        to, data = random.choice((2, 3, 4)), random.randbytes(random.randrange(20_000))
        files[f"file {index}", to] = data
        mode = Mode.UNACKNOWLEDGED if mixed and index % 5 == 0 else Mode.ACKNOWLEDGED
        world.put(data, f"file {index}", to, priority=index % 3, mode=mode)
        world.window = 10_000
        for _ in range(random.randrange(30)):
            world.step()
    world.window = 1 << 30
    world.run()
    for number in (2, 3, 4):
        for name, found in world.stores[number].files.items():
            assert found == [files[name, number]]
    delivered = sum(len(world.stores[number].files) for number in (2, 3, 4))
    assert delivered == 40 if not mixed else 32 <= delivered <= 40
    assert all(entity.transactions() == [] for entity in world.entities.values())
    assert all(not store.sinks for store in world.stores.values())


def order(world: World) -> list[tuple[int, str]]:
    """Sequence number and kind of each PDU of the satellite's, without repetitions."""
    found: list[tuple[int, str]] = []
    for sent in world.log:
        one = sent.header.sequence, type(sent.body).__name__
        if sent.source == SAT and found[-1:] != [one]:
            found.append(one)
    return found


def test_the_most_urgent_goes_first_then_the_oldest() -> None:
    world = World()
    for priority in (5, 0, 5, -1):
        world.put(DATA, f"{world.now}{priority}{len(world.sat.transactions())}", priority=priority)
    world.window = 3_000
    while world.transmit():
        pass
    assert order(world) == [
        (number, kind) for number in (4, 2, 1, 3) for kind in ("Metadata", "FileData", "Eof")
    ]


def test_nothing_is_announced_before_its_turn() -> None:
    """At a slow rate it would wait so long for its data that the receiver gives it up."""
    world = World(inactivity=30.0)
    for name in "abc":
        world.put(DATA * 10, name)
    for _ in range(200):  # a packet each second: a file takes longer than the receiver waits
        world.window = 1_100
        world.transmit()
        world.window = 0
        world.run(1.0)
    assert sorted(world.stores[GROUND].files) == ["a", "b", "c"]
    assert [number for number, kind in order(world) if kind == "Metadata"] == [1, 2, 3]


def test_what_is_put_later_but_more_urgent_overtakes() -> None:
    world = World()
    world.put(DATA, "slow", priority=1)
    world.window = 2_500
    world.transmit()
    world.put(DATA, "fast", priority=0)
    while world.transmit():
        pass
    assert order(world)[:6] == [
        (1, "Metadata"), (1, "FileData"), (2, "Metadata"), (2, "FileData"), (2, "Eof"),
        (1, "FileData"),
    ]


def test_room_is_never_exceeded_and_all_of_it_is_used_in_the_end() -> None:
    random = Random(3)
    world = World(arrives)
    for index in range(5):
        world.put(DATA, f"{index}", priority=index % 2)
    sent: list[bytes] = []
    for _ in range(2_000):
        room = random.randrange(2_500)
        out = [pdu for _, pdu in world.sat.pdus_to_send(world.now, room)]
        assert sum(map(len, out)) <= room
        sent += out
    for one in sent:
        world.ground.receive(one, world.now)
    assert sorted(world.stores[GROUND].files) == ["0", "1", "2", "3", "4"]


# --- too many


def metadata(sequence: int) -> bytes:
    return pdu(Metadata(3, "a", f"{sequence}"), sequence)


def test_receiving_transactions_are_bounded() -> None:
    world = World(limits=Limits(max_transactions=3))
    for sequence in range(5):
        world.ground.receive(metadata(sequence), world.now)
    assert world.ground.drops == {Drop.TOO_MANY_TRANSACTIONS: 2}
    assert len(world.ground.transactions()) == 3
    for body in (FileData(0, bytes(3)), Eof(Condition.NO_ERROR, 0, 3)):
        world.ground.receive(pdu(body, 1), world.now)
    ack = Ack(5, Condition.NO_ERROR, TransactionStatus.TERMINATED)
    world.ground.receive(pdu(ack, 1), world.now)
    world.ground.receive(metadata(4), world.now)
    assert [one.sequence for one in world.ground.transactions()] == [0, 2, 4]


def test_sending_transactions_leave_room_to_receive() -> None:
    world = World(limits=Limits(max_transactions=1))
    for index in range(3):
        world.put(DATA, f"{index}")
    header = Header(GROUND, 1, SAT, Direction.TO_RECEIVER, Mode.ACKNOWLEDGED)
    world.sat.receive(encode(header, Metadata(3, "a", "a")), world.now)
    assert len(world.sat.transactions()) == 4 and world.sat.drops == {}


def test_file_data_towards_the_sender_open_nothing() -> None:
    """It would be a receiving transaction under a number of the entity's own."""
    world = World()
    world.sat.receive(pdu(FileData(0, b"x"), 5, up=True), world.now)
    assert world.sat.drops == {Drop.PDU_DIRECTION: 1} and world.sat.transactions() == []


# --- numbers


def test_numbers_come_round() -> None:
    """One octet of sequence number is used up after 256 files."""
    world = World(sequence_width=1)
    stuck = world.put(DATA, "stuck")
    world.sat.suspend(stuck, world.now)
    for index in range(600):
        world.put(b"%d" % index, f"{index}")
        world.run()
        assert world.delivered(f"{index}") == [b"%d" % index]
        if index % 100 == 0:
            world.save()
    world.sat.resume(stuck, world.now)
    world.run()
    assert world.delivered("stuck") == [DATA]
    world.save()
    assert len(world.saved[SAT]) == len(world.saved[GROUND]) == 129  # and the entity's own


def test_every_number_is_in_use() -> None:
    world = World(sequence_width=1)
    for index in range(256):
        world.put(b"", f"{index}")
    with pytest.raises(ValueError, match="every sequence number"):
        world.put(b"", "one more")
    assert world.stores[SAT].sources["one more"].closed
    world.run()
    world.put(b"", "one more")
    world.run()
    assert world.delivered("one more") == [b""]


def test_a_peer_that_uses_a_number_again() -> None:
    """As after a reboot that forgot the number: nothing of the first file is overwritten."""
    world = World()
    world.put(DATA)
    world.run()
    again: list[Body] = [Metadata(3, "a", "file.bin"), FileData(0, b"abc"), Nak(0, 1, ((0, 1),))]
    for body in again:
        world.ground.receive(pdu(body, up=isinstance(body, Nak)), world.now)
    assert world.ground.drops == {Drop.CLOSED_TRANSACTION: 2, Drop.WRONG_ENTITY: 1}
    world.log.clear()
    world.hears(Eof(Condition.NO_ERROR, 0, 3))
    assert world.bodies(Ack) == [Ack(4, Condition.NO_ERROR, TransactionStatus.TERMINATED)]
    assert world.delivered() == [DATA] and world.ground.transactions() == []


def test_a_sender_that_uses_a_number_again_is_told_at_once() -> None:
    """Its file is never delivered: the receiver answers EOF by saying that it is over."""
    world = World()
    world.put(DATA)
    world.run()
    world.entities[SAT] = world.entity(SAT)
    at = world.since()
    world.put(b"new", "new")
    world.run()
    assert world.delivered("new") == []
    assert world.ends(SAT)[1:] == [(round(at + 0.02, 6), Condition.INACTIVITY)]


# --- history


def test_history_is_bounded_and_forgotten_where_it_is_kept() -> None:
    world = World(limits=Limits(max_history=5))
    for index in range(20):
        world.put(b"%d" % index, f"{index}")
        world.run()
        world.save()
    kept = [TransactionId(SAT, sequence) for sequence in range(16, 21)]
    for number in (SAT, GROUND):
        assert sorted(world.saved[number]) == [ENTITY_KEY, *kept]
    world.ground.receive(pdu(FileData(0, b"x"), 16), world.now)
    assert world.ground.drops == {Drop.CLOSED_TRANSACTION: 1}
    world.ground.receive(pdu(FileData(0, b"x"), 15), world.now)
    assert world.ground.transactions() == [TransactionId(SAT, 15)]  # as if it were new


def test_history_that_is_never_saved_does_not_pile_up() -> None:
    world = World(limits=Limits(max_history=5))
    for index in range(50):
        world.put(b"", f"{index}")
        world.run()
    found = world.ground.snapshots()
    assert len(found) == 6 and all(one.data is not None for one in found)


def test_history_is_cut_where_less_is_allowed() -> None:
    world = World()
    for index in range(10):
        world.put(b"", f"{index}")
        world.run()
    world.save()
    world.limits = Limits(max_history=3)
    world.restart(GROUND)
    world.save()
    kept = [TransactionId(SAT, sequence) for sequence in (8, 9, 10)]
    assert sorted(world.saved[GROUND]) == [ENTITY_KEY, *kept]


def test_an_unknown_finished_is_acknowledged() -> None:
    """Its receiver would repeat it for ever otherwise (4.7.2)."""
    world = World()
    world.put(DATA)
    world.run()
    finished = next(sent.pdu for sent in world.log if type(sent.body).__name__ == "Finished")
    world.entities[SAT] = world.entity(SAT)
    world.log.clear()
    world.sat.receive(finished, world.now)
    world.run(0)
    (ack,) = world.bodies(Ack)
    assert ack == Ack(5, Condition.NO_ERROR, TransactionStatus.UNRECOGNIZED)
    assert world.sat.transactions() == []
