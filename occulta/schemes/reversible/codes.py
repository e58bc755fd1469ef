"""Kernel tables of profile `exact`: the original's codes in, the marked ones out, and back."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from occulta.codec.jpeg.engine import Destination, ScanRun, StreamEngine
from occulta.codec.jpeg.headers import Scan
from occulta.codec.jpeg.huffman import HuffmanTable
from occulta.codec.jpeg.survey import new_histogram
from occulta.codec.jpeg.tables import CodeWord, TranscodeTables
from occulta.errors import OccultaError, Reason
from occulta.schemes.reversible.plan import MAX_HIDDEN_BITS

RESERVE = 64 * 8
"""Hidden bits one block can take, at most."""


def run_transcode(
    engine: StreamEngine, tables: TranscodeTables, run: ScanRun, src: memoryview,
    out: memoryview, hidden: bytearray,
) -> int:
    """Call the kernel once."""
    return int(engine.kernel.transcode(
        memoryview(run.state), memoryview(run.params), src, out, memoryview(hidden),
        memoryview(run.ends), memoryview(run.blocks), memoryview(tables.fast),
        memoryview(tables.entries), memoryview(tables.bounds), memoryview(tables.alternatives),
        memoryview(_NO_HISTOGRAM),
    ))


_NO_HISTOGRAM: array[int] = new_histogram()


def identity_tables(tables: dict[Destination, HuffmanTable], scan: Scan) -> TranscodeTables:
    """Kernel tables that change nothing."""
    built = TranscodeTables()
    for kind, destination in scan.tables:
        table = tables[kind, destination]
        words = [CodeWord(s, code, n, code, n) for s, code, n in table.codes]
        built.set_slot(kind, destination, table, words, scan.progressive)
    return built


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a symbol's codes and the hidden bits (`value` of `bits`) that it stands for."""

    code: int
    length: int
    value: int
    bits: int


def choices_of(table: HuffmanTable) -> dict[int, list[Choice]]:
    """What each code of a marked table stands for; raises OccultaError(BAD_HIDDEN_DATA).

    2**j codes of one length stand for j bits each. One code and 2**m codes m bits longer stand
    for 0, and for 1 followed by m bits.
    """
    codes: dict[int, list[tuple[int, int]]] = {}
    for symbol, code, length in table.codes:
        codes.setdefault(symbol, []).append((code, length))
    return {symbol: _choices(listed) for symbol, listed in codes.items()}


def _choices(codes: list[tuple[int, int]]) -> list[Choice]:
    lengths = [length for _, length in codes]
    bits = len(codes).bit_length() - 1
    if len(set(lengths)) == 1 and len(codes) == 1 << bits and bits <= MAX_HIDDEN_BITS:
        return [Choice(code, n, value, bits) for value, (code, n) in enumerate(codes)]
    more = (len(codes) - 1).bit_length() - 1
    elastic = len(codes) > 1 and len(codes) - 1 == 1 << more and more < MAX_HIDDEN_BITS
    if not elastic or any(length != lengths[0] + more for length in lengths[1:]):
        raise OccultaError(Reason.BAD_HIDDEN_DATA, "a marked table has an impossible choice")
    longer = [
        Choice(code, n, 1 << more | value, more + 1) for value, (code, n) in enumerate(codes[1:])
    ]
    return [Choice(*codes[0], 0, 1), *longer]


def marking_tables(
    tables: dict[Destination, HuffmanTable], marked: dict[Destination, HuffmanTable], scan: Scan
) -> TranscodeTables:
    """Kernel tables that decode the original and choose among the marked tables' codes."""
    built = TranscodeTables()
    for kind, destination in scan.tables:
        choices = choices_of(marked[kind, destination])
        table = tables[kind, destination]
        words = [
            _marking_word(built, symbol, code, length, choices.get(symbol, []))
            for symbol, code, length in table.codes
        ]
        built.set_slot(kind, destination, table, words, scan.progressive)
    return built


def _marking_word(
    built: TranscodeTables, symbol: int, code: int, length: int, choices: list[Choice]
) -> CodeWord:
    if not choices:  # the plan saw the whole scan and the symbol was not in it
        return CodeWord(symbol, code, length, valid=False)
    if len(choices) == 1:
        return CodeWord(symbol, code, length, choices[0].code, choices[0].length)
    bits = choices[-1].bits
    spread = (
        (choice.code, choice.length, choice.bits)
        for choice in choices
        for _ in range(1 << (bits - choice.bits))
    )
    return CodeWord(symbol, code, length, built.add_alternatives(spread), 0, bits)


def unmarking_tables(
    marked: dict[Destination, HuffmanTable], tables: dict[Destination, HuffmanTable] | None,
    scan: Scan,
) -> TranscodeTables:
    """Kernel tables that decode marked codes, tell their bits and write the original's codes.

    Without `tables` only the hidden bits are right. Raises OccultaError(BAD_HIDDEN_DATA).
    """
    built = TranscodeTables()
    for kind, destination in scan.tables:
        table = marked[kind, destination]
        own = None if tables is None else tables[kind, destination].by_symbol
        choices = choices_of(table)
        words = []
        for symbol, code, length in table.codes:
            choice = choices[symbol].pop(0)
            out = (0, 0) if own is None else own.get(symbol, (0, 0))
            possible = own is None or symbol in own  # else the original cannot hold it
            words.append(
                CodeWord(symbol, code, length, *out, choice.bits, choice.value, possible)
            )
        built.set_slot(kind, destination, table, words, scan.progressive)
    return built
