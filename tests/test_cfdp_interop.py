"""CFDP with two implementations that are not ours: cfdp-py 0.7.0 and LibreCube's cfdp 0.2.0.

Proves with real PDUs, both ways, in both classes, with File Data lost and not, for files from
nothing to many segments, that the file arrives bit for bit and both sides call it a success; and
that in Class 1 a loss is called a failure. Limits of the peers: LibreCube's knows the MODULAR
checksum only, no CRC, no closure, sequence numbers of one octet, and as a Class 1 receiver calls a
file with a hole a success, so that is not asked of it.
"""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from spacepackets.cfdp.defs import ChecksumType as PeerChecksum

from occulta.link.cfdp import Entity, PutRequest, Remote
from occulta.link.cfdp.constants import ChecksumType, Condition, Delivery, Mode
from occulta.link.cfdp.decode import decode_header
from occulta.link.cfdp.events import TransactionFinished
from tests.cfdp_peers import OURS, THEIRS, CfdpPy, LibreCube, Peer
from tests.cfdp_world import MemorySource, MemoryStore

SIZES = [0, 1, 1000, 50_003]
LOST = (0, 3, 4, 11, 49)
"""Which of the File Data PDUs of a conversation do not arrive: never a retransmission."""
STEPS = 5000
Deliver = Callable[..., "Conversation"]


class Conversation:
    """Our entity and a peer, until neither has anything left to say or to wait for."""

    def __init__(self, peer: Peer, remote: Remote, lossy: bool) -> None:
        self.peer = peer
        self.store = MemoryStore()
        self.entity = Entity(OURS, [remote], self.store)
        self.lossy = lossy
        self.now = 0.0
        self.seen = self.lost = 0
        self.ends: list[TransactionFinished] = []

    def arrives(self, pdu: bytes) -> bool:
        _, is_data, _ = decode_header(pdu)
        if not is_data:
            return True
        self.seen += 1
        lost = self.lossy and self.seen - 1 in LOST
        self.lost += lost
        return not lost

    def exchange(self) -> bool:
        """What both have to send goes over; False if nothing did."""
        ours = [pdu for _, pdu in self.entity.pdus_to_send(self.now, 1 << 16)]
        for pdu in filter(self.arrives, ours):
            self.peer.take(pdu)
        theirs = self.peer.give()
        for pdu in filter(self.arrives, theirs):
            self.entity.receive(pdu, self.now)
        self.ends += [e for e in self.entity.events() if isinstance(e, TransactionFinished)]
        return bool(ours or theirs)

    def run(self) -> None:
        for _ in range(STEPS):
            if self.exchange():
                continue
            self.peer.tick()
            if self.exchange():
                continue
            at = self.entity.next_timer()
            if at is None:
                assert self.entity.transactions() == []
                assert self.entity.drops == {}
                return
            self.now = max(self.now, at)
            self.entity.handle_timer(self.now)
        raise AssertionError("it never ends")


@pytest.fixture(params=["cfdp-py", "LibreCube"])
def peer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Peer]:
    made: Peer = CfdpPy(tmp_path) if request.param == "cfdp-py" else LibreCube(tmp_path)
    yield made
    made.close()


def remote_for(peer: Peer, **settings: object) -> Remote:
    """How to speak to it."""
    narrow = {"entity_width": 1, "sequence_width": 1} if isinstance(peer, LibreCube) else {}
    given = {"checksum_type": ChecksumType.MODULAR, "max_pdu": 1024, **narrow, **settings}
    return Remote(THEIRS, **given)  # type: ignore[arg-type]


def data_of(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def deliver_to(
    peer: Peer, folder: Path, size: int, mode: Mode, lossy: bool, closure: bool = False,
    **settings: object,
) -> Conversation:
    """Our file to the peer."""
    talk = Conversation(peer, remote_for(peer, **settings), lossy)
    talk.store.sources["raw.bin"] = MemorySource(data_of(size))
    target = peer.destination("received.bin")
    talk.entity.put(PutRequest(THEIRS, "raw.bin", target, mode, closure), talk.now)
    talk.run()
    return talk


def deliver_from(
    peer: Peer, folder: Path, size: int, mode: Mode, lossy: bool, closure: bool = False,
    **settings: object,
) -> Conversation:
    """The peer's file to us."""
    talk = Conversation(peer, remote_for(peer, **settings), lossy)
    (folder / "raw.bin").write_bytes(data_of(size))
    peer.put(folder / "raw.bin", "received.bin", mode, closure)
    talk.run()
    return talk


def received_by_us(talk: Conversation) -> list[bytes]:
    return talk.store.files.get("received.bin", [])


def outcome(talk: Conversation) -> tuple[Condition, Delivery]:
    """How our side says the one transaction ended."""
    [end] = talk.ends
    return end.condition, end.delivery


SUCCESS = (Condition.NO_ERROR, Delivery.COMPLETE)
UNREPORTED = (Condition.NO_ERROR, Delivery.INCOMPLETE)
"""What a Class 1 sender without closure knows."""
classes = pytest.mark.parametrize(("mode", "lossy"), [
    (Mode.ACKNOWLEDGED, False), (Mode.ACKNOWLEDGED, True), (Mode.UNACKNOWLEDGED, False),
])
sizes = pytest.mark.parametrize("size", SIZES)
either_way = pytest.mark.parametrize("deliver", [deliver_to, deliver_from])


@sizes
@classes
def test_our_file_arrives(peer: Peer, tmp_path: Path, mode: Mode, lossy: bool, size: int) -> None:
    talk = deliver_to(peer, tmp_path, size, mode, lossy)
    assert (tmp_path / "received.bin").read_bytes() == data_of(size)
    assert outcome(talk) == (SUCCESS if mode is Mode.ACKNOWLEDGED else UNREPORTED)
    assert peer.ends == [Condition.NO_ERROR]
    assert talk.lost or not (lossy and size)


@sizes
@classes
def test_the_peers_file_arrives(
    peer: Peer, tmp_path: Path, mode: Mode, lossy: bool, size: int
) -> None:
    talk = deliver_from(peer, tmp_path, size, mode, lossy)
    assert received_by_us(talk) == [data_of(size)]
    assert outcome(talk) == SUCCESS
    assert peer.ends == [Condition.NO_ERROR]
    assert talk.lost or not (lossy and size)


@pytest.mark.parametrize("size", SIZES[1:])
def test_a_class_1_file_with_a_hole_is_a_failure_here(
    peer: Peer, tmp_path: Path, size: int
) -> None:
    talk = deliver_from(peer, tmp_path, size, Mode.UNACKNOWLEDGED, True)
    assert talk.lost > 0
    assert received_by_us(talk) == []
    assert outcome(talk) == (Condition.CHECK_LIMIT, Delivery.INCOMPLETE)


# --- cfdp-py alone: what LibreCube's cannot do


@either_way
@pytest.mark.parametrize("size", SIZES)
def test_closure_of_class_1(deliver: Deliver, tmp_path: Path, size: int) -> None:
    """727.0-B-5, 4.6.3: the sender hears of the success in a Finished PDU."""
    peer = CfdpPy(tmp_path)
    talk = deliver(peer, tmp_path, size, Mode.UNACKNOWLEDGED, False, True)
    assert outcome(talk) == SUCCESS
    assert peer.ends == [Condition.NO_ERROR]


@either_way
@pytest.mark.parametrize("size", SIZES[1:])
def test_closure_tells_of_a_class_1_file_with_a_hole(
    deliver: Deliver, tmp_path: Path, size: int
) -> None:
    peer = CfdpPy(tmp_path)
    talk = deliver(peer, tmp_path, size, Mode.UNACKNOWLEDGED, True, True)
    assert outcome(talk) == (Condition.CHECK_LIMIT, Delivery.INCOMPLETE)
    assert peer.ends == [Condition.CHECK_LIMIT]
    assert received_by_us(talk) == []


@either_way
@pytest.mark.parametrize("crc", [False, True])
@pytest.mark.parametrize("kind", [ChecksumType.MODULAR, ChecksumType.CRC_32, ChecksumType.CRC_32C])
def test_checksums_and_the_crc_of_pdus(
    deliver: Deliver, tmp_path: Path, kind: ChecksumType, crc: bool
) -> None:
    peer = CfdpPy(tmp_path, PeerChecksum(kind), crc)
    talk = deliver(
        peer, tmp_path, 50_003, Mode.ACKNOWLEDGED, True, checksum_type=kind, crc=crc
    )
    [end] = talk.ends
    assert (end.condition, end.delivery, end.checksum) == (*SUCCESS, kind)
    assert peer.ends == [Condition.NO_ERROR]
    stored = received_by_us(talk) or [(tmp_path / "received.bin").read_bytes()]
    assert stored == [data_of(50_003)]


@either_way
def test_short_pdus_and_many_requests(deliver: Deliver, tmp_path: Path) -> None:
    """The conservative profile: PDUs of 512 octets, 58 requests in a NAK."""
    peer = CfdpPy(tmp_path, max_packet=512)
    talk = deliver(
        peer, tmp_path, 50_003, Mode.ACKNOWLEDGED, True, max_pdu=512, nak_segments=58,
        immediate_nak=False,
    )
    assert outcome(talk) == SUCCESS
    assert peer.ends == [Condition.NO_ERROR]
