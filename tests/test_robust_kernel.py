"""Marking one row of blocks: parities and syndromes, the least change, the same on each kernel."""

from __future__ import annotations

from array import array
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.codec.dct import ZIGZAG
from occulta.codec.kernels import load_kernel
from occulta.schemes.robust.layout import layout_of, permutation
from occulta.schemes.robust.mark import KERNEL, RowMarker
from occulta.schemes.robust.profiles import PROFILES, TABLE, Profile
from tests.robust_support import FINGERPRINT, NAMES, coded
from tests.support import by_kernel, compiled_kernel

ACROSS = 37
KINDS = ["plain", pytest.param("compiled", marks=pytest.mark.skipif(
    compiled_kernel() is None, reason="the compiled kernel is not built"))]


@cache
def cached_layout(slots):
    return layout_of(FINGERPRINT, slots)


@cache
def cached_permutation(size):
    return permutation(size, size)


def blocks(seed, across=ACROSS, spread=60):
    """Coefficients as pictures have them, and some as only hostile files do."""
    rng = np.random.default_rng(seed)
    falling = spread / (1 + np.arange(64) / 2)
    values = rng.laplace(0, 1, (across, 64)) * falling * rng.uniform(0, 2, (across, 1))
    values = np.rint(values)
    extreme = rng.random(values.shape) < 0.01
    values[extreme] = rng.choice([-1023, -1022, 1022, 1023], int(extreme.sum()))
    return np.clip(values, -1023, 1023).astype(np.int16)


def mark(values, name, row=3, kernel=None, bits=None):
    marked = array("h", values.tobytes())
    marker = RowMarker(
        PROFILES[name], FINGERPRINT, 8 * len(values) + 7, bits or coded(), kernel)
    marker.mark(memoryview(marked), row)
    return np.array(marked).reshape(values.shape)


def wanted(profile: Profile, row: int, column: int, across: int, bits: bytes) -> list[int]:
    """The bits of a block, worked out from the description of the layout alone."""
    layout, where = cached_layout(profile.slots), cached_permutation(len(bits))
    number = layout.first[row % 16 * 16 + column % 16]
    if number < 0:
        bit = layout.pattern[row % 256 * 256 + column % 256]
        return [bit ^ slot % 2 for slot in range(profile.slots)]
    tile = row // 16 * -(-across // 16) + column // 16
    turn = layout.turns[row // 16 % 16 * 16 + column // 16 % 16]
    places = [(layout.order[number * profile.slots + slot] + turn) % layout.tile_slots
              for slot in range(profile.slots)]
    return [bits[where[(tile * layout.tile_slots + place) % len(bits)]] for place in places]


def cell(value: int, cells: int) -> int:
    return (Fraction(int(value), cells) + Fraction(1, 2)).__floor__()


def read(profile: Profile, block) -> list[int]:
    """Parities, or syndromes by the matrix of papers/002: column i is i in binary."""
    parities = [cell(block[at], width) % 2
                for at, width in zip(profile.carriers, profile.cells, strict=True)]
    if not profile.grouped:
        return parities
    matrix = np.array([[i >> bit & 1 for i in range(1, 8)] for bit in range(3)])
    groups = np.array(parities).reshape(-1, 7)
    return (groups @ matrix.T % 2).ravel().tolist()


def residual(values):
    """sqrt(|A|^2 - s1^2) by the singular values."""
    natural = np.zeros((len(values), 64))
    natural[:, list(ZIGZAG)] = values * np.array(TABLE)
    singular = np.linalg.svd(natural.reshape(-1, 8, 8), compute_uv=False)
    return np.sqrt((singular[:, 1:] ** 2).sum(axis=1))


def surely_chosen(profile: Profile, values):
    """Blocks that carry and blocks that do not, those near the threshold left out."""
    if not profile.halved:
        return np.ones(len(values), bool), np.zeros(len(values), bool)
    rough = residual(values)
    threshold = np.sort(rough)[len(rough) // 2]
    return rough > 1.05 * threshold, rough < 0.95 * threshold


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("row", [0, 3, 100])
def test_every_chosen_block_carries_its_bits(name, row):
    profile, values, bits = PROFILES[name], blocks(row), coded()
    marked = mark(values, name, row)
    chosen, unchosen = surely_chosen(profile, values)
    assert chosen.sum() >= ACROSS * 0.4
    for column in np.nonzero(chosen)[0].tolist():
        expected = wanted(profile, row, column, ACROSS, bits)
        assert read(profile, marked[column].tolist()) == expected, column
    assert np.array_equal(marked[unchosen], values[unchosen])
    others = [at for at in range(64) if at not in profile.carriers]
    assert np.array_equal(marked[:, others], values[:, others])
    assert np.abs(marked).max() <= 1023


def cheapest(value: int, cells: int, slack: int, bit: int) -> int:
    """The least change that brings a value into a cell of the parity, not too near its border."""
    near = range(max(-1023, value - 2 * cells), min(1023, value + 2 * cells) + 1)
    allowed = (v for v in near
               if cell(v, cells) % 2 == bit and abs(v - cell(v, cells) * cells) <= slack)
    return min(abs(v - value) for v in allowed)


@pytest.mark.parametrize("name", [name for name in NAMES if not PROFILES[name].grouped])
def test_no_carrier_moves_farther_than_it_must(name):
    profile, values = PROFILES[name], blocks(5, across=16)
    marked = mark(values, name)
    for column in np.nonzero(surely_chosen(profile, values)[0])[0].tolist():
        expected = wanted(profile, 3, column, 16, coded())
        for at, width, slack, bit in zip(
            profile.carriers, profile.cells, profile.slack, expected, strict=True
        ):
            moved = abs(int(marked[column, at]) - int(values[column, at]))
            assert moved == cheapest(int(values[column, at]), width, slack, bit)


def test_a_syndrome_costs_as_little_as_any_set_of_carriers():
    profile, values = PROFILES["light"], blocks(6, across=12)
    marked = mark(values, "light")
    divisors = np.array(TABLE, dtype=np.int64)
    sets = np.array([[m >> i & 1 for i in range(7)] for m in range(128)])
    for column in np.nonzero(surely_chosen(profile, values)[0])[0].tolist():
        now = read(profile, values[column].tolist())
        then = wanted(profile, 3, column, 12, coded())
        for group in range(3):
            places = list(profile.carriers[7 * group : 7 * group + 7])
            needed = [a ^ b for a, b in zip(now, then, strict=True)][3 * group : 3 * group + 3]
            columns = [[i >> bit & 1 for bit in range(3)] for i in range(1, 8)]
            good = (sets @ np.array(columns) % 2 == needed).all(axis=1)
            least = (sets[good] @ divisors[places] ** 2).min()
            change = (marked[column, places] - values[column, places]).astype(np.int64)
            assert ((change * divisors[places]) ** 2).sum() == least


@settings(max_examples=by_kernel(25, 10), deadline=None)
@given(st.sampled_from(NAMES), st.integers(0, 1 << 30), st.integers(1, 40), st.integers(0, 600))
def test_both_kernels_mark_alike(name, seed, across, row):
    if compiled_kernel() is None:
        pytest.skip("the compiled kernel is not built")
    values = blocks(seed, across, spread=1 + seed % 200)
    found = [mark(values, name, row, kernel) for kernel in ("plain", "compiled")]
    assert np.array_equal(*found)


@pytest.mark.parametrize("name", NAMES)
def test_a_flat_row_can_be_marked(name):
    values = np.zeros((20, 64), np.int16)
    marked, profile = mark(values, name), PROFILES[name]
    carrying = [
        column for column in range(20)
        if read(profile, marked[column].tolist()) == wanted(profile, 3, column, 20, coded())
    ]
    if not profile.halved:
        assert carrying == list(range(20))
        return
    # The others stay flat, so that a receiver can tell which half carries.
    touched = [column for column in range(20) if marked[column].any()]
    assert set(touched) <= set(carrying) and 8 <= len(touched) <= 10
    assert min(touched) < 5 and max(touched) >= 15


@pytest.mark.parametrize("kind", KINDS)
def test_roughness_is_the_rank_one_residual(kind):
    values = blocks(7, by_kernel(200, 30))
    values[0] = 0
    values[1, 1:] = 0
    turned = array("i", [at % 8 * 8 + at // 8 for at in ZIGZAG])
    found = array("d", bytes(8 * len(values)))
    load_kernel(KERNEL, kind).roughness(
        memoryview(array("h", values.tobytes())), memoryview(array("i", TABLE)),
        memoryview(turned), len(values), memoryview(array("d", bytes(8 * 144))),
        memoryview(found))
    expected = residual(values)
    close = np.abs(np.sqrt(found) - expected) <= 0.05 * expected + 1e-4
    assert close.mean() > 0.95 and found[0] == 0.0 and found[1] == 0.0
    # Power iteration comes from below, so the residual from above.
    assert np.all(np.sqrt(found) >= expected * (1 - 1e-9) - 1e-4)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=by_kernel(30, 10), deadline=None)
@given(data=st.data())
def test_requantisation_is_exact(kind, data):
    values = data.draw(st.lists(st.integers(-32768, 32767), min_size=64, max_size=64))
    divisors = st.lists(st.integers(1, 65535), min_size=64, max_size=64)
    source, target = data.draw(divisors), data.draw(divisors)
    found = array("h", values)
    load_kernel(KERNEL, kind).requantise(
        memoryview(found), memoryview(array("i", source)), memoryview(array("i", target)))
    for value, one, other, got in zip(values, source, target, found, strict=True):
        exact = Fraction(abs(value) * one, other)
        rounded = min(1023, (exact + Fraction(1, 2)).__floor__())
        assert got == (rounded if value > 0 else -rounded)


def test_no_bits_are_refused():
    with pytest.raises(ValueError):
        RowMarker(PROFILES["max"], FINGERPRINT, 100, b"")


def test_a_row_without_whole_blocks_is_left_alone():
    values = array("h", range(64))
    RowMarker(PROFILES["max"], FINGERPRINT, 7, b"\1").mark(memoryview(values), 0)
    assert values == array("h", range(64))
