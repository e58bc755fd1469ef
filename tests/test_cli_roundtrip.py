"""`protect` and `recover`: the private file and the original come back, with the right verdict."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests import jpegs
from tests.cli import PROFILES, SECRET, Place, assert_error, environment, names, run, scene
from tests.support import private_bytes

profiles = pytest.mark.parametrize("profile", PROFILES)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@profiles
def test_round_trip_with_real_processes(profile: str, place: Place) -> None:
    extra = ["--profile", profile, "--scheme", "reversible", "--sign", place.key("satellite.key")]
    done = run("onboard", *place.to_protect(*extra))
    assert (done.status, done.err) == (0, "")
    assert names(place.work) == ["marked.jpg"]
    done = run("ground", *place.to_recover("--satellite", place.key("satellite.pub")))
    assert (done.status, done.err) == (0, "")
    assert done.out.decode() == f"intact, authentic: {len(SECRET)} private bytes, {profile}\n"
    place.assert_recovered()


@profiles
def test_anyone_can_view_the_marked_picture(profile: str, place: Place) -> None:
    assert place.protect("--profile", profile).status == 0
    marked, original = place.marked.read_bytes(), place.image.read_bytes()
    assert marked != original
    same = jpegs.pixels(marked) == jpegs.pixels(original)
    assert same == (profile == "exact")
    assert jpegs.segments_and_trailer(marked) == jpegs.segments_and_trailer(original)


def test_the_default_profile_is_exact(place: Place) -> None:
    assert place.protect().status == 0
    assert place.recover("--scheme", "reversible").status == 0
    assert place.report()["profile"] == "exact"


@profiles
def test_not_signed(profile: str, place: Place) -> None:
    done = place.protect("--profile", profile)
    assert "not signed" in done.out.decode()
    verdict = place.recover()
    assert (verdict.status, verdict.err) == (0, "")
    assert verdict.out.decode() == f"intact, unsigned: {len(SECRET)} private bytes, {profile}\n"
    place.assert_recovered()
    report = place.report()
    assert (report["intact"], report["authentic"], report["signed"]) == (True, False, False)


@profiles
def test_signed_but_not_asked(profile: str, place: Place) -> None:
    assert place.protect("--profile", profile, "--sign", place.key("satellite.key")).status == 0
    verdict = place.recover()
    assert verdict.status == 0
    assert "authentic" not in verdict.out.decode()
    assert "signature not checked" in verdict.out.decode()
    place.assert_recovered()
    report = place.report()
    assert (report["intact"], report["authentic"], report["signed"]) == (True, False, True)


@profiles
@pytest.mark.parametrize("signer", [None, "foreign.key"])
def test_missing_or_foreign_signature(profile: str, signer: str | None, place: Place) -> None:
    sign = ["--sign", place.key(signer)] if signer else []
    assert place.protect("--profile", profile, *sign).status == 0
    found = place.recover("--satellite", place.key("satellite.pub"))
    assert_error(found, 503, "signature")
    place.assert_report_only(503)
    report = place.report()
    assert report["signed"] == bool(signer)
    assert (report["intact"], report["authentic"]) == (True, False)  # the bytes, and whose they are
    assert report["verdict"].startswith("not verified: the signature is ")


@profiles
def test_each_of_several_recipients_recovers(profile: str, tmp_path: Path) -> None:
    place = Place(tmp_path, scene(75))
    extra = ["--to", place.key("other.pub"), "--sign", place.key("satellite.key")]
    assert place.protect("--profile", profile, *extra).status == 0
    for name in ("recipient", "other"):
        folder = tmp_path / f"for-{name}"
        check = ["--satellite", place.key("satellite.pub")]
        verdict = place.recover(*check, key=f"{name}.key", output=folder)
        assert verdict.out.startswith(b"intact, authentic: ")
        place.assert_recovered(folder)


def test_the_most_recipients_and_one_more(place: Place) -> None:
    more = ["--to", place.key("other.pub")] * 63
    assert_error(place.protect(*more, "--to", place.key("other.pub")), 200, "64")
    place.assert_nothing_marked()
    assert place.protect(*more).status == 0
    assert place.recover(key="other.key").status == 0
    place.assert_recovered()


@profiles
def test_wrong_key(profile: str, place: Place) -> None:
    assert place.protect("--profile", profile, to="other.pub").status == 0
    assert_error(place.recover(), 500, "key")
    place.assert_report_only(500)


@profiles
def test_zero_byte_private_file(profile: str, tmp_path: Path) -> None:
    place = Place(tmp_path, private=b"")
    assert place.protect("--profile", profile).status == 0
    verdict = place.recover()
    assert verdict.out.decode() == f"intact, unsigned: 0 private bytes, {profile}\n"
    place.assert_recovered()
    assert place.report()["private_bytes"] == 0


def test_private_data_of_several_chunks(tmp_path: Path) -> None:
    place = Place(tmp_path, scene(95), private_bytes(2 * 16384))
    assert place.protect().status == 0
    assert place.recover().status == 0
    place.assert_recovered()


def test_private_data_is_for_its_owner_alone(place: Place) -> None:
    assert place.protect().status == 0
    assert place.recover().status == 0
    assert stat.S_IMODE((place.folder / "private.bin").stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", ["progressive", "trailer", "thumbnail", "odd_padding", "mjpeg"])
def test_other_kinds_of_picture(kind: str, tmp_path: Path) -> None:
    place = Place(tmp_path, jpegs.sample(kind, 7, 256, 256))
    assert place.protect().status == 0
    assert place.recover().status == 0
    place.assert_recovered()


def test_marking_twice_is_refused_or_comes_back(place: Place) -> None:
    assert place.protect().status == 0
    found = place.protect(image=place.marked, output=place.work / "twice.jpg")
    assert_error(found, 320)
    assert names(place.work) == ["marked.jpg"]


def test_two_runs_never_give_the_same_file(place: Place) -> None:
    outputs = [place.work / "one.jpg", place.work / "two.jpg"]
    for output in outputs:
        assert place.protect(output=output).status == 0
    assert outputs[0].read_bytes() != outputs[1].read_bytes()


def test_inputs_stay_as_they_are(place: Place) -> None:
    before = place.image.read_bytes(), place.private.read_bytes()
    assert place.protect().status == 0
    marked = place.marked.read_bytes()
    assert place.recover().status == 0
    assert before == (place.image.read_bytes(), place.private.read_bytes())
    assert marked == place.marked.read_bytes()


def test_recovery_into_a_folder_with_other_files(place: Place) -> None:
    place.folder.mkdir()
    (place.folder / "mine").write_text("mine")
    assert place.protect().status == 0
    assert place.recover().status == 0
    assert names(place.folder) == sorted(["mine", "carrier.jpg", "private.bin", "report.json"])


def test_relative_names_and_names_like_options(place: Place) -> None:
    (place.root / "-x.jpg").write_bytes(place.image.read_bytes())
    words = ["protect", "--private", "secret.bin", "--to", "keys/recipient.pub", "-o", "m.jpg"]
    assert run("onboard", *words, "--", "-x.jpg", cwd=place.root).status == 0
    words = ["recover", "m.jpg", "--key", "keys/recipient.key", "-o", "recovered"]
    assert run("ground", *words, cwd=place.root).status == 0
    place.assert_recovered()


def test_names_that_are_not_text(place: Place) -> None:
    output = place.work / os.fsdecode(b"m\xff.jpg")
    strict = {**environment(), "PYTHONIOENCODING": "utf-8:strict"}  # as in most locales
    done = run("onboard", *place.to_protect(output=output), env=strict)
    assert (done.status, done.err) == (0, "")
    done = run("ground", *place.to_recover(marked=output), env=strict)
    assert (done.status, done.err) == (0, "")
    place.assert_recovered()
