"""Protocol data units as values, and their bytes (CCSDS 727.0-B-5, clause 5)."""

from __future__ import annotations

import struct
from binascii import crc_hqx
from dataclasses import dataclass
from typing import NamedTuple

from occulta.link.cfdp.constants import (
    VERSION,
    ChecksumType,
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

CRC_SIZE = 2
SMALL_FILE = 0xFFFF_FFFF
"""Largest size and offset without the large file flag."""
MAX_OFFSET = 0xFFFF_FFFF_FFFF_FFFF
"""The same with it."""
MAX_DATA_FIELD = 0xFFFF


class TransactionId(NamedTuple):
    """Source entity and sequence number: what identifies a transaction (727.0-B-5, 2.1)."""

    source: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Header:
    """What the fixed header says of a transaction (5.1), the widths in octets, 1 to 8."""

    source: int
    sequence: int
    destination: int
    direction: Direction
    mode: Mode
    large: bool = False
    crc: bool = False
    entity_width: int = 2
    sequence_width: int = 4

    @property
    def transaction(self) -> TransactionId:
        """The transaction the PDU belongs to."""
        return TransactionId(self.source, self.sequence)

    @property
    def size(self) -> int:
        """Octets of the fixed header."""
        return 4 + 2 * self.entity_width + self.sequence_width


class Tlv(NamedTuple):
    """A type-length-value parameter (5.4); at most 255 octets of value."""

    type: int
    value: bytes


def _fss(header: Header, value: int) -> bytes:
    """A file-size-sensitive field (5.1.10)."""
    return value.to_bytes(8 if header.large else 4, "big")


def _lv(value: bytes) -> bytes:
    return struct.pack(">B", len(value)) + value


def tlv(kind: int, value: bytes) -> bytes:
    """The bytes of a TLV parameter."""
    return struct.pack(">BB", kind, len(value)) + value


def _fault(header: Header, entity: int | None) -> bytes:
    if entity is None:
        return b""
    return tlv(TlvType.ENTITY_ID, entity.to_bytes(header.entity_width, "big"))


@dataclass(frozen=True, slots=True)
class Metadata:
    """Metadata PDU (5.2.5); `size` None for a file of unknown size, names "" for none."""

    size: int | None
    source_name: str
    destination_name: str
    checksum_type: int = ChecksumType.MODULAR
    closure: bool = False
    options: tuple[Tlv, ...] = ()

    def field(self, header: Header) -> bytes:
        """The data field, without CRC; raises struct.error or OverflowError."""
        return b"".join((
            struct.pack(">BB", Directive.METADATA, self.closure << 6 | self.checksum_type),
            _fss(header, self.size or 0),
            _lv(self.source_name.encode()),
            _lv(self.destination_name.encode()),
            *(tlv(option.type, option.value) for option in self.options),
        ))


@dataclass(frozen=True, slots=True)
class Eof:
    """EOF PDU (5.2.2)."""

    condition: Condition
    checksum: int
    size: int
    fault_entity: int | None = None

    def field(self, header: Header) -> bytes:
        """The data field, without CRC; raises struct.error or OverflowError."""
        start = struct.pack(">BBI", Directive.EOF, self.condition << 4, self.checksum)
        return start + _fss(header, self.size) + _fault(header, self.fault_entity)


@dataclass(frozen=True, slots=True)
class Finished:
    """Finished PDU (5.2.3); `responses` are the values of filestore responses."""

    condition: Condition
    delivery: Delivery
    file_status: FileStatus
    responses: tuple[bytes, ...] = ()
    fault_entity: int | None = None

    def field(self, header: Header) -> bytes:
        """The data field, without CRC; raises struct.error or OverflowError."""
        flags = self.condition << 4 | self.delivery << 2 | self.file_status
        return b"".join((
            struct.pack(">BB", Directive.FINISHED, flags),
            *(tlv(TlvType.FILESTORE_RESPONSE, value) for value in self.responses),
            _fault(header, self.fault_entity),
        ))


@dataclass(frozen=True, slots=True)
class Ack:
    """ACK PDU (5.2.4) of an EOF or a Finished PDU."""

    directive: Directive
    condition: Condition
    status: TransactionStatus

    def field(self, header: Header) -> bytes:
        """The data field, without CRC; raises struct.error or OverflowError."""
        subtype = 1 if self.directive is Directive.FINISHED else 0
        codes = self.directive << 4 | subtype
        return struct.pack(">BBB", Directive.ACK, codes, self.condition << 4 | self.status)


@dataclass(frozen=True, slots=True)
class Nak:
    """NAK PDU (5.2.6); requests are (start, end) offsets, (0, 0) asks for the metadata."""

    start: int
    end: int
    requests: tuple[tuple[int, int], ...]

    def field(self, header: Header) -> bytes:
        """The data field, without CRC; raises struct.error or OverflowError."""
        word = "Q" if header.large else "I"
        offsets = [self.start, self.end, *(offset for pair in self.requests for offset in pair)]
        return struct.pack(f">B{len(offsets)}{word}", Directive.NAK, *offsets)


@dataclass(frozen=True, slots=True)
class Prompt:
    """Prompt PDU (5.2.7)."""

    response: Response

    def field(self, header: Header) -> bytes:
        """The data field, without CRC; raises struct.error or OverflowError."""
        return struct.pack(">BB", Directive.PROMPT, self.response << 7)


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """Keep Alive PDU (5.2.8)."""

    progress: int

    def field(self, header: Header) -> bytes:
        """The data field, without CRC; raises struct.error or OverflowError."""
        return struct.pack(">B", Directive.KEEP_ALIVE) + _fss(header, self.progress)


@dataclass(frozen=True, slots=True)
class FileData:
    """File Data PDU (5.3)."""

    offset: int
    data: bytes

    def field(self, header: Header) -> bytes:
        """The data field, without CRC; raises struct.error or OverflowError."""
        return _fss(header, self.offset) + self.data


Body = Metadata | Eof | Finished | Ack | Nak | Prompt | KeepAlive | FileData


def encode(header: Header, body: Body) -> bytes:
    """The bytes of a PDU; raises ValueError if a field does not fit the header's widths."""
    try:
        field = body.field(header)
        return frame(header, field, file_data=isinstance(body, FileData))
    except (struct.error, OverflowError) as error:
        raise ValueError(f"a field does not fit: {error}") from None


def frame(header: Header, field: bytes, *, file_data: bool = False) -> bytes:
    """A data field with its fixed header and, where the header says so, its CRC (4.1.1, 4.1.3)."""
    length = len(field) + CRC_SIZE * header.crc
    if length > MAX_DATA_FIELD:
        raise ValueError(f"a data field of {length} octets")
    pdu = fixed_header(header, length, file_data=file_data) + field
    return pdu + crc_hqx(pdu, 0xFFFF).to_bytes(2, "big") if header.crc else pdu


def fixed_header(header: Header, length: int, *, file_data: bool) -> bytes:
    """The fixed header before a data field of `length` octets (5.1)."""
    flags = VERSION << 5 | file_data << 4 | header.direction << 3 | header.mode << 2
    flags |= header.crc << 1 | header.large
    widths = (header.entity_width - 1) << 4 | header.sequence_width - 1
    return b"".join((
        struct.pack(">BHB", flags, length, widths),
        header.source.to_bytes(header.entity_width, "big"),
        header.sequence.to_bytes(header.sequence_width, "big"),
        header.destination.to_bytes(header.entity_width, "big"),
    ))
