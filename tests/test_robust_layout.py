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
    layout_of,
    permutation,
    tiles_across,
)
from occulta.schemes.robust.synchronise import Grid
from tests.robust_support import FINGERPRINT

pytestmark = pytest.mark.arm64

GOLDEN = {
    1: "877ebc100381aefb0115317f8d411b0f",
    4: "a0873104d567d23619cae1b2f374af3d",
    9: "4a9b7124edea491c1bde4c89871a7932",
}


def digest(layout):
    numbers = [*layout.first, *layout.order, *layout.pattern]
    return hashlib.sha256(" ".join(map(str, numbers)).encode()).hexdigest()[:32]


@pytest.mark.parametrize("slots", GOLDEN)
def test_a_layout_is_the_same_for_ever(slots):
    assert digest(layout_of(FINGERPRINT, slots)) == GOLDEN[slots]


@pytest.mark.parametrize("slots", [1, 3, 4, 9])
def test_a_tile_uses_every_slot_once(slots):
    layout = layout_of(FINGERPRINT, slots)
    assert layout.tile_slots == (CELLS - PATTERN_CELLS) * slots
    assert sorted(layout.order) == list(range(layout.tile_slots))
    numbers = [number for number in layout.first if number != PATTERN]
    assert numbers == list(range(CELLS - PATTERN_CELLS))
    assert len(layout.pattern) == PERIOD * PERIOD and set(layout.pattern) == {0, 1}


@pytest.mark.parametrize("slots, tiles_down, tiles, coded", [
    (1, 2, 3, 1932), (4, 3, 2, 1932), (9, 2, 2, 3084), (4, 1, 1, 959), (1, 5, 7, 241)])
def test_each_coded_bit_is_sent_equally_often(slots, tiles_down, tiles, coded):
    grid = Grid(layout_of(FINGERPRINT, slots))
    places = grid.slots((tiles_down * TILE, tiles * TILE, slots), (0, 0), tiles)
    used = places[places >= 0]
    assert np.array_equal(np.sort(used), np.arange(tiles_down * tiles * (CELLS - 16) * slots))
    where = permutation(coded, coded)
    sent = Counter(where[slot % coded] for slot in used.tolist())
    times = [sent[bit] for bit in range(coded)]
    assert max(times) - min(times) <= 1 and sum(times) == used.size


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5000), st.integers(0, 1 << 64))
def test_a_permutation_is_one(size, seed):
    assert sorted(permutation(size, seed)) == list(range(size))


def test_a_part_has_the_slots_of_the_whole():
    grid = Grid(layout_of(FINGERPRINT, 4))
    whole = grid.slots((40, 56, 4), (0, 0), 4)
    part = grid.slots((20, 30, 4), (13, 21), 4)
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
