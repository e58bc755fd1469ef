"""Telecommands on board: carried out once, and nobody cuts off their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from occulta.link import pus, security
from occulta.link.cfdp import Entity, Remote
from occulta.link.drops import Drop, PacketError
from occulta.link.pus import Failure, RequestId, Stage, Success
from occulta.link.security import Direction, LinkKey, Opened, Role
from occulta.link.space_packet import Apids, PacketType
from occulta.program import channel as channels
from onboard.commands import REMEMBERED, Commands
from onboard.downlink import Downlink
from onboard.telemetry import EventId, Reporter, onboard_values
from tests import spool_support
from tests.cfdp_world import SAT, MemoryStore
from tests.intake_support import GROUND, Onboard
from tests.security_support import opened

OTHER, HOLDER = 9, 11
APIDS = Apids()
KEYS = {
    GROUND: [LinkKey(1, Role.COMMANDER, bytes([1]) * 32), LinkKey(2, Role.COMMANDER, bytes(32)),
             LinkKey(3, Role.STATION, bytes([3]) * 32)],
    OTHER: [LinkKey(4, Role.STATION, bytes([4]) * 32), LinkKey(5, Role.STATION, bytes([5]) * 32)],
    HOLDER: [LinkKey(6, Role.HOLDER, bytes([6]) * 32)],
}


class Wire:
    """An endpoint's place: everything goes, and is opened as the ground does."""

    def __init__(self, keys: list[LinkKey]) -> None:
        self.packets: list[bytes] = []
        first = security.initialise_receiver(keys, Direction.DOWN)
        self.receiver = security.Receiver(first, Direction.DOWN, 1 << 20)

    def connected(self) -> set[str]:
        return {"peer"}

    def send(self, peer: str, packet: bytes) -> bool:
        self.packets.append(packet)
        return True

    def take(self) -> list[pus.Report]:
        return [pus.decode_telemetry(opened(self.receiver, self.packets.pop(0)).packet).report
                for _ in range(len(self.packets))]


class Satellite(Onboard):
    """The daemon as far as telecommands reach, and the answers that go out to each destination."""

    def open(self) -> None:
        super().open()
        entity = Entity(SAT, list(map(Remote, KEYS)), MemoryStore())
        self.downlink = Downlink(self.spool, entity, lambda *told: None)
        self.reporter = Reporter(APIDS.telemetry, lambda: 1000.0)
        self.wires = {number: Wire(keys) for number, keys in KEYS.items()}
        self.channels = {number: self.channel(number, entity) for number in KEYS}
        self.commands = Commands(
            self.spool, self.downlink, self.workshop, self.reporter, self.channels, APIDS,
            lambda number: {2: pus.link_drops({})}[number],
        )

    def channel(self, number: int, entity: Entity) -> channels.Channel:
        down, up = Direction.DOWN, Direction.UP
        keys = KEYS[number]
        channel = channels.Channel(
            self.wires[number],  # type: ignore[arg-type]
            channels.Remote("peer", number, 1024), entity, PacketType.TM, APIDS,
            sender=security.Sender(security.initialise_sender(keys, down, keys[0].key_id), down,
                                   clock=1.0, random=os.urandom),
            receiver=security.Receiver(security.initialise_receiver(keys, up), up, 0),
            save=lambda kind, state: None,
        )
        self.downlink.add(channel, "always", 0.0)
        self.reporter.add(channel)
        return channel

    def do(self, command: pus.Command, count: int = 0, source: int = GROUND, key: int = 1,
           **more: object) -> list[pus.Report]:
        packet = pus.encode_telecommand(
            command, apid=APIDS.commands, sequence_count=count, **more)  # type: ignore[arg-type]
        self.commands.receive(source, Opened(packet, key, Role.COMMANDER), 0.0)
        return self.answers(source)

    def answers(self, source: int) -> list[pus.Report]:
        self.reporter.flush([source])
        found = self.wires[source].take()
        return [report for report in found if not isinstance(report, pus.Event)]

    def products(self) -> int:
        return self.spool.counts().products


def done(count: int = 0) -> list[pus.Report]:
    request = RequestId(APIDS.commands, count)
    return [Success(Stage.ACCEPTANCE, request), Success(Stage.COMPLETION, request)]


def refusal(code: int, detail: str, count: int = 0) -> list[pus.Report]:
    request = RequestId(APIDS.commands, count)
    return [Success(Stage.ACCEPTANCE, request), Failure(Stage.COMPLETION, request, code, detail)]


@pytest.fixture
def satellite(tmp_path: Path):
    with Satellite(tmp_path) as satellite:
        yield satellite


# --- once


def test_a_repeated_command_is_answered_again_and_done_once(satellite: Satellite) -> None:
    spool_support.store(satellite.spool, 1)
    assert satellite.do(pus.Purge(0), 5) == done(5)
    assert satellite.products() == 0
    spool_support.store(satellite.spool, 2)
    assert satellite.do(pus.Purge(0), 5) == done(5)
    assert satellite.products() == 1, "a frame that came after the purge"
    assert satellite.commands.done == 1
    assert satellite.do(pus.Purge(0), 6) == done(6)
    assert satellite.products() == 0


def test_it_is_done_again_after_a_restart(satellite: Satellite) -> None:
    assert satellite.do(pus.Purge(0), 5) == done(5)
    spool_support.store(satellite.spool, 2)
    satellite.restart()
    assert satellite.do(pus.Purge(0), 5) == done(5)
    assert satellite.products() == 0


def test_a_copy_that_comes_behind_later_commands_does_nothing(satellite: Satellite) -> None:
    for count in range(REMEMBERED):
        satellite.do(pus.Purge(0) if count == 0 else pus.Hold(0), count)
    spool_support.store(satellite.spool, 1)
    assert satellite.do(pus.Purge(0), 0) == done(0)
    assert satellite.products() == 1
    satellite.do(pus.Hold(0), REMEMBERED)
    satellite.do(pus.Purge(0), 0)
    assert satellite.products() == 0, "no more than so many are remembered"


def test_another_command_with_the_same_count_is_another(satellite: Satellite) -> None:
    spool_support.store(satellite.spool, 1)
    satellite.do(pus.Hold(0), 5)
    assert satellite.do(pus.Purge(0), 5) == done(5)
    assert satellite.products() == 0


def test_each_source_has_commands_of_its_own(satellite: Satellite) -> None:
    satellite.do(pus.Purge(0), 5)
    spool_support.store(satellite.spool, 1)
    assert satellite.do(pus.Purge(0), 5, source=OTHER) == done(5)
    assert satellite.products() == 0


@pytest.mark.parametrize("command", [pus.AreYouAlive(), pus.ReportHousekeeping(2)])
def test_what_is_asked_for_is_answered_again(satellite: Satellite, command) -> None:
    first = satellite.do(command, 3)
    accepted, report, completed = first
    assert [accepted, completed] == done(3)
    assert isinstance(report, pus.Alive | pus.Housekeeping)
    assert satellite.do(command, 3) == first


def test_a_refusal_is_repeated_and_counted_once(satellite: Satellite) -> None:
    expected = refusal(Drop.PUS_FIELD, "no such structure", 3)
    assert satellite.do(pus.ReportHousekeeping(7), 3) == expected
    assert satellite.do(pus.ReportHousekeeping(7), 3) == expected
    assert (satellite.commands.refused, satellite.commands.done) == (1, 0)


def test_only_what_was_wanted_is_answered(satellite: Satellite) -> None:
    for _ in range(2):
        found = satellite.do(pus.Hold(0), acknowledge=pus.Ack.COMPLETION)
        assert found == done()[1:]


def test_a_station_is_not_answered_even_if_it_repeats(satellite: Satellite) -> None:
    satellite.do(pus.Purge(0), 5)
    packet = pus.encode_telecommand(pus.Purge(0), apid=APIDS.commands, sequence_count=5)
    with pytest.raises(PacketError) as caught:
        satellite.commands.receive(GROUND, Opened(packet, 3, Role.STATION), 0.0)
    assert caught.value.drop is Drop.ROLE_NOT_ALLOWED
    assert satellite.answers(GROUND) == []


# --- link keys


def test_a_key_is_selected_and_the_former_one_retired(satellite: Satellite) -> None:
    channel = satellite.channels[GROUND]
    assert satellite.do(pus.SelectLinkKey(GROUND, 2), 0) == done(0)
    assert channel.selected_key == 2
    assert satellite.do(pus.RetireLinkKey(GROUND, 1), 1, key=2) == done(1)
    assert channel.roles == {2: Role.COMMANDER, 3: Role.STATION}
    assert satellite.do(pus.RetireLinkKey(GROUND, 1), 1, key=2) == done(1), "a repeated one"
    assert satellite.do(pus.RetireLinkKey(GROUND, 1), 2, key=2) == refusal(
        Drop.UNKNOWN_KEY, "key id 1 is not one of the keys", 2)
    assert satellite.do(pus.SelectLinkKey(GROUND, 1), 3, key=2) == refusal(
        Drop.UNKNOWN_KEY, "key id 1 is not one of the keys", 3)


@pytest.mark.parametrize(("destination", "key_id", "under", "code", "detail"), [
    (GROUND, 1, 2, Drop.PUS_FIELD, "the key is in use"),
    (GROUND, 2, 2, Drop.PUS_FIELD, "the key is in use"),
    (OTHER, 4, 1, Drop.PUS_FIELD, "the key is in use"),
    (GROUND, 7, 1, Drop.UNKNOWN_KEY, "key id 7 is not one of the keys"),
    (OTHER, 1, 1, Drop.UNKNOWN_KEY, "key id 1 is not one of the keys"),
    (77, 1, 1, Drop.PUS_FIELD, "no such destination"),
])
def test_what_is_not_retired(
    satellite: Satellite, destination: int, key_id: int, under: int, code: Drop, detail: str
) -> None:
    """The key by which the command came is in use too: the node may not have followed."""
    before = {n: dict(c.roles) for n, c in satellite.channels.items()}
    command = pus.RetireLinkKey(destination, key_id)
    assert satellite.do(command, key=under) == refusal(code, detail)
    assert {n: dict(c.roles) for n, c in satellite.channels.items()} == before


def test_the_last_commanders_key_stays(satellite: Satellite) -> None:
    """Even where another station's command would end it."""
    assert satellite.do(pus.RetireLinkKey(GROUND, 2), 0) == done(0)
    satellite.channels[GROUND].select_key(3)
    command = pus.RetireLinkKey(GROUND, 1)
    assert satellite.do(command, 1, source=OTHER, key=4) == refusal(
        Drop.PUS_FIELD, "no commander's key would be left", 1)
    assert satellite.do(pus.RetireLinkKey(OTHER, 5), 2) == done(2)
    assert satellite.channels[OTHER].roles == {4: Role.STATION}


def test_a_commander_does_not_select_a_stations_key_for_itself(satellite: Satellite) -> None:
    assert satellite.do(pus.SelectLinkKey(GROUND, 3), 0) == refusal(
        Drop.PUS_FIELD, "no commander's key", 0)
    assert satellite.do(pus.SelectLinkKey(OTHER, 5), 1) == done(1)
    assert [c.selected_key for c in satellite.channels.values()] == [1, 5, 6]


@pytest.mark.parametrize(("what", "event", "text"), [
    ("product_delivered", EventId.PRODUCT_DELIVERED, "product {} delivered to peer"),
    ("transfer_failed", EventId.TRANSFER_FAILED, "product {} did not reach peer, and goes again"),
    ("product_unreadable", EventId.PRODUCT_UNREADABLE, "product {} for peer cannot be read"),
])
def test_events_name_the_destination(
    satellite: Satellite, what: str, event: EventId, text: str
) -> None:
    """To whom it concerns and to whom may command, but to no other destination."""
    satellite.reporter.announce(what, bytes(16), OTHER)
    satellite.reporter.flush([GROUND, OTHER, HOLDER])
    for number in (GROUND, OTHER):
        (found,) = satellite.wires[number].take()
        assert isinstance(found, pus.Event)
        assert (found.definition_id, found.parameter) == (event, OTHER)
        assert found.text == text.format("00" * 16)
    assert satellite.wires[HOLDER].take() == []


def test_a_holder_learns_nothing_of_what_others_get(satellite: Satellite) -> None:
    reporter = satellite.reporter
    reporter.event(EventId.SPOOL_NOTICE, "product 00 is damaged")
    reporter.event(EventId.CONTACT_BEGUN, "contact with another", OTHER, about=OTHER)
    reporter.announce("product_delivered", bytes(16), GROUND)
    reporter.announce("product_delivered", bytes(16), HOLDER)
    satellite.do(pus.Purge(0))
    reporter.flush([GROUND, OTHER, HOLDER])
    for report in (onboard_values({"spool_bytes": 1}), pus.link_drops({})):
        reporter.housekeeping(report, [GROUND, OTHER, HOLDER])
    told = {number: satellite.wires[number].take() for number in (GROUND, OTHER, HOLDER)}
    ids = {
        number: [getattr(report, "definition_id", getattr(report, "structure_id", None))
                 for report in reports if not isinstance(report, Success)]
        for number, reports in told.items()
    }
    assert ids == {
        GROUND: [1, 2],  # its events went with the answer
        OTHER: [EventId.SPOOL_NOTICE, EventId.CONTACT_BEGUN, EventId.PURGED, 1, 2],
        HOLDER: [EventId.PRODUCT_DELIVERED, 2],
    }
    (delivered, _) = told[HOLDER]
    assert isinstance(delivered, pus.Event) and delivered.parameter == HOLDER


def test_a_refusal_is_an_event_with_the_name_of_the_command(satellite: Satellite) -> None:
    satellite.do(pus.Cancel(bytes(16)))
    satellite.reporter.flush([OTHER])
    (found,) = satellite.wires[OTHER].take()
    assert isinstance(found, pus.Event)
    assert (found.definition_id, found.parameter) == (EventId.COMMAND_REFUSED, Drop.PUS_FIELD)
    assert found.text == "cancel from peer refused: no such product"
