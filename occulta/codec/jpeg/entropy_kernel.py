# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: cdivision=True, nonecheck=False
# mypy: ignore-errors
"""The inner loops over Huffman-coded scans (ITU-T T.81, annexes F and G).

One Python file: run as it is, it is the readable reference; compiled by Cython it is the fast
kernel. Both give the same bytes and stop at the same block.

Both loops are resumable. They work on whole blocks and stop before a block when the input, the
output or the hidden bits may not suffice for it; everything they need to go on lies in `state`.
Callers pass memoryviews of arrays, never numpy arrays: numpy scalars overflow where Python
integers grow, and Python integers grow where C wraps, hence the masks.

Bits are read through a 64-bit accumulator whose top `nbits` bits are valid; byte stuffing
(FF 00) is undone while refilling and redone while flushing, eight and four bytes at a time where
no FF is among them.
"""

from __future__ import annotations

import cython

# Indices into `state` (64-bit unsigned words).
POS = 0  # next byte of src
ACC = 1
NBITS = 2
OUT_POS = 3
OUT_ACC = 4
OUT_BITS = 5
MCUS_LEFT = 6
INTERVAL_LEFT = 7  # MCUs until the next restart marker
NEXT_RESTART = 8  # 0..7
BLOCK = 9  # index of the next block within the MCU
EOB_RUN = 10
HIDDEN_POS = 11  # bit position in hidden (marking) or byte position (unmarking)
HIDDEN_ACC = 12
HIDDEN_BITS = 13
SEGMENTS = 14  # records written to `ends`
SKIP = 15  # carriers to leave alone (tail loop)
CARRIERS = 16  # carriers met so far (tail loop)
COLUMN = 17  # of the MCU under way, within its row (tail loop)
STATE_SIZE = 18

# Indices into `params` (signed integers fixed for a scan, or for a call).
MODE = 0
INTERVAL = 1
BLOCKS_PER_MCU = 2
SPECTRAL_START = 3
SPECTRAL_END = 4
LIMIT = 5  # stop before a block once POS reaches this
HIDDEN_LIMIT = 6  # stop before a block once HIDDEN_POS passes this
MAX_FILL = 7
MCUS_PER_ROW = 8
PARAMS_SIZE = 9

MARK = 0
UNMARK = 1
SURVEY = 2

# What a loop returns.
SCAN_DONE = 0
NEED_INPUT = 1
NEED_OUTPUT = 2
NEED_HIDDEN = 3
BAD_CODE = 8
OVERRUN = 9
TRUNCATED = 10
BAD_RESTART = 11
EXTRANEOUS = 12
NO_ESCAPE = 13
BAD_HIDDEN = 14

LOOKUP_BITS = 11
BLOCK_ROOM = 1200
"""Output bytes one block and one restart marker can need; input bytes likewise."""


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


@cython.cfunc
@cython.exceptval(check=False)
def _end_segment(state: cython.ulonglong[::1], params: cython.longlong[::1],
                 src: cython.uchar[::1], out: cython.uchar[::1],
                 ends: cython.ulonglong[::1]) -> cython.int:
    """Close an entropy-coded segment: padding, then the restart marker if MCUs remain.

    Records (offset in out of the byte that holds the padding, padding bits written, padding bits
    read, their value) in `ends`. Padding is written as ones (T.81 F.1.2.3).
    """
    pos: cython.Py_ssize_t = state[POS]
    end: cython.Py_ssize_t = src.shape[0]
    opos: cython.Py_ssize_t = state[OUT_POS]
    oacc: cython.ulonglong = state[OUT_ACC]
    on: cython.int = cython.cast(cython.int, state[OUT_BITS])
    acc: cython.ulonglong = state[ACC]
    nbits: cython.int = cython.cast(cython.int, state[NBITS])
    value: cython.ulonglong
    b: cython.int
    pad: cython.int
    fill: cython.longlong = 0
    # The padding's byte may not have been read yet; stop at the marker, not past it.
    while nbits < 8 and pos < end:
        b = src[pos]
        if b == 255:
            if pos + 1 >= end or src[pos + 1] != 0:
                break
            pos += 2
        else:
            pos += 1
        acc |= cython.cast(cython.ulonglong, b) << (56 - nbits)
        nbits += 8
    if nbits > 7:
        return EXTRANEOUS
    if pos < end and (src[pos] != 255 or (pos + 1 < end and src[pos + 1] == 0)):
        return EXTRANEOUS
    value = (acc >> 1) >> (63 - nbits)
    oacc &= (cython.cast(cython.ulonglong, 1) << on) - 1  # above `on` there may be anything
    pad = (8 - (on & 7)) & 7
    if params[MODE] != SURVEY:
        opos = _flush(out, opos, oacc >> (on & 7), on - (on & 7))
    ends[state[SEGMENTS]] = ((cython.cast(cython.ulonglong, opos) << 24)
                             | (cython.cast(cython.ulonglong, pad) << 16)
                             | (cython.cast(cython.ulonglong, nbits) << 8) | value)
    state[SEGMENTS] += 1
    if params[MODE] != SURVEY and pad:
        oacc = ((oacc & ((1 << (on & 7)) - 1)) << pad) | ((1 << pad) - 1)
        opos = _flush(out, opos, oacc, 8)
    state[POS] = pos
    state[ACC] = 0
    state[NBITS] = 0
    state[OUT_ACC] = 0
    state[OUT_BITS] = 0
    state[OUT_POS] = opos
    if state[MCUS_LEFT] == 0:
        return SCAN_DONE
    while pos < end and src[pos] == 255:
        fill += 1
        pos += 1
        if params[MODE] != SURVEY:
            out[opos] = 255
            opos += 1
        if fill > params[MAX_FILL]:
            return BAD_RESTART
    if pos >= end:
        return TRUNCATED
    if fill == 0 or src[pos] != 0xD0 + state[NEXT_RESTART]:
        return BAD_RESTART
    if params[MODE] != SURVEY:
        out[opos] = src[pos]
        opos += 1
    state[POS] = pos + 1
    state[OUT_POS] = opos
    state[NEXT_RESTART] = (state[NEXT_RESTART] + 1) & 7
    state[INTERVAL_LEFT] = params[INTERVAL]
    state[EOB_RUN] = 0
    return SCAN_DONE


@cython.ccall
def transcode(state: cython.ulonglong[::1], params: cython.longlong[::1], src: cython.uchar[::1],
              out: cython.uchar[::1], hidden: cython.uchar[::1], ends: cython.ulonglong[::1],
              blocks: cython.int[::1], fast: cython.ulonglong[::1], entries: cython.ulonglong[::1],
              bounds: cython.int[::1], alternatives: cython.uint[::1],
              histogram: cython.uint[::1]) -> cython.int:
    """Re-emit every symbol of a scan through other codes; carry, collect or count.

    MARK writes each symbol with the code that the next hidden bits choose, UNMARK writes the
    symbol's own code and collects the bits that the code stands for, SURVEY counts symbols in
    `histogram` (table << 8 | symbol) and writes nothing. `blocks` holds (DC slot, AC slot) per
    block of an MCU; see tables.py for `fast`, `entries`, `bounds` and `alternatives`.
    Returns one of the status codes above.
    """
    m64: cython.ulonglong = 0xFFFFFFFFFFFFFFFF
    ones: cython.ulonglong = 0x0101010101010101
    tops: cython.ulonglong = 0x8080808080808080
    mode: cython.int = cython.cast(cython.int, params[MODE])
    per_mcu: cython.int = cython.cast(cython.int, params[BLOCKS_PER_MCU])
    ss: cython.int = cython.cast(cython.int, params[SPECTRAL_START])
    se: cython.int = cython.cast(cython.int, params[SPECTRAL_END])
    limit: cython.Py_ssize_t = params[LIMIT]
    hidden_limit: cython.Py_ssize_t = params[HIDDEN_LIMIT]
    out_limit: cython.Py_ssize_t = out.shape[0] - 1200
    ends_limit: cython.Py_ssize_t = ends.shape[0] - 1
    end: cython.Py_ssize_t = src.shape[0]
    pos: cython.Py_ssize_t = state[POS]
    acc: cython.ulonglong = state[ACC]
    nbits: cython.int = cython.cast(cython.int, state[NBITS])
    opos: cython.Py_ssize_t = state[OUT_POS]
    oacc: cython.ulonglong = state[OUT_ACC]
    on: cython.int = cython.cast(cython.int, state[OUT_BITS])
    mcus: cython.longlong = state[MCUS_LEFT]
    interval_left: cython.longlong = state[INTERVAL_LEFT]
    bi: cython.int = cython.cast(cython.int, state[BLOCK])
    eob_run: cython.longlong = state[EOB_RUN]
    hpos: cython.Py_ssize_t = state[HIDDEN_POS]
    hacc: cython.ulonglong = state[HIDDEN_ACC]
    hn: cython.int = cython.cast(cython.int, state[HIDDEN_BITS])
    interval: cython.longlong = params[INTERVAL]
    w: cython.ulonglong
    e: cython.ulonglong
    x: cython.ulonglong
    code: cython.ulonglong
    b: cython.int
    c: cython.int
    s: cython.int
    n: cython.int
    j: cython.int
    k: cython.int
    tab: cython.int
    t16: cython.int
    i: cython.int
    a: cython.uint
    status: cython.int = SCAN_DONE

    while True:
        if bi == 0:
            if mcus == 0 or (interval and interval_left == 0):
                if state[SEGMENTS] >= cython.cast(cython.ulonglong, ends_limit):
                    status = 2
                    break
                if opos > out_limit:
                    status = 2
                    break
                state[POS] = pos
                state[ACC] = acc
                state[NBITS] = nbits
                state[OUT_POS] = opos
                state[OUT_ACC] = oacc
                state[OUT_BITS] = on
                state[MCUS_LEFT] = mcus
                status = _end_segment(state, params, src, out, ends)
                pos = state[POS]
                acc = state[ACC]
                nbits = cython.cast(cython.int, state[NBITS])
                opos = state[OUT_POS]
                oacc = state[OUT_ACC]
                on = cython.cast(cython.int, state[OUT_BITS])
                eob_run = state[EOB_RUN]
                interval_left = state[INTERVAL_LEFT]
                if status != 0 or mcus == 0:
                    break
        if pos >= limit:
            status = 1
            break
        if opos > out_limit:
            status = 2
            break
        if hpos > hidden_limit:
            status = 3
            break
        if eob_run > 0:
            eob_run -= 1
        else:
            k = ss
            tab = blocks[2 * bi] if ss == 0 else blocks[2 * bi + 1]
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
                x = ((((acc << c) & m64) >> 1)) >> (63 - s)
                acc = (acc << n) & m64
                if mode == 2:
                    histogram[(tab << 8) + ((e >> 51) & 255)] += 1
                else:
                    code = (e >> 27) & 0xFFFF
                    n = s + ((e >> 18) & 31)
                    j = (e >> 23) & 15
                    if j:
                        if mode == 0:
                            i = hpos >> 3
                            a = alternatives[code + ((((cython.cast(cython.uint, hidden[i]) << 8)
                                                       | hidden[i + 1]) >> (16 - j - (hpos & 7)))
                                                     & ((1 << j) - 1))]
                            hpos += (a >> 5) & 31
                            code = a >> 10
                            n = s + (a & 31)
                        else:
                            hacc = (hacc << j) | ((e >> 43) & 255)
                            hn += j
                            if hn >= 32:
                                hn -= 32
                                w = hacc >> hn
                                hidden[hpos] = (w >> 24) & 255
                                hidden[hpos + 1] = (w >> 16) & 255
                                hidden[hpos + 2] = (w >> 8) & 255
                                hidden[hpos + 3] = w & 255
                                hpos += 4
                                hacc &= (1 << hn) - 1
                    code = (code << s) | x
                    on += n
                    if on < 64:
                        oacc = ((oacc << n) | code) & m64
                    else:  # 64 bits are full: write them, keep the rest
                        on -= 64
                        w = ((oacc << (n - on)) | (code >> on)) & m64
                        oacc = code
                        if (((w ^ m64) - ones) & w & tops) & m64:
                            opos = _flush(out, opos, w, 64)
                        elif cython.compiled:
                            out[opos] = w >> 56
                            out[opos + 1] = (w >> 48) & 255
                            out[opos + 2] = (w >> 40) & 255
                            out[opos + 3] = (w >> 32) & 255
                            out[opos + 4] = (w >> 24) & 255
                            out[opos + 5] = (w >> 16) & 255
                            out[opos + 6] = (w >> 8) & 255
                            out[opos + 7] = w & 255
                            opos += 8
                        else:
                            out[opos:opos + 8] = w.to_bytes(8, "big")
                            opos += 8
                if e & 0x20000:  # end of block, or of a band of blocks (EOBn)
                    eob_run = (1 << s) - 1 + x
                    break
                k += (e >> 10) & 127
                if k > se:
                    if k > se + 1:
                        status = 9
                    break
                tab = blocks[2 * bi + 1]
            if status != 0:
                break
        bi += 1
        if bi == per_mcu:
            bi = 0
            mcus -= 1
            interval_left -= 1

    state[POS] = pos
    state[ACC] = acc
    state[NBITS] = nbits if nbits > 0 else 0
    state[OUT_POS] = opos
    state[OUT_ACC] = oacc
    state[OUT_BITS] = on
    state[MCUS_LEFT] = mcus
    state[INTERVAL_LEFT] = interval_left if interval_left > 0 else 0
    state[BLOCK] = bi
    state[EOB_RUN] = eob_run
    state[HIDDEN_POS] = hpos
    state[HIDDEN_ACC] = hacc
    state[HIDDEN_BITS] = hn
    return status


@cython.ccall
def mark_tails(state: cython.ulonglong[::1], params: cython.longlong[::1],
               src: cython.uchar[::1], out: cython.uchar[::1], hidden: cython.uchar[::1],
               ends: cython.ulonglong[::1], blocks: cython.int[::1],
               fast: cython.ulonglong[::1], entries: cython.ulonglong[::1],
               bounds: cython.int[::1], tails: cython.int[::1],
               edges: cython.int[::1]) -> cython.int:
    """Add (MARK), remove (UNMARK) or count (SURVEY) one coefficient behind each block's last.

    Sequential scans only. The value behind the last non-zero coefficient is one of -3, -2, 2, 3
    and carries two bits. Codes are copied as they are, several per look-up; `tails` holds, per
    table, the codes that are inserted (see tables.py). `edges` says per block of an MCU whether it
    lies beyond the picture in the last MCU of a row (1), in the last row of MCUs (2): such blocks
    are copied, because lossless transcoders make them anew. Returns one of the status codes above.
    """
    m64: cython.ulonglong = 0xFFFFFFFFFFFFFFFF
    m32: cython.ulonglong = 0xFFFFFFFF
    ones: cython.ulonglong = 0x0101010101010101
    tops32: cython.ulonglong = 0x80808080
    tops: cython.ulonglong = 0x8080808080808080
    mode: cython.int = cython.cast(cython.int, params[MODE])
    per_mcu: cython.int = cython.cast(cython.int, params[BLOCKS_PER_MCU])
    limit: cython.Py_ssize_t = params[LIMIT]
    hidden_limit: cython.Py_ssize_t = params[HIDDEN_LIMIT]
    out_limit: cython.Py_ssize_t = out.shape[0] - 1200
    ends_limit: cython.Py_ssize_t = ends.shape[0] - 1
    end: cython.Py_ssize_t = src.shape[0]
    pos: cython.Py_ssize_t = state[POS]
    acc: cython.ulonglong = state[ACC]
    nbits: cython.int = cython.cast(cython.int, state[NBITS])
    opos: cython.Py_ssize_t = state[OUT_POS]
    oacc: cython.ulonglong = state[OUT_ACC]
    on: cython.int = cython.cast(cython.int, state[OUT_BITS])
    mcus: cython.longlong = state[MCUS_LEFT]
    interval_left: cython.longlong = state[INTERVAL_LEFT]
    bi: cython.int = cython.cast(cython.int, state[BLOCK])
    hpos: cython.Py_ssize_t = state[HIDDEN_POS]
    skip: cython.longlong = state[SKIP]
    carriers: cython.longlong = state[CARRIERS]
    interval: cython.longlong = params[INTERVAL]
    per_row: cython.longlong = params[MCUS_PER_ROW]
    column: cython.longlong = state[COLUMN]
    w: cython.ulonglong
    e: cython.ulonglong
    x: cython.ulonglong
    value: cython.longlong
    b: cython.int
    n: cython.int
    s: cython.int
    k: cython.int
    adv: cython.int
    tab: cython.int
    at: cython.int
    t16: cython.int
    i: cython.int
    eob: cython.int
    last02: cython.int
    last2: cython.int
    active: cython.int
    beyond: cython.int
    status: cython.int = SCAN_DONE

    while True:
        if bi == 0:
            if mcus == 0 or (interval and interval_left == 0):
                if state[SEGMENTS] >= cython.cast(cython.ulonglong, ends_limit):
                    status = 2
                    break
                if opos > out_limit:
                    status = 2
                    break
                state[POS] = pos
                state[ACC] = acc
                state[NBITS] = nbits
                state[OUT_POS] = opos
                state[OUT_ACC] = oacc
                state[OUT_BITS] = on
                state[MCUS_LEFT] = mcus
                status = _end_segment(state, params, src, out, ends)
                pos = state[POS]
                acc = state[ACC]
                nbits = cython.cast(cython.int, state[NBITS])
                opos = state[OUT_POS]
                oacc = state[OUT_ACC]
                on = cython.cast(cython.int, state[OUT_BITS])
                interval_left = state[INTERVAL_LEFT]
                if status != 0 or mcus == 0:
                    break
        if pos >= limit:
            status = 1
            break
        if opos > out_limit:
            status = 2
            break
        beyond = ((edges[bi] & 1 and column + 1 == per_row) or (edges[bi] & 2 and mcus <= per_row))
        active = skip == 0 and not beyond
        if active and hpos > hidden_limit:
            status = 3
            break
        k = 0
        last02 = 0
        last2 = 0
        eob = 0
        tab = blocks[2 * bi]
        at = blocks[2 * bi + 1]
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
                if b == 0:
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
            n = e & 63
            if n == 0:
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
                n = e & 63
            adv = (e >> 6) & 127
            if k + adv > 62:  # near the end each symbol counts: the first one alone
                s = (e >> 21) & 31
                n = s + ((e >> 16) & 31)
                adv = (e >> 26) & 127
                e = (e >> 20) & 0x2000  # its own end-of-block bit, moved to the bit of several
                e |= 0x8000 if s == 2 else 0
                e |= 0x4000 if s == 2 and adv == 1 else 0
            else:
                s = 0
            nbits -= n
            if nbits < 0:
                status = 10
                break
            x = acc >> (64 - n)
            acc = (acc << n) & m64
            if e & 0x2000:
                eob = 1
                x >>= tails[at * 24]
                n -= tails[at * 24]
            if n:
                if mode != 2:
                    if on > 31:
                        on -= 32
                        w = (oacc >> on) & m32
                        oacc &= (cython.cast(cython.ulonglong, 1) << on) - 1
                        if ((w ^ m32) - 0x01010101) & w & tops32:
                            opos = _flush(out, opos, w, 32)
                        else:
                            out[opos] = (w >> 24) & 255
                            out[opos + 1] = (w >> 16) & 255
                            out[opos + 2] = (w >> 8) & 255
                            out[opos + 3] = w & 255
                            opos += 4
                    if k == 63 and last2 and adv == 1 and active and tails[at * 24 + 2]:
                        # Index 63 behind a 2 or 3 at 62: the marker's place (Table 4).
                        value = x & ((1 << s) - 1)
                        b = tails[at * 24 + 4]
                        if s < b or b == 0 or (value >> (s - 1)) == 0 or value < (1 << b) - 1:
                            pass
                        elif mode == 1 and value == (1 << b) - 1:
                            n = 0
                            x = tails[at * 24 + 1]
                            n = tails[at * 24]
                        else:
                            value += 1 if mode == 0 else -1
                            if value >> s:
                                s += 1
                            elif (value >> (s - 1)) == 0:
                                s -= 1
                            if s > 15 or tails[at * 24 + 5 + s] == 0:
                                status = 13
                                break
                            n = s + (tails[at * 24 + 5 + s] & 31)
                            x = (cython.cast(cython.ulonglong, tails[at * 24 + 5 + s] >> 5)
                                 << s) | cython.cast(cython.ulonglong, value)
                    oacc = (oacc << n) | x
                    on += n
                k += adv
                last02 = (e >> 14) & 1
                last2 = (e >> 15) & 1
            if eob:
                break
            if k > 63:
                if k > 64:
                    status = 9
                break
            tab = at
        if status != 0:
            break
        if eob:
            x = tails[at * 24 + 1]
            n = tails[at * 24]
            if tails[at * 24 + 2] == 0 or beyond:
                pass  # beyond the picture, or the table cannot say (0, 2)
            elif mode == 2 or skip > 0:
                if k < 63:
                    carriers += 1
                    if mode != 2:
                        skip -= 1
            elif mode == 0:
                if k < 63:
                    w = (hidden[hpos >> 3] >> (6 - (hpos & 7))) & 3
                    hpos += 2
                    carriers += 1
                    x |= ((cython.cast(cython.ulonglong, tails[at * 24 + 3]) << 2) | w) << n
                    n += tails[at * 24 + 2] + 2
                elif last2:
                    s = tails[at * 24 + 4]
                    if s == 0:
                        status = 13
                        break
                    n = s + (tails[at * 24 + 5 + s] & 31)
                    x = ((cython.cast(cython.ulonglong, tails[at * 24 + 5 + s] >> 5) << s)
                         | ((1 << s) - 1))
            elif last02:
                b = (oacc & 3) << (6 - (hpos & 7))
                hidden[hpos >> 3] = hidden[hpos >> 3] | b
                hpos += 2
                carriers += 1
                on -= tails[at * 24 + 2] + 2
                oacc >>= tails[at * 24 + 2] + 2
            elif k < 63 or last2:
                status = 14
                break
            if mode != 2:
                if on > 31:
                    on -= 32
                    w = (oacc >> on) & m32
                    oacc &= (cython.cast(cython.ulonglong, 1) << on) - 1
                    opos = _flush(out, opos, w, 32)
                oacc = (oacc << n) | x
                on += n
        bi += 1
        if bi == per_mcu:
            bi = 0
            mcus -= 1
            interval_left -= 1
            column += 1
            if column == per_row:
                column = 0

    state[POS] = pos
    state[ACC] = acc
    state[NBITS] = nbits if nbits > 0 else 0
    state[OUT_POS] = opos
    state[OUT_ACC] = oacc
    state[OUT_BITS] = on
    state[MCUS_LEFT] = mcus
    state[INTERVAL_LEFT] = interval_left if interval_left > 0 else 0
    state[BLOCK] = bi
    state[HIDDEN_POS] = hpos
    state[SKIP] = skip if skip > 0 else 0
    state[CARRIERS] = carriers
    state[COLUMN] = column
    return status
