"""What is published is what was sent, or nothing: checksums, failing stores, filestore requests.

Proves that a single damaged bit between source and sink is found for every checksum, that a store
which fails ends the transaction at both ends, and that filestore requests are refused in writing.
"""

from dataclasses import dataclass
from zlib import crc32

import pytest

from occulta.link.cfdp.constants import ChecksumType, Condition, Delivery, FileStatus, Mode
from occulta.link.cfdp.events import Fault, TransactionFinished
from occulta.link.cfdp.pdu import Eof, FileData, Finished, Metadata, Tlv
from occulta.link.cfdp.receiver import SLICE
from occulta.link.drops import Drop
from tests.cfdp_world import (
    DATA,
    DELAY,
    GROUND,
    SAT,
    SEGMENT,
    MemorySink,
    MemorySource,
    Sent,
    World,
)

CRC = ChecksumType.CRC_32


def assert_nothing_published(world: World) -> None:
    assert world.stores[GROUND].files == {} and world.stores[GROUND].sinks == {}


def both(world: World, condition: Condition, status: FileStatus = FileStatus.DISCARDED) -> None:
    """The one transaction has failed, and both ends know why."""
    assert_nothing_published(world)
    expected = condition, Delivery.INCOMPLETE, status
    assert world.outcome(GROUND) == world.outcome(SAT) == expected
    assert world.sat.transactions() == world.ground.transactions() == []


# --- a store that fails


@pytest.mark.parametrize("mode", list(Mode))
def test_a_full_store(mode: Mode) -> None:
    world = World(mode=mode)
    world.stores[GROUND].full = True
    world.put(DATA)
    world.run()
    assert world.faults(GROUND) == [(0.01, Condition.FILESTORE_REJECTION)]
    rejected = (Condition.FILESTORE_REJECTION, Delivery.INCOMPLETE, FileStatus.REJECTED)
    assert world.outcome(GROUND) == rejected
    assert_nothing_published(world)
    if mode is Mode.ACKNOWLEDGED:
        assert world.outcome(SAT) == rejected


def test_a_store_that_cannot_publish() -> None:
    world = World()
    source = MemorySource(DATA[: 4 * SEGMENT], ended=False)
    world.put(source)
    world.run(1)
    world.stores[GROUND].full, source.ended = True, True
    world.run()
    both(world, Condition.FILESTORE_REJECTION, FileStatus.REJECTED)


def test_a_sink_that_loses_data_is_found_out() -> None:
    """With checksum NULL too, for which only the length is compared."""
    world = World(checksum_type=ChecksumType.NULL)
    world.hears(Metadata(3, "a", "a", ChecksumType.NULL), FileData(0, b"abc"))
    (sink,) = world.stores[GROUND].sinks.values()
    sink.data.clear()
    world.hears(Eof(Condition.NO_ERROR, 0, 3))
    assert world.faults(GROUND) == [(0, Condition.FILESTORE_REJECTION)]
    assert_nothing_published(world)


# --- checksums


@dataclass
class FlippingSink(MemorySink):
    """Damages one bit of what it is given."""

    bit: int = 0

    def write(self, offset: int, data: bytes) -> None:
        super().write(offset, data)
        if offset <= self.bit >> 3 < offset + len(data):
            self.data[self.bit >> 3] ^= 1 << (self.bit & 7)


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("kind", [ChecksumType.MODULAR, CRC, ChecksumType.CRC_32C])
@pytest.mark.parametrize("bit", [0, 4 * 8 * SEGMENT + 7, 8 * len(DATA) - 1, 12_345])
def test_one_damaged_bit_is_detected(kind: ChecksumType, bit: int, mode: Mode) -> None:
    world = World(checksum_type=kind, mode=mode, closure=True)
    world.stores[GROUND].make_sink = lambda *args: FlippingSink(*args, bit=bit)
    world.put(DATA)
    world.run()
    assert world.faults(GROUND) == [(0.01, Condition.FILE_CHECKSUM_FAILURE)]
    both(world, Condition.FILE_CHECKSUM_FAILURE)


@pytest.mark.parametrize("kind", list(ChecksumType))
def test_what_a_receipt_says_was_compared(kind: ChecksumType) -> None:
    world = World(checksum_type=kind)
    world.put(DATA)
    world.run()
    assert [end.checksum for end in world.finished(GROUND)] == [kind]
    assert world.delivered() == [DATA]


@pytest.mark.parametrize("kind", list(ChecksumType))
def test_a_checksum_behind_a_gap_is_read_back_slice_by_slice(kind: ChecksumType) -> None:
    reads: list[int] = []

    @dataclass
    class ReadingSink(MemorySink):
        def read(self, offset: int, size: int) -> bytes:
            reads.append(size)
            return super().read(offset, size)

    data = bytes(range(256)) * (5 * SLICE // 256) + b"the end"
    lost = [0, 3 * SEGMENT]
    world = World(
        lambda sent: [] if getattr(sent.body, "offset", -1) in lost and lost.pop(0) is not None
        else [DELAY],
        checksum_type=kind,
    )
    world.stores[GROUND].make_sink = ReadingSink
    world.put(data)
    world.run()
    assert world.delivered() == [data]
    assert sum(reads) == len(data) and max(reads) == SLICE and len(reads) == 6


def test_a_checksum_that_is_not_supported() -> None:
    world = World()
    world.hears(Metadata(3, "a", "a", 5))
    assert world.bodies(Finished) == [  # no fault location: 5.2.3
        Finished(Condition.UNSUPPORTED_CHECKSUM, Delivery.INCOMPLETE, FileStatus.DISCARDED)
    ]


# --- filestore requests


def lv(text: bytes) -> bytes:
    return bytes([len(text)]) + text


def responses(world: World, *values: bytes) -> tuple[bytes, ...]:
    options = tuple(Tlv(0, value) for value in values)
    world.hears(Metadata(3, "a", "a", CRC, options=options), FileData(0, b"abc"))
    world.hears(Eof(Condition.NO_ERROR, crc32(b"abc"), 3))
    (finished,) = world.bodies(Finished)
    assert finished.condition is Condition.NO_ERROR
    return finished.responses


def test_filestore_requests_are_answered_not_performed() -> None:
    world = World()
    found = responses(
        world, b"\x10" + lv(b"a"), b"\x20" + lv(b"a") + lv(b"b"), b"\x00", b"\xf0", b"\x20\x09a",
    )
    assert found == (
        b"\x1f" + lv(b"a") + b"\0\0", b"\x2f" + lv(b"a") + lv(b"b") + b"\0",
        b"\x0f\0\0\0", b"\xff\0\0\0", b"\x2f\0\0\0",
    )
    assert world.stores[GROUND].files == {"a": [b"abc"]}


def test_responses_that_do_not_fit_are_left_out() -> None:
    """Finished is a PDU like others: not longer than the largest, and never stuck for its size."""
    world = World()
    world.window = 1_024
    found = responses(world, *(b"\x00" + lv(b"n" * 250) for _ in range(200)))
    assert found == (b"\x0f" + lv(b"n" * 250) + b"\0\0",) * 3
    assert max(len(sent.pdu) for sent in world.log) <= 1_024


def test_messages_to_the_user_arrive() -> None:
    world = World()
    world.put(DATA, messages=(b"first", b""))
    world.run()
    metadata = world.bodies(Metadata)[0]
    assert metadata.options == (Tlv(2, b"first"), Tlv(2, b"")) and world.delivered() == [DATA]


def test_events_of_a_fault_come_in_order() -> None:
    world = World()
    world.hears(Metadata(3, "a", "..", CRC))
    kinds = [type(event) for event in world.events[GROUND]]
    assert kinds[1:] == [Fault, TransactionFinished]


def test_a_flipped_bit_does_not_switch_the_pdu_checksum_off() -> None:
    world = World(crc=True)
    flipped = []

    def fate(sent: Sent) -> list[float]:
        if isinstance(sent.body, FileData) and not flipped:
            flipped.append(sent)
            pdu = bytes([sent.pdu[0] ^ 2]) + sent.pdu[1:]
            world.entities[sent.target].receive(pdu, world.now)
            return []
        return [DELAY]

    world.fate = fate
    world.put(bytes(5000))
    world.run()
    assert world.ground.drops[Drop.PDU_CRC] == 1
    assert world.delivered() == [bytes(5000)]
