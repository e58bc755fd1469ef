"""`capacity` tells the truth: that many private bytes fit, one more does not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import jpegs
from tests.cli import PROFILES, Outcome, Place, assert_error, assert_some_error, call, run, scene
from tests.support import private_bytes

profiles = pytest.mark.parametrize("profile", PROFILES)
PICTURES = {
    "colour": lambda: scene(90),
    "coarse": lambda: scene(50),
    "gray": lambda: jpegs.sample("gray", 7, 256, 256),
    "optimised": lambda: jpegs.sample("optimised", 7, 256, 256),
    "odd_size": lambda: jpegs.sample("odd_size", 7, 256, 256),
    "restart_rows": lambda: jpegs.sample("restart_rows", 7, 256, 256),
    "odd_padding": lambda: jpegs.sample("odd_padding", 7, 128, 128),
    "trailer": lambda: jpegs.sample("trailer", 7, 256, 256),
    "progressive": lambda: jpegs.sample("progressive", 7, 256, 256),
}


def capacity_of(place: Place, profile: str) -> int:
    done = call("onboard", "capacity", place.image, "--profile", profile, "--json")
    assert (done.status, done.err) == (0, "")
    return int(done.json["private_bytes"])


def protect(place: Place, profile: str, size: int, *extra: str) -> Outcome:
    """Protect that many bytes, signed."""
    place.private.write_bytes(private_bytes(size))
    place.marked.unlink(missing_ok=True)
    return place.protect("--profile", profile, "--sign", place.key("satellite.key"), *extra)


def named(found: Outcome) -> int:
    """The number of bytes that an error says would fit."""
    told = re.search(r"this picture carries (\d+) bytes", found.err)
    assert told, found
    return int(told[1])


@pytest.mark.parametrize("kind", PICTURES)
@profiles
def test_as_many_bytes_as_capacity_says(profile: str, kind: str, tmp_path: Path) -> None:
    if profile == "paper" and kind in ("progressive", "odd_padding"):
        pytest.skip("not for `paper`: progressive, or too much to note for so small a picture")
    place = Place(tmp_path, PICTURES[kind]())
    fits = capacity_of(place, profile)
    assert fits > 0
    too_many = protect(place, profile, fits + 1)
    assert_error(too_many, 400, f"of {fits + 1} bytes does not fit")
    assert named(too_many) == fits
    place.assert_nothing_marked()
    assert protect(place, profile, fits).status == 0
    assert place.recover("--satellite", place.key("satellite.pub")).status == 0
    place.assert_recovered()


@profiles
def test_every_size_up_to_capacity_fits(profile: str, tmp_path: Path) -> None:
    place = Place(tmp_path, scene(75))
    fits = capacity_of(place, profile)
    for size in (0, 1, fits // 3, fits // 2, fits - 2, fits - 1):
        assert protect(place, profile, size).status == 0, size


@profiles
def test_what_fits_for_several_recipients(profile: str, tmp_path: Path) -> None:
    place = Place(tmp_path, scene(50))
    to = ["--to", place.key("other.pub")]
    fits = named(protect(place, profile, 30_000, *to))
    assert 0 < fits < capacity_of(place, profile)
    assert_error(protect(place, profile, fits + 1, *to), 400)
    assert protect(place, profile, fits, *to).status == 0


@profiles
def test_unsigned_carries_no_less(profile: str, tmp_path: Path) -> None:
    place = Place(tmp_path, scene(75))
    place.private.write_bytes(private_bytes(capacity_of(place, profile)))
    assert place.protect("--profile", profile).status == 0


@profiles
def test_what_fits_unsigned_is_what_the_error_says(profile: str, tmp_path: Path) -> None:
    place = Place(tmp_path, scene(75), private_bytes(30_000))
    found = place.protect("--profile", profile)
    assert_error(found, 400)
    place.private.write_bytes(private_bytes(named(found)))
    assert place.protect("--profile", profile).status == 0


@profiles
def test_a_picture_too_small_for_anything(profile: str, tmp_path: Path) -> None:
    place = Place(tmp_path, jpegs.encode(1, 16, 16), b"")
    assert capacity_of(place, profile) == 0
    found = place.protect("--profile", profile)
    assert found.status == 4
    assert_some_error(found)
    place.assert_nothing_marked()


def test_capacity_of_a_pipe(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with place.image.open("rb") as picture:
        done = run("onboard", "capacity", "-", "--json", stdin=picture)
    piped = run("onboard", "capacity", "-", "--json", input=place.image.read_bytes())
    assert done.json == piped.json
    assert done.json["private_bytes"] == capacity_of(place, "exact")
