"""Profile `paper`: one more coefficient behind the last of a block (papers/000, section 3).

In a block whose last non-zero AC coefficient stands at zigzag index L <= 61 (counted from 0, L = 0
if there is none) the coefficient L + 1 takes one of -3, -2, 2, 3 and so two bits (tables 2, 3),
coded with the file's own code for (run 0, size 2). Blocks with L >= 62 carry nothing, nor do the
blocks that only pad the picture to whole MCUs: lossless transcoders make these anew.

The ambiguous case. A block with L = 62 whose last value is one of these four looks marked; the
paper writes 7 at index 63 to tell it apart (table 4). A block that already has such a value at 62
and 7 at 63 would then be taken for one of those, so in such blocks a value v >= 7 at 63 becomes
v + 1. Where a table has no code (0, 3) the next size it has takes the part of 7 (2**s - 1).

When nothing is left to hide before the conclusion is known, a byte 00 is carried and the next
IDLE_CARRIERS carriers are left as they are; behind the conclusion no block is changed.
"""

from __future__ import annotations

from occulta.codec.jpeg import entropy_kernel as layout
from occulta.codec.jpeg.engine import ScanRun, StreamEngine
from occulta.codec.jpeg.headers import Scan
from occulta.codec.jpeg.huffman import AC
from occulta.codec.jpeg.structure import Item
from occulta.codec.jpeg.tables import TailTables
from occulta.errors import OccultaError, Reason
from occulta.schemes.reversible.hidden import IDLE
from occulta.schemes.reversible.mark import PAPER, Marker

IDLE_CARRIERS = 252
LEAVE_ALONE = 1 << 62
_OTHER_ENDS = frozenset(run << 4 for run in range(1, 15))
"""Symbols (run, 0) that no encoder writes in a sequential scan but decoders take as EOB."""


def tail_tables(engine: StreamEngine, scan: Scan) -> TailTables:
    """Kernel tables of a scan; raises OccultaError for what the profile cannot restore."""
    if scan.progressive:
        raise OccultaError(Reason.PROGRESSIVE, "the profile `paper` takes no progressive JPEG")
    tables = TailTables()
    for kind, destination in scan.tables:
        table = engine.tables[kind, destination]
        if kind == AC and any(symbol in _OTHER_ENDS for symbol in table.symbols):
            raise OccultaError(
                Reason.BAD_HUFFMAN_TABLE, "a table has more than one way to end a block"
            )
        tables.set_slot(kind, destination, table)
    return tables


def run_tails(
    engine: StreamEngine, tables: TailTables, run: ScanRun, src: memoryview, out: memoryview,
    hidden: bytearray,
) -> int:
    """Call the kernel once."""
    return int(engine.kernel.mark_tails(
        memoryview(run.state), memoryview(run.params), src, out, memoryview(hidden),
        memoryview(run.ends), memoryview(run.blocks), memoryview(tables.fast),
        memoryview(tables.entries), memoryview(tables.bounds), memoryview(tables.tails),
        memoryview(run.edges),
    ))


class PaperMarker(Marker):
    """Marks by the paper's algorithm."""

    profile = PAPER
    _tables: TailTables
    _skip = 0
    _idle = False

    def begin_scan(self, group: list[Item], scan: Scan) -> ScanRun:
        self._tables = tail_tables(self, scan)
        self.put_items(group)
        run = ScanRun(scan, self.interval, self.mode, self.limits)
        run.state[layout.SKIP] = self._skip
        run.state[layout.HIDDEN_POS] = self._queue.position
        return run

    def run_kernel(self, run: ScanRun, src: memoryview, out: memoryview) -> int:
        run.params[layout.HIDDEN_LIMIT] = self._queue.position + self._queue.available - 2
        status = run_tails(self, self._tables, run, src, out, self._queue.buffer())
        self._take_hidden(run)
        return status

    def need_hidden(self, run: ScanRun) -> None:
        if self._idle:
            self._idle = False
            run.state[layout.SKIP] = IDLE_CARRIERS
        elif not self._refill():
            if self._concluded_at is not None:
                run.state[layout.SKIP] = LEAVE_ALONE
            else:
                self._queue.append(IDLE)
                self._idle = True

    def end_scan(self, run: ScanRun) -> None:
        self._skip = run.state[layout.SKIP]
