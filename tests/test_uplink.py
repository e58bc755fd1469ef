"""Telecommands from the ground: one at a time, repeated until answered, never out of order."""

import os

import pytest

from ground.uplink import GIVE_UP, RESEND, Uplink
from occulta.link import pus, security
from occulta.link.cfdp import Entity, Limits, Remote
from occulta.link.cfdp.constants import Response
from occulta.link.cfdp.pdu import FileData, Prompt, encode
from occulta.link.drops import Drop
from occulta.link.pus import Failure, RequestId, Stage, Success
from occulta.link.security.state import SenderState, decode
from occulta.link.space_packet import Apids, PacketType
from occulta.program import channel as channels
from tests.cfdp_pdus import header_for
from tests.cfdp_world import GROUND, SAT, MemoryStore

KEYS = [security.LinkKey(n, security.Role.COMMANDER, bytes([n]) * 32) for n in (1, 2, 3)]
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

    def __init__(self, keys: list[security.LinkKey] = KEYS) -> None:
        self.wire = Wire()
        up = security.Direction.UP
        sender = security.Sender(
            security.initialise_sender(keys, up, 1), up, clock=1.0, random=os.urandom
        )
        down = security.Direction.DOWN
        receiver = security.Receiver(security.initialise_receiver(keys, down), down, 0)
        self.states: dict[str, bytes] = {}
        channel = channels.Channel(
            self.wire,  # type: ignore[arg-type]
            channels.Remote("satellite", SAT, 1024),
            Entity(GROUND, [Remote(SAT)], MemoryStore()), PacketType.TC, APIDS,
            sender=sender, receiver=receiver, save=self.states.__setitem__, first_count=7,
        )
        self.uplink = Uplink("satellite", channel, APIDS)
        self.receiver = security.Receiver(security.initialise_receiver(keys, up), up, 100)
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
        self.report(Success(Stage.COMPLETION, request), now)

    def refuse(self, request: RequestId, code: int, now: float) -> None:
        self.report(Failure(Stage.COMPLETION, request, code, "no"), now)

    def report(self, report: pus.Report, now: float) -> None:
        packet = pus.encode_telemetry(report, apid=APIDS.telemetry, sequence_count=0, time=0.0)
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


@pytest.mark.parametrize("role", [security.Role.HOLDER, security.Role.STATION])
def test_a_command_that_nobody_would_answer_is_refused_at_once(role: security.Role) -> None:
    space = Space([security.LinkKey(1, role, bytes(32)), *KEYS[1:]])
    with pytest.raises(ValueError, match=f"may not command satellite: its link key is a {role}'s"):
        space.ask(pus.Hold(0), 0.0)
    assert (space.wire.packets, space.uplink.next_timer(), space.answers) == ([], None, [])


# --- link keys


def test_the_ground_follows_a_key_once_it_was_selected() -> None:
    space = Space()
    space.ask(pus.SelectLinkKey(GROUND, 2), 0.0)
    (first,) = space.arrived()
    assert space.uplink.channel.selected_key == 1, "it may not have arrived"
    space.report(Success(Stage.ACCEPTANCE, first.request), 0.1)
    assert space.uplink.channel.selected_key == 1
    space.answer(first.request, 0.2)
    assert space.answers == [(True, "done")]
    assert space.uplink.channel.selected_key == 2
    assert decode(space.states["sender"], SenderState, security.Direction.UP).selected == 2


def test_a_retired_key_is_erased_here_too() -> None:
    space = Space()
    space.ask(pus.RetireLinkKey(GROUND, 3), 0.0)
    (first,) = space.arrived()
    assert 3 in space.uplink.channel.roles
    space.answer(first.request, 0.1)
    assert space.answers == [(True, "done")]
    assert list(space.uplink.channel.roles) == [1, 2]
    for state in space.states.values():
        assert not any(KEYS[2].chain(way).key in state for way in security.Direction)


@pytest.mark.parametrize("command", [pus.SelectLinkKey(9, 2), pus.RetireLinkKey(9, 2)])
def test_keys_of_another_destination_are_not_this_nodes(command: pus.Command) -> None:
    space = Space()
    space.ask(command, 0.0)
    (first,) = space.arrived()
    space.answer(first.request, 0.1)
    assert space.answers == [(True, "done")]
    assert space.uplink.channel.selected_key == 1
    assert list(space.uplink.channel.roles) == [1, 2, 3]


@pytest.mark.parametrize(("command", "code", "left"), [
    (pus.SelectLinkKey(GROUND, 2), Drop.UNKNOWN_KEY, [1, 2, 3]),
    (pus.RetireLinkKey(GROUND, 2), Drop.PUS_FIELD, [1, 2, 3]),
    (pus.RetireLinkKey(GROUND, 2), Drop.UNKNOWN_KEY, [1, 3]),
])
def test_what_is_refused_on_board(command: pus.Command, code: Drop, left: list[int]) -> None:
    """A key that the satellite no longer has was retired before, and the answer was lost."""
    space = Space()
    space.ask(command, 0.0)
    (first,) = space.arrived()
    space.refuse(first.request, code, 0.1)
    assert space.answers == [(False, f"refused, {code}: no")]
    assert space.uplink.channel.selected_key == 1
    assert list(space.uplink.channel.roles) == left


@pytest.mark.parametrize(("command", "why"), [
    (pus.SelectLinkKey(GROUND, 7), "key id 7 is not one of the keys"),
    (pus.RetireLinkKey(GROUND, 7), "key id 7 is not one of the keys"),
    (pus.RetireLinkKey(GROUND, 1), "key id 1 is in use"),
])
def test_what_this_node_cannot_do(command: pus.Command, why: str) -> None:
    space = Space()
    space.ask(command, 0.0)
    (first,) = space.arrived()
    space.answer(first.request, 0.1)
    assert space.answers == [(True, f"done on board, but not here: {why}")]


# --- no answer, and nonsense


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
