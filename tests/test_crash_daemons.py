"""The real programs, killed again and again while a mission goes on: nothing is lost or doubled.

Frames are offered one after another; meanwhile the flight daemon, the ground node and the relay
are killed by SIGKILL at seeded random moments, and started again at once with what the disk holds.
Every other kill of the flight daemon waits for a frame that is being taken in. Of the others, one
in five comes soon after the start, while the program may not work yet; the rest wait for another
frame to be stored since the last kill, so that the mission goes on. Each program is killed 6 times;
OCCULTA_KILLS in the environment is another number, and OCCULTA_SEED another seed than 1:

    OCCULTA_KILLS=50 python3 dev.py test tests/test_crash_daemons.py

Seeds decide how long after which step a program is killed; how far it has come by then is up to
the machine.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from contextlib import suppress
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import pytest

from ground.inbox import check_digest, is_product_name, read_pair
from ground.product import CARRIER, DATA, ITEMS, PRODUCTS, REPORT, SETTLED, received_name
from occulta.link.security import Direction
from occulta.link.security.state import SenderState, decode
from sim.private import customer_file
from sim.scenario.check import check, products_in
from sim.scenario.config import load
from sim.scenario.driver import read_json
from sim.scenario.feed import Feed
from sim.scenario.frames import take_frames
from sim.scenario.mission import GROUND, LINK, ONBOARD, provision
from sim.scenario.processes import GRACE, Process

KILLS = int(os.environ.get("OCCULTA_KILLS", "6"))
SEED = os.environ.get("OCCULTA_SEED", "1")
SCENARIO = """
frames: {count: 4, megapixels: 0.1}
link: {down: {rate: 2000000, delay: 0.004}, up: {delay: 0.004}}
cfdp: {ack_interval: 1.0, nak_interval: 1.0}
onboard: {rate: 1800000}
"""
READY = {GROUND: "running, entity", ONBOARD: "running, entity", LINK: "listening:"}
SENDING = {ONBOARD: Direction.DOWN, GROUND: Direction.UP}
PRIVATE_SIZE = 600
SENSITIVE_EVERY = 5
AHEAD = 3
"""Frames on board that the ground has not recovered yet."""
LONGEST_LIFE, LONGEST_INTAKE = 1.5, 0.03
"""Seconds from a frame's being stored, or from its beginning, to the kill."""
START_SHARE = 0.5
"""Of the longest life: about what a program needs until it works."""
TIME_LIMIT = 180.0 + 15.0 * KILLS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="children are listed by /proc")


# --- one program


class Plan:
    """When a life ends: so many seconds after its start, a frame stored, or one being taken in."""

    def __init__(self, generator, life, is_onboard):
        self.is_aimed = is_onboard and life % 2 == 0
        self.is_early = not self.is_aimed and generator.random() < 0.2
        self.seconds = generator.uniform(0, LONGEST_INTAKE if self.is_aimed else LONGEST_LIFE)
        self.seconds *= START_SHARE if self.is_early else 1
        self._at = None

    def is_due(self, now, is_taking_in, has_gone_on):
        counts = is_taking_in if self.is_aimed else has_gone_on or self.is_early
        if not counts:
            self._at = None
        elif self._at is None:
            self._at = now + self.seconds
        return counts and now >= self._at


class Program:
    """One program through all its lives."""

    def __init__(self, name, mission, logs):
        self.name, self.kills, self.in_intake, self.in_start = name, 0, 0, 0
        self.lives, self.children = [], set()
        self._mission, self._logs = mission, logs
        self._generator = random.Random(f"{SEED} {name}")
        self._numbers = []
        self._stored = 0
        self._start(mission.arguments(name))

    def _start(self, arguments):
        log = self._logs / f"{self.name}-{len(self.lives)}.log"
        self.process = Process(self.name, arguments, log)
        self._plan = Plan(self._generator, len(self.lives), self.name == ONBOARD)
        self._is_ready = self._is_killed = False
        self.lives.append(self.process)

    @property
    def is_ready(self):
        self._is_ready = self._is_ready or READY[self.name] in self.process.text()
        return self._is_ready

    def is_dead(self):
        """Whether it was killed; nothing else may end it."""
        if self.process.poll() is None:
            return False
        assert self._is_killed and self.process.status == -signal.SIGKILL, self.process.complaint()
        return True

    def kill_if_due(self, now, is_taking_in, stored):
        if self._is_killed or self.kills == KILLS:
            return
        if self._plan.is_due(now, is_taking_in and self.is_ready, stored > self._stored):
            self._look_for_children()
            self.process.signal(signal.SIGKILL)
            self._is_killed, self._stored = True, stored
            self.kills += 1
            self.in_intake += is_taking_in
            self.in_start += not self.is_ready

    def start_again(self):
        self._note_number()
        arguments = self._mission.arguments(self.name)
        self._start([word for word in arguments if word != "--initialise"])

    def _note_number(self):
        """A life that could send had an epoch number of its own: no (key, IV) pair comes twice."""
        if self.name in SENDING:
            (state,) = (self._mission.folder / self.name).glob("state/links/*.sender")
            number = decode(state.read_bytes(), SenderState, SENDING[self.name]).number
            before = self._numbers[-1] if self._numbers else 0
            assert number > before or number == before and not self.is_ready
            self._numbers.append(number)

    def _look_for_children(self):
        self.process.measure()
        self.children |= self.process.peaks.keys() - {self.process.pid}

    def end(self):
        """Whatever it does, and whatever it left behind."""
        self._look_for_children()
        self.process.signal(signal.SIGKILL)
        for pid in filter(is_running, self.children):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def is_running(pid):
    """Whether there is such a process, and it is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# --- all of them


class Crashes:
    """A mission whose programs are killed; a context that leaves none behind."""

    def __init__(self, folder):
        (folder / "crashes.yaml").write_text(SCENARIO)
        scenario = load(folder / "crashes.yaml")
        self.mission = provision(scenario, folder / "mission", folder / "archive")
        self.frames, self.recovered, self.programs = [], set(), {}
        self._pictures = cycle(take_frames(scenario, [], folder / "frames"))
        self._folder = folder
        self._originals, self._secrets = set(), set()
        self._feed = Feed(self.mission.camera, self.mission.payload)
        self._is_taking_in = False
        self._began, self._next_look = time.monotonic(), 0.0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._feed.__exit__(*error)
        for program in self.programs.values():
            program.end()

    # What happens.

    def start(self):
        """All programs for the first time."""
        (self._folder / "logs").mkdir()
        for name in (GROUND, ONBOARD, LINK):
            self.programs[name] = Program(name, self.mission, self._folder / "logs")
        self._wait(lambda: all(program.is_ready for program in self.programs.values()))

    def offer(self, is_private=True):
        """One more frame; returns once it was acknowledged."""
        frame = self._take(is_private)
        self._feed.offer_private(frame)
        self.go_on(self._feed.is_idle)
        self._feed.offer(frame)
        self._is_taking_in = True
        self.go_on(self._feed.is_idle)
        self._is_taking_in = False
        self.frames.append(frame)

    def _take(self, is_private):
        number = len(self.frames) + 1
        frame = replace(
            next(self._pictures), name=f"frame-{number}", item=f"private-{number}", private=None,
            is_sensitive=number % SENSITIVE_EVERY == 0,
        )
        self._originals.add(frame.picture.read_bytes())
        if frame.is_sensitive or not is_private:
            return frame
        private = self._folder / f"private-{number}"
        private.write_bytes(customer_file(number, PRIVATE_SIZE))
        self._secrets.add(private.read_bytes())
        return replace(frame, private=private)

    def go_on(self, is_so):
        """Until something is so; kills and starts again meanwhile."""
        while not is_so():
            self._feed.update(0.004)
            now = time.monotonic()
            assert now < self._began + TIME_LIMIT, self.state()
            for program in self.programs.values():
                if program.is_dead():
                    self.check_files()
                    program.start_again()
                is_taking_in = self._is_taking_in and not self._feed.is_idle()
                program.kill_if_due(now, is_taking_in, len(self.frames))
            if now >= self._next_look and self.programs[GROUND].is_ready:
                self._next_look = now + 0.1
                self._note_recoveries()

    def _wait(self, is_so):
        while not is_so():
            assert time.monotonic() < self._began + TIME_LIMIT, self.state()
            self._feed.update(0.02)

    def stop(self):
        """As an operator does; each has to end well."""
        for program in self.programs.values():
            program.process.signal(signal.SIGTERM)
        began = time.monotonic()
        for program in self.programs.values():
            self._wait(lambda program=program: program.process.poll() is not None)
            assert program.process.status == 0, program.process.complaint()
        assert time.monotonic() < began + GRACE

    # What is known.

    def _note_recoveries(self):
        found = products_in(self.mission.archive)
        self.recovered |= {each.frame_id for each in found if each.state in SETTLED}

    def all_recovered(self):
        return {frame.name for frame in self.frames} <= self.recovered

    def may_offer(self):
        """Whether the ground is not too far behind."""
        return len(self.frames) - len(self.recovered) < AHEAD

    def has_kills_left(self):
        return any(program.kills < KILLS for program in self.programs.values())

    def is_private_missing(self):
        """Some may wait on board for a frame to take it along."""
        found = {path.stem for path in (self.mission.archive / ITEMS).glob("*/*.bin")}
        return not {frame.item for frame in self.frames if frame.private} <= found

    def is_nothing_on_board(self):
        health = read_json(self.mission.health)
        is_its = health.get("pid") == self.programs[ONBOARD].process.pid
        return is_its and not (health["spool_items"] or health["transactions_open"])

    def state(self):
        """For a run that does not end."""
        kills = {name: program.kills for name, program in self.programs.items()}
        missing = [each.name for each in self.frames if each.name not in self.recovered]
        return f"kills {kills}, {len(self.frames)} frames, {missing} missing in {self._folder}"

    # What must hold at any moment.

    def check_files(self):
        """Whatever bears a final name is whole."""
        for name, path in self._products(self.mission.folder / ONBOARD / "spool" / PRODUCTS):
            with suppress(FileNotFoundError):  # it was delivered, and is being removed
                check_digest(path / DATA, read_pair(path, {}).data.sha256), name
        for _, path in self._products(self.mission.archive / PRODUCTS):
            self._check_archived(path)
        for path in (self.mission.archive / ITEMS).glob("*/*.bin"):
            assert path.read_bytes() in self._secrets

    def _products(self, folder):
        if folder.is_dir():
            yield from ((p.name, p) for p in folder.iterdir() if is_product_name(p.name))

    def _check_archived(self, folder):
        pair = read_pair(folder, {})
        names = {path.name for path in folder.iterdir()}
        (data,) = names & {DATA, received_name(pair.manifest.scheme)}
        with suppress(FileNotFoundError):  # it is being given its other name
            check_digest(folder / data, pair.data.sha256)
        if CARRIER in names:
            assert (folder / CARRIER).read_bytes() in self._originals
        if REPORT in names:
            assert json.loads((folder / REPORT).read_bytes())["product"] == folder.name
        for path in folder.glob("private*.bin"):
            assert path.read_bytes() in self._secrets


def test_nothing_is_lost_or_doubled_whatever_is_killed(tmp_path):
    with Crashes(tmp_path) as crashes:
        crashes.start()
        while crashes.has_kills_left():
            crashes.offer()
            crashes.go_on(crashes.may_offer)
        crashes.go_on(crashes.all_recovered)
        while crashes.is_private_missing():
            crashes.offer(is_private=False)
            crashes.go_on(crashes.all_recovered)
        crashes.go_on(crashes.is_nothing_on_board)
        crashes.stop()
        crashes.check_files()
        programs = crashes.programs.values()
        print("\n".join(f"{p.name}: {p.kills} kills, {p.in_intake} in intake, "
              f"{p.in_start} in start" for p in programs), len(crashes.frames), "frames")
    assert [program.kills for program in programs] == [KILLS] * 3
    assert crashes.programs[ONBOARD].in_intake >= KILLS // 2
    assert [line for p in programs for life in p.lives for line in life.troubles()] == []
    assert check(crashes.mission.archive, crashes.frames)[1] == []
    assert not [pid for program in programs for pid in program.children if is_running(pid)]
