"""Every input that ever broke a rule of the library, replayed."""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz import CRASHES, compare_kernels, examine
from tests.support import compiled_kernel

FILES = sorted(CRASHES.glob("*.bin"))
HANG_SECONDS = 300


@pytest.fixture(autouse=True)
def _watchdog() -> Iterator[None]:
    """An input that once hung must not hang the tests: end them, saying where."""
    faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_past_crash_is_handled(path: Path) -> None:
    """Refused, or an exact round trip, whole and in pieces."""
    data = path.read_bytes()
    examine(data, [len(data) // 3, len(data) // 2])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_both_kernels_agree_on_a_past_crash(path: Path) -> None:
    """The compiled kernel and the plain one give the same bytes or the same reason."""
    if compiled_kernel() is None:
        pytest.skip("the compiled kernel is not built")
    compare_kernels(path.read_bytes(), [])
