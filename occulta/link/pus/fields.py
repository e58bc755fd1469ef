"""Fields of PUS messages: what the tables of telemetry and telecommands are made of.

A table is a tuple of fields in the order of their octets. Encoding, decoding and the XTCE
description are all read from it. Numbers are unsigned and big-endian (ECSS-E-ST-70-41C, 7.3.4);
a table as a whole fills octets, its fields need not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from occulta.link.drops import Drop, PacketError

TIME_SECONDS_BITS = 32
TIME_FRACTION_BITS = 16

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_T_co = TypeVar("_T_co", covariant=True)


class Bits:
    """Octets, taken bit by bit from the first on."""

    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        """The next bits as a number; raises PacketError (PUS_TRUNCATED)."""
        if count > self._left:
            raise PacketError(Drop.PUS_TRUNCATED, f"{self._left} bits left where {count} belong")
        self._left -= count
        return self._number >> self._left & (1 << count) - 1

    def take_octets(self, count: int) -> bytes:
        """The next octets; raises PacketError (PUS_TRUNCATED)."""
        return self.take(8 * count).to_bytes(count, "big")

    def finish(self) -> None:
        """Raise PacketError (PUS_FIELD) if anything is left."""
        if self._left:
            raise PacketError(Drop.PUS_FIELD, f"{self._left} bits behind the last field")


Packed = tuple[int, int]
"""A field's width in bits, and its bits as a number."""


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A number of `bits` bits, 0 to `maximum` or all that fit."""

    name: str
    bits: int
    unit: str
    description: str
    maximum: int | None = None

    def pack(self, value: Any) -> Packed:
        """The bits of a value; raises ValueError."""
        if not isinstance(value, int) or not 0 <= value <= self._limit:
            raise ValueError(f"{self.name} is not one of 0..{self._limit}: {value!r}")
        return self.bits, int(value)

    def unpack(self, bits: Bits) -> int:
        """The value of the next bits; raises PacketError (PUS_TRUNCATED, PUS_FIELD)."""
        value = bits.take(self.bits)
        if value > self._limit:
            raise PacketError(Drop.PUS_FIELD, f"{self.name} {value}, at most {self._limit}")
        return value

    @property
    def _limit(self) -> int:
        return (1 << self.bits) - 1 if self.maximum is None else self.maximum


@dataclass(frozen=True, slots=True)
class Octets:
    """Exactly `size` octets."""

    name: str
    size: int
    description: str

    def pack(self, value: Any) -> Packed:
        """The bits of a value; raises ValueError."""
        if not isinstance(value, bytes) or len(value) != self.size:
            raise ValueError(f"{self.name} is not {self.size} octets: {value!r}")
        return 8 * self.size, int.from_bytes(value, "big")

    def unpack(self, bits: Bits) -> bytes:
        """The value of the next bits; raises PacketError (PUS_TRUNCATED, PUS_FIELD)."""
        return bits.take_octets(self.size)


@dataclass(frozen=True, slots=True)
class Text:
    """A length of 8 bits and that many octets of UTF-8, `least` to `most`, no controls."""

    name: str
    most: int
    description: str
    least: int = 0

    def pack(self, value: Any) -> Packed:
        """The bits of a value; raises ValueError."""
        if not isinstance(value, str) or _CONTROL.search(value):
            raise ValueError(f"{self.name} is no line of text: {value!r}")
        data = value.encode()
        if not self.least <= len(data) <= self.most:
            raise ValueError(f"{self.name}: {len(data)} octets are not {self.least}..{self.most}")
        return 8 + 8 * len(data), len(data) << 8 * len(data) | int.from_bytes(data, "big")

    def unpack(self, bits: Bits) -> str:
        """The value of the next bits; raises PacketError (PUS_TRUNCATED, PUS_FIELD)."""
        size = bits.take(8)
        if not self.least <= size <= self.most:
            raise PacketError(Drop.PUS_FIELD, f"{self.name} of {size} octets")
        try:
            text = bits.take_octets(size).decode()
        except UnicodeDecodeError:
            raise PacketError(Drop.PUS_FIELD, f"{self.name} is not UTF-8") from None
        if _CONTROL.search(text):
            raise PacketError(Drop.PUS_FIELD, f"{self.name} holds control characters")
        return text


@dataclass(frozen=True, slots=True)
class CucTime:
    """CCSDS unsegmented time (301.0-B-4, 3.2): 4 octets of seconds, 2 of their fraction.

    Seconds since 1970-01-01T00:00:00 UTC without leap seconds, an agency-defined epoch; the
    P-field is implicit. Cut to 2^-16 s on the way out; the range ends in the year 2106.
    """

    name: str
    description: str

    def pack(self, value: Any) -> Packed:
        """The bits of a value; raises ValueError."""
        if not 0 <= value < 1 << TIME_SECONDS_BITS:
            raise ValueError(f"{self.name} {value!r} is not within 32 bits of seconds")
        return TIME_SECONDS_BITS + TIME_FRACTION_BITS, int(value * (1 << TIME_FRACTION_BITS))

    def unpack(self, bits: Bits) -> float:
        """The value of the next bits; raises PacketError (PUS_TRUNCATED, PUS_FIELD)."""
        ticks = bits.take(TIME_SECONDS_BITS + TIME_FRACTION_BITS)
        return ticks / (1 << TIME_FRACTION_BITS)


@dataclass(frozen=True, slots=True)
class Record:
    """A value that has fields of its own; `make` builds it from them by name."""

    name: str
    fields: tuple[Unsigned, ...]
    make: Callable[..., Any]

    def pack(self, value: Any) -> Packed:
        """The bits of a value; raises ValueError."""
        return _join(self.fields, attributes(self.fields, value))

    def unpack(self, bits: Bits) -> Any:
        """The value of the next bits; raises PacketError (PUS_TRUNCATED, PUS_FIELD)."""
        return self.make(**unpack(self.fields, bits))


Field = Unsigned | Octets | Text | CucTime | Record
Fields = tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Layout(Generic[_T_co]):
    """What a message type consists of; `make` builds the message from its fields by name."""

    service: int
    subtype: int
    name: str
    description: str
    fields: Fields
    make: Callable[..., _T_co]


def attributes(fields: Fields, source: object) -> dict[str, Any]:
    """The values of the fields, from the attributes of those names."""
    return {field.name: getattr(source, field.name) for field in fields}


def pack(fields: Fields, values: Mapping[str, Any]) -> bytes:
    """The octets of a table; raises ValueError for a value that does not fit its field."""
    width, number = _join(fields, values)
    return number.to_bytes(width // 8, "big")


def unpack(fields: Fields, bits: Bits) -> dict[str, Any]:
    """The values of a table; raises PacketError (PUS_TRUNCATED, PUS_FIELD)."""
    return {field.name: field.unpack(bits) for field in fields}


def _join(fields: Fields, values: Mapping[str, Any]) -> Packed:
    width = number = 0
    for field in fields:
        bits, part = field.pack(values[field.name])
        width, number = width + bits, number << bits | part
    return width, number
