"""Files whose size is not known yet, and files beyond 4 GiB.

Proves that a file is sent as it grows and ends where it ends, and that offsets beyond 2^32 go
through data, NAK and EOF of a transfer taken up near its end, so that no gigabytes are moved.
"""

from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.link.cfdp import Limits, TransactionId
from occulta.link.cfdp.constants import ChecksumType, Condition, Delivery, FileStatus, Mode
from occulta.link.cfdp.pdu import Eof, FileData, Metadata, Nak
from occulta.link.cfdp.saved import SavedReceiver, SavedSender, decode_saved, encode_saved
from occulta.link.drops import Drop
from tests.cfdp_world import DELAY, GROUND, SAT, Fate, MemorySource, MemoryStore, World, arrives

GIB_4 = 1 << 32
SIZE = GIB_4 + 5_000
NEAR = GIB_4 - 6_000
SEGMENT = 1_004  # with 64-bit offsets
OK = (Condition.NO_ERROR, Delivery.COMPLETE, FileStatus.RETAINED)


# --- sizes that are not known


@given(pieces=st.lists(st.integers(0, 5_000), max_size=12), lost=st.sets(st.integers(0, 40)),
       mode=st.sampled_from(Mode))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_a_file_is_sent_as_it_grows(pieces: list[int], lost: set[int], mode: Mode) -> None:
    """Whole segments go at once, the rest when the file has ended; what is lost is asked for."""
    left = {SEGMENT * index for index in lost} if mode is Mode.ACKNOWLEDGED else set()

    def fate(sent: object) -> list[float]:
        offset = getattr(sent.body, "offset", None)  # type: ignore[attr-defined]
        if offset in left:
            left.remove(offset)
            return []
        return [DELAY]

    world, source = World(fate, mode=mode), MemorySource(b"", ended=False)
    world.put(source)
    for piece in pieces:
        source.data += bytes([piece & 255]) * piece
        world.run(1)
        (transaction,) = world.sat.transactions()
        whole = len(source.data) // SEGMENT * SEGMENT
        report = world.sat.report(transaction)
        assert (report.progress, report.size) == (whole, None)
    source.ended = True
    world.run()
    assert world.delivered() == [source.data]
    assert {metadata.size for metadata in world.bodies(Metadata)} == {None}
    assert [eof.size for eof in world.bodies(Eof)] == [len(source.data)]
    assert all(sent.header.large for sent in world.log)


def test_a_file_grows_beyond_what_is_taken() -> None:
    world = World(limits=Limits(max_file_size=3_000))
    source = MemorySource(bytes(3_000), ended=False)
    world.put(source)
    world.run(1)
    source.data, source.ended = bytes(4_000), True
    world.run()
    assert world.ground.drops == {Drop.BEYOND_FILE_SIZE: 2}
    assert world.outcome(GROUND)[0] is world.outcome(SAT)[0] is Condition.FILE_SIZE_ERROR
    assert world.delivered() == []


# --- beyond 4 GiB


def content(offset: int, size: int) -> bytes:
    """Zeros, and where it counts octets that tell their place."""
    if offset + size <= NEAR:
        return bytes(size)
    return bytes((at >> 5) & 255 if at >= NEAR else 0 for at in range(offset, offset + size))


@dataclass
class SparseSource:
    """A large file that takes no room."""

    octets: int | None
    closed: bool = False

    def size(self) -> int | None:
        return self.octets

    def read(self, offset: int, size: int) -> bytes:
        end = SIZE if self.octets is None else self.octets
        return content(offset, max(0, min(size, end - offset)))

    def close(self) -> None:
        self.closed = True


@dataclass
class SparseSink:
    """Keeps what is written from NEAR on; what is before that reads as zeros."""

    store: MemoryStore
    tail: bytearray = field(default_factory=bytearray)
    published: tuple[str, int] | None = None

    def write(self, offset: int, data: bytes) -> None:
        if offset >= NEAR:
            self.tail.extend(bytes(max(0, offset + len(data) - NEAR - len(self.tail))))
            self.tail[offset - NEAR : offset - NEAR + len(data)] = data

    def read(self, offset: int, size: int) -> bytes:
        zeros = max(0, min(size, NEAR - offset))
        return bytes(zeros) + self.tail[max(0, offset - NEAR) : max(0, offset + size - NEAR)]

    def sync(self) -> None:
        pass

    def commit(self, name: str, size: int) -> None:
        self.published = name, size

    def discard(self) -> None:
        pass


def near_the_end(
    source: SparseSource, **changes: object
) -> tuple[World, TransactionId, SparseSink]:
    """A transfer of which all before NEAR was sent and received, by snapshots that say so."""
    world = World(**{"checksum_type": ChecksumType.NULL, **changes})  # type: ignore[arg-type]
    transaction = world.put(source)
    world.window = 1_100
    world.transmit()
    world.window = 0
    world.run(0.02)
    world.window = 1 << 30
    world.save()
    sat, ground = (decode_saved(world.saved[number][transaction]) for number in (SAT, GROUND))
    assert isinstance(sat, SavedSender) and isinstance(ground, SavedReceiver)
    world.saved[SAT][transaction] = encode_saved(msgspec.structs.replace(
        sat, sent=NEAR, checksum=msgspec.structs.replace(sat.checksum, value=0, offset=NEAR)
    ))
    world.saved[GROUND][transaction] = encode_saved(msgspec.structs.replace(
        ground, received=[(0, NEAR)]
    ))
    sink = SparseSink(world.stores[GROUND])
    world.stores[GROUND].sinks[transaction] = sink  # type: ignore[assignment]
    world.stores[GROUND].crash = lambda: None  # type: ignore[method-assign]
    world.log.clear()
    world.restart(SAT)
    world.restart(GROUND)
    return world, transaction, sink


def loses_one(offset: int) -> Fate:
    left = [offset]

    def fate(sent: object) -> list[float]:
        if getattr(sent.body, "offset", None) in left:  # type: ignore[attr-defined]
            left.clear()
            return []
        return [DELAY]

    return fate


@pytest.mark.parametrize("kind", [ChecksumType.NULL, ChecksumType.MODULAR])
def test_offsets_beyond_4_gib(kind: ChecksumType) -> None:
    world, _, sink = near_the_end(SparseSource(SIZE), checksum_type=kind)
    lost = NEAR + 8 * SEGMENT
    assert lost > GIB_4
    world.fate = loses_one(lost)
    world.run()
    assert world.outcome(GROUND) == world.outcome(SAT) == OK
    assert sink.published == ("file.bin", SIZE)
    assert bytes(sink.tail) == content(NEAR, SIZE - NEAR)
    assert all(sent.header.large for sent in world.log)
    assert [nak.requests for nak in world.bodies(Nak)] == [((lost, lost + SEGMENT),)]
    offsets = [data.offset for data in world.bodies(FileData)]
    assert offsets == [*range(NEAR, SIZE, SEGMENT), lost]
    (eof,) = world.bodies(Eof)
    assert eof.size == SIZE


def test_one_octet_decides_about_the_large_file_flag() -> None:
    for size, large in ((GIB_4 - 1, False), (GIB_4, True)):
        world = World()
        world.put(SparseSource(size))
        world.window = 1_100
        world.transmit()
        assert [sent.header.large for sent in world.log] == [large, large]
        assert world.bodies(Metadata)[0].size == size


@pytest.mark.parametrize(("large", "condition"), [
    (True, Condition.NO_ERROR), (False, Condition.FILE_SIZE_ERROR),
])
def test_a_file_grows_beyond_4_gib(large: bool, condition: Condition) -> None:
    """Small offsets were chosen before its size was known: it cannot be sent, and that is said."""
    source = SparseSource(None)
    world, transaction, sink = near_the_end(source, large_when_unknown=large)
    world.fate = arrives
    world.run(1)
    if large:
        assert world.sat.report(transaction).progress > GIB_4
    source.octets = SIZE
    world.run()
    assert world.outcome(SAT)[0] is world.outcome(GROUND)[0] is condition
    assert (sink.published is not None) is large
    assert bool(world.bodies(FileData)) is large  # known from the first octets read
