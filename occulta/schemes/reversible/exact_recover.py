"""Recovery of profile `exact`: the original codes back, the choices among the marked ones out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from occulta.codec import crypto
from occulta.codec.jpeg import entropy_kernel as layout
from occulta.codec.jpeg import markers
from occulta.codec.jpeg.engine import NO_LIMIT, OUTPUT_SIZE, Destination, ScanRun, item_end
from occulta.codec.jpeg.headers import Scan
from occulta.codec.jpeg.huffman import ANNEX_K, HuffmanTable, parse_dht
from occulta.codec.jpeg.structure import Item
from occulta.codec.jpeg.tables import TranscodeTables
from occulta.errors import OccultaError, Reason
from occulta.limits import DEFAULT_LIMITS, Limits
from occulta.schemes.reversible.bits import BitCollector, PullParser
from occulta.schemes.reversible.codes import (
    RESERVE,
    identity_tables,
    run_transcode,
    unmarking_tables,
)
from occulta.schemes.reversible.mark import EXACT
from occulta.schemes.reversible.plan import Origin
from occulta.schemes.reversible.recover import Restorer
from occulta.schemes.reversible.side import DroppedSegment, DroppedTable, derive, parse_side
from occulta.schemes.reversible.standing import define, looks_restanding


class ExactRestorer(Restorer):
    """Puts the original codes back and collects what their alternatives said.

    A scan that carries begins with a probe: its first hidden bits are read, and its bytes kept,
    until the side information is complete; then the scan is restored from its first block.
    """

    profile = EXACT

    def __init__(
        self, key: crypto.PrivateKey, write: Callable[[bytes], object],
        record: Callable[[bytes], object], limits: Limits = DEFAULT_LIMITS,
        kernel: str | None = None,
    ) -> None:
        super().__init__(key, write, record, limits, kernel)
        self._own: dict[Destination, HuffmanTable] = dict(ANNEX_K)
        self._standing: dict[Destination, HuffmanTable] = {}
        self._tables = TranscodeTables()
        self._bits = BitCollector()
        self._probe: _Probe | None = None
        self._side_left = 0

    def begin_scan(self, group: list[Item], scan: Scan) -> ScanRun:
        run = ScanRun(scan, self.interval, self.mode, self.limits)
        if not scan.refinement and any(self.tables[d].has_repeats for d in scan.tables):
            headers = [(i.marker, self.buffer.copy(i.start, item_end(i))) for i in group]
            self._probe = _Probe(run, self, headers)
        else:
            self._begin_plain(group, scan, run)
        return run

    def _begin_plain(self, group: list[Item], scan: Scan, run: ScanRun) -> None:
        run.raw = scan.refinement
        kept = list(group)
        own, standing = dict(self._own), dict(self._standing)
        if looks_restanding(self, group, own, standing, scan):
            del kept[-2]
        for item in kept:
            if item.marker == markers.DHT:
                define(self, self._own, item)
                define(self, self._standing, item)
        self._require_own(scan)
        self._standing.update({d: self._own[d] for d in scan.tables})
        self.put_items(kept)
        if not run.raw:
            self._tables = identity_tables(self.tables, scan)

    def _begin_carrying(self, probe: _Probe, dropped: list[DroppedSegment]) -> None:
        """The side information is known: put out the headers as they were."""
        if [m for m, _ in probe.headers[:-1] if m == markers.DHT] != [markers.DHT] or (
            probe.headers[-2][0] != markers.DHT
        ):
            raise OccultaError(Reason.BAD_HIDDEN_DATA, "a marked scan has stray Huffman tables")
        self._standing.update(
            {(k, d): t for k, d, t in parse_dht(probe.headers[-2][1].lstrip(b"\xff")[3:])}
        )
        others = [data for _, data in probe.headers[:-2]]
        for segment in dropped:
            if segment.gap > len(others):
                raise OccultaError(Reason.BAD_HIDDEN_DATA, "a dropped segment has no place")
            for _ in range(segment.gap):
                self.put(others.pop(0))
            resolved = self._resolve(segment)
            self._own.update({(t.kind, t.destination): t.table for t in resolved.tables if t.table})
            self.put(resolved.to_bytes())
        for data in others:
            self.put(data)
        self.put(probe.headers[-1][1])
        scan = probe.run.scan
        self._require_own(scan)
        self._tables = unmarking_tables(self.tables, self._own, scan)
        self._side_left = probe.size

    def _require_own(self, scan: Scan) -> None:
        if any(d not in self._own for d in scan.tables):
            raise OccultaError(Reason.BAD_HIDDEN_DATA, "an original table was never told")

    def _resolve(self, segment: DroppedSegment) -> DroppedSegment:
        tables = tuple(
            replace(t, table=derive(self._marked(t))) if t.origin is Origin.DERIVED else t
            for t in segment.tables
        )
        return replace(segment, tables=tables)

    def _marked(self, dropped: DroppedTable) -> HuffmanTable:
        table = self.tables.get((dropped.kind, dropped.destination))
        if table is None:
            raise OccultaError(Reason.BAD_HIDDEN_DATA, "a derived table is not there")
        return table

    def _run_scan(self, run: ScanRun, item: Item, limit: int) -> bool:
        if self._probe is not None:
            dropped = self._probe.look(item, limit)
            if dropped is None:
                return False
            self._begin_carrying(self._probe, dropped)
            self._probe = None
        return super()._run_scan(run, item, limit)

    def run_kernel(self, run: ScanRun, src: memoryview, out: memoryview) -> int:
        run.params[layout.HIDDEN_LIMIT] = len(self._hidden) - RESERVE
        status = run_transcode(self, self._tables, run, src, out, self._hidden)
        self._collect(bytes(self._hidden[: run.state[layout.HIDDEN_POS]]))
        run.state[layout.HIDDEN_POS] = 0
        return status

    def end_scan(self, run: ScanRun) -> None:
        count = run.state[layout.HIDDEN_BITS]
        value = run.state[layout.HIDDEN_ACC] & ((1 << count) - 1)
        skipped = min(self._side_left, count // 8)
        self._side_left = 0
        count -= 8 * skipped
        self._parser.feed(self._bits.push(b"", value & ((1 << count) - 1), count))

    def _collect(self, data: bytes) -> None:
        skipped = min(self._side_left, len(data))
        self._side_left -= skipped
        self._parser.feed(self._bits.push(data[skipped:]))


class _Probe:
    """Reads the side information at the head of a scan, without using the scan up."""

    def __init__(
        self, run: ScanRun, engine: ExactRestorer, headers: list[tuple[int, bytes]]
    ) -> None:
        self.run = ScanRun(run.scan, engine.interval, layout.UNMARK, engine.limits)
        self.headers = headers
        self.size = 0
        self._engine = engine
        self._tables = unmarking_tables(engine.tables, None, run.scan)
        self._parser = PullParser(parse_side())
        self._hidden = bytearray(2 * RESERVE)
        self._out = bytearray(OUTPUT_SIZE)

    def look(self, item: Item, limit: int) -> list[DroppedSegment] | None:
        """The dropped segments, or None while more bytes are needed; raises OccultaError."""
        params = self.run.params
        buffer = self._engine.buffer
        whole = item.end is not None and item.end <= limit
        params[layout.LIMIT] = NO_LIMIT if whole else limit - buffer.base
        params[layout.HIDDEN_LIMIT] = len(self._hidden) - RESERVE
        end = buffer.fed if item.end is None else item.end
        while not self._parser.done:
            if not whole and limit <= buffer.base:
                return None
            with buffer.view(buffer.base, end) as src, memoryview(self._out) as out:
                status = run_transcode(self._engine, self._tables, self.run, src, out, self._hidden)
            self._take(status)
            if status == layout.NEED_INPUT:
                if end - buffer.base > self._engine.limits.max_side_information:
                    raise OccultaError(Reason.BAD_HIDDEN_DATA, "the side information never ends")
                break
            if status not in (layout.NEED_OUTPUT, layout.NEED_HIDDEN) and not self._parser.done:
                raise OccultaError(Reason.BAD_HIDDEN_DATA, "the side information is damaged")
        return self._parser.result

    def _take(self, status: int) -> None:
        state = self.run.state
        data = bytes(self._hidden[: state[layout.HIDDEN_POS]])
        if status == layout.SCAN_DONE:
            whole = state[layout.HIDDEN_BITS] // 8
            rest = state[layout.HIDDEN_ACC] >> state[layout.HIDDEN_BITS] % 8
            data += (rest & ((1 << 8 * whole) - 1)).to_bytes(whole, "big")
        state[layout.HIDDEN_POS] = state[layout.OUT_POS] = state[layout.SEGMENTS] = 0
        self.size += len(data) - len(self._parser.feed(data))
