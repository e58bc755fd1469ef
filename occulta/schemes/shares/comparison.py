"""The cells of a damaged segment beside the hashes that were sent of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from operator import and_

from occulta.codec.jpeg.cells import HASH_SIZE, Cut, Geometry
from occulta.schemes.shares.cellset import MAX_RUNS, CellSet
from occulta.schemes.shares.regions import Regions
from occulta.schemes.shares.segments import Segment

_GOOD, _BAD = b"\0", b"\1"


class Cells:
    """Of each cell of a segment whether anything that was decoded has its hash."""

    def __init__(
        self, geometry: Geometry, regions: Regions, before: list[int], segment: Segment, cut: Cut
    ) -> None:
        """`before`: per row of cells the hashes sent before it; `cut`: that of the segment."""
        self._geometry = geometry
        self._regions = regions
        self._sent = segment.hashes
        self._before = before
        self._first = geometry.first_cell(cut)
        self._skipped = before[geometry.row_of(cut.mcu)]
        self._runs_left = MAX_RUNS
        self._flags = bytearray(_BAD) * geometry.cells_in(cut, segment.mcus)

    def compare(self, cut: Cut, hashes: bytes) -> list[bool]:
        """Take what was decoded from a cut on; returns of each row whether it fits as a whole."""
        width = HASH_SIZE * self._geometry.grid.columns
        return [
            self._compare_row(row, hashes[at : at + width])
            for row, at in enumerate(range(0, len(hashes), width), self._geometry.row_of(cut.mcu))
        ]

    def _compare_row(self, row: int, hashes: bytes) -> bool:
        columns, count = self._geometry.grid.columns, len(hashes) // HASH_SIZE
        fitting = bytearray(_GOOD) * count
        for column, fits in self._matches(row, hashes):
            fitting[column] = not fits
        base = row * columns - self._first
        known = self._flags[base : base + count]
        self._flags[base : base + count] = bytes(map(and_, known, fitting))
        return count == columns and _BAD not in fitting

    def right(self, cut: Cut, hashes: bytes) -> CellSet:
        """Of the cells decoded from a cut on those that have the hash which was sent.

        Not all of them where that takes more than MAX_RUNS runs in the whole segment.
        """
        found = list(islice(filter(None, self._right_runs(cut, hashes)), self._runs_left))
        self._runs_left -= len(found)
        return CellSet(found)

    def _right_runs(self, cut: Cut, hashes: bytes) -> Iterator[range]:
        columns = self._geometry.grid.columns
        width = HASH_SIZE * columns
        for row, at in enumerate(range(0, len(hashes), width), self._geometry.row_of(cut.mcu)):
            start = stop = row * columns
            for column, fits in self._matches(row, hashes[at : at + width]):
                cell = row * columns + column
                if fits and cell == stop:
                    stop += 1
                elif fits:
                    yield range(start, stop)
                    start, stop = cell, cell + 1
            yield range(start, stop)

    def _matches(self, row: int, hashes: bytes) -> Iterator[tuple[int, bool]]:
        """Columns of a row that were decoded and have a hash, and whether it is theirs."""
        count = len(hashes) // HASH_SIZE
        at = HASH_SIZE * (self._before[row] - self._skipped)
        for run in self._regions.columns(row, self._geometry.grid.columns):
            for column in range(run.start, min(run.stop, count)):
                sent = self._sent[at + HASH_SIZE * (column - run.start) :][:HASH_SIZE]
                yield column, hashes[HASH_SIZE * column :][:HASH_SIZE] == sent
            at += HASH_SIZE * len(run)

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
