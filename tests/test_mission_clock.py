"""Whole missions whose clocks are wrong: stepped while they run, at zero, and beyond all fields.

What is believed of a clock is the time in a manifest, in telemetry and of a contact; everything
else goes on as if nothing had happened.
"""

import time
from collections import Counter
from datetime import UTC, datetime

import pytest

from occulta.link.security import Direction
from occulta.link.security.state import SenderState, decode
from occulta.program.filestore import PARTS
from tests.cli import call
from tests.missions import GROUND, LINK, ONBOARD, Mission

DAY = 86_400.0
SLACK = 300.0
"""Seconds that a whole test may take."""
SENDING = {ONBOARD: Direction.DOWN, GROUND: Direction.UP}
SLOW = """
frames: {count: 2, megapixels: 0.1}
cfdp: {ack_interval: 1.0, nak_interval: 1.0, inactivity: 20.0}
onboard: {rate: 200000}
"""


class Clocks:
    """A mission whose clocks are set, and the epoch numbers of all its lives."""

    def __init__(self, mission):
        self.mission = mission
        self.numbers = {ONBOARD: [], GROUND: []}

    def set(self, onboard, ground):
        """By how much both are off from now on."""
        self.mission.set_clock(ONBOARD, onboard)
        self.mission.set_clock(GROUND, ground)

    def start(self, *programs):
        """Each life has an epoch number of its own: no (key, IV) pair comes twice."""
        self.mission.start(*programs, has_own_clock=True)
        for program in programs:
            (state,) = (self.mission.folder / program).glob("state/links/*.sender")
            number = decode(state.read_bytes(), SenderState, SENDING[program]).number
            self.numbers[program].append(number)

    def is_rising(self, program):
        numbers = self.numbers[program]
        return numbers == sorted(set(numbers))

    def offer_in_transfer(self):
        """One more frame, until some of its data is on the ground and some is not."""
        self.mission.offer()
        self.mission.until(self.is_in_transfer)

    def is_in_transfer(self):
        parts = (self.mission.archive / "inbox" / PARTS).rglob("*")
        return any(size_of(path) for path in parts if path.is_file())

    def times(self):
        """By how much the time of each frame's manifest, and of its receipt, is off."""
        now = time.time()
        return {
            product.frame_id: (product.created_at - now, product.received_at - now)
            for product in self.mission.products()
        }

    def check(self):
        """Every frame once, as it was, and nothing gave up on the way."""
        names = Counter(product.frame_id for product in self.mission.products())
        assert names == {frame.name: 1 for frame in self.mission.frames}
        assert self.mission.faults() == [] == self.mission.troubles()
        assert not self.mission.said(GROUND, " ended: ")
        assert self.is_rising(ONBOARD) and self.is_rising(GROUND)


@pytest.fixture
def clocks(tmp_path):
    with Mission(tmp_path, SLOW) as mission:
        yield Clocks(mission)


def size_of(path):
    try:
        return path.stat().st_size
    except FileNotFoundError:  # it was completed meanwhile
        return 0


def about(seconds):
    return pytest.approx(seconds, abs=SLACK)


def test_clocks_are_stepped_in_mid_transfer_and_across_a_kill(clocks):
    mission = clocks.mission
    mission.start(LINK)
    clocks.set(0.0, 0.0)
    clocks.start(GROUND, ONBOARD)
    clocks.offer_in_transfer()
    clocks.set(DAY, -DAY)
    mission.until(mission.is_settled)
    clocks.offer_in_transfer()
    clocks.set(-DAY, DAY)
    mission.until(mission.is_settled)
    assert clocks.times() == {
        "frame-1": (about(0), about(-DAY)), "frame-2": (about(DAY), about(DAY)),
    }
    clocks.offer_in_transfer()
    for onboard, ground in ((2 * DAY, DAY), (-2 * DAY, -2 * DAY)):
        mission.kill(ONBOARD)
        mission.kill(GROUND)
        clocks.set(onboard, ground)
        clocks.start(GROUND, ONBOARD)
    mission.until(mission.is_settled)
    assert clocks.times()["frame-3"] == (about(-DAY), about(-2 * DAY))
    clocks.check()
    revoke(mission, "--since", datetime.fromtimestamp(time.time(), UTC).isoformat())
    mission.until(lambda: revoked(mission) == {"frame-2"})  # by its manifest, not by its receipt
    assert mission.health()["time"] - time.time() == about(-2 * DAY)
    mission.stop()


def revoke(mission, *words):
    key = mission.folder / GROUND / "satellite.pub"
    config = mission.file(GROUND)
    assert call("ground", "revoke", str(key), "--config", str(config), *words).status == 0


def revoked(mission):
    return {product.frame_id for product in mission.products() if product.revoked}


ZERO, OVER_31, ALMOST_32, OVER_32 = 0.0, 2.0**31 - 2, 2.0**32 - 2, 2.0**32 + DAY


def test_a_clock_may_say_anything(clocks):
    """No battery: 1970; counters of 31 and of 32 bits overflow while it runs; then 1970 again."""
    mission = clocks.mission
    mission.start(LINK)
    for clock in (ZERO, OVER_31, ALMOST_32, OVER_32, ZERO):
        off = clock - time.time()
        clocks.set(off, off)
        clocks.start(GROUND, ONBOARD)
        mission.offer(is_private=False)
        mission.until(mission.is_settled)
        created, _ = clocks.times()[mission.frames[-1].name]
        assert created == about(off)
        assert mission.command("are-you-alive").accepted
        mission.stop(GROUND, ONBOARD)
    clocks.check()
    assert max(clocks.numbers[ONBOARD] + clocks.numbers[GROUND]) < 2**32 - 2**24
