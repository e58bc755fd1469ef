# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: cdivision=True, nonecheck=False
# mypy: ignore-errors
"""The turbo encoder, and decoders of one code block: max-log, log-MAP and soft-output Viterbi.

One Python file: run as it is, it is the readable reference; compiled by Cython it is the fast
kernel. All arithmetic is in integers, so both give the same bits.

States are s1 + 2 s2 + 4 s3, s1 the newest bit of the register. With L the LLR of the message bit
(channel and a priori) and P that of the parity bit, a branch of message bit u and parity bit z
weighs (1 - u) L + (1 - z) P. Channel LLRs are at most 255 and extrinsic ones at most 765, so that a
branch weighs at most 1275; state 0's metric is subtracted in every step. States that the encoder
cannot begin in start so low that no path from there is ever the better one (see batch_kernel.py).
"""

from __future__ import annotations

import cython


@cython.cfunc
@cython.exceptval(check=False)
def _rsc(bits: cython.uchar[::1], order: cython.int[::1], parity: cython.uchar[::1],
         tail: cython.uchar[::1], at: cython.Py_ssize_t) -> cython.int:
    """Run one encoder over `bits` in that order, and three bits more that empty its register."""
    i: cython.Py_ssize_t
    s: cython.int = 0
    u: cython.int
    a: cython.int
    for i in range(len(order)):
        a = bits[order[i]] ^ ((s >> 1) & 1) ^ (s >> 2)
        parity[i] = a ^ (s & 1) ^ (s >> 2)
        s = ((s << 1) & 7) | a
    for i in range(3):
        u = ((s >> 1) ^ (s >> 2)) & 1
        tail[at + 2 * i] = u
        tail[at + 2 * i + 1] = (s ^ (s >> 2)) & 1
        s = (s << 1) & 7
    return s


@cython.ccall
def encode(bits: cython.uchar[::1], plain: cython.int[::1], permuted: cython.int[::1],
           parity1: cython.uchar[::1], parity2: cython.uchar[::1],
           tail: cython.uchar[::1]) -> cython.int:
    """Parity of both encoders, and 12 tail bits: message and parity bit in turn, three of each."""
    _rsc(bits, plain, parity1, tail, 0)
    _rsc(bits, permuted, parity2, tail, 6)
    return 0


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _join(a: cython.int, b: cython.int, correction: cython.int[::1]) -> cython.int:
    """The logarithm of a sum of two exponentials, from a table of what it is above the maximum."""
    best: cython.int = a if a > b else b
    d: cython.int = 2 * best - a - b
    return best + correction[d] if d < len(correction) else best


@cython.cfunc
@cython.exceptval(check=False)
def _end(tail: cython.int[::1], at: cython.Py_ssize_t, beta: cython.int[::1]) -> cython.int:
    """Weigh, for each state, the one path of three steps that ends in state 0."""
    s: cython.Py_ssize_t
    now: cython.Py_ssize_t
    i: cython.Py_ssize_t
    u: cython.int
    z: cython.int
    for s in range(8):
        now = s
        beta[s] = 0
        for i in range(3):
            u = ((now >> 1) ^ (now >> 2)) & 1
            z = (now ^ (now >> 2)) & 1
            beta[s] += (1 - u) * tail[at + 2 * i] + (1 - z) * tail[at + 2 * i + 1]
            now = (now << 1) & 7
    return 0


@cython.cfunc
@cython.exceptval(check=False)
def _take(r: cython.Py_ssize_t, e: cython.int, u: cython.int, cut: cython.int,
          ext: cython.int[::1], app: cython.int[::1]) -> cython.int:
    """Keep the a-posteriori LLR and the extrinsic one less so many eighths, which are 0, 2 or 3.

    Tells whether the decision changed.
    """
    most: cython.int
    changed: cython.int = (e + u < 0) != (app[r] < 0)
    app[r] = e + u
    most = 1020 if cut else 765
    e = most if e > most else e
    e = -most if e < -most else e
    ext[r] = e - ((e * cut) >> 3)
    return changed


@cython.ccall
def bcjr(order: cython.int[::1], rows: cython.int[::1], par: cython.int[::1],
         tail: cython.int[::1], at: cython.Py_ssize_t, correction: cython.int[::1],
         cut: cython.int, ext: cython.int[::1], app: cython.int[::1],
         stakes: cython.int[::1]) -> cython.int:
    """One half-iteration by forward and backward metrics; returns how many decisions changed.

    `correction[d]` is what log(e^a + e^b) exceeds the greater of a and b by where they differ by d;
    empty, this is max-log. `cut` eighths of extrinsic LLRs are taken off. `ext` (a priori LLRs) and
    `app` are rewritten. It goes by windows of 128 steps as in batch_kernel.py; `stakes` keeps the
    backward metrics of their ends, 8 (ceil(K / 128) + 1) values, zeros in the beginning.
    """
    k: cython.Py_ssize_t = len(order)
    i: cython.Py_ssize_t
    s: cython.Py_ssize_t
    r: cython.Py_ssize_t
    a: cython.Py_ssize_t
    u: cython.int
    p: cython.int
    g: cython.int
    v: cython.int
    w: cython.int
    b0: cython.int
    b1: cython.int
    b2: cython.int
    b3: cython.int
    b4: cython.int
    b5: cython.int
    b6: cython.int
    b7: cython.int
    changed: cython.int = 0
    first: cython.Py_ssize_t
    count: cython.Py_ssize_t
    back: cython.Py_ssize_t
    alpha = cython.declare(cython.int[1032])
    _end(tail, at, stakes[8 * ((k + 127) // 128) :])
    for s in range(8):
        alpha[s] = -7650 if s else 0
    for first in range(0, k, 128):
        count = 128 if k - first > 128 else k - first
        for i in range(count):
            a = 8 * i
            r = order[first + i]
            u = rows[r] + ext[r]
            p = par[first + i]
            g = u + p
            v = _join(alpha[a] + g, alpha[a + 4], correction)
            alpha[a + 8] = 0
            alpha[a + 9] = _join(alpha[a + 4] + g, alpha[a], correction) - v
            alpha[a + 10] = _join(alpha[a + 1] + u, alpha[a + 5] + p, correction) - v
            alpha[a + 11] = _join(alpha[a + 5] + u, alpha[a + 1] + p, correction) - v
            alpha[a + 12] = _join(alpha[a + 6] + u, alpha[a + 2] + p, correction) - v
            alpha[a + 13] = _join(alpha[a + 2] + u, alpha[a + 6] + p, correction) - v
            alpha[a + 14] = _join(alpha[a + 7] + g, alpha[a + 3], correction) - v
            alpha[a + 15] = _join(alpha[a + 3] + g, alpha[a + 7], correction) - v
        back = first // 16  # eight metrics for each window of 128 steps
        b0 = stakes[back + 8]
        b1 = stakes[back + 9]
        b2 = stakes[back + 10]
        b3 = stakes[back + 11]
        b4 = stakes[back + 12]
        b5 = stakes[back + 13]
        b6 = stakes[back + 14]
        b7 = stakes[back + 15]
        for i in range(count - 1, -1, -1):
            a = 8 * i
            r = order[first + i]
            u = rows[r] + ext[r]
            p = par[first + i]
            g = u + p
            v = _join(_join(_join(alpha[a] + b0, alpha[a + 4] + b1, correction),
                            _join(alpha[a + 3] + b7, alpha[a + 7] + b6, correction),
                            correction) + p,
                      _join(_join(alpha[a + 1] + b2, alpha[a + 5] + b3, correction),
                            _join(alpha[a + 2] + b5, alpha[a + 6] + b4, correction),
                            correction), correction)
            w = _join(_join(_join(alpha[a] + b1, alpha[a + 4] + b0, correction),
                            _join(alpha[a + 3] + b6, alpha[a + 7] + b7, correction),
                            correction),
                      _join(_join(alpha[a + 1] + b3, alpha[a + 5] + b2, correction),
                            _join(alpha[a + 2] + b4, alpha[a + 6] + b5, correction),
                            correction) + p, correction)
            changed += _take(r, v - w, u, cut, ext, app)
            v = _join(b0 + g, b1, correction)
            b0 = _join(b1 + g, b0, correction) - v
            b1 = _join(b2 + u, b3 + p, correction) - v
            w = _join(b3 + u, b2 + p, correction) - v
            b2 = _join(b5 + u, b4 + p, correction) - v
            b3 = _join(b7 + g, b6, correction) - v
            b7 = _join(b6 + g, b7, correction) - v
            b6 = _join(b4 + u, b5 + p, correction) - v
            b4 = b0
            b5 = w
            b0 = 0
        stakes[back + 0] = b0
        stakes[back + 1] = b1
        stakes[back + 2] = b2
        stakes[back + 3] = b3
        stakes[back + 4] = b4
        stakes[back + 5] = b5
        stakes[back + 6] = b6
        stakes[back + 7] = b7
        for s in range(8):
            alpha[s] = alpha[8 * count + s]
    return changed


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _origin(s: cython.int, lead: cython.int) -> cython.int:
    """The state that the survivor in state `s` comes from."""
    return (s >> 1) + (4 if lead < 0 else 0)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _bit(origin: cython.int, s: cython.int) -> cython.int:
    """The message bit of a branch."""
    return (s ^ (origin >> 1) ^ (origin >> 2)) & 1


@cython.cfunc
@cython.exceptval(check=False)
def _compete(s: cython.int, i: cython.Py_ssize_t, by: cython.int, lead: cython.int[::1],
             path: cython.uchar[::1], trust: cython.int[::1]) -> cython.int:
    """Follow a path that lost by `by` back from state `s` before step `i` to where it began."""
    low: cython.Py_ssize_t = i - 64 if i > 64 else 0
    origin: cython.int
    while i > low and s != path[i]:
        i -= 1
        origin = _origin(s, lead[8 * i + s])
        if by < trust[i] and _bit(origin, s) != _bit(path[i], path[i + 1]):
            trust[i] = by
        s = origin
    return s


@cython.ccall
def sova(order: cython.int[::1], rows: cython.int[::1], par: cython.int[::1],
         tail: cython.int[::1], at: cython.Py_ssize_t, ext: cython.int[::1],
         app: cython.int[::1], lead: cython.int[::1], path: cython.uchar[::1],
         trust: cython.int[::1]) -> cython.int:
    """One half-iteration by the soft-output Viterbi algorithm; returns how many decisions changed.

    J. Hagenauer and P. Hoeher, "A Viterbi algorithm with soft-decision outputs and its
    applications", GLOBECOM 1989: a decision is trusted by the least metric difference of a path
    that lost to the survivor and decides otherwise. A path that lost is followed back for 64 steps
    at most. Extrinsic LLRs are multiplied by 5/8. `lead` holds 8 K values, `path` K + 1, `trust` K.
    """
    k: cython.Py_ssize_t = len(order)
    i: cython.Py_ssize_t
    r: cython.Py_ssize_t
    s: cython.int
    u: cython.int
    p: cython.int
    z: cython.int
    bit: cython.int
    before: cython.int
    v: cython.int
    w: cython.int
    best: cython.int = 0
    changed: cython.int = 0
    m = cython.declare(cython.int[8])
    n = cython.declare(cython.int[8])
    for s in range(8):
        m[s] = -7650 if s else 0
    # `lead[8 i + s]`: in state s behind step i, by how much the path from state s >> 1 is ahead of
    # that from (s >> 1) + 4. The two branches have opposite message and parity bits.
    for i in range(k):
        r = order[i]
        u = rows[r] + ext[r]
        p = par[i]
        for s in range(8):
            before = s >> 1
            bit = _bit(before, s)
            z = (s ^ before) & 1
            v = m[before] + (1 - bit) * u + (1 - z) * p
            w = m[before + 4] + bit * u + z * p
            lead[8 * i + s] = v - w
            n[s] = v if v >= w else w
        for s in range(8):
            m[s] = n[s] - n[0]
    ends: cython.int[::1] = trust[:8]  # no trust is kept there yet
    _end(tail, at, ends)
    for s in range(8):
        m[s] += ends[s]
        if m[s] > m[best]:
            best = s
    path[k] = best
    for i in range(k - 1, -1, -1):
        path[i] = _origin(path[i + 1], lead[8 * i + path[i + 1]])
        v = lead[8 * i + path[i + 1]]
        trust[i] = v if v >= 0 else -v
    for i in range(k):
        v = lead[8 * i + path[i + 1]]
        _compete(path[i] ^ 4, i, v if v >= 0 else -v, lead, path, trust)
    for s in range(8):
        _compete(s, k, m[best] - m[s], lead, path, trust)
    for i in range(k):
        r = order[i]
        u = rows[r] + ext[r]
        v = -trust[i] if _bit(path[i], path[i + 1]) else trust[i]
        changed += _take(r, v - u, u, 3, ext, app)
    return changed
