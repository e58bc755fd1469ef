"""A damaged segment of rows of cells: which of its cells are damaged, by the hashes that were sent.

Decoding goes on at restart markers that begin a row of cells once it lost step; which restart a
marker is, its own number (modulo 8) and its place among the others say, counted from the front of
the segment and from its end. A wrong guess does no harm: the hashes tell.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import accumulate, pairwise
from operator import and_
from typing import NamedTuple

from occulta.codec.jpeg.cells import HASH_SIZE, CellDecoder, Cut, Geometry
from occulta.schemes.shares.cellset import CellSet
from occulta.schemes.shares.damage import Rows
from occulta.schemes.shares.regions import Regions
from occulta.schemes.shares.segments import Segment

_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_AROUND = 8
"""Restart markers are numbered modulo 8."""
_MOST_MARKERS = 1 << 16
_GOOD, _BAD = b"\0", b"\1"


class _Run(NamedTuple):
    """Rows of cells that begin at a byte of a segment and go on up to another."""

    cut: Cut
    start: int
    stop: int
    mcus: int


class Judged(NamedTuple):
    """A segment, its damaged cells, and rows that decode to what was sent."""

    segment: Segment
    cells: CellSet
    whole: list[_Run]


class Judge:
    """Knows a picture and which of its cells have hashes."""

    def __init__(self, decoder: CellDecoder, regions: Regions) -> None:
        self.geometry = decoder.geometry
        self._decoder = decoder
        self._regions = regions
        grid = self.geometry.grid
        counts = (sum(map(len, regions.columns(row, grid.columns))) for row in range(grid.rows))
        self._before = list(accumulate(counts, initial=0))
        """Per row of cells the hashes sent before it."""

    def fits(self, segment: Segment) -> bool:
        """Whether a satellite can have written such a segment of whole rows of cells."""
        cut = segment.cut
        if cut is None or not self.holds(cut.mcu, segment.mcus):
            return False
        first, end = map(self.geometry.row_of, (cut.mcu, cut.mcu + segment.mcus))
        return HASH_SIZE * (self._before[end] - self._before[first]) == len(segment.hashes)

    def holds(self, mcu: int, mcus: int) -> bool:
        """Whether these MCUs are whole rows of the picture."""
        geometry, end = self.geometry, mcu + mcus
        is_end = end == geometry.mcus or geometry.begins_row(end)
        return mcus > 0 and geometry.begins_row(mcu) and is_end

    def judge(self, segment: Segment) -> Judged | None:
        """The damaged cells of a segment whose hashes are right; None if it cannot be one.

        Of cells outside the regions of interest only those are damaged that were not decoded.
        """
        cut = segment.cut
        if cut is None or not self.fits(segment):
            return None
        cells = _Cells(self.geometry, self._regions, self._before, segment, cut)
        whole = [self._compared(_Run(cut, 0, len(segment.data), segment.mcus), segment, cells)]
        shown = cut.mcu + whole[0].mcus
        for run in _restarts(self._decoder, segment, cut):
            if run.cut.mcu >= shown or cells.are_damaged(run.cut, run.mcus):
                whole.append(self._compared(run, segment, cells))
        return Judged(segment, cells.damaged(), whole)

    def _compared(self, run: _Run, segment: Segment, cells: _Cells) -> _Run:
        """Decode a run and take what fits; returned with the MCUs that it shows."""
        data = segment.data[run.start : run.stop]
        found = cells.compare(run.cut, self._decoder.decode(run.cut, data, run.mcus).hashes)
        return run._replace(mcus=self._whole_mcus(run, found))

    def _whole_mcus(self, run: _Run, cells: int) -> int:
        """How many MCUs of a run, whole rows, hold nothing but its first `cells` cells.

        None where there are regions of interest: nothing vouches for what is outside them.
        """
        geometry = self.geometry
        if self._regions.rectangles:
            return 0
        if cells >= geometry.cells_in(run.cut, run.mcus):
            return run.mcus
        band = geometry.band_rows * geometry.grid.columns
        return cells // band * geometry.band_mcus(run.cut.mcu)

    def rows(self, judged: Judged) -> Iterator[Rows]:
        """A segment in runs of MCUs: those that verify and those that do not, in order."""
        segment = judged.segment
        if segment.cut is None:
            return
        at, end = segment.cut.mcu, segment.cut.mcu + segment.mcus
        for run in sorted(judged.whole, key=lambda each: each.cut.mcu):
            if not run.mcus or run.cut.mcu < at:
                continue
            if run.cut.mcu > at:
                yield self.lost(judged.cells, at, run.cut.mcu)
            yield Rows(run.cut, run.mcus, segment.data[run.start : run.stop])
            at = run.cut.mcu + run.mcus
        if at < end:
            yield self.lost(judged.cells, at, end)

    def lost(self, cells: CellSet, start: int, end: int) -> Rows:
        """MCUs that cannot be shown, and which of their cells are damaged."""
        return Rows(_at(start), end - start, None, cells.within(*self.span(start, end)))

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The cells [first, behind last) of rows of MCUs."""
        columns, row_of = self.geometry.grid.columns, self.geometry.row_of
        return row_of(start) * columns, row_of(end) * columns


class _Cells:
    """Of each cell of a segment whether anything that was decoded has its hash."""

    def __init__(
        self, geometry: Geometry, regions: Regions, before: list[int], segment: Segment, cut: Cut
    ) -> None:
        self._geometry = geometry
        self._regions = regions
        self._sent = segment.hashes
        self._before = before
        self._first = geometry.first_cell(cut)
        self._skipped = before[geometry.row_of(cut.mcu)]
        self._flags = bytearray(_BAD) * geometry.cells_in(cut, segment.mcus)

    def compare(self, cut: Cut, hashes: bytes) -> int:
        """Take what was decoded from a cut on; returns how many cells fit before one does not."""
        width = HASH_SIZE * self._geometry.grid.columns
        fitting, unbroken = 0, True
        for row, at in enumerate(range(0, len(hashes), width), self._geometry.row_of(cut.mcu)):
            decoded = hashes[at : at + width]
            found = self._compare_row(row, decoded)
            fitting += found if unbroken else 0
            unbroken = unbroken and found * HASH_SIZE == width
        return fitting

    def _compare_row(self, row: int, hashes: bytes) -> int:
        columns, count = self._geometry.grid.columns, len(hashes) // HASH_SIZE
        at = HASH_SIZE * (self._before[row] - self._skipped)
        fitting = bytearray(_GOOD) * count
        for run in self._regions.columns(row, columns):
            for column in range(run.start, min(run.stop, count)):
                sent = self._sent[at + HASH_SIZE * (column - run.start) :][:HASH_SIZE]
                fitting[column] = hashes[HASH_SIZE * column :][:HASH_SIZE] != sent
            at += HASH_SIZE * len(run)
        base = row * columns - self._first
        known = self._flags[base : base + count]
        self._flags[base : base + count] = bytes(map(and_, known, fitting))
        first = fitting.find(_BAD)
        return count if first < 0 else first

    def are_damaged(self, cut: Cut, mcus: int) -> bool:
        """Whether any cell of some rows is still damaged."""
        start = self._geometry.first_cell(cut) - self._first
        return self._flags.find(_BAD, start, start + self._geometry.cells_in(cut, mcus)) >= 0

    def damaged(self) -> CellSet:
        """Those that fit nowhere."""
        return CellSet(self._runs())

    def _runs(self) -> Iterator[range]:
        start = self._flags.find(_BAD)
        while start >= 0:
            stop = self._flags.find(_GOOD, start)
            stop = len(self._flags) if stop < 0 else stop
            yield range(self._first + start, self._first + stop)
            start = self._flags.find(_BAD, stop)


# Restart markers.


def _restarts(decoder: CellDecoder, segment: Segment, cut: Cut) -> Iterator[_Run]:
    """Rows of cells that begin behind a restart marker, up to the next such place."""
    interval = decoder.restart_interval
    if not interval or segment.mcus < cut.interval_left:
        return
    count = 1 + (segment.mcus - cut.interval_left) // interval
    found = _RESTART.finditer(segment.data)
    most = min(count + _AROUND, _MOST_MARKERS)
    first: list[re.Match[bytes]] = []
    last = deque[re.Match[bytes]](maxlen=most)
    for marker in found:
        if len(first) < most:
            first.append(marker)
        last.append(marker)
    for numbered in (_forward(first, cut, count), _backward(last, cut, count)):
        yield from _rows_behind(numbered, decoder, segment, cut)


def _forward(
    markers: Iterable[re.Match[bytes]], cut: Cut, count: int
) -> list[tuple[int, int]]:
    """The number of each restart, counted from the first, and where its marker ends."""
    numbered, expected = [], 0
    for marker in markers:
        number = expected + (marker[0][1] - cut.next_restart - expected) % _AROUND
        if number >= count:
            break
        numbered.append((number, marker.end()))
        expected = number + 1
    return numbered


def _backward(
    markers: deque[re.Match[bytes]], cut: Cut, count: int
) -> list[tuple[int, int]]:
    """The same, counted from the last."""
    numbered, expected = [], count - 1
    for marker in reversed(markers):
        number = expected - (cut.next_restart + expected - marker[0][1]) % _AROUND
        if number < 0:
            break
        numbered.append((number, marker.end()))
        expected = number - 1
    return numbered[::-1]


def _rows_behind(
    numbered: list[tuple[int, int]], decoder: CellDecoder, segment: Segment, cut: Cut
) -> Iterator[_Run]:
    interval, end = decoder.restart_interval, cut.mcu + segment.mcus
    places = [
        (cut.mcu + cut.interval_left + number * interval, at, cut.next_restart + number + 1)
        for number, at in numbered
    ]
    begun = [each for each in places if decoder.geometry.begins_row(each[0]) and each[0] < end]
    begun.append((end, len(segment.data), 0))
    for (mcu, start, number), (following, stop, _) in pairwise(begun):
        behind = Cut(mcu, 0, 0, (0, 0, 0, 0), interval, number % _AROUND)
        yield _Run(behind, start, stop, following - mcu)


def _at(mcu: int) -> Cut:
    """A place of which nothing else is known."""
    return Cut(mcu, 0, 0, (0, 0, 0, 0), 0, 0)
