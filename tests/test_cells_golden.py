"""Frozen hashes and cuts of cells: the same on every machine and both kernels."""

from __future__ import annotations

import hashlib
import struct

import pytest

from occulta.codec.jpeg.cells import CellKeys, Cut
from tests.cell_pictures import KEYS, read, rows, sampled
from tests.jpegs import KINDS, sample
from tests.support import compiled_kernel

pytestmark = pytest.mark.arm64

COMPILED = pytest.mark.skipif(
    compiled_kernel() is None, reason="the compiled kernel is not built")
GOLDEN_KEYS = "2bea2fc69dbba31059dafe510f5c5dfa5e2e0f7748ff82e9d0fe0987e6477c52"
GOLDEN_HASHES = ["79e966c3a7488a197628330f", "219b8a3aec81d530c3bad1e4"]
GOLDEN_CUT = Cut(3, 1, 30, (-42, -13, 5, 0), 0, 0)


def test_keys() -> None:
    packed = struct.pack("<4097Q", *KEYS.words)
    assert hashlib.sha256(packed).hexdigest() == GOLDEN_KEYS
    assert CellKeys(bytes(32)).words[0] == 16218823041373411866


@pytest.mark.parametrize("kernel", ["plain", pytest.param("compiled", marks=COMPILED)])
def test_hashes_and_cuts(kernel: str) -> None:
    picture = sampled(((2, 2), (1, 1), (1, 1)), 40, 24)
    found = rows(read(picture.to_jpeg(), kernel=kernel))
    assert [stretch.hashes.hex() for stretch in found] == GOLDEN_HASHES
    assert found[1].cut == GOLDEN_CUT


@COMPILED
@pytest.mark.parametrize("kind", KINDS)
def test_both_kernels_agree(kind: str) -> None:
    data = sample(kind)
    assert read(data, kernel="plain") == read(data, kernel="compiled")
