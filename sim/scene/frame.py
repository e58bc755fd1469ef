"""The imaged ground: how many pixels, and how many metres each of them spans."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
"""Shape (height, width), float32."""

Colour = NDArray[np.float32]
"""Shape (3, height, width), float32: red, green and blue planes as fractions 0..1."""

Points = NDArray[np.float64]
"""Shape (n, 2), float64: x and y in metres."""

SWATH_M = 6000.0
"""Ground width of every scene in metres, whatever the resolution."""


@dataclass(frozen=True)
class Frame:
    """A picture of `width` x `height` pixels over the ground."""

    width: int
    height: int
    gsd: float
    """Ground sampling distance: metres of ground each pixel spans."""

    @property
    def extent(self) -> tuple[float, float]:
        """Ground width and height, metres."""
        return self.width * self.gsd, self.height * self.gsd

    def grown(self, columns: int, rows: int) -> Frame:
        """The same ground sampling over a larger picture."""
        return Frame(self.width + columns, self.height + rows, self.gsd)

    def axes(self) -> tuple[Plane, Plane]:
        """x with shape (1, width) and y with shape (height, 1): pixel centres, metres."""
        x = (np.arange(self.width, dtype=np.float32) + np.float32(0.5)) * np.float32(self.gsd)
        y = (np.arange(self.height, dtype=np.float32) + np.float32(0.5)) * np.float32(self.gsd)
        return x[None, :], y[:, None]


def frame_of(megapixels: float) -> Frame:
    """A 3:2 frame of about `megapixels`, both sides whole 16-pixel blocks; 4 is 2448 x 1632."""
    height = 16 * max(2, round((megapixels * 1e6 / 1.5) ** 0.5 / 16))
    width = 16 * round(height * 1.5 / 16)
    return Frame(width, height, SWATH_M / width)
