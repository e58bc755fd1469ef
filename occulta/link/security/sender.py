"""The sending end: one per remote entity."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from occulta.link.security import wire
from occulta.link.security.keys import Direction
from occulta.link.security.state import Offer, SenderState, StateNotSaved, decode
from occulta.link.security.wire import COUNTERS, MAX_NUMBER, NUMBER_SIZE, RANDOM_SIZE


class Sender:
    """Protects packets to one remote entity, under one selected key out of those preloaded.

    No (key, IV) pair is used twice. An epoch number is used only once a state that covers it has
    been saved; a state covers the number in use and the next one, so that an epoch whose counters
    run out is followed by another without a pause. Whenever `needs_save` is true:

        state = sender.state()
        ...                     # store it durably: temporary file, fsync, rename, fsync the folder
        sender.saved(state)

    A start, `ratchet`, `follow`, `select` and `retire` need that before the next packet. Two
    senders must never live from one state.
    """

    def __init__(
        self, state: bytes | None, direction: Direction, *, clock: float,
        random: Callable[[int], bytes], counters: int = COUNTERS,
    ) -> None:
        """Start a new epoch, numbered after the state's and no lower than the clock.

        `clock` is in seconds since 1970, 0 <= clock < 2**32; it may have been set back. `random`
        gives as many unpredictable octets as asked for. `counters` (1..2**24) is the number of
        packets in one epoch. Raises StateUnusable, or ValueError for misuse or once all epoch
        numbers are used.
        """
        if not 0 <= clock <= MAX_NUMBER:
            raise ValueError(f"a clock of {clock} s gives no epoch number")
        if not 1 <= counters <= COUNTERS:
            raise ValueError(f"an epoch has 1 to {COUNTERS} packets, not {counters}")
        self._direction = direction
        self._random = random
        self._counters = counters
        self._durable = decode(state, SenderState, direction)
        self._wanted = self._durable
        self._offer = Offer[SenderState]()
        self._begin_epoch(max(self._durable.number + 1, int(clock)))

    @property
    def needs_save(self) -> bool:
        """True if there is a state to save."""
        return self._wanted != self._durable

    @property
    def selected(self) -> int:
        """Id of the key in use."""
        return self._wanted.selected

    @property
    def key_ids(self) -> list[int]:
        """Ids of the preloaded keys."""
        return self._wanted.key_ids

    def generation(self, key_id: int) -> int | None:
        """The generation that a key has reached; None for a key that is not here."""
        reached = (c.generation for c in self._wanted.chains if c.key_id == key_id)
        return next(reached, None)

    def state(self) -> bytes:
        """The octets to store; they hold secret keys, and replace what was stored before."""
        return self._offer.make(self._wanted)

    def saved(self, state: bytes) -> None:
        """Confirm that what `state()` returned last is durable; raises ValueError for others."""
        self._durable = self._offer.confirm(state)
        self._set_ready()

    def protect(self, packet: bytes) -> bytes:
        """The protected form, 30 octets longer, of a whole space packet of 7..65512 octets.

        Raises StateNotSaved, and ValueError for what is no such packet or once all epoch numbers
        are used; neither uses up a counter.
        """
        if self._counter == self._counters:
            self._begin_epoch(self._number + 1)
        if not self._ready:
            raise StateNotSaved("save the sender's state before the next packet")
        protected = wire.protect(packet, self._key, self._spi, self._epoch, self._counter)
        self._counter += 1
        return protected

    def ratchet(self) -> None:
        """Move the selected key to its next generation and forget the one before.

        A receiver follows 7 generations at most beyond the last it heard.
        """
        chain = self._wanted.chain
        self.follow(chain.key_id, chain.generation + 1)

    def follow(self, key_id: int, generation: int) -> None:
        """Move a key on to a generation, and forget those before.

        Nothing changes for a key that is there already, and for one that is not here.
        """
        reached = self.generation(key_id)
        if reached is None or reached >= generation:
            return
        chains = tuple(
            c.ratcheted(generation - c.generation) if c.key_id == key_id else c
            for c in self._wanted.chains
        )
        self._want(replace(self._wanted, chains=chains))

    def select(self, key_id: int) -> None:
        """Protect under another of the preloaded keys; raises ValueError if it is none."""
        if key_id not in self._wanted.key_ids:
            raise ValueError(f"key id {key_id} is not one of the keys")
        self._want(replace(self._wanted, selected=key_id))

    def retire(self, key_id: int) -> None:
        """Erase a preloaded key; raises ValueError for the one in use, and if it is none."""
        if key_id not in self._wanted.key_ids:
            raise ValueError(f"key id {key_id} is not one of the keys")
        if key_id == self.selected:
            raise ValueError(f"key id {key_id} is in use")
        chains = tuple(c for c in self._wanted.chains if c.key_id != key_id)
        self._want(replace(self._wanted, chains=chains))

    def _begin_epoch(self, number: int) -> None:
        if number > MAX_NUMBER:
            raise ValueError("all epoch numbers are used: new link keys are needed")
        random = self._random(RANDOM_SIZE)
        if len(random) != RANDOM_SIZE:
            raise ValueError(f"{len(random)} random octets instead of {RANDOM_SIZE}")
        self._number, self._counter = number, 0
        self._epoch = number.to_bytes(NUMBER_SIZE, "big") + random
        self._want(replace(self._wanted, number=min(number + 1, MAX_NUMBER)))

    def _want(self, state: SenderState) -> None:
        self._wanted = state
        self._spi = state.chain.spi
        self._key = state.chain.traffic_key(self._direction, self._epoch)
        self._set_ready()

    def _set_ready(self) -> None:
        durable, wanted = self._durable, self._wanted
        same_keys = (durable.selected, durable.chains) == (wanted.selected, wanted.chains)
        self._ready = same_keys and durable.number >= self._number
