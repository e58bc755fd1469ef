"""A whole mission under test: the real programs, on loopback and ipc, and what can be done to them.

    with Mission(tmp_path, "frames: {count: 2, megapixels: 0.1}") as mission:
        mission.start(GROUND, ONBOARD, LINK)
        mission.offer()
        mission.until(mission.is_settled)
        mission.stop()
"""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import cycle

import yaml

from ground.command import ask
from ground.product import SETTLED
from occulta.link.messages import CommandRequest, StatusRequest
from sim.private import customer_file
from sim.scenario.check import check, products_in
from sim.scenario.config import load
from sim.scenario.driver import read_json
from sim.scenario.feed import Feed
from sim.scenario.frames import take_frames
from sim.scenario.mission import GROUND, LINK, ONBOARD, provision
from sim.scenario.processes import GRACE, Process

READY = {GROUND: "running, entity", ONBOARD: "running, entity", LINK: "listening:"}
SMALL = """
frames: {count: 2, megapixels: 0.1}
cfdp: {ack_interval: 1.0, nak_interval: 1.0}
"""
PRIVATE_SIZE = 600
LIMIT = 120.0
"""Seconds that anything may take, on a slow machine and the plain kernel."""


class Mission:
    """Programs of one mission; a context that leaves none behind. Frames are offered one by one."""

    def __init__(self, folder, scenario=SMALL):
        (folder / "mission.yaml").write_text(scenario)
        settings = load(folder / "mission.yaml")
        self.made = provision(settings, folder / "mission", folder / "archive")
        self.folder, self.archive = self.made.folder, self.made.archive
        self.spool = self.folder / ONBOARD / "spool"
        self.frames, self.processes, self.lives = [], {}, []
        self._pictures = cycle(take_frames(settings, [], folder / "frames"))
        self._logs = folder / "logs"
        self._logs.mkdir()
        self._feed = None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self._feed is not None:
            self._feed.__exit__(*error)
        for process in self.processes.values():
            process.signal(signal.SIGKILL)
            while process.poll() is None:
                time.sleep(0.01)

    # Configuration and clocks, before a start.

    def file(self, program):
        """A program's configuration."""
        folder, name = ("sim", "link") if program == LINK else (program, program)
        return self.folder / folder / f"{name}.yaml"

    @contextmanager
    def edited(self, program):
        """A program's options, written back with what is changed."""
        options = yaml.safe_load(self.file(program).read_bytes())
        yield options
        self.file(program).write_text(yaml.safe_dump(options, sort_keys=False))

    def set_clock(self, program, seconds):
        """The program's clock (not its timers) is off by so much, from now on; it must be started
        with `has_own_clock`."""
        self._offset(program).write_text(str(seconds))

    def _offset(self, program):
        return self.folder / f"{program}.clock"

    # Programs.

    def start(self, *programs, initialise=None, has_own_clock=False):
        """Start programs and wait until each works. They are initialised the first time."""
        for program in programs:
            self.launch(program, initialise=initialise, has_own_clock=has_own_clock)
        self.until(lambda: all(self.is_ready(program) for program in programs))

    def launch(self, program, initialise=None, has_own_clock=False):
        """Start a program, and do not wait."""
        is_first = not any(life.name == program for life in self.lives)
        initialise = is_first if initialise is None else initialise
        words = self.made.arguments(program)
        words = [word for word in words if initialise or word != "--initialise"]
        if has_own_clock:
            words = ["tests.own_clock", str(self._offset(program)), *words]
        log = self._logs / f"{program}-{len(self.lives)}.log"
        self.processes[program] = Process(program, words, log)
        self.lives.append(self.processes[program])
        return self.processes[program]

    def is_ready(self, program):
        """Whether it works by now; fails if it has ended."""
        process = self.processes[program]
        assert process.poll() is None, process.complaint()
        return READY[program] in process.text()

    def kill(self, program):
        """As a power failure does."""
        self.processes[program].signal(signal.SIGKILL)
        self.wait_for_end(program)

    def stop(self, *programs):
        """As an operator does, all if none is named; each has to end well."""
        names = programs or tuple(self.processes)
        for name in names:
            self.processes[name].signal(signal.SIGTERM)
        began = time.monotonic()
        for name in names:
            assert self.wait_for_end(name) == 0, self.processes[name].complaint()
        assert time.monotonic() < began + GRACE

    def wait_for_end(self, program):
        """Its exit status."""
        self._wait_for(lambda: self.processes[program].poll() is not None, LIMIT)
        return self.processes.pop(program).status

    # Frames.

    @property
    def feed(self):
        """The camera and the payload program, connected once they are needed."""
        if self._feed is None:
            self._feed = Feed(self.made.camera, self.made.payload)
        return self._feed

    def next_frame(self, is_private=True, is_sensitive=False):
        """A frame that was not offered yet."""
        number = len(self.frames) + 1
        frame = replace(
            next(self._pictures), name=f"frame-{number}", item=f"private-{number}", private=None,
            is_sensitive=is_sensitive,
        )
        if not is_private or is_sensitive:
            return frame
        path = self._logs.parent / f"private-{number}"
        path.write_bytes(customer_file(number, PRIVATE_SIZE))
        return replace(frame, private=path)

    def offer(self, count=1, **kind):
        """Frames, one after another; returns once each was acknowledged."""
        for _ in range(count):
            frame = self.next_frame(**kind)
            self.offer_private(frame)
            self.offer_picture(frame)
            self.until(self.feed.is_idle)

    def offer_private(self, frame):
        """Its private data first, until it is acknowledged."""
        self.feed.offer_private(frame)
        self.until(self.feed.is_idle)

    def offer_picture(self, frame):
        """Begin to offer a frame, and do not wait for the answer; `until` goes on with it."""
        self.feed.offer(frame)
        self.frames.append(frame)

    def until(self, is_so, limit=LIMIT):
        """Until something is so; frames are fed meanwhile, and no program may end."""
        def is_so_and_well():
            for process in self.processes.values():
                assert process.poll() is None, process.complaint()
            return is_so()

        self._wait_for(is_so_and_well, limit)

    def _wait_for(self, is_so, limit):
        deadline = time.monotonic() + limit
        while not is_so():
            assert time.monotonic() < deadline, f"not within {limit} s: see {self._logs}"
            if self._feed is None:
                time.sleep(0.02)
            else:
                self._feed.update(0.02)

    # What is known.

    def health(self):
        """What the daemon that runs now said of itself last; nothing if it has not yet."""
        health = read_json(self.made.health)
        process = self.processes.get(ONBOARD)
        return health if process is not None and health.get("pid") == process.pid else {}

    def counters(self):
        """What the ground node counts, telemetry of the satellite included."""
        return dict(ask(self.made.console, StatusRequest()).counters)

    def command(self, name, **arguments):
        """A telecommand through the ground node; the answer."""
        return ask(self.made.console, CommandRequest(name, arguments))

    def products(self):
        """All products in the archive."""
        return products_in(self.archive)

    def recovered(self):
        """Names of the frames whose recovery has ended."""
        return {product.frame_id for product in self.products() if product.state in SETTLED}

    def is_settled(self):
        """Whether every frame was recovered, and nothing waits on board."""
        if not {frame.name for frame in self.frames} <= self.recovered():
            return False
        health = self.health()
        return bool(health) and not (health["spool_items"] or health["transactions_open"])

    def faults(self):
        """What the archive has too much, too little or wrong; private data included."""
        return check(self.archive, self.frames)[1]

    def troubles(self):
        """Lines that tell of errors in the logs of all lives."""
        return [line for life in self.lives for line in life.troubles()]

    def said(self, program, words):
        """Whether any life of a program said something."""
        lives = [life for life in self.lives if life.name == program]
        return any(words in life.text() for life in lives)

    def files(self, program):
        """All files of a program's folder by now, with their contents."""
        found = {}
        for path in sorted((self.folder / program).rglob("*")):
            with suppress(OSError):  # gone meanwhile, or a socket
                if path.is_file():
                    found[path] = path.read_bytes()
        return found


def refusals(mission):
    """How often the daemon that runs now has refused frames at their beginning."""
    health = mission.health()
    done = health.get("frames_protected", 0) + health.get("frames_discarded", 0)
    return health.get("frames_in", 0) - done
