# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: cdivision=True, nonecheck=False
# mypy: ignore-errors
"""The inner loops of robust embedding: requantisation, roughness, parities of cells.

One Python file: run as it is, it is the readable reference; compiled by Cython it is the fast
kernel. Integers, and IEEE doubles with + - * / in the order written here: both give the same bits.

Bounds are not checked in compiled code. Blocks: `coefficients` holds 64 of each of `across` blocks.
`plan`: places are below 64, cells at least 1. `first` numbers the blocks of a tile, so that `order`
has `slots` places for each; `sent` and `spread` are for bits, one at least.
"""

from __future__ import annotations

import cython

_LARGEST = cython.declare(cython.int, 1023)
_TILE = cython.declare(cython.int, 16)
_PERIOD = cython.declare(cython.int, 256)
_GROUP = cython.declare(cython.int, 7)
_PLAN = cython.declare(cython.int, 4)
_ROUNDS = cython.declare(cython.int, 8)


def spread(coded: cython.uchar[::1], stride: cython.Py_ssize_t, sent: cython.uchar[::1]) -> None:
    """Coded bits in the order of slots: `sent[n] = coded[n * stride % size]`, stride < 2 size."""
    size: cython.Py_ssize_t = coded.shape[0]
    n: cython.Py_ssize_t
    at: cython.Py_ssize_t = 0
    for n in range(size):
        sent[n] = coded[at]
        at = (at + stride) % size


def requantise(coefficients: cython.short[::1], source: cython.int[::1],
               target: cython.int[::1]) -> None:
    """To the nearest multiples of other divisors, in place; halves away from zero, +-1023."""
    size: cython.Py_ssize_t = coefficients.shape[0]
    at: cython.Py_ssize_t
    place: cython.Py_ssize_t
    value: cython.longlong
    divisor: cython.longlong
    for at in range(size):
        value = coefficients[at]
        if value == 0:
            continue
        place = at & 63
        divisor = target[place]
        if source[place] != divisor:
            value *= source[place]
            # Below 2^33 over 2^17: the quotient of doubles never reaches a whole number from below.
            if value < 0:
                value = -cython.cast(cython.longlong, (divisor - 2.0 * value) / (2.0 * divisor))
            else:
                value = cython.cast(cython.longlong, (2.0 * value + divisor) / (2.0 * divisor))
        if value > _LARGEST:
            value = _LARGEST
        elif value < -_LARGEST:
            value = -_LARGEST
        coefficients[at] = cython.cast(cython.short, value)


def roughness(coefficients: cython.short[::1], table: cython.int[::1], turned: cython.int[::1],
              across: cython.Py_ssize_t, x: cython.double[::1], out: cython.double[::1]) -> None:
    """|A|^2 - s1^2 of each block, s1 its largest singular value by power iteration.

    `turned`: where in the transposed block each coefficient of the zigzag lies; `x`: room for 144
    doubles. Zeros are passed over: they add nothing, and most coefficients are zero.
    """
    block: cython.Py_ssize_t
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    k: cython.Py_ssize_t
    _: cython.int
    trace: cython.double
    top: cython.double
    total: cython.double
    size: cython.double
    for block in range(across):
        for i in range(64):
            x[64 + i] = 0.0
            x[turned[i]] = cython.cast(cython.double, coefficients[64 * block + i]) * table[i]
        for k in range(8):
            for i in range(8):
                size = x[8 * k + i]
                if size != 0.0:
                    for j in range(8):
                        x[64 + 8 * i + j] += size * x[8 * k + j]
        trace = 0.0
        k = 0
        for i in range(8):
            trace += x[64 + 9 * i]
            if x[64 + 9 * i] > x[64 + 9 * k]:
                k = i
        if trace == 0.0:
            out[block] = 0.0
            continue
        for i in range(8):
            x[128 + i] = x[64 + 8 * k + i]
        top = 0.0
        for _ in range(_ROUNDS):
            size = 0.0
            for i in range(8):
                if x[128 + i] > size:
                    size = x[128 + i]
                elif -x[128 + i] > size:
                    size = -x[128 + i]
            total = 0.0
            size = 1.0 / size
            for i in range(8):
                x[128 + i] = x[128 + i] * size
                x[136 + i] = 0.0
            for j in range(8):
                size = x[128 + j]
                if size != 0.0:
                    total += size * size
                    for i in range(8):
                        x[136 + i] += size * x[64 + 8 * j + i]
            top = 0.0
            for i in range(8):
                top += x[136 + i] * x[128 + i]
                x[128 + i] = x[136 + i]
            top = top / total
        out[block] = trace - top if trace > top else 0.0


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _cell(value: cython.int, cells: cython.int) -> cython.int:
    """Which cell of a carrier a value lies in; division that rounds down."""
    if cells == 1:
        return value
    shifted: cython.int = 2 * value + cells
    if shifted >= 0:
        return shifted // (2 * cells)
    return -((-shifted + 2 * cells - 1) // (2 * cells))


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _kept(value: cython.int, centre: cython.int, cells: cython.int,
          slack: cython.int) -> cython.int:
    """The nearest value within the slack of its cell's centre, or of that two cells nearer to 0."""
    if centre - slack > _LARGEST:
        return centre - 2 * cells + slack
    if centre + slack < -_LARGEST:
        return centre + 2 * cells - slack
    if value > centre + slack:
        return centre + slack
    if value < centre - slack:
        return centre - slack
    return value


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _flipped(value: cython.int, centre: cython.int, cells: cython.int, slack: cython.int,
             tie: cython.int) -> cython.int:
    """The nearest value of a neighbouring cell; from a centre towards zero, or as `tie` says."""
    up: cython.int = centre + cells - slack
    down: cython.int = centre - cells + slack
    if up > _LARGEST:
        return down
    if down < -_LARGEST:
        return up
    if value != centre:
        return up if value > centre else down
    if centre == 0:
        return up if tie else down
    return down if centre > 0 else up


def mark(coefficients: cython.short[::1], chosen: cython.uchar[::1], across: cython.Py_ssize_t,
         row: cython.Py_ssize_t, plan: cython.int[::1], carriers: cython.Py_ssize_t,
         grouped: cython.int, cosets: cython.int[::1], first: cython.int[::1],
         order: cython.int[::1], turns: cython.int[::1], pattern: cython.uchar[::1],
         sent: cython.uchar[::1], tiles: cython.longlong,
         work: cython.longlong[::1]) -> None:
    """Embed into the chosen ones of `across` blocks of the picture's `row`.

    `cosets`: for each difference of syndromes the 16 sets of carriers, as bits, that make it good.
    `work`: see `_group`.
    """
    slots: cython.int = cython.cast(cython.int, carriers // _GROUP * 3 if grouped else carriers)
    per_tile: cython.longlong = (order.shape[0])
    size: cython.longlong = sent.shape[0]
    at: cython.longlong
    column: cython.Py_ssize_t
    slot: cython.int
    number: cython.int
    bit: cython.int
    wanted: cython.int
    base: cython.longlong
    turn: cython.longlong
    for column in range(across):
        if not chosen[column]:
            continue
        number = first[(row % _TILE) * _TILE + column % _TILE]
        base = ((row // _TILE) * tiles + column // _TILE) * per_tile % size
        turn = turns[(row // _TILE % _TILE) * _TILE + column // _TILE % _TILE]
        wanted = 0
        for slot in range(slots):
            if number < 0:
                bit = pattern[(row % _PERIOD) * _PERIOD + column % _PERIOD] ^ (slot & 1)
            else:
                at = order[number * slots + slot] + turn
                at = base + (at if at < per_tile else at - per_tile)
                bit = sent[at if at < size else at % size]
            if grouped:
                wanted |= bit << slot % 3
                if slot % 3 == 2:
                    _group(coefficients, 64 * column, plan, slot // 3 * _GROUP, wanted, cosets,
                           cython.cast(cython.int, (row + column) & 1), work)
                    wanted = 0
            else:
                _single(coefficients, 64 * column, plan, slot, bit,
                        cython.cast(cython.int, (row + column + slot) & 1))


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _single(coefficients: cython.short[::1], block: cython.Py_ssize_t, plan: cython.int[::1],
            carrier: cython.int, bit: cython.int, tie: cython.int) -> cython.int:
    at: cython.Py_ssize_t = block + plan[_PLAN * carrier]
    cells: cython.int = plan[_PLAN * carrier + 1]
    slack: cython.int = plan[_PLAN * carrier + 2]
    value: cython.int = coefficients[at]
    cell: cython.int = _cell(value, cells)
    if cell & 1 == bit:
        value = _kept(value, cell * cells, cells, slack)
    else:
        value = _flipped(value, cell * cells, cells, slack, tie)
    coefficients[at] = cython.cast(cython.short, value)
    return 0


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _group(coefficients: cython.short[::1], block: cython.Py_ssize_t, plan: cython.int[::1],
           start: cython.int, wanted: cython.int, cosets: cython.int[::1],
           tie: cython.int, work: cython.longlong[::1]) -> cython.int:
    """Seven carriers to a syndrome: carrier i (from 1) counts i in it (papers/002, eq. 11 to 13).

    `work`: room for 38: the values kept and flipped, then what it costs more, in squared units of
    the DCT, to flip each set of the first four carriers, and of the last three.
    """
    i: cython.int
    member: cython.int
    chosen: cython.int = 0
    at: cython.Py_ssize_t
    difference: cython.int = wanted
    cost: cython.longlong
    best: cython.longlong = 0
    value: cython.int
    cells: cython.int
    slack: cython.int
    cell: cython.int
    divisor: cython.longlong
    base: cython.int
    size: cython.int
    work[14] = work[30] = 0
    for i in range(_GROUP):
        at = _PLAN * (start + i)
        cells = plan[at + 1]
        slack = plan[at + 2]
        divisor = plan[at + 3]
        value = coefficients[block + plan[at]]
        cell = _cell(value, cells)
        if cell & 1:
            difference ^= i + 1
        work[i] = _kept(value, cell * cells, cells, slack)
        work[_GROUP + i] = _flipped(value, cell * cells, cells, slack, tie)
        cost = (work[_GROUP + i] - value) * (work[_GROUP + i] - value)
        cost = (cost - (work[i] - value) * (work[i] - value)) * divisor * divisor
        base = 14 if i < 4 else 30
        size = 1 << (i if i < 4 else i - 4)
        for member in range(size):
            work[base + size + member] = work[base + member] + cost
    for i in range(16):
        member = cosets[16 * difference + i]
        cost = work[14 + (member & 15)] + work[30 + (member >> 4)]
        if i == 0 or cost < best:
            best = cost
            chosen = member
    for i in range(_GROUP):
        at = block + plan[_PLAN * (start + i)]
        value = cython.cast(cython.int, work[_GROUP + i if chosen >> i & 1 else i])
        coefficients[at] = cython.cast(cython.short, value)
    return 0
