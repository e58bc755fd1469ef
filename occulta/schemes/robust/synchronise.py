"""Where the picture was cut out of the one that was marked, by the pattern in its tiles.

numpy; ground only.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from occulta.schemes.robust.layout import CELLS, PATTERN, PERIOD, TILE, Layout
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
        marks = np.tile(self.first == PATTERN, (PERIOD // TILE, PERIOD // TILE))
        signs = 1.0 - 2.0 * np.frombuffer(layout.pattern, dtype=np.uint8)
        self._pattern = signs.reshape(PERIOD, PERIOD) * marks
        self._signs = np.where(np.arange(layout.slots) & 1, -1.0, 1.0)

    def score(self, soft: Floats, row: int = 0, column: int = 0) -> float:
        """The pattern's correlation at one origin, in standard deviations."""
        hard = self._hard(soft)
        rows = (np.arange(hard.shape[0]) + row) % PERIOD
        columns = (np.arange(hard.shape[1]) + column) % PERIOD
        pattern = self._pattern[np.ix_(rows, columns)]
        spread = float(np.sqrt(((np.tanh(soft / 2.0) ** 2).sum(-1) * (pattern != 0)).sum()))
        return float((hard * pattern).sum()) / spread if spread > 1e-9 else 0.0

    def find(self, soft: Floats) -> Origin:
        """The origin of the best correlation; chance alone seldom gives more than 5.5."""
        hard = self._hard(soft)
        wrapped = np.zeros((PERIOD, PERIOD))
        rows = np.arange(hard.shape[0]) % PERIOD
        columns = np.arange(hard.shape[1]) % PERIOD
        np.add.at(wrapped, np.ix_(rows, columns), hard)
        spectrum = np.fft.rfft2(self._pattern) * np.conj(np.fft.rfft2(wrapped))
        found = np.fft.irfft2(spectrum, s=(PERIOD, PERIOD))
        row, column = divmod(int(np.argmax(found)), PERIOD)
        return Origin(row, column, self.score(soft, row, column))

    def slots(self, shape: tuple[int, ...], origin: tuple[int, int], tiles: int) -> Places:
        """The slot of the picture that each slot here is, (down, across, slots); -1: pattern.

        `origin`: row and column, in blocks, of the first block here; `tiles` in a row of them.
        """
        rows = np.arange(shape[0]) + origin[0]
        columns = np.arange(shape[1]) + origin[1]
        number = self.first[np.ix_(rows % TILE, columns % TILE)]
        tile = (rows // TILE * tiles)[:, None] + columns[None, :] // TILE
        placed = tile[..., None] * self.layout.tile_slots + self.order[np.maximum(number, 0)]
        return np.asarray(np.where(number[..., None] == PATTERN, -1, placed))

    def _hard(self, soft: Floats) -> Floats:
        """What each block says of the pattern's bit."""
        return np.asarray((np.tanh(soft / 2.0) * self._signs).sum(axis=-1))


assert CELLS == TILE * TILE
