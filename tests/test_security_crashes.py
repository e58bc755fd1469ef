"""Whatever crashes, and whenever: no (key, IV) pair twice, no packet delivered twice.

A machine of Hypothesis plays programs that save early, late or never, end between any two steps,
lose their disks and come back with a clock that repeats, while everything ever sent is replayed.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from occulta.link.drops import Drop, PacketError
from occulta.link.security import (
    Direction,
    Receiver,
    Sender,
    StateNotSaved,
    initialise_receiver,
    initialise_sender,
)
from tests.security_support import (
    COMMANDER,
    KEYS,
    STATION,
    epoch_number,
    randomness,
    save,
    space_packet,
    spi,
)

CLOCKS = st.sampled_from([1, 2, 2, 9])
MARGINS = st.sampled_from([0, 1, 3, 40])
COUNTERS = 4
"""Packets in one epoch: few, so that epochs roll."""


class Programs(RuleBasedStateMachine):
    """Two programs and their disks. `fetched` is a state on its way to the disk."""

    def __init__(self) -> None:
        super().__init__()
        self.random = randomness()
        self.sent: list[bytes] = []
        self.pairs: set[bytes] = set()
        self.epochs: dict[bytes, bytes] = {}
        self.delivered: set[bytes] = set()
        self.lost = False
        self.maybe_seen: set[bytes] = set()
        self.margin = 0
        self.sender_disk = initialise_sender(KEYS, Direction.UP, STATION.key_id)
        self.receiver_disk = initialise_receiver(KEYS, Direction.UP)
        self.start_sender(1)
        self.start_receiver(0)

    def start_sender(self, clock: int) -> None:
        self.sender_fetched: bytes | None = None
        self.sender = Sender(
            self.sender_disk, Direction.UP, clock=clock, random=self.random, counters=COUNTERS
        )

    def start_receiver(self, margin: int) -> None:
        self.receiver_fetched: bytes | None = None
        # What a margin reserved in an epoch is refused after a start, though it was never seen.
        if self.margin:
            self.maybe_seen |= {packet[8:17] for packet in self.sent}
        self.margin = margin
        self.receiver = Receiver(self.receiver_disk, Direction.UP, margin)

    def transmit(self) -> bytes:
        """Raises StateNotSaved. Every plain packet differs."""
        packet = self.sender.protect(space_packet(len(self.sent).to_bytes(4, "big")))
        # One SPI and epoch id is one traffic key, unless 16 generations have gone by in between:
        # so this asks for more than is needed.
        pair = packet[6:20]
        assert pair not in self.pairs
        self.pairs.add(pair)
        # While the disk lasts, the number alone parts epochs, whatever the randomness.
        assert self.epochs.setdefault(packet[8:12], packet[12:17]) == packet[12:17]
        self.sent.append(packet)
        return packet

    def take(self, plain: bytes) -> None:
        assert plain not in self.delivered
        self.delivered.add(plain)

    # --- the sender's program

    @rule(count=st.integers(1, 6))
    def send(self, count: int) -> None:
        for _ in range(count):
            try:
                self.transmit()
            except StateNotSaved:
                assert self.sender.needs_save

    @rule()
    def fetch_sender_state(self) -> None:
        self.sender_fetched = self.sender.state()

    @precondition(lambda self: self.sender_fetched is not None)
    @rule(confirm=st.booleans())
    def store_sender_state(self, confirm: bool) -> None:
        self.sender_disk = self.sender_fetched
        if confirm:
            self.sender.saved(self.sender_fetched)

    @rule(clock=CLOCKS)
    def crash_sender(self, clock: int) -> None:
        self.start_sender(clock)

    @rule(clock=CLOCKS)
    def lose_sender_disk(self, clock: int) -> None:
        self.lost = True
        self.epochs.clear()
        self.sender_disk = initialise_sender(KEYS, Direction.UP, STATION.key_id)
        self.start_sender(clock)

    @rule()
    def ratchet(self) -> None:
        self.sender.ratchet()

    @rule(key=st.sampled_from([STATION, COMMANDER]))
    def select(self, key) -> None:
        self.sender.select(key.key_id)

    # --- the receiver's program, and whoever records and repeats

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), saves=st.booleans())
    def deliver(self, data, saves: bool) -> None:
        packet = data.draw(st.sampled_from(self.sent[-12:]) | st.sampled_from(self.sent))
        try:
            found = self.open_saving(packet) if saves else self.receiver.open(packet)
        except (PacketError, StateNotSaved):
            return
        self.take(found.packet)

    @rule()
    def replay_everything(self) -> None:
        for packet in self.sent:
            try:
                self.take(self.receiver.open(packet).packet)
            except (PacketError, StateNotSaved):
                continue

    def open_saving(self, packet: bytes):
        try:
            return self.receiver.open(packet)
        except StateNotSaved:
            self.receiver_disk = save(self.receiver)
            self.receiver_fetched = None
            return self.receiver.open(packet)

    @rule()
    def fetch_receiver_state(self) -> None:
        self.receiver_fetched = self.receiver.state()

    @precondition(lambda self: self.receiver_fetched is not None)
    @rule(confirm=st.booleans())
    def store_receiver_state(self, confirm: bool) -> None:
        self.receiver_disk = self.receiver_fetched
        if confirm:
            self.receiver.saved(self.receiver_fetched)

    @rule(margin=MARGINS)
    def crash_receiver(self, margin: int) -> None:
        self.start_receiver(margin)

    @rule(margin=MARGINS)
    def lose_receiver_disk(self, margin: int) -> None:
        self.lost = True
        newest = max(map(epoch_number, self.sent), default=0)
        self.receiver_disk = initialise_receiver(KEYS, Direction.UP, newer_than=newest)
        self.start_receiver(margin)

    # --- both, in good order

    @rule()
    def converse(self) -> None:
        """Safety by delivering nothing is no safety: what is fresh arrives."""
        self.sender_disk, self.sender_fetched = save(self.sender), None
        packet = self.transmit()
        try:
            self.take(self.open_saving(packet).packet)
        except PacketError as error:
            reserved = packet[8:17] in self.maybe_seen and error.drop is Drop.REPLAYED
            assert reserved or self.lost or self.is_far_ahead(packet)

    def is_far_ahead(self, packet: bytes) -> bool:
        """Whether the sender is at a generation that the receiver cannot follow to."""
        heard = self.receiver._associations[spi(packet) >> 4].progress.chain
        return self.sender._wanted.chain.generation - heard.generation > 7


TestPrograms = Programs.TestCase
TestPrograms.settings = settings(
    max_examples=300, stateful_step_count=40, deadline=None, derandomize=True
)
