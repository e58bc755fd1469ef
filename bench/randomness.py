"""Statistical tests for randomness out of NIST SP 800-22 rev. 1a (2010).

Clauses 2.1, 2.2, 2.3 and 2.11, and the judgement of several sequences in 4.2.1 and 4.2.2. Bits are
arrays of 0 and 1. A P-value lies between 0 and 1; noise gives one below 0.01 in a hundredth of all
cases.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.uint8]
"""One bit each, shape (n,)."""
LEAST_P = 0.01
"""The significance level of 4.2.1."""
LEAST_UNIFORMITY = 0.0001
"""Of 4.2.2."""
_TINY, _CLOSE, _MOST_TERMS = 1e-300, 1e-15, 100_000


def bits_of(data: bytes) -> Bits:
    """The bits of some bytes, the highest first."""
    return np.unpackbits(np.frombuffer(data, np.uint8))


def frequency(bits: Bits) -> float:
    """P-value of 2.1, the monobit test."""
    total = abs(2 * int(bits.sum()) - bits.size)
    return math.erfc(total / math.sqrt(2 * bits.size))


def block_frequency(bits: Bits, size: int) -> float:
    """P-value of 2.2 for blocks of `size` bits; what is left over is not used."""
    count = bits.size // size
    shares = bits[: count * size].reshape(count, size).mean(axis=1)
    squares = 4 * size * float(((shares - 0.5) ** 2).sum())
    return gamma_q(count / 2, squares / 2)


def runs(bits: Bits) -> float:
    """P-value of 2.3; 0 where the frequency test it presupposes fails (2.3.4, step 2)."""
    share = float(bits.mean())
    if abs(share - 0.5) >= 2 / math.sqrt(bits.size):
        return 0.0
    found = 1 + int(np.count_nonzero(bits[1:] != bits[:-1]))
    size, spread = int(bits.size), share * (1 - share)
    gap = abs(found - 2 * size * spread)
    return math.erfc(gap / (2 * math.sqrt(2 * size) * spread))


def serial(bits: Bits, length: int) -> tuple[float, float]:
    """Both P-values of 2.11 for patterns of `length` bits, 3 <= length < log2(n) - 2."""
    counts = _pattern_counts(bits, length)
    whole, less, least = (_psi(counts, bits.size, longer) for longer in (1, 2, 4))
    first, second = whole - less, whole - 2 * less + least
    return gamma_q(2 ** (length - 2), first / 2), gamma_q(2 ** (length - 3), second / 2)


def _pattern_counts(bits: Bits, length: int) -> NDArray[np.int64]:
    """2.11.4, steps 1 and 2: of every pattern of that length, the sequence being a ring."""
    patterns: NDArray[np.int64] = bits.astype(np.int64)
    wide = 1
    while wide < length:
        step = min(wide, length - wide)
        following = np.roll(patterns, -wide) >> (wide - step)
        patterns = patterns << step | following
        wide += step
    return np.bincount(patterns, minlength=2**length)


def _psi(counts: NDArray[np.int64], length: int, longer: int) -> float:
    """Step 3, for patterns that stand for `longer` of those counted: they lack their last bits."""
    if counts.size == longer:
        return 0.0
    summed = counts.reshape(-1, longer).sum(axis=1)
    squares = float((summed.astype(np.float64) ** 2).sum())
    return squares * len(summed) / length - length


class Verdict(NamedTuple):
    """What the P-values of one test say over several sequences."""

    proportion: float
    """Of sequences with a P-value of at least 0.01."""
    least: float
    """The proportion that 4.2.1 asks for."""
    uniformity: float
    """The P-value of 4.2.2; at least 0.0001."""

    @property
    def passes(self) -> bool:
        """Both conditions hold."""
        return self.proportion >= self.least and self.uniformity >= LEAST_UNIFORMITY


def verdict(values: Sequence[float]) -> Verdict:
    """Judge P-values by 4.2.1 and 4.2.2; 55 or more of them for the second to mean something."""
    count = len(values)
    expected = 1 - LEAST_P
    least = expected - 3 * math.sqrt(expected * LEAST_P / count)
    bins = [0] * 10
    for value in values:
        bins[min(int(value * 10), 9)] += 1
    squares = sum((found - count / 10) ** 2 / (count / 10) for found in bins)
    passed = sum(value >= LEAST_P for value in values)
    return Verdict(passed / count, least, gamma_q(9 / 2, squares / 2))


def chi_square(counts: NDArray[np.int64]) -> float:
    """P-value of counts that should all be the same (Pearson)."""
    expected = float(counts.sum()) / counts.size
    squares = float(((counts - expected) ** 2).sum()) / expected
    return gamma_q((counts.size - 1) / 2, squares / 2)


def uncorrelated(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """P-value of the correlation of two sequences of bytes: r sqrt(n) is standard normal."""
    a, b = (side.astype(np.float64) - side.mean() for side in (one, other))
    spread = math.sqrt(float((a * a).sum()) * float((b * b).sum()))
    if not spread:
        return 1.0
    return math.erfc(abs(float((a * b).sum())) / spread * math.sqrt(one.size / 2))


def gamma_q(a: float, x: float) -> float:
    """The incomplete gamma function Q(a, x), igamc of 5.5.3; a > 0.

    Series below a + 1, continued fraction (Lentz) above.
    """
    if x <= 0:
        return 1.0
    scale = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        return 1.0 - scale * _series(a, x)
    return scale * _fraction(a, x)


def _series(a: float, x: float) -> float:
    term = total = 1 / a
    for n in range(1, _MOST_TERMS):
        term *= x / (a + n)
        total += term
        if term < total * _CLOSE:
            break
    return total


def _fraction(a: float, x: float) -> float:
    b = x + 1 - a
    c, d = 1 / _TINY, 1 / b
    found = d
    for n in range(1, _MOST_TERMS):
        factor = -n * (n - a)
        b += 2
        d = 1 / (factor * d + b or _TINY)
        c = b + factor / c or _TINY
        found *= c * d
        if abs(c * d - 1) < _CLOSE:
            break
    return found
