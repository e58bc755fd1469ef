"""Interval lists against a model that knows every octet.

Proves that ranges stay sorted, apart and merged where they touch, whatever is added and removed,
and that a question about a gigabyte costs no more than the ranges in it.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.link.cfdp.intervals import Intervals

pytestmark = pytest.mark.arm64

SIZE = 40
RANGES = st.tuples(st.integers(0, SIZE), st.integers(0, SIZE))
CHANGES = st.lists(st.tuples(st.booleans(), RANGES), max_size=30)


def ranges(octets: set[int]) -> list[tuple[int, int]]:
    """The runs of a set of octets."""
    starts = sorted(at for at in octets if at - 1 not in octets)
    ends = sorted(at + 1 for at in octets if at + 1 not in octets)
    return list(zip(starts, ends, strict=True))


@given(changes=CHANGES, asked=RANGES, size=st.integers(1, 9))
@settings(max_examples=500, deadline=None, derandomize=True)
def test_against_a_model(
    changes: list[tuple[bool, tuple[int, int]]], asked: tuple[int, int], size: int
) -> None:
    found, model = Intervals(), set()
    for adds, (start, end) in changes:
        (found.add if adds else found.remove)(start, end)
        model = model | set(range(start, end)) if adds else model - set(range(start, end))
        assert list(found) == ranges(model) and len(found) == len(ranges(model))
    within = set(range(*asked))
    assert list(found.gaps(*asked)) == ranges(within - model)
    assert found.covers(*asked) is (within <= model)
    assert found.total == len(model) and found.end == max(model, default=-1) + 1
    assert found.front == next(at for at in range(SIZE + 1) if at not in model)
    if asked[0] < asked[1]:
        joined = ranges(model | within)
        assert found.joins(*asked) is (len(joined) <= len(found))
    if model:
        start, end = ranges(model)[0]
        assert found.first(size) == (start, min(end, start + size))


@given(changes=st.lists(RANGES, max_size=20))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_the_order_of_adding_does_not_matter(changes: list[tuple[int, int]]) -> None:
    assert list(Intervals(changes)) == list(Intervals(reversed(changes)))


def test_what_touches_is_one_range() -> None:
    found = Intervals([(0, 1), (2, 3), (4, 5)])
    assert len(found) == 3
    found.add(1, 2)
    assert list(found) == [(0, 3), (4, 5)]
    found.add(3, 4)
    assert list(found) == [(0, 5)]


def test_removing_from_the_middle_leaves_two() -> None:
    found = Intervals([(0, 10)])
    found.remove(4, 6)
    assert list(found) == [(0, 4), (6, 10)]
    found.remove(0, 10)
    assert list(found) == [] and found.end == found.front == found.total == 0


def test_nothing_is_nothing() -> None:
    found = Intervals([(5, 5), (7, 3)])
    assert len(found) == 0 and list(found.gaps(3, 3)) == [] and found.covers(0, 0)
    found.add(0, 9)
    found.remove(4, 4)
    found.remove(6, 2)
    assert list(found) == [(0, 9)]
    with pytest.raises(IndexError):
        Intervals().first(1)


def test_gigabytes_cost_one_range() -> None:
    found = Intervals([(0, 1 << 60)])
    found.remove(1 << 40, (1 << 40) + 1)
    assert list(found.gaps(0, 1 << 60)) == [(1 << 40, (1 << 40) + 1)] and len(found) == 2
    gaps = Intervals((at, at + 1) for at in range(0, 200_000, 2)).gaps(0, 1 << 60)
    assert [next(gaps) for _ in range(3)] == [(1, 2), (3, 4), (5, 6)]
