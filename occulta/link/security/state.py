"""What each end keeps: chain keys and how far packets have come, as octets for the caller to store.

    magic 4 | version 1 | SHA-256 of all that follows 32 | msgpack

It holds secret keys. A damaged or missing state is refused, never replaced by a fresh one: both
ends would then disagree about generations, and a receiver would take old packets for new.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

import msgspec

from occulta.link.security.keys import KEY_IDS, Chain, Direction, LinkKey, Role
from occulta.link.security.wire import COUNTERS, EPOCH_SIZE, MAX_NUMBER, NUMBER_SIZE, RANDOM_SIZE

_MAGIC = b"OcLS"
_VERSION = 1
_HEAD = len(_MAGIC) + 1
_BODY_AT = _HEAD + hashlib.sha256().digest_size
_MAX_STATE_SIZE = 1 << 20
"""Octets; 4096 keys need less than half."""


class StateNotSaved(ValueError):
    """What was asked for needs a state that is not durable yet: store it, confirm it, ask again."""


class StateUnusable(ValueError):
    """There is no state to go on from; --initialise makes a first one where there is none."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the link security state {why}: see --initialise in docs/security.md")


class SenderState(msgspec.Struct, frozen=True, tag="sender"):
    """A sender's: every epoch number up to `number` may have been used."""

    direction: Direction
    number: Annotated[int, msgspec.Meta(ge=0, le=MAX_NUMBER)]
    selected: int
    chains: Annotated[tuple[Chain, ...], msgspec.Meta(min_length=1, max_length=KEY_IDS)]

    @property
    def key_ids(self) -> list[int]:
        """Key ids, in order."""
        return [chain.key_id for chain in self.chains]

    @property
    def chain(self) -> Chain:
        """The selected key's chain."""
        return next(chain for chain in self.chains if chain.key_id == self.selected)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one key's packets have come: counters up to `ceiling` of `epoch` may be used up."""

    role: Role
    chain: Chain
    epoch: Annotated[bytes, msgspec.Meta(min_length=EPOCH_SIZE, max_length=EPOCH_SIZE)]
    ceiling: Annotated[int, msgspec.Meta(ge=0, lt=COUNTERS)]


class ReceiverState(msgspec.Struct, frozen=True, tag="receiver"):
    """A receiver's: one progress per key id."""

    direction: Direction
    keys: Annotated[tuple[Progress, ...], msgspec.Meta(min_length=1, max_length=KEY_IDS)]

    @property
    def key_ids(self) -> list[int]:
        """Key ids, in order."""
        return [progress.chain.key_id for progress in self.keys]


StateT = TypeVar("StateT", SenderState, ReceiverState)


def initialise_sender(keys: Sequence[LinkKey], direction: Direction, selected: int) -> bytes:
    """The first state of a sender that starts with the key id `selected`; raises ValueError.

    Where an earlier state was lost the receiver has to be initialised too, if any ratchet was
    made. The (key, IV) pairs stay unique through the 40 random bits of every epoch.
    """
    chains = tuple(key.chain(direction) for key in keys)
    state = SenderState(direction, 0, selected, chains)
    _check_ids(state)
    return encode(state)


def initialise_receiver(
    keys: Sequence[LinkKey], direction: Direction, newer_than: int = 0
) -> bytes:
    """The first state of a receiver; raises ValueError.

    Packets of epochs numbered up to `newer_than` are refused. Leave it 0 for keys that were never
    used; where an earlier state was lost, give at least the highest number the sender has used
    (it is no lower than the seconds of the sender's clock at its start), and start the sender anew.
    """
    if not 0 <= newer_than <= MAX_NUMBER:
        raise ValueError(f"epoch number {newer_than} is not one of 0..{MAX_NUMBER}")
    epoch = newer_than.to_bytes(NUMBER_SIZE, "big") + bytes(RANDOM_SIZE)
    state = ReceiverState(direction, tuple(
        Progress(key.role, key.chain(direction), epoch, COUNTERS - 1) for key in keys
    ))
    _check_ids(state)
    return encode(state)


def encode(state: SenderState | ReceiverState) -> bytes:
    """The octets to store."""
    body = msgspec.msgpack.encode(state)
    head = _MAGIC + bytes([_VERSION])
    return head + hashlib.sha256(body).digest() + body


def decode(data: bytes | None, kind: type[StateT], direction: Direction) -> StateT:
    """The state of a sender or receiver in that direction; raises StateUnusable."""
    body = _body(data)
    try:
        state = msgspec.msgpack.decode(body, type=kind)
        _check_ids(state)
    except (msgspec.MsgspecError, ValueError) as error:
        raise StateUnusable(f"is no {kind.__name__} ({error})") from None
    if state.direction is not direction:
        raise StateUnusable(f"belongs to the direction {state.direction.name}")
    return state


def _body(data: bytes | None) -> bytes:
    if data is None:
        raise StateUnusable("is missing")
    if not _BODY_AT < len(data) <= _MAX_STATE_SIZE:
        raise StateUnusable(f"is damaged ({len(data)} octets)")
    if data[: len(_MAGIC)] != _MAGIC:
        raise StateUnusable("is damaged (it does not start like one)")
    if data[len(_MAGIC)] != _VERSION:
        raise StateUnusable(f"has the unknown version {data[len(_MAGIC)]}")
    body = data[_BODY_AT:]
    if hashlib.sha256(body).digest() != data[_HEAD:_BODY_AT]:
        raise StateUnusable("is damaged (its checksum differs)")
    return body


def _check_ids(state: SenderState | ReceiverState) -> None:
    ids = state.key_ids
    if not 1 <= len(ids) == len(set(ids)):
        raise ValueError("give at least one key, and every key id once")
    if isinstance(state, SenderState) and state.selected not in ids:
        raise ValueError(f"key id {state.selected} is not one of the keys")


class Offer(Generic[StateT]):
    """The state last handed out to be stored: the only one that can be confirmed."""

    def __init__(self) -> None:
        self._offered: tuple[bytes, StateT] | None = None

    def make(self, state: StateT) -> bytes:
        """The octets to store."""
        data = encode(state)
        self._offered = data, state
        return data

    def confirm(self, data: bytes) -> StateT:
        """The state that is durable now; raises ValueError unless it was the last handed out."""
        if self._offered is None or self._offered[0] != data:
            raise ValueError("only the state handed out last can be confirmed as saved")
        return self._offered[1]
