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

from collections import deque
from dataclasses import dataclass

from occulta.codec.jpeg import entropy_kernel as layout
from occulta.codec.jpeg import markers
from occulta.codec.jpeg.engine import MARGIN, NO_LIMIT, Destination, ScanRun, item_end
from occulta.codec.jpeg.headers import Scan
from occulta.codec.jpeg.huffman import HuffmanTable, dht_segment, parse_dht
from occulta.codec.jpeg.structure import Item, ItemKind, JpegBuffer
from occulta.codec.jpeg.survey import ScanSurvey, Survey
from occulta.codec.jpeg.tables import TranscodeTables
from occulta.errors import OccultaError, Reason
from occulta.limits import DEFAULT_LIMITS, Limits
from occulta.schemes.reversible.codes import (
    RESERVE,
    choices_of,
    identity_tables,
    marking_tables,
    run_transcode,
)
from occulta.schemes.reversible.hidden import IDLE, HiddenSource
from occulta.schemes.reversible.mark import EXACT, Marker
from occulta.schemes.reversible.plan import (
    Origin,
    TablePlan,
    TableUse,
    origin_of,
    plan_lengths,
    spread,
    spread_elastic,
)
from occulta.schemes.reversible.side import DroppedSegment, DroppedTable, encode_side
from occulta.schemes.reversible.standing import define, looks_restanding, standing_again

IDLE_BLOCK = IDLE * 4096
NOTES_ROOM = 64
"""Bytes of notes that a plan reckons with while they are not known."""
SAFETY = (1 / 12, 1 / 4, 1)
"""Share of hidden bits planned beyond need, per effort, where the counts are only estimated."""
TAIL_SHARE = 2
"""Conclusions that each hold-back's length of the file must have room for."""


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
        self._side_end = 0
        self._planned: deque[list[TablePlan]] | None = None
        """Plans of the scans that have not begun, once the whole file is in view."""

    # Scans.

    def begin_scan(self, group: list[Item], scan: Scan) -> ScanRun:
        run = ScanRun(scan, self.interval, self.mode, self.limits)
        plans = self._plan_scan(group, scan)
        if plans:
            self._begin_carrying(group, scan, plans)
        else:
            self._begin_plain(group, scan, run)
        self._own_before = dict(self.tables)
        run.state[layout.HIDDEN_POS] = self._queue.position
        return run

    def _begin_plain(self, group: list[Item], scan: Scan, run: ScanRun) -> None:
        run.raw = scan.refinement
        if looks_restanding(self, group, self._own_before, dict(self._out_tables), scan):
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
        self._drop_idle()  # what follows must not be taken for idle bytes later
        self._queue.prepend(side)
        self._side_end = self._queue.taken + 8 * len(side)
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
        origin = origin_of(table, kind)
        if origin in (Origin.ANNEX_K_0, Origin.ANNEX_K_1):
            return DroppedTable(kind, destination, origin, table)
        if (kind, destination) in derived and self.tables[kind, destination] == table:
            return DroppedTable(kind, destination, Origin.DERIVED, None)
        return DroppedTable(kind, destination, Origin.LITERAL, table)

    # Plans.

    def _plan_scan(self, group: list[Item], scan: Scan) -> list[TablePlan]:
        """The plans of a scan's tables; none if the scan shall carry nothing."""
        if self._planned is not None:
            return self._planned.popleft()
        if scan.refinement or not scan.tables:
            return []
        survey, share, complete = self._look_ahead(item_end(group[-1]), scan)
        plans = [plan_lengths(use) for use in _uses(survey, share, complete)]
        side = len(encode_side(self._dropped(group, plans)))
        needed = self._needed_ahead(scan, survey, side, complete)
        safety = SAFETY[self._source.effort]
        if complete or needed is None or not spread_elastic(plans, needed, safety / (1 + safety)):
            spread(plans, needed)
        return plans if _carries_side(plans, 8 * side) else []

    def _look_ahead(self, start: int, scan: Scan) -> tuple[ScanSurvey, float, bool]:
        """Count symbols up to `hold_back` bytes ahead; (counts, share of the scan, all of it)."""
        item = next(i for i in self.buffer.items if i.kind is ItemKind.SCAN)
        # A scan's end is known once its marker was fed: look no further than it surely was.
        end = start + self.limits.hold_back - self.limits.max_fill_bytes - 2
        complete = item.end is not None and item.end <= end
        counter = Survey(self.limits, self.kernel_choice)
        counter.frame, counter.interval, counter.tables = self.frame, self.interval, self.tables
        stop = item_end(item) if complete else end
        counter.buffer = JpegBuffer.of_scan(
            self.limits, self.buffer.copy(start, stop), complete
        )
        counter.run = counter.begin_scan([], scan)
        counter.advance(NO_LIMIT if complete else end - start - MARGIN)
        survey = counter.scans[0]
        if counter.run is not None:
            survey.blocks = counter.run.blocks_done
        return survey, survey.blocks / scan.total_blocks, complete

    def _needed_ahead(
        self, scan: Scan, survey: ScanSurvey, side: int, complete: bool
    ) -> int | None:
        """Hidden bits to plan for while the end of the file is not in view."""
        remaining = self._source.remaining()
        if remaining is None:
            return None
        conclusion = self._source.conclusion_size(NOTES_ROOM)
        bits = self._queue.available + 8 * (remaining + side + conclusion)
        windows = max(1.0, scan.total_blocks / max(1, survey.blocks))
        safety = 0 if complete else SAFETY[self._source.effort]
        return max(int(bits * (1 + safety)), int(8 * conclusion * TAIL_SHARE * windows))

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
        self._planned = deque(self._plan_rest(scans[begun:], missing))

    def _capacity_of(self, survey: ScanSurvey) -> int:
        """Hidden bits that the rest of the scan under way can still carry, at the least."""
        total = 0
        for destination in survey.scan.tables:
            choices = choices_of(self._out_tables[destination])
            for symbol, count in enumerate(survey.counts(destination)):
                if count:
                    total += count * choices[symbol][0].bits
        return total

    def _plan_rest(self, scans: list[ScanSurvey], missing: int) -> list[list[TablePlan]]:
        """Plans per scan; as few scans as will do carry, those with most symbols first."""
        planned: list[list[TablePlan]] = [[] for _ in scans]
        if missing <= 0:
            return planned
        able = {i: _Able.of(survey) for i, survey in enumerate(scans) if survey.scan.tables}
        order = [i for i, found in able.items() if found.most >= found.side]
        order.sort(key=lambda i: (-sum(scans[i].histogram), i))
        for count in range(_least_count([able[i] for i in order], missing), len(order) + 1):
            chosen = [able[i] for i in sorted(order[:count])]
            needed = missing + sum(found.side for found in chosen)
            together = [plan for found in chosen for plan in found.plans]
            if spread(together, needed) >= needed or count == len(order):
                for i in order[:count]:
                    planned[i] = able[i].plans if _carries_side(able[i].plans, able[i].side) else []
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

    def end_scan(self, run: ScanRun) -> None:
        if self._queue.taken < self._side_end:
            raise OccultaError(Reason.DOES_NOT_FIT, "a scan cannot carry what tells its tables")

    def _drop_idle(self) -> None:
        self._queue.cut(self._idle_bytes)
        self._idle_bytes = 0


@dataclass(frozen=True, slots=True)
class _Able:
    """What a scan in view can do: plans, the most bits they carry, its side information's bits."""

    plans: list[TablePlan]
    most: int
    side: int

    @classmethod
    def of(cls, survey: ScanSurvey) -> _Able:
        if survey.scan.refinement:
            return cls([], 0, 1)
        plans = [plan_lengths(use) for use in _uses(survey, 1, True)]
        return cls(plans, spread(plans, None), 8 * _side_bound(survey))


def _least_count(able: list[_Able], missing: int) -> int:
    """How many of the scans, in order, can possibly carry what is missing; at least one."""
    for count, found in enumerate(able, 1):
        missing -= found.most - found.side
        if missing <= 0:
            return count
    return max(1, len(able))


def _carries_side(plans: list[TablePlan], bits: int) -> bool:
    """Raise the plans of one scan to the most they can where they would not carry `bits`.

    False if they carry nothing or not even that.
    """
    if not any(plan.carries for plan in plans):
        return False
    return sum(plan.capacity for plan in plans) >= bits or spread(plans, None) >= bits


def _side_bound(survey: ScanSurvey) -> int:
    """Bytes of side information of a scan, at most."""
    size = 1
    for segment in survey.defined:
        size += 4 + len(segment)
        for kind, destination, table in segment:
            origin = origin_of(table, kind)
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
