"""Stopped in the middle, or overtaken by another writer: no named output, nobody's file touched.

The commands read from a pipe that is left open. More is written to it than a command reads at a
time: once all is gone, the command is at work, its output open, and waits for the rest.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import termios
from pathlib import Path
from typing import Any

import pytest

from tests.cli import (
    RECOVERED,
    SECRET,
    Outcome,
    Place,
    assert_error,
    assert_some_error,
    long_scene,
    names,
    start,
)

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
BEGINNING = 400_000
signals = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, long_scene())


def as_usual() -> None:
    """Signals as a shell in the foreground hands them on."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def begin(program: str, arguments: list[Any], data: bytes) -> subprocess.Popen[bytes]:
    """A command that has read the beginning of its input and waits for more."""
    process = start(program, *arguments, preexec_fn=as_usual)
    assert process.stdin is not None
    process.stdin.write(data[:BEGINNING])
    process.stdin.flush()
    while not is_waiting(process):
        os.sched_yield()
    return process


def is_waiting(process: subprocess.Popen[bytes]) -> bool:
    """Nothing is left in the pipe, and the process sleeps: it reads. (Or it has ended.)"""
    assert process.stdin is not None
    left = fcntl.ioctl(process.stdin, termios.FIONREAD, bytes(4))
    state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
    return (left == bytes(4) and state == "S") or state == "Z"


def stop(process: subprocess.Popen[bytes], number: int) -> Outcome:
    process.send_signal(number)
    status = process.wait(60)
    out, err = process.communicate()
    return Outcome(status, out, err.decode())


def go_on(process: subprocess.Popen[bytes], data: bytes) -> Outcome:
    out, err = process.communicate(data[BEGINNING:], timeout=60)
    return Outcome(process.returncode, out, err.decode())


def assert_stopped(found: Outcome, number: int) -> None:
    """As a shell reports it, or by the signal itself; no traceback."""
    assert found.status in {-number, 128 + number}, found
    assert "Traceback" not in found.err
    assert found.out == b""


@signals
def test_protect_is_stopped(number: int, place: Place) -> None:
    process = begin("onboard", place.to_protect(image="-"), long_scene())
    assert len(names(place.work)) == 1
    assert not place.marked.exists()
    assert_stopped(stop(process, number), number)
    assert not place.marked.exists()
    place.assert_nothing_marked()


@signals
def test_recover_is_stopped(number: int, place: Place) -> None:
    assert place.protect().status == 0
    process = begin("ground", place.to_recover(marked="-"), place.marked.read_bytes())
    assert_stopped(stop(process, number), number)
    assert not set(names(place.folder)) & set(RECOVERED)
    assert names(place.folder) == []


@signals
def test_stopped_while_private_data_comes(number: int, place: Place) -> None:
    process = begin("onboard", place.to_protect(private="-"), bytes(BEGINNING))
    assert_stopped(stop(process, number), number)
    place.assert_nothing_marked()


def test_killed(place: Place) -> None:
    process = begin("onboard", place.to_protect(image="-"), long_scene())
    assert stop(process, signal.SIGKILL).status == -signal.SIGKILL
    assert not place.marked.exists()
    assert place.protect().status == 0
    assert place.recover().status == 0
    place.assert_recovered()


def test_standard_output_of_a_stopped_command_does_not_vouch(place: Place) -> None:
    process = begin("onboard", place.to_protect(image="-", output="-"), long_scene())
    assert stop(process, signal.SIGTERM).status != 0


def test_another_writer_of_the_marked_file(place: Place) -> None:
    process = begin("onboard", place.to_protect(image="-"), long_scene())
    place.marked.write_text("mine")
    assert_error(go_on(process, long_scene()), 205)
    assert names(place.work) == ["marked.jpg"]
    assert place.marked.read_text() == "mine"


@pytest.mark.parametrize("name", ["carrier.jpg", "private.bin"])
def test_another_writer_of_a_recovered_file(name: str, place: Place) -> None:
    assert place.protect().status == 0
    marked = place.marked.read_bytes()
    process = begin("ground", place.to_recover(marked="-"), marked)
    (place.folder / name).write_text("mine")
    assert_error(go_on(process, marked), 205, name)
    assert (place.folder / name).read_text() == "mine"
    assert set(names(place.folder)) <= {name, "report.json"}


def test_the_folder_vanishes(place: Place) -> None:
    process = begin("onboard", place.to_protect(image="-"), long_scene())
    for name in names(place.work):
        (place.work / name).unlink()
    place.work.rmdir()
    assert_error(go_on(process, long_scene()), 600)


def test_the_private_file_is_cut_meanwhile(place: Place) -> None:
    process = begin("onboard", place.to_protect(image="-"), long_scene())
    place.private.write_bytes(SECRET[:10])
    assert_some_error(go_on(process, long_scene()))
    place.assert_nothing_marked()


def test_nothing_changes_for_a_slow_writer(place: Place) -> None:
    process = begin("onboard", place.to_protect(image="-"), long_scene())
    done = go_on(process, long_scene())
    assert (done.status, done.err) == (0, "")
    assert place.recover().status == 0
    place.assert_recovered()
