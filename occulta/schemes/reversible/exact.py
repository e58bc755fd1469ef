"""Profile `exact`: several codes for one symbol; no coefficient changes.

Marking replaces the Huffman tables of a scan by ones that list some symbols under 2**j codes, and
carries j bits with each choice. The scan's own DHT segments are dropped, one new segment goes
right before SOS; side.py says how the old ones are told. Scans that carry nothing keep their DHT
segments; where such a scan uses a table that no longer stands, it stands again in a segment right
before SOS, told apart by one fill byte.

Idea of the AC part: Du, Yin (2022) and, on another map, Du, Yin, Zhang (2020). DC tables, exact
restoration in one pass and the sealed stream are added here.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import replace

from occulta.codec import crypto
from occulta.codec.jpeg import entropy_kernel as layout
from occulta.codec.jpeg import markers
from occulta.codec.jpeg.engine import (
    MARGIN,
    NO_LIMIT,
    OUTPUT_SIZE,
    Destination,
    ScanRun,
    StreamEngine,
    item_end,
)
from occulta.codec.jpeg.headers import Scan
from occulta.codec.jpeg.huffman import ANNEX_K, HuffmanTable, dht_segment, parse_dht
from occulta.codec.jpeg.structure import Item, ItemKind, JpegBuffer
from occulta.codec.jpeg.survey import ScanSurvey, Survey, new_histogram, survey_tables
from occulta.codec.jpeg.tables import CodeWord, TranscodeTables
from occulta.errors import OccultaError, Reason
from occulta.limits import DEFAULT_LIMITS, Limits
from occulta.schemes.reversible.bits import BitCollector, PullParser
from occulta.schemes.reversible.hidden import IDLE, HiddenSource
from occulta.schemes.reversible.mark import EXACT, Marker
from occulta.schemes.reversible.plan import Origin, TablePlan, TableUse, origin_of, plan_lengths, spread
from occulta.schemes.reversible.recover import Restorer
from occulta.schemes.reversible.side import (
    DroppedSegment,
    DroppedTable,
    derive,
    encode_side,
    parse_side,
)

RESERVE = 64 * 8
"""Hidden bits one block can take, at most."""
IDLE_BLOCK = IDLE * 4096
NOTES_ROOM = 64
"""Bytes of notes that a plan reckons with while they are not known."""
SAFETY = 1 / 32
"""Share of hidden bits planned beyond need where the counts are only estimated."""
TAIL_SHARE = 4
"""Conclusions that each hold-back's length of the file must have room for."""
_RESTANDING_FILL = b"\xff"


def standing_again(
    tables: dict[Destination, HuffmanTable], out: dict[Destination, HuffmanTable], scan: Scan
) -> bytes:
    """The DHT segment a scan without hidden bits needs first, or none."""
    needed = [(*d, tables[d]) for d in scan.tables if out.get(d) != tables[d]]
    return _RESTANDING_FILL + dht_segment(needed) if needed else b""


class ExactMarker(Marker):
    """Marks by alternative Huffman codes."""

    profile = EXACT

    def __init__(
        self, source: HiddenSource, limits: Limits = DEFAULT_LIMITS, kernel: str | None = None
    ) -> None:
        super().__init__(source, limits, kernel)
        self._out_tables: dict[Destination, HuffmanTable] = {}
        self._own_before: dict[Destination, HuffmanTable] = dict(self.tables)
        self._tables = TranscodeTables()
        self._idle_bytes = 0
        self._planned: list[list[TablePlan]] | None = None
        self._rest_begun = 0

    # Scans.

    def begin_scan(self, group: list[Item], scan: Scan) -> ScanRun:
        run = ScanRun(scan, self.interval, self.mode, self.limits)
        self._refuse_marked(scan)
        plans = self._plan_scan(group, scan)
        if plans:
            self._begin_carrying(group, scan, plans)
        else:
            self._begin_plain(group, scan, run)
        self._own_before = dict(self.tables)
        run.state[layout.HIDDEN_POS] = self._queue.position
        return run

    def _refuse_marked(self, scan: Scan) -> None:
        if any(self.tables[d].has_repeats for d in scan.tables):
            raise OccultaError(Reason.ALREADY_MARKED, "the picture's tables repeat symbols")

    def _begin_plain(self, group: list[Item], scan: Scan, run: ScanRun) -> None:
        run.raw = scan.refinement
        if _looks_restanding(self, group, self._own_before, dict(self._out_tables), scan):
            raise OccultaError(Reason.ALREADY_MARKED, "a DHT segment like those of a marked file")
        for item in group:
            if item.marker == markers.DHT:
                define(self, self._out_tables, item)
        again = standing_again(self.tables, self._out_tables, scan)
        self._out_tables.update({d: self.tables[d] for d in scan.tables})
        self.put_items(group[:-1])
        self.put(again)
        self.put_items(group[-1:])
        if not run.raw:
            self._tables = identity_tables(self.tables, scan)

    def _begin_carrying(self, group: list[Item], scan: Scan, plans: list[TablePlan]) -> None:
        side = encode_side(self._dropped(group, plans))
        self._queue.prepend(side)
        self.side_bits += 8 * len(side)
        if self._concluded_at is not None:
            self._concluded_at += 8 * len(side)
        self.put_items([item for item in group[:-1] if item.marker != markers.DHT])
        marked = {plan.use.destination: plan.table() for plan in plans}
        self.put(dht_segment([(*d, table) for d, table in sorted(marked.items())]))
        self._out_tables.update(marked)
        self.put_items(group[-1:])
        self._tables = marking_tables(self.tables, marked, scan)

    def _dropped(self, group: list[Item], plans: list[TablePlan]) -> list[DroppedSegment]:
        """The group's DHT segments as side information; see side.py."""
        derived = {p.use.destination for p in plans if p.origin is Origin.DERIVED}
        segments = []
        gap = 0
        for item in group[:-1]:
            if item.marker != markers.DHT:
                gap += 1
                continue
            defined = parse_dht(self.buffer.copy(item.body, item_end(item)))
            fill = item.body - item.start - 4
            tables = tuple(self._dropped_table(*entry, derived) for entry in defined)
            segments.append(DroppedSegment(gap, fill, tables))
            gap = 0
        return segments

    def _dropped_table(
        self, kind: int, destination: int, table: HuffmanTable, derived: set[Destination]
    ) -> DroppedTable:
        for origin in (Origin.ANNEX_K_0, Origin.ANNEX_K_1):
            if table == ANNEX_K[kind, int(origin)]:
                return DroppedTable(kind, destination, origin, table)
        if (kind, destination) in derived and self.tables[kind, destination] == table:
            return DroppedTable(kind, destination, Origin.DERIVED, None)
        return DroppedTable(kind, destination, Origin.LITERAL, table)

    # Plans.

    def _plan_scan(self, group: list[Item], scan: Scan) -> list[TablePlan]:
        """The plans of a scan's tables; none if the scan shall carry nothing."""
        if scan.refinement or not scan.tables:
            self._rest_begun += self._planned is not None
            return []
        if self._planned is not None:
            plans = self._planned[self._rest_begun]
            self._rest_begun += 1
            return plans
        survey, share, complete = self._look_ahead(item_end(group[-1]), scan)
        plans = [plan_lengths(use) for use in _uses(survey, share, complete)]
        needed = self._needed_ahead(scan, survey, len(encode_side(self._dropped(group, plans))))
        spread(plans, needed)
        return plans if any(plan.bits for plan in plans) else []

    def _look_ahead(self, start: int, scan: Scan) -> tuple[ScanSurvey, float, bool]:
        """Count symbols up to `hold_back` bytes ahead; (counts, share of the scan, all of it)."""
        item = next(i for i in self.buffer.items if i.kind is ItemKind.SCAN)
        end = start + self.limits.hold_back
        complete = item.end is not None and item.end <= end
        counter = Survey(self.limits, self.kernel_choice)
        counter.frame, counter.interval, counter.tables = self.frame, self.interval, self.tables
        stop = item_end(item) if complete else end
        counter.buffer = JpegBuffer.of_scan(
            self.limits, self.buffer.copy(start, stop), complete
        )
        counter.run = counter.begin_scan([], scan)
        counter.advance(NO_LIMIT if complete else self.limits.hold_back - MARGIN)
        survey = counter.scans[0]
        if counter.run is not None:
            survey.blocks = counter.run.blocks_done
        return survey, survey.blocks / scan.total_blocks, complete

    def _needed_ahead(self, scan: Scan, survey: ScanSurvey, side: int) -> int | None:
        """Hidden bits to plan for while the end of the file is not in view."""
        remaining = self._source.remaining()
        if remaining is None:
            return None
        conclusion = self._source.conclusion_size(NOTES_ROOM)
        bits = self._queue.available + 8 * (remaining + side + conclusion)
        windows = max(1.0, scan.total_blocks / max(1, survey.blocks))
        return max(int(bits * (1 + SAFETY)), int(8 * conclusion * TAIL_SHARE * windows))

    def _prepare_rest(self, survey: Survey) -> None:
        """With the rest of the file in view: plan the scans that have not begun."""
        begun = 0
        self._drop_idle()
        self._queue_everything()
        missing = self._queue.available
        scans = survey.scans
        if self.run is not None:
            missing -= self._capacity_of(scans[0])
            begun = 1
        self._planned = self._plan_rest(scans[begun:], missing)

    def _capacity_of(self, survey: ScanSurvey) -> int:
        """Hidden bits that the rest of the scan under way can still carry."""
        total = 0
        for destination in survey.scan.tables:
            marked = self._out_tables[destination]
            for symbol, count in enumerate(survey.counts(destination)):
                if count:
                    total += count * (marked.symbols.count(symbol).bit_length() - 1)
        return total

    def _plan_rest(self, scans: list[ScanSurvey], missing: int) -> list[list[TablePlan]]:
        """Plans per scan; as few scans as will do carry, those with most symbols first."""
        planned: list[list[TablePlan]] = [[] for _ in scans]
        if missing <= 0:
            return planned
        able = [i for i, s in enumerate(scans) if not s.scan.refinement and s.scan.tables]
        able.sort(key=lambda i: (-sum(scans[i].histogram), i))
        for count in range(1, len(able) + 1):
            chosen = sorted(able[:count])
            fresh = {i: [plan_lengths(use) for use in _uses(scans[i], 1, True)] for i in chosen}
            together = [plan for i in chosen for plan in fresh[i]]
            needed = missing + sum(8 * _side_bound(scans[i]) for i in chosen)
            if spread(together, needed) >= needed or count == len(able):
                for i in chosen:
                    planned[i] = fresh[i] if any(plan.bits for plan in fresh[i]) else []
                break
        return planned

    # Hidden bits.

    def run_kernel(self, run: ScanRun, src: memoryview, out: memoryview) -> int:
        run.params[layout.HIDDEN_LIMIT] = (
            self._queue.position + self._queue.available - RESERVE
        )
        status = run_transcode(self, self._tables, run, src, out, self._queue.buffer())
        self._take_hidden(run)
        return status

    def need_hidden(self, run: ScanRun) -> None:
        if not self._refill():
            self._queue.append(IDLE_BLOCK)
            self._idle_bytes += len(IDLE_BLOCK)

    def _drop_idle(self) -> None:
        if self._idle_bytes:
            self._queue.cut(self._idle_bytes)


def _side_bound(survey: ScanSurvey) -> int:
    """Bytes of side information of a scan, at most."""
    size = 1
    for segment in survey.defined:
        size += 4 + len(segment)
        for kind, destination, table in segment:
            origin = origin_of(table)
            used = (kind, destination) in survey.scan.tables
            if origin is Origin.LITERAL or (origin is Origin.DERIVED and not used):
                size += len(table.to_bytes())
    return size


def _uses(survey: ScanSurvey, share: float, complete: bool) -> list[TableUse]:
    scale = 1 / share if share else 1
    uses = []
    for destination in survey.scan.tables:
        counts = [int(count * scale) for count in survey.counts(destination)]
        uses.append(TableUse(destination, survey.tables[destination], counts, complete))
    return uses


def run_transcode(
    engine: Marker | Restorer, tables: TranscodeTables, run: ScanRun, src: memoryview,
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
        return CodeWord(symbol, code, 0)
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
            if own is not None and symbol not in own:
                length = 0  # the original cannot hold it: an invalid code
            words.append(CodeWord(symbol, code, length, *out, bits, value))
        built.set_slot(kind, destination, table, words, scan.progressive)
    return built


def _choice_bits(table: HuffmanTable, symbol: int) -> int:
    codes = table.symbols.count(symbol)
    bits = codes.bit_length() - 1
    if codes != 1 << bits or bits > 7:
        raise OccultaError(Reason.BAD_HIDDEN_DATA, "a marked table has an impossible choice")
    return bits


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
        if _looks_restanding(self, group, own, standing, scan):
            del kept[-2]
        for item in kept:
            if item.marker == markers.DHT:
                define(self, self._own, item)
                define(self, self._standing, item)
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
        self._tables = unmarking_tables(self.tables, self._own, scan)
        self._side_left = probe.size

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
        state, params = self.run.state, self.run.params
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


def define(
    engine: StreamEngine, tables: dict[Destination, HuffmanTable], item: Item
) -> None:
    """Enter the tables of a DHT segment."""
    for kind, destination, table in parse_dht(engine.buffer.copy(item.body, item_end(item))):
        tables[kind, destination] = table


def _looks_restanding(
    engine: StreamEngine, group: list[Item], own: dict[Destination, HuffmanTable],
    standing: dict[Destination, HuffmanTable], scan: Scan,
) -> bool:
    """True if the segment before SOS is one that `standing_again` made.

    `own` and `standing` are what stood before the group; they are used up.
    """
    if len(group) < 2 or group[-2].marker != markers.DHT:
        return False
    for item in group[:-2]:
        if item.marker == markers.DHT:
            define(engine, own, item)
            define(engine, standing, item)
    if any(d not in own for d in scan.tables):
        return False
    last = engine.buffer.copy(group[-2].start, item_end(group[-2]))
    return last == standing_again(own, standing, scan)
