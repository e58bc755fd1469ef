"""Huffman tables of ITU-T T.81: DHT segments, canonical codes, optimal lengths.

A table is kept as its DHT form: 16 counts and the symbols in order of their codes. A table may
list one symbol under several codes; decoders accept it, and that is where `exact` hides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from occulta.errors import OccultaError, Reason

MAX_LENGTH = 16
DC = 0
AC = 1


@dataclass(frozen=True)
class HuffmanTable:
    """Counts of codes of length 1..16 and the symbols in code order (T.81 C.1)."""

    counts: tuple[int, ...]
    symbols: bytes

    @cached_property
    def codes(self) -> list[tuple[int, int, int]]:
        """(symbol, code, length) in code order (T.81 C.2, figures C.1 and C.2)."""
        codes = []
        code = at = 0
        for length, count in enumerate(self.counts, 1):
            for symbol in self.symbols[at : at + count]:
                codes.append((symbol, code, length))
                code += 1
            at += count
            code <<= 1
        return codes

    @cached_property
    def by_symbol(self) -> dict[int, tuple[int, int]]:
        """symbol -> (code, length); the shortest code where a symbol has several."""
        found: dict[int, tuple[int, int]] = {}
        for symbol, code, length in self.codes:
            found.setdefault(symbol, (code, length))
        return found

    @property
    def has_repeats(self) -> bool:
        """True if a symbol has more than one code."""
        return len(set(self.symbols)) != len(self.symbols)

    def to_bytes(self) -> bytes:
        """The table as in a DHT segment, without its class and destination."""
        return bytes(self.counts) + self.symbols

    @classmethod
    def checked(cls, counts: Sequence[int], symbols: bytes) -> HuffmanTable:
        """Build from untrusted values; raises OccultaError(BAD_HUFFMAN_TABLE)."""
        if sum(counts) != len(symbols) or not 0 < len(symbols) <= 256 or max(counts) > 255:
            raise OccultaError(Reason.BAD_HUFFMAN_TABLE, "a Huffman table has impossible counts")
        free = 1
        for count in counts:
            free = 2 * free - count
            if free < 0:
                raise OccultaError(Reason.BAD_HUFFMAN_TABLE, "a Huffman table is over-full")
        return cls(tuple(counts), symbols)

    @classmethod
    def from_lengths(cls, coded: list[tuple[int, int]]) -> HuffmanTable:
        """Build from (length, symbol) pairs; order within a length is kept."""
        counts = [0] * MAX_LENGTH
        for length, _ in coded:
            counts[length - 1] += 1
        ordered = sorted(coded, key=lambda pair: pair[0])
        return cls(tuple(counts), bytes(symbol for _, symbol in ordered))


def parse_dht(body: bytes) -> list[tuple[int, int, HuffmanTable]]:
    """The (class, destination, table) triples of a DHT segment's body (T.81 B.2.4.2).

    Raises OccultaError(BAD_HUFFMAN_TABLE).
    """
    tables = []
    at = 0
    while at < len(body):
        kind, slot = body[at] >> 4, body[at] & 15
        counts = body[at + 1 : at + 17]
        size = sum(counts)
        if kind > 1 or slot > 3 or len(counts) < 16 or at + 17 + size > len(body):
            raise OccultaError(Reason.BAD_HUFFMAN_TABLE, "a DHT segment is malformed")
        table = HuffmanTable.checked(counts, body[at + 17 : at + 17 + size])
        tables.append((kind, slot, table))
        at += 17 + size
    return tables


def dht_segment(tables: list[tuple[int, int, HuffmanTable]]) -> bytes:
    """One DHT segment, marker included, that defines (class, destination, table) triples."""
    body = b"".join(bytes([kind << 4 | slot]) + table.to_bytes() for kind, slot, table in tables)
    return b"\xff\xc4" + (len(body) + 2).to_bytes(2, "big") + body


def optimal_lengths(weights: list[int], limit: int) -> list[int]:
    """Code lengths (1..limit) of least total weight: package-merge (Larmore, Hirschberg 1990).

    `weights` are positive; there may be at most 2**limit of them.
    """
    if len(weights) == 1:
        return [1]
    leaves = sorted((weight, (index,)) for index, weight in enumerate(weights))
    packages: list[tuple[int, tuple[int, ...]]] = []
    for _ in range(limit):
        merged = sorted(leaves + packages, key=lambda item: item[0])
        packages = [
            (merged[i][0] + merged[i + 1][0], merged[i][1] + merged[i + 1][1])
            for i in range(0, len(merged) - 1, 2)
        ]
    lengths = [0] * len(weights)
    for _, members in packages[: len(weights) - 1]:
        for index in members:
            lengths[index] += 1
    return lengths


def _annex_k(counts: str, symbols: str) -> HuffmanTable:
    return HuffmanTable(tuple(bytes.fromhex(counts)), bytes.fromhex(symbols))


_AC_LUMA = (
    "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a"
    "25262728292a3435363738393a434445464748494a535455565758595a636465666768696a73747576777879"
    "7a838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9"
    "cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa"
)
_AC_CHROMA = (
    "0001020311040521310612415107617113223281081442 91a1b1c109233352f0156272d10a162434e125f117"
    "18191a262728292a35363738393a434445464748494a535455565758595a636465666768696a737475767778"
    "797a82838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7"
    "c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa"
)

ANNEX_K: dict[tuple[int, int], HuffmanTable] = {
    (DC, 0): _annex_k("00010501010101010100000000000000", "000102030405060708090a0b"),
    (AC, 0): _annex_k("0002010303020403050504040000017d", _AC_LUMA),
    (DC, 1): _annex_k("00030101010101010101010000000000", "000102030405060708090a0b"),
    (AC, 1): _annex_k("00020102040403040705040400010277", _AC_CHROMA),
}
"""The typical tables of T.81 annex K.3: what MJPEG frames without tables mean."""
