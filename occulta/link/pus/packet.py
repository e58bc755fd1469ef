"""What every PUS packet has in common (ECSS-E-ST-70-41C, 7.4): secondary headers and checksum.

    primary header 6 | secondary header, telemetry 13 or telecommand 5 | message |
    packet error control 2

The packet error control is the CRC-16 of annex B.1 (polynomial 0x1021, preset to ones) over all
octets before it.
"""

from __future__ import annotations

from binascii import crc_hqx
from dataclasses import dataclass
from enum import IntFlag
from typing import Any

from occulta.link.drops import Drop, PacketError
from occulta.link.pus.fields import Bits, CucTime, Fields, Record, Unsigned, unpack
from occulta.link.space_packet import (
    HEADER_SIZE,
    UNSEGMENTED,
    PacketHeader,
    PacketType,
    header,
    read_header,
)

PUS_VERSION = 2
CHECKSUM_SIZE = 2
TM_HEADER: Fields = (
    Unsigned("pus_version", 4, "", "2: PUS-C"),
    Unsigned("time_status", 4, "", "Spacecraft time reference status, 0 if not used"),
    Unsigned("service_type", 8, "", "Service type"),
    Unsigned("message_subtype", 8, "", "Message subtype within the service"),
    Unsigned("message_count", 16, "", "Message type counter, 0 if not used"),
    Unsigned("destination", 16, "", "Whom the report is for, 0 if it is for everyone"),
    CucTime("time", "When the report was made"),
)
"""Telemetry packet secondary header (7.4.3.1)."""
TC_HEADER: Fields = (
    Unsigned("pus_version", 4, "", "2: PUS-C"),
    Unsigned("acknowledge", 4, "", "Wanted: 1 acceptance, 2 start, 4 progress, 8 completion"),
    Unsigned("service_type", 8, "", "Service type"),
    Unsigned("message_subtype", 8, "", "Message subtype within the service"),
    Unsigned("source", 16, "", "Who sends the request"),
)
"""Telecommand packet secondary header (7.4.4.1)."""

_SECONDARY_SIZE = {PacketType.TM: 13, PacketType.TC: 5}
_TABLES = {PacketType.TM: TM_HEADER, PacketType.TC: TC_HEADER}


class Ack(IntFlag):
    """Which successes of a telecommand are to be reported; failures always are (7.4.4.1)."""

    NONE = 0
    ACCEPTANCE = 1
    START = 2
    PROGRESS = 4
    COMPLETION = 8
    ALL = 15


@dataclass(frozen=True, slots=True)
class RequestId:
    """Which telecommand a report is about: the first four octets of its packet (8.1.2.1)."""

    apid: int
    sequence_count: int
    version: int = 0
    packet_type: int = PacketType.TC
    secondary_header: int = 1
    sequence_flags: int = UNSEGMENTED

    @classmethod
    def of(cls, packet: bytes) -> RequestId:
        """The id of a telecommand, readable even where the rest is refused; raises PacketError."""
        read = read_header(packet)
        return cls(
            read.apid, read.sequence_count, packet_type=read.packet_type,
            secondary_header=int(read.secondary_header),
        )


REQUEST_ID = Record(
    "request",
    (
        Unsigned("version", 3, "", "Packet version of the telecommand"),
        Unsigned("packet_type", 1, "", "1: telecommand"),
        Unsigned("secondary_header", 1, "", "1: the telecommand has a secondary header"),
        Unsigned("apid", 11, "", "APID of the telecommand"),
        Unsigned("sequence_flags", 2, "", "3: unsegmented"),
        Unsigned("sequence_count", 14, "", "Sequence count of the telecommand"),
    ),
    RequestId,
)


def assemble(packet_type: PacketType, apid: int, sequence_count: int, field: bytes) -> bytes:
    """The packet around secondary header and message; raises ValueError."""
    size = len(field) + CHECKSUM_SIZE
    packet = header(packet_type, apid, sequence_count, size, secondary_header=True) + field
    return packet + crc_hqx(packet, 0xFFFF).to_bytes(CHECKSUM_SIZE, "big")


def dissect(packet: bytes, packet_type: PacketType) -> tuple[PacketHeader, dict[str, Any], Bits]:
    """Both headers of a packet of that type, and its message.

    Raises PacketError: what `read_header` does, PACKET_TYPE, PUS_TRUNCATED, PUS_CHECKSUM,
    PUS_VERSION, the last also where there is no secondary header.
    """
    primary = read_header(packet)
    if primary.packet_type is not packet_type:
        raise PacketError(Drop.PACKET_TYPE, f"{primary.packet_type.name}, not {packet_type.name}")
    if not primary.secondary_header:
        raise PacketError(Drop.PUS_VERSION, "no secondary header")
    if len(packet) < HEADER_SIZE + _SECONDARY_SIZE[packet_type] + CHECKSUM_SIZE:
        raise PacketError(Drop.PUS_TRUNCATED, f"{len(packet)} octets are too few")
    # The CRC over a message and its own CRC is zero.
    if crc_hqx(packet, 0xFFFF):
        raise PacketError(Drop.PUS_CHECKSUM, "the packet error control disagrees")
    bits = Bits(packet[HEADER_SIZE:-CHECKSUM_SIZE])
    secondary = unpack(_TABLES[packet_type], bits)
    if secondary["pus_version"] != PUS_VERSION:
        raise PacketError(Drop.PUS_VERSION, f"PUS version {secondary['pus_version']}")
    return primary, secondary, bits
