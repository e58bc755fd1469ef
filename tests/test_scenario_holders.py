"""A scenario with two holders: a mission with two ground nodes, and what is found amiss in it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from occulta.errors import OccultaError
from occulta.program.config import load as load_config
from onboard.config import OnboardConfig
from sim.__main__ import main
from sim.scenario import run as scenario_run
from sim.scenario.check import check
from sim.scenario.config import Holders, Scenario, Synthetic, load
from sim.scenario.holders import join
from sim.scenario.mission import GROUND, ONBOARD, archive_of, provision
from tests import jpegs

HOLDER = "holder-b"
TRIAL = """
holders: 2/2
sensitive: [1]
private_share: 0.01
preset: storm
cfdp: {ack_interval: 1.0, nak_interval: 1.0}
"""


class Kept:
    """What a run left behind, before it was looked at: one copy for each who asks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, mission, frames, threshold):
        self.mission, self.frames, self.threshold = mission, frames, threshold
        for place in (mission.folder, *mission.archives.values()):
            shutil.copytree(place, self.folder / place.name,
                            ignore=shutil.ignore_patterns("*.ipc"))
        return join(mission, frames, threshold)

    def copy(self, folder: Path):
        """The mission as it was, in another folder."""
        shutil.copytree(self.folder, folder / "c")
        return replace(
            self.mission, folder=folder / "c" / self.mission.folder.name,
            archive=folder / "c" / self.mission.archive.name,
        )


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("holders")
    (folder / "trial.yaml").write_text(TRIAL)
    (folder / "frames").mkdir()
    for number in (1, 2):
        picture = jpegs.encode(number, 256, 192, quality=90)
        (folder / "frames" / f"{number}.jpg").write_bytes(picture)
    kept = Kept(folder / "kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scenario_run, "join", kept.keep)
        kept.status = main([
            "run", str(folder / "trial.yaml"), "--frames", str(folder / "frames"),
            "--archive", str(folder / "archive"), "-o", str(folder / "out"),
        ])
    kept.frames = [
        replace(frame, private=None) for frame in kept.frames
    ]  # their private files are gone with the run
    return kept


@pytest.fixture
def mission(kept, tmp_path):
    return kept.copy(tmp_path)


def share_of(mission, node: str) -> Path:
    """A node's share of the sensitive frame."""
    (found,) = mission.archives[node].glob("products/*/received.occ")
    return found


# --- a run that goes well


def test_a_sensitive_frame_goes_in_shares_and_comes_back(kept):
    folder = kept.folder.parent
    report = json.loads((folder / "out/report.json").read_text())
    assert (kept.status, report["faults"]) == (0, [])
    first, second = report["frames"]
    assert (first["scheme"], first["verdict"], first["restored"]) == (
        "shares", "intact, authentic", True)
    assert (second["scheme"], second["restored"], second["private_same"]) == (
        "reversible", True, True)
    assert first["stored_at"] < first["recovered_at"] <= report["seconds"]
    assert first["received_bytes"] > first["bytes"], "both shares"
    assert list(report["others"]) == [HOLDER]
    assert [each["program"] for each in report["programs"]] == [
        GROUND, HOLDER, ONBOARD, "link"]
    text = (folder / "out/report.html").read_text()
    assert "2 ground nodes" in text and "down holder-b" in text
    assert f"occulta-ground run --config {HOLDER}/ground.yaml --initialise" in text
    assert {path.name for path in folder.glob("archive*")} == {"archive", f"archive-{HOLDER}"}


def test_no_log_of_a_holder_names_another_ones_share(kept):
    logs = kept.folder.parent / "out/logs"
    ground, holder = (share_of(kept.mission, node).parent.name for node in (GROUND, HOLDER))
    said = (logs / f"{HOLDER}.log").read_text()
    assert ground not in said and f"product {holder} delivered" in said
    commander = (logs / f"{GROUND}.log").read_text()
    assert f"product {ground} delivered" in commander and f"product {holder}" in commander


def test_the_copy_is_as_the_run_was(kept, mission):
    joined, faults = join(mission, kept.frames, kept.threshold)
    assert (list(joined), faults) == (["frame-1"], [])
    arrivals, _ = check(mission.archive, kept.frames, joined)
    assert arrivals[0].faults == []
    assert arrivals[0].restored.read_bytes() == kept.frames[0].picture.read_bytes()


# --- what is amiss


def test_a_share_that_was_altered(kept, mission):
    share = share_of(mission, HOLDER)
    data = bytearray(share.read_bytes())
    data[-100] ^= 1
    share.write_bytes(data)
    joined, (fault,) = join(mission, kept.frames, kept.threshold)
    assert fault.startswith("frame-1: 2 shares do not restore it: error 50")
    arrivals, _ = check(mission.archive, kept.frames, joined)
    assert "frame-1: the restored picture is not the original" in arrivals[0].faults


def test_a_node_that_has_anothers_share(kept, mission):
    shutil.copy(share_of(mission, GROUND), mission.folder / HOLDER / "found.bin")
    assert join(mission, kept.frames, kept.threshold)[1] == [
        f"frame-1: {HOLDER} has the share of {GROUND}"]


def test_a_share_that_is_missing(kept, mission):
    with closing(sqlite3.connect(mission.archives[HOLDER] / "archive.db")) as rows, rows:
        rows.execute("DELETE FROM products WHERE scheme = 'shares'")
    faults = join(mission, kept.frames, kept.threshold)[1]
    assert faults[:2] == [
        f"frame-1: {HOLDER} has 0 products of it",
        "frame-1: the nodes do not have one share of each number",
    ]
    assert faults[2].startswith("frame-1: 1 shares do not restore it: error 336: ")


def test_a_share_whose_file_is_gone(kept, mission):
    share_of(mission, HOLDER).unlink()
    joined, (fault,) = join(mission, kept.frames, kept.threshold)
    assert (joined, fault[:9]) == ({}, "frame-1: ") and "No such file" in fault
    arrivals, _ = check(mission.archive, kept.frames, joined)
    assert arrivals[0].faults[0] == "frame-1: the restored picture is not the original"


def test_an_archive_that_cannot_be_read(kept, mission):
    (mission.archives[HOLDER] / "archive.db").write_bytes(b"no database" * 1000)
    faults = join(mission, kept.frames, kept.threshold)[1]
    assert faults[0].startswith(f"{HOLDER}: ") and "archive.db" in faults[0]


def test_a_holders_archive_that_is_not_empty_is_not_touched(tmp_path, capsys):
    (tmp_path / "trial.yaml").write_text(TRIAL + "frames: {megapixels: 0.01}\n")
    mine = tmp_path / f"archive-{HOLDER}" / "mine"
    mine.mkdir(parents=True)
    words = ["--archive", str(tmp_path / "archive"), "-o", str(tmp_path / "out")]
    assert main(["run", str(tmp_path / "trial.yaml"), *words]) == 2
    assert f"archive-{HOLDER} is not empty" in capsys.readouterr().err
    assert mine.is_dir() and not (tmp_path / "out").exists()


# --- configuration


@pytest.mark.parametrize(("count", "threshold"), [(2, 2), (3, 2), (4, 4)])
def test_the_rule_that_a_mission_gets(tmp_path, count, threshold):
    scenario = Scenario(
        frames=Synthetic(), sensitive=(1,), holders=Holders(threshold, count),
    )
    mission = provision(scenario, tmp_path / "m", tmp_path / "archive")
    nodes = list(mission.archives)
    assert nodes == [GROUND, "holder-b", "holder-c", "holder-d"][:count]
    onboard = load_config(mission.folder / ONBOARD / "onboard.yaml", OnboardConfig)
    (rule,) = onboard.rules
    assert (rule.sensitive, rule.scheme) == (True, "shares")
    assert (list(rule.holders), rule.threshold) == (nodes, threshold)
    assert {each.cfdp for each in onboard.destinations} == {scenario.cfdp}
    assert mission.arguments("holder-b")[0] == GROUND
    assert mission.archives["holder-b"] == archive_of(tmp_path / "archive", "holder-b")


@pytest.mark.parametrize("text", ["1/2", "3/2", "2/17", "2", "two of three", "2/3/4", "[2, 3]"])
def test_holders_that_cannot_be(tmp_path, text):
    (tmp_path / "trial.yaml").write_text(f"sensitive: [1]\nholders: {text}\n")
    with pytest.raises(OccultaError, match=r"holders: expected K/N with 2 <= K <= N <= 16"):
        load(tmp_path / "trial.yaml")


def test_holders_need_a_sensitive_frame(tmp_path):
    (tmp_path / "trial.yaml").write_text("holders: 2/3\n")
    with pytest.raises(OccultaError, match="holders: sensitive frames are for them"):
        load(tmp_path / "trial.yaml")
