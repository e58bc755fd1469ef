# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: cdivision=True, nonecheck=False
# mypy: ignore-errors
"""The inner loop that folds the coefficients of a sequential scan into hashes of its cells.

One Python file: run as it is, it is the readable reference; compiled by Cython it is the fast
kernel. Both give the same hashes and stop at the same bit.

`state` continues that of the entropy kernel. At every return all whole bytes that were read ahead
are given back, so that `ACC` holds at most seven bits of one byte: the state at the end of a row
is what decoding needs to go on from there.

Bounds are not checked in compiled code. `fast`, `entries`: the slot is below 8, a code has at most
11 bits there, its index is one of the table's own (canonical codes fill [0, bounds[length]) without
a gap). `keys`: component below 4, place below 16, coefficient below 64 (checked). `wide`, `high`:
MCUs never pass those of the scan. `cells`: the tables hold no cell beyond the picture.
"""

from __future__ import annotations

import cython

from occulta.codec.jpeg.entropy_kernel import (
    ACC,
    BAD_RESTART,
    BLOCK,
    BLOCKS_PER_MCU,
    COLUMN,
    EXTRANEOUS,
    INTERVAL,
    INTERVAL_LEFT,
    LIMIT,
    MAX_FILL,
    MCUS_LEFT,
    MCUS_PER_ROW,
    NBITS,
    NEXT_RESTART,
    POS,
    SCAN_DONE,
    TRUNCATED,
)
from occulta.codec.jpeg.entropy_kernel import STATE_SIZE as _FIRST

# Further indices into `state`.
ROW_LEFT = _FIRST  # MCUs until the loop stops
LINE = _FIRST + 1  # row of MCUs under way, from the top of the picture
BYTE = _FIRST + 2  # the byte that the bits in ACC belong to
PREDICTORS = _FIRST + 3  # one per component of the scan, 16 bits each
STATE_SIZE = _FIRST + 7

# Indices into `params`, behind those of the entropy kernel.
COLUMNS = 9  # cells in a row of cells
PARAMS_SIZE = 10

BLOCK_STRIDE = 7
"""Per block of an MCU: DC slot, AC slot, component, its first index in `wide`, blocks across, its
first index in `high`, blocks down."""
PLACES = 16
CELL_KEY = 4 * PLACES * 64
"""Index of the key that the number of the cell is multiplied by."""


@cython.cfunc
@cython.exceptval(check=False)
def _end_segment(state: cython.ulonglong[::1], params: cython.longlong[::1],
                 src: cython.uchar[::1]) -> cython.int:
    """Read over the padding and, if MCUs remain, the restart marker."""
    pos: cython.Py_ssize_t = state[POS]
    end: cython.Py_ssize_t = src.shape[0]
    nbits: cython.int = cython.cast(cython.int, state[NBITS])
    fill: cython.longlong = 0
    i: cython.int
    if nbits > 7:
        return EXTRANEOUS
    if pos < end and (src[pos] != 255 or (pos + 1 < end and src[pos + 1] == 0)):
        return EXTRANEOUS
    state[ACC] = 0
    state[NBITS] = 0
    if state[MCUS_LEFT] == 0:
        return SCAN_DONE
    while pos < end and src[pos] == 255:
        fill += 1
        pos += 1
        if fill > params[MAX_FILL]:
            return BAD_RESTART
    if pos >= end:
        return TRUNCATED
    if fill == 0 or src[pos] != 0xD0 + state[NEXT_RESTART]:
        return BAD_RESTART
    state[POS] = pos + 1
    state[NEXT_RESTART] = (state[NEXT_RESTART] + 1) & 7
    state[INTERVAL_LEFT] = params[INTERVAL]
    for i in range(4):
        state[PREDICTORS + i] = 0
    return SCAN_DONE


@cython.cfunc
@cython.exceptval(check=False)
def _give_back(state: cython.ulonglong[::1], src: cython.uchar[::1]) -> cython.int:
    """Give back whole bytes that were read ahead; FF 00 is one of them."""
    m64: cython.ulonglong = 0xFFFFFFFFFFFFFFFF
    pos: cython.Py_ssize_t = state[POS]
    nbits: cython.int = cython.cast(cython.int, state[NBITS])
    while nbits > 7 and pos > 0:
        pos -= 2 if pos > 1 and src[pos - 1] == 0 and src[pos - 2] == 255 else 1
        nbits -= 8
    if pos > 0 and nbits > 0:
        if pos > 1 and src[pos - 1] == 0 and src[pos - 2] == 255:
            state[BYTE] = 255
        else:
            state[BYTE] = src[pos - 1]
    elif nbits == 0:
        state[BYTE] = 0
    state[POS] = pos
    state[NBITS] = nbits
    state[ACC] = state[ACC] & (m64 ^ (m64 >> nbits))
    return 0


@cython.ccall
def fold(state: cython.ulonglong[::1], params: cython.longlong[::1], src: cython.uchar[::1],
         blocks: cython.int[::1], wide: cython.int[::1], high: cython.int[::1],
         fast: cython.ulonglong[::1], entries: cython.ulonglong[::1], bounds: cython.int[::1],
         keys: cython.ulonglong[::1], cells: cython.ulonglong[::1]) -> cython.int:
    """Decode until ROW_LEFT MCUs are through and add each coefficient to its cells' sums.

    `wide` and `high` say per block, across and down, the first and the second cell it covers, as
    cell << 2 | place within the cell, the second -1 where there is none; `cells` holds the sums of
    the cells of the rows under way. Returns NEED_OUTPUT at the end of the row, SCAN_DONE at that
    of the scan, NEED_INPUT, or what is wrong.
    """
    m64: cython.ulonglong = 0xFFFFFFFFFFFFFFFF
    one: cython.ulonglong = 1
    ones: cython.ulonglong = 0x0101010101010101
    tops: cython.ulonglong = 0x8080808080808080
    per_mcu: cython.int = cython.cast(cython.int, params[BLOCKS_PER_MCU])
    limit: cython.Py_ssize_t = params[LIMIT]
    interval: cython.longlong = params[INTERVAL]
    per_row: cython.longlong = params[MCUS_PER_ROW]
    columns: cython.Py_ssize_t = params[COLUMNS]
    end: cython.Py_ssize_t = src.shape[0]
    pos: cython.Py_ssize_t = state[POS]
    acc: cython.ulonglong = state[ACC]
    nbits: cython.int = cython.cast(cython.int, state[NBITS])
    mcus: cython.longlong = state[MCUS_LEFT]
    row_left: cython.longlong = state[ROW_LEFT]
    interval_left: cython.longlong = state[INTERVAL_LEFT]
    column: cython.longlong = state[COLUMN]
    line: cython.longlong = state[LINE]
    bi: cython.int = cython.cast(cython.int, state[BLOCK])
    predictors: cython.Py_ssize_t = PREDICTORS
    w: cython.ulonglong
    e: cython.ulonglong
    x: cython.ulonglong
    v: cython.ulonglong
    s0: cython.ulonglong
    s1: cython.ulonglong
    s2: cython.ulonglong
    s3: cython.ulonglong
    k0: cython.Py_ssize_t
    k1: cython.Py_ssize_t
    k2: cython.Py_ssize_t
    k3: cython.Py_ssize_t
    at: cython.Py_ssize_t
    at0: cython.Py_ssize_t
    b: cython.int
    c: cython.int
    s: cython.int
    n: cython.int
    k: cython.int
    i: cython.int
    tab: cython.int
    t16: cython.int
    component: cython.int
    x0: cython.int
    x1: cython.int
    y0: cython.int
    y1: cython.int
    many: cython.int
    status: cython.int = SCAN_DONE

    while True:
        if row_left == 0:
            status = 2 if mcus else 0
            break
        if pos >= limit:
            status = 1
            break
        at0 = bi * 7
        component = blocks[at0 + 2]
        at = 2 * (blocks[at0 + 3] + cython.cast(cython.Py_ssize_t, column) * blocks[at0 + 4])
        x0 = wide[at]
        x1 = wide[at + 1]
        at = 2 * (blocks[at0 + 5] + cython.cast(cython.Py_ssize_t, line) * blocks[at0 + 6])
        y0 = high[at]
        y1 = high[at + 1]
        many = x1 >= 0 or y1 >= 0
        k0 = ((component << 4) | ((y0 & 3) << 2) | (x0 & 3)) << 6
        k1 = k2 = k3 = k0
        if many:
            if x1 >= 0:
                k1 = ((component << 4) | ((y0 & 3) << 2) | (x1 & 3)) << 6
            if y1 >= 0:
                k2 = ((component << 4) | ((y1 & 3) << 2) | (x0 & 3)) << 6
                if x1 >= 0:
                    k3 = ((component << 4) | ((y1 & 3) << 2) | (x1 & 3)) << 6
        s0 = s1 = s2 = s3 = 0
        k = 0
        tab = blocks[at0]
        while True:
            if nbits < 32:
                if pos + 8 <= end:
                    if cython.compiled:
                        w = ((cython.cast(cython.ulonglong, src[pos]) << 56)
                             | (cython.cast(cython.ulonglong, src[pos + 1]) << 48)
                             | (cython.cast(cython.ulonglong, src[pos + 2]) << 40)
                             | (cython.cast(cython.ulonglong, src[pos + 3]) << 32)
                             | (cython.cast(cython.ulonglong, src[pos + 4]) << 24)
                             | (cython.cast(cython.ulonglong, src[pos + 5]) << 16)
                             | (cython.cast(cython.ulonglong, src[pos + 6]) << 8)
                             | src[pos + 7])
                    else:
                        w = int.from_bytes(src[pos:pos + 8], "big")
                    b = ((((w ^ m64) - ones) & w & tops) & m64) != 0
                else:
                    w = 0
                    b = 1
                if b == 0:  # no FF among the eight bytes
                    acc |= w >> nbits
                    pos += (63 - nbits) >> 3
                    nbits |= 56
                else:
                    while nbits <= 56:
                        if pos >= end:
                            break
                        b = src[pos]
                        if b == 255:
                            if pos + 1 >= end or src[pos + 1] != 0:
                                break
                            pos += 2
                        else:
                            pos += 1
                        acc |= cython.cast(cython.ulonglong, b) << (56 - nbits)
                        nbits += 8
            e = fast[(tab << 11) + (acc >> 53)]
            c = e & 31
            if c == 0:  # a code longer than the look-up, or none
                t16 = tab * 36
                x = acc >> 48
                i = 12
                while i <= 16 and x >= cython.cast(cython.ulonglong, bounds[t16 + i]):
                    i += 1
                if i > 16:
                    status = 8
                    break
                e = entries[(tab << 8) + bounds[t16 + 18 + i]
                            + cython.cast(cython.Py_ssize_t, x >> (16 - i))]
                c = e & 31
            s = (e >> 5) & 31
            n = c + s
            nbits -= n
            if nbits < 0:
                status = 10
                break
            if e & 0x20000:  # end of block
                acc = (acc << n) & m64
                break
            k += (e >> 10) & 127
            if k > 64:
                status = 9
                break
            v = 0
            if s:
                x = ((acc << c) & m64) >> (64 - s)
                v = (x - ((x >> (s - 1)) ^ 1) * ((one << s) - 1)) & m64
            acc = (acc << n) & m64
            if k == 1:  # DC: symbols behind it end at 2 or later
                v = (state[predictors + component] + v) & 0xFFFF
                state[predictors + component] = v
                v = ((v ^ 0x8000) - 0x8000) & m64
                tab = blocks[at0 + 1]
            s0 = (s0 + v * keys[k0 + k - 1]) & m64
            if many:
                s1 = (s1 + v * keys[k1 + k - 1]) & m64
                s2 = (s2 + v * keys[k2 + k - 1]) & m64
                s3 = (s3 + v * keys[k3 + k - 1]) & m64
            if k == 64:
                break
        if status != 0:
            break
        at = (y0 >> 2) * columns + (x0 >> 2)
        cells[at] = (cells[at] + s0) & m64
        if many:
            if x1 >= 0:
                at = (y0 >> 2) * columns + (x1 >> 2)
                cells[at] = (cells[at] + s1) & m64
            if y1 >= 0:
                at = (y1 >> 2) * columns + (x0 >> 2)
                cells[at] = (cells[at] + s2) & m64
                if x1 >= 0:
                    at = (y1 >> 2) * columns + (x1 >> 2)
                    cells[at] = (cells[at] + s3) & m64
        bi += 1
        if bi == per_mcu:
            bi = 0
            mcus -= 1
            row_left -= 1
            column += 1
            if column == per_row:
                column = 0
                line += 1
            if interval:
                interval_left -= 1
            if mcus == 0 or (interval and interval_left == 0):
                state[POS] = pos
                state[ACC] = acc
                state[NBITS] = nbits
                state[MCUS_LEFT] = mcus
                state[INTERVAL_LEFT] = 0
                status = _end_segment(state, params, src)
                pos = state[POS]
                acc = state[ACC]
                nbits = cython.cast(cython.int, state[NBITS])
                interval_left = state[INTERVAL_LEFT]
                if status != 0:
                    break

    state[POS] = pos
    state[ACC] = acc
    state[NBITS] = nbits if nbits > 0 else 0
    state[MCUS_LEFT] = mcus
    state[ROW_LEFT] = row_left
    state[INTERVAL_LEFT] = interval_left
    state[COLUMN] = column
    state[LINE] = line
    state[BLOCK] = bi
    _give_back(state, src)
    return status


@cython.ccall
def take_hashes(cells: cython.ulonglong[::1], keys: cython.ulonglong[::1],
                first: cython.ulonglong, count: cython.Py_ssize_t,
                out: cython.uchar[::1]) -> cython.int:
    """Write the upper halves of the first `count` sums, big endian, and begin all sums anew.

    `first` is the number of the first cell; each number counts into its cell's hash.
    """
    m64: cython.ulonglong = 0xFFFFFFFFFFFFFFFF
    key: cython.ulonglong = keys[CELL_KEY]
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    w: cython.ulonglong
    for i in range(count):
        w = (cells[i] + key * (first + cython.cast(cython.ulonglong, i) + 1)) & m64
        for j in range(4):
            out[4 * i + j] = (w >> (56 - 8 * j)) & 255
    for i in range(cells.shape[0]):
        cells[i] = 0
    return 0
