"""A sensitive frame between two ground nodes: each gets its own share, both restore the frame.

The real programs with what `occulta-ground provision --holders` makes: the daemon, the ground,
holder-b, and the relay between them. Also with the daemon killed while shares become durable.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ground.product import State
from occulta.schemes.shares.header import header_size, parse_clear
from sim.scenario.check import products_in
from sim.scenario.config import load
from sim.scenario.frames import take_frames
from sim.scenario.mission import GROUND, LINK, ONBOARD, free_ports
from sim.scenario.mission import Mission as Files
from tests.cli import call
from tests.missions import READY, SMALL, Mission

HOLDER = "holder-b"
STEPS = ["share moved", "product inserted"]
"""The others are tried in test_spool_shares_crashes.py."""


class HolderFiles:
    """A mission whose second ground node is a holder; `step` is where the daemon is killed."""

    def __init__(self, folder: Path) -> None:
        self.files = Files(folder, folder / "ground/archive")
        self.step: str | None = None

    def __getattr__(self, name: str) -> object:
        return getattr(self.files, name)

    def arguments(self, program: str) -> list[str]:
        if program == HOLDER:
            words = self.files.arguments(GROUND)
            return [word.replace("/ground/", f"/{HOLDER}/") for word in words]
        dying = ["tests.dies_at", self.step] if program == ONBOARD and self.step else []
        return [*dying, *self.files.arguments(program)]


class Shared(Mission):
    """A provisioned mission with two holders, the ground one of them."""

    def __init__(self, folder: Path) -> None:
        (folder / "mission.yaml").write_text(SMALL)
        relay, ground, holder = free_ports(3)
        done = call("ground", "provision", folder / "mission", "--holders", 2,
                    "--relay-port", relay, "--ground-port", ground)
        assert done.status == 0, done.err
        self.made = HolderFiles(folder / "mission")
        self.folder, self.archive = self.made.folder, self.made.archive
        self.other = self.folder / HOLDER / "archive"
        self.spool = self.folder / ONBOARD / "spool"
        self.frames, self.processes, self.lives = [], {}, []
        pictures = take_frames(load(folder / "mission.yaml"), [], folder / "frames")
        self._pictures = iter(pictures * 4)
        self._logs = folder / "logs"
        self._logs.mkdir()
        self._feed = None
        self._adjust(f"tcp://127.0.0.1:{holder}")

    def _adjust(self, address: str) -> None:
        """A port for the holder that nobody else has, and short timers."""
        cfdp = {"ack_interval": 1.0, "nak_interval": 1.0}
        with self.edited(ONBOARD) as options:
            for destination in options["destinations"]:
                destination["cfdp"] = dict(cfdp)  # the same one would become an alias
        for node in (GROUND, HOLDER):
            path = self.folder / node / "ground.yaml"
            options = yaml.safe_load(path.read_text())
            options["satellites"][0]["cfdp"] = cfdp
            if node == HOLDER:
                options["satellites"][0]["bind"] = address
            path.write_text(yaml.safe_dump(options))
        with self.edited(LINK) as options:
            options["nodes"][1]["address"] = address

    def is_ready(self, program: str) -> bool:
        process = self.processes[program]
        assert process.poll() is None, process.complaint()
        return READY[GROUND if program == HOLDER else program] in process.text()

    def start_dying(self, step: str) -> None:
        """The daemon, which is killed where its spool has come that far."""
        self.made.step = step
        self.start(ONBOARD)
        self.made.step = None

    # What is known.

    def shares(self, archive: Path) -> dict[str, bytes]:
        """Every share in an archive that has been looked at, by frame."""
        products = [each for each in products_in(archive) if each.state is State.SHARE]
        assert len({product.frame_id for product in products}) == len(products)
        return {
            product.frame_id: (
                archive / "products" / product.id.hex() / "received.occ"
            ).read_bytes() for product in products
        }

    def is_delivered(self) -> bool:
        """Whether both have a share of every sensitive frame, and nothing waits on board."""
        names = {frame.name for frame in self.frames if frame.is_sensitive}
        health = self.health()
        return (
            bool(health) and not health["spool_items"]
            and names == set(self.shares(self.archive)) == set(self.shares(self.other))
        )

    def restore(self, out: Path, *folders: Path) -> bytes:
        done = call(
            "ground", "recover", *folders, "--key", self.folder / "ground/recipient.key",
            "--satellite", self.folder / "ground/satellite.pub", "-o", out, "--json",
        )
        assert done.status == 0, done.err
        assert done.json["intact"] is done.json["authentic"] is True
        return (out / "carrier.jpg").read_bytes()


def body(share: bytes) -> bytes:
    """A share without its header, of which some fields are the same in all."""
    return share[header_size(parse_clear(share)) :]


def windows(data: bytes, size: int = 16) -> set[bytes]:
    return {data[at : at + size] for at in range(len(data) - size + 1)}


@pytest.fixture
def mission(tmp_path):
    with Shared(tmp_path) as mission:
        yield mission


def test_each_holder_gets_its_own_share_and_both_restore_the_frame(mission, tmp_path):
    mission.start(GROUND, HOLDER, LINK, ONBOARD)
    mission.offer(is_sensitive=True)
    mission.offer(is_private=False)
    mission.until(lambda: mission.is_delivered() and len(products_in(mission.other)) == 2)
    (seed,), (cipher,) = (
        mission.shares(archive).values() for archive in (mission.archive, mission.other)
    )
    assert (parse_clear(seed).index, parse_clear(cipher).index) == (0, 1)
    assert len(seed) < 1024 < len(body(cipher)) and body(seed) == b""
    # Not a byte of the other's is anywhere in a holder's folder, whatever the node keeps there.
    secret = seed[header_size(parse_clear(seed)) - 200 :]
    for folder, others in ((GROUND, body(cipher)), (HOLDER, secret)):
        held = windows(b"\0".join(mission.files(folder).values()))
        assert not windows(others) & held, folder
    assert sorted(each.scheme for each in products_in(mission.other)) == ["reversible", "shares"]
    assert not (mission.folder / HOLDER / "recipient.key").exists()
    refused = call("ground", "command", "--config", mission.folder / HOLDER / "ground.yaml",
                   "are-you-alive")
    assert refused.status == 5
    assert b"may not command satellite: its link key is a holder's" in refused.out
    shown = call("ground", "command", "--config", mission.folder / HOLDER / "ground.yaml", "status")
    assert shown.status == 0 and b"satellite.onboard." not in shown.out
    mission.stop()
    picture = mission.frames[0].picture.read_bytes()
    assert mission.restore(tmp_path / "out", mission.archive, mission.other) == picture
    alone = call("ground", "recover", mission.other, "-o", tmp_path / "alone",
                 "--key", mission.folder / "ground/recipient.key")
    assert alone.status != 0 and b"share" in alone.err.encode()
    assert not (tmp_path / "alone/carrier.jpg").exists()
    assert mission.troubles() == []


def test_the_daemon_is_killed_in_the_middle_of_a_set(mission, tmp_path):
    """What its camera offers again is there once, whatever step the crash came at; a holder that
    comes late gets its shares then, and nobody else does."""
    mission.start(GROUND, LINK)
    for step in STEPS:
        mission.start_dying(step)
        mission.offer_picture(mission.next_frame(is_sensitive=True))
        with pytest.raises(AssertionError, match="ended"):
            mission.until(lambda: False)
        assert mission.wait_for_end(ONBOARD) == -9
        mission.start(ONBOARD)
        mission.until(mission.feed.is_idle)
        mission.kill(ONBOARD)
    mission.start(ONBOARD)
    mission.until(lambda: mission.health().get("spool_items") == len(STEPS))
    left = {
        (place / "data").read_bytes() for place in (mission.spool / "products").iterdir()
    }
    assert {parse_clear(share).index for share in left} == {1}
    mission.start(HOLDER)
    mission.until(mission.is_delivered)
    assert [len(products_in(each)) for each in (mission.archive, mission.other)] == [2, 2]
    ours, theirs = mission.shares(mission.archive), mission.shares(mission.other)
    assert set(theirs.values()) == left
    shown = call("ground", "list", "--archive", mission.other, "--json").json
    assert {(each["state"], each["verdict"]) for each in shown} == {
        ("share", "share 2 of 2, needs 2, authentic")
    }
    mission.stop()
    for frame in mission.frames:
        parts = []
        for letter, shares in (("a", ours), ("b", theirs)):
            parts.append(tmp_path / f"{frame.name}-{letter}.occ")
            parts[-1].write_bytes(shares[frame.name])
        assert mission.restore(tmp_path / frame.name, *parts) == frame.picture.read_bytes()
    assert mission.troubles() == []
