"""Reasons: numbers that never collide, each with a hint and an exit code.

Proves that the list of refusals is complete and that the numbers already given out stay.
"""

from __future__ import annotations

import dataclasses
import pickle

import pytest

from occulta.errors import ExitCode, OccultaError, Reason
from occulta.limits import DEFAULT_LIMITS

STABLE = {
    "EMPTY_INPUT": 300, "NOT_JPEG": 301, "TRUNCATED": 302, "ARITHMETIC": 312, "LOSSLESS": 313,
    "HIERARCHICAL": 314, "PROGRESSIVE": 315, "ALREADY_MARKED": 320, "NOTHING_HIDDEN": 327,
    "DOES_NOT_FIT": 400, "NO_CARRIERS": 401, "NO_CARRIERS_AT_END": 402, "WRONG_KEY": 500,
    "SEAL_BROKEN": 501, "DIGEST_MISMATCH": 502, "SIGNATURE_BROKEN": 503, "OUTPUT_UNWRITABLE": 600,
    "DISK_FULL": 601, "KERNEL_MISSING": 602,
}
"""A few that others rely on: numbers are never given to something else."""


def test_numbers_are_unique() -> None:
    assert len(Reason) == len(Reason.__members__) == len({int(reason) for reason in Reason})


@pytest.mark.parametrize("name", STABLE)
def test_numbers_stay(name: str) -> None:
    assert Reason[name] == STABLE[name]


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_an_exit_code(reason: Reason) -> None:
    assert reason.exit_code in set(ExitCode) - {ExitCode.DONE}
    assert reason.exit_code == reason.value // 100


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_hint_of_one_line(reason: Reason) -> None:
    error = OccultaError(reason, "what is wrong")
    assert error.hint and "\n" not in error.hint
    assert not error.hint.endswith(".")
    assert str(error) == f"error {reason.value}: what is wrong"


@pytest.mark.parametrize(("reason", "words"), [
    (Reason.SEAL_BROKEN, ["parameters.occ", "fetch it again"]),
    (Reason.SHARE_VERSION, ["fetch it again", "later release"]),
    (Reason.NOT_A_SHARE, ["share-*.occ", "received.occ", "folders"]),
    (Reason.OUTPUT_UNWRITABLE, ["folder", "permissions", "address", "listens"]),
    (Reason.WRONG_KEY, ["give that recipient's key"]),
])
def test_hints_cover_all_that_their_reason_is_given_for(reason: Reason, words: list[str]) -> None:
    assert all(word in OccultaError(reason, "what is wrong").hint for word in words)


def test_an_error_crosses_processes_whole() -> None:
    error = OccultaError(Reason.DOES_NOT_FIT, "too large", "7 bytes fit")
    there = pickle.loads(pickle.dumps(error))
    assert (there.reason, there.detail, there.hint) == (error.reason, "too large", "7 bytes fit")
    assert str(there) == "error 400: too large"


def test_a_hint_can_be_given() -> None:
    assert OccultaError(Reason.DOES_NOT_FIT, "too large", "7 bytes fit").hint == "7 bytes fit"


def test_exit_codes() -> None:
    assert {code.name: code.value for code in ExitCode} == {
        "DONE": 0, "USAGE": 2, "REFUSED": 3, "DOES_NOT_FIT": 4, "NOT_VERIFIED": 5, "MACHINE": 6,
    }


def test_limits_are_fixed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        DEFAULT_LIMITS.max_scans = 1  # type: ignore[misc]
    assert DEFAULT_LIMITS.hold_back >= 1 << 20
