"""Which symbols get several codes: the plan of profile `exact`.

With e(s) the length a symbol would have in a code without alternatives, giving it 2**j codes of
length e(s) + j uses the same share of the code space, costs j bits each time the symbol occurs and
carries j bits. The hidden bits therefore cost one bit each above the optimised file, plus eight
bits per additional code in the DHT segment, plus what is left unused: j bits each time, since all
codes of the symbol are longer. `spread` chooses the j to make the last two small.

Where counts are only estimated much is left unused. There `spread_elastic` gives a symbol one code
of length e + 1 and 2**m of length e + 1 + m: the same share of the code space, 1 + m / 2 bits
carried on average at as many bits of cost, and one bit of cost where nothing is left to carry.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from enum import IntEnum

from occulta.codec.jpeg.engine import Destination
from occulta.codec.jpeg.huffman import ANNEX_K, MAX_LENGTH, HuffmanTable, optimal_lengths

MAX_CODES = 255
"""One less than a table may have: no length then has more codes than its count can say."""
MAX_HIDDEN_BITS = 8
"""Most bits one choice carries."""
NEVER = 1 << 62
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
    elastic: dict[int, int] = field(default_factory=dict)
    """symbol -> m, for symbols with codes of two lengths."""

    @property
    def carries(self) -> bool:
        """True if any symbol has alternatives."""
        return bool(self.bits or self.elastic)

    @property
    def codes(self) -> int:
        """Codes in the table."""
        return len(self._coded())

    @property
    def capacity(self) -> int:
        """Bits carried if the counts are right, at the least."""
        equal = sum(self.use.counts[symbol] * bits for symbol, bits in self.bits.items())
        return equal + sum(self.use.counts[symbol] for symbol in self.elastic)

    def table(self) -> HuffmanTable:
        """The table to be written; frequent codes get small values: fewer FF to stuff."""
        return HuffmanTable.from_lengths([(length, s) for length, _, s in sorted(self._coded())])

    def _coded(self) -> list[tuple[int, float, int]]:
        """(length, how rare, symbol) of each code."""
        coded = []
        for symbol, length in self.lengths.items():
            count = self.use.counts[symbol]
            if symbol in self.elastic:
                more = self.elastic[symbol]
                coded.append((length + 1, -count / 2, symbol))
                coded += [(length + 1 + more, -count / (2 << more), symbol)] * (1 << more)
            else:
                bits = self.bits.get(symbol, 0)
                coded += [(length + bits, -count / (1 << bits), symbol)] * (1 << bits)
        return coded


def origin_of(table: HuffmanTable, kind: int) -> Origin:
    """The cheapest way to tell a recovery what a table of class `kind` was."""
    for origin in (Origin.ANNEX_K_0, Origin.ANNEX_K_1):
        if table == ANNEX_K[kind, int(origin)]:
            return origin
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
    origin = origin_of(use.original, use.destination[0])
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
        plan.elastic.clear()
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


@dataclass(frozen=True, slots=True)
class _Elastic:
    """A way to carry enough: symbols of plans, all with the same m."""

    cost: float
    more: int
    chosen: tuple[tuple[int, int], ...]


def spread_elastic(plans: list[TablePlan], needed: int, unused: float) -> bool:
    """Set `elastic` of the plans so that they carry `needed` bits on average; False if they can't.

    `unused` is the share of the carriers that will have nothing to carry. Tries each m, filling
    up with the most frequent symbols that do not overshoot.
    """
    for plan in plans:
        plan.bits.clear()
        plan.elastic.clear()
    ways = [_fill(plans, needed, more, unused) for more in range(1, MAX_HIDDEN_BITS)]
    best = min((way for way in ways if way), key=lambda way: way.cost, default=None)
    if best is None:
        return False
    for index, symbol in best.chosen:
        plans[index].elastic[symbol] = best.more
    return True


def _fill(plans: list[TablePlan], needed: int, more: int, unused: float) -> _Elastic | None:
    """The most frequent symbols that do not overshoot, then the rarest that ends it."""
    each = 1 + more / 2
    room = [MAX_CODES - len(plan.lengths) for plan in plans]
    able = sorted(
        (-plan.use.counts[symbol], index, symbol)
        for index, plan in enumerate(plans)
        for symbol, length in plan.lengths.items()
        if plan.use.counts[symbol] and length + 1 + more <= MAX_LENGTH
    )
    chosen: list[tuple[int, int, int]] = []
    missing = float(needed)
    for entry in able:
        negative, index, _ = entry
        if room[index] >= 1 << more and -negative * each <= missing:
            chosen.append(entry)
            room[index] -= 1 << more
            missing += negative * each
    if missing > 0:
        ends = [e for e in able if -e[0] * each >= missing and room[e[1]] >= 1 << more]
        ends = [e for e in ends if e not in chosen]
        if not ends:
            return None
        chosen.append(ends[-1])
        missing += ends[-1][0] * each
    idle = -sum(e[0] for e in chosen) * unused - missing / each
    cost = _DHT_BITS * len(chosen) * (1 << more) + idle
    return _Elastic(cost, more, tuple((index, symbol) for _, index, symbol in chosen))
