"""A scenario's parts: its configuration, its frames, its mission, its tables and its timeline."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import yaml
from PIL import Image

from ground.config import GroundConfig
from occulta.errors import OccultaError, Reason
from occulta.program.config import load as load_config
from onboard.config import OnboardConfig
from sim.link.config import Link
from sim.link.config import load as load_link
from sim.pixels import psnr
from sim.scenario.check import Arrival
from sim.scenario.config import Flight, Scenario, Synthetic, TimeLimit, load
from sim.scenario.frames import Frame, pictures_in, take_frames
from sim.scenario.mission import GROUND, ONBOARD, free_ports, provision
from sim.scenario.processes import Process, Processes, ProcessFailed
from sim.scenario.results import HEADINGS, LINK_HEADINGS, Result, Usage, table
from sim.scenario.timeline import timeline
from tests.cli import ROOT

SCENARIOS = ROOT / "configs" / "scenarios"
SMALL = Scenario(frames=Synthetic(count=3, megapixels=0.01))


# --- configuration


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_scenarios_that_come_along_can_be_read(path):
    assert load(path).frames.count > 1


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        (Scenario, ()), (Synthetic, ("frames",)), (Flight, ("onboard",)),
        (TimeLimit, ("time_limit",)),
    ],
)
def test_the_demonstration_shows_every_option(kind, place):
    shown = yaml.safe_load((SCENARIOS / "demo.yaml").read_text())
    for name in place:
        shown = shown[name]
    assert set(shown) == {field.name for field in msgspec.structs.fields(kind)}


def test_the_demonstration_is_what_it_says():
    demo = load(SCENARIOS / "demo.yaml")
    assert (demo.frames.count, demo.frames.megapixels) == (6, 4.0)
    assert demo.link.down.states().mean == pytest.approx(0.05)
    assert demo.link.down.bit_error_rate > 0
    assert len(demo.outages) == 1 and demo.sensitive == () and demo.private_share > 0


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("frames: {count: 0}", "frames.count: expected int 1..64, got 0"),
        ("frames: {megapixels: 17}", "frames.megapixels: expected number 0.01..16, got 17"),
        ("frame: 3", "frame: unknown; did you mean frames?"),
        ("sensitive: [0]", "sensitive[0]: expected int 1..64, got 0"),
        ("preset: drizzle", "preset: expected the name of a preset"),
        ("preset: storm\nlink: {}", "link: give preset or link, not both"),
        ("link: {down: {signal_to_noise: {low: 1, zenith: 2}}}", "link: signal_to_noise needs"),
        ("outages: [[3, 1]]", "outages[0]: expected [start, end]"),
        ("onboard: {rules: [{scheme: plain}]}", "onboard.rules[0].scheme: plain is for frames"),
    ],
)
def test_a_fault_is_named_by_its_place(text, place, tmp_path):
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(OccultaError) as caught:
        load(tmp_path / "s.yaml")
    assert caught.value.reason is Reason.CONFIG_INVALID
    assert caught.value.detail.splitlines()[1].startswith(place)


def test_a_preset_that_cannot_be_read_is_found_at_once(tmp_path):
    (tmp_path / "s.yaml").write_text("preset: mine.yaml")
    (tmp_path / "mine.yaml").write_text("down: {rate: -1}")
    with pytest.raises(OccultaError, match="mine.yaml") as caught:
        load(tmp_path / "s.yaml")
    assert "down.rate" in caught.value.detail


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("seed: 1", None), ("preset: clean", None), ("preset: uhf", 9120),
        ("link: {down: {rate: 1}}", 1),
        ("preset: uhf\nonboard: {rate: 9600}", 9600), ("onboard: {rate: 5}", 5),
    ],
)
def test_the_satellite_sends_no_more_than_its_link_carries(text, rate, tmp_path):
    (tmp_path / "s.yaml").write_text(text)
    scenario = load(tmp_path / "s.yaml")
    mission = provision(scenario, tmp_path / "m", tmp_path / "archive")
    onboard = load_config(mission.folder / ONBOARD / "onboard.yaml", OnboardConfig)
    assert scenario.rate == onboard.destinations[0].rate == rate


def test_frames_that_cannot_come_down_in_time_are_found_before_the_start():
    scenario = Scenario(onboard=Flight(rate=8000))
    scenario.check_time(60_000, 60.0)
    Scenario().check_time(1 << 40, 1.0)
    with pytest.raises(OccultaError) as caught:
        scenario.check_time(61_000, 60.0)
    assert caught.value.reason is Reason.CONFIG_INVALID
    assert caught.value.detail == (
        "61000 bytes of frames take 61 s or more at 8000 bit/s, and the time limit is 60 s"
    )


def test_a_sensitive_frame_has_to_be_one_of_them():
    scenario = Scenario(frames=Synthetic(count=2), sensitive=(2, 9))
    scenario.check(9)
    with pytest.raises(OccultaError) as caught:
        scenario.check(0)
    assert caught.value.reason is Reason.CONFIG_INVALID
    assert caught.value.detail == "sensitive[1]: there is no frame 9 among 2"


@pytest.mark.parametrize(("size", "is_plain", "expected"), [(0, False, 60), (3e6, True, 360)])
def test_the_time_limit_grows_with_the_frames_and_a_slow_kernel(size, is_plain, expected):
    limit = TimeLimit(base=60.0, per_megabyte=10.0, plain_kernel=4.0)
    assert limit.seconds(size, is_plain) == expected


# --- frames


def test_frames_of_a_pass_overlap_and_differ(tmp_path):
    frames = take_frames(SMALL, [], tmp_path / "taken")
    assert [frame.name for frame in frames] == ["frame-1", "frame-2", "frame-3"]
    assert len({frame.picture.read_bytes() for frame in frames}) == 3
    one, other = (np.asarray(Image.open(frame.picture)) for frame in frames[:2])
    assert one.shape == other.shape
    shifts = [float(psnr(one[rows:], other[: len(other) - rows])) for rows in range(1, 9)]
    assert max(shifts) > 30 > min(shifts)


def test_a_private_file_is_a_share_of_its_frame(tmp_path):
    (tmp_path / "a.jpg").write_bytes(bytes(9000))
    scenario = msgspec.structs.replace(SMALL, private_share=0.25, sensitive=(2,))
    frames = take_frames(scenario, [tmp_path / "a.jpg"] * 3, tmp_path / "taken")
    assert [frame.is_sensitive for frame in frames] == [False, True, False]
    assert frames[1].private is None
    contents = [frames[index].private.read_bytes() for index in (0, 2)]
    assert contents[0] != contents[1]
    for frame, content in zip((frames[0], frames[2]), contents, strict=True):
        assert 0.25 * frame.size - 300 < len(content) <= 0.25 * frame.size


def test_pictures_of_ones_own_are_sent_as_they_are(tmp_path):
    for name in ("b.JPG", "a.jpeg", "c.txt"):
        (tmp_path / name).write_bytes(name.encode())
    found = pictures_in(tmp_path)
    assert [path.name for path in found] == ["a.jpeg", "b.JPG"]
    frames = take_frames(SMALL, found, tmp_path / "taken")
    assert [(frame.name, frame.picture) for frame in frames] == [
        ("frame-1", tmp_path / "a.jpeg"), ("frame-2", tmp_path / "b.JPG")
    ]


def test_a_folder_without_pictures_is_misuse(tmp_path):
    with pytest.raises(OccultaError, match="0 JPEG files") as caught:
        pictures_in(tmp_path)
    assert caught.value.reason is Reason.USAGE


# --- the mission


def test_a_mission_is_told_what_the_scenario_says(tmp_path):
    scenario = load(SCENARIOS / "demo.yaml")
    mission = provision(scenario, tmp_path / "m", tmp_path / "archive")
    onboard = load_config(mission.folder / ONBOARD / "onboard.yaml", OnboardConfig)
    ground = load_config(mission.folder / GROUND / "ground.yaml", GroundConfig)
    relay, link = load_link(mission.folder / "sim" / "link.yaml")
    (destination,), (satellite,) = onboard.destinations, ground.satellites
    assert destination.cfdp == satellite.cfdp == scenario.cfdp
    assert (destination.rate, onboard.spool) == (scenario.onboard.rate, scenario.onboard.spool)
    assert (onboard.health_file, relay.statistics) == (mission.health, mission.statistics)
    assert (ground.archive_dir, ground.console) == (tmp_path / "archive", mission.console)
    assert (onboard.camera.bind, onboard.private.bind) == (mission.camera, mission.payload)
    assert (link, relay.outages, relay.seed) == (scenario.link, scenario.outages, scenario.seed)
    assert destination.address == relay.space.bind and satellite.bind == relay.nodes[0].address


def test_a_preset_reaches_the_relay(tmp_path):
    scenario = load(SCENARIOS / "storm.yaml")
    mission = provision(scenario, tmp_path / "m", tmp_path / "archive")
    _, link = load_link(mission.folder / "sim" / "link.yaml")
    assert link == load_config(ROOT / "configs" / "links" / "storm.yaml", Link)


def test_free_ports_differ():
    assert len(set(free_ports(5))) == 5


# --- processes


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Makes a program of a few lines of Python; returns what `Process` takes."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def make(text):
        (tmp_path / "lines.py").write_text(text)
        return ["lines"]

    return make


def wait_for(condition, processes):
    while not condition():
        processes.watch()


def test_a_program_that_ends_is_noticed(tmp_path, program):
    text = "import sys; print('error 999: no such thing\\nhint: none'); sys.exit(3)"
    with Processes(tmp_path) as processes:
        processes.start("it", program(text))
        with pytest.raises(ProcessFailed, match="it ended with status 3: error 999: no such thing"):
            wait_for(lambda: False, processes)
    assert processes.failures() == ["it ended with status 3: error 999: no such thing"]


def test_a_program_that_ends_in_order_is_no_failure(tmp_path, program):
    text = (
        "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        "bytearray(64 << 20)\nprint('ready', flush=True)\nwhile True: signal.pause()"
    )
    with Processes(tmp_path) as processes:
        processes.start("it", program(text))
        wait_for(lambda: processes.has_said("it", "ready"), processes)
    (process,) = processes.all.values()
    assert (process.status, processes.failures()) == (0, [])
    assert process.cpu_seconds > 0
    if sys.platform == "linux":
        assert 64 < process.peaks[process.pid] < 128


def test_a_program_that_will_not_end_is_killed(tmp_path, program, monkeypatch):
    monkeypatch.setattr("sim.scenario.processes.GRACE", 0.1)
    text = (
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('2026 ERROR of its own', flush=True)\nwhile True: signal.pause()"
    )
    with Processes(tmp_path) as processes:
        processes.start("it", program(text))
        wait_for(lambda: processes.has_said("it", "ERROR"), processes)
    assert processes.failures() == [
        "it ended with status -9: 2026 ERROR of its own", "it says: 2026 ERROR of its own"
    ]


def test_an_error_ends_every_program(tmp_path, program):
    with pytest.raises(KeyError), Processes(tmp_path) as processes:
        for name in ("one", "two"):
            processes.start(name, program("import signal; signal.pause()"))
        raise KeyError
    assert [each.status for each in processes.all.values()] == [-15, -15]


def test_a_program_without_words_is_told_of_too(tmp_path):
    process = Process("it", ["runpy"], tmp_path / "it.log")
    while process.poll() is None:
        pass
    (tmp_path / "it.log").write_text("")
    assert process.complaint() == f"it ended with status {process.status}: it said nothing"


# --- tables


def result(**changes):
    """A run in which one frame of two came back."""
    frame = Frame("frame-1", Path("a.jpg"), Path("p"), "private-1", False, 1000)
    good = Arrival(frame, verdict="intact, authentic", is_restored=True, is_private_same=True)
    bad = Arrival(replace(frame, name="frame-2"))
    counts = dict.fromkeys(
        ("submitted", "lost", "dropped_outage", "dropped_queue", "corrupted", "duplicated",
         "reordered", "truncated", "sent", "bytes_submitted"), 12345,
    )
    way = {"counts": counts, "timeline": [[0, 100, 50]]}
    found = Result(
        scenario="trial", arrivals=[good, bad], faults=[], seconds=12.34, limit=60.0,
        pass_began=1.0, stored={"frame-1": 2.0}, recovered={"frame-1": 3.25},
        link={"down": way, "up": way}, outages=[], ground={},
        programs=[Usage("ground", 1.26, (50.2, 40.7))],
    )
    return replace(found, **changes)


def test_the_table_has_a_line_for_everything():
    lines = table(result(faults=["frame-2 is missing"])).splitlines()
    assert re.split(r" {2,}", lines[0]) == list(HEADINGS)
    assert lines[2].split()[:2] == ["frame-1", "1,000"] and lines[2].endswith("2.0          3.2")
    assert "bit for bit" in lines[2] and "identical" in lines[2]
    assert "NO" in lines[3].split() and lines[3].split()[-3:] == ["missing", "-", "-"]
    assert re.split(r" {2,}", lines[5]) == list(LINK_HEADINGS)
    assert lines[7].split() == ["down", *["12,345"] * 10]
    assert "ground" in lines[12] and lines[12].endswith("50 + 41")
    assert lines[-2:] == [
        "trial: 1 of 2 frames bit for bit in 12.3 s, limit 60 s", "FAULT: frame-2 is missing"
    ]


def test_a_pass_that_never_began_has_no_line():
    told = result(link={})
    assert "packets" not in table(told) and told.overhead is None
    assert json.loads(json.dumps(told.as_dict()))["link"] == {}


# --- timeline


def rectangles(svg, kind):
    found = re.findall(rf'<rect class="{kind}" ([^/]*)/>', svg)
    return [tuple(map(float, re.findall(r"[0-9.]+", text))) for text in found]


def test_bars_are_as_high_as_what_they_stand_for():
    svg = timeline([(0, 100, 100), (1, 50, 0), (2, 0, 25)], [(1.0, 2.0)], [(2.5, "<1>")])
    (first, second), (lost, later) = rectangles(svg, "arrived"), rectangles(svg, "lost")
    assert first[3] == lost[3] == 2 * second[3] == 4 * later[3]
    assert lost[1] + lost[3] == pytest.approx(first[1], abs=0.11)
    (outage,) = rectangles(svg, "outage")
    assert outage[0] == second[0]
    assert ">&lt;1&gt;</text>" in svg


def test_a_long_pass_is_drawn_in_fewer_bars():
    svg = timeline([(second, 1000, 0) for second in range(1000)], [], [])
    assert 100 < len(rectangles(svg, "arrived")) <= 240
    assert ">1 kB/s</text>" in svg
    assert len(re.findall(r">\d+ s</text>", svg)) <= 14


def test_an_empty_timeline_can_be_drawn():
    assert rectangles(timeline([], [(0.0, 5.0)], []), "outage")
