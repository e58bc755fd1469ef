"""Link keys, who holds them, and the keys that grow from them (HKDF of RFC 5869 with SHA-256).

    chain key 0      HKDF(link key, info = "occulta link chain" | direction 1 | key id 2)
    chain key g + 1  HKDF(chain key g, info = "occulta link ratchet")
    traffic key      HKDF(chain key g, salt = epoch id 9,
                          info = "occulta link traffic" | direction 1 | SPI 2)

All are 32 octets, all numbers big-endian. The way back along a chain is closed: whoever captures
a chain key opens no recorded traffic of the generations before it. Octets that are replaced here
may stay in memory, and on a medium, until they are overwritten there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum, unique
from typing import Annotated

from Crypto.Hash import SHA256
from Crypto.Protocol.KDF import HKDF
from msgspec import Meta

KEY_SIZE = 32
KEY_IDS = 1 << 12
GENERATIONS_ON_WIRE = 1 << 4
"""Generations that the 4 bits in the SPI tell apart."""


@unique
class Role(StrEnum):
    """What the holder of a link key may do."""

    COMMANDER = "commander"
    """The only one whose telecommands are obeyed."""
    STATION = "station"
    """A ground station: file delivery."""
    HOLDER = "holder"
    """A holder of shares."""


@unique
class Direction(IntEnum):
    """Which way packets travel. The number is part of every derived key."""

    DOWN = 0
    """Satellite to ground."""
    UP = 1


@dataclass(frozen=True, slots=True)
class LinkKey:
    """A pre-shared key: id 0..4095, the role of who holds it, 32 octets.

    Every pair of sender and receiver has an id of its own. Raises ValueError.
    """

    key_id: int
    role: Role
    raw: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.key_id < KEY_IDS:
            raise ValueError(f"key id {self.key_id} is not one of 0..{KEY_IDS - 1}")
        if len(self.raw) != KEY_SIZE:
            raise ValueError(f"a link key has {KEY_SIZE} octets, not {len(self.raw)}")

    def chain(self, direction: Direction) -> Chain:
        """The first chain key of one direction."""
        place = bytes([direction]) + self.key_id.to_bytes(2, "big")
        return Chain(self.key_id, 0, _derive(self.raw, b"occulta link chain" + place))


@dataclass(frozen=True, slots=True)
class Chain:
    """The chain key of one key id and direction, at the generation it has reached."""

    key_id: Annotated[int, Meta(ge=0, lt=KEY_IDS)]
    generation: Annotated[int, Meta(ge=0)]
    key: Annotated[bytes, Meta(min_length=KEY_SIZE, max_length=KEY_SIZE)] = field(repr=False)

    @property
    def spi(self) -> int:
        """Security parameter index (355.0-B): key id 12 bits, generation modulo 16."""
        return self.key_id << 4 | self.generation % GENERATIONS_ON_WIRE

    def ratcheted(self, steps: int) -> Chain:
        """The chain, `steps` generations on."""
        key = self.key
        for _ in range(steps):
            key = _derive(key, b"occulta link ratchet")
        return Chain(self.key_id, self.generation + steps, key)

    def traffic_key(self, direction: Direction, epoch: bytes) -> bytes:
        """The AES-256 key for one epoch (id of 9 octets) in this generation."""
        place = bytes([direction]) + self.spi.to_bytes(2, "big")
        return _derive(self.key, b"occulta link traffic" + place, epoch)


def _derive(key: bytes, info: bytes, salt: bytes = b"") -> bytes:
    derived = HKDF(key, KEY_SIZE, salt, SHA256, context=info)
    return derived if isinstance(derived, bytes) else derived[0]
