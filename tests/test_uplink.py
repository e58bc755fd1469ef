"""Telecommands from the ground: one at a time, repeated until answered, never out of order."""

import os

import pytest

from ground.uplink import GIVE_UP, RESEND, Uplink
from occulta.link import pus, security
from occulta.link.cfdp import Entity, Limits, Remote
from occulta.link.cfdp.constants import Response
from occulta.link.cfdp.pdu import FileData, Prompt, encode
from occulta.link.drops import Drop
from occulta.link.pus import RequestId, Stage, Success
from occulta.link.space_packet import Apids, PacketType
from occulta.program import channel as channels
from tests.cfdp_pdus import header_for
from tests.cfdp_world import GROUND, SAT, MemoryStore

KEY = security.LinkKey(1, security.Role.COMMANDER, bytes(32))
APIDS = Apids()


class Wire:
    """An endpoint that keeps what is sent."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []

    def connected(self) -> set[str]:
        return {"satellite"}

    def send(self, peer: str, packet: bytes) -> bool:
        self.packets.append(packet)
        return True


class Space:
    """The satellite's end of the link."""

    def __init__(self) -> None:
        self.wire = Wire()
        up = security.Direction.UP
        sender = security.Sender(
            security.initialise_sender([KEY], up, 1), up, clock=1.0, random=os.urandom
        )
        down = security.Direction.DOWN
        receiver = security.Receiver(security.initialise_receiver([KEY], down), down, 0)
        channel = channels.Channel(
            self.wire,  # type: ignore[arg-type]
            channels.Remote("satellite", SAT, 1024),
            Entity(GROUND, [Remote(SAT)], MemoryStore()), PacketType.TC, APIDS,
            sender=sender, receiver=receiver, save=lambda name, state: None, first_count=7,
        )
        self.uplink = Uplink("satellite", channel, APIDS)
        self.receiver = security.Receiver(security.initialise_receiver([KEY], up), up, 100)
        self.answers: list[tuple[bool, str]] = []

    def ask(self, command: pus.Command, now: float) -> None:
        self.uplink.command(command, lambda well, said: self.answers.append((well, said)), now)

    def arrived(self) -> list[pus.Telecommand]:
        """Telecommands that arrived since the last call."""
        found = []
        for packet in self.wire.packets:
            try:
                opened = self.receiver.open(packet)
            except security.StateNotSaved:
                self.receiver.saved(self.receiver.state())
                opened = self.receiver.open(packet)
            found.append(pus.decode_telecommand(opened.packet))
        self.wire.packets.clear()
        return found

    def answer(self, request: RequestId, now: float) -> None:
        packet = pus.encode_telemetry(
            Success(Stage.COMPLETION, request), apid=APIDS.telemetry, sequence_count=0, time=0.0
        )
        self.uplink.receive(security.Opened(packet, 1, security.Role.COMMANDER), now)


def test_a_later_command_waits_for_the_answer_to_the_earlier() -> None:
    space = Space()
    space.ask(pus.Hold(0), 0.0)
    space.ask(pus.Resume(0), 0.1)
    (first,) = space.arrived()
    assert first.command == pus.Hold(0)
    assert first.request.sequence_count == 7
    space.uplink.handle_timer(RESEND)
    (again,) = space.arrived()
    assert again == first
    space.answer(first.request, 1.5)
    (second,) = space.arrived()
    assert second.command == pus.Resume(0)
    space.answer(first.request, 1.6)
    assert space.answers == [(True, "done")], "the second is not answered by a repeated answer"
    space.answer(second.request, 1.7)
    assert space.answers == [(True, "done")] * 2


def test_a_satellite_that_does_not_answer() -> None:
    space = Space()
    space.ask(pus.Hold(0), 0.0)
    space.ask(pus.Resume(0), 0.0)
    space.uplink.handle_timer(GIVE_UP)
    assert space.answers == [(False, "the satellite does not answer")]
    assert space.arrived()[-1].command == pus.Resume(0)


@pytest.mark.parametrize("command", [
    pus.Purge(300), pus.Hold(-1), pus.SetScheme("", "sealed", "none"),
    pus.ReportHousekeeping(70_000),
])
def test_a_command_that_cannot_be_encoded_leaves_nothing(command: pus.Command) -> None:
    space = Space()
    with pytest.raises(ValueError):
        space.ask(command, 0.0)
    assert space.uplink.next_timer() is None
    space.ask(pus.AreYouAlive(), 1.0)
    assert [one.command for one in space.arrived()] == [pus.AreYouAlive()]


def test_data_that_no_nak_could_name_is_refused() -> None:
    entity = Entity(GROUND, [Remote(SAT)], MemoryStore())
    body = FileData(0xFFFF_FFFF, b"xx")
    header = header_for(body, source=SAT, destination=GROUND, sequence=1)
    entity.receive(encode(header, body), 0.0)
    entity.receive(encode(header, Prompt(Response.NAK)), 0.0)
    entity.handle_timer(10.0)
    entity.pdus_to_send(10.0, 1 << 20)
    assert entity.drops == {Drop.BEYOND_FILE_SIZE: 1}


def test_one_remote_does_not_take_anothers_transactions() -> None:
    entity = Entity(GROUND, [Remote(SAT), Remote(5)], MemoryStore(), limits=Limits(
        max_transactions=2
    ))
    body = FileData(0, b"x")
    for sequence in range(3):
        header = header_for(body, source=SAT, destination=GROUND, sequence=sequence)
        entity.receive(encode(header, body), 0.0)
    header = header_for(body, source=5, destination=GROUND, sequence=1)
    entity.receive(encode(header, body), 0.0)
    assert entity.drops == {Drop.TOO_MANY_TRANSACTIONS: 1}
    assert len(entity.transactions()) == 3


def test_an_entity_that_receives_nothing() -> None:
    entity = Entity(SAT, [Remote(GROUND)], MemoryStore(), limits=Limits(max_transactions=0))
    body = FileData(0, b"x")
    entity.receive(encode(header_for(body, source=GROUND, destination=SAT), body), 0.0)
    assert entity.transactions() == []
    assert entity.drops == {Drop.TOO_MANY_TRANSACTIONS: 1}
