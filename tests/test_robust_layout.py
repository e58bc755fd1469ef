"""Where coded bits lie: evenly, the same for ever, in a place of their own for each key."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.schemes.robust.layout import (
    CELLS,
    PATTERN,
    PATTERN_CELLS,
    PERIOD,
    TILE,
    TURNS,
    layout_of,
    permutation,
    tiles_across,
)
from occulta.schemes.robust.synchronise import Grid
from tests.robust_support import FINGERPRINT

pytestmark = pytest.mark.arm64

GOLDEN = {
    1: "657dbbddd2e95c24e7c3d3b264c89328",
    4: "5c2f3f6b6616a2df7c08bfeddf60297e",
    9: "ac4ef8c003f277ebab5c63ff1336ac89",
}


def digest(layout):
    numbers = [*layout.first, *layout.order, *layout.turns, *layout.pattern]
    return hashlib.sha256(" ".join(map(str, numbers)).encode()).hexdigest()[:32]


@pytest.mark.parametrize("slots", GOLDEN)
def test_a_layout_is_the_same_for_ever(slots):
    assert digest(layout_of(FINGERPRINT, slots)) == GOLDEN[slots]


@pytest.mark.parametrize("slots", [1, 3, 4, 9])
def test_a_tile_uses_every_slot_once(slots):
    layout = layout_of(FINGERPRINT, slots)
    assert layout.tile_slots == (CELLS - PATTERN_CELLS) * slots
    assert sorted(layout.order) == list(range(layout.tile_slots))
    assert len(layout.turns) == TURNS**2 and min(layout.turns) >= 0
    assert 0.9 * layout.tile_slots < max(layout.turns) < layout.tile_slots
    numbers = [number for number in layout.first if number != PATTERN]
    assert numbers == list(range(CELLS - PATTERN_CELLS))
    assert len(layout.pattern) == PERIOD * PERIOD and set(layout.pattern) == {0, 1}


@pytest.mark.parametrize("slots, tiles_down, tiles, coded", [
    (1, 2, 3, 1932), (4, 3, 2, 1932), (9, 2, 2, 3084), (4, 1, 1, 959), (1, 5, 7, 241)])
def test_each_coded_bit_is_sent_equally_often(slots, tiles_down, tiles, coded):
    grid = Grid(layout_of(FINGERPRINT, slots))
    places = grid.slots(np.arange(tiles_down * TILE), np.arange(tiles * TILE), tiles)
    used = places[places >= 0]
    assert np.array_equal(np.sort(used), np.arange(tiles_down * tiles * (CELLS - 16) * slots))
    where = permutation(coded, coded)
    sent = Counter(where[slot % coded] for slot in used.tolist())
    times = [sent[bit] for bit in range(coded)]
    assert max(times) - min(times) <= 1 and sum(times) == used.size


@pytest.mark.parametrize("slots, down, across, coded", [
    (1, 3584, 1, 2700), (1, 1792, 2, 2700), (1, 3000, 2, 4236), (4, 4, 384, 2316),
    (9, 4, 256, 3084), (9, 5, 205, 3084)])
def test_strips_send_most_coded_bits(slots, down, across, coded):
    grid = Grid(layout_of(FINGERPRINT, slots))
    places = grid.slots(np.arange(down), np.arange(across), tiles_across(across))
    used = places[places >= 0]
    assert used.size > coded
    assert len(np.unique(used % coded)) > 0.6 * coded


def test_what_lies_outside_is_no_slot():
    grid = Grid(layout_of(FINGERPRINT, 4))
    whole = grid.slots(np.arange(20), np.arange(32), 2)
    around = grid.slots(np.arange(30) - 3, np.arange(60) - 9, 2)
    assert np.array_equal(around[3:23, 9:41], whole)
    assert (around[:3] == -1).all() and (around[:, :9] == -1).all()
    assert (around[:, 41:] == -1).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5000), st.integers(0, 1 << 64))
def test_a_permutation_is_one(size, seed):
    assert sorted(permutation(size, seed)) == list(range(size))


def test_a_part_has_the_slots_of_the_whole():
    grid = Grid(layout_of(FINGERPRINT, 4))
    whole = grid.slots(np.arange(40), np.arange(56), 4)
    part = grid.slots(np.arange(20) + 13, np.arange(30) + 21, 4)
    assert np.array_equal(part, whole[13:33, 21:51])


def test_keys_have_layouts_of_their_own():
    one, other = layout_of(FINGERPRINT, 4), layout_of(bytes(16), 4)
    assert one.first != other.first and one.pattern != other.pattern
    halves = np.frombuffer(one.pattern, np.uint8) == np.frombuffer(other.pattern, np.uint8)
    assert 0.49 < halves.mean() < 0.51


def test_the_pattern_says_where_it_is():
    grid = Grid(layout_of(FINGERPRINT, 4))
    for row, column in ((0, 0), (3, 250), (255, 17)):
        signs = grid.pattern((40, 300), row, column)
        means = signs[..., None] * np.array([1.0, -1.0, 1.0, -1.0])
        found = grid.find(means)
        assert (found.row, found.column) == (row, column)
        assert found.score == pytest.approx(np.sqrt(4 * np.count_nonzero(signs)))


def test_no_slots_and_no_blocks():
    with pytest.raises(ValueError):
        layout_of(FINGERPRINT, 0)
    grid = Grid(layout_of(FINGERPRINT, 1))
    assert grid.score(np.zeros((0, 5, 1))) == grid.score(np.zeros((5, 5, 1))) == 0.0
    assert [tiles_across(blocks) for blocks in (0, 1, 16, 17)] == [0, 1, 1, 2]
