"""A pass that only counts: symbols per table, padding, blocks."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

from occulta.codec.jpeg import entropy_kernel as layout
from occulta.codec.jpeg.engine import Destination, ScanRun, StreamEngine
from occulta.codec.jpeg.headers import Scan
from occulta.codec.jpeg.huffman import HuffmanTable
from occulta.codec.jpeg.structure import Item
from occulta.codec.jpeg.tables import SLOTS, CodeWord, TranscodeTables, slot_of
from occulta.limits import Limits


def survey_tables(tables: dict[Destination, HuffmanTable], scan: Scan) -> TranscodeTables:
    """Kernel tables that decode a scan with the given Huffman tables."""
    built = TranscodeTables()
    for kind, destination in scan.tables:
        table = tables[kind, destination]
        words = [CodeWord(symbol, code, length) for symbol, code, length in table.codes]
        built.set_slot(kind, destination, table, words, scan.progressive)
    return built


def new_histogram() -> array[int]:
    """Counts per (slot << 8 | symbol)."""
    return array("I", bytes(4 * SLOTS * 256))


@dataclass
class ScanSurvey:
    """What was counted in one scan, or in the rest of it."""

    scan: Scan
    tables: dict[Destination, HuffmanTable]
    histogram: array[int] = field(default_factory=new_histogram)
    defined: list[list[tuple[int, int, HuffmanTable]]] = field(default_factory=list)
    """Tables of each DHT segment since the previous scan."""
    blocks: int = 0

    def counts(self, destination: Destination) -> list[int]:
        """Occurrences of each of the 256 symbols of a table."""
        start = slot_of(*destination) << 8
        return list(self.histogram[start : start + 256])


class Survey(StreamEngine):
    """Counts a whole stream, or what another engine has not processed yet."""

    mode = layout.SURVEY

    def __init__(self, limits: Limits, kernel: str | None = None) -> None:
        super().__init__(limits, kernel)
        self._scratch = bytearray(layout.BLOCK_ROOM + 1)  # nothing is written
        self.scans: list[ScanSurvey] = []
        self.paddings: list[tuple[int, int]] = []
        """(bits, value) at the end of each segment."""
        self._tables = TranscodeTables()
        self._defined: list[list[tuple[int, int, HuffmanTable]]] = []

    @classmethod
    def of_rest(cls, engine: StreamEngine) -> Survey:
        """To count what `engine` still has before it, by `advance`; the engine is left as it is."""
        survey = cls(engine.limits, engine.kernel_choice)
        survey.buffer = engine.buffer.fork()
        survey.frame, survey.interval = engine.frame, engine.interval
        survey.tables = dict(engine.tables)
        if engine.run is not None:
            survey.run = survey._resume(engine.run)
        return survey

    def _resume(self, run: ScanRun) -> ScanRun:
        resumed = self._prepare(run.scan)
        resumed.state[:] = run.state
        resumed.raw = run.raw
        for index in (layout.OUT_POS, layout.OUT_BITS, layout.SEGMENTS, layout.HIDDEN_POS):
            resumed.state[index] = 0
        resumed.params[layout.INTERVAL] = run.params[layout.INTERVAL]
        return resumed

    def _prepare(self, scan: Scan) -> ScanRun:
        run = ScanRun(scan, self.interval, self.mode, self.limits)
        run.raw = scan.refinement
        self.scans.append(ScanSurvey(scan, dict(self.tables), defined=self._defined))
        self._defined = []
        if not run.raw:
            self._tables = survey_tables(self.tables, scan)
        return run

    def begin_scan(self, group: list[Item], scan: Scan) -> ScanRun:
        return self._prepare(scan)

    def run_kernel(self, run: ScanRun, src: memoryview, out: memoryview) -> int:
        tables = self._tables
        return int(self.kernel.transcode(
            memoryview(run.state), memoryview(run.params), src, out, out, memoryview(run.ends),
            memoryview(run.blocks), memoryview(tables.fast), memoryview(tables.entries),
            memoryview(tables.bounds), memoryview(tables.alternatives),
            memoryview(self.scans[-1].histogram),
        ))

    def end_scan(self, run: ScanRun) -> None:
        self.scans[-1].blocks = run.blocks_done

    def table_defined(self, item: Item, tables: list[tuple[int, int, HuffmanTable]]) -> None:
        self._defined.append(tables)

    def segment_ended(self, record: int, base: int) -> None:
        self.paddings.append((record >> 8 & 255, record & 255))

    def put(self, data: bytes | bytearray | memoryview) -> None:
        """A survey puts nothing out."""
