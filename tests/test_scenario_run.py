"""Whole scenarios: real programs, a faulty link, and what is said when something goes wrong."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path

import pytest

from sim.__main__ import main
from sim.scenario import run as scenario_run
from sim.scenario.check import check
from sim.scenario.config import load
from sim.scenario.driver import Driver
from sim.scenario.frames import take_frames
from sim.scenario.mission import ONBOARD
from tests import jpegs
from tests.cli import ROOT, environment

STORM = """
frames: {count: 2, megapixels: 0.3}
preset: storm
cfdp: {ack_interval: 1.0, nak_interval: 1.0}
"""
QUICK = "private_share: 0.01\ncfdp: {ack_interval: 1.0, nak_interval: 1.0}\n"


@pytest.fixture(scope="module")
def sent(tmp_path_factory):
    """What is sent in a small scenario."""
    folder = tmp_path_factory.mktemp("sent")
    (folder / "storm.yaml").write_text(STORM)
    return take_frames(load(folder / "storm.yaml"), [], folder / "frames")


@pytest.fixture(scope="module")
def storm(sent, tmp_path_factory):
    """A folder in which it has been run: its exit status, archive and report."""
    folder, frames = tmp_path_factory.mktemp("storm"), sent[0].picture.parent
    words = ["run", str(frames.with_name("storm.yaml")), "--archive", str(folder / "archive")]
    status = main([*words, "--frames", str(frames), "-o", str(folder / "out")])
    (folder / "status").write_text(str(status))
    return folder


@pytest.fixture
def archive(storm, tmp_path):
    """A copy of its archive, to be spoilt."""
    return shutil.copytree(storm / "archive", tmp_path / "archive")


# --- a run that goes well


def test_everything_arrives_through_a_storm(storm):
    report = json.loads((storm / "out" / "report.json").read_text())
    assert (storm / "status").read_text() == "0", report["faults"]
    assert (report["success"], report["faults"]) == (True, [])
    assert [frame["frame"] for frame in report["frames"]] == ["frame-1", "frame-2"]
    for frame in report["frames"]:
        assert frame["restored"] is True and frame["private_same"] is True
        assert frame["verdict"] == "intact, authentic" and frame["scheme"] == "reversible"
        assert frame["stored_at"] < frame["recovered_at"] <= report["seconds"]
    counts = report["link"]["down"]["counts"]
    assert counts["submitted"] > 100 and counts["sent"] > 100
    assert report["ground"]["files_received"] == 4
    assert [each["program"] for each in report["programs"]] == ["ground", "onboard", "link"]
    assert all(each["cpu_seconds"] > 0.1 for each in report["programs"])


def test_the_archive_holds_what_was_sent_and_nothing_else(storm, sent):
    arrivals, faults = check(storm / "archive", sent)
    assert faults == []
    for arrival, frame in zip(arrivals, sent, strict=True):
        assert arrival.restored.read_bytes() == frame.picture.read_bytes()
        assert arrival.received.read_bytes() != frame.picture.read_bytes()


class Html(HTMLParser):
    """What a page loads, and its text."""

    def __init__(self, text):
        super().__init__()
        self.sources, self.tags = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href")]


def test_the_report_needs_nothing_else(storm):
    text = (storm / "out" / "report.html").read_text()
    page = Html(text)
    assert page.sources and all(source.startswith("data:image/") for source in page.sources)
    assert page.tags.count("svg") == 1 and page.tags.count("img") == 10
    assert "2 of 2 frames restored bit for bit" in text
    assert text.count(": every pixel identical</figcaption>") == 4
    assert "occulta-ground run --config ground/ground.yaml --initialise" in text


def test_what_the_programs_said_is_kept(storm):
    logs = storm / "out" / "logs"
    assert sorted(path.name for path in logs.iterdir()) == [
        "ground.log", "link.log", "onboard.log"
    ]
    assert "stopped" in (logs / "onboard.log").read_text()


# --- an archive that is not as it should be


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def product(archive: Path, frame: str) -> Path:
    """The folder of a frame's product."""
    with closing(sqlite3.connect(archive / "archive.db")) as rows:
        query = "SELECT hex(id) FROM products WHERE frame_id = ?"
        (name,) = rows.execute(query, (frame,)).fetchone()
    return archive / "products" / name.lower()


def change(archive: Path, statement: str) -> None:
    with closing(sqlite3.connect(archive / "archive.db")) as rows:
        rows.execute(statement)
        rows.commit()


def test_a_picture_that_was_tampered_with(archive, sent):
    flip(product(archive, "frame-2") / "carrier.jpg")
    assert check(archive, sent)[1] == ["frame-2: the restored picture is not the original"]


def test_a_private_file_that_was_tampered_with(archive, sent):
    flip(next(archive.glob("items/*/private-1.bin")))
    assert check(archive, sent)[1] == ["private-1: the private file is not the original"]


def test_a_copy_of_a_private_file_that_was_tampered_with(archive, sent):
    flip(product(archive, "frame-1") / "private.bin")
    assert check(archive, sent)[1] == ["frame-1: private.bin is no private file of ours"]


def test_a_product_that_is_missing(archive, sent):
    shutil.rmtree(product(archive, "frame-1"))
    next(archive.glob("items/*/private-1.bin")).unlink()
    change(archive, "DELETE FROM products WHERE frame_id = 'frame-1'")
    arrivals, faults = check(archive, sent)
    assert faults == ["frame-1 is missing", "private-1 is missing"]
    assert arrivals[0].product is None and arrivals[0].verdict == "missing"


def test_a_frame_that_arrived_twice(archive, sent):
    change(archive, "UPDATE products SET frame_id = 'frame-1'")
    faults = check(archive, sent)[1]
    assert {"frame-1 arrived 2 times", "frame-2 is missing"} <= set(faults)


def test_a_verdict_that_is_not_good_enough(archive, sent):
    file = product(archive, "frame-1") / "report.json"
    report = json.loads(file.read_text())
    file.write_text(json.dumps(report | {"verdict": "intact, unsigned"}))
    word = "the verdict is 'intact, unsigned', not 'intact, authentic'"
    assert check(archive, sent)[1] == [f"frame-1: {word}"]
    change(archive, "UPDATE products SET satellite = NULL WHERE frame_id = 'frame-2'")
    assert check(archive, sent)[1][1].startswith("frame-2: the verdict is 'intact, authentic'")


def test_private_data_that_nobody_signed(archive, sent):
    file = product(archive, "frame-2") / "report.json"
    report = json.loads(file.read_text())
    report["items"][0]["authentic"] = False
    file.write_text(json.dumps(report))
    assert check(archive, sent)[1] == ["private-2 is not authentic"]


@pytest.mark.parametrize("name", ["rejected/x/data", "inbox/x/data", "items/a/b.part", "x.jpg"])
def test_something_that_was_not_sent(name, archive, sent):
    (archive / name).parent.mkdir(parents=True, exist_ok=True)
    (archive / name).write_bytes(b"x")
    assert check(archive, sent)[1] == [f"{name} does not belong in the archive"]


def test_what_did_not_come_to_its_end(archive, sent):
    half = archive / "inbox/1" / ("0" * 32)
    half.mkdir(parents=True)
    (half / "manifest").write_bytes(b"one of two")
    for number in (1, 2):
        (archive / "inbox/.incoming" / f"1-{number}.part").write_bytes(b"half")
    assert check(archive, sent)[1] == [
        "2 transfers were unfinished",
        f"inbox/1/{'0' * 32}/manifest waits for the rest of its product",
    ]


def test_an_archive_that_cannot_be_read(archive, sent):
    (archive / "archive.db").write_bytes(b"no database" * 1000)
    faults = check(archive, sent)[1]
    assert "archive.db" in faults[0] and "frame-1 is missing" in faults


# --- runs that go wrong


class Run:
    """A scenario with one small frame of its own, run in this process."""

    def __init__(self, folder, capsys):
        self.folder = folder
        self._capsys = capsys
        (folder / "frames").mkdir()
        (folder / "frames" / "a.jpg").write_bytes(jpegs.encode(3, 256, 256, quality=90))

    def __call__(self, text="", *words):
        quick = QUICK.partition("\n")[2] if "private_share" in text else QUICK
        (self.folder / "trial.yaml").write_text(quick + text)
        words = words or ("--frames", str(self.folder / "frames"))
        output = ["-o", str(self.folder / "out")]
        status = main(["run", str(self.folder / "trial.yaml"), *words, *output])
        self.out, self.err = self._capsys.readouterr()
        return status

    @property
    def faults(self):
        return re.findall(r"^FAULT: (.*)$", self.out, re.MULTILINE)


@pytest.fixture
def run(tmp_path, capsys):
    return Run(tmp_path, capsys)


def test_a_run_whose_archive_is_tampered_with_fails(run, monkeypatch):
    def tamper_and_check(archive, *others):
        flip(product(archive, "frame-1") / "carrier.jpg")
        return check(archive, *others)

    monkeypatch.setattr(scenario_run, "check", tamper_and_check)
    assert run() == 5
    assert run.faults == ["frame-1: the restored picture is not the original"]
    assert "0 of 1 frames restored bit for bit" in (run.folder / "out/report.html").read_text()


def test_a_program_that_dies_fails_the_run(run, monkeypatch):
    feed = Driver._feed

    def feed_and_kill(driver, *arguments):
        feed(driver, *arguments)
        driver._processes.all[ONBOARD].signal(signal.SIGKILL)

    monkeypatch.setattr(Driver, "_feed", feed_and_kill)
    assert run("pass_after: 1") == 6
    assert run.faults[0].startswith("onboard ended with status -9: ")
    assert "frame-1 is missing" in run.faults


def test_a_run_that_is_late_fails(run):
    assert run("outages: [[0, 3600]]\ntime_limit: {base: 3.0, plain_kernel: 1.0}") == 5
    assert run.faults[0] == "the time limit of 3 s has passed"
    assert run.faults[-2:] == ["frame-1 is missing", "private-1 is missing"]
    report = json.loads((run.folder / "out" / "report.json").read_text())
    assert report["success"] is False and report["frames"][0]["recovered_at"] is None


def test_a_run_that_cannot_be_in_time_is_not_begun(run):
    slow = "preset: uhf\ntime_limit: {base: 3.0, plain_kernel: 1.0}"
    assert run(slow) == 2
    assert "s or more at 9120 bit/s, and the time limit is 3 s" in run.err
    assert not (run.folder / "out" / "report.json").exists()


def test_a_sensitive_frame_that_is_not_there_is_misuse(run):
    assert run("frames: {count: 2}\nsensitive: [9]") == 2
    assert "sensitive[0]: there is no frame 9 among 2" in run.err
    assert not (run.folder / "out").exists()


def test_a_frame_that_is_refused_fails_the_run(run):
    (run.folder / "x.jpg").write_bytes(b"this is no JPEG")
    rule = "onboard: {rules: [{scheme: reversible, fallback: none}]}"
    assert run(rule, "--image", str(run.folder / "x.jpg")) == 3
    assert run.faults[0].startswith("frame-1 was refused: error 301: ")
    assert run.err.splitlines()[-2] == "error 345: not everything arrived as it was sent"


def test_a_frame_that_cannot_be_marked_comes_down_sealed(run):
    (run.folder / "x.jpg").write_bytes(b"this is no JPEG")
    assert run("private_share: 0", "--image", str(run.folder / "x.jpg")) == 0, run.out
    assert run.out.splitlines()[2].split()[4] == "sealed"


def test_a_sensitive_frame_comes_down_sealed(run):
    assert run("sensitive: [1]") == 0, run.out
    row = run.out.splitlines()[2].split()
    assert row[4] == "sealed" and row[8] == "none"


def test_an_archive_that_is_not_empty_is_not_touched(run):
    (run.folder / "mine").mkdir()
    (run.folder / "mine" / "a").write_text("a")
    words = ("--archive", str(run.folder / "mine"))
    assert run("", *words) == 2
    assert run.err.startswith("error 205: ") and "is not empty" in run.err
    assert os.listdir(run.folder / "mine") == ["a"] and not (run.folder / "out").exists()


@pytest.mark.parametrize("words", [("--image", "missing"), ("--frames", "missing")])
def test_a_picture_that_is_not_there_is_refused(run, words):
    assert run("", *words) == 3
    assert run.err.startswith("error 329: cannot read missing: ")


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


@pytest.mark.skipif(sys.platform != "linux", reason="children are listed by /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing_behind(number, run, tmp_path_factory):
    temporary = tmp_path_factory.mktemp("t")  # short: the mission has ipc sockets in it
    (run.folder / "trial.yaml").write_text(QUICK + "outages: [[0, 3600]]")
    words = ["run", "trial.yaml", "--frames", "frames", "-o", "out"]
    process = subprocess.Popen(
        [sys.executable, "-m", "sim", *words], cwd=run.folder, stderr=subprocess.PIPE,
        env=environment() | {"TMPDIR": str(temporary), "PYTHONPATH": str(ROOT)},
    )
    with process:
        while b"is stored" not in process.stderr.readline():
            assert process.poll() is None
        started = children(process.pid)
        process.send_signal(number)
        said = process.stderr.read().decode()
    assert process.returncode == 128 + number
    assert said == f"interrupted by {number.name}\n"
    assert len(started) == 3 and not [pid for pid in started if Path(f"/proc/{pid}").exists()]
    assert list(temporary.iterdir()) == []
