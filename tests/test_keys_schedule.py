"""Keys that move on by schedule: whatever is lost, repeated or crashes, both ends stay together.

A machine of Hypothesis plays a satellite and a ground station with the channels of the programs and
disks that survive them. Packets are lost, reordered and repeated; each end dies before or after any
of its saves, and starts from what it saved last.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from occulta.link import security
from occulta.link.cfdp import Entity, Remote
from occulta.link.drops import Drop
from occulta.link.security import Direction, LinkKey, Role
from occulta.link.security.state import ReceiverState, SenderState, decode
from occulta.link.space_packet import Apids, PacketType, SpacePacket
from occulta.program import channel as channels
from occulta.program.channel import REKEY_INTERVAL
from tests.cfdp_world import GROUND, SAT, MemoryStore
from tests.security_support import randomness

KEYS = tuple(LinkKey(n, Role.COMMANDER, bytes([n]) * 32) for n in (1, 2, 3))
IDS = st.sampled_from([1, 2])
SPARE = 3
APIDS = Apids()
DOWN, UP = Direction.DOWN, Direction.UP
LIFETIME = 100
"""Generations that no machine goes beyond."""
CHAINS = {
    (key.key_id, way): [key.chain(way).ratcheted(n).key for n in range(LIFETIME)]
    for key in KEYS for way in Direction
}


class Crash(Exception):
    """The program dies at a save."""


class End:
    """One program and its disk. It dies at the save that `dies_at` counts down to."""

    def __init__(self, own: PacketType, margin: int = 0) -> None:
        self.own, self.sending = own, DOWN if own is PacketType.TM else UP
        self.margin, self.random = margin, randomness()
        self.disk = {
            "sender": security.initialise_sender(KEYS, self.sending, 1),
            "receiver": security.initialise_receiver(KEYS, Direction(1 - self.sending)),
        }
        self.packets: list[bytes] = []
        self.dies_at: int | None = None
        self.dies_late = False
        self.start()

    def start(self) -> None:
        self.dies_at = None
        local, remote = (SAT, GROUND) if self.own is PacketType.TM else (GROUND, SAT)
        self.channel = channels.Channel(
            self,  # type: ignore[arg-type]
            channels.Remote("peer", remote, 1024),
            Entity(local, [Remote(remote)], MemoryStore()), self.own, APIDS,
            sender=security.Sender(
                self.disk["sender"], self.sending, clock=1.0, random=self.random),
            receiver=security.Receiver(
                self.disk["receiver"], Direction(1 - self.sending), self.margin),
            save=self.save,
        )

    def save(self, kind: str, state: bytes) -> None:
        dies = self.dies_at == 0
        if self.dies_at is not None:
            self.dies_at -= 1
        if not dies or self.dies_late:
            self.disk[kind] = state
        if dies:
            raise Crash

    def connected(self) -> set[str]:
        return {"peer"}

    def send(self, peer: str, packet: bytes) -> bool:
        self.packets.append(packet)
        return True

    # What a program does; it starts again where it dies.

    def say(self) -> bytes | None:
        plain = SpacePacket(self.own, APIDS.telemetry, self.channel.next_count(APIDS.telemetry),
                            b"something").encode()
        return self.packets[-1] if self.live(lambda: self.channel.send(plain)) else None

    def hear(self, packet: bytes) -> bool:
        return self.live(lambda: self.channel.deliver(packet, 0.0, "peer")) is not None

    def live(self, act):
        try:
            return act()
        except Crash:
            self.start()
            return None

    # What it has saved.

    def sent(self, key_id: int) -> int:
        chains = decode(self.disk["sender"], SenderState, self.sending).chains
        return next(chain.generation for chain in chains if chain.key_id == key_id)

    def heard(self, key_id: int) -> int:
        found = decode(self.disk["receiver"], ReceiverState, Direction(1 - self.sending)).keys
        return next(p.chain.generation for p in found if p.chain.key_id == key_id)


class Link(RuleBasedStateMachine):
    """A satellite that leads, and a ground station that follows."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.satellite, self.ground = End(PacketType.TM), End(PacketType.TC)

    @rule()
    def begin_contact(self) -> None:
        self.satellite.channel.begin_contact()
        self.rekey()

    @rule(hours=st.sampled_from([0.5, 1.0, 20.0]))
    def wait(self, hours: float) -> None:
        self.now += hours * REKEY_INTERVAL
        self.rekey()

    @rule()
    def rekey(self) -> None:
        self.satellite.live(lambda: self.satellite.channel.rekey(self.now))

    @rule(key_id=IDS)
    def select(self, key_id: int) -> None:
        """By command; the ground follows when it hears of it."""
        self.satellite.live(lambda: self.satellite.channel.select_key(key_id))

    @rule()
    def follow_selection(self) -> None:
        key_id = self.satellite.channel.selected_key
        self.ground.live(lambda: self.ground.channel.select_key(key_id))

    @rule(is_up=st.booleans())
    def send_and_lose(self, is_up: bool) -> None:
        (self.ground if is_up else self.satellite).say()

    @rule(data=st.data(), is_up=st.booleans())
    def deliver_any(self, data, is_up: bool) -> None:
        sender, end = self.ways(is_up)
        if sender.packets:
            end.hear(data.draw(st.sampled_from(sender.packets[-8:])
                               | st.sampled_from(sender.packets)))

    @rule(is_ground=st.booleans(), saves=st.integers(0, 2), late=st.booleans())
    def let_die(self, is_ground: bool, saves: int, late: bool) -> None:
        """At one of its next saves."""
        end = self.ground if is_ground else self.satellite
        end.dies_at, end.dies_late = saves, late

    @rule(is_ground=st.booleans())
    def restart(self, is_ground: bool) -> None:
        end = self.ground if is_ground else self.satellite
        end.live(end.start)

    @rule(is_up=st.booleans())
    def converse(self, is_up: bool) -> None:
        """Whatever was before: what is sent now is understood."""
        sender, end = self.ways(is_up)
        sender.dies_at = end.dies_at = None
        packet = sender.say()
        assert packet is not None and end.hear(packet), end.channel.drops

    @rule()
    def go_on(self) -> None:
        """With both ends there and no loss the keys move on."""
        self.converse(False)
        self.follow_selection()
        self.converse(True)
        key_id = self.satellite.channel.selected_key
        before = self.satellite.sent(key_id)
        self.satellite.channel.begin_contact()
        self.satellite.live(lambda: self.satellite.channel.rekey(self.now))
        self.converse(False)
        self.converse(True)
        found = (end.sent(key_id) for end in (self.satellite, self.ground))
        assert {*found, self.satellite.heard(key_id), self.ground.heard(key_id)} == {before + 1}

    def ways(self, is_up: bool) -> tuple[End, End]:
        return (self.ground, self.satellite) if is_up else (self.satellite, self.ground)

    @invariant()
    def together(self) -> None:
        """From who leads to who hears the answer: no more than one generation in between."""
        for key_id in (1, 2):
            lags = [self.satellite.sent(key_id), self.ground.heard(key_id),
                    self.ground.sent(key_id), self.satellite.heard(key_id)]
            assert all(a >= b for a, b in pairwise(lags)) and lags[0] - lags[-1] <= 1, lags

    @invariant()
    def forgotten(self) -> None:
        """No state holds the key of a generation before its own."""
        for key_id in (1, 2):
            for end in (self.satellite, self.ground):
                gone = CHAINS[key_id, end.sending][:end.sent(key_id)]
                assert not any(key in end.disk["sender"] for key in gone)
                gone = CHAINS[key_id, Direction(1 - end.sending)][:end.heard(key_id)]
                assert not any(key in end.disk["receiver"] for key in gone)

    @invariant()
    def spares_stay(self) -> None:
        for end in (self.satellite, self.ground):
            assert end.sent(SPARE) == end.heard(SPARE) == 0


TestLink = Link.TestCase
TestLink.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, derandomize=True
)


# --- when


def turn(satellite: End, ground: End) -> None:
    """A packet each way, understood."""
    for sender, end in ((satellite, ground), (ground, satellite)):
        packet = sender.say()
        assert packet is not None and end.hear(packet), end.channel.drops


def test_once_in_a_contact_and_once_an_hour() -> None:
    satellite, ground = End(PacketType.TM), End(PacketType.TC)
    leader = satellite.channel
    moved = []
    for now in (0.0, 1.0, REKEY_INTERVAL - 1, REKEY_INTERVAL, REKEY_INTERVAL + 1):
        moved.append(leader.rekey(now))
        turn(satellite, ground)
    assert moved == [True, False, False, True, False]
    leader.begin_contact()
    assert leader.rekey(REKEY_INTERVAL + 1)
    assert [end.sent(1) for end in (satellite, ground)] == [3, 2]


def test_nothing_moves_until_the_other_end_has_followed() -> None:
    satellite, ground = End(PacketType.TM), End(PacketType.TC)
    leader = satellite.channel
    assert leader.rekey(0.0)
    for contact in range(20):
        leader.begin_contact()
        assert not leader.rekey(contact * REKEY_INTERVAL)
        packet = satellite.say()
    assert packet is not None and ground.hear(packet)
    assert (ground.heard(1), ground.sent(1)) == (1, 1)
    assert not leader.rekey(1e6), "what was heard is not yet answered"
    answer = ground.say()
    assert answer is not None and satellite.hear(answer)
    assert leader.rekey(1e6)
    assert satellite.sent(1) == 2


def test_a_ground_that_sends_under_another_key_is_waited_for() -> None:
    satellite, ground = End(PacketType.TM), End(PacketType.TC)
    satellite.channel.select_key(2)
    assert satellite.channel.rekey(0.0)
    turn(satellite, ground)
    assert not satellite.channel.rekey(REKEY_INTERVAL), "it was heard under key 1"
    ground.channel.select_key(2)
    turn(satellite, ground)
    assert satellite.channel.rekey(REKEY_INTERVAL)
    assert [satellite.sent(key.key_id) for key in KEYS] == [0, 2, 0]


# --- keys that are retired


@pytest.mark.parametrize("saves", [0, 1])
@pytest.mark.parametrize("late", [False, True])
def test_a_key_that_is_retired_through_a_crash(saves: int, late: bool) -> None:
    satellite, ground = End(PacketType.TM), End(PacketType.TC)
    ground.channel.select_key(2)
    packet = ground.say()
    assert packet is not None
    satellite.dies_at, satellite.dies_late = saves, late
    satellite.live(lambda: satellite.channel.retire_key(2))
    if saves or late:
        assert not satellite.hear(packet)
        assert satellite.channel.drops == {Drop.UNKNOWN_KEY: 1}
    if not (saves and late):
        satellite.channel.retire_key(2)
    satellite.start()
    assert not satellite.hear(packet)
    assert satellite.channel.drops == {Drop.UNKNOWN_KEY: 1}
    assert satellite.channel.roles == {1: Role.COMMANDER, 3: Role.COMMANDER}
    for way in Direction:
        assert not any(CHAINS[2, way][0] in state for state in satellite.disk.values())
    with pytest.raises(ValueError, match="key id 2 is not one of the keys"):
        satellite.channel.select_key(2)
    with pytest.raises(ValueError, match="key id 2 is not one of the keys"):
        satellite.channel.retire_key(2)


def test_the_key_in_use_is_not_retired() -> None:
    satellite = End(PacketType.TM)
    before = dict(satellite.disk)
    with pytest.raises(ValueError, match="key id 1 is in use"):
        satellite.channel.retire_key(1)
    assert satellite.disk == before
