"""Side information of profile `exact`: what a recovery must know of a scan's own DHT segments.

The DHT segments before a scan that carries are dropped; the scan's first hidden bits say what they
were. Fields are bytes:

    segments | per segment: other segments since the last DHT (7 bits a byte), fill bytes, tables |
               per table: origin 2 bits, class 1 bit, destination 2 bits; LITERAL: counts, symbols

ANNEX_K_0/1 name the typical tables; DERIVED says that the lengths are those of the marked table
less the hidden bits of the symbol's first code, the symbols of one length ascending.
"""

from __future__ import annotations

from dataclasses import dataclass

from occulta.codec.jpeg.huffman import ANNEX_K, HuffmanTable, dht_segment
from occulta.errors import OccultaError, Reason
from occulta.schemes.reversible.bits import Parsing
from occulta.schemes.reversible.codes import choices_of
from occulta.schemes.reversible.plan import Origin

_MAX_BODY = 65_533
_MALFORMED = "the hidden side information is malformed"


@dataclass(frozen=True, slots=True)
class DroppedTable:
    """One table of a dropped DHT segment; `table` is None for DERIVED."""

    kind: int
    destination: int
    origin: Origin
    table: HuffmanTable | None


@dataclass(frozen=True, slots=True)
class DroppedSegment:
    """A dropped DHT segment: where it stood, its fill bytes, what it defined."""

    gap: int
    fill: int
    tables: tuple[DroppedTable, ...]

    def to_bytes(self) -> bytes:
        """The segment as it was; every table must be known."""
        tables = [(t.kind, t.destination, t.table) for t in self.tables if t.table is not None]
        if sum(17 + len(table.symbols) for _, _, table in tables) > _MAX_BODY:
            raise OccultaError(Reason.BAD_HIDDEN_DATA, _MALFORMED)
        return b"\xff" * self.fill + dht_segment(tables)


def encode_side(segments: list[DroppedSegment]) -> bytes:
    """Bytes to be hidden; raises OccultaError(LIMIT_SEGMENT) for more than 255 of anything."""
    out = bytearray([_byte(len(segments))])
    for segment in segments:
        out += _number(segment.gap) + bytes([_byte(segment.fill), _byte(len(segment.tables))])
        for table in segment.tables:
            out.append(table.origin << 3 | table.kind << 2 | table.destination)
            if table.origin is Origin.LITERAL and table.table is not None:
                out += table.table.to_bytes()
    return bytes(out)


def _number(value: int) -> bytes:
    """Seven bits a byte, least significant first, the top bit set on all but the last."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])


def _byte(value: int) -> int:
    if value > 255:
        raise OccultaError(Reason.LIMIT_SEGMENT, "too many header segments before a scan")
    return value


def parse_side() -> Parsing[list[DroppedSegment]]:
    """Parser of what `encode_side` wrote; raises OccultaError(BAD_HIDDEN_DATA)."""
    segments = []
    for _ in range((yield 1)[0]):
        gap = yield from _parse_number()
        fill, count = yield 2
        tables = []
        for _ in range(count):
            tables.append((yield from _parse_table()))
        segments.append(DroppedSegment(gap, fill, tuple(tables)))
    return segments


def _parse_number() -> Parsing[int]:
    value = shift = 0
    while (digit := (yield 1)[0]) & 128:
        value |= (digit & 127) << shift
        shift += 7
        if shift > 28:
            raise OccultaError(Reason.BAD_HIDDEN_DATA, _MALFORMED)
    return value | digit << shift


def _parse_table() -> Parsing[DroppedTable]:
    head = (yield 1)[0]
    if head >> 5:
        raise OccultaError(Reason.BAD_HIDDEN_DATA, _MALFORMED)
    origin, kind, destination = Origin(head >> 3), head >> 2 & 1, head & 3
    table = None
    if origin is Origin.LITERAL:
        counts = yield 16
        if sum(counts) > 256:
            raise OccultaError(Reason.BAD_HIDDEN_DATA, _MALFORMED)
        table = HuffmanTable.checked(counts, (yield sum(counts)))
    elif origin is not Origin.DERIVED:
        table = ANNEX_K[kind, int(origin)]
    return DroppedTable(kind, destination, origin, table)


def derive(marked: HuffmanTable) -> HuffmanTable:
    """The original of a DERIVED table; raises OccultaError(BAD_HIDDEN_DATA)."""
    coded = []
    for symbol, choices in choices_of(marked).items():
        length = choices[0].length - choices[0].bits
        if length < 1:
            raise OccultaError(Reason.BAD_HIDDEN_DATA, _MALFORMED)
        coded.append((length, symbol))
    table = HuffmanTable.from_lengths(sorted(coded))
    return HuffmanTable.checked(table.counts, table.symbols)
