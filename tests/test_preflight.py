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


def test_what_a_wrong_answer_says_comes_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    ends(monkeypatch, lambda: {}["\udc80" * 70_000])
    said = refusal()
    assert said.startswith("wrong answers: cells: KeyError: ") and len(said) > 70_000


def test_a_parent_that_may_not_know_how_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        preflight.require()
        ends(monkeypatch, lambda: os._exit(0))
        assert refusal() == "ended without an answer"
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_no_room_for_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def fork() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    before = os.listdir("/proc/self/fd")
    monkeypatch.setattr(os, "fork", fork)
    assert refusal().startswith("cannot be started: BlockingIOError")
    assert os.listdir("/proc/self/fd") == before
