"""Cameras that say anything at all: valid answers, no file left behind, each frame stored once."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from occulta.link.messages import (
    FrameAbort,
    FrameBegin,
    FrameChunk,
    FrameEnd,
    FrameStored,
    Message,
    encode,
)
from tests.intake_support import EXAMPLES, PLAIN, Onboard, begin, end, offer
from tests.support import private_bytes

DATA = private_bytes(300)
_PEERS = st.sampled_from(["a", "b", "c"])
_IDS = st.sampled_from(["f1", "f2", "f3", "f4"])
_FRAMES = {"f1": b"", "f2": DATA[:50], "f3": DATA[:300], "f4": DATA[50:300]}


class AnyCamera(RuleBasedStateMachine):
    """Cameras that keep to nothing, beside one that keeps to everything."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._onboard = Onboard(Path(self._folder.name), PLAIN, window=200, most_open=2)
        self._now = 0.0
        self._products: dict[tuple[str, str], bytes] = {}

    def teardown(self) -> None:
        self._onboard.frames.abandon()
        assert self._onboard.unfinished() == []
        for (_, frame_id), product in self._products.items():
            assert self._onboard.product(product)[1] == _FRAMES[frame_id]
        self._onboard.spool.close()
        self._folder.cleanup()

    def _send(self, peer: str, message: FrameBegin | FrameChunk | FrameEnd | FrameAbort) -> None:
        for answer in self._onboard.frames.receive(peer, message, self._now):
            self._check(peer, answer)

    def _check(self, peer: str, answer: Message) -> None:
        assert encode(answer)
        if isinstance(answer, FrameStored):
            known = self._products.setdefault((peer, answer.frame_id), answer.product_id)
            assert known == answer.product_id

    @rule(peer=_PEERS, frame_id=_IDS, size=st.none() | st.integers(0, 400))
    def begin(self, peer: str, frame_id: str, size: int | None) -> None:
        self._send(peer, begin(frame_id, size, camera=peer))

    @rule(peer=_PEERS, frame_id=_IDS, offset=st.sampled_from([0, 50, 100, 250]),
          size=st.sampled_from([1, 50, 200, 250]))
    def chunk(self, peer: str, frame_id: str, offset: int, size: int) -> None:
        data = _FRAMES[frame_id][offset : offset + size] or b"?"
        self._send(peer, FrameChunk(frame_id, offset, data))

    @rule(peer=_PEERS, frame_id=_IDS)
    def end(self, peer: str, frame_id: str) -> None:
        self._send(peer, end(_FRAMES[frame_id], frame_id))

    @rule(peer=_PEERS, frame_id=_IDS)
    def abort(self, peer: str, frame_id: str) -> None:
        self._send(peer, FrameAbort(frame_id, ""))

    @rule(seconds=st.floats(0, 15))
    def wait(self, seconds: float) -> None:
        self._now += seconds
        for _, answer in self._onboard.frames.handle_timer(self._now):
            assert encode(answer)

    @rule()
    def work(self) -> None:
        for peer, answer in self._onboard.frames.work():
            self._check(peer, answer)

    @rule()
    def restart(self) -> None:
        self._onboard.restart()

    @rule(peer=_PEERS, frame_id=_IDS)
    def well_behaved(self, peer: str, frame_id: str) -> None:
        if self._onboard.frames.open_frames == 2:
            return
        while self._onboard.frames.is_working:
            self.work()
        data = _FRAMES[frame_id]
        frame = begin(frame_id, len(data), camera=peer)
        answer = offer(self._onboard.frames, frame, data, peer, self._now)
        assert isinstance(answer, FrameStored)
        self._check(peer, answer)

    @invariant()
    def as_many_files_as_frames(self) -> None:
        assert len(self._onboard.unfinished()) == self._onboard.frames.open_frames <= 2


AnyCamera.TestCase.settings = settings(EXAMPLES, max_examples=15, stateful_step_count=30)
TestAnyCamera = AnyCamera.TestCase
