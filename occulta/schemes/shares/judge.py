"""A damaged segment of rows of cells: which of its cells are damaged, by the hashes that were sent.

Decoding goes on at restart markers that begin a row of cells once it lost step (restarts.py).
Rows behind the damage are right where their hashes say so, in whatever way decoding came there.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, chain, zip_longest
from typing import NamedTuple

from occulta.codec.jpeg.cells import HASH_SIZE, CellDecoder, Cut
from occulta.schemes.shares.cellset import CellSet
from occulta.schemes.shares.comparison import Cells
from occulta.schemes.shares.damage import Rows
from occulta.schemes.shares.regions import Regions
from occulta.schemes.shares.restarts import Run, restarts
from occulta.schemes.shares.segments import Segment


class Judged(NamedTuple):
    """A segment, its damaged cells, and rows that decode to what was sent."""

    segment: Segment
    cells: CellSet
    whole: list[Run]


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

    @property
    def hashed(self) -> CellSet:
        """The cells that have a hash."""
        grid = self.geometry.grid
        return CellSet(
            range(row * grid.columns + run.start, row * grid.columns + run.stop)
            for row in range(grid.rows) for run in self._regions.columns(row, grid.columns)
        )

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
        cells = Cells(self.geometry, self._regions, self._before, segment, cut)
        whole: list[Run] = []
        shown: set[int] = set()
        first = Run(cut, 0, len(segment.data), segment.mcus)
        for run in chain([first], restarts(self._decoder, segment, cut)):
            if not shown.issuperset(self._bands(run)):
                whole += self._compared(run, segment, cells, shown)
        return Judged(segment, cells.damaged(), whole)

    def _bands(self, run: Run) -> range:
        """The first MCU of each band of a run."""
        step = self.geometry.lines * self.geometry.across
        return range(run.cut.mcu, run.cut.mcu + run.mcus, step)

    def _compared(
        self, run: Run, segment: Segment, cells: Cells, shown: set[int]
    ) -> list[Run]:
        """Decode a run and take what fits; returns the rows of it that are shown.

        Without regions of interest those that are right and not in `shown` (bands by their first
        MCU) yet, which are entered there. With regions rows of which some cells are right: nothing
        vouches for what is outside the regions.
        """
        decoded = self._decoder.decode(run.cut, segment.data[run.start : run.stop], run.mcus)
        fits = cells.compare(run.cut, decoded.hashes)
        if self._regions.rectangles:
            return [self._partly_right(run, decoded.hashes, cells)]
        return list(self._right(run, decoded.bands, fits, shown))

    def _right(
        self, run: Run, bands: list[tuple[int, Cut]], fits: list[bool], shown: set[int]
    ) -> Iterator[Run]:
        """Stretches of whole rows that fit.

        Behind damage each begins in the state in which decoding came there. Hashes cover the values
        themselves, DC values with what was predicted: where all of them fit, that state is right.
        """
        geometry = self.geometry
        found: Run | None = None
        for at, (start, cut) in enumerate(bands):
            mcus = geometry.band_mcus(cut.mcu)
            rows = geometry.row_of(cut.mcu + mcus) - geometry.row_of(cut.mcu)
            fitting = fits[at * geometry.band_rows :][:rows]
            if cut.mcu not in shown and len(fitting) == rows and all(fitting):
                shown.add(cut.mcu)
                found = found or Run(cut, run.start + start, run.stop, 0)
                found = found._replace(mcus=found.mcus + mcus)
            elif found is not None:
                yield found._replace(stop=run.start + start)
                found = None
        if found is not None:
            yield found

    def _partly_right(self, run: Run, hashes: bytes, cells: Cells) -> Run:
        right = cells.right(run.cut, hashes)
        first = self.geometry.first_cell(run.cut)
        end = right.runs[-1].stop - first if right else 0
        mcus = self._whole_mcus(run, len(hashes) // HASH_SIZE)
        band = self.geometry.band_rows * self.geometry.grid.columns
        needed = -(-end // band) * self.geometry.band_mcus(run.cut.mcu)
        return run._replace(mcus=min(mcus, needed), right=right)

    def _whole_mcus(self, run: Run, cells: int) -> int:
        """How many MCUs of a run, whole rows, hold nothing but its first `cells` cells."""
        geometry = self.geometry
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
        for run in _apart(judged.whole):
            if not run.mcus or run.cut.mcu < at:
                continue
            if run.cut.mcu > at:
                yield self.lost(judged.cells, at, run.cut.mcu)
            yield self._shown(run, segment, judged.cells)
            at = run.cut.mcu + run.mcus
        if at < end:
            yield self.lost(judged.cells, at, end)

    def _shown(self, run: Run, segment: Segment, cells: CellSet) -> Rows:
        data = segment.data[run.start : run.stop]
        if run.right is None:
            return Rows(run.cut, run.mcus, data)
        span = self.span(run.cut.mcu, run.cut.mcu + run.mcus)
        return Rows(run.cut, run.mcus, data, cells.within(*span), run.right.within(*span))

    def lost(self, cells: CellSet, start: int, end: int) -> Rows:
        """MCUs that cannot be shown, and which of their cells are damaged."""
        return Rows(_at(start), end - start, None, cells.within(*self.span(start, end)))

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The cells [first, behind last) of rows of MCUs."""
        columns, row_of = self.geometry.grid.columns, self.geometry.row_of
        return row_of(start) * columns, row_of(end) * columns


def _apart(runs: list[Run]) -> Iterator[Run]:
    """In order; one of which only some cells are right ends where the next such one begins."""
    best: dict[int, Run] = {}
    for run in runs:
        known = best.get(run.cut.mcu)
        if run.mcus and (known is None or len(run.right or ()) > len(known.right or ())):
            best[run.cut.mcu] = run
    ordered = sorted(best.values(), key=lambda each: each.cut.mcu)
    for run, following in zip_longest(ordered, ordered[1:]):
        if run.right is not None and following is not None:
            yield run._replace(mcus=min(run.mcus, following.cut.mcu - run.cut.mcu))
        else:
            yield run


def _at(mcu: int) -> Cut:
    """A place of which nothing else is known."""
    return Cut(mcu, 0, 0, (0, 0, 0, 0), 0, 0)
