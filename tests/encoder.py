"""A tiny Huffman encoder: JPEG files from coefficients, in every form a test asks for.

Blocks are lists of 64 quantised coefficients in zigzag order; every component is sampled 1x1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from occulta.codec.jpeg.huffman import ANNEX_K, HuffmanTable, dht_segment

Block = list[int]
Tables = dict[tuple[int, int], HuffmanTable]


def flat_table(symbols: Sequence[int], length: int = 8) -> HuffmanTable:
    """A table in which every symbol has the same length."""
    return HuffmanTable.from_lengths([(length, symbol) for symbol in symbols])


WIDE_AC = flat_table([0, 0xF0, *(run << 4 | size for run in range(16) for size in range(1, 15))])
"""Every AC symbol there is, for 12-bit samples and blocks made by hand."""
WIDE_DC = flat_table(range(16), 5)


class BitWriter:
    """Bits to bytes, with byte stuffing."""

    def __init__(self) -> None:
        self._bits: list[str] = []

    def put(self, value: int, length: int) -> None:
        """Append the lowest bits of a value."""
        if length:
            self._bits.append(format(value & ((1 << length) - 1), f"0{length}b"))

    def take(self, padding: int) -> bytes:
        """All bits, padded with the lowest bits of `padding`, stuffed."""
        text = "".join(self._bits)
        missing = -len(text) % 8
        self._bits.clear()
        text += format(padding & 0x7F, "07b")[7 - missing :]
        raw = bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))
        return raw.replace(b"\xff", b"\xff\x00")


def _put_value(out: BitWriter, table: HuffmanTable, run: int, value: int) -> None:
    size = abs(value).bit_length()
    out.put(*table.by_symbol[run << 4 | size])
    out.put(value if value >= 0 else value - 1, size)


def put_block(out: BitWriter, block: Block, previous: int, dc: HuffmanTable, ac: HuffmanTable,
              eob: int = 0) -> None:
    """Encode one block; `eob` is the symbol that ends it (0x00 but for odd encoders)."""
    _put_value(out, dc, 0, block[0] - previous)
    run = 0
    for value in block[1:]:
        if not value:
            run += 1
            continue
        while run > 15:
            out.put(*ac.by_symbol[0xF0])
            run -= 16
        _put_value(out, ac, run, value)
        run = 0
    if run:
        out.put(*ac.by_symbol[eob])


def segment(marker: int, body: bytes) -> bytes:
    """A marker segment."""
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


@dataclass
class Picture:
    """What to write: blocks per component (all the same number) and how."""

    components: list[list[Block]]
    blocks_across: int
    tables: Tables = field(default_factory=lambda: dict(ANNEX_K))
    precision: int = 8
    interval: int = 0
    interleaved: bool = True
    padding: int = 0x7F
    declare_tables: bool = True
    redeclare: bool = False
    """Declare the tables anew before each scan."""
    eob: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        rows = len(self.components[0]) // self.blocks_across
        return 8 * self.blocks_across, 8 * rows

    def _entropy(self, chosen: list[int]) -> bytes:
        out, data = BitWriter(), b""
        total = len(self.components[0])
        previous = [0] * len(self.components)
        for index in range(total):
            if self.interval and index and index % self.interval == 0:
                data += out.take(self.padding)
                data += bytes([0xFF, 0xD0 + (index // self.interval - 1) % 8])
                previous = [0] * len(self.components)
            for c in chosen:
                block = self.components[c][index]
                slot = min(c, 1)
                put_block(out, block, previous[c], self.tables[0, slot], self.tables[1, slot],
                          self.eob)
                previous[c] = block[0]
        return data + out.take(self.padding)

    def _tables(self) -> bytes:
        slots = range(1 if len(self.components) == 1 else 2)
        return b"".join(
            dht_segment([(kind, slot, self.tables[kind, slot])]) for slot in slots
            for kind in (0, 1)
        )

    def _scan(self, chosen: list[int]) -> bytes:
        body = bytes([len(chosen)])
        body += b"".join(bytes([c + 1, 0x11 * min(c, 1)]) for c in chosen) + b"\x00\x3f\x00"
        tables = self._tables() if self.redeclare else b""
        return tables + segment(0xDA, body) + self._entropy(chosen)

    def to_jpeg(self) -> bytes:
        """The file."""
        width, height = self.size
        count = len(self.components)
        frame = bytes([self.precision]) + height.to_bytes(2, "big") + width.to_bytes(2, "big")
        frame += bytes([count]) + b"".join(bytes([c + 1, 0x11, 0]) for c in range(count))
        deep = self.precision > 8 or self.tables[1, 0] is WIDE_AC
        head = b"\xff\xd8" + segment(0xDB, b"\x00" + bytes([8] * 64))
        head += segment(0xC1 if deep else 0xC0, frame)
        if self.declare_tables and not self.redeclare:
            head += self._tables()
        if self.interval:
            head += segment(0xDD, self.interval.to_bytes(2, "big"))
        all_of_them = list(range(count))
        scans = [all_of_them] if self.interleaved else [[c] for c in all_of_them]
        return head + b"".join(map(self._scan, scans)) + b"\xff\xd9"


def random_block(rng: np.random.Generator, last: int = 20, spread: int = 6) -> Block:
    """A block with plausible coefficients up to some index."""
    block = [0] * 64
    block[0] = int(rng.integers(-60, 60))
    for at in range(1, int(rng.integers(1, last + 2))):
        block[at] = int(rng.normal(0, spread / (1 + at / 4)))
    return block


def random_blocks(seed: int, count: int, last: int = 20, spread: int = 6) -> list[Block]:
    """Seeded blocks."""
    rng = np.random.default_rng(seed)
    return [random_block(rng, last, spread) for _ in range(count)]


def wide_tables() -> Tables:
    """Tables with every symbol, for both destinations."""
    return {(0, 0): WIDE_DC, (0, 1): WIDE_DC, (1, 0): WIDE_AC, (1, 1): WIDE_AC}
