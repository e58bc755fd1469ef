"""Plans of profile `exact`: enough hidden bits, at next to no cost, in tables anyone can read.

Proves that a plan carries what is needed whenever the fullest plan can, that its tables keep to
the rules of DHT segments (256 codes, 16 bits, counts of a byte, no code of all ones), and that a
hidden bit costs about one bit over the optimised table.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.codec.jpeg.huffman import ANNEX_K, HuffmanTable, optimal_lengths, parse_dht
from occulta.schemes.reversible.codes import choices_of
from occulta.schemes.reversible.plan import (
    MAX_CODES,
    MAX_HIDDEN_BITS,
    Origin,
    TablePlan,
    TableUse,
    is_derivable,
    origin_of,
    plan_lengths,
    spread,
    spread_elastic,
)
from tests.encoder import WIDE_AC, Picture
from tests.support import assert_round_trip

pytestmark = pytest.mark.arm64

EXAMPLES = settings(deadline=None, derandomize=True, database=None, max_examples=120)
ANNEX_AC = ANNEX_K[1, 0]
COUNTS = st.lists(
    st.one_of(st.integers(0, 3), st.integers(0, 200), st.integers(0, 100_000)), max_size=162
)


def use_of(counts: list[int], original: HuffmanTable = ANNEX_AC, complete: bool = True) -> TableUse:
    """Counts given in the order of the table's symbols."""
    listed = [0] * 256
    for symbol, count in zip(original.symbols, counts, strict=False):
        listed[symbol] = count
    return TableUse((1, 0), original, listed, complete)


def natural_use(total: int, seed: int = 1, complete: bool = True) -> TableUse:
    """Counts like those of pictures: a few symbols frequent, many rare."""
    shares = np.random.default_rng(seed).dirichlet(np.full(162, 0.1))
    return use_of([int(share * total) for share in sorted(shares, reverse=True)], complete=complete)


def average(plan: TablePlan) -> float:
    """Bits carried on average by random hidden bits."""
    counts = plan.use.counts
    equal = sum(counts[s] * bits for s, bits in plan.bits.items())
    return equal + sum(counts[s] * (1 + m / 2) for s, m in plan.elastic.items())


def check_table(plan: TablePlan) -> HuffmanTable:
    """What every marked table must be."""
    table = plan.table()
    assert 0 < len(table.symbols) <= MAX_CODES
    assert all(count <= 255 for count in table.counts), "counts are bytes in a DHT segment"
    body = b"\x10" + table.to_bytes()
    assert parse_dht(body) == [(1, 0, table)]
    assert all(code + 1 < 1 << length for _, code, length in table.codes)
    assert set(table.symbols) == set(plan.lengths)
    for symbol, choices in choices_of(table).items():
        assert len(choices) == 1 or symbol in plan.bits or symbol in plan.elastic
        assert choices[0].bits <= MAX_HIDDEN_BITS
    return table


@EXAMPLES
@given(COUNTS, st.integers(0, 300_000), st.booleans())
def test_needs_are_met_where_they_can_be(counts: list[int], needed: int, complete: bool) -> None:
    use = use_of([1, *counts], complete=complete)
    plan = plan_lengths(use)
    most = spread([plan], None)
    check_table(plan)
    carried = spread([plan], needed)
    check_table(plan)
    assert carried == plan.capacity
    assert carried >= min(needed, most)
    assert len(plan.lengths) == sum(c > 0 for c in use.counts) or not complete


@EXAMPLES
@given(st.lists(COUNTS, min_size=1, max_size=4), st.integers(0, 500_000))
def test_tables_of_a_scan_share_the_work(parts: list[list[int]], needed: int) -> None:
    plans = [plan_lengths(use_of([1, *counts])) for counts in parts]
    most = spread(plans, None)
    assert spread(plans, needed) >= min(needed, most)
    for plan in plans:
        check_table(plan)


@EXAMPLES
@given(COUNTS, st.integers(1, 300_000), st.sampled_from([0.1, 0.3, 0.5]))
def test_codes_of_two_lengths(counts: list[int], needed: int, unused: float) -> None:
    plan = plan_lengths(use_of([1, *counts], complete=False))
    if spread_elastic([plan], needed, unused):
        assert average(plan) >= needed
        assert plan.elastic and not plan.bits
    check_table(plan)


@pytest.mark.parametrize("count", [1, 50, 100_000])
@pytest.mark.parametrize("symbols", [1, 2, 3])
def test_few_symbols_many_codes(symbols: int, count: int) -> None:
    """All the codes of a table of one symbol would have one length: a count of 256 is no byte."""
    plan = plan_lengths(use_of([count] * symbols))
    spread([plan], None)
    check_table(plan)
    spread([plan], 8 * count)
    check_table(plan)


def test_a_picture_of_one_symbol() -> None:
    """Blocks that all say the same, with each symbol in a table of its own."""
    blocks = [[0] * 64 for _ in range(3000)]
    assert_round_trip(Picture([blocks], 50).to_jpeg(), b"one", "exact")
    blocks = [[0, 1] + [0] * 62 for _ in range(600)]
    assert_round_trip(Picture([blocks], 50).to_jpeg(), b"two", "exact")


@pytest.mark.parametrize("total", [50_000, 500_000])
@pytest.mark.parametrize("part", [0.02, 0.1, 0.5])
def test_a_hidden_bit_costs_about_one_bit(total: int, part: float) -> None:
    """Table bytes and the code's length together, over the optimised table."""
    use = natural_use(total)
    plan = plan_lengths(use)
    plain = cost(plan)
    needed = int(total * part)
    assert spread([plan], needed) >= needed
    assert plan.capacity <= 1.05 * needed + 64
    assert (cost(plan) - plain) / needed < 1 + 400 / needed + 0.02


def cost(plan: TablePlan) -> int:
    """Bits of the table's symbols in the DHT segment and of all codes written."""
    lengths = {symbol: max(n for s, _, n in plan.table().codes if s == symbol)
               for symbol in plan.lengths}
    return 8 * plan.codes + sum(plan.use.counts[s] * n for s, n in lengths.items())


def test_nothing_needed_nothing_changed() -> None:
    plan = plan_lengths(natural_use(10_000))
    assert spread([plan], 0) == 0
    assert not plan.carries and plan.codes == len(plan.lengths)


def test_planning_again_forgets_the_plan_before() -> None:
    plan = plan_lengths(natural_use(10_000, complete=False))
    spread_elastic([plan], 500, 0.1)
    assert spread([plan], 500) == plan.capacity
    assert not plan.elastic
    spread_elastic([plan], 500, 0.1)
    assert not plan.bits


def test_estimated_counts_keep_a_code_for_every_symbol() -> None:
    plan = plan_lengths(use_of([500, 20], complete=False))
    assert set(plan.lengths) == set(ANNEX_AC.symbols)
    assert set(plan_lengths(use_of([500, 20])).lengths) == set(ANNEX_AC.symbols[:2])


def test_where_tables_come_from() -> None:
    assert origin_of(ANNEX_K[0, 0], 0) is origin_of(ANNEX_K[1, 0], 1) is Origin.ANNEX_K_0
    assert origin_of(ANNEX_K[0, 1], 0) is origin_of(ANNEX_K[1, 1], 1) is Origin.ANNEX_K_1
    lengths = optimal_lengths([5, 4, 3, 1], 16)[:-1]
    ascending = HuffmanTable.from_lengths(list(zip(lengths, [1, 2, 3], strict=True)))
    assert origin_of(ascending, 1) is Origin.DERIVED
    falling = HuffmanTable.from_lengths([(2, 3), (2, 2), (2, 1)])
    assert not is_derivable(falling) and origin_of(falling, 1) is Origin.LITERAL
    full = HuffmanTable.from_lengths([(1, 1), (1, 2)])
    assert not is_derivable(full) and origin_of(full, 1) is Origin.LITERAL


def test_the_originals_lengths_are_kept_where_that_tells_it() -> None:
    use = use_of([7] * len(WIDE_AC.symbols), WIDE_AC)
    assert origin_of(WIDE_AC, 1) is (Origin.DERIVED if is_derivable(WIDE_AC) else Origin.LITERAL)
    plan = plan_lengths(use)
    if plan.origin is Origin.DERIVED:
        assert set(plan.lengths.values()) == {8}
