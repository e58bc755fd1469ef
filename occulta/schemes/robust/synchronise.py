"""Where the picture was cut out of the one that was marked, by the pattern in its tiles.

numpy; ground only.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from occulta.schemes.robust.layout import CELLS, PATTERN, PERIOD, TILE, TURNS, Layout
from occulta.schemes.robust.picture import Floats

Places = npt.NDArray[np.int64]


class Origin(NamedTuple):
    """The block of the marked picture, modulo PERIOD, that is the first one here."""

    row: int
    column: int
    score: float
    """The pattern's correlation in standard deviations of what chance gives."""


class Grid:
    """A layout in arrays."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.first = np.array(layout.first, dtype=np.int64).reshape(TILE, TILE)
        self.order = np.array(layout.order, dtype=np.int64).reshape(-1, layout.slots)
        self.turns = np.array(layout.turns, dtype=np.int64).reshape(TURNS, TURNS)
        marks = np.tile(self.first == PATTERN, (PERIOD // TILE, PERIOD // TILE))
        signs = 1.0 - 2.0 * np.frombuffer(layout.pattern, dtype=np.uint8)
        self._pattern = signs.reshape(PERIOD, PERIOD) * marks
        self._signs = np.where(np.arange(layout.slots) & 1, -1.0, 1.0)
        self._spectrum = np.fft.rfft2(self._pattern)

    def score(self, expected: Floats, row: int = 0, column: int = 0) -> float:
        """The pattern's correlation at one origin, in standard deviations.

        `expected`: the mean of each slot, 1 for a bit 0, -1 for 1; (down, across, slots).
        """
        pattern = self.pattern(expected.shape, row, column)
        marked = pattern != 0.0
        return self.score_of(expected[marked], pattern[marked])

    def score_of(self, expected: Floats, pattern: Floats) -> float:
        """The same for some blocks of the pattern, (n, slots) and (n,)."""
        spread = float(np.sqrt((expected**2).sum()))
        return float((expected @ self._signs * pattern).sum()) / spread if spread > 1e-9 else 0.0

    def pattern(self, shape: tuple[int, ...], row: int = 0, column: int = 0) -> Floats:
        """1 and -1 in blocks that carry the pattern, for its bits 0 and 1; 0 elsewhere."""
        rows = (np.arange(shape[0]) + row) % PERIOD
        columns = (np.arange(shape[1]) + column) % PERIOD
        return np.asarray(self._pattern[np.ix_(rows, columns)])

    def find(self, expected: Floats) -> Origin:
        """The origin of the best correlation; chance alone seldom gives more than 5.5."""
        hard = expected @ self._signs
        down, across = (-(-size // PERIOD) for size in hard.shape)
        whole = np.zeros((down * PERIOD, across * PERIOD))
        whole[: hard.shape[0], : hard.shape[1]] = hard
        wrapped = whole.reshape(down, PERIOD, across, PERIOD).sum(axis=(0, 2))
        found = np.fft.irfft2(self._spectrum * np.conj(np.fft.rfft2(wrapped)), s=wrapped.shape)
        row, column = divmod(int(np.argmax(found)), PERIOD)
        return Origin(row, column, self.score(expected, row, column))

    def slots(self, rows: Places, columns: Places, tiles: int) -> Places:
        """The slot of the picture that each slot is, (rows, columns, slots); -1: none.

        `rows` and `columns`: of blocks of the marked picture, negative where something lies before
        it; `tiles` in a row of them. The pattern and what lies outside is no slot.
        """
        number = self.first[np.ix_(rows % TILE, columns % TILE)]
        turn = self.turns[np.ix_(rows // TILE % TURNS, columns // TILE % TURNS)]
        within = (self.order[np.maximum(number, 0)] + turn[..., None]) % self.layout.tile_slots
        tile = (rows // TILE * tiles)[:, None] + columns[None, :] // TILE
        inside = (rows >= 0)[:, None] & (columns >= 0) & (columns < TILE * tiles)
        placed = tile[..., None] * self.layout.tile_slots + within
        return np.asarray(np.where((inside & (number != PATTERN))[..., None], placed, -1))


assert CELLS == TILE * TILE
