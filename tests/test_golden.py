"""Frozen marked files: they recover for ever, and marking gives the same bytes on every machine.

Proves against tests/golden/*.json (made by `python -m tests.regolden`) that both kernels mark each
frozen picture to the frozen bytes and restore picture and private data from them, however cut.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from occulta.codec import crypto
from occulta.limits import Limits
from tests.regolden import BYTES, GOLDEN, load, pictures, remark
from tests.support import compiled_kernel, each_byte, recover

pytestmark = pytest.mark.arm64

FILES = sorted(GOLDEN.glob("*.json"))
KERNELS = [
    "plain",
    pytest.param("compiled", marks=pytest.mark.skipif(
        compiled_kernel() is None, reason="the compiled kernel is not built")),
]
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def test_the_frozen_files_are_all_there() -> None:
    assert {path.stem for path in FILES} >= set(pictures())
    assert sum(path.stat().st_size for path in FILES) < 200_000


@each_file
def test_hashes(path: Path) -> None:
    case = load(path)
    for name in BYTES:
        assert hashlib.sha256(case[name]).hexdigest() == case[name + "_sha256"]


@each_file
@pytest.mark.parametrize("kernel", KERNELS)
def test_marking_gives_the_frozen_bytes(path: Path, kernel: str) -> None:
    case = load(path)
    assert hashlib.sha256(remark(case, kernel)).hexdigest() == case["marked_sha256"]


@each_file
@pytest.mark.parametrize("kernel", KERNELS)
def test_frozen_file_recovers(path: Path, kernel: str) -> None:
    case = load(path)
    back = recover(case["marked"], case["profile"], kernel=kernel)
    assert hashlib.sha256(back.original).hexdigest() == case["original_sha256"]
    assert back.private == case["private"]
    assert back.record.startswith(case["header"])
    assert back.remarked(Limits(**case["limits"]), kernel) == case["marked"]


@each_file
def test_frozen_file_recovers_byte_by_byte(path: Path) -> None:
    case = load(path)
    limits = Limits(**case["limits"])
    back = recover(case["marked"], case["profile"], limits=limits, chunks=each_byte(case["marked"]))
    assert (back.original, back.private) == (case["original"], case["private"])


@each_file
def test_frozen_header_is_version_one(path: Path) -> None:
    header = load(path)["header"]
    assert header[:2] == b"\x0c\xc1"
    assert len(header) == crypto.FIXED_HEADER_SIZE + crypto.STANZA_SIZE
