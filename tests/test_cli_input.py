"""Bad input, one by one: its number, two lines, nothing written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import jpegs
from tests.cli import (
    PROFILES,
    Place,
    assert_error,
    assert_some_error,
    call,
    environment,
    names,
    run,
    scene,
)
from tests.encoder import segment

profiles = pytest.mark.parametrize("profile", PROFILES)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, scene(75))


def bomb(width: int, height: int) -> bytes:
    """A hundred bytes that promise a picture of that size."""
    size = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    frame = segment(0xC0, b"\x08" + size + b"\x01\x01\x11\x00")
    scan = segment(0xDA, b"\x01\x01\x00\x00\x3f\x00")
    return (b"\xff\xd8" + frame + scan).ljust(98, b"\x55") + b"\xff\xd9"


def without_scan(data: bytes) -> bytes:
    return data[: jpegs.find(data, 0xDA)[0]] + b"\xff\xd9"


def as_frame(data: bytes, marker: int) -> bytes:
    """The same file with another start of frame."""
    start, _ = jpegs.find(data, 0xC0)
    return data[: start + 1] + bytes([marker]) + data[start + 2 :]


BAD = {
    "empty": (300, lambda data: b""),
    "text": (301, lambda data: b"this is no picture\n"),
    "png": (301, lambda data: b"\x89PNG\r\n\x1a\n" + bytes(100)),
    "one byte": (302, lambda data: b"\xff"),
    "zeros": (301, lambda data: bytes(5000)),
    "start alone": (324, lambda data: data[:2]),
    "cut in a header": (302, lambda data: data[:100]),
    "cut before the scan": (324, lambda data: data[: jpegs.find(data, 0xDA)[0]]),
    "cut in the scan": (302, lambda data: data[: len(data) // 2]),
    "no scan": (324, without_scan),
    "no tables": (307, lambda data: jpegs.without_tables(data).replace(
        b"\x01\x00\x02\x11\x03\x11\x00\x3f", b"\x01\x33\x02\x11\x03\x11\x00\x3f")),
    "lossless": (313, lambda data: as_frame(data, 0xC3)),
    "hierarchical": (314, lambda data: as_frame(data, 0xC5)),
    "arithmetic": (312, lambda data: as_frame(data, 0xC9)),
    "bomb": (317, lambda data: bomb(65535, 65535)),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
@profiles
def test_bad_pictures_on_board(profile: str, case: str, place: Place) -> None:
    number, change = BAD[case]
    place.image.write_bytes(change(scene(75)))
    assert_error(place.protect("--profile", profile), number)
    place.assert_nothing_marked()
    assert_error(call("onboard", "capacity", place.image, "--profile", profile), number)


@pytest.mark.parametrize("case", BAD)
def test_bad_pictures_on_the_ground(case: str, place: Place) -> None:
    number, change = BAD[case]
    number = 327 if case == "cut in the scan" else number  # nothing was hidden up to there
    place.marked.write_bytes(change(scene(75)))
    if case == "png":  # by its kind a share of a raster, alone
        assert_error(place.recover(), 336, "1 share images")
        assert_error(place.recover("--scheme", "reversible"), number)
    else:
        assert_error(place.recover(), number)
    place.assert_report_only(number)


@profiles
def test_truncated_at_every_marker(profile: str, place: Place) -> None:
    whole = jpegs.sample("restart_rows", 7, 64, 64)
    scan = jpegs.find(whole, 0xDA)[1]
    restarts = [at for at in range(scan, len(whole) - 1) if is_restart(whole[at : at + 2])]
    ends = dict.fromkeys((start for _, start, _ in jpegs.segments(whole)), 324)
    for end, number in {**ends, **dict.fromkeys(restarts, 302)}.items():
        place.image.write_bytes(whole[:end])
        assert_error(place.protect("--profile", profile), number)
        place.assert_nothing_marked()


def is_restart(marker: bytes) -> bool:
    return marker[0] == 0xFF and 0xD0 <= marker[1] < 0xD8


def test_progressive_is_refused_by_paper_alone(place: Place) -> None:
    place.image.write_bytes(jpegs.sample("progressive", 7, 256, 256))
    assert_error(place.protect("--profile", "paper"), 315)
    place.assert_nothing_marked()
    assert place.protect().status == 0


def test_missing_files(place: Place) -> None:
    missing = place.root / "missing"
    for found in (place.protect(image=missing), place.protect(private=missing)):
        assert_error(found, 329, str(missing))
    place.assert_nothing_marked()
    assert_error(call("onboard", "capacity", missing), 329, str(missing))
    assert_error(place.recover(marked=missing), 329, str(missing))
    assert not place.folder.exists()


def test_folders_in_the_place_of_files(place: Place) -> None:
    for found in (place.protect(image=place.keys), place.protect(private=place.keys)):
        assert_error(found, 329, str(place.keys))
    place.assert_nothing_marked()
    assert_error(call("onboard", "capacity", place.keys), 329)
    assert_error(place.recover(marked=place.keys), 329, "holds no share")
    assert names(place.folder) == ["report.json"], "a folder is taken for one of shares"
    assert place.report()["error"]["number"] == 329


def test_empty_names(place: Place) -> None:
    assert_error(place.protect(image=""), 329)
    assert_error(place.protect(private=""), 329)
    place.assert_nothing_marked()
    assert_error(place.recover(marked=""), 329)
    assert_error(place.protect(to="/nowhere/"), 202)


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="needs /proc")
def test_private_files_that_say_they_are_empty_and_are_not(place: Place) -> None:
    found = place.protect(private="/proc/version")
    if found.status != 0:
        assert_some_error(found)
        place.assert_nothing_marked()
        return
    assert place.recover().status == 0
    assert (place.folder / "private.bin").read_bytes() == Path("/proc/version").read_bytes()


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs /dev/zero")
def test_devices_as_private_files(place: Place) -> None:
    assert place.protect(private="/dev/null").status == 0
    assert place.recover().status == 0
    assert (place.folder / "private.bin").read_bytes() == b""
    found = place.protect(private="/dev/zero", output=place.work / "more.jpg")
    assert_error(found, 400)
    assert names(place.work) == ["marked.jpg"]


PEAK = """
import sys
from {0}.__main__ import main
status = main(sys.argv[1:])
peak = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:")]
print("peak", *peak)
sys.exit(status)
"""


def peak_kib(program: str, *arguments: object) -> tuple[int, int]:
    """Exit status and peak memory of a command in a process of its own."""
    line = [sys.executable, "-c", PEAK.format(program), *map(str, arguments)]
    done = subprocess.run(
        line, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, int(done.stdout.split()[-1])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@profiles
def test_a_decompression_bomb_takes_no_memory(profile: str, place: Place) -> None:
    status, usual = peak_kib("onboard", "capacity", place.image, "--profile", profile)
    assert status == 0
    for size in ((65535, 65535), (65535, 40000), (32000, 65535)):
        place.image.write_bytes(bomb(*size))
        arguments = place.to_protect("--profile", profile)
        status, peak = peak_kib("onboard", *arguments)
        assert status == 3
        assert peak < usual + 8192
        place.assert_nothing_marked()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_a_decompression_bomb_on_the_ground(place: Place) -> None:
    _, usual = peak_kib("ground", *place.to_recover(marked=place.image))
    (place.folder / "report.json").unlink()
    place.marked.write_bytes(bomb(65535, 65535))
    status, peak = peak_kib("ground", *place.to_recover())
    assert status == 3
    assert peak < usual + 8192
    place.assert_report_only(317)


def test_a_real_process_says_the_same(place: Place) -> None:
    place.image.write_bytes(b"")
    assert_error(run("onboard", *place.to_protect()), 300)
    place.assert_nothing_marked()
    assert_error(run("ground", *place.to_recover(marked=place.image)), 300)
    place.assert_report_only(300)
