"""Frozen shares open for ever, and splitting gives the same bytes on every machine."""

from __future__ import annotations

import hashlib

import pytest

from tests.golden_shares import GOLDEN, frame, frozen, reopened
from tests.shares_support import FORMS, gather, split
from tests.support import SATELLITE, compiled_kernel, each_byte

pytestmark = pytest.mark.arm64

KERNELS = [
    "plain",
    pytest.param("compiled", marks=pytest.mark.skipif(
        compiled_kernel() is None, reason="the compiled kernel is not built")),
]
CELLS = [12, 13, 14, 15, 16, 17, 18, 19]
SHA256 = {
    "frame.jpg": "8d14db8e58ec7092",
    "seed-0.occ": "7c9aab98cb8224c2",
    "seed-1.occ": "4a13d19caf13c112",
    "stream-0.occ": "392c6ed01b713378",
    "stream-1.occ": "79c54e94f612f06b",
    "threshold-0.occ": "dafbbde761d6f3f4",
    "threshold-1.occ": "b8d30eb5fb5046d1",
    "threshold-2.occ": "3e194d91763a23fc",
}


def test_the_frozen_files_are_what_they_were() -> None:
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:16]
             for path in sorted(GOLDEN.iterdir())}
    assert found == SHA256


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_splitting_gives_the_frozen_bytes(form: str, kernel: str) -> None:
    assert split(frame(), reopened(frozen(form)), kernel=kernel) == frozen(form)


@pytest.mark.parametrize("form", FORMS)
def test_however_the_frame_is_cut(form: str) -> None:
    assert split(frame(), reopened(frozen(form)), each_byte(frame())) == frozen(form)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_frozen_shares_restore(form: str, kernel: str) -> None:
    found, restored = gather(frozen(form), kernel=kernel)
    assert (restored, found.is_intact) == (frame(), True)
    assert found.is_authentic(SATELLITE.public)


@pytest.mark.parametrize("kernel", KERNELS)
def test_damage_is_located_alike(kernel: str) -> None:
    a, b = frozen("seed")
    spoilt = bytearray(b)
    spoilt[2116] ^= 16
    found, _ = gather([a, bytes(spoilt)], kernel=kernel)
    assert sorted(found.damage.cells) == CELLS
