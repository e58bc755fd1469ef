"""`-`: standard input and output, and what happens when they are full, closed or cut."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from tests.cli import (
    PROFILES,
    SECRET,
    Outcome,
    Place,
    assert_error,
    long_scene,
    names,
    run,
    scene,
    start,
)
from tests.support import private_bytes

profiles = pytest.mark.parametrize("profile", PROFILES)
full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, scene(75))


def piped(program: str, arguments: list[object], data: bytes) -> bytes:
    """Standard output of a command that must succeed and say nothing else."""
    done = run(program, *arguments, input=data)
    assert (done.status, done.err) == (0, "")
    return done.out


@profiles
def test_picture_from_a_pipe(profile: str, place: Place) -> None:
    words = place.to_protect("--profile", profile, image="-")
    assert piped("onboard", words, place.image.read_bytes())
    assert place.recover().status == 0
    place.assert_recovered()


@profiles
def test_private_data_from_a_pipe(profile: str, place: Place) -> None:
    words = place.to_protect("--profile", profile, private="-")
    assert piped("onboard", words, SECRET)
    assert place.recover().status == 0
    place.assert_recovered()


@profiles
def test_everything_through_pipes(profile: str, place: Place) -> None:
    words = place.to_protect("--profile", profile, image="-", output="-")
    marked = piped("onboard", words, place.image.read_bytes())
    place.assert_nothing_marked()
    verdict = piped("ground", place.to_recover(marked="-"), marked)
    assert verdict.decode() == f"intact, unsigned: {len(SECRET)} private bytes, {profile}\n"
    place.assert_recovered()


def test_a_pipeline(place: Place) -> None:
    """`protect ... -o - | recover - ...`."""
    first = start("onboard", *place.to_protect(output="-"), stdin=subprocess.DEVNULL)
    done = run("ground", *place.to_recover(marked="-"), stdin=first.stdout)
    assert (first.wait(), done.status) == (0, 0)
    place.assert_recovered()


def test_a_long_picture_through_pipes(tmp_path: Path) -> None:
    place = Place(tmp_path, long_scene())
    words = place.to_protect(image="-", output="-")
    marked = piped("onboard", words, long_scene())
    assert piped("ground", place.to_recover(marked="-"), marked)
    place.assert_recovered()


def test_named_pipes(place: Place) -> None:
    for name, source in (("picture", place.image), ("private", place.private)):
        os.mkfifo(place.root / name)
        feeder = (place.root / name).write_bytes
        threading.Thread(target=feeder, args=[source.read_bytes()], daemon=True).start()
    words = place.to_protect(image=place.root / "picture", private=place.root / "private")
    done = run("onboard", *words)
    assert (done.status, done.err) == (0, "")
    assert place.recover().status == 0
    place.assert_recovered()


def test_private_data_of_unknown_size_that_does_not_fit(place: Place) -> None:
    """A pipe longer than what is read ahead to learn its size."""
    words = place.to_protect(private="-")
    assert_error(run("onboard", *words, input=private_bytes(1_200_000)), 400, "carries")
    place.assert_nothing_marked()


@profiles
def test_too_much_from_a_pipe(profile: str, place: Place) -> None:
    place.private.write_bytes(private_bytes(30_000))
    words = place.to_protect("--profile", profile, image="-")
    assert_error(run("onboard", *words, input=place.image.read_bytes()), 400)
    place.assert_nothing_marked()


def test_an_empty_pipe(place: Place) -> None:
    assert_error(run("onboard", *place.to_protect(image="-")), 300)
    place.assert_nothing_marked()
    assert_error(run("ground", *place.to_recover(marked="-")), 300)
    place.assert_report_only(300)
    assert run("onboard", *place.to_protect(private="-")).status == 0


def test_both_from_standard_input(place: Place) -> None:
    found = run("onboard", *place.to_protect(image="-", private="-"), input=scene(75))
    assert_error(found, 200, "standard input")
    place.assert_nothing_marked()


def test_two_things_on_standard_output(place: Place) -> None:
    found = place.protect("--json", output="-")
    assert found.status == 2
    assert "standard output" in found.err


def test_errors_say_nothing_on_standard_output(place: Place) -> None:
    place.image.write_bytes(b"no picture")
    assert_error(run("onboard", *place.to_protect(output="-")), 301)


def assert_output_error(found: Outcome, number: int) -> None:
    """What was written before the error does not count."""
    assert_error(Outcome(found.status, b"", found.err), number)


@full
@profiles
def test_standard_output_is_full(profile: str, place: Place) -> None:
    with open("/dev/full", "wb") as sink:
        found = run("onboard", *place.to_protect("--profile", profile, output="-"), stdout=sink)
    assert_output_error(found, 601)


@full
def test_standard_output_is_full_in_the_middle(tmp_path: Path) -> None:
    place = Place(tmp_path, long_scene())
    with open("/dev/full", "wb") as sink:
        found = run("onboard", *place.to_protect(output="-"), stdout=sink)
    assert_output_error(found, 601)


@full
@pytest.mark.parametrize("extra", [[], ["--json"]])
def test_no_room_for_what_a_command_prints(extra: list[str], place: Place) -> None:
    with open("/dev/full", "wb") as sink:
        found = run("onboard", "capacity", place.image, *extra, stdout=sink)
    assert_output_error(found, 601)


def test_the_reader_is_gone(place: Place) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as sink:
        found = run("onboard", *place.to_protect(output="-"), stdout=sink)
    assert_output_error(found, 600)


def test_standard_input_is_closed(place: Place) -> None:
    closed = {"preexec_fn": lambda: os.close(0)}
    assert_error(run("onboard", *place.to_protect(image="-"), **closed), 329)
    assert_error(run("onboard", *place.to_protect(private="-"), **closed), 329)
    place.assert_nothing_marked()
    assert_error(run("ground", *place.to_recover(marked="-"), **closed), 329)
    assert not place.folder.exists()


def test_standard_output_is_closed(place: Place) -> None:
    closed = {"preexec_fn": lambda: os.close(1)}
    assert_error(run("onboard", *place.to_protect(output="-"), **closed), 600)


def test_a_pipe_leaves_no_spool_behind(place: Place) -> None:
    assert place.protect(to="other.pub").status == 0
    found = run("ground", *place.to_recover(marked="-"), input=place.marked.read_bytes())
    assert_error(found, 500)
    place.assert_report_only(500)
    shutil.rmtree(place.folder)
    found = run("ground", *place.to_recover(marked="-", key="missing.key"), input=b"")
    assert_error(found, 202)
    assert not place.folder.exists()
    assert names(place.work) == ["marked.jpg"]
