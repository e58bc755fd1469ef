"""The tests for randomness against the examples that NIST SP 800-22 rev. 1a prints."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from bench.randomness import (
    bits_of,
    block_frequency,
    chi_square,
    frequency,
    gamma_q,
    runs,
    serial,
    uncorrelated,
    verdict,
)

HUNDRED = (
    "1100100100001111110110101010001000100001011010001100001000110100"
    "110001001100011001100010100010111000"
)
"""The example of clauses 2.1.8, 2.2.8 and 2.3.8."""


def bits(text: str) -> np.ndarray:
    return np.array([int(digit) for digit in text], np.uint8)


def digits_of_e(count: int) -> np.ndarray:
    """The first binary digits of e, the two before the point included."""
    terms = 1
    while math.lgamma(terms + 1) / math.log(2) < count + 64:
        terms *= 2
    p, q = series_of_e(0, terms)
    value = ((p + q) << count + 30) // q >> 32
    return bits_of((value << -count % 8).to_bytes(-(-count // 8), "big"))[:count]


def series_of_e(start: int, stop: int) -> tuple[int, int]:
    """p / q: the sum of start! / k! over start < k <= stop, by halves."""
    if stop - start == 1:
        return 1, stop
    middle = (start + stop) // 2
    (p, q), (r, s) = series_of_e(start, middle), series_of_e(middle, stop)
    return p * s + r, q * s


def approx(value: float):
    return pytest.approx(value, abs=1.01e-6)


@pytest.mark.parametrize(("text", "p"), [("1011010101", 0.527089), (HUNDRED, 0.109599)])
def test_frequency(text: str, p: float) -> None:
    assert frequency(bits(text)) == approx(p)


@pytest.mark.parametrize(
    ("text", "size", "p"), [("0110011010", 3, 0.801252), (HUNDRED, 10, 0.706438)]
)
def test_block_frequency(text: str, size: int, p: float) -> None:
    assert block_frequency(bits(text), size) == approx(p)


@pytest.mark.parametrize(("text", "p"), [("1001101011", 0.147232), (HUNDRED, 0.500798)])
def test_runs(text: str, p: float) -> None:
    assert runs(bits(text)) == approx(p)


def test_runs_presuppose_the_frequency_test() -> None:
    assert runs(bits("1" * 90 + "0" * 10)) == 0.0


def test_serial() -> None:
    assert serial(bits("0011011101"), 3) == (approx(0.808792), approx(0.670320))


def test_a_million_digits_of_e() -> None:
    """Clause 2.11.8 and appendix B."""
    digits = digits_of_e(1_000_000)
    assert frequency(digits) == approx(0.953749)
    assert block_frequency(digits, 128) == approx(0.211072)
    assert runs(digits) == approx(0.561917)
    assert serial(digits, 16)[0] == approx(0.766182)
    assert serial(digits, 2) == (approx(0.843764), approx(0.561915))


def test_gamma_q_of_known_values() -> None:
    for x in (0.1, 1.0, 3.0, 50.0):
        assert gamma_q(1, x) == pytest.approx(math.exp(-x), rel=1e-12)
        assert gamma_q(0.5, x) == pytest.approx(math.erfc(math.sqrt(x)), rel=1e-11)
        poisson = sum(math.exp(-x) * x**k / math.factorial(k) for k in range(7))
        assert gamma_q(7, x) == pytest.approx(poisson, rel=1e-12)
    assert gamma_q(16384, 16384) == pytest.approx(0.5, abs=0.002)
    assert gamma_q(4.5, 0) == 1.0


def test_what_is_not_random_fails() -> None:
    rng = random.Random(5)
    noise = np.frombuffer(rng.randbytes(1 << 14), np.uint8)
    assert frequency(bits_of(noise.tobytes())) >= 0.01
    assert frequency(bits_of((noise | 1 << 7).astype(np.uint8).tobytes())) < 1e-6
    repeated = bits_of(noise[:128].tobytes() * 128)
    assert min(serial(repeated, 8)) < 1e-6
    assert chi_square(np.bincount(noise, minlength=256)) >= 0.01
    assert chi_square(np.bincount(noise & 0xFE, minlength=256)) < 1e-6
    assert uncorrelated(noise, np.roll(noise, 1)) >= 0.01
    assert uncorrelated(noise, noise // 2) < 1e-6
    assert uncorrelated(noise, np.zeros_like(noise)) == 1.0


def test_verdict_over_many_sequences() -> None:
    """4.2.1: of 100 sequences 96 must pass, of 1000 980.6; 4.2.2: spread evenly."""
    even = [(at + 0.5) / 100 for at in range(100)]
    assert verdict(even) == (0.99, pytest.approx(0.96015), approx(1.0))
    assert verdict(even).passes
    assert verdict([0.5] * 1000).least == pytest.approx(0.980561, abs=1e-6)
    assert not verdict([0.5] * 100).passes
    spoilt = [0.005] * 4 + even[:95]
    assert verdict(spoilt).proportion < verdict(spoilt).least
    assert not verdict(spoilt).passes
