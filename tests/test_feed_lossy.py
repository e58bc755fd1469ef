"""Feeders against the daemon's own intake: whatever is lost, everything is stored exactly once.

Proves by machines of Hypothesis, which lose messages either way, break connections, let time pass
and restart the daemon, that in the end all frames and items are in the spool, each once and whole.
"""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from occulta.link.messages import FrameRefused, FrameStored, ItemRefused, Message
from onboard.frames import Frames
from sim.feed import MIN_CHUNK, Feeder, FrameFeeder, ItemFeeder
from tests import jpegs
from tests.intake_support import EXACT, EXAMPLES, PLAIN, Onboard, frame, item, open_sealed
from tests.support import private_bytes

CHUNK = MIN_CHUNK
DATA = private_bytes(3 * CHUNK + 1000)


class Loop:
    """A feeder and a machine of the daemon, and two queues between them."""

    def __init__(self, feeder: Feeder[Any], machine: Callable[[], Any], peer: str = "p") -> None:
        self.feeder = feeder
        self.up: deque[Message] = deque()
        self.down: deque[Message] = deque()
        self.now = 0.0
        self._machine = machine
        self._peer = peer

    def step(self) -> None:
        """Everything that can happen now."""
        machine = self._machine()
        while True:
            self.feeder.handle_timer(self.now)
            while message := self.feeder.next_message(self.now):
                self.up.append(message)
            if not self.up and not self.down:
                return
            while self.up:
                self.down.extend(machine.receive(self._peer, self.up.popleft(), self.now))
            self.work()
            while self.down:
                self.feeder.receive(self.down.popleft(), self.now)

    def work(self) -> None:
        """What a machine does once it was told something."""
        machine = self._machine()
        while isinstance(machine, Frames) and machine.is_working:
            self.down.extend(message for _, message in machine.work())

    def finish(self) -> None:
        """Time goes on until all is done."""
        for _ in range(200):
            self.step()
            due = self.feeder.next_timer()
            if due is None:
                assert self.feeder.is_done
                return
            self.now = max(self.now, due)
            machine = self._machine()
            told = machine.handle_timer(self.now) or []
            self.down.extend(message for _, message in told)
        raise AssertionError("it never ends")


def test_a_frame_that_carries_too_much_comes_again(tmp_path: Path) -> None:
    picture = jpegs.encode(1, 160, 120)
    with Onboard(tmp_path, EXACT) as onboard:
        secret = Loop(ItemFeeder([item(private_bytes(30_000))]), lambda: onboard.items)
        secret.finish()
        offers = [
            frame(picture, announced=False), frame(b"no picture", "bad"), frame(picture, "g"),
        ]
        loop = Loop(FrameFeeder(offers), lambda: onboard.frames)
        loop.finish()
        found = {a.frame_id: a for a in loop.feeder.events()}  # type: ignore[union-attr]
        assert isinstance(found["f"], FrameStored) and isinstance(found["g"], FrameStored)
        sealed = onboard.product(found["bad"].product_id)  # type: ignore[union-attr]
        assert sealed[0].scheme == "sealed" and open_sealed(sealed[1]) == b"no picture"
        assert onboard.spool.counts().products == 3


def test_a_spool_that_is_full_for_a_while(tmp_path: Path) -> None:
    with Onboard(tmp_path, PLAIN, max_bytes=2 * len(DATA)) as onboard:
        loop = Loop(
            FrameFeeder([frame(DATA, f"f{n}") for n in range(4)]), lambda: onboard.frames
        )
        delivered = []
        for _ in range(30):
            loop.step()
            while product := onboard.spool.deliveries.next_waiting(2):
                onboard.spool.deliveries.mark_sending(product.id, 2)
                delivered.append(product.frame_id)
                onboard.spool.deliveries.mark_delivered(product.id, 2)
            loop.now = loop.feeder.next_timer() or loop.now
        assert loop.feeder.is_done
        assert delivered == ["f0", "f1", "f2", "f3"]


class Lossy(RuleBasedStateMachine):
    """Any loss, any break, any wait; in the end everything is there, once."""

    kind = ""
    sizes = st.lists(st.integers(0, 3 * CHUNK), min_size=1, max_size=4)

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._onboard = Onboard(Path(self._folder.name), PLAIN, window=CHUNK + 5000)

    @initialize(sizes=sizes, announced=st.booleans())
    def start(self, sizes: list[int], announced: bool) -> None:
        self._data = {f"x{n}": DATA[n : n + size] for n, size in enumerate(sizes)}
        feeder: Feeder[Any]
        if self.kind == "frames":
            feeder = FrameFeeder(
                [frame(data, name, announced) for name, data in self._data.items()], chunk=CHUNK
            )
            self.loop = Loop(feeder, lambda: self._onboard.frames)
        else:
            feeder = ItemFeeder([item(d, name) for name, d in self._data.items()], chunk=CHUNK)
            self.loop = Loop(feeder, lambda: self._onboard.items)
        self._machine = self.loop._machine

    @rule(count=st.integers(1, 4))
    def send(self, count: int) -> None:
        for _ in range(count):
            if message := self.loop.feeder.next_message(self.loop.now):
                self.loop.up.append(message)

    @rule(count=st.integers(1, 4))
    def arrive(self, count: int) -> None:
        for _ in range(min(count, len(self.loop.up))):
            message = self.loop.up.popleft()
            self.loop.down.extend(self._machine().receive("p", message, self.loop.now))
            self.loop.work()

    @rule(count=st.integers(1, 4))
    def answer(self, count: int) -> None:
        for _ in range(min(count, len(self.loop.down))):
            self.loop.feeder.receive(self.loop.down.popleft(), self.loop.now)

    @rule(up=st.booleans(), at=st.integers(0, 5))
    def lose(self, up: bool, at: int) -> None:
        queue = self.loop.up if up else self.loop.down
        if at < len(queue):
            del queue[at]

    @rule(told=st.booleans(), late=st.booleans())
    def reconnect(self, told: bool, late: bool) -> None:
        self.loop.up.clear()
        if not late:  # what the daemon had still to say may come over the new connection
            self.loop.down.clear()
        if told:
            self.loop.feeder.reconnected(self.loop.now)

    @rule()
    def restart(self) -> None:
        self._onboard.restart()

    @rule(seconds=st.floats(0, 40))
    def wait(self, seconds: float) -> None:
        self.loop.now += seconds
        self.loop.feeder.handle_timer(self.loop.now)
        told = self._machine().handle_timer(self.loop.now) or []
        self.loop.down.extend(message for _, message in told)

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.loop.finish()
            answers = self.loop.feeder.events()
            assert not any(isinstance(a, FrameRefused | ItemRefused) for a in answers)
            self._check(answers)
        self._onboard.spool.close()
        self._folder.cleanup()

    def _check(self, answers: list[Any]) -> None:
        if self.kind == "frames":
            assert [answer.frame_id for answer in answers] == list(self._data)
            for answer in answers:
                assert self._onboard.product(answer.product_id)[1] == self._data[answer.frame_id]
            assert self._onboard.spool.counts().products == len(self._data)
        else:
            assert [answer.item_id for answer in answers] == list(self._data)
            found = self._onboard.queued()
            assert {name: open_sealed(found[name]) for name in found} == self._data
        assert self._onboard.unfinished() == []


class LossyFrames(Lossy):
    kind = "frames"


class LossyItems(Lossy):
    kind = "items"


LossyFrames.TestCase.settings = settings(EXAMPLES, max_examples=20, stateful_step_count=25)
LossyItems.TestCase.settings = settings(EXAMPLES, max_examples=12, stateful_step_count=25)
TestLossyFrames = LossyFrames.TestCase
TestLossyItems = LossyItems.TestCase
