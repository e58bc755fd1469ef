"""The DCT and quantisation: against the definition, there and back, at any offset."""

from __future__ import annotations

from array import array

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.codec import dct
from occulta.codec.jpeg.quantisation import standard_tables
from tests.coefficient_pictures import gray
from tests.support import by_kernel

# T.81 A.3.3, as a matrix.
BASIS = np.array([
    [np.sqrt((2 if u else 1) / 8) * np.cos((2 * x + 1) * u * np.pi / 16) for x in range(8)]
    for u in range(8)
])


def by_definition(pixels: np.ndarray) -> np.ndarray:
    """Blocks of zigzag coefficients, block rows from the top."""
    height, width = pixels.shape
    blocks = pixels.astype(float).reshape(height // 8, 8, width // 8, 8).swapaxes(1, 2) - 128
    return (BASIS @ blocks @ BASIS.T).reshape(-1, 64)[:, dct.ZIGZAG]


def test_zigzag() -> None:
    walk = sorted(range(64), key=lambda n: (
        n // 8 + n % 8, n if (n // 8 + n % 8) % 2 else -n))
    assert list(dct.ZIGZAG) == walk


@pytest.mark.parametrize("offset", [(0, 0), (1, 0), (0, 7), (3, 5), (7, 7)])
def test_forward_is_the_definition(offset: tuple[int, int]) -> None:
    dx, dy = offset
    pixels = gray(1, 43, 31, noise=50)
    found = np.frombuffer(dct.forward(pixels.tobytes(), 43, dx, dy)).reshape(-1, 64)
    cut = pixels[dy : dy + (31 - dy) // 8 * 8, dx : dx + (43 - dx) // 8 * 8]
    assert np.abs(found - by_definition(cut)).max() < 1e-9


@settings(max_examples=by_kernel(60, 6), deadline=None)
@given(
    width=st.integers(1, 30), height=st.integers(1, 30), dx=st.integers(0, 7),
    dy=st.integers(0, 7), seed=st.integers(0, 99),
)
def test_there_and_back(width: int, height: int, dx: int, dy: int, seed: int) -> None:
    before = np.random.default_rng(seed).integers(0, 256, width * height).astype(np.uint8).tobytes()
    found = dct.forward(before, width, dx, dy)
    across, down = max(0, width - dx) // 8, max(0, height - dy) // 8
    assert len(found) == 64 * across * down
    after = bytearray(len(before))
    dct.inverse_into(after, width, found, dx, dy)
    inside = np.zeros((height, width), bool)
    inside[dy : dy + 8 * down, dx : dx + 8 * across] = True
    expected = np.where(inside.ravel(), np.frombuffer(before, np.uint8), 0)
    assert bytes(after) == expected.astype(np.uint8).tobytes()


def test_inverse_is_the_definition() -> None:
    values = np.random.default_rng(2).normal(0, 60, (6, 64))
    found = np.frombuffer(dct.inverse(array("d", values.tobytes()), 3), np.uint8).reshape(16, 24)
    natural = np.zeros((6, 64))
    natural[:, dct.ZIGZAG] = values
    exact = BASIS.T @ natural.reshape(6, 8, 8) @ BASIS + 128
    expected = np.clip(np.floor(exact + 0.5), 0, 255).reshape(2, 3, 8, 8).swapaxes(1, 2)
    assert np.array_equal(found, expected.reshape(16, 24))


def test_clamping() -> None:
    flat = array("d", [3000.0, *[0.0] * 63, -3000.0, *[0.0] * 63])
    assert dct.inverse(flat, 1) == b"\xff" * 64 + b"\0" * 64


def test_energy_is_kept() -> None:
    pixels = gray(4, 16, 16, noise=40)
    found = np.frombuffer(dct.forward(pixels.tobytes(), 16))
    assert np.isclose((found**2).sum(), ((pixels.astype(float) - 128) ** 2).sum())


def test_any_kind_of_bytes() -> None:
    pixels = gray(4, 16, 8).tobytes()
    found = dct.forward(pixels, 16)
    assert dct.forward(bytearray(pixels), 16) == found
    assert dct.forward(memoryview(pixels), 16) == found


def test_quantise() -> None:
    table = [2] * 64
    values = array("d", [3.0, 2.9, -3.0, -3.1, 1.0, -1.0, 9e9, -9e9, *[0.0] * 56])
    assert list(dct.quantise(values, table))[:8] == [2, 1, -1, -2, 1, 0, 1023, -1023]
    lows = array("d", [-2047.1, *[0.0] * 63, -2046.9, *[0.0] * 63])
    assert list(dct.quantise(lows, table))[::64] == [-1024, -1023]
    assert list(dct.quantise(array("d", [-1e9] * 64), table)) == [-1024, *[-1023] * 63]


def test_dequantise() -> None:
    values = array("h", [1, -1, 32767, -32768, 5, *[0] * 59])
    found = dct.dequantise(values, [65535, 7, 65535, 65535, 3, *[1] * 59])
    assert list(found)[:5] == [32767.0, -7.0, 32767.0, -32768.0, 15.0]


def test_quantised_there_and_back() -> None:
    table = standard_tables(60)[0]
    values = array("h", np.random.default_rng(3).integers(-90, 91, 640).astype(np.int16).tobytes())
    assert dct.quantise(dct.dequantise(values, table), table) == values


BLOCK = array("d", [0.0] * 64)
QUANTISED = array("h", [0] * 64)


@pytest.mark.parametrize("call", [
    lambda: dct.forward(bytes(64), 0),
    lambda: dct.forward(bytes(65), 8),
    lambda: dct.forward(bytes(64), 8, 8, 0),
    lambda: dct.forward(bytes(64), 8, 0, -1),
    lambda: dct.inverse(BLOCK, 0),
    lambda: dct.inverse(BLOCK, 2),
    lambda: dct.inverse(array("f", [0.0] * 64), 1),
    lambda: dct.inverse_into(bytearray(64), 8, BLOCK, 1, 0),
    lambda: dct.quantise(array("d", [0.0] * 63), [1] * 64),
    lambda: dct.quantise(BLOCK, [1] * 63),
    lambda: dct.quantise(BLOCK, [0] * 64),
    lambda: dct.dequantise(QUANTISED, [65536] * 64),
    lambda: dct.dequantise(array("i", [0] * 64), [1] * 64),
])
def test_misuse(call) -> None:
    with pytest.raises(ValueError, match=r"."):
        call()
