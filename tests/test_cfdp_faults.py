"""Files that are not what was announced, and names that are attacks.

Proves that data beyond a declared size is refused before it is written, that nothing is published
under a hostile name, and what each fault says at both ends.
"""

from zlib import crc32

import pytest

from occulta.link.cfdp import Limits, PutRequest
from occulta.link.cfdp.constants import ChecksumType, Condition, Delivery, FileStatus, Mode
from occulta.link.cfdp.names import is_safe_name
from occulta.link.cfdp.pdu import Ack, Eof, FileData, Finished, Metadata, Nak
from occulta.link.drops import Drop
from tests.cfdp_world import DATA, DELAY, GROUND, SAT, SEGMENT, MemorySource, Sent, World, pdu

CLASS_1 = {"mode": Mode.UNACKNOWLEDGED}
CRC = ChecksumType.CRC_32
HOSTILE = [
    "..", "../x", "a/../x", "a/..", "/x", "//x", "", "a//b", "a/", ".", "./a", "a/./b", "a\\b",
    "..\\x", "C:x", "a\0b", "\0", "a\nb", "a\x7fb",
]


def assert_nothing_published(world: World) -> None:
    assert world.stores[GROUND].files == {} and world.stores[GROUND].sinks == {}


def both(world: World, condition: Condition, status: FileStatus = FileStatus.DISCARDED) -> None:
    """The one transaction has failed, and both ends know why."""
    assert_nothing_published(world)
    assert world.outcome(GROUND) == (condition, Delivery.INCOMPLETE, status)
    assert world.outcome(SAT) == (condition, Delivery.INCOMPLETE, status)
    assert world.sat.transactions() == world.ground.transactions() == []


def writes(world: World) -> list[tuple[int, int]]:
    return [one for sink in world.stores[GROUND].sinks.values() for one in sink.writes]


# --- names


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_rejected(name: str) -> None:
    world = World()
    world.stores[SAT].sources["source"] = MemorySource(DATA)
    world.sat.put(PutRequest(GROUND, "source", name), world.now)
    world.run()
    both(world, Condition.FILESTORE_REJECTION, FileStatus.REJECTED)
    (finished,) = world.bodies(Finished)
    assert finished.fault_entity == GROUND and world.ends(SAT)[0][0] == 0.02


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_behind_the_data_is_rejected(name: str) -> None:
    world = World()
    world.hears(FileData(0, DATA), Eof(Condition.NO_ERROR, crc32(DATA), len(DATA)))
    assert writes(world) == [(0, len(DATA))]
    world.hears(Metadata(len(DATA), "a", name, CRC))
    assert world.faults(GROUND) == [(0, Condition.FILESTORE_REJECTION)]
    assert_nothing_published(world)


def test_a_hostile_name_in_class_1() -> None:
    world = World(**CLASS_1)
    world.hears(Metadata(3, "a", "../a", CRC), FileData(0, b"abc"), mode=Mode.UNACKNOWLEDGED)
    assert world.outcome(GROUND)[0] is Condition.FILESTORE_REJECTION
    assert_nothing_published(world)
    assert world.ground.drops == {Drop.CLOSED_TRANSACTION: 1}


def test_the_longest_names() -> None:
    """An LV parameter holds 255 octets; what is longer is not sent, nor safe."""
    world = World()
    assert is_safe_name("é" * 127 + "e") and not is_safe_name("é" * 128)
    world.put(DATA, "x")
    world.stores[SAT].sources["n" * 255] = MemorySource(b"data")
    world.sat.put(PutRequest(GROUND, "n" * 255, "m" * 255), world.now)
    with pytest.raises(ValueError, match="does not fit"):
        world.sat.put(PutRequest(GROUND, "x", "m" * 256), world.now)
    with pytest.raises(ValueError, match="max_pdu"):
        world.sat.put(PutRequest(GROUND, "x", "m", messages=(b"n" * 250,) * 5), world.now)
    assert world.stores[SAT].sources["x"].closed  # by the refused requests
    assert len(world.sat.transactions()) == 2
    world.run()
    assert world.delivered("m" * 255) == [b"data"]


# --- sizes


def test_data_beyond_the_size_of_metadata_is_refused_before_it_is_written() -> None:
    world = World()
    world.hears(Metadata(10, "a", "a", CRC), FileData(8, b"xyz"), FileData(1 << 31, b"x"))
    assert world.ground.drops == {Drop.BEYOND_FILE_SIZE: 2}
    assert world.stores[GROUND].sinks == {}
    data = b"0123456789"
    world.hears(FileData(0, data), FileData(10, b"x"))
    assert world.ground.drops == {Drop.BEYOND_FILE_SIZE: 3} and writes(world) == [(0, 10)]
    world.hears(Eof(Condition.NO_ERROR, crc32(data), 10))
    assert world.delivered("a") == [data] and world.faults(GROUND) == []


@pytest.mark.parametrize("mode", list(Mode))
def test_data_beyond_the_size_of_eof_is_refused_before_it_is_written(mode: Mode) -> None:
    world = World(mode=mode)
    world.hears(FileData(0, b"01234"), Eof(Condition.NO_ERROR, 0, 10), mode=mode)
    (sink,) = world.stores[GROUND].sinks.values()
    world.hears(FileData(9, b"xy"), mode=mode)
    assert world.ground.drops == {Drop.BEYOND_FILE_SIZE: 1} and sink.writes == [(0, 5)]
    assert world.faults(GROUND) == [(0, Condition.FILE_SIZE_ERROR)]
    assert_nothing_published(world)
    assert len(world.ground.transactions()) == (mode is Mode.ACKNOWLEDGED)  # awaiting an ACK


def test_data_beyond_what_is_allowed_at_all() -> None:
    world = World(limits=Limits(max_file_size=1_000))
    world.hears(FileData(999, b"x"), FileData(999, b"xy"), FileData(1 << 31, b"x"))
    assert world.ground.drops == {Drop.BEYOND_FILE_SIZE: 2} and writes(world) == [(999, 1_000)]


@pytest.mark.parametrize("bodies", [
    [Metadata(1_001, "a", "a", CRC)],
    [Metadata(None, "a", "a", CRC), Eof(Condition.NO_ERROR, 0, 1_001)],
    [FileData(0, b"0123456789"), Metadata(9, "a", "a", CRC)],
    [FileData(0, b"0123456789"), Eof(Condition.NO_ERROR, 0, 9)],
    [Metadata(10, "a", "a", CRC), Eof(Condition.NO_ERROR, 0, 9)],
    [Metadata(10, "a", "a", CRC), Eof(Condition.NO_ERROR, 0, 11)],
    [Eof(Condition.NO_ERROR, 0, 9), Metadata(10, "a", "a", CRC)],
    [Eof(Condition.NO_ERROR, 0, 11), Metadata(10, "a", "a", CRC)],
])
def test_sizes_that_contradict(bodies: list[object]) -> None:
    """Beyond the limit of 1000, less than what was received, or metadata against EOF."""
    world = World(limits=Limits(max_file_size=1_000))
    world.hears(*bodies)
    assert world.faults(GROUND) == [(0, Condition.FILE_SIZE_ERROR)]
    (finished,) = world.bodies(Finished)
    assert finished == Finished(
        Condition.FILE_SIZE_ERROR, Delivery.INCOMPLETE, FileStatus.DISCARDED, (), GROUND
    )
    assert_nothing_published(world)
    acks = [Ack(4, Condition.NO_ERROR, 1)] if Eof in map(type, bodies) else []
    assert world.bodies(Ack) == acks


def test_conflicting_metadata_and_eof_change_nothing() -> None:
    world = World()
    data = b"0123456789"
    metadata, eof = Metadata(10, "a", "a", CRC), Eof(Condition.NO_ERROR, crc32(data), 10)
    world.hears(metadata, Metadata(10, "a", "b", CRC), Metadata(9, "a", "a", CRC), metadata)
    assert world.ground.drops == {Drop.CONFLICTING_METADATA: 2}
    world.hears(eof, Eof(Condition.NO_ERROR, 1, 10), Eof(Condition.NO_ERROR, eof.checksum, 9), eof)
    assert world.ground.drops == {Drop.CONFLICTING_METADATA: 2, Drop.CONFLICTING_EOF: 2}
    assert len(world.bodies(Ack)) == 2
    world.hears(FileData(0, data))
    assert world.delivered("a") == [data] and world.faults(GROUND) == []


# --- a file that changes under the sender


@pytest.mark.parametrize("mode", list(Mode))
def test_a_file_that_has_shrunk(mode: Mode) -> None:
    world = World(mode=mode)
    world.put(DATA)
    world.stores[SAT].sources["file.bin"].data = DATA[:3_000]
    world.run()
    assert world.faults(SAT) == [(0, Condition.FILE_SIZE_ERROR)]
    (eof,) = world.bodies(Eof)
    assert (eof.condition, eof.size, eof.fault_entity) == (Condition.FILE_SIZE_ERROR, 3_000, SAT)
    assert world.outcome(GROUND)[0] is world.outcome(SAT)[0] is Condition.FILE_SIZE_ERROR
    assert_nothing_published(world)


def test_a_file_that_has_grown_is_sent_as_it_was() -> None:
    world = World()
    world.put(DATA)
    world.stores[SAT].sources["file.bin"].data = DATA + DATA
    world.run()
    assert world.delivered() == [DATA]


def test_a_file_that_shrinks_before_it_is_sent_again() -> None:
    world = World()
    world.put(DATA)
    world.fate = lambda sent: [] if isinstance(sent.body, FileData) else [DELAY]
    world.run(0.1)
    world.stores[SAT].sources["file.bin"].data = b""
    world.run()
    assert world.faults(SAT) == [(0.22, Condition.FILESTORE_REJECTION)]
    both(world, Condition.FILESTORE_REJECTION, FileStatus.REJECTED)


def test_room_is_kept_when_reading_fails() -> None:
    """The first transaction fails behind a segment sent again; the second takes what is left."""
    world = World()
    world.put(DATA)
    world.put(DATA, "second")
    world.sat.pdus_to_send(world.now, 6_000)
    world.stores[SAT].sources["file.bin"].data = DATA[:SEGMENT]
    nak = Nak(0, 3_000, ((0, SEGMENT), (2 * SEGMENT, 3 * SEGMENT)))
    world.sat.receive(pdu(nak, up=True), world.now)
    out = world.sat.pdus_to_send(world.now, 3 * 1_024)
    kinds = [type(Sent(0, SAT, GROUND, one.pdu).body) for one in out]
    assert kinds == [FileData, Eof, Metadata, FileData]
    assert sum(len(one.pdu) for one in out) <= 3 * 1_024
