"""Frozen coefficients, files and DCTs: the same on every machine and both kernels."""

from __future__ import annotations

import hashlib

import pytest

from occulta.codec import dct
from occulta.codec.jpeg.coefficients import Header
from occulta.codec.jpeg.raster import encode_gray
from occulta.codec.jpeg.salvage import salvage
from occulta.codec.jpeg.writer import clip
from tests.coefficient_pictures import frame_of, plane, random_rows, read, write
from tests.jpegs import PLAIN, find, sample
from tests.support import compiled_kernel

pytestmark = pytest.mark.arm64

COMPILED = pytest.mark.skipif(
    compiled_kernel() is None, reason="the compiled kernel is not built")
KINDS = ["plain", pytest.param("compiled", marks=COMPILED)]
RASTER = bytes(at * at % 251 ^ at >> 3 & 31 for at in range(41 * 27))


def digest(data) -> str:
    return hashlib.sha256(bytes(data)).hexdigest()[:16]


@pytest.mark.parametrize("kernel", KINDS)
def test_written_and_read(kernel: str) -> None:
    frame = frame_of(((2, 2), (1, 1), (1, 1)), 40, 24)
    header = Header(frame, ())
    data = write(header, random_rows(frame), kernel)
    assert digest(data) == "a616e725265a4ae7"
    rows = read(data, kernel=kernel)[1]
    assert rows == random_rows(frame)
    assert digest(plane(header, rows)) == "26a0ce1642baa64a"
    assert salvage(data, kernel=kernel).coefficients == plane(header, rows)


@pytest.mark.parametrize("kernel", KINDS)
def test_rasters(kernel: str) -> None:
    assert digest(encode_gray(RASTER, 41, 27, 80, kernel)) == "7773b4ff852121cd"


@pytest.mark.parametrize("kernel", KINDS)
def test_dct(kernel: str) -> None:
    found = dct.forward(RASTER, 41, 3, 2, kernel)
    assert len(found) == 64 * 12
    assert digest(found) == "2fdf78db5667f9ef"
    assert digest(dct.inverse(found, 4, kernel)) == "05143e2a92c07bda"
    quantised = dct.quantise(found, range(1, 65), kernel)
    assert digest(quantised) == "c713cf1b33347bb3"
    assert digest(dct.dequantise(quantised, range(1000, 1064), kernel)) == "b6a3db83143a916d"
    big = dct.quantise(dct.dequantise(quantised, [900] * 64, kernel), [1] * 64, kernel)
    assert clip(big, kernel) == 0
    assert digest(big) == "7c786b843692babc"


@COMPILED
@pytest.mark.parametrize("kind", [k for k in PLAIN if k not in ("not_interleaved", "redeclared")])
def test_both_kernels_agree(kind: str) -> None:
    data = sample(kind, 7, 40, 32)
    found = read(data, kernel="compiled")
    assert read(data, kernel="plain") == found
    assert write(*found, "plain") == write(*found, "compiled")


@COMPILED
@pytest.mark.parametrize("at", range(5, 245, 40))
def test_both_kernels_salvage_the_same(at: int) -> None:
    data = sample("ycc420", 7, 40, 32)
    at += find(data, 0xDA)[1]
    damaged = data[:at] + b"\x5a\xa5" + data[at + 2 :]
    assert salvage(damaged, kernel="plain") == salvage(damaged, kernel="compiled")
