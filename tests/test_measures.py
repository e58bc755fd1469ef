"""Measures of images: known values of small pictures, and what noise gives."""

import math

import numpy as np
import pytest

from sim.analysis.measures import correlation, entropy, histogram, npcr, uaci


def pixels(*rows: list[int]) -> np.ndarray:
    return np.array(rows, np.uint8)


def test_histogram_counts_every_value() -> None:
    found = histogram(pixels([0, 0, 255], [7, 0, 255]))
    assert (found[0], found[7], found[255], found.sum()) == (3, 1, 2, 6)
    assert found.shape == (256,)


@pytest.mark.parametrize(
    ("values", "expected"), [([5] * 8, 0.0), ([0, 255] * 4, 1.0), ([0, 1, 2, 3] * 2, 2.0)]
)
def test_entropy_of_known_distributions(values: list[int], expected: float) -> None:
    assert entropy(pixels(values)) == expected


def test_entropy_of_all_values_is_eight_bits() -> None:
    assert entropy(np.arange(256, dtype=np.uint8).reshape(16, 16)) == pytest.approx(8.0)


def test_correlation_of_each_direction_apart() -> None:
    rows = np.repeat(np.arange(10, dtype=np.uint8)[:, None] % 2, 10, axis=1)
    found = correlation(rows)
    assert (found.horizontal, found.vertical, found.diagonal) == pytest.approx((1, -1, -1))
    turned = correlation(np.ascontiguousarray(rows.T))
    assert (turned.horizontal, turned.vertical, turned.diagonal) == pytest.approx((-1, 1, -1))


def test_correlation_against_numpy() -> None:
    noise = np.random.default_rng(4).integers(0, 256, (40, 30), np.uint8)
    expected = np.corrcoef(noise[:-1, :-1].ravel(), noise[1:, 1:].ravel())[0, 1]
    assert correlation(noise).diagonal == pytest.approx(expected)


def test_correlation_of_a_flat_picture_is_undefined() -> None:
    assert all(math.isnan(value) for value in correlation(pixels([3, 3], [3, 3])))


def test_npcr_and_uaci_of_known_pairs() -> None:
    one, other = pixels([0, 10, 255, 255]), pixels([0, 61, 0, 255])
    assert npcr(one, other) == 50.0
    assert uaci(one, other) == pytest.approx(100 * (51 + 255) / (255 * 4))
    assert uaci(other, one) == uaci(one, other)


def test_npcr_and_uaci_of_noise() -> None:
    one, other = np.random.default_rng(5).integers(0, 256, (2, 512, 512), np.uint8)
    assert npcr(one, other) == pytest.approx(99.6094, abs=0.05)
    assert uaci(one, other) == pytest.approx(33.4635, abs=0.2)


@pytest.mark.parametrize("measure", [npcr, uaci])
def test_different_shapes_are_misuse(measure: object) -> None:
    with pytest.raises(ValueError, match="shapes"):
        measure(pixels([1, 2]), pixels([1], [2]))
