"""What lies under a point of the scene, so that nothing is built in water."""

from __future__ import annotations

import numpy as np

from sim.scene.frame import Frame, Plane, Points
from sim.scene.relief import Relief


class Site:
    """Looks up the ground under a point."""

    def __init__(self, frame: Frame, relief: Relief) -> None:
        self._frame = frame
        self._relief = relief

    def inland(self, point: Points) -> float:
        """Metres from the coast; negative at sea."""
        return self._at(self._relief.inland, point)

    def dry(self, point: Points, margin_m: float = 14.0) -> bool:
        """True where `point` is clear of the sea and the river by `margin_m` metres."""
        shore = min(self.inland(point), self._at(self._relief.river, point))
        return shore > margin_m and self._at(self._relief.height, point) > 0.8

    def inside(self, point: Points, margin_m: float = 0.0) -> bool:
        """True where `point` lies in the frame, `margin_m` metres from its edges."""
        low, high = margin_m, np.array(self._frame.extent) - margin_m
        return bool(np.all(point > low) and np.all(point < high))

    def _at(self, plane: Plane, point: Points) -> float:
        """`plane` at `point`, or at the frame's edge nearest to it."""
        column, row = (point / self._frame.gsd).astype(int)
        row = min(max(row, 0), self._frame.height - 1)
        column = min(max(column, 0), self._frame.width - 1)
        return float(plane[row, column])
