"""One remote's channel: whose PDUs count, what is dropped by name, how fast it sends."""

import os

import pytest

from occulta.errors import OccultaError, Reason
from occulta.link import security
from occulta.link.cfdp import Entity, PutRequest, Remote
from occulta.link.cfdp.constants import Direction as PduDirection
from occulta.link.cfdp.pdu import FileData, encode
from occulta.link.drops import Drop, PacketError
from occulta.link.security import Direction, LinkKey, Role
from occulta.link.space_packet import Apids, PacketType, SpacePacket
from occulta.program import channel as channels
from occulta.program.linkstate import LinkState
from tests.cfdp_pdus import header_for
from tests.cfdp_world import GROUND, SAT, MemorySource, MemoryStore

KEYS = (LinkKey(1, Role.COMMANDER, bytes(32)), LinkKey(2, Role.STATION, bytes([1]) * 32))
APIDS = Apids()


class Wire:
    """An endpoint's place: keeps what is sent, while it has room."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self.room = 1 << 30

    def connected(self) -> set[str]:
        return {"peer"}

    def send(self, peer: str, packet: bytes) -> bool:
        if len(self.packets) >= self.room:
            return False
        self.packets.append(packet)
        return True


class Satellite:
    """A channel on board, and the means to speak to it as the ground does."""

    def __init__(self, rate: float | None = None) -> None:
        self.wire = Wire()
        self.store = MemoryStore()
        self.entity = Entity(SAT, [Remote(GROUND), Remote(9)], self.store)
        self.states: dict[str, bytes] = {}
        down, up = Direction.DOWN, Direction.UP
        sender = security.Sender(
            security.initialise_sender(KEYS, down, 1), down, clock=1.0, random=os.urandom
        )
        receiver = security.Receiver(security.initialise_receiver(KEYS, up), up, 4)
        self.channel = channels.Channel(
            self.wire,  # type: ignore[arg-type]
            channels.Remote("peer", GROUND, 1024, rate), self.entity, PacketType.TM, APIDS,
            sender=sender, receiver=receiver, save=self.states.__setitem__,
        )
        self.ground = security.Sender(
            security.initialise_sender(KEYS, up, 1), up, clock=1.0, random=os.urandom
        )
        self.ground.saved(self.ground.state())

    def hear(self, data: bytes, apid: int = APIDS.files, kind: PacketType = PacketType.TC
             ) -> security.Opened | None:
        packet = self.ground.protect(SpacePacket(kind, apid, 0, data).encode())
        return self.channel.deliver(packet, 0.0, "peer")


def pdu(source: int) -> bytes:
    body = FileData(0, b"x")
    return encode(header_for(body, source=source, destination=SAT, sequence=1), body)


def test_a_pdu_in_the_remotes_own_name_opens_a_transaction() -> None:
    satellite = Satellite()
    assert satellite.hear(pdu(GROUND)) is None
    assert satellite.entity.transactions() == [(GROUND, 1)]
    assert not satellite.channel.drops


def test_a_pdu_in_another_entitys_name_is_dropped() -> None:
    satellite = Satellite()
    satellite.hear(pdu(9))
    assert satellite.channel.drops == {Drop.WRONG_ENTITY: 1}
    assert satellite.entity.transactions() == []


def test_the_name_of_an_answer_is_its_destination() -> None:
    satellite = Satellite()
    body = FileData(0, b"x")
    header = header_for(body, source=SAT, destination=9, sequence=1)
    octets = bytearray(encode(header, body))
    octets[0] |= PduDirection.TO_SENDER << 3
    satellite.hear(bytes(octets))
    assert satellite.channel.drops == {Drop.WRONG_ENTITY: 1}


@pytest.mark.parametrize("size", range(1, 12))
def test_a_pdu_that_is_cut_short_names_nobody(size: int) -> None:
    satellite = Satellite()
    satellite.hear(pdu(GROUND)[:size])
    assert sum(satellite.channel.drops.values()) + sum(satellite.entity.drops.values()) == 1
    assert satellite.entity.transactions() == []


def test_a_packet_of_our_own_direction_is_dropped() -> None:
    satellite = Satellite()
    satellite.hear(pdu(GROUND), kind=PacketType.TM)
    assert satellite.channel.drops == {Drop.PACKET_TYPE: 1}


def test_a_replayed_packet_is_dropped_also_after_a_restart() -> None:
    satellite = Satellite()
    plain = SpacePacket(PacketType.TC, APIDS.commands, 0, b"purge").encode()
    packet = satellite.ground.protect(plain)
    assert satellite.channel.deliver(packet, 0.0, "peer") is not None
    assert satellite.channel.deliver(packet, 0.0, "peer") is None
    assert satellite.channel.drops == {Drop.REPLAYED: 1}
    again = security.Receiver(satellite.states["receiver"], Direction.UP, 4)
    with pytest.raises(PacketError) as caught:
        again.open(packet)
    assert caught.value.drop in (Drop.REPLAYED, Drop.STALE)


def test_a_command_comes_out_with_the_role_of_its_key() -> None:
    satellite = Satellite()
    satellite.ground.select(2)
    satellite.ground.saved(satellite.ground.state())
    opened = satellite.hear(b"purge", APIDS.commands)
    assert opened is not None and opened.role is Role.STATION


def test_the_rate_holds() -> None:
    satellite = Satellite(rate=80_000)  # ten kilobytes a second
    satellite.store.sources["f"] = MemorySource(bytes(100_000))
    satellite.entity.put(PutRequest(GROUND, "f", "f"), 0.0)
    now = 0.0
    for _ in range(200):
        satellite.channel.transmit(now)
        now += 0.01
    sent = sum(map(len, satellite.wire.packets))
    assert 18_000 <= sent <= 23_000, "two seconds' worth, and what a pause allows"
    at = satellite.channel.next_time(now)
    assert at is not None and now <= at < now + 0.2


def test_a_link_without_room_is_tried_again() -> None:
    satellite = Satellite()
    satellite.store.sources["f"] = MemorySource(bytes(5_000))
    satellite.entity.put(PutRequest(GROUND, "f", "f"), 0.0)
    satellite.wire.room = 2
    assert satellite.channel.transmit(0.0) == 2
    assert satellite.channel.blocked
    satellite.wire.room = 1 << 30
    satellite.channel.transmit(0.0)
    assert not satellite.channel.blocked
    assert len(satellite.wire.packets) == 7, "metadata, five segments, EOF"


def test_without_its_state_a_program_does_not_start(tmp_path) -> None:
    state = LinkState(tmp_path, "ground")
    with pytest.raises(OccultaError) as caught:
        state.open(Direction.DOWN, 0, clock=1.0, random=os.urandom)
    assert caught.value.reason is Reason.LINK_STATE
    assert "--initialise in docs/security.md" in caught.value.detail
    assert "docs/security.md" in caught.value.hint


def test_initialise_never_replaces_a_state(tmp_path) -> None:
    state = LinkState(tmp_path, "ground")
    state.initialise(KEYS, Direction.DOWN, 0)
    sender, _ = state.open(Direction.DOWN, 0, clock=1.0, random=os.urandom)
    state.save("sender", sender.state())
    before = (tmp_path / "ground.sender").read_bytes()
    state.initialise(KEYS, Direction.DOWN, 0)
    assert (tmp_path / "ground.sender").read_bytes() == before
    assert (tmp_path / "ground.sender").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("kind", ["sender", "receiver"])
def test_a_damaged_state_is_refused(tmp_path, kind: str) -> None:
    state = LinkState(tmp_path, "ground")
    state.initialise(KEYS, Direction.DOWN, 0)
    path = tmp_path / f"ground.{kind}"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(OccultaError) as caught:
        state.open(Direction.DOWN, 0, clock=1.0, random=os.urandom)
    assert caught.value.reason is Reason.LINK_STATE
