"""Untrusted bytes to protocol data units (CCSDS 727.0-B-5, clause 5).

Everything here raises PacketError and nothing else.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Callable
from enum import IntEnum
from typing import TypeVar

from occulta.link.cfdp.constants import (
    VERSION,
    Condition,
    Delivery,
    Direction,
    Directive,
    FileStatus,
    Mode,
    Response,
    TlvType,
    TransactionStatus,
)
from occulta.link.cfdp.pdu import (
    CRC_SIZE,
    Ack,
    Body,
    Eof,
    FileData,
    Finished,
    Header,
    KeepAlive,
    Metadata,
    Nak,
    Prompt,
    Tlv,
)
from occulta.link.drops import Drop, PacketError

MAX_ID = 8
"""Octets of an entity id (5.1.2)."""
Code = TypeVar("Code", bound=IntEnum)


def decode(pdu: bytes) -> tuple[Header, Body]:
    """Header and body of one PDU, which the bytes hold exactly.

    Raises PacketError: PDU_TRUNCATED, PDU_VERSION, PDU_LENGTH, PDU_CRC, PDU_DIRECTIVE, PDU_FIELD
    or PDU_DIRECTION.
    """
    header, is_data, metadata_flag = decode_header(pdu)
    reader = _Reader(pdu, header)
    if is_data:
        if header.direction is not Direction.TO_RECEIVER:
            raise PacketError(Drop.PDU_DIRECTION, "file data in the wrong direction")
        return header, _file_data(reader, metadata_flag)
    directive = reader.code(Directive, reader.byte(), Drop.PDU_DIRECTIVE)
    direction, read = _DIRECTIVES[directive]
    if direction is not None and header.direction is not direction:
        raise PacketError(Drop.PDU_DIRECTION, f"{directive.name} in the wrong direction")
    return header, read(reader)


def decode_header(pdu: bytes) -> tuple[Header, bool, bool]:
    """Header, whether the PDU is file data, and whether it has segment metadata."""
    if len(pdu) < 4:
        raise PacketError(Drop.PDU_TRUNCATED, f"{len(pdu)} octets")
    flags, widths = pdu[0], pdu[3]
    if flags >> 5 != VERSION:
        raise PacketError(Drop.PDU_VERSION, f"version {flags >> 5}")
    entity, sequence = (widths >> 4 & 7) + 1, (widths & 7) + 1
    size = 4 + 2 * entity + sequence
    if len(pdu) < size:
        raise PacketError(Drop.PDU_TRUNCATED, f"{len(pdu)} octets of a header of {size}")
    _check_length(pdu, size)
    header = Header(
        int.from_bytes(pdu[4 : 4 + entity], "big"),
        int.from_bytes(pdu[4 + entity : size - entity], "big"),
        int.from_bytes(pdu[size - entity : size], "big"),
        Direction(flags >> 3 & 1), Mode(flags >> 2 & 1), bool(flags & 1), bool(flags & 2),
        entity, sequence,
    )
    return header, bool(flags & 16), bool(widths & 8)


def _check_length(pdu: bytes, size: int) -> None:
    length = int.from_bytes(pdu[1:3], "big")
    if length != len(pdu) - size:
        raise PacketError(Drop.PDU_LENGTH, f"{len(pdu) - size} octets of data, {length} declared")
    if pdu[0] & 2 and (length < CRC_SIZE or crc_hqx(pdu, 0xFFFF)):
        raise PacketError(Drop.PDU_CRC, "the checksum does not match")


class _Reader:
    """Reads the data field of a PDU."""

    def __init__(self, pdu: bytes, header: Header) -> None:
        self.pdu = pdu
        self.header = header
        self.pos = header.size
        self.end = len(pdu) - CRC_SIZE * header.crc

    def take(self, size: int) -> bytes:
        """The next octets."""
        if size > self.end - self.pos:
            raise PacketError(Drop.PDU_TRUNCATED, "the data field ends early")
        self.pos += size
        return self.pdu[self.pos - size : self.pos]

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def fss(self) -> int:
        """A file-size-sensitive field (5.1.10)."""
        return self.number(8 if self.header.large else 4)

    def name(self) -> str:
        """A file name in an LV parameter."""
        try:
            return self.take(self.byte()).decode()
        except UnicodeDecodeError:
            raise PacketError(Drop.PDU_FIELD, "a file name that is not UTF-8") from None

    def tlvs(self) -> list[Tlv]:
        """All that is left, as TLV parameters."""
        found = []
        while self.pos < self.end:
            kind = self.byte()
            found.append(Tlv(kind, self.take(self.byte())))
        return found

    def close(self) -> None:
        """Nothing may be left."""
        if self.pos < self.end:
            raise PacketError(Drop.PDU_LENGTH, "octets behind the last field")

    @staticmethod
    def code(kind: type[Code], value: int, drop: Drop = Drop.PDU_FIELD) -> Code:
        try:
            return kind(value)
        except ValueError:
            raise PacketError(drop, f"{kind.__name__} {value}") from None


def _file_data(reader: _Reader, has_metadata: bool) -> FileData:
    if has_metadata:
        reader.take(reader.byte() & 0x3F)  # record continuation state and segment metadata
    offset = reader.fss()
    return FileData(offset, reader.take(reader.end - reader.pos))


def _metadata(reader: _Reader) -> Metadata:
    flags = reader.byte()
    checksum = flags & 15  # one that is not supported is the machine's to refuse (4.2.2.8)
    size = reader.fss()
    names = reader.name(), reader.name()
    return Metadata(size or None, *names, checksum, bool(flags & 64), tuple(reader.tlvs()))


def _fault_entity(tlvs: list[Tlv]) -> int | None:
    for kind, value in tlvs:
        if kind == TlvType.ENTITY_ID:
            if not 1 <= len(value) <= MAX_ID:
                raise PacketError(Drop.PDU_FIELD, f"an entity id of {len(value)} octets")
            return int.from_bytes(value, "big")
    return None


def _eof(reader: _Reader) -> Eof:
    condition = reader.code(Condition, reader.byte() >> 4)
    checksum, size = reader.number(4), reader.fss()
    return Eof(condition, checksum, size, _fault_entity(reader.tlvs()))


def _finished(reader: _Reader) -> Finished:
    flags = reader.byte()
    condition = reader.code(Condition, flags >> 4)
    tlvs = reader.tlvs()
    responses = tuple(value for kind, value in tlvs if kind == TlvType.FILESTORE_RESPONSE)
    codes = Delivery(flags >> 2 & 1), FileStatus(flags & 3)
    return Finished(condition, *codes, responses, _fault_entity(tlvs))


def _ack(reader: _Reader) -> Ack:
    directive = reader.code(Directive, reader.byte() >> 4)
    flags = reader.byte()
    reader.close()
    wanted = {Directive.EOF: Direction.TO_SENDER, Directive.FINISHED: Direction.TO_RECEIVER}
    if directive not in wanted:
        raise PacketError(Drop.PDU_FIELD, f"an ACK of {directive.name}")
    if reader.header.direction is not wanted[directive]:
        raise PacketError(Drop.PDU_DIRECTION, f"ACK of {directive.name} in the wrong direction")
    return Ack(directive, reader.code(Condition, flags >> 4), TransactionStatus(flags & 3))


def _nak(reader: _Reader) -> Nak:
    start, end = reader.fss(), reader.fss()
    requests = []
    while reader.pos < reader.end:
        requests.append((reader.fss(), reader.fss()))
    if start > end or any(a > b for a, b in requests):
        raise PacketError(Drop.PDU_FIELD, "a range that ends before it starts")
    return Nak(start, end, tuple(requests))


def _prompt(reader: _Reader) -> Prompt:
    prompt = Prompt(Response(reader.byte() >> 7))
    reader.close()
    return prompt


def _keep_alive(reader: _Reader) -> KeepAlive:
    keep_alive = KeepAlive(reader.fss())
    reader.close()
    return keep_alive


_DIRECTIVES: dict[Directive, tuple[Direction | None, Callable[[_Reader], Body]]] = {
    Directive.EOF: (Direction.TO_RECEIVER, _eof),
    Directive.FINISHED: (Direction.TO_SENDER, _finished),
    Directive.ACK: (None, _ack),
    Directive.METADATA: (Direction.TO_RECEIVER, _metadata),
    Directive.NAK: (Direction.TO_SENDER, _nak),
    Directive.PROMPT: (Direction.TO_RECEIVER, _prompt),
    Directive.KEEP_ALIVE: (Direction.TO_SENDER, _keep_alive),
}
