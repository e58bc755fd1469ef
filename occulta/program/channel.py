"""One remote at the other end of a link: CFDP, packets, protection and the endpoint, wired up.

Both programs drive it the same way; which of them it runs in shows only in the packet type and
the direction of its keys.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from occulta.link import security
from occulta.link.cfdp import Entity
from occulta.link.drops import Drop, DropCounts, PacketError
from occulta.link.endpoint import Endpoint
from occulta.link.space_packet import (
    HEADER_SIZE,
    Apids,
    PacketType,
    SequenceCounter,
    header,
    read_header,
)

OVERHEAD = HEADER_SIZE + security.OVERHEAD
"""Octets that a link packet has beside its PDU."""
_LONGEST_REPORT = 512
"""No PUS packet is longer; telemetry and telecommands go over every link, whatever its PDUs."""
_STEP = 32
"""Packets prepared at once."""
REKEY_INTERVAL = 3600.0
"""Seconds that a generation of keys is used at most, where the other end follows."""
_BURST = 0.02
"""Seconds of sending at full rate that may follow a pause."""
SaveState = Callable[[str, bytes], object]
"""Makes a state durable under a name; raises OccultaError if it cannot."""


def largest_packet(max_pdu: int) -> int:
    """Octets of the largest packet on a link with PDUs of up to `max_pdu` octets."""
    return max(max_pdu + OVERHEAD, _LONGEST_REPORT + security.OVERHEAD)


@dataclass(frozen=True, slots=True)
class Remote:
    """Who is at the other end: a peer of the endpoint, its CFDP entity, the largest PDU for it."""

    peer: str
    entity: int
    max_pdu: int
    rate: float | None = None
    """Bit/s of link packets at most."""


class Channel:
    """Packets to and from one remote. `own` is the type of packets sent from here."""

    def __init__(
        self, link: Endpoint, remote: Remote, entity: Entity, own: PacketType, apids: Apids, *,
        sender: security.Sender, receiver: security.Receiver, save: SaveState,
        first_count: int = 0,
    ) -> None:
        """Sequence counts begin at `first_count`, 0..16383."""
        self.link = link
        self.remote = remote
        self.peer = remote.peer
        """The endpoint's peer by which the remote was heard last."""
        self.drops: DropCounts = Counter()
        self.packets_sent = 0
        self.packets_received = 0
        self.heard: float | None = None
        """When a packet last verified."""
        self._entity = entity
        self._own = own
        self._apids = apids
        self._sender = sender
        self._receiver = receiver
        self._save = save
        self._counts = {
            apid: SequenceCounter(first_count)
            for apid in (apids.files, apids.telemetry, apids.commands)
        }
        self._waiting: deque[bytes] = deque()
        self._tokens = 0.0
        self._refilled = 0.0
        self._held_back = False
        """Whether there may be more to send than there was room for."""
        self._rekeyed: float | None = None
        """When the key last moved on; None while it is to."""
        self._save_sender()

    @property
    def own_entity(self) -> int:
        """The CFDP entity at this end."""
        return self._entity.entity

    @property
    def connected(self) -> bool:
        """True while the peer's endpoint is there."""
        return self.peer in self.link.connected()

    @property
    def blocked(self) -> bool:
        """True while packets wait for room in the link."""
        return bool(self._waiting)

    # Keys.

    @property
    def selected_key(self) -> int:
        """Id of the key in use."""
        return self._sender.selected

    def select_key(self, key_id: int) -> None:
        """Protect under another preloaded key; raises ValueError for one that is not there."""
        self._sender.select(key_id)
        self._save_sender()

    @property
    def roles(self) -> Mapping[int, security.Role]:
        """Ids of the keys under which packets are heard, and what their holders may do."""
        return self._receiver.roles

    def retire_key(self, key_id: int) -> None:
        """Erase a key of both directions, durably; raises ValueError for the one in use.

        ValueError too for one that is at neither end. One that is at one end alone is what a crash
        in here has left.
        """
        if key_id == self.selected_key:
            raise ValueError(f"key id {key_id} is in use")
        if key_id not in {*self.roles, *self._sender.key_ids}:
            raise ValueError(f"key id {key_id} is not one of the keys")
        if key_id in self.roles:  # what ends its rights comes first
            self._receiver.retire(key_id)
            self._save_receiver()
        if key_id in self._sender.key_ids:
            self._sender.retire(key_id)
            self._save_sender()

    def begin_contact(self) -> None:
        """The key is to move on, as soon as `rekey` may."""
        self._rekeyed = None

    def rekey(self, now: float) -> bool:
        """Move the key in use on to its next generation if it is time; True if it did.

        For the end that leads: after the start, when a contact begins, and whenever REKEY_INTERVAL
        has passed. The other end follows with what it sends, in `deliver`. Until packets of the
        same generation have come from there nothing moves, so that no end of either direction is
        ever more than one generation behind. Keys that are not in use stay where they are.
        """
        if self._rekeyed is not None and now - self._rekeyed < REKEY_INTERVAL:
            return False
        key_id = self.selected_key
        if self._receiver.generation(key_id) != self._sender.generation(key_id):
            return False
        # What cannot be saved would keep everything from being sent: first see whether it can be.
        self._save("sender", self._sender.state())
        self._sender.ratchet()
        self._save_sender()
        self._rekeyed = now
        return True

    def _follow(self, key_id: int) -> None:
        """Send under no earlier generation of a key than is heard."""
        generation = self._receiver.generation(key_id)
        if generation is not None:
            self._sender.follow(key_id, generation)
            self._save_sender()

    def _save_sender(self) -> None:
        if self._sender.needs_save:
            state = self._sender.state()
            self._save("sender", state)
            self._sender.saved(state)

    def _save_receiver(self) -> None:
        state = self._receiver.state()
        self._save("receiver", state)
        self._receiver.saved(state)

    # Sending.

    def next_count(self, apid: int) -> int:
        """The sequence count of the next packet with this APID."""
        return self._counts[apid].next()

    def send(self, packet: bytes) -> bool:
        """Protect and send a plain space packet; False if the link has no room: it is lost."""
        self._drain()
        if self._waiting or not self.connected:
            return False
        self._save_sender()
        self._waiting.append(self._protect(packet))
        self._drain()
        return True

    def transmit(self, now: float) -> int:
        """Send what CFDP has for the remote as far as link and rate go; return the packets."""
        before = self.packets_sent
        self._held_back = False
        while self.connected and self._drain():
            room = self._room(now)
            self._held_back = room <= 0
            if self._held_back:
                break
            self._save_sender()
            outgoing = self._entity.pdus_to_send(now, room, self.remote.entity)
            if not outgoing:
                break
            for _, pdu in outgoing:
                count = self.next_count(self._apids.files)
                head = header(self._own, self._apids.files, count, len(pdu))
                self._waiting.append(self._protect(head + pdu))
                self._tokens -= len(pdu) + OVERHEAD
        return self.packets_sent - before

    def next_time(self, now: float) -> float | None:
        """When the rate lets the next packet go; None where it holds nothing back."""
        if self.remote.rate is None or self._waiting or not self._held_back:
            return None
        missing = self._packet_size - self._tokens
        return now if missing <= 0 else self._refilled + 8 * missing / self.remote.rate

    @property
    def _packet_size(self) -> int:
        return self.remote.max_pdu + OVERHEAD

    def _room(self, now: float) -> int:
        """Octets of PDUs that may go now; 0 where not even one packet may."""
        if self.remote.rate is None:
            return _STEP * self.remote.max_pdu
        full = max(self.remote.rate / 8 * _BURST, 2.0 * self._packet_size)
        self._tokens += (now - self._refilled) * self.remote.rate / 8
        self._tokens, self._refilled = min(self._tokens, full), now
        return int(self._tokens // self._packet_size) * self.remote.max_pdu

    def _protect(self, packet: bytes) -> bytes:
        protected = self._sender.protect(packet)
        self._save_sender()
        return protected

    def _drain(self) -> bool:
        """Hand waiting packets to the link; False while it has no room."""
        while self._waiting:
            if not self.link.send(self.peer, self._waiting[0]):
                return False
            self._waiting.popleft()
            self.packets_sent += 1
        return True

    # Receiving.

    def deliver(self, protected: bytes, now: float, peer: str) -> security.Opened | None:
        """Take a packet from a peer: PDUs go to the entity, what else verified is returned.

        A packet that is of no use is counted under its reason in `drops`.
        """
        try:
            opened = self._open(protected)
            self._follow(opened.key_id)
            head = read_header(opened.packet)
            if head.packet_type is self._own:
                raise PacketError(Drop.PACKET_TYPE, "a packet of the other direction")
            self.peer = peer
            self.heard = now
            self.packets_received += 1
            if head.apid != self._apids.files:
                return opened
            pdu = opened.packet[HEADER_SIZE:]
            if _remote_entity(pdu) != self.remote.entity:
                raise PacketError(Drop.WRONG_ENTITY, "a PDU in another entity's name")
            self._entity.receive(pdu, now)
        except PacketError as error:
            self.drops[error.drop] += 1
        return None

    def _open(self, protected: bytes) -> security.Opened:
        try:
            opened = self._receiver.open(protected)
        except security.StateNotSaved:
            self._save_receiver()
            opened = self._receiver.open(protected)
        if self._receiver.needs_save:
            self._save_receiver()
        return opened


def _remote_entity(pdu: bytes) -> int | None:
    """The entity that a PDU says it comes from (CCSDS 727.0-B-5, 5.1); None if it is cut short."""
    if len(pdu) < 4:
        return None
    width, sequence = (pdu[3] >> 4 & 7) + 1, (pdu[3] & 7) + 1
    start = 4 + (width + sequence) * (pdu[0] >> 3 & 1)
    octets = pdu[start : start + width]
    return int.from_bytes(octets, "big") if len(octets) == width else None
