# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: cdivision=True, nonecheck=False
# mypy: ignore-errors
"""Forward and inverse DCT of 8x8 blocks (ITU-T T.81 A.3.3), the same bits on every machine.

Only IEEE 754 doubles with + - * /, in the order written here: rows of a block first, then columns.
One Python file: run as it is, it is the reference; compiled by Cython it is the fast kernel.

Callers have checked every size; `block` is a scratch array of 64 doubles, `zigzag` says where in a
block, row by row, a coefficient of the zigzag lies.
"""

from __future__ import annotations

import cython

# cos(k pi / 16) / 2, and sqrt(1 / 8) for k = 4.
_C1 = cython.declare(cython.double, 0.4903926402016152)
_C2 = cython.declare(cython.double, 0.46193976625564337)
_C3 = cython.declare(cython.double, 0.4157348061512726)
_C4 = cython.declare(cython.double, 0.3535533905932738)
_C5 = cython.declare(cython.double, 0.27778511650980114)
_C6 = cython.declare(cython.double, 0.1913417161825449)
_C7 = cython.declare(cython.double, 0.09754516100806412)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _forward(block: cython.double[::1], at: cython.Py_ssize_t,
             step: cython.Py_ssize_t) -> cython.int:
    """Eight samples, `step` apart, in place."""
    x0: cython.double = block[at]
    x1: cython.double = block[at + step]
    x2: cython.double = block[at + 2 * step]
    x3: cython.double = block[at + 3 * step]
    x4: cython.double = block[at + 4 * step]
    x5: cython.double = block[at + 5 * step]
    x6: cython.double = block[at + 6 * step]
    x7: cython.double = block[at + 7 * step]
    s0: cython.double = x0 + x7
    s1: cython.double = x1 + x6
    s2: cython.double = x2 + x5
    s3: cython.double = x3 + x4
    d0: cython.double = x0 - x7
    d1: cython.double = x1 - x6
    d2: cython.double = x2 - x5
    d3: cython.double = x3 - x4
    t0: cython.double = s0 + s3
    t1: cython.double = s1 + s2
    t2: cython.double = s1 - s2
    t3: cython.double = s0 - s3
    block[at] = (t0 + t1) * _C4
    block[at + step] = (d0 * _C1 + d1 * _C3) + (d2 * _C5 + d3 * _C7)
    block[at + 2 * step] = t3 * _C2 + t2 * _C6
    block[at + 3 * step] = (d0 * _C3 - d1 * _C7) - (d2 * _C1 + d3 * _C5)
    block[at + 4 * step] = (t0 - t1) * _C4
    block[at + 5 * step] = (d0 * _C5 - d1 * _C1) + (d2 * _C7 + d3 * _C3)
    block[at + 6 * step] = t3 * _C6 - t2 * _C2
    block[at + 7 * step] = (d0 * _C7 - d1 * _C5) + (d2 * _C3 - d3 * _C1)
    return 0


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _inverse(block: cython.double[::1], at: cython.Py_ssize_t,
             step: cython.Py_ssize_t) -> cython.int:
    """Eight coefficients, `step` apart, in place."""
    y0: cython.double = block[at]
    y1: cython.double = block[at + step]
    y2: cython.double = block[at + 2 * step]
    y3: cython.double = block[at + 3 * step]
    y4: cython.double = block[at + 4 * step]
    y5: cython.double = block[at + 5 * step]
    y6: cython.double = block[at + 6 * step]
    y7: cython.double = block[at + 7 * step]
    a: cython.double = (y0 + y4) * _C4
    b: cython.double = (y0 - y4) * _C4
    c: cython.double = y2 * _C2 + y6 * _C6
    d: cython.double = y2 * _C6 - y6 * _C2
    t0: cython.double = a + c
    t1: cython.double = b + d
    t2: cython.double = b - d
    t3: cython.double = a - c
    o0: cython.double = (y1 * _C1 + y3 * _C3) + (y5 * _C5 + y7 * _C7)
    o1: cython.double = (y1 * _C3 - y3 * _C7) - (y5 * _C1 + y7 * _C5)
    o2: cython.double = (y1 * _C5 - y3 * _C1) + (y5 * _C7 + y7 * _C3)
    o3: cython.double = (y1 * _C7 - y3 * _C5) + (y5 * _C3 - y7 * _C1)
    block[at] = t0 + o0
    block[at + step] = t1 + o1
    block[at + 2 * step] = t2 + o2
    block[at + 3 * step] = t3 + o3
    block[at + 4 * step] = t3 - o3
    block[at + 5 * step] = t2 - o2
    block[at + 6 * step] = t1 - o1
    block[at + 7 * step] = t0 - o0
    return 0


@cython.ccall
def forward(pixels: cython.uchar[::1], width: cython.Py_ssize_t, start: cython.Py_ssize_t,
            across: cython.Py_ssize_t, down: cython.Py_ssize_t, zigzag: cython.int[::1],
            block: cython.double[::1], coefficients: cython.double[::1]) -> cython.int:
    """Blocks of pixels, the first one's corner at index `start`, minus 128 to coefficients."""
    y: cython.Py_ssize_t
    x: cython.Py_ssize_t
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    at: cython.Py_ssize_t
    out: cython.Py_ssize_t = 0
    for y in range(down):
        for x in range(across):
            for i in range(8):
                at = start + (8 * y + i) * width + 8 * x
                for j in range(8):
                    block[8 * i + j] = pixels[at + j] - 128
                _forward(block, 8 * i, 1)
            for i in range(8):
                _forward(block, i, 8)
            for i in range(64):
                coefficients[out + i] = block[zigzag[i]]
            out += 64
    return 0


@cython.ccall
def inverse(coefficients: cython.double[::1], width: cython.Py_ssize_t, start: cython.Py_ssize_t,
            across: cython.Py_ssize_t, down: cython.Py_ssize_t, zigzag: cython.int[::1],
            block: cython.double[::1], pixels: cython.uchar[::1]) -> cython.int:
    """The way back: plus 128, rounded to the nearest, clamped to 0..255."""
    y: cython.Py_ssize_t
    x: cython.Py_ssize_t
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    at: cython.Py_ssize_t
    source: cython.Py_ssize_t = 0
    v: cython.double
    for y in range(down):
        for x in range(across):
            for i in range(64):
                block[zigzag[i]] = coefficients[source + i]
            source += 64
            for i in range(8):
                _inverse(block, 8 * i, 1)
            for i in range(8):
                _inverse(block, i, 8)
            for i in range(8):
                at = start + (8 * y + i) * width + 8 * x
                for j in range(8):
                    v = block[8 * i + j] + 128.5
                    if v >= 255.0:
                        pixels[at + j] = 255
                    elif v > 0.0:
                        pixels[at + j] = cython.cast(cython.int, v)
                    else:
                        pixels[at + j] = 0
    return 0


@cython.ccall
def quantise(coefficients: cython.double[::1], table: cython.double[::1],
             out: cython.short[::1]) -> cython.int:
    """Divide and round to the nearest, halves up; DC to -1024..1023, AC to -1023..1023."""
    at: cython.Py_ssize_t
    i: cython.Py_ssize_t
    v: cython.double
    dc: cython.double
    for at in range(0, coefficients.shape[0], 64):
        for i in range(64):
            v = coefficients[at + i] / table[i]
            v = 1023.0 if v > 1023.0 else v
            v = -1023.0 if v < -1023.0 else v
            out[at + i] = cython.cast(cython.int, v + 1024.5) - 1024
        dc = coefficients[at] / table[0]
        if dc < -1023.5:
            out[at] = -1024
    return 0


@cython.ccall
def dequantise(coefficients: cython.short[::1], table: cython.int[::1],
               out: cython.double[::1]) -> cython.int:
    """Multiply; products beyond -32768..32767 become these."""
    i: cython.Py_ssize_t
    v: cython.longlong
    for i in range(coefficients.shape[0]):
        v = cython.cast(cython.longlong, coefficients[i]) * table[i & 63]
        if v > 32767:
            v = 32767
        elif v < -32768:
            v = -32768
        out[i] = v
    return 0
