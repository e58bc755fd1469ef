"""Where the 16x16-pixel cells of a picture lie among the MCUs of its only scan.

A row of cells can begin only where a row of MCUs does. With 16 lines in a row of MCUs each begins
one row of cells, with 8 every second does; 24 and 32 lines (rare sampling factors) hold three rows
of cells in two rows of MCUs, and two in one. Such a group is called a band here: the smallest
stretch of a scan that can be cut out.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from occulta.codec.jpeg.headers import Component, Frame

SIDE = 16
"""Pixels across and down a cell."""
_BLOCK = 8
_LINES = {8: 2, 16: 1, 24: 2, 32: 1}
"""Rows of MCUs in a band, by the height of an MCU in pixels."""


class Grid(NamedTuple):
    """Cells of a whole picture."""

    columns: int
    rows: int

    @classmethod
    def of(cls, frame: Frame) -> Grid:
        """The cells of a frame whose height is known."""
        return cls(-(-frame.width // SIDE), -(-frame.height // SIDE))


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a row of cells begins: all that decoding from here on needs besides the headers."""

    mcu: int
    """MCUs of the scan before it."""
    bit: int
    """0..7: how many leading bits of `byte` belong to the row before."""
    byte: int
    """The byte shared with the row before; 0 where `bit` is 0."""
    predictors: tuple[int, int, int, int]
    """DC predictors per component of the scan, -32768..32767, 0 for absent ones."""
    interval_left: int
    """MCUs until the next restart marker; 0 without restart interval."""
    next_restart: int
    """0..7: the restart marker that comes next."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """MCUs and cells of a picture in one interleaved scan; sizes of an MCU in pixels."""

    grid: Grid
    across: int
    """MCUs in a row of MCUs."""
    down: int
    """Rows of MCUs."""
    mcu_width: int
    mcu_height: int

    @property
    def mcus(self) -> int:
        """MCUs of the scan."""
        return self.across * self.down

    @property
    def lines(self) -> int:
        """Rows of MCUs in a band."""
        return _LINES[self.mcu_height]

    @property
    def band_rows(self) -> int:
        """Rows of cells in a band."""
        return self.lines * self.mcu_height // SIDE

    def row_of(self, mcu: int) -> int:
        """The row of cells that the top of an MCU lies in; `grid.rows` behind the last MCU."""
        if mcu >= self.mcus:
            return self.grid.rows
        return mcu // self.across * self.mcu_height // SIDE

    def begins_row(self, mcu: int) -> bool:
        """True if the scan can be cut before this MCU."""
        return 0 <= mcu < self.mcus and mcu % (self.lines * self.across) == 0

    def band_mcus(self, mcu: int) -> int:
        """MCUs of the band that begins at an MCU; the last one may be shorter."""
        return min(self.lines * self.across, self.mcus - mcu)

    def first_cell(self, cut: Cut) -> int:
        """Number (row by row) of the first cell behind a cut."""
        return self.row_of(cut.mcu) * self.grid.columns

    def cells_in(self, cut: Cut, mcus: int) -> int:
        """How many cells whole bands of `mcus` MCUs behind a cut hold."""
        rows = self.row_of(cut.mcu + mcus) - self.row_of(cut.mcu)
        return rows * self.grid.columns

    def complete_cells(self, mcu: int, mcus: int) -> int:
        """How many cells, from the first of the band at `mcu` on, lie in its first `mcus` MCUs.

        Counted row by row up to the first one that is not complete.
        """
        whole = self.band_mcus(mcu)
        if mcus >= whole:
            return (self.row_of(mcu + whole) - self.row_of(mcu)) * self.grid.columns
        found = 0
        for last in self._last_mcus(mcu, whole // self.across):
            if last >= mcus:
                break
            found += 1
        return found

    def _last_mcus(self, mcu: int, lines: int) -> Iterator[int]:
        """Per cell of a band the last of the band's MCUs that adds to it."""
        first = self.row_of(mcu)
        for row in range(first, self.row_of(mcu + lines * self.across)):
            line = ((row - first + 1) * SIDE - 1) // self.mcu_height
            line = lines - 1 if row + 1 == self.grid.rows else line
            for column in range(self.grid.columns):
                at = ((column + 1) * SIDE - 1) // self.mcu_width
                at = self.across - 1 if column + 1 == self.grid.columns else at
                yield line * self.across + at


def sampling(components: list[Component]) -> list[tuple[int, int]]:
    """(horizontal, vertical) blocks of each component in an MCU: one alone has one (A.2.2)."""
    if len(components) == 1:
        return [(1, 1)]
    return [(c.horizontal, c.vertical) for c in components]


def geometry_of(frame: Frame, components: list[Component]) -> Geometry:
    """The geometry of a scan that holds all components of a frame of known height."""
    factors = sampling(components)
    width = _BLOCK * max(h for h, _ in factors)
    height = _BLOCK * max(v for _, v in factors)
    return Geometry(
        Grid.of(frame), -(-frame.width // width), -(-frame.height // height), width, height
    )


def spans(factors: list[int], mcus: int, cells: int, band: int, band_cells: int) -> array[int]:
    """Per component and block in one direction: the first and the second cell it covers.

    `factors` are the sampling factors, `mcus` and `cells` their numbers in this direction; every
    `band` MCUs (`band_cells` cells) the cells are counted from 0 again. An entry is
    cell << 2 | place of the block within the cell, or -1 where there is no second cell. Blocks
    beyond the last cell, which are padding, count into it.
    """
    found = array("i")
    widest = max(factors)
    for factor in factors:
        for block in range(mcus * factor):
            before = block // factor // band * band_cells
            first = min(block * widest // (2 * factor), cells - 1)
            last = min(((block + 1) * widest - 1) // (2 * factor), cells - 1)
            found.append(_place(block, first, before, factor, widest))
            found.append(_place(block, last, before, factor, widest) if last > first else -1)
    return found


def _place(block: int, cell: int, before: int, factor: int, widest: int) -> int:
    return (cell - before) << 2 | block - 2 * factor * cell // widest
