# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: cdivision=True, nonecheck=False
# mypy: ignore-errors
"""The inner loops of robust embedding: requantisation, roughness, parities of cells.

One Python file: run as it is, it is the readable reference; compiled by Cython it is the fast
kernel. Integers only, but for the roughness, which is IEEE doubles with + - * / in the order
written here: both give the same bits.

Bounds are not checked in compiled code. Blocks: `coefficients` holds 64 of each of `across` blocks.
`plan`: places are below 64, cells at least 1. `first` numbers the blocks of a tile, so that `order`
has `slots` places for each; `where` is a permutation of the places of `coded`.
"""

from __future__ import annotations

import cython

_LARGEST = cython.declare(cython.int, 1023)
_TILE = cython.declare(cython.int, 16)
_PERIOD = cython.declare(cython.int, 256)
_GROUP = cython.declare(cython.int, 7)
_PLAN = cython.declare(cython.int, 4)
_ROUNDS = cython.declare(cython.int, 8)


def requantise(coefficients: cython.short[::1], source: cython.int[::1],
               target: cython.int[::1]) -> None:
    """To the nearest multiples of other divisors, in place; halves away from zero, +-1023."""
    size: cython.Py_ssize_t = coefficients.shape[0]
    at: cython.Py_ssize_t
    value: cython.longlong
    divisor: cython.longlong
    for at in range(size):
        value = coefficients[at]
        if value == 0:
            continue
        divisor = target[at & 63]
        value *= source[at & 63]
        if value < 0:
            value = -((-2 * value + divisor) // (2 * divisor))
        else:
            value = (2 * value + divisor) // (2 * divisor)
        if value > _LARGEST:
            value = _LARGEST
        elif value < -_LARGEST:
            value = -_LARGEST
        coefficients[at] = cython.cast(cython.short, value)


def roughness(coefficients: cython.short[::1], table: cython.int[::1], natural: cython.int[::1],
              across: cython.Py_ssize_t, x: cython.double[::1], out: cython.double[::1]) -> None:
    """|A|^2 - s1^2 of each block, s1 its largest singular value by power iteration.

    `natural`: where in the block each coefficient of the zigzag lies; `x`: room for 144 doubles.
    """
    block: cython.Py_ssize_t
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    k: cython.Py_ssize_t
    trace: cython.double
    top: cython.double
    total: cython.double
    size: cython.double
    for block in range(across):
        for i in range(64):
            x[natural[i]] = cython.cast(cython.double, coefficients[64 * block + i]) * table[i]
        trace = 0.0
        for i in range(8):
            for j in range(i + 1):
                total = 0.0
                for k in range(8):
                    total += x[8 * i + k] * x[8 * j + k]
                x[64 + 8 * i + j] = total
                x[64 + 8 * j + i] = total
            trace += x[64 + 9 * i]
        if trace == 0.0:
            out[block] = 0.0
            continue
        k = 0
        for i in range(1, 8):
            if x[64 + 9 * i] > x[64 + 9 * k]:
                k = i
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
            for i in range(8):
                x[128 + i] = x[128 + i] / size
                total += x[128 + i] * x[128 + i]
            top = 0.0
            for i in range(8):
                size = 0.0
                for j in range(8):
                    size += x[64 + 8 * i + j] * x[128 + j]
                x[136 + i] = size
                top += size * x[128 + i]
            top = top / total
            for i in range(8):
                x[128 + i] = x[136 + i]
        out[block] = trace - top if trace > top else 0.0


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _cell(value: cython.int, cells: cython.int) -> cython.int:
    """Which cell of a carrier a value lies in; division that rounds down."""
    shifted: cython.int = 2 * value + cells
    if shifted >= 0:
        return shifted // (2 * cells)
    return -((-shifted + 2 * cells - 1) // (2 * cells))


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _kept(value: cython.int, cells: cython.int, slack: cython.int) -> cython.int:
    """The nearest value of the same cell within the slack of its centre."""
    centre: cython.int = _cell(value, cells) * cells
    if value > centre + slack:
        return centre + slack
    if value < centre - slack:
        return centre - slack
    return value


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _flipped(value: cython.int, cells: cython.int, slack: cython.int,
             tie: cython.int) -> cython.int:
    """The nearest value of a neighbouring cell; from a centre towards zero (`tie`: from zero)."""
    centre: cython.int = _cell(value, cells) * cells
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
         order: cython.int[::1], pattern: cython.uchar[::1], coded: cython.uchar[::1],
         where: cython.int[::1], tiles: cython.longlong) -> None:
    """Embed into the chosen ones of `across` blocks of the picture's `row`.

    `cosets`: for each difference of syndromes the 16 sets of carriers, as bits, that make it good.
    """
    slots: cython.int = cython.cast(cython.int, carriers // _GROUP * 3 if grouped else carriers)
    per_tile: cython.longlong = (order.shape[0])
    size: cython.longlong = coded.shape[0]
    column: cython.Py_ssize_t
    slot: cython.int
    number: cython.int
    bit: cython.int
    wanted: cython.int
    base: cython.longlong
    for column in range(across):
        if not chosen[column]:
            continue
        number = first[(row % _TILE) * _TILE + column % _TILE]
        base = ((row // _TILE) * tiles + column // _TILE) * per_tile
        wanted = 0
        for slot in range(slots):
            if number < 0:
                bit = pattern[(row % _PERIOD) * _PERIOD + column % _PERIOD] ^ (slot & 1)
            else:
                bit = coded[where[(base + order[number * slots + slot]) % size]]
            if grouped:
                wanted |= bit << slot % 3
                if slot % 3 == 2:
                    _group(coefficients, 64 * column, plan, slot // 3 * _GROUP, wanted, cosets,
                           cython.cast(cython.int, (row + column) & 1))
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
    if _cell(value, cells) & 1 == bit:
        value = _kept(value, cells, slack)
    else:
        value = _flipped(value, cells, slack, tie)
    coefficients[at] = cython.cast(cython.short, value)
    return 0


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _group(coefficients: cython.short[::1], block: cython.Py_ssize_t, plan: cython.int[::1],
           start: cython.int, wanted: cython.int, cosets: cython.int[::1],
           tie: cython.int) -> cython.int:
    """Seven carriers to a syndrome: carrier i, from 1, counts i (papers/002, eq. 11-13)."""
    i: cython.int
    member: cython.int
    chosen: cython.int = 0
    at: cython.Py_ssize_t
    difference: cython.int = wanted
    cost: cython.longlong
    best: cython.longlong = -1
    value: cython.int
    cells: cython.int
    slack: cython.int
    for i in range(_GROUP):
        at = block + plan[_PLAN * (start + i)]
        if _cell(coefficients[at], plan[_PLAN * (start + i) + 1]) & 1:
            difference ^= i + 1
    for member in range(16):
        cost = 0
        for i in range(_GROUP):
            at = block + plan[_PLAN * (start + i)]
            cost += _cost(coefficients[at], plan, start + i,
                          cosets[16 * difference + member] >> i & 1, tie)
        if best < 0 or cost < best:
            best = cost
            chosen = cosets[16 * difference + member]
    for i in range(_GROUP):
        at = block + plan[_PLAN * (start + i)]
        cells = plan[_PLAN * (start + i) + 1]
        slack = plan[_PLAN * (start + i) + 2]
        value = coefficients[at]
        if chosen >> i & 1:
            value = _flipped(value, cells, slack, tie)
        else:
            value = _kept(value, cells, slack)
        coefficients[at] = cython.cast(cython.short, value)
    return 0


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _cost(value: cython.int, plan: cython.int[::1], carrier: cython.int, flips: cython.int,
          tie: cython.int) -> cython.longlong:
    """The squared change of a coefficient, in squared units of the DCT."""
    cells: cython.int = plan[_PLAN * carrier + 1]
    slack: cython.int = plan[_PLAN * carrier + 2]
    moved: cython.longlong
    if flips:
        moved = _flipped(value, cells, slack, tie) - value
    else:
        moved = _kept(value, cells, slack) - value
    moved *= plan[_PLAN * carrier + 3]
    return moved * moved
