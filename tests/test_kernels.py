"""The choice of the kernel: a demand is met or refused, never answered with another kernel.

Proves that asking for the compiled kernel where there is none is an error, that the plain one is
always to be had, and that the environment variable chooses as the argument does.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from occulta.codec.kernels import KERNEL_VARIABLE, is_compiled, load_kernel
from occulta.errors import ExitCode, OccultaError, Reason
from tests.jpegs import sample
from tests.support import KERNEL, PROFILES, compiled_kernel, mark

pytestmark = pytest.mark.arm64

NEVER_COMPILED = "occulta.codec.jpeg.markers"
"""Stands for a kernel that was not built: a module that is plain Python and stays it."""


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    """The choice is kept once made; these tests make it anew."""
    load_kernel.cache_clear()
    yield
    load_kernel.cache_clear()


def test_an_absent_compiled_kernel_is_an_error() -> None:
    with pytest.raises(OccultaError) as caught:
        load_kernel(NEVER_COMPILED, "compiled")
    assert caught.value.reason is Reason.KERNEL_MISSING
    assert caught.value.reason.exit_code is ExitCode.MACHINE
    assert "dev.py setup" in caught.value.hint


def test_the_variable_is_a_demand_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KERNEL_VARIABLE, "compiled")
    with pytest.raises(OccultaError) as caught:
        load_kernel(NEVER_COMPILED)
    assert caught.value.reason is Reason.KERNEL_MISSING


@pytest.mark.parametrize("profile", PROFILES)
def test_a_demand_reaches_the_marker(profile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("occulta.codec.jpeg.engine.KERNEL", NEVER_COMPILED)
    with pytest.raises(OccultaError) as caught:
        mark(sample("gray"), b"", profile, kernel="compiled")
    assert caught.value.reason is Reason.KERNEL_MISSING


def test_auto_takes_what_there_is() -> None:
    assert not is_compiled(load_kernel(NEVER_COMPILED, "auto"))
    assert is_compiled(load_kernel(KERNEL, "auto")) == (compiled_kernel() is not None)


def test_plain_is_never_the_compiled_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_compiled(load_kernel(KERNEL, "plain"))
    monkeypatch.setenv(KERNEL_VARIABLE, "plain")
    assert not is_compiled(load_kernel(KERNEL))


def test_the_argument_is_above_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KERNEL_VARIABLE, "compiled")
    assert not is_compiled(load_kernel(KERNEL, "plain"))


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KERNEL_VARIABLE, "")
    assert load_kernel(KERNEL) is load_kernel(KERNEL, "auto")


@pytest.mark.parametrize("choice", ["fast", "Plain", "cython"])
def test_an_unknown_choice_is_misuse(choice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="unknown kernel"):
        load_kernel(KERNEL, choice)
    monkeypatch.setenv(KERNEL_VARIABLE, choice)
    with pytest.raises(ValueError, match="unknown kernel"):
        load_kernel(KERNEL)


def test_a_kernel_that_does_not_exist() -> None:
    with pytest.raises(OccultaError) as caught:
        load_kernel("occulta.codec.jpeg.no_such_kernel", "plain")
    assert caught.value.reason is Reason.KERNEL_MISSING


def test_both_kernels_say_the_same_constants() -> None:
    compiled = compiled_kernel()
    if compiled is None:
        pytest.skip("the compiled kernel is not built")
    plain = load_kernel(KERNEL, "plain")
    names = [name for name in dir(plain) if name.isupper()]
    assert len(names) > 30
    assert {n: getattr(plain, n) for n in names} == {n: getattr(compiled, n) for n in names}
