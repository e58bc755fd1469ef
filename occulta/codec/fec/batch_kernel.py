# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: cdivision=True, nonecheck=False
# mypy: ignore-errors
"""Max-log turbo decoding of sixteen code blocks abreast, in 16-bit integers.

One Python file: run as it is, it is the readable reference; compiled by Cython it is the fast
kernel. Both decide the same bits, and the same as `bcjr` of the scalar kernel with no correction.

Every quantity is a row of sixteen lanes, one lane a code block; the loops over a row are what the
compiler makes vector instructions of. What a loop writes is a local array or the rows of `alpha`
that it does not read, so that it needs no test for overlap.

States are s1 + 2 s2 + 4 s3, s1 the newest bit of the register. With L the LLR of the message bit
(channel and a priori) and P that of the parity bit, a branch of message bit u and parity bit z
weighs (1 - u) L + (1 - z) P: one of 0, L, P and G = L + P.

A block is worked through in windows of 128 steps, forward and then backward, so that the forward
metrics stay in the processor's first cache. The backward metrics at the end of a window are those
that the same encoder's last half-iteration had there; all alike in the first.

No 16-bit overflow, for any input. Channel LLRs are clamped to 255 and extrinsic ones to 765, so
that |L| + |P| <= M = 255 + 765 + 255 = 1275, and the weights of two branches of one step differ by
at most M. Any state reaches any other in three steps, hence metrics three steps or more behind
where a recursion begins differ by at most 3 M. Within the first two steps of a window backward
metrics differ by at most 5 M, since they begin with a difference of 3 M. Forward ones begin with 0
for state 0 and -6 M for the others, so that no path from there can win any of the maxima, and
differ by at most 8 M. Before every eighth step, the first of a window among them, the metric of
state 0 is subtracted from all; up to eight steps then add at most 8 M. All metrics so stay within
3 M + 8 M = 11 M, and a sum of a forward and a backward one and a branch within 23 M = 29325, which
is below 32768. The a-posteriori LLR is a difference of two maxima over the same states, whose two
branches end in states that differ by at most 5 M: it is at most 6 M = 7650.
"""

from __future__ import annotations

import cython

LANES = 16


@cython.cfunc
@cython.exceptval(check=False)
def _spread(llrs: cython.const[cython.short][::1], first: cython.Py_ssize_t,
            used: cython.Py_ssize_t, k: cython.Py_ssize_t, half: cython.Py_ssize_t,
            rows: cython.short[::1], par1: cython.short[::1], par2: cython.short[::1],
            tail: cython.short[::1]) -> cython.void:
    """Turn `used` code words from `llrs[first]` into rows, clamped; parity not sent stays 0."""
    step: cython.Py_ssize_t = 2 if half else 3
    stride: cython.Py_ssize_t = step * k + 12
    i: cython.Py_ssize_t
    x: cython.Py_ssize_t
    at: cython.Py_ssize_t
    for i in range(k):
        at = first + step * i
        if step == 3:
            for x in range(used):
                rows[16 * i + x] = llrs[at]
                par1[16 * i + x] = llrs[at + 1]
                par2[16 * i + x] = llrs[at + 2]
                at += stride
        elif i & 1:
            for x in range(used):
                rows[16 * i + x] = llrs[at]
                par2[16 * i + x] = llrs[at + 1]
                at += stride
        else:
            for x in range(used):
                rows[16 * i + x] = llrs[at]
                par1[16 * i + x] = llrs[at + 1]
                at += stride
    for i in range(12):
        at = first + step * k + i
        for x in range(used):
            tail[16 * i + x] = llrs[at]
            at += stride
    _clamp(rows)
    _clamp(par1)
    _clamp(par2)
    _clamp(tail)


@cython.cfunc
@cython.exceptval(check=False)
def _clamp(row: cython.short[::1]) -> cython.void:
    x: cython.Py_ssize_t
    v: cython.short
    for x in range(len(row)):
        v = row[x]
        v = v if v < 255 else 255
        row[x] = v if v > -255 else -255


@cython.cfunc
@cython.exceptval(check=False)
def _end(tail: cython.short[::1], at: cython.Py_ssize_t, width: cython.Py_ssize_t,
         ends: cython.short[::1]) -> cython.void:
    """Weigh, for each state, the one path of three steps that ends in state 0."""
    s: cython.Py_ssize_t
    i: cython.Py_ssize_t
    x: cython.Py_ssize_t
    now: cython.Py_ssize_t
    u: cython.short
    z: cython.short
    for x in range(width):
        for s in range(8):
            now = s
            ends[16 * s + x] = 0
            for i in range(3):
                u = ((now >> 1) ^ (now >> 2)) & 1  # what the feedback adds, so that 0 enters
                z = (now ^ (now >> 2)) & 1
                ends[16 * s + x] += ((1 - u) * tail[16 * (at + 2 * i) + x]
                                     + (1 - z) * tail[16 * (at + 2 * i + 1) + x])
                now = (now << 1) & 7


@cython.cfunc
@cython.exceptval(check=False)
def _forward(order: cython.int[::1], first: cython.Py_ssize_t, count: cython.Py_ssize_t,
             lanes: cython.Py_ssize_t, sums: cython.short[::1], par: cython.short[::1],
             alpha: cython.short[::1]) -> cython.void:
    """Forward metrics of `count` steps: `alpha[128 i + 16 s + lane]`, the first row given.

    Two steps in turn, so that the metrics between them are in registers. All block sizes are even.
    """
    width: cython.Py_ssize_t = 16
    if not cython.compiled:
        width = lanes
    us = cython.declare(cython.short[16])
    ps = cython.declare(cython.short[16])
    us2 = cython.declare(cython.short[16])
    ps2 = cython.declare(cython.short[16])
    base = cython.declare(cython.short[16])
    i: cython.Py_ssize_t
    s: cython.Py_ssize_t
    x: cython.Py_ssize_t
    a: cython.Py_ssize_t
    r: cython.Py_ssize_t
    u: cython.short
    p: cython.short
    g: cython.short
    a0: cython.short
    a1: cython.short
    a2: cython.short
    a3: cython.short
    a4: cython.short
    a5: cython.short
    a6: cython.short
    a7: cython.short
    b0: cython.short
    b1: cython.short
    b2: cython.short
    b3: cython.short
    b4: cython.short
    b5: cython.short
    b6: cython.short
    b7: cython.short
    v: cython.short
    w: cython.short
    for i in range(0, count, 2):
        a = 128 * i
        if i & 7 == 0:
            for x in range(width):
                base[x] = alpha[a + x]
            for s in range(8):
                for x in range(width):
                    alpha[a + 16 * s + x] -= base[x]
        r = 16 * cython.cast(cython.Py_ssize_t, order[first + i])
        for x in range(width):
            us[x] = sums[r + x]
            ps[x] = par[16 * (first + i) + x]
        r = 16 * cython.cast(cython.Py_ssize_t, order[first + i + 1])
        for x in range(width):
            us2[x] = sums[r + x]
            ps2[x] = par[16 * (first + i) + 16 + x]
        for x in range(width):
            a0 = alpha[a + x]
            a1 = alpha[a + 16 + x]
            a2 = alpha[a + 32 + x]
            a3 = alpha[a + 48 + x]
            a4 = alpha[a + 64 + x]
            a5 = alpha[a + 80 + x]
            a6 = alpha[a + 96 + x]
            a7 = alpha[a + 112 + x]
            u = us[x]
            p = ps[x]
            g = u + p
            v = a0 + g
            w = a4 + g
            b0 = v if v > a4 else a4
            b1 = w if w > a0 else a0
            v = a1 + u
            w = a5 + p
            b2 = v if v > w else w
            v = a5 + u
            w = a1 + p
            b3 = v if v > w else w
            v = a6 + u
            w = a2 + p
            b4 = v if v > w else w
            v = a2 + u
            w = a6 + p
            b5 = v if v > w else w
            v = a7 + g
            w = a3 + g
            b6 = v if v > a3 else a3
            b7 = w if w > a7 else a7
            alpha[a + 128 + x] = b0
            alpha[a + 144 + x] = b1
            alpha[a + 160 + x] = b2
            alpha[a + 176 + x] = b3
            alpha[a + 192 + x] = b4
            alpha[a + 208 + x] = b5
            alpha[a + 224 + x] = b6
            alpha[a + 240 + x] = b7
            u = us2[x]
            p = ps2[x]
            g = u + p
            v = b0 + g
            w = b4 + g
            a0 = v if v > b4 else b4
            a1 = w if w > b0 else b0
            v = b1 + u
            w = b5 + p
            a2 = v if v > w else w
            v = b5 + u
            w = b1 + p
            a3 = v if v > w else w
            v = b6 + u
            w = b2 + p
            a4 = v if v > w else w
            v = b2 + u
            w = b6 + p
            a5 = v if v > w else w
            v = b7 + g
            w = b3 + g
            a6 = v if v > b3 else b3
            a7 = w if w > b7 else b7
            alpha[a + 256 + x] = a0
            alpha[a + 272 + x] = a1
            alpha[a + 288 + x] = a2
            alpha[a + 304 + x] = a3
            alpha[a + 320 + x] = a4
            alpha[a + 336 + x] = a5
            alpha[a + 352 + x] = a6
            alpha[a + 368 + x] = a7


@cython.cfunc
@cython.exceptval(check=False)
def _backward(order: cython.int[::1], first: cython.Py_ssize_t, count: cython.Py_ssize_t,
              lanes: cython.Py_ssize_t, rows: cython.short[::1], par: cython.short[::1],
              sums: cython.short[::1], alpha: cython.short[::1], stakes: cython.short[::1],
              app: cython.short[::1], changed: cython.short[::1]) -> cython.void:
    """Backward metrics of the same steps; writes `sums` for the other encoder, and `app`.

    `stakes` holds two rows of metrics: those behind the last step, and, before it, room for those
    before the first. `changed[lane]` becomes negative where any sign of `app` changes.
    """
    width: cython.Py_ssize_t = 16
    if not cython.compiled:
        width = lanes
    us = cython.declare(cython.short[16])
    ps = cython.declare(cython.short[16])
    ss = cython.declare(cython.short[16])
    es = cython.declare(cython.short[16])
    olds = cython.declare(cython.short[16])
    apps = cython.declare(cython.short[16])
    other = cython.declare(cython.short[16])
    b = cython.declare(cython.short[128])
    base = cython.declare(cython.short[16])
    s: cython.Py_ssize_t
    i: cython.Py_ssize_t
    x: cython.Py_ssize_t
    a: cython.Py_ssize_t
    r: cython.Py_ssize_t
    u: cython.short
    p: cython.short
    g: cython.short
    b0: cython.short
    b1: cython.short
    b2: cython.short
    b3: cython.short
    b4: cython.short
    b5: cython.short
    b6: cython.short
    b7: cython.short
    v: cython.short
    w: cython.short
    same: cython.short
    zero: cython.short
    one: cython.short
    unlike: cython.short
    for x in range(width):
        other[x] = changed[x]
        for i in range(8):
            b[16 * i + x] = stakes[128 + 16 * i + x]
    for i in range(count - 1, -1, -1):
        a = 128 * i
        r = 16 * cython.cast(cython.Py_ssize_t, order[first + i])
        for x in range(width):
            us[x] = sums[r + x]
            ss[x] = rows[r + x]
            ps[x] = par[16 * (first + i) + x]
            olds[x] = app[r + x]
        if i & 7 == 7:
            for x in range(width):
                base[x] = b[x]
            for s in range(8):
                for x in range(width):
                    b[16 * s + x] -= base[x]
        for x in range(width):
            u = us[x]
            p = ps[x]
            # Message bit 0 and parity 0, then message bit 1 and parity 1.
            b0 = b[x]
            b1 = b[16 + x]
            b6 = b[96 + x]
            b7 = b[112 + x]
            v = alpha[a + x] + b0
            w = alpha[a + 64 + x] + b1
            same = v if v > w else w
            v = alpha[a + x] + b1
            w = alpha[a + 64 + x] + b0
            one = v if v > w else w
            v = alpha[a + 48 + x] + b7
            same = v if v > same else same
            v = alpha[a + 48 + x] + b6
            one = v if v > one else one
            v = alpha[a + 112 + x] + b6
            same = v if v > same else same
            v = alpha[a + 112 + x] + b7
            one = v if v > one else one
            # Message bit 0 and parity 1, then message bit 1 and parity 0.
            b2 = b[32 + x]
            b3 = b[48 + x]
            b4 = b[64 + x]
            b5 = b[80 + x]
            v = alpha[a + 16 + x] + b2
            w = alpha[a + 80 + x] + b3
            zero = v if v > w else w
            v = alpha[a + 16 + x] + b3
            w = alpha[a + 80 + x] + b2
            unlike = v if v > w else w
            v = alpha[a + 32 + x] + b5
            zero = v if v > zero else zero
            v = alpha[a + 32 + x] + b4
            unlike = v if v > unlike else unlike
            v = alpha[a + 96 + x] + b4
            zero = v if v > zero else zero
            v = alpha[a + 96 + x] + b5
            unlike = v if v > unlike else unlike
            v = same + p
            zero = v if v > zero else zero
            v = unlike + p
            one = v if v > one else one
            v = zero - one
            apps[x] = v + u
            other[x] |= (v + u) ^ olds[x]
            v = v if v < 1020 else 1020
            v = v if v > -1020 else -1020
            es[x] = ss[x] + (v - (v >> 2))
        # In a loop of its own, or the registers do not suffice.
        for x in range(width):
            u = us[x]
            p = ps[x]
            g = u + p
            b0 = b[x]
            b1 = b[16 + x]
            b2 = b[32 + x]
            b3 = b[48 + x]
            b4 = b[64 + x]
            b5 = b[80 + x]
            b6 = b[96 + x]
            b7 = b[112 + x]
            v = b0 + g
            b[x] = v if v > b1 else b1
            v = b1 + g
            b[64 + x] = v if v > b0 else b0
            v = b7 + g
            b[48 + x] = v if v > b6 else b6
            v = b6 + g
            b[112 + x] = v if v > b7 else b7
            v = b2 + u
            w = b3 + p
            b[16 + x] = v if v > w else w
            v = b3 + u
            w = b2 + p
            b[80 + x] = v if v > w else w
            v = b5 + u
            w = b4 + p
            b[32 + x] = v if v > w else w
            v = b4 + u
            w = b5 + p
            b[96 + x] = v if v > w else w
        for x in range(width):
            sums[r + x] = es[x]
        for x in range(width):
            app[r + x] = apps[x]
    for x in range(width):
        changed[x] = other[x]
        for i in range(8):
            stakes[16 * i + x] = b[16 * i + x]


@cython.cfunc
@cython.exceptval(check=False)
def _half(order: cython.int[::1], lanes: cython.Py_ssize_t, rows: cython.short[::1],
          par: cython.short[::1], sums: cython.short[::1], alpha: cython.short[::1],
          stakes: cython.short[::1], app: cython.short[::1],
          changed: cython.short[::1]) -> cython.void:
    """One half-iteration, window by window."""
    k: cython.Py_ssize_t = len(order)
    first: cython.Py_ssize_t
    count: cython.Py_ssize_t = 0
    x: cython.Py_ssize_t
    for x in range(16):
        changed[x] = 0
    for x in range(128):
        alpha[x] = 0 if x < 16 else -7650
    for first in range(0, k, 128):
        if first:
            for x in range(128):
                alpha[x] = alpha[128 * 128 + x]
        count = 128 if k - first > 128 else k - first
        _forward(order, first, count, lanes, sums, par, alpha)
        _backward(order, first, count, lanes, rows, par, sums, alpha, stakes[first:], app,
                  changed)


@cython.ccall
def decode(llrs: cython.const[cython.short][::1], first: cython.Py_ssize_t,
           used: cython.Py_ssize_t, half: cython.int, iterations: cython.int,
           plain: cython.int[::1], permuted: cython.int[::1], work: cython.short[::1],
           out: cython.uchar[::1], taken: cython.int[::1]) -> cython.int:
    """Decode `used` code words (at most 16), which follow one another from `llrs[first]`.

    `half` is 1 at rate 1/2. `plain` counts from 0, `permuted` is the interleaver. `work` holds
    `work_size(k)` values, zeros at first and then what the last call with the same k and `half`
    left. Block j's bits go to `out[k j]`; `taken[2 j]` is the number of
    iterations it took, `taken[2 j + 1]` how many halves in turn have just changed no decision. With
    four a block is done, whatever the others still need.
    """
    k: cython.Py_ssize_t = len(plain)
    windows: cython.Py_ssize_t = (k + 127) // 128
    part: cython.Py_ssize_t = 16 * k + 416
    at: cython.Py_ssize_t = 0
    if cython.compiled:  # no row across two cache lines
        at = (-cython.cast(cython.Py_ssize_t, cython.address(work[0])) >> 1) & 31
    rows: cython.short[::1] = work[at : at + 16 * k]
    par1: cython.short[::1] = work[at + part : at + part + 16 * k]
    par2: cython.short[::1] = work[at + 2 * part : at + 2 * part + 16 * k]
    sums: cython.short[::1] = work[at + 3 * part : at + 3 * part + 16 * k]
    app: cython.short[::1] = work[at + 4 * part : at + 4 * part + 16 * k]
    at += 5 * part
    alpha: cython.short[::1] = work[at : at + 16512]
    tail: cython.short[::1] = work[at + 16512 : at + 16704]
    changed: cython.short[::1] = work[at + 16704 : at + 16736]
    at += 16736
    stakes1: cython.short[::1] = work[at : at + 128 * windows + 128]
    stakes2: cython.short[::1] = work[at + 128 * windows + 128 : at + 256 * windows + 256]
    left: cython.Py_ssize_t = used
    count: cython.Py_ssize_t
    done = cython.declare(cython.Py_ssize_t[16])
    turn: cython.int
    i: cython.Py_ssize_t
    x: cython.Py_ssize_t
    for i in range(128 * windows + 128):
        stakes1[i] = 0
        stakes2[i] = 0
    _spread(llrs, first, used, k, half, rows, par1, par2, tail)
    sums[:] = rows
    _end(tail, 0, used, stakes1[128 * windows :])
    _end(tail, 6, used, stakes2[128 * windows :])
    for x in range(used):
        taken[2 * x] = 0
        taken[2 * x + 1] = 0
    for turn in range(2 * iterations):
        if turn & 1 == 0:
            _half(plain, used, rows, par1, sums, alpha, stakes1, app, changed)
        else:
            _half(permuted, used, rows, par2, sums, alpha, stakes2, app, changed)
        count = 0
        for x in range(used):
            if taken[2 * x + 1] < 4:
                taken[2 * x] = turn // 2 + 1
                taken[2 * x + 1] = taken[2 * x + 1] + 1 if turn and changed[x] >= 0 else 0
                if taken[2 * x + 1] == 4 or turn + 1 == 2 * iterations:
                    done[count] = x
                    count += 1
        if count:
            left -= count
            for i in range(k):
                for x in range(count):
                    out[k * done[x] + i] = app[16 * i + done[x]] < 0
        if left == 0:
            break
    return 0


def work_size(k: int) -> int:
    """Values that `decode` works in, for blocks of `k` bits."""
    return 5 * (16 * k + 416) + 256 * ((k + 127) // 128) + 17024
