"""A slow second opinion on sequential Huffman scans: the coefficients of each MCU.

Bit by bit, with tables as plain dictionaries; for well-formed files of one scan.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from occulta.codec.jpeg.huffman import ANNEX_K, parse_dht

Codes = dict[tuple[int, int], int]


Block = tuple[int, ...]
"""64 quantised coefficients in zigzag order."""


@dataclass(frozen=True)
class Scan:
    """A file's MCUs, how many of them stand side by side, and where the last one's byte ends."""

    across: int
    mcus: list[list[Block]]
    end: int


class _Bits:
    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at, self.bit = data, at, 0

    def take(self, count: int) -> int:
        value = 0
        for _ in range(count):
            byte = self.data[self.at]
            value = value << 1 | byte >> 7 - self.bit & 1
            self.bit += 1
            if self.bit == 8:
                self.at += 2 if byte == 0xFF else 1
                self.bit = 0
        return value

    def symbol(self, codes: Codes) -> int:
        code = 0
        for length in range(1, 17):
            code = code << 1 | self.take(1)
            if (length, code) in codes:
                return codes[length, code]
        raise AssertionError("a code that no table has")

    def byte_end(self) -> int:
        """Where the byte under way ends."""
        return self.at + (0 if not self.bit else 2 if self.data[self.at] == 0xFF else 1)

    def restart(self, number: int) -> None:
        self.at, self.bit = self.byte_end(), 0
        while self.data[self.at + 1] == 0xFF:
            self.at += 1
        assert self.data[self.at : self.at + 2] == bytes([0xFF, 0xD0 + number])
        self.at += 2


def _value(bits: _Bits, size: int) -> int:
    value = bits.take(size)
    return value if not size or value >> size - 1 else value - (1 << size) + 1


def _block(bits: _Bits, previous: int, dc: Codes, ac: Codes) -> Block:
    block = [0] * 64
    block[0] = previous + _value(bits, bits.symbol(dc))
    at = 1
    while at < 64:
        run, size = divmod(bits.symbol(ac), 16)
        if not size and run != 15:
            break
        at += run
        block[at] = _value(bits, size)
        at += 1
    return tuple(block)


@dataclass
class _Headers:
    tables: dict[tuple[int, int], Codes]
    sampled: dict[int, tuple[int, int]]
    size: tuple[int, int]
    interval: int
    chosen: list[tuple[int, int, int]]
    end: int


def _segments(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """(marker, body, end) up to SOS; fill bytes may stand before each."""
    at = 2
    marker = 0
    while marker != 0xDA:
        while data[at + 1] == 0xFF:
            at += 1
        marker, end = data[at + 1], at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        yield marker, data[at + 4 : end], end
        at = end


def _read(data: bytes) -> _Headers:
    tables = {at: {(n, code): s for s, code, n in t.codes} for at, t in ANNEX_K.items()}
    made = _Headers(tables, {}, (0, 0), 0, [], 0)
    for marker, body, end in _segments(data):
        made.end = end
        if marker == 0xC4:
            for kind, slot, table in parse_dht(body):
                tables[kind, slot] = {(n, code): s for s, code, n in table.codes}
        elif marker in (0xC0, 0xC1):
            high, wide = (int.from_bytes(body[at : at + 2], "big") for at in (1, 3))
            made.size = wide, high
            factors = zip(body[6::3], body[7::3], strict=True)
            made.sampled = {c: (hv >> 4, hv & 15) for c, hv in factors}
        elif marker == 0xDD:
            made.interval = int.from_bytes(body, "big")
        elif marker == 0xDA:
            made.chosen = [(body[i], body[i + 1] >> 4, body[i + 1] & 15)
                           for i in range(1, 1 + 2 * body[0], 2)]
    return made


def decode(data: bytes) -> Scan:
    """Every MCU of a file of one sequential scan, which may end without EOI."""
    read = _read(data)
    if len(read.sampled) == 1:
        read.sampled = {read.chosen[0][0]: (1, 1)}
    wide, high = (max(s[i] for s in read.sampled.values()) for i in (0, 1))
    across, down = -(-read.size[0] // (8 * wide)), -(-read.size[1] // (8 * high))
    bits, level = _Bits(data, read.end), [0, 0, 0, 0]
    mcus: list[list[Block]] = []
    for number in range(across * down):
        if read.interval and number and number % read.interval == 0:
            bits.restart((number // read.interval - 1) % 8)
            level = [0, 0, 0, 0]
        mcus.append([])
        for index, (component, dc, ac) in enumerate(read.chosen):
            h, v = read.sampled[component]
            for _ in range(h * v):
                block = _block(bits, level[index], read.tables[0, dc], read.tables[1, ac])
                level[index] = block[0]
                mcus[-1].append(block)
    return Scan(across, mcus, bits.byte_end())
