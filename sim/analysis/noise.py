"""What the measures give for noise: independent bytes, each of 256 values equally likely."""

from __future__ import annotations

import math
from typing import NamedTuple

LIMIT = 5.0
"""Standard deviations within which a figure counts as that of noise; of 240 figures of noise one
is outside it in thousands of runs."""
_CHANGED = 255 / 256
_GAP = (256**2 - 1) / (3 * 256)
_GAP_DEVIATION = math.sqrt((256**2 - 1) / 6 - _GAP**2)


class Expected(NamedTuple):
    """Mean and standard deviation of a measure."""

    mean: float
    deviation: float

    def holds(self, value: float) -> bool:
        """Whether a value is within LIMIT deviations; NaN is not."""
        return abs(value - self.mean) <= LIMIT * self.deviation


def npcr(pixels: int) -> Expected:
    """Percent of `pixels` pixels that differ between two noise images."""
    return Expected(100 * _CHANGED, 100 * math.sqrt(_CHANGED * (1 - _CHANGED) / pixels))


def uaci(pixels: int) -> Expected:
    """Mean difference of two noise images in percent of 255."""
    return Expected(100 * _GAP / 255, 100 * _GAP_DEVIATION / 255 / math.sqrt(pixels))


def entropy(pixels: int) -> Expected:
    """Bits per pixel: 8 less a chi-squared variable of 255 degrees over 2 n ln 2."""
    unit = 1 / (2 * pixels * math.log(2))
    return Expected(8 - 255 * unit, math.sqrt(2 * 255) * unit)


def correlation(pairs: int) -> Expected:
    """Coefficient of `pairs` pairs of pixels, at least one."""
    return Expected(0.0, 1 / math.sqrt(pairs))
