"""Space packets (CCSDS 133.0-B-2): primary header, application process ids, sequence counts.

    version 3 bits, 0 | type 1 | secondary header flag 1 | APID 11 |
    sequence flags 2, unsegmented | sequence count 14 | octets of data less one, 16 | data

Big-endian. Packets are never segmented: what is longer than a packet goes by file delivery.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, unique
from typing import NamedTuple

from occulta.link.drops import Drop, PacketError

HEADER_SIZE = 6
MAX_DATA = 1 << 16
"""Octets of the longest packet data field (4.1.4.1.3); the shortest has one."""
IDLE_APID = 0x7FF
SEQUENCE_BITS = 14
UNSEGMENTED = 0b11

_HEADER = struct.Struct(">HHH")


@unique
class PacketType(IntEnum):
    """Which way a packet goes (4.1.3.3.2)."""

    TM = 0
    TC = 1


class PacketHeader(NamedTuple):
    """What a primary header says: APID 0..2047, sequence count 0..16383."""

    packet_type: PacketType
    apid: int
    sequence_count: int
    secondary_header: bool


def header(
    packet_type: PacketType, apid: int, sequence_count: int, size: int, *,
    secondary_header: bool = False,
) -> bytes:
    """The primary header of a packet with `size` octets of data, 1..65536; raises ValueError."""
    if not 0 <= apid <= IDLE_APID:
        raise ValueError(f"APID {apid} is not one of 0..{IDLE_APID}")
    if sequence_count >> SEQUENCE_BITS:
        raise ValueError(f"sequence count {sequence_count} is not one of 0..16383")
    if not 0 < size <= MAX_DATA:
        raise ValueError(f"{size} octets of data: a packet has 1 to {MAX_DATA}")
    first = packet_type << 12 | secondary_header << 11 | apid
    return _HEADER.pack(first, UNSEGMENTED << SEQUENCE_BITS | sequence_count, size - 1)


def read_header(packet: bytes) -> PacketHeader:
    """Check that the buffer is exactly one packet; its data starts at `HEADER_SIZE`.

    Raises PacketError: PACKET_TRUNCATED, PACKET_VERSION, PACKET_LENGTH, PACKET_SEGMENTED.
    """
    if len(packet) <= HEADER_SIZE:
        raise PacketError(Drop.PACKET_TRUNCATED, f"{len(packet)} octets are no packet")
    first, sequence, length = _HEADER.unpack_from(packet)
    if first >> 13:
        raise PacketError(Drop.PACKET_VERSION, f"packet version {first >> 13}")
    if length + 1 != len(packet) - HEADER_SIZE:
        raise PacketError(
            Drop.PACKET_LENGTH, f"{length + 1} octets of data declared, {len(packet) - HEADER_SIZE}"
            " received",
        )
    if sequence >> SEQUENCE_BITS != UNSEGMENTED:
        raise PacketError(Drop.PACKET_SEGMENTED, "a segment of a longer packet")
    return PacketHeader(
        PacketType(first >> 12 & 1), first & IDLE_APID, sequence & (1 << SEQUENCE_BITS) - 1,
        bool(first >> 11 & 1),
    )


@dataclass(frozen=True, slots=True)
class SpacePacket:
    """One packet: APID 0..2047 (2047 is idle), sequence count 0..16383, 1 to 65536 octets of data.

    With `secondary_header`, the data starts with one.
    """

    packet_type: PacketType
    apid: int
    sequence_count: int
    data: bytes
    secondary_header: bool = False

    def encode(self) -> bytes:
        """The octets of the packet; raises ValueError for a field out of range."""
        return header(
            self.packet_type, self.apid, self.sequence_count, len(self.data),
            secondary_header=self.secondary_header,
        ) + self.data

    @classmethod
    def decode(cls, packet: bytes) -> SpacePacket:
        """The one packet in the buffer; raises PacketError as `read_header` does."""
        read = read_header(packet)
        return cls(
            read.packet_type, read.apid, read.sequence_count, packet[HEADER_SIZE:],
            read.secondary_header,
        )


class SequenceCounter:
    """The count of one APID's packets (4.1.3.4.3): 14 bits, wrapping.

    `value` is what the next packet gets: save it, and start the next counter with it. With
    `bits` = 16 it is a message type counter of ECSS-E-ST-70-41C. Raises ValueError.
    """

    def __init__(self, value: int = 0, *, bits: int = SEQUENCE_BITS) -> None:
        if value >> bits:
            raise ValueError(f"{value} is no count of {bits} bits")
        self.value = value
        self._mask = (1 << bits) - 1

    def next(self) -> int:
        """The count for one packet."""
        count = self.value
        self.value = count + 1 & self._mask
        return count


@dataclass(frozen=True, slots=True)
class Apids:
    """Application process ids, 0..2046 and distinct: file delivery, telemetry, telecommands.

    Raises ValueError.
    """

    files: int = 100
    telemetry: int = 101
    commands: int = 102

    def __post_init__(self) -> None:
        apids = (self.files, self.telemetry, self.commands)
        if not all(0 <= apid < IDLE_APID for apid in apids):
            raise ValueError(f"APIDs {apids} are not all of 0..{IDLE_APID - 1}")
        if len(set(apids)) < len(apids):
            raise ValueError(f"APIDs {apids} are not distinct")
