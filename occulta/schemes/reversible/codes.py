"""Kernel tables of profile `exact`: the original's codes in, the marked ones out, and back."""

from __future__ import annotations

from array import array

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


def marking_tables(
    tables: dict[Destination, HuffmanTable], marked: dict[Destination, HuffmanTable], scan: Scan
) -> TranscodeTables:
    """Kernel tables that decode the original and choose among the marked tables' codes."""
    built = TranscodeTables()
    for kind, destination in scan.tables:
        choices: dict[int, list[tuple[int, int]]] = {}
        for symbol, code, length in marked[kind, destination].codes:
            choices.setdefault(symbol, []).append((code, length))
        table = tables[kind, destination]
        words = [
            _marking_word(built, symbol, code, length, choices.get(symbol, []))
            for symbol, code, length in table.codes
        ]
        built.set_slot(kind, destination, table, words, scan.progressive)
    return built


def _marking_word(
    built: TranscodeTables, symbol: int, code: int, length: int, choices: list[tuple[int, int]]
) -> CodeWord:
    if not choices:  # the plan saw the whole scan and the symbol was not in it
        return CodeWord(symbol, code, length, valid=False)
    if len(choices) == 1:
        return CodeWord(symbol, code, length, *choices[0])
    bits = len(choices).bit_length() - 1
    return CodeWord(symbol, code, length, built.add_alternatives(choices), 0, bits)


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
        seen: dict[int, int] = {}
        words = []
        for symbol, code, length in table.codes:
            bits = _choice_bits(table, symbol)
            value = seen.get(symbol, 0)
            seen[symbol] = value + 1
            out = (0, 0) if own is None else own.get(symbol, (0, 0))
            possible = own is None or symbol in own  # else the original cannot hold it
            words.append(CodeWord(symbol, code, length, *out, bits, value, possible))
        built.set_slot(kind, destination, table, words, scan.progressive)
    return built


def _choice_bits(table: HuffmanTable, symbol: int) -> int:
    codes = table.symbols.count(symbol)
    bits = codes.bit_length() - 1
    if codes != 1 << bits or bits > MAX_HIDDEN_BITS:
        raise OccultaError(Reason.BAD_HIDDEN_DATA, "a marked table has an impossible choice")
    return bits
