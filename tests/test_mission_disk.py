"""Whole missions whose disk is full, on either side.

The programs go on with what needs no disk; nothing is acknowledged that is not stored; and once
there is room again, everything that was acknowledged arrives.
"""

import pytest
import zmq

from occulta.errors import Reason
from occulta.link.endpoint import Client, Settings
from occulta.link.messages import (
    MAX_MESSAGE,
    Credit,
    FrameBegin,
    FrameChunk,
    FrameRefused,
    ToCamera,
    decode,
    encode,
)
from sim.transfer import DAEMON
from tests.missions import GROUND, LINK, ONBOARD, Mission, refusals
from tests.small_disk import small_disk

OTHER_CAMERA = "camera-2"
NO_ROOM = Reason.DISK_FULL.value


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk") as found:
        yield found


def only_of_the_disk(mission):
    """Whatever was complained of is the full disk."""
    troubles = mission.troubles()
    return bool(troubles) and all("no room" in line for line in troubles)


def test_no_room_on_board(tmp_path, disk):
    with Mission(tmp_path) as mission:
        mission.spool = disk.folder / "spool"
        with mission.edited(ONBOARD) as options:
            options |= {"spool_dir": str(mission.spool), "state_dir": str(disk.folder / "state")}
            options["camera"]["clients"].append({"name": OTHER_CAMERA})
        mission.start(GROUND, LINK, ONBOARD)
        mission.offer()
        mission.until(mission.is_settled)
        fill_in_mid_intake(mission, disk)
        go_on_without_a_disk(mission)
        disk.free()
        mission.until(mission.feed.is_idle)
        assert mission.command("hold", destination=2).accepted
        assert mission.command("resume", destination=2).accepted
        mission.until(mission.is_settled)
        start_without_a_disk(mission, disk)
        mission.until(mission.is_settled)
        assert mission.faults() == []
        assert only_of_the_disk(mission)
        mission.stop()


def fill_in_mid_intake(mission, disk):
    """What is being taken in is refused for now, and leaves nothing."""
    frame = mission.next_frame(is_private=False)
    octets = frame.picture.read_bytes()
    begin = FrameBegin("half", OTHER_CAMERA, len(octets), 0.0, False, {})
    with zmq.Context() as context:
        camera = Client(
            context, mission.made.camera, DAEMON, Settings(MAX_MESSAGE), OTHER_CAMERA.encode()
        )
        said = []

        def hears(kind):
            said.extend(decode(data, ToCamera) for _, data in camera.receive(8))
            return any(isinstance(message, kind) for message in said)

        mission.until(lambda: not hears(Credit) and camera.send(DAEMON, encode(begin)))
        mission.until(lambda: hears(Credit))
        camera.send(DAEMON, encode(FrameChunk("half", 0, octets[:4096])))
        mission.until(lambda: any((mission.spool / "products").iterdir()))
        disk.fill()
        camera.send(DAEMON, encode(FrameChunk("half", 4096, octets[4096:])))
        mission.until(lambda: hears(FrameRefused))
        camera.close()
    refused = said[-1]
    assert (refused.frame_id, refused.reason, refused.retry) == ("half", NO_ROOM, True)
    assert list((mission.spool / "products").iterdir()) == []


def go_on_without_a_disk(mission):
    """Frames wait, telecommands are answered, telemetry comes, also in a new contact."""
    mission.offer_picture(mission.next_frame(is_private=False))
    mission.until(lambda: refusals(mission) >= 2)
    assert not mission.feed.is_idle()
    answer = mission.command("hold", destination=2)
    assert not answer.accepted and str(NO_ROOM) in answer.detail
    mission.kill(LINK)
    mission.until(lambda: mission.health()["contact"] == 0)
    mission.start(LINK)
    before = mission.health()["uptime"]
    name = "satellite.onboard.uptime"
    mission.until(lambda: mission.counters().get(name, 0) > before)
    assert mission.command("report-housekeeping", structure=1).accepted


def start_without_a_disk(mission, disk):
    """It works with what needs no disk, says what is wrong, and has lost nothing."""
    mission.kill(LINK)
    mission.offer()
    disk.fill()
    mission.kill(ONBOARD)
    stored = {path for path in (mission.spool / "products").rglob("*") if path.is_file()}
    assert len(stored) == 3
    mission.start(ONBOARD)
    mission.until(lambda: f"error {NO_ROOM}" in mission.processes[ONBOARD].text())
    assert {path for path in stored if path.exists()} == stored
    disk.free()
    mission.start(LINK)


def test_no_room_on_the_ground(tmp_path, disk):
    with small_disk(tmp_path / "other disk") as other, Mission(tmp_path) as mission:
        mission.archive = disk.folder / "archive"
        with mission.edited(GROUND) as options:
            options |= {"archive_dir": str(mission.archive),
                        "state_dir": str(other.folder / "state")}
        mission.start(GROUND, LINK, ONBOARD)
        mission.offer()
        mission.until(mission.is_settled)
        disk.fill()
        mission.offer()
        check_that_nothing_is_acknowledged(mission, "ended: FILESTORE_REJECTION")
        assert mission.counters()["products.recovered"] == len(mission.frames) - 1
        disk.free()
        mission.until(mission.is_settled)
        other.fill()
        mission.offer()
        check_that_nothing_is_acknowledged(mission, f"transfers: error {NO_ROOM}")
        mission.kill(GROUND)
        mission.start(GROUND)
        check_that_nothing_is_acknowledged(mission, f"transfers: error {NO_ROOM}")
        other.free()
        mission.until(mission.is_settled)
        assert mission.faults() == []
        assert only_of_the_disk(mission)
        mission.stop()


def check_that_nothing_is_acknowledged(mission, words):
    mission.until(lambda: mission.said(GROUND, words))
    before = mission.health()["uptime"]
    mission.until(lambda: mission.health()["uptime"] > before)
    assert mission.health()["spool_items"] == 1
