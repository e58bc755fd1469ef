"""Takes a scenario through its programs: feeds them, opens the pass, waits for the last frame."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ground.command import ask
from ground.product import SETTLED, SHARES, Product
from occulta.link.messages import Status, StatusRequest
from sim.scenario.check import products_in
from sim.scenario.feed import Feed
from sim.scenario.frames import Frame
from sim.scenario.mission import GROUND, LINK, ONBOARD, Mission
from sim.scenario.processes import Processes

_LOOK = 0.2
"""Seconds between two looks at the programs and at the archive."""
_READY = {GROUND: "running, entity", ONBOARD: "running, entity", LINK: "listening:"}
"""What a program says once it works."""


class TimeLimitPassed(Exception):
    """Not everything arrived in time."""


class Driver:
    """One run. Times are seconds from its beginning."""

    def __init__(
        self, mission: Mission, frames: Sequence[Frame], processes: Processes, limit: float
    ) -> None:
        self.stored: dict[str, float] = {}
        """When each frame was durable on board, by its name."""
        self.recovered: dict[str, float] = {}
        """When each frame was seen to be at every node, and its recovery to have ended."""
        self.pass_began = 0.0
        self.counters: dict[str, int] = {}
        """What the ground node counted."""
        self._mission = mission
        self._frames = frames
        self._processes = processes
        self._began = time.monotonic()
        self._limit = limit
        self._next_look = 0.0

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def run(self, pass_after: int) -> None:
        """Until the last frame is recovered.

        Raises ProcessFailed, Refused, Interrupted, TimeLimitPassed, OccultaError, PacketError and
        OSError.
        """
        for name in (*self._mission.archives, ONBOARD):
            self._start(name)
        with Feed(self._mission.camera, self._mission.payload) as feed:
            for number, frame in enumerate(self._frames):
                if number == pass_after:
                    self._begin_pass()
                self._feed(feed, frame)
        if LINK not in self._processes.all:
            self._begin_pass()
        self._wait(self._all_recovered)
        self._wait(self._nothing_on_board)
        self._ask_ground()

    def _start(self, name: str) -> None:
        self._processes.start(name, self._mission.arguments(name))
        words = _READY.get(name, _READY[GROUND])  # another holder's node
        self._wait(lambda: self._processes.has_said(name, words))

    def _begin_pass(self) -> None:
        say("the pass begins")
        self._start(LINK)
        self.pass_began = self.seconds

    def _feed(self, feed: Feed, frame: Frame) -> None:
        feed.offer_private(frame)
        self._wait(feed.is_idle, feed.update)
        feed.offer(frame)
        self._wait(feed.is_idle, feed.update)
        self.stored[frame.name] = self.seconds
        say(f"{frame.name} is stored on board")

    def _wait(
        self, is_so: Callable[[], bool], pause: Callable[[float], object] = time.sleep
    ) -> None:
        """Until something is so; looks at everything else meanwhile."""
        while not is_so():
            pause(_LOOK / 4)
            now = self.seconds
            if now > self._limit:
                raise TimeLimitPassed(f"the time limit of {self._limit:g} s has passed")
            if now >= self._next_look:
                self._next_look = now + _LOOK
                self._processes.watch()
                self._note_recoveries()

    def _note_recoveries(self) -> None:
        if not self.stored:
            return  # the archive may still be in the making
        ground, *others = map(products_in, self._mission.archives.values())
        arrived = [{each.frame_id for each in products if _is_done(each)} for products in others]
        for product in ground:
            frame = product.frame_id
            if product.state in SETTLED and frame not in self.recovered and all(
                frame in frames for frames in arrived
            ):
                self.recovered[frame] = self.seconds
                say(f"{frame}: {product.verdict}")

    def _all_recovered(self) -> bool:
        return {frame.name for frame in self._frames} <= set(self.recovered)

    def _nothing_on_board(self) -> bool:
        """The satellite knows that everything has arrived."""
        health = read_json(self._mission.health)
        if health.get("frames_protected", 0) < len(self._frames):
            return False  # it is older than that
        return not (health["spool_items"] or health["transactions_open"])

    def _ask_ground(self) -> None:
        reply = ask(self._mission.console, StatusRequest())
        if isinstance(reply, Status):
            self.counters = reply.counters


def _is_done(product: Product) -> bool:
    """Whether a holder has done with a product all that it can without a key."""
    return product.state in SETTLED or product.scheme != SHARES


def read_json(path: Path) -> dict[str, Any]:
    """A program's own file, which it replaces as a whole; nothing where it is not there yet."""
    try:
        return dict(json.loads(path.read_bytes()))
    except (OSError, ValueError):
        return {}


def say(step: str) -> None:
    """Progress goes to standard error; the table alone is the output."""
    print(step, file=sys.stderr, flush=True)
