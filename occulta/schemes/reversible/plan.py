"""Which symbols get several codes: the plan of profile `exact`.

With e(s) the length a symbol would have in a code without alternatives, giving it 2**j codes of
length e(s) + j uses the same share of the code space, costs j bits each time the symbol occurs and
carries j bits. The hidden bits therefore cost one bit each above the optimised file, plus eight
bits per additional code in the DHT segment, plus what is left unused. The plan chooses the j to
make the last two small.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from enum import IntEnum

from occulta.codec.jpeg.engine import Destination
from occulta.codec.jpeg.huffman import ANNEX_K, MAX_LENGTH, HuffmanTable, optimal_lengths

MAX_CODES = 256
MAX_HIDDEN_BITS = 7
"""Most bits one choice carries."""
_DHT_BITS = 8
_SCALE = 64


class Origin(IntEnum):
    """How a recovery learns the original table (see side.py)."""

    ANNEX_K_0 = 0
    ANNEX_K_1 = 1
    DERIVED = 2
    LITERAL = 3


@dataclass
class TableUse:
    """A table of a scan with the (estimated) occurrences of each symbol.

    `complete` says that the counts are those of the whole scan, so that other symbols need no
    code.
    """

    destination: Destination
    original: HuffmanTable
    counts: list[int]
    complete: bool


@dataclass
class TablePlan:
    """Lengths without alternatives and, per symbol, the bits its alternatives carry."""

    use: TableUse
    origin: Origin
    lengths: dict[int, int]
    bits: dict[int, int] = field(default_factory=dict)

    @property
    def codes(self) -> int:
        """Codes in the table."""
        return sum(1 << self.bits.get(symbol, 0) for symbol in self.lengths)

    @property
    def capacity(self) -> int:
        """Bits carried if the counts are right."""
        return sum(self.use.counts[symbol] * bits for symbol, bits in self.bits.items())

    def table(self) -> HuffmanTable:
        """The table to be written; frequent codes get small values: fewer FF to stuff."""
        coded = []
        for symbol, length in self.lengths.items():
            bits = self.bits.get(symbol, 0)
            share = self.use.counts[symbol] / (1 << bits)
            coded += [(length + bits, -share, symbol)] * (1 << bits)
        return HuffmanTable.from_lengths([(length, s) for length, _, s in sorted(coded)])


def origin_of(table: HuffmanTable) -> Origin:
    """The cheapest way to tell a recovery what a table was."""
    for (_, destination), annex in ANNEX_K.items():
        if table == annex:
            return Origin(destination)
    return Origin.DERIVED if is_derivable(table) else Origin.LITERAL


def is_derivable(table: HuffmanTable) -> bool:
    """True if lengths and symbols in ascending order say it all, and no code is all ones."""
    codes = table.codes
    ascending = all(
        a[0] < b[0] for a, b in zip(codes, codes[1:], strict=False) if a[2] == b[2]
    )
    _, code, length = codes[-1]
    return ascending and code + 1 < 1 << length


def plan_lengths(use: TableUse) -> TablePlan:
    """Lengths for a table: optimal where the original is cheap to tell, else the original's."""
    origin = origin_of(use.original)
    if origin is Origin.DERIVED:
        return TablePlan(use, origin, {s: length for s, _, length in use.original.codes})
    symbols = [s for s in use.original.symbols if use.counts[s] or not use.complete]
    # The last weight is a code that stays unused, so that no code is all ones.
    weights = [max(1, _SCALE * use.counts[symbol]) for symbol in symbols]
    lengths = optimal_lengths([*weights, 1], MAX_LENGTH)
    return TablePlan(use, origin, dict(zip(symbols, lengths, strict=False)))


@dataclass(order=True, slots=True)
class _Step:
    """Give a symbol one bit more: `gain` hidden bits for `cost` bits in the DHT segment."""

    ratio: float
    gain: int
    cost: int
    plan: int
    symbol: int
    bits: int


def _step(plans: list[TablePlan], plan: int, symbol: int, bits: int) -> _Step | None:
    gain = plans[plan].use.counts[symbol]
    if not gain or bits > MAX_HIDDEN_BITS or plans[plan].lengths[symbol] + bits > MAX_LENGTH:
        return None
    cost = _DHT_BITS << (bits - 1)
    return _Step(cost / gain, gain, cost, plan, symbol, bits)


def spread(plans: list[TablePlan], needed: int | None) -> int:
    """Set `bits` of the plans so that they carry `needed` bits at least cost (None: the most).

    Returns the bits they carry; less than `needed` if they cannot carry it. Greedy by cost per
    bit; a step that gives far more than is missing is left out, and remembered as a way to end.
    """
    for plan in plans:
        plan.bits.clear()
    room = [MAX_CODES - plan.codes for plan in plans]
    steps = [
        step for index, plan in enumerate(plans) for symbol in plan.lengths
        if (step := _step(plans, index, symbol, 1)) is not None
    ]
    heapq.heapify(steps)
    chosen: list[_Step] = []
    ends: list[_Step] = []
    best: tuple[int, int, _Step | None] | None = None
    missing = NEVER if needed is None else needed
    spent = 0
    while steps and missing > 0:
        step = heapq.heappop(steps)
        if step.cost // _DHT_BITS > room[step.plan]:
            continue
        if step.gain > missing:
            ends.append(step)
            total = spent + step.cost + step.gain - missing
            if best is None or total < best[0]:
                best = (total, len(chosen), step)
            continue
        chosen.append(step)
        room[step.plan] -= step.cost // _DHT_BITS
        missing -= step.gain
        spent += step.cost
        following = _step(plans, step.plan, step.symbol, step.bits + 1)
        if following is not None:
            heapq.heappush(steps, following)
        best = _best_end(ends, room, missing, spent, len(chosen), best)
    if best is not None and (missing > 0 or best[0] < spent):
        chosen = chosen[: best[1]] + ([best[2]] if best[2] else [])
    for step in chosen:
        plans[step.plan].bits[step.symbol] = step.bits
    return sum(plan.capacity for plan in plans)


NEVER = 1 << 62


def _best_end(
    ends: list[_Step], room: list[int], missing: int, spent: int, count: int,
    best: tuple[int, int, _Step | None] | None,
) -> tuple[int, int, _Step | None] | None:
    """The cheapest plan found so far that ends with one large step."""
    for step in ends:
        total = spent + step.cost + step.gain - missing
        if step.cost // _DHT_BITS <= room[step.plan] and (best is None or total < best[0]):
            best = (total, count, step)
    return best
