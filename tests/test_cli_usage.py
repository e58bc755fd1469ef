"""Command lines: help, versions, wrong use, what is printed for machines."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from occulta import __version__
from tests.cli import PROFILES, SECRET, Outcome, Place, assert_error, call, run

COMMANDS = [
    ("onboard", "keygen"), ("onboard", "protect"), ("onboard", "capacity"),
    ("ground", "keygen"), ("ground", "recover"),
]
PROTECTED = {
    "output", "scheme", "profile", "private_bytes", "original_bytes", "marked_bytes",
    "recipients", "signed",
}
REPORTED = {
    "scheme", "profile", "intact", "authentic", "altered", "signed", "product_id", "verdict",
    "private_bytes", "private_sha256", "carrier_bytes", "carrier_sha256",
}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize("program", ["onboard", "ground"])
def test_version(program: str) -> None:
    for done in (call(program, "--version"), run(program, "--version")):
        assert (done.status, done.err) == (0, "")
        assert done.out.decode() == f"occulta-{program} {__version__}\n"


@pytest.mark.parametrize("program", ["onboard", "ground"])
def test_help_names_every_command(program: str) -> None:
    done = run(program, "--help")
    assert (done.status, done.err) == (0, "")
    for owner, command in COMMANDS:
        assert (command in done.out.decode()) or owner != program


@pytest.mark.parametrize(("program", "command"), COMMANDS)
def test_help_of_a_command(program: str, command: str) -> None:
    done = call(program, command, "--help")
    assert (done.status, done.err) == (0, "")
    assert f"usage: occulta-{program} {command}" in done.out.decode()


def test_help_gives_the_forms_of_the_readme() -> None:
    said = call("onboard", "protect", "--help").out.decode()
    for word in ("--private", "--to", "--sign", "-o", "--scheme", "--profile", "--json"):
        assert word in said
    said = call("ground", "recover", "--help").out.decode()
    for word in ("--key", "--satellite", "--scheme", "-o", "--json"):
        assert word in said


WRONG = {
    "nothing": [],
    "unknown command": ["reveal"],
    "unknown option": ["keygen", "there", "--fast"],
    "no folder": ["keygen"],
    "a word too many": ["keygen", "here", "there"],
    "option without value": ["recover", "m.jpg", "-o"],
    "no key": ["recover", "m.jpg", "-o", "there"],
    "no output": ["recover", "m.jpg", "--key", "recipient.key"],
    "unknown scheme": ["recover", "m.jpg", "--key", "k", "-o", "there", "--scheme", "none"],
    "no private": ["protect", "m.jpg", "--to", "r.pub", "-o", "there"],
    "no recipient": ["protect", "m.jpg", "--private", "p", "-o", "there"],
    "no marked": ["protect", "m.jpg", "--private", "p", "--to", "r.pub"],
    "no picture": ["protect", "--private", "p", "--to", "r.pub", "-o", "there"],
    "unknown profile": ["capacity", "m.jpg", "--profile", "fast"],
    "no picture to measure": ["capacity"],
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_use(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for program in ("onboard", "ground"):
        assert_error(call(program, *WRONG[case]), 200)
    assert list(tmp_path.iterdir()) == []


def test_wrong_use_of_a_real_process(tmp_path: Path) -> None:
    assert_error(run("onboard", "protect", cwd=tmp_path), 200, "--to")
    assert_error(run("ground", cwd=tmp_path), 200)


@pytest.mark.parametrize("name", ["two\nlines.jpg", "carriage\rreturn.jpg", "colour\x1b[31m.jpg"])
def test_names_with_control_characters_stay_on_one_line(name: str, place: Place) -> None:
    found = call("onboard", "capacity", place.root / name)
    assert_error(found, 329)
    assert found.err.count("\n") == 2
    assert not set("\r\x1b") & set(found.err)
    assert_error(place.protect(output=place.root / "none" / name), 600)
    assert_error(call("onboard", "capacity", place.image, "--wrong", name), 200)


@pytest.mark.parametrize("profile", PROFILES)
def test_protect_and_recover_for_machines(profile: str, place: Place) -> None:
    done = place.protect("--json", "--profile", profile)
    assert (done.status, done.err) == (0, "")
    assert set(done.json) == PROTECTED
    assert done.json["output"] == str(place.marked)
    assert done.json["original_bytes"] == place.image.stat().st_size
    assert done.json["marked_bytes"] == place.marked.stat().st_size
    assert (done.json["private_bytes"], done.json["recipients"]) == (len(SECRET), 1)
    assert (done.json["signed"], done.json["profile"]) == (False, profile)
    verdict = place.recover("--json")
    assert (verdict.status, verdict.err) == (0, "")
    assert verdict.json == place.report()
    assert_report(verdict.json, place, profile)


def assert_report(report: dict[str, object], place: Place, profile: str) -> None:
    assert set(report) == REPORTED
    assert (report["scheme"], report["profile"]) == ("reversible", profile)
    assert (report["intact"], report["authentic"], report["altered"]) == (True, False, False)
    assert report["private_bytes"] == len(SECRET)
    assert report["private_sha256"] == hashlib.sha256(SECRET).hexdigest()
    assert report["carrier_sha256"] == hashlib.sha256(place.image.read_bytes()).hexdigest()
    assert report["carrier_bytes"] == place.image.stat().st_size


def test_a_signed_report(place: Place) -> None:
    signed = place.protect("--json", "--sign", place.key("satellite.key"))
    assert signed.json["signed"] is True
    said = place.recover("--json", "--satellite", place.key("satellite.pub")).json
    assert (said["intact"], said["authentic"], said["signed"]) == (True, True, True)


@pytest.mark.parametrize("profile", PROFILES)
def test_capacity_for_machines(profile: str, place: Place) -> None:
    done = call("onboard", "capacity", place.image, "--json", "--profile", profile)
    assert set(done.json) == {"scheme", "profile", "private_bytes", "hidden_bits", "fits"}
    assert 0 < 8 * done.json["private_bytes"] < done.json["hidden_bits"]
    plain = call("onboard", "capacity", place.image, "--profile", profile).out.decode()
    assert plain.startswith(f"{done.json['private_bytes']} private bytes")


def assert_json_error(found: Outcome, number: int) -> None:
    """The same two lines, and the same in JSON on standard output."""
    said = json.loads(found.out)
    assert set(said) == {"error", "detail", "hint"}
    assert said["error"] == number
    assert_error(Outcome(found.status, b"", found.err), number, said["detail"])


def test_errors_for_machines(place: Place) -> None:
    missing = place.root / "missing.jpg"
    assert_json_error(call("onboard", "capacity", missing, "--json"), 329)
    assert_json_error(place.protect("--json", image=missing), 329)
    assert_json_error(place.recover("--json", marked=missing), 329)
    assert_json_error(call("onboard", "capacity", "--json"), 200)
    assert_json_error(place.protect("--json", output="-"), 200)


def test_a_failed_recovery_for_machines(place: Place) -> None:
    assert place.protect(to="other.pub").status == 0
    assert_json_error(place.recover("--json"), 500)
    place.assert_report_only(500)
    report = place.report()
    assert set(report) == REPORTED | {"error"}
    assert set(report["error"]) == {"number", "detail", "hint"}
