"""The receiving end of one direction, and what its roles may do."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace

from occulta.link.drops import Drop, PacketError
from occulta.link.security.keys import GENERATIONS_ON_WIRE, Chain, Direction, Role
from occulta.link.security.state import Offer, Progress, ReceiverState, StateNotSaved, decode
from occulta.link.security.window import ReplayWindow
from occulta.link.security.wire import COUNTERS, NUMBER_SIZE, Protected

GENERATIONS_AHEAD = 7
"""Generations that a receiver follows at once; further ones look like erased ones."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A plain space packet that verified, and whose key protected it."""

    packet: bytes
    key_id: int
    role: Role


def authorise(opened: Opened, command_apids: Container[int]) -> None:
    """Refuse a telecommand that no commander sent: raises PacketError(ROLE_NOT_ALLOWED)."""
    apid = int.from_bytes(opened.packet[:2], "big") & 0x7FF
    if apid in command_apids and opened.role is not Role.COMMANDER:
        raise PacketError(Drop.ROLE_NOT_ALLOWED, f"key id {opened.key_id} is a {opened.role}'s")


class Receiver:
    """Opens packets, each at most once, whenever the program ends and starts again.

    A packet is delivered only while a saved state says that its counter may be used up; so a
    state reaches `margin` counters ahead, and a start from it takes all of them as seen. With
    margin 0 every packet is durable before it is delivered. The caller's loop:

        try:
            opened = receiver.open(packet)
        except StateNotSaved:           # genuine, but not covered yet, and not delivered
            save()
            opened = receiver.open(packet)
        if receiver.needs_save:         # asked for half a margin early
            save()

    where `save` stores `state()` durably (temporary file, fsync, rename, fsync the folder) and
    passes the same octets to `saved`. A stored state may never be replaced by an older one.
    """

    def __init__(self, state: bytes | None, direction: Direction, margin: int) -> None:
        """Go on from a saved state. `margin` 0..2**24-1; raises StateUnusable, ValueError."""
        if not 0 <= margin < COUNTERS:
            raise ValueError(f"a margin of {margin} packets is not one of 0..{COUNTERS - 1}")
        self._direction = direction
        self._offer = Offer[ReceiverState]()
        self._associations = {
            progress.chain.key_id: _Association(progress, direction, margin)
            for progress in decode(state, ReceiverState, direction).keys
        }
        self._stored_keys = len(self._associations)
        """How many keys the durable state has."""

    @property
    def needs_save(self) -> bool:
        """True if there is a state to save."""
        if len(self._associations) < self._stored_keys:
            return True
        return any(a.progress is not a.durable for a in self._associations.values())

    @property
    def roles(self) -> Mapping[int, Role]:
        """Key ids, and what their holders may do."""
        return {key_id: a.progress.role for key_id, a in self._associations.items()}

    def generation(self, key_id: int) -> int | None:
        """The generation that a key's packets have reached; None for a key that is not here."""
        association = self._associations.get(key_id)
        return None if association is None else association.progress.chain.generation

    def retire(self, key_id: int) -> None:
        """Erase a key: its packets are UNKNOWN_KEY from now on, for good once that is saved.

        Raises ValueError for a key that is not here, and for the only one.
        """
        if key_id not in self._associations:
            raise ValueError(f"key id {key_id} is not one of the keys")
        if len(self._associations) == 1:
            raise ValueError(f"key id {key_id} is the only key")
        del self._associations[key_id]

    def state(self) -> bytes:
        """The octets to store; they hold secret keys, and replace what was stored before."""
        keys = tuple(association.progress for association in self._associations.values())
        return self._offer.make(ReceiverState(self._direction, keys))

    def saved(self, state: bytes) -> None:
        """Confirm that what `state()` returned last is durable; raises ValueError for others."""
        durable = self._offer.confirm(state).keys
        self._stored_keys = len(durable)
        for progress in durable:
            association = self._associations.get(progress.chain.key_id)
            if association is not None:  # it may have been retired since the state was made
                association.durable = progress

    def open(self, packet: bytes) -> Opened:
        """Verify and decrypt one protected packet.

        Raises PacketError, after which everything is as it was before: PROTECTED_TRUNCATED,
        PACKET_LENGTH, UNKNOWN_KEY, KEY_ERASED (a generation behind, or more than 7 ahead),
        OLD_EPOCH, STALE, REPLAYED, MAC_MISMATCH. Raises StateNotSaved for a packet that verified:
        it opens once the state has been saved and confirmed.
        """
        protected = Protected.parse(packet)
        key_id = protected.spi // GENERATIONS_ON_WIRE
        association = self._associations.get(key_id)
        if association is None:
            raise PacketError(Drop.UNKNOWN_KEY, f"key id {key_id} is not known")
        plain = association.open(protected)
        return Opened(plain, key_id, association.progress.role)


class _Association:
    """One key id: how far its packets have come, and how far that is known to be saved."""

    def __init__(self, progress: Progress, direction: Direction, margin: int) -> None:
        self.progress = self.durable = progress
        self._direction = direction
        self._margin = margin
        self._window = ReplayWindow(progress.ceiling)
        self._key = progress.chain.traffic_key(direction, progress.epoch)

    def open(self, protected: Protected) -> bytes:
        # Whatever costs no derivation comes first, and nothing changes before the MAC verified.
        ahead = self._generations_ahead(protected)
        self._check_sequence(protected)
        if ahead == 0 and protected.epoch == self.progress.epoch:
            plain = protected.open(self._key)
        else:
            chain = self.progress.chain.ratcheted(ahead)
            key = chain.traffic_key(self._direction, protected.epoch)
            plain = protected.open(key)
            self._follow(chain, protected.epoch, key)
        self._cover(protected.counter)
        self._window.mark(protected.counter)
        return plain

    def _generations_ahead(self, protected: Protected) -> int:
        ahead = (protected.spi - self.progress.chain.spi) % GENERATIONS_ON_WIRE
        if ahead > GENERATIONS_AHEAD:
            raise PacketError(Drop.KEY_ERASED, "the packet's generation of keys is gone")
        return ahead

    def _check_sequence(self, protected: Protected) -> None:
        if protected.epoch == self.progress.epoch:
            self._window.check(protected.counter)
        elif protected.epoch[:NUMBER_SIZE] <= self.progress.epoch[:NUMBER_SIZE]:
            raise PacketError(Drop.OLD_EPOCH, "an epoch of that number or a later one is in use")

    def _follow(self, chain: Chain, epoch: bytes, key: bytes) -> None:
        """Move on to what a packet verified under. A ratchet alone goes on with the counters."""
        ceiling = self.progress.ceiling
        if epoch != self.progress.epoch:
            self._window = ReplayWindow(-1)
            ceiling = -1
        self.progress = Progress(self.progress.role, chain, epoch, ceiling)
        self._key = key

    def _cover(self, counter: int) -> None:
        """Raise the ceiling in time; raises StateNotSaved where the saved one is too low."""
        if min(counter + self._margin // 2, COUNTERS - 1) > self.progress.ceiling:
            ceiling = min(counter + self._margin, COUNTERS - 1)
            self.progress = replace(self.progress, ceiling=ceiling)
        durable, current = self.durable, self.progress
        same_keys = durable.chain.generation == current.chain.generation
        if not (same_keys and durable.epoch == current.epoch and counter <= durable.ceiling):
            raise StateNotSaved("save the receiver's state, then open this packet again")
