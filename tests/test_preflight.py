"""The known answers before a flight, in a process of their own: however that ends, it is told."""

from __future__ import annotations

import faulthandler
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import onboard
from occulta.errors import OccultaError, Reason
from onboard import preflight, selftest

pytestmark = pytest.mark.arm64

HOME = Path(onboard.__file__).parents[1]

APART = """
import sys
from onboard import preflight
preflight.require()
print(*sorted({'onboard.selftest', 'onboard.known_robust', 'occulta.codec.fec'} & set(sys.modules)))
"""


def refusal() -> str:
    with pytest.raises(OccultaError) as caught:
        preflight.require()
    assert caught.value.reason is Reason.SELFTEST_FAILED
    return caught.value.detail


def ends(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    monkeypatch.setitem(selftest.CASES, "cells", lambda vectors: act())


def test_nothing_of_it_stays() -> None:
    done = subprocess.run(
        [sys.executable, "-c", APART], cwd=HOME, capture_output=True, text=True, check=True
    )
    assert done.stdout == "\n" and done.stderr == ""


def test_a_kernel_that_the_processor_cannot_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def illegal() -> None:
        faulthandler.disable()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.kill(os.getpid(), signal.SIGILL)

    ends(monkeypatch, illegal)
    assert refusal().startswith(f"killed by signal {signal.SIGILL.value} (")


def test_an_end_without_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    ends(monkeypatch, lambda: os._exit(0))
    assert refusal() == "ended without an answer"


def raises(error: BaseException) -> None:
    raise error


def test_what_a_wrong_answer_says_comes_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    ends(monkeypatch, lambda: raises(ValueError("\udc80" * 70_000)))
    assert refusal() == "wrong answers: cells: ValueError: " + "\\udc80" * 70_000


@pytest.mark.parametrize("error", [SystemExit(0), KeyboardInterrupt(), GeneratorExit()], ids=repr)
def test_what_no_case_may_raise(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    ends(monkeypatch, lambda: raises(error))
    assert refusal() == f"cannot be computed: {error!r}"


def test_an_answer_that_only_begins_well(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = OccultaError(Reason.SELFTEST_FAILED, "right, but for one")
    monkeypatch.setattr(selftest, "require", lambda: raises(wrong))
    assert refusal() == wrong.detail


def test_a_parent_that_may_not_know_how_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        preflight.require()
        ends(monkeypatch, lambda: os._exit(0))
        assert refusal() == "ended without an answer"
    finally:
        signal.signal(signal.SIGCHLD, before)


@pytest.mark.parametrize("call", ["fork", "pipe"])
def test_no_room_for_another_process(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.listdir("/proc/self/fd")
    error = BlockingIOError(11, "Resource temporarily unavailable")
    monkeypatch.setattr(os, call, lambda: raises(error))
    assert refusal() == f"cannot be started: {error!r}"
    assert os.listdir("/proc/self/fd") == before
