# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: cdivision=True, nonecheck=False
# mypy: ignore-errors
"""The inner loops between entropy-coded sequential scans and coefficients (T.81 F.1, F.2).

One Python file: run as it is, it is the readable reference; compiled by Cython it is the fast
kernel. Both give the same coefficients and bytes and stop at the same block.

Both loops are resumable and work on whole blocks. `state` and `params` continue those of the
entropy kernel. Coefficients are in zigzag order.

Bounds are not checked in compiled code. `fast`, `entries`: the slot is below 8, a code has at most
11 bits there, its index is one of the table's own (canonical codes fill [0, bounds[length]) without
a gap). `coefficients`: MCUs never pass those of the row or the picture that `places` is made for.
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
    OUT_ACC,
    OUT_BITS,
    OUT_POS,
    POS,
    SCAN_DONE,
    TRUNCATED,
)
from occulta.codec.jpeg.entropy_kernel import PARAMS_SIZE as _PARAMS
from occulta.codec.jpeg.entropy_kernel import STATE_SIZE as _FIRST

# Further indices into `state`.
ROW_LEFT = _FIRST  # MCUs until the loop stops
LINE = _FIRST + 1  # row of MCUs under way, of those in `coefficients`
PREDICTORS = _FIRST + 2  # one per component of the scan, 16 bits each
STATE_SIZE = _FIRST + 6
PARAMS_SIZE = _PARAMS

# What `encode` returns besides SCAN_DONE and NEED_OUTPUT.
OUT_OF_RANGE = 16

BLOCK_STRIDE = 3
"""Per block of an MCU in `blocks`: DC slot, AC slot, component. In `places`: its first coefficient,
the step to the next MCU, the step to the next row of MCUs."""
CODES = 512
"""Codes of one pair of tables for `encode`: by DC category, then from 256 on by AC symbol; the code
with room for its extra bits << 8 | bits of both."""
BLOCK_ROOM = 440
"""Output bytes one block and the bits before it can need, stuffing included."""
DE_BRUIJN = 0x03F79D71B4CB0A89
"""A word in which every six bits are different ones: finds the place of a single bit."""
LARGEST_AC = 1023
LARGEST_DIFFERENCE = 2047


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


@cython.ccall
def decode(state: cython.ulonglong[::1], params: cython.longlong[::1], src: cython.uchar[::1],
           blocks: cython.int[::1], places: cython.longlong[::1], fast: cython.ulonglong[::1],
           entries: cython.ulonglong[::1], bounds: cython.int[::1],
           coefficients: cython.short[::1]) -> cython.int:
    """Decode until ROW_LEFT MCUs are through; `coefficients` are all zero before.

    Returns NEED_OUTPUT at the end of the row, SCAN_DONE at that of the scan, NEED_INPUT, or what is
    wrong. Values of any file fit: DC predictors wrap at 16 bits, AC values have at most 15.
    """
    m64: cython.ulonglong = 0xFFFFFFFFFFFFFFFF
    ones: cython.ulonglong = 0x0101010101010101
    tops: cython.ulonglong = 0x8080808080808080
    per_mcu: cython.int = cython.cast(cython.int, params[BLOCKS_PER_MCU])
    limit: cython.Py_ssize_t = params[LIMIT]
    interval: cython.longlong = params[INTERVAL]
    per_row: cython.longlong = params[MCUS_PER_ROW]
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
    v: cython.longlong
    at: cython.Py_ssize_t
    b: cython.int
    c: cython.int
    s: cython.int
    n: cython.int
    k: cython.int
    i: cython.int
    tab: cython.int
    t16: cython.int
    component: cython.int
    status: cython.int = SCAN_DONE

    while True:
        if row_left == 0:
            status = 2 if mcus else 0
            break
        if pos >= limit:
            status = 1
            break
        at = (places[3 * bi] + cython.cast(cython.Py_ssize_t, column) * places[3 * bi + 1]
              + cython.cast(cython.Py_ssize_t, line) * places[3 * bi + 2] - 1)
        k = 0
        tab = blocks[3 * bi]
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
                v = cython.cast(cython.longlong, x)
                v -= ((v >> (s - 1)) ^ 1) * ((1 << s) - 1)
            acc = (acc << n) & m64
            if k == 1:  # DC: symbols behind it end at 2 or later
                component = blocks[3 * bi + 2]
                v = (cython.cast(cython.longlong, state[predictors + component]) + v) & 0xFFFF
                state[predictors + component] = v
                v = (v ^ 0x8000) - 0x8000
                tab = blocks[3 * bi + 1]
            if v != 0:
                coefficients[at + k] = v
            if k == 64:
                break
        if status != 0:
            break
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
    return status


@cython.cfunc
@cython.exceptval(check=False)
def _flush(out: cython.uchar[::1], opos: cython.Py_ssize_t, oacc: cython.ulonglong,
           on: cython.int) -> cython.Py_ssize_t:
    """Write the `on` (a multiple of 8) lowest bits of oacc as stuffed bytes; return the new end."""
    b: cython.int
    while on > 0:
        on -= 8
        b = cython.cast(cython.int, (oacc >> on) & 255)
        out[opos] = b
        opos += 1
        if b == 255:
            out[opos] = 0
            opos += 1
    return opos


@cython.ccall
def encode(state: cython.ulonglong[::1], params: cython.longlong[::1],
           coefficients: cython.short[::1], blocks: cython.int[::1], places: cython.longlong[::1],
           codes: cython.ulonglong[::1], sizes: cython.uchar[::1], ordinals: cython.uchar[::1],
           out: cython.uchar[::1]) -> cython.int:
    """Encode until ROW_LEFT MCUs are through, then pad with ones to a whole byte (F.1.2.3).

    `blocks` holds per block of an MCU the index of its DC and of its AC codes in `codes` and its
    component; `sizes` the bits of magnitudes up to LARGEST_DIFFERENCE; `ordinals` the number of a
    single bit, by the upper six bits of its product with DE_BRUIJN. Returns SCAN_DONE, NEED_OUTPUT,
    or OUT_OF_RANGE for a value beyond baseline (F.1.2.1.1, F.1.2.2.1).
    """
    m64: cython.ulonglong = 0xFFFFFFFFFFFFFFFF
    m32: cython.ulonglong = 0xFFFFFFFF
    tops32: cython.ulonglong = 0x80808080
    per_mcu: cython.int = cython.cast(cython.int, params[BLOCKS_PER_MCU])
    out_limit: cython.Py_ssize_t = out.shape[0] - BLOCK_ROOM
    opos: cython.Py_ssize_t = 0
    oacc: cython.ulonglong = state[OUT_ACC]
    on: cython.int = cython.cast(cython.int, state[OUT_BITS])
    row_left: cython.longlong = state[ROW_LEFT]
    column: cython.longlong = state[COLUMN]
    bi: cython.int = cython.cast(cython.int, state[BLOCK])
    predictors: cython.Py_ssize_t = PREDICTORS
    sequence: cython.ulonglong = DE_BRUIJN
    mask: cython.ulonglong
    low: cython.ulonglong
    e: cython.ulonglong
    w: cython.ulonglong
    at: cython.Py_ssize_t
    table: cython.Py_ssize_t
    component: cython.int
    k: cython.int
    run: cython.int
    s: cython.int
    v: cython.int
    m: cython.int
    dc: cython.int
    status: cython.int = SCAN_DONE

    while row_left:
        if opos > out_limit:
            status = 2
            break
        at = places[3 * bi] + cython.cast(cython.Py_ssize_t, column) * places[3 * bi + 1]
        component = blocks[3 * bi + 2]
        table = blocks[3 * bi]
        dc = coefficients[at]
        v = dc - cython.cast(cython.int, (state[predictors + component] ^ 0x8000)) + 0x8000
        m = -v if v < 0 else v
        if m > 2047:
            status = 16
            break
        s = sizes[m]
        e = codes[table + s]
        if v < 0:
            v += (1 << s) - 1
        oacc = ((oacc << (e & 255)) | (e >> 8) | cython.cast(cython.ulonglong, v)) & m64
        on += cython.cast(cython.int, e & 255)
        table = blocks[3 * bi + 1]
        mask = 0
        for k in range(1, 64):
            if cython.compiled:
                mask |= cython.cast(cython.ulonglong, coefficients[at + k] != 0) << k
            elif coefficients[at + k]:
                mask |= 1 << k
        k = 0
        while True:
            if on > 31:
                on -= 32
                w = (oacc >> on) & m32
                if ((w ^ m32) - 0x01010101) & w & tops32:
                    opos = _flush(out, opos, w, 32)
                else:
                    out[opos] = (w >> 24) & 255
                    out[opos + 1] = (w >> 16) & 255
                    out[opos + 2] = (w >> 8) & 255
                    out[opos + 3] = w & 255
                    opos += 4
            if mask == 0:
                if k < 63:
                    e = codes[table]
                    oacc = ((oacc << (e & 255)) | (e >> 8)) & m64
                    on += cython.cast(cython.int, e & 255)
                break
            low = mask & (~mask + 1)
            run = ordinals[((low * sequence) & m64) >> 58] - k - 1
            if run > 15:
                e = codes[table + 0xF0]
                oacc = ((oacc << (e & 255)) | (e >> 8)) & m64
                on += cython.cast(cython.int, e & 255)
                k += 16
                continue
            mask ^= low
            k += run + 1
            v = coefficients[at + k]
            m = -v if v < 0 else v
            if m > 1023:
                status = 16
                break
            s = sizes[m]
            e = codes[table + (run << 4) + s]
            if v < 0:
                v += (1 << s) - 1
            oacc = ((oacc << (e & 255)) | (e >> 8) | cython.cast(cython.ulonglong, v)) & m64
            on += cython.cast(cython.int, e & 255)
        if status != 0:
            break
        state[predictors + component] = dc & 0xFFFF
        bi += 1
        if bi == per_mcu:
            bi = 0
            row_left -= 1
            column += 1
    if status == 0:
        s = (8 - (on & 7)) & 7
        oacc = ((oacc << s) | ((1 << s) - 1)) & m64
        opos = _flush(out, opos, oacc, on + s)
        oacc = 0
        on = 0
    state[OUT_POS] = opos
    state[OUT_ACC] = oacc
    state[OUT_BITS] = on
    state[ROW_LEFT] = row_left
    state[COLUMN] = column
    state[BLOCK] = bi
    return status


@cython.ccall
def clip(coefficients: cython.short[::1]) -> cython.Py_ssize_t:
    """Bring DC to -1024..1023 and AC to -1023..1023, in place; return how many were beyond."""
    at: cython.Py_ssize_t
    v: cython.int
    least: cython.int
    changed: cython.Py_ssize_t = 0
    for at in range(coefficients.shape[0]):
        v = coefficients[at]
        least = -1023 if at & 63 else -1024
        if v < least:
            coefficients[at] = least
            changed += 1
        elif v > 1023:
            coefficients[at] = 1023
            changed += 1
    return changed
