"""Look-up tables for the entropy kernel, built from Huffman tables.

Eight table slots per scan: DC destinations 0..3, then AC destinations 0..3. Per slot there are
`fast` (indexed by the next bits of the stream), `entries` (indexed by a code's place in the table)
and `bounds` (for codes longer than `fast` resolves: per length 1..16 the first 16-bit left-aligned
value beyond it, then the index offset).

An entry of `transcode`, least significant bits first: code length 5, extra bits 5, advance in the
zigzag 7, end of block 1, output length 5, hidden bits 4, output code or index of the first
alternative 16, hidden value 8, symbol 8.

An entry of `mark_tails`: bits of the run of symbols 6, their advance 7, ends the block 1, last is
(0, 2) 1, last has size 2 1; then of the first symbol alone: code length 5, extra bits 5,
advance 7, end of block 1.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field

from occulta.codec.jpeg import entropy_kernel as layout
from occulta.codec.jpeg.huffman import AC, DC, HuffmanTable
from occulta.errors import OccultaError, Reason

SLOTS = 8
EOB = 0x00
ZRL = 0xF0
TAIL_STRIDE = 24
_BOUND_STRIDE = 36
_EOB_FLAG = 1 << 17
_TAIL_EOB = 1 << 13
_BEYOND = 127


def slot_of(kind: int, destination: int) -> int:
    """The table slot of a DC or AC destination."""
    return kind << 2 | destination


@dataclass(frozen=True, slots=True)
class CodeWord:
    """One code of a table: what it means, and what the kernel writes in its place.

    `out` is the output code or, with `hidden_bits`, when marking, the index of the first of the
    symbol's 2**hidden_bits alternatives; when unmarking `hidden_value` is what the choice of this
    code says.
    """

    symbol: int
    code: int
    length: int
    out: int = 0
    out_length: int = 0
    hidden_bits: int = 0
    hidden_value: int = 0
    valid: bool = True
    """False for a code that must not occur: it reads as a run beyond the block."""


def _extra_bits(symbol: int, kind: int, progressive: bool) -> tuple[int, int, bool]:
    """(extra bits, advance, ends the block) of a symbol (T.81 F.1.2, G.1.2)."""
    if kind == DC:
        if symbol > 15:
            raise OccultaError(Reason.BAD_HUFFMAN_TABLE, f"DC category {symbol} does not exist")
        return symbol, 1, False
    run, size = symbol >> 4, symbol & 15
    if size == 0 and run != 15:
        return (run if progressive else 0), 0, True
    return size, run + 1, False


def _bounds(table: HuffmanTable) -> list[int]:
    bounds = [0] * _BOUND_STRIDE
    code = index = 0
    for length, count in enumerate(table.counts, 1):
        bounds[18 + length] = index - code
        code += count
        index += count
        bounds[length] = code << (16 - length)
        code <<= 1
    return bounds


def _words() -> array[int]:
    return array("Q", bytes(8 * SLOTS << layout.LOOKUP_BITS))


@dataclass
class TranscodeTables:
    """The arrays `transcode` reads; fill slot by slot with `set_slot`."""

    fast: array[int] = field(default_factory=_words)
    entries: array[int] = field(default_factory=lambda: array("Q", bytes(8 * SLOTS * 256)))
    bounds: array[int] = field(default_factory=lambda: array("i", bytes(4 * SLOTS * 36)))
    alternatives: array[int] = field(default_factory=lambda: array("I", [0]))

    def set_slot(
        self, kind: int, destination: int, table: HuffmanTable, words: Iterable[CodeWord],
        progressive: bool,
    ) -> None:
        """Decode with `table`; `words` has one entry per code of it, in code order."""
        slot = slot_of(kind, destination)
        self.bounds[slot * _BOUND_STRIDE : (slot + 1) * _BOUND_STRIDE] = array("i", _bounds(table))
        base = slot << layout.LOOKUP_BITS
        self.fast[base : base + (1 << layout.LOOKUP_BITS)] = array(
            "Q", bytes(8 << layout.LOOKUP_BITS)
        )
        for index, word in enumerate(words):
            entry = _transcode_entry(word, kind, progressive)
            self.entries[slot * 256 + index] = entry
            spare = layout.LOOKUP_BITS - word.length
            if spare >= 0:
                first = base + (word.code << spare)
                self.fast[first : first + (1 << spare)] = array("Q", [entry]) * (1 << spare)

    def add_alternatives(self, choices: Iterable[tuple[int, int, int]]) -> int:
        """Append (code, length, hidden bits it stands for), one per value of the next hidden bits.

        Returns the index of the first.
        """
        first = len(self.alternatives)
        self.alternatives.extend(code << 10 | bits << 5 | length for code, length, bits in choices)
        return first


def _transcode_entry(word: CodeWord, kind: int, progressive: bool) -> int:
    extra, advance, ends = _extra_bits(word.symbol, kind, progressive)
    if not word.valid:
        extra, advance, ends = 0, _BEYOND, False
    return (
        word.length | extra << 5 | advance << 10 | (_EOB_FLAG if ends else 0)
        | word.out_length << 18 | word.hidden_bits << 23 | word.out << 27
        | word.hidden_value << 43 | word.symbol << 51
    )


@dataclass
class TailTables:
    """The arrays `mark_tails` reads; fill slot by slot with `set_slot`."""

    fast: array[int] = field(default_factory=_words)
    entries: array[int] = field(default_factory=lambda: array("Q", bytes(8 * SLOTS * 256)))
    bounds: array[int] = field(default_factory=lambda: array("i", bytes(4 * SLOTS * 36)))
    tails: array[int] = field(default_factory=lambda: array("i", bytes(4 * SLOTS * TAIL_STRIDE)))

    def set_slot(self, kind: int, destination: int, table: HuffmanTable) -> None:
        """Decode with `table` and insert with its own codes."""
        slot = slot_of(kind, destination)
        self.bounds[slot * _BOUND_STRIDE : (slot + 1) * _BOUND_STRIDE] = array("i", _bounds(table))
        singles = [_tail_single(symbol, length, kind) for symbol, _, length in table.codes]
        self.entries[slot * 256 : slot * 256 + len(singles)] = array("Q", singles)
        base = slot << layout.LOOKUP_BITS
        self.fast[base : base + (1 << layout.LOOKUP_BITS)] = _tail_fast(table, singles, kind)
        if kind == AC:
            first = slot * TAIL_STRIDE
            self.tails[first : first + TAIL_STRIDE] = array("i", _tail_codes(table))

    @property
    def can_carry(self) -> bool:
        """True if some table has the code (0, 2) that carries."""
        return any(self.tails[2::TAIL_STRIDE])


def _tail_single(symbol: int, length: int, kind: int) -> int:
    extra, advance, ends = _extra_bits(symbol, kind, False)
    two = not ends and kind == AC and extra == 2
    return (
        length + extra | advance << 6 | ends << 13 | (two and advance == 1) << 14 | two << 15
        | length << 16 | extra << 21 | advance << 26 | ends << 33
    )


def _tail_fast(table: HuffmanTable, singles: list[int], kind: int) -> array[int]:
    """Per index the longest run of whole symbols (value bits included) that it determines."""
    bits = layout.LOOKUP_BITS
    first = array("Q", bytes(8 << bits))
    for (_, code, length), entry in zip(table.codes, singles, strict=True):
        if length <= bits:
            at = code << (bits - length)
            first[at : at + (1 << (bits - length))] = array("Q", [entry]) * (1 << (bits - length))
    if kind == DC:
        return first
    mask = (1 << bits) - 1
    return array("Q", (_tail_run(first, index, bits, mask) for index in range(1 << bits)))


def _tail_run(first: array[int], index: int, bits: int, mask: int) -> int:
    entry = first[index]
    used = entry & 63
    if used > bits or entry & _TAIL_EOB or not entry:
        return entry
    advance = entry >> 6 & 127
    flags = entry & 0xC000
    while True:
        following = first[index << used & mask]
        length = following & 63
        if not following or used + length > bits or advance + (following >> 6 & 127) > 62:
            break
        used += length
        advance += following >> 6 & 127
        if following & _TAIL_EOB:
            flags |= _TAIL_EOB
            break
        flags = following & 0xC000
    return entry >> 16 << 16 | used | advance << 6 | flags


def _tail_codes(table: HuffmanTable) -> list[int]:
    """[EOB length, EOB code, (0,2) length, (0,2) code, marker size, (0,s) codes s=0..15]."""
    codes = table.by_symbol
    eob, eob_length = codes.get(EOB, (0, 0))
    two, two_length = codes.get(2, (0, 0))
    marker = next((size for size in range(3, 16) if size in codes), 0)
    runs = [codes[size][0] << 5 | codes[size][1] if size in codes else 0 for size in range(16)]
    head = [eob_length, eob, two_length, two, marker, *runs]
    return head + [0] * (TAIL_STRIDE - len(head))
