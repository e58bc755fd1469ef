"""File data that arrives twice, in pieces, or in too many of them.

Proves that the data received first stays and is written once, and that ranges are bounded.
"""

from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.link.cfdp import Limits, Report
from occulta.link.cfdp.checksum import Checksum
from occulta.link.cfdp.constants import ChecksumType, Condition
from occulta.link.cfdp.pdu import Eof, FileData, Metadata
from occulta.link.drops import Drop
from tests.cfdp_world import GROUND, World, pdu


def test_partial_overlaps_are_written_once_and_the_first_data_stays() -> None:
    world = World()
    world.ground.receive(pdu(Metadata(12, "a", "a")), world.now)
    for offset, data in [(2, b"bbb"), (7, b"ccc"), (0, b"dddddddddddd"), (0, b"e" * 12)]:
        world.ground.receive(pdu(FileData(offset, data)), world.now)
    (sink,) = world.stores[GROUND].sinks.values()
    assert bytes(sink.data) == b"ddbbbddcccdd"
    assert sink.writes == [(2, 5), (7, 10), (0, 2), (5, 7), (10, 12)]


PIECES = st.lists(st.tuples(st.integers(0, 60), st.binary(max_size=25)), max_size=40)


@given(pieces=PIECES)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_pieces_in_any_order_make_the_first_file(pieces: list[tuple[int, bytes]]) -> None:
    """A model keeps, of each octet, what came first; what is missing at last comes in one piece."""
    world = World()
    model: dict[int, int] = {}
    pieces = [(offset, data) for offset, data in pieces if offset + len(data) <= 64]
    for offset, data in [*pieces, (0, bytes(64))]:
        world.ground.receive(pdu(FileData(offset, data)), world.now)
        for at, octet in enumerate(data, offset):
            model.setdefault(at, octet)
        assert report(world).progress == len(model)
    whole = bytes(model[at] for at in range(64))
    (sink,) = world.stores[GROUND].sinks.values()
    writes = sorted(sink.writes)
    assert [a for a, _ in writes] == [0, *(b for _, b in writes[:-1])] and writes[-1][1] == 64
    finish(world, whole)
    assert world.delivered("a") == [whole]


def report(world: World) -> Report:
    """Of the ground's one transaction; the first data opens it."""
    if not world.ground.transactions():
        world.ground.receive(pdu(FileData(0, b"")), world.now)
    return world.ground.report(world.ground.transactions()[0])


def finish(world: World, whole: bytes) -> None:
    checksum = Checksum(ChecksumType.CRC_32C)
    checksum.update(whole)
    metadata = Metadata(len(whole), "a", "a", ChecksumType.CRC_32C)
    world.ground.receive(pdu(metadata), world.now)
    world.ground.receive(pdu(Eof(Condition.NO_ERROR, checksum.value, len(whole))), world.now)


def test_fragments_are_bounded() -> None:
    world = World(limits=Limits(max_fragments=4))
    for offset in [0, 10, 20, 30, 40, 15, 50]:
        world.ground.receive(pdu(FileData(offset, b"x")), world.now)
    assert world.ground.drops == {Drop.TOO_FRAGMENTED: 3}
    for offset in [1, 9, 31, 21, 40]:  # these join a range; then one is less
        world.ground.receive(pdu(FileData(offset, b"y" * 9 if offset == 21 else b"y")), world.now)
    assert world.ground.drops == {Drop.TOO_FRAGMENTED: 3}
    (sink,) = world.stores[GROUND].sinks.values()
    assert (40, 41) in sink.writes and (50, 51) not in sink.writes
