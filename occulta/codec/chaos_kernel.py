# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: cdivision=True, nonecheck=False
# mypy: ignore-errors
"""Chaotic maps and diffusion of papers/003 (equations 7 to 10), the same bits on every machine.

Only IEEE 754 doubles with + - * / and sqrt, each correctly rounded, in the order written here, and
polynomials of our own for sine, cosine and arc cosine: libm differs between machines, and one
differing bit destroys a chaotic sequence. Measured against 60 digits the greatest errors were
1.4e-16 for sine, 1.3e-16 for cosine below 12.6 (closed equation 9), 1.5e-16 up to 6.6e6 (equation 9
as printed) and 2.5e-16 for arc cosine.

One Python file: run as it is, it is the reference; compiled by Cython it is the fast kernel.
"""

from __future__ import annotations

import cython
from cython.cimports.libc.math import sqrt

SINE_SINE = 0
CHEBYSHEV = 1

_PI = cython.declare(cython.double, 3.141592653589793)
_HALF_PI = cython.declare(cython.double, 1.5707963267948966)
_TWO_BY_PI = cython.declare(cython.double, 0.6366197723675814)
# Pi / 2 in three parts: the first two have 30 bits, so that their products with a whole number
# below 2^23 are exact (Cody and Waite).
_PART_1 = cython.declare(cython.double, 1.570796325802803)
_PART_2 = cython.declare(cython.double, 9.920935791635221e-10)
_PART_3 = cython.declare(cython.double, 5.170182981794105e-19)
# The golden ratio's fraction: the step of the sequence that is spread most evenly in [0, 1).
_GOLDEN = cython.declare(cython.double, 0.6180339887498949)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _sine(y: cython.double) -> cython.double:
    """Taylor to y^17 for |y| <= pi / 4 (truncation below 1e-19)."""
    z: cython.double = y * y
    p: cython.double = 1.0 / 355687428096000.0
    p = p * z - 1.0 / 1307674368000.0
    p = p * z + 1.0 / 6227020800.0
    p = p * z - 1.0 / 39916800.0
    p = p * z + 1.0 / 362880.0
    p = p * z - 1.0 / 5040.0
    p = p * z + 1.0 / 120.0
    p = p * z - 1.0 / 6.0
    return y + y * (z * p)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _cosine(y: cython.double) -> cython.double:
    """Taylor to y^16 for |y| <= pi / 4 (truncation below 2e-18)."""
    z: cython.double = y * y
    p: cython.double = 1.0 / 20922789888000.0
    p = p * z - 1.0 / 87178291200.0
    p = p * z + 1.0 / 479001600.0
    p = p * z - 1.0 / 3628800.0
    p = p * z + 1.0 / 40320.0
    p = p * z - 1.0 / 720.0
    p = p * z + 1.0 / 24.0
    return 1.0 - (0.5 * z - z * z * p)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _arc_sine_ratio(z: cython.double) -> cython.double:
    """asin(s) / s of z = s^2, 0 <= z <= 1/4: Chebyshev series to degree 12 (truncation 1.6e-17)."""
    p: cython.double = 0.032011340323281685
    p = p * z - 0.016384436448802192
    p = p * z + 0.01964239671205795
    p = p * z + 0.006480855348779324
    p = p * z + 0.0121816790888421
    p = p * z + 0.013883027829435166
    p = p * z + 0.017359969965541983
    p = p * z + 0.02237173660319574
    p = p * z + 0.03038196027149515
    p = p * z + 0.044642856791215726
    p = p * z + 0.07500000000404858
    p = p * z + 0.1666666666666484
    return p * z + 1.0


@cython.ccall
@cython.exceptval(check=False)
def sine_of_pi(x: cython.double) -> cython.double:
    """sin(pi * x) for 0 <= x <= 1."""
    if x > 0.5:
        x = 1.0 - x
    if x > 0.25:
        return _cosine(_PI * (0.5 - x))
    return _sine(_PI * x)


@cython.ccall
@cython.exceptval(check=False)
def cosine(y: cython.double) -> cython.double:
    """cos(y) for 0 <= y < 6.6e6."""
    turns: cython.longlong = cython.cast(cython.longlong, y * _TWO_BY_PI + 0.5)
    q: cython.double = turns
    r: cython.double = ((y - q * _PART_1) - q * _PART_2) - q * _PART_3
    quadrant: cython.longlong = turns & 3
    if quadrant == 0:
        return _cosine(r)
    if quadrant == 1:
        return -_sine(r)
    if quadrant == 2:
        return -_cosine(r)
    return _sine(r)


@cython.ccall
@cython.exceptval(check=False)
def arc_cosine(x: cython.double) -> cython.double:
    """acos(x) for 0 <= x <= 1."""
    s: cython.double
    z: cython.double
    if x <= 0.5:
        return _HALF_PI - x * _arc_sine_ratio(x * x)
    z = (1.0 - x) * 0.5
    s = sqrt(z)
    return 2.0 * (s * _arc_sine_ratio(z))


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _fraction(v: cython.double) -> cython.double:
    """v - floor(v) for |v| < 2^53; for a tiny negative v that rounds to 1."""
    whole: cython.longlong = cython.cast(cython.longlong, v)
    rounded: cython.double = whole
    if rounded > v:
        rounded = rounded - 1.0
    return v - rounded


def iterate(
    which: cython.int, u: cython.double, k: cython.int, x: cython.double, skip: cython.longlong,
    closed: cython.bint, out: cython.uchar[::1],
) -> float:
    """Fill `out` with equation 8 of the terms behind the first `skip`; returns the last term.

    `which`: SINE_SINE or CHEBYSHEV; `closed`: the profile's form (see chaos.py), else as printed.
    """
    size: cython.Py_ssize_t = len(out)
    at: cython.Py_ssize_t = 0
    scale: cython.double = cython.cast(cython.double, 1 << k)
    weyl: cython.double = x
    digits: cython.longlong
    while at < size:
        if which == SINE_SINE:
            x = _fraction((u * sine_of_pi(x)) * scale)
        elif closed:
            x = _fraction(cosine((u + 1.0) * arc_cosine(x)) * scale)
        else:
            x = _fraction(cosine(((u + 1.0) * arc_cosine(x)) * scale))
        if closed:
            weyl = weyl + _GOLDEN
            if weyl >= 1.0:
                weyl = weyl - 1.0
            x = x + weyl
            if x >= 1.0:
                x = x - 1.0
        if skip > 0:
            skip -= 1
        else:
            digits = cython.cast(cython.longlong, _fraction(x) * 1e14)
            out[at] = digits & 255
            at += 1
    return x


def diffuse(
    plane: cython.const[cython.uchar][::1], a: cython.const[cython.uchar][::1],
    b: cython.const[cython.uchar][::1], out: cython.uchar[::1],
) -> None:
    """Equation 10: (plane + a mod 256) XOR b; the four of one length."""
    at: cython.Py_ssize_t
    for at in range(len(out)):
        out[at] = ((plane[at] + a[at]) & 255) ^ b[at]


def gather(
    share: cython.const[cython.uchar][::1], a: cython.const[cython.uchar][::1],
    b: cython.const[cython.uchar][::1], out: cython.uchar[::1],
) -> None:
    """Equation 10 backwards: (share XOR b) - a mod 256; the four of one length."""
    at: cython.Py_ssize_t
    for at in range(len(out)):
        out[at] = ((share[at] ^ b[at]) - a[at]) & 255
