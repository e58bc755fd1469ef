"""Structural similarity of two gray pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.pixels import Pixels

WINDOW = 11
"""Pixels on each side; no picture may be smaller."""
_SIGMA = 1.5
_C1, _C2 = (0.01 * 255.0) ** 2, (0.03 * 255.0) ** 2

Floats = NDArray[np.float64]


def ssim(one: Pixels, other: Pixels) -> float:
    """Mean SSIM, at most 1 (identical).

    Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli 2004, equation 13, over all places where
    the window (11 x 11, Gaussian, sigma 1.5) lies within the picture; K1 0.01, K2 0.03, L 255.
    Raises ValueError for pictures of different shape, or none of two dimensions of WINDOW pixels.
    """
    if one.shape != other.shape or one.ndim != 2 or min(one.shape) < WINDOW:
        raise ValueError(f"no SSIM of pictures of shapes {one.shape} and {other.shape}")
    x, y = one.astype(np.float64), other.astype(np.float64)
    mean_x, mean_y = _windowed(x), _windowed(y)
    variance_x = _windowed(x * x) - mean_x**2
    variance_y = _windowed(y * y) - mean_y**2
    covariance = _windowed(x * y) - mean_x * mean_y
    above = (2.0 * mean_x * mean_y + _C1) * (2.0 * covariance + _C2)
    below = (mean_x**2 + mean_y**2 + _C1) * (variance_x + variance_y + _C2)
    return float((above / below).mean())


def _windowed(values: Floats) -> Floats:
    """The weighted mean under the window, at every place where it lies within."""
    places = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-(places**2) / (2.0 * _SIGMA**2))
    weights /= weights.sum()
    height, width = (side - WINDOW + 1 for side in values.shape)
    rows: Floats = sum(w * values[k : k + height] for k, w in enumerate(weights))
    found: Floats = sum(w * rows[:, k : k + width] for k, w in enumerate(weights))
    return found
