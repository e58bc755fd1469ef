"""What a recovery says of the origin of a frame: whole, restored, damaged, forged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli import Outcome, assert_error, names
from tests.holders import DAMAGED, Holders, assert_restored
from tests.shares_support import frame

PADDING = -200
"""Where share b holds nothing but padding."""


@pytest.fixture
def place(tmp_path: Path) -> Holders:
    return Holders(tmp_path, frame())


def split(place: Holders, *extra: str, sign: str | None = "satellite.key") -> None:
    signing = [] if sign is None else ["--sign", place.key(sign)]
    assert place.split(*signing, *extra).status == 0


def join(place: Holders, letters: str = "ab", known: bool = True) -> Outcome:
    extra = ("--satellite", place.key("satellite.pub")) if known else ()
    return place.join(*map(place.share, letters), extra=extra)


def cut_conclusion(place: Holders) -> None:
    """Without its last segment, which is 1 KiB."""
    path = place.share("b")
    path.write_bytes(path.read_bytes()[:-1024])


def facts(place: Holders) -> tuple[Any, ...]:
    report = place.report()
    return report["intact"], report["authentic"], report["origin"], report["signed"]


@pytest.mark.parametrize("sign", [None, "foreign.key"])
@pytest.mark.parametrize("at", [45_000, PADDING])
def test_a_forged_set_leaves_no_picture(sign: str | None, at: int, place: Holders) -> None:
    """One flipped bit does not turn a forgery into a damaged frame."""
    split(place, sign=sign)
    place.spoil("b", at % place.share("b").stat().st_size)
    what = "missing" if sign is None else "not that of a satellite given"
    assert_error(join(place), 503, what)
    assert names(place.folder) == ["report.json"]
    assert facts(place) == (False, False, "not verified", sign is not None)
    assert place.report()["pictures"] == []
    assert place.report()["altered_shares"] == ["share b"]


def test_nor_do_pictures_of_an_earlier_run_stay(place: Holders) -> None:
    split(place, sign=None)
    place.spoil("b", 45_000)
    assert_error(join(place, known=False), 507)
    assert names(place.folder) == DAMAGED
    assert_error(join(place), 503, "missing")
    assert names(place.folder) == ["report.json"]


@pytest.mark.parametrize("sign", [None, "foreign.key"])
def test_nothing_is_called_intact_that_is_refused(sign: str | None, place: Holders) -> None:
    split(place, "--holders", "2/3", sign=sign)
    assert_error(join(place), 503)
    assert facts(place) == (False, False, "not verified", sign is not None)
    assert place.report()["verdict"].startswith("not verified: the signature is")
    assert place.report()["damage"]["digest_matches"]


def test_what_was_restored_is_what_was_signed(place: Holders) -> None:
    split(place)
    place.spoil("b", place.share("b").stat().st_size + PADDING)
    done = join(place)
    assert_error(done, 507, "the picture itself could be restored, as the satellite signed it")
    assert (place.folder / "carrier.partial.jpg").read_bytes() == frame()
    assert facts(place) == (False, True, "verified", True)


def test_nobody_looked(place: Holders) -> None:
    split(place)
    place.spoil("b", place.share("b").stat().st_size + PADDING)
    assert_error(join(place, known=False), 507, "the picture itself could be restored")
    assert facts(place) == (False, None, "not checked", True)


def test_a_damaged_picture_is_not_what_was_signed(place: Holders) -> None:
    split(place)
    place.spoil("b", 45_000)
    done = join(place)
    assert_error(done, 507, "cells of the picture are damaged")
    assert "origin" not in done.err
    assert facts(place) == (False, False, "verified", True)
    assert place.report()["carrier_sha256"] is None
    assert names(place.folder) == DAMAGED


@pytest.mark.parametrize("sign", [None, "satellite.key"])
def test_a_signature_that_is_lost(sign: str | None, place: Holders) -> None:
    split(place, sign=sign)
    cut_conclusion(place)
    assert_error(join(place), 507, "the end of the frame is lost; origin not verified: ")
    assert facts(place) == (False, False, "not verified", None)
    assert "origin not verified" in place.report()["verdict"]
    assert names(place.folder) == DAMAGED
    assert place.report()["damage"]["end_lost"]


def test_without_a_satellite_nothing_is_said_of_it(place: Holders) -> None:
    split(place)
    cut_conclusion(place)
    done = join(place, known=False)
    assert_error(done, 507, "the end of the frame is lost")
    assert "origin" not in done.err
    assert facts(place) == (False, None, "not checked", None)


@pytest.mark.parametrize("known", [False, True])
def test_an_intact_frame(known: bool, place: Holders) -> None:
    split(place, "--holders", "2/3")
    place.spoil("b", 45_000)
    verdict = "intact, authentic" if known else "intact, signature not checked"
    assert_restored(place, join(place, "abc", known), verdict, "made good: share b")
    origin = "verified" if known else "not checked"
    assert facts(place) == (True, True if known else None, origin, True)


def test_every_share_cut_at_the_same_place(place: Holders) -> None:
    """No share is altered against another: the end is lost all the same."""
    split(place, "--holders", "2/3")
    for letter in "abc":
        path = place.share(letter)
        path.write_bytes(path.read_bytes()[:-1024])
    assert_error(join(place, "abc"), 507, "the end of the frame is lost; origin not verified")
    assert "carrier.jpg" not in names(place.folder)
