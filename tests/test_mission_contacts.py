"""Whole missions out of contact: windows that nobody comes to, and a ground that never comes.

Contact windows are far apart; the satellite's clock is set from one to the next. Its timers are
not, so that what is waited for here is longer than any of them.
"""

import os
import time
from collections import Counter
from copy import deepcopy

import pytest

from occulta.link.security import LinkKey, Role
from occulta.program.filestore import PARTS
from occulta.program.linkkeys import encode_link_keys
from sim.scenario.mission import free_ports
from tests.missions import GROUND, LINK, ONBOARD, Mission

ROOM = 1 << 20
WINDOWS, LENGTH, GAP = 6, 1000.0, 10_000.0
LIMIT = 1.0
"""Seconds of silence that end a transaction, while there is contact."""
SCENARIO = f"""
frames: {{count: 2, megapixels: 0.8}}
cfdp: {{ack_interval: 0.2, nak_interval: 0.2, inactivity: {LIMIT}}}
onboard: {{rate: 800000, spool: {{max_bytes: {ROOM}, when_full: refuse}}}}
"""


class Passes:
    """A mission whose satellite has six contact windows, a long time from now."""

    def __init__(self, mission):
        self.mission = mission
        self.first = time.time() + GAP
        starts = [self.first + number * GAP for number in range(WINDOWS)]
        with mission.edited(ONBOARD) as options:
            options["destinations"][0]["contacts"] = [[at, at + LENGTH] for at in starts]

    def enter(self, number):
        self.set_clock(self.first + number * GAP + 1)

    def leave(self, number):
        """Until the daemon knows, and transactions would have ended, had they noticed."""
        self.set_clock(self.first + number * GAP + LENGTH)
        self.mission.until(lambda: self.mission.health().get("contact") == 0)
        self.wait()

    def set_clock(self, at):
        self.mission.set_clock(ONBOARD, at - time.time())

    def wait(self, seconds=2 * LIMIT):
        """For longer than any limit of a transaction, by the daemon's own time."""
        until = self.mission.health()["uptime"] + seconds
        self.mission.until(lambda: self.mission.health()["uptime"] >= until)

    def parts(self):
        """Octets of the data that the ground has of files in transfer."""
        return sum(size_of(path) for path in (self.mission.archive / "inbox" / PARTS).glob("*"))

    def check(self):
        names = Counter(product.frame_id for product in self.mission.products())
        assert names == {frame.name: 1 for frame in self.mission.frames}
        assert self.mission.faults() == [] == self.mission.troubles()


def spooled_octets(mission):
    return sum(size_of(path) for path in (mission.spool / "products").rglob("data"))


def size_of(path):
    try:
        return path.stat().st_size
    except FileNotFoundError:  # it was completed meanwhile
        return 0


def test_the_ground_is_absent_for_many_contacts(tmp_path):
    with Mission(tmp_path, SCENARIO) as mission:
        go_through(Passes(mission), mission)


def go_through(passes, mission):
    mission.start(GROUND, LINK, ONBOARD, has_own_clock=True)
    mission.offer(2)
    assert mission.health()["contact"] == 0 and mission.products() == []
    passes.enter(0)
    mission.until(passes.parts)
    passes.leave(0)  # the relay is there all the time: the ground cannot see that the pass is over
    received = passes.parts()
    assert received > 0 and mission.products() == []
    mission.kill(GROUND)
    mission.kill(LINK)
    for number in (1, 2, 3):  # nobody is there
        passes.enter(number)
        mission.offer()
        passes.wait(LIMIT)
        assert mission.health()["contact"] == 0
    passes.leave(3)
    while mission.feed.is_idle():  # until the spool is full
        mission.offer_picture(mission.next_frame(is_private=False))
        passes.wait(LIMIT)
    assert spooled_octets(mission) <= ROOM
    assert not mission.said(GROUND, " ended: ")
    mission.kill(ONBOARD)  # and nobody for long
    passes.enter(4)
    with mission.edited(ONBOARD) as options:
        options["destinations"][0]["rate"] *= 2
    mission.start(GROUND, LINK, ONBOARD, has_own_clock=True)
    assert passes.parts() >= received
    mission.until(lambda: len(mission.products()) > 1)
    passes.leave(4)
    passes.enter(5)
    mission.until(mission.feed.is_idle)
    mission.until(mission.is_settled)
    passes.check()
    mission.stop()


ABSENT = 3


def add_absent(mission):
    """A second destination, which nobody listens for."""
    (port,) = free_ports(1)
    keys = mission.folder / ONBOARD / "absent.keys"
    keys.write_bytes(encode_link_keys([LinkKey(1, Role.COMMANDER, os.urandom(32))]))
    keys.chmod(0o600)
    with mission.edited(ONBOARD) as options:
        absent = deepcopy(options["destinations"][0]) | {
            "entity": ABSENT, "name": "absent", "address": f"tcp://127.0.0.1:{port}",
            "link_keys": "absent.keys",
        }
        options["destinations"].append(absent)


def spooled(mission):
    return {path.name for path in (mission.spool / "products").iterdir()}


@pytest.fixture
def mission(tmp_path):
    with Mission(tmp_path) as found:
        yield found


def test_a_second_destination_never_comes(mission):
    add_absent(mission)
    mission.start(GROUND, LINK, ONBOARD)
    mission.offer(3)
    names = {frame.name for frame in mission.frames}
    mission.until(lambda: mission.recovered() == names)
    ids = {product.id.hex() for product in mission.products()}
    mission.until(lambda: mission.health().get("transactions_open") == 0)
    assert spooled(mission) == ids
    mission.kill(ONBOARD)
    mission.start(ONBOARD)
    gone = min(ids)
    assert mission.command("cancel", product=gone).accepted
    assert spooled(mission) == ids - {gone}
    again = mission.command("cancel", product=gone)
    assert not again.accepted and "no such product" in again.detail
    mission.offer()  # there is room again
    mission.until(lambda: len(mission.recovered()) == 4)
    assert mission.command("purge", priority=0).accepted
    mission.until(mission.is_settled)
    assert spooled(mission) == set()
    assert mission.faults() == [] == mission.troubles()
    mission.stop()
