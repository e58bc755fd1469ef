"""Where output cannot go: it exists, cannot be written, the disk is full. Nothing stays behind."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import gettempdir

import pytest

from tests.cli import (
    PROFILES,
    RECOVERED,
    Outcome,
    Place,
    assert_error,
    command,
    long_scene,
    names,
    outcome_of,
    run,
    scene,
)

profiles = pytest.mark.parametrize("profile", PROFILES)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, scene(75))


def make_link(path: Path) -> None:
    path.symlink_to("nowhere")


def make_file(path: Path) -> None:
    path.write_text("mine")


def look(path: Path) -> object:
    """What would change if a path were written to."""
    if path.is_symlink():
        return os.readlink(path)
    return path.read_text() if path.is_file() else names(path)


THERE = {"file": make_file, "link": make_link, "folder": Path.mkdir}


@pytest.mark.parametrize("kind", THERE)
def test_marked_file_exists(kind: str, place: Place) -> None:
    THERE[kind](place.marked)
    before = look(place.marked)
    assert_error(place.protect(), 205, str(place.marked))
    assert names(place.work) == ["marked.jpg"]
    assert look(place.marked) == before


@pytest.mark.parametrize("name", ["carrier.jpg", "private.bin"])
@pytest.mark.parametrize("kind", THERE)
def test_recovered_file_exists(kind: str, name: str, place: Place) -> None:
    assert place.protect().status == 0
    place.folder.mkdir()
    THERE[kind](place.folder / name)
    before = look(place.folder / name)
    assert_error(place.recover(), 205, name)
    assert names(place.folder) == [name]
    assert look(place.folder / name) == before


def test_an_earlier_report_is_replaced(place: Place) -> None:
    assert place.protect().status == 0
    place.folder.mkdir()
    (place.folder / "report.json").write_text("of an earlier run")
    assert place.recover().status == 0
    assert names(place.folder) == sorted(RECOVERED)
    assert "intact" in (place.folder / "report.json").read_text()


def test_the_output_is_an_input(place: Place) -> None:
    before = place.image.read_bytes(), place.private.read_bytes()
    assert_error(place.protect(output=place.image), 205)
    assert_error(place.protect(output=place.private), 205)
    assert before == (place.image.read_bytes(), place.private.read_bytes())


def test_folders_that_are_missing_or_files(place: Place) -> None:
    for output in (place.root / "missing" / "m.jpg", place.image / "m.jpg"):
        assert_error(place.protect(output=output), 600, str(output))
    assert place.protect().status == 0
    for output in (place.image, place.image / "deep"):
        assert_error(place.recover(output=output), 600, str(output))
    assert place.image.read_bytes() == scene(75)


def test_names_too_long(place: Place) -> None:
    assert_error(place.protect(output=place.work / ("x" * 300)), 600)
    place.assert_nothing_marked()
    assert place.protect().status == 0
    assert_error(place.recover(output=place.root / ("x" * 300)), 600)


def test_users_files_with_names_like_ours_are_no_hindrance(place: Place) -> None:
    assert place.protect().status == 0
    place.folder.mkdir()
    for name in ("marked.spool", "sealed.spool", "patched.spool"):
        make_file(place.folder / name)
    found = run("ground", *place.to_recover(marked="-"), input=place.marked.read_bytes())
    assert (found.status, found.err) == (0, "")
    for name in ("marked.spool", "sealed.spool", "patched.spool"):
        assert look(place.folder / name) == "mine"
        (place.folder / name).unlink()
    place.assert_recovered()


def test_what_a_power_cut_left_is_no_hindrance(place: Place) -> None:
    """Process numbers come again after a start: so do the names of temporary files."""
    (place.work / f".marked.jpg.{os.getpid()}.partial").write_text("half of something")
    found = place.protect()
    assert (found.status, found.err) == (0, "")
    assert place.recover().status == 0
    place.assert_recovered()


def limit_to(size: int) -> Callable[[], None]:
    """No file may grow larger: EFBIG, as the signal is ignored."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@profiles
@pytest.mark.parametrize("size", [0, 1, 4096, 10_000])
def test_no_room_on_board(profile: str, size: int, place: Place) -> None:
    words = place.to_protect("--profile", profile)
    assert_error(run("onboard", *words, preexec_fn=limit_to(size)), 601, "marked.jpg")
    place.assert_nothing_marked()


@pytest.mark.parametrize("size", [0, 300_000])
def test_no_room_for_a_long_picture(size: int, tmp_path: Path) -> None:
    place = Place(tmp_path, long_scene())
    assert_error(run("onboard", *place.to_protect(), preexec_fn=limit_to(size)), 601)
    place.assert_nothing_marked()


@profiles
@pytest.mark.parametrize("size", [1000, 4096, 10_000])
def test_no_room_on_the_ground(profile: str, size: int, place: Place) -> None:
    assert place.protect("--profile", profile).status == 0
    assert_error(run("ground", *place.to_recover(), preexec_fn=limit_to(size)), 601)
    place.assert_report_only(601)


@pytest.mark.parametrize("size", [0, 10])
def test_no_room_even_for_the_report(size: int, place: Place) -> None:
    assert place.protect().status == 0
    assert_error(run("ground", *place.to_recover(), preexec_fn=limit_to(size)), 601)
    assert names(place.folder) == []


@pytest.mark.parametrize("program", ["onboard", "ground"])
def test_no_room_for_keys(program: str, tmp_path: Path) -> None:
    found = run(program, "keygen", tmp_path / "keys", preexec_fn=limit_to(10))
    assert_error(found, 601)
    assert names(tmp_path / "keys") == []


MOUNTED = """
mount -t tmpfs -o "$1" none "$2" || exit 99
disk="$2" listing="$3" ro="$4"; shift 4
if [ "$ro" ]; then mount -o remount,ro "$disk" || exit 99; fi
"$@"
status=$?
ls -A "$disk" > "$listing"
exit $status
"""


@cache
def unshare() -> list[str]:
    """A command that runs another where it may mount a disk of its own; skips without one."""
    for line in (["unshare", "-m"], ["unshare", "-rm"]):
        test = [*line, "sh", "-c", f"mount -t tmpfs -o size=4k none {gettempdir()}"]
        if shutil.which("unshare"):
            done = subprocess.run(test, check=False, capture_output=True)
            if done.returncode == 0:
                return line
    return []


def on_disk(options: str, place: Place, line: list[str], ro: str = "") -> tuple[Outcome, list[str]]:
    """Run with a small disk at `place.work`; what was said, and what was left on the disk."""
    if not unshare():
        pytest.skip("no disk may be mounted here")
    listing = place.root / "listing"
    shell = ["sh", "-c", MOUNTED, "sh", options, str(place.work), str(listing), ro]
    found = outcome_of([*unshare(), *shell, *line])
    assert found.status != 99, found
    return found, sorted(listing.read_text().split())


def assert_all_or_nothing(found: Outcome, left: list[str], wanted: list[str]) -> None:
    """Everything is there, or an error was told and nothing is but a report."""
    if found.status == 0:
        assert left == wanted
    else:
        assert_error(found, 601)
        assert left in ([], ["report.json"]), found


def test_protect_on_disks_of_every_size(tmp_path: Path) -> None:
    place = Place(tmp_path, scene(75))
    line = command("onboard", *place.to_protect())
    for pages in (1, 2, 3, 40):
        found, left = on_disk(f"size={pages * 4}k", place, line)
        assert_all_or_nothing(found, left, ["marked.jpg"])
    assert found.status == 0


@pytest.mark.parametrize("disk", [*(f"size={4 * n}k" for n in range(1, 9)), "size=1m"])
def test_recover_on_disks_of_every_size(disk: str, tmp_path: Path) -> None:
    place = Place(tmp_path, scene(75, 128))
    marked = tmp_path / "marked.jpg"
    assert place.protect(output=marked).status == 0
    line = command("ground", *place.to_recover(marked=marked, output=place.work))
    assert_all_or_nothing(*on_disk(disk, place, line), RECOVERED)


@pytest.mark.parametrize("inodes", range(2, 9))
def test_recover_with_few_inodes(inodes: int, tmp_path: Path) -> None:
    place = Place(tmp_path, scene(75, 128))
    marked = tmp_path / "marked.jpg"
    assert place.protect(output=marked).status == 0
    line = command("ground", *place.to_recover(marked=marked, output=place.work))
    assert_all_or_nothing(*on_disk(f"nr_inodes={inodes}", place, line), RECOVERED)


@pytest.mark.parametrize("disk", ["nr_inodes=2", "nr_inodes=3", "nr_inodes=9", "size=4k"])
def test_keygen_on_small_disks(disk: str, place: Place) -> None:
    line = command("ground", "keygen", place.work)
    wanted = ["recipient.key", "recipient.pub"]
    assert_all_or_nothing(*on_disk(disk, place, line), wanted)


def test_disks_that_may_only_be_read(place: Place) -> None:
    image = place.image.read_bytes()
    found, left = on_disk("size=1m", place, command("onboard", *place.to_protect()), "ro")
    assert_error(found, 600, "Read-only")
    assert left == []
    line = command("ground", *place.to_recover(marked=place.image, output=place.work / "new"))
    found, left = on_disk("size=1m", place, line, "ro")
    assert_error(found, 600, "Read-only")
    assert left == []
    assert place.image.read_bytes() == image
