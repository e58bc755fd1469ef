"""Measures of share images (papers/003, section 4): histogram, entropy, correlation, NPCR, UACI."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""Shape (height, width), 0..255."""


class Correlation(NamedTuple):
    """Coefficients of adjacent pixels, -1 to 1; NaN where a side has one value only."""

    horizontal: float
    vertical: float
    diagonal: float


class Statistics(NamedTuple):
    """What one image says of itself."""

    histogram: NDArray[np.int64]
    entropy: float
    correlation: Correlation


def statistics(pixels: Pixels) -> Statistics:
    """Histogram, entropy and correlation at once; a row of bytes is an image one pixel high."""
    return Statistics(histogram(pixels), entropy(pixels), correlation(pixels))


def histogram(pixels: Pixels) -> NDArray[np.int64]:
    """How often each of the 256 values occurs."""
    return np.bincount(pixels.ravel(), minlength=256).astype(np.int64)


def entropy(pixels: Pixels) -> float:
    """Bits per pixel of the histogram, 0 to 8; about 8 - 255 / (2 ln 2 * pixels) for noise."""
    shares = histogram(pixels) / pixels.size
    used = shares[shares > 0]
    return float(-(used * np.log2(used)).sum()) + 0.0


def correlation(pixels: Pixels) -> Correlation:
    """Equation 12 over all adjacent pairs; the paper draws 16,384 of them."""
    return Correlation(
        _coefficient(pixels[:, :-1], pixels[:, 1:]),
        _coefficient(pixels[:-1], pixels[1:]),
        _coefficient(pixels[:-1, :-1], pixels[1:, 1:]),
    )


def _coefficient(one: Pixels, other: Pixels) -> float:
    a, b = (side.astype(np.float64) for side in (one, other))
    if not a.size or a.min() == a.max() or b.min() == b.max():
        return math.nan
    a -= a.mean()
    b -= b.mean()
    return float((a * b).sum() / math.sqrt(float((a * a).sum()) * float((b * b).sum())))


def npcr(one: Pixels, other: Pixels) -> float:
    """Number of pixels change rate in percent (equation 11); 99.6094 for unrelated noise."""
    _same_shape(one, other)
    return 100.0 * float(np.count_nonzero(one != other)) / one.size


def uaci(one: Pixels, other: Pixels) -> float:
    """Unified average changing intensity in percent (equation 11); 33.4635 for unrelated noise."""
    _same_shape(one, other)
    gap = np.abs(one.astype(np.int64) - other)
    return 100.0 * float(gap.sum()) / (255.0 * one.size)


def _same_shape(one: Pixels, other: Pixels) -> None:
    if one.shape != other.shape or not one.size:
        raise ValueError(f"images of shapes {one.shape} and {other.shape}")
