"""Frames on their way in: one at a time per camera, never held whole.

A pure machine between the sockets (intake.py) and the spool: messages in, messages out.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from occulta.errors import OccultaError, Reason
from occulta.link.messages import (
    MAX_SIZE,
    Credit,
    FrameAbort,
    FrameBegin,
    FrameChunk,
    FrameEnd,
    FrameRefused,
    FrameStored,
    FromCamera,
    Message,
)
from onboard.attempts import Attempt, Attempts, blames_frame, other_way
from onboard.config import Rule
from onboard.pipeline import Stream, finish_in_pieces

_MAX_NOTICES = 100
_MAX_FRAME = MAX_SIZE // 2
"""A scheme may add to it, and a product has `MAX_SIZE` bytes at most."""
_OWN_ENDING = 1
"""Frames that a camera may leave to be marked while it sends its next, whatever others do."""


class FrameStore(Protocol):
    """What frames need of the rest of the daemon."""

    def known_frame(self, camera: str, frame_id: str) -> bytes | None:
        """The product that this camera's frame became, if it did."""

    def begin(self, frame: FrameBegin, attempt: Attempt) -> Job:
        """Choose a scheme, open a file; raises OccultaError.

        The attempt counts if it is one under the rule that holds for the frame now.
        """

    def commit(self, job: Job) -> None:
        """Make the finished product durable; raises OccultaError."""


@dataclass
class Job:
    """A frame in progress."""

    frame: FrameBegin
    product_id: bytes
    stream: Stream
    write: Callable[[bytes], object]
    discard: Callable[[], object]
    rule: Rule
    """As it was when the frame began."""
    attempt: Attempt
    context: Any = None
    """The store's own."""
    has_private: bool = False
    """Whether it takes private data along."""
    has_fallback: bool = False
    """Whether it may be protected in another way if its scheme cannot take it."""
    fallback: str | None = None
    """What is done with it instead, as a notice says it."""
    position: int = 0
    credit: int = 0
    heard: float = 0.0
    digest: Any = field(default_factory=hashlib.sha256)


class _Ending(NamedTuple):
    """A frame whose bytes are all there, and what is left to do with them."""

    job: Job
    pieces: Iterator[bytes]


class Frames:
    """Frames of all cameras. `camera` is the name that a peer's key has, and its frames say.

    A frame id is its camera's own: another's frame of the same id is another frame.
    The end of a frame is not answered by `receive`: call `work` until `is_working` is false.
    """

    def __init__(
        self, store: FrameStore, *, window: int, timeout: float, most_open: int
    ) -> None:
        """`window` in bytes a camera may send ahead, `timeout` in seconds of silence.

        `most_open` cameras at once have a frame in progress and one that has ended; a camera has
        more only while fewer than `most_open` frames are open in all.
        """
        self.counters: Counter[str] = Counter()
        self.accepting = True
        """False once the daemon is to stop: no frame begins any more."""
        self._store = store
        self._window = window
        self._timeout = timeout
        self._most_open = most_open
        self._jobs: dict[str, Job] = {}
        self._ending: dict[tuple[str, str], _Ending] = {}
        """By camera and frame id: a camera may begin its next frame meanwhile."""
        self._attempts = Attempts()
        self._notices: deque[str] = deque(maxlen=_MAX_NOTICES)
        self._refused: dict[str, FrameRefused] = {}
        """The last refusal of each camera."""

    @property
    def open_frames(self) -> int:
        """Frames in progress."""
        return len(self._jobs) + len(self._ending)

    @property
    def is_working(self) -> bool:
        """Whether `work` has something to do."""
        return bool(self._ending)

    def take_notices(self) -> list[str]:
        """Frames that went another way than ruled, since the last call: a line each."""
        notices = list(self._notices)
        self._notices.clear()
        return notices

    def receive(self, camera: str, message: FromCamera, now: float) -> Sequence[Message]:
        """Take a message; return what to answer."""
        try:
            if isinstance(message, FrameBegin):
                return self._begin(camera, message, now)
            if (camera, message.frame_id) in self._ending:
                return self._meanwhile(camera, message)
            job = self._jobs.get(camera)
            if job is None or job.frame.frame_id != message.frame_id:
                return self._stray(camera, message)
            job.heard = now
            if isinstance(message, FrameChunk):
                return self._chunk(job, message)
            if isinstance(message, FrameEnd):
                return self._end(camera, job, message)
            self._discard(camera, message.frame_id)
            return []
        except OccultaError as error:
            return [self._refuse(camera, message.frame_id, error)]

    def work(self) -> list[tuple[str, Message]]:
        """Go on with a frame that has ended, by a piece; what to tell its camera.

        Cameras take turns, each with the frame of its that ended first.
        """
        if not self._ending:
            return []
        (camera, frame_id), (job, pieces) = next(iter(self._ending.items()))
        try:
            piece = next(pieces, None)
            if piece is not None:
                job.write(piece)
                self._next_turn(camera)
                return []
            self._store.commit(job)
        except OccultaError as error:
            return [(camera, self._refuse(camera, frame_id, error))]
        del self._ending[camera, frame_id]
        self._next_turn(camera)
        self._note_stored(camera, job)
        return [(camera, FrameStored(frame_id, job.product_id))]

    def _next_turn(self, camera: str) -> None:
        for key in [key for key in self._ending if key[0] == camera]:
            self._ending[key] = self._ending.pop(key)

    def next_timer(self) -> float | None:
        """When the first camera has been silent for too long."""
        return min((job.heard + self._timeout for job in self._jobs.values()), default=None)

    def handle_timer(self, now: float) -> list[tuple[str, Message]]:
        """Discard the frames of cameras that have died; what to tell them, should they live."""
        silent = [c for c, job in self._jobs.items() if job.heard + self._timeout <= now]
        return [(camera, self._lost(camera)) for camera in silent]

    def abandon(self) -> None:
        """The daemon ends: frames in progress are offered again by their cameras."""
        for camera, job in list(self._jobs.items()):
            self._discard(camera, job.frame.frame_id)
        for camera, frame_id in list(self._ending):
            self._discard(camera, frame_id)

    def _begin(self, camera: str, frame: FrameBegin, now: float) -> Sequence[Message]:
        if camera in self._jobs:  # a camera that has started anew
            self._discard(camera, self._jobs[camera].frame.frame_id)
        self._refused.pop(camera, None)
        if (camera, frame.frame_id) in self._ending:  # it will be answered
            return []
        product = self._store.known_frame(camera, frame.frame_id)
        if product is not None:
            self.counters["frames_again"] += 1
            return [FrameStored(frame.frame_id, product)]
        if self._is_full(camera) or not self.accepting:
            detail = "too many frames are in progress"
            if not self.accepting:
                detail = "the daemon is stopping"
            return [FrameRefused(frame.frame_id, Reason.SPOOL_FULL, detail, True)]
        self.counters["frames_in"] += 1
        attempt = self._attempts.next(camera, frame.frame_id)
        job = self._store.begin(frame, attempt)
        job.heard = now
        self._jobs[camera] = job
        return [self._grant(job)]

    def _is_full(self, camera: str) -> bool:
        """Counted by cameras first, so that none is refused for what another one has begun."""
        own = sum(key[0] == camera for key in self._ending)
        if own > _OWN_ENDING:
            return self.open_frames >= self._most_open
        cameras = {*self._jobs, *(key[0] for key in self._ending)}
        return len(cameras - {camera}) >= self._most_open

    def _grant(self, job: Job) -> Credit:
        job.credit = min(job.position + self._window, _MAX_FRAME)
        return Credit(job.frame.frame_id, job.credit)

    def _chunk(self, job: Job, chunk: FrameChunk) -> Sequence[Message]:
        if chunk.offset != job.position:
            raise OccultaError(Reason.BAD_INTAKE, f"bytes at {chunk.offset} of {job.position}")
        if chunk.offset + len(chunk.data) > job.credit:
            raise OccultaError(Reason.BAD_INTAKE, "more bytes than there was credit for")
        job.position += len(chunk.data)
        size = job.frame.size
        if size is not None and job.position > size:
            raise OccultaError(Reason.BAD_INTAKE, f"more than the {size} bytes announced")
        job.digest.update(chunk.data)
        job.write(job.stream.feed(chunk.data))
        return [self._grant(job)] if job.credit - job.position <= self._window // 2 else []

    def _end(self, camera: str, job: Job, end: FrameEnd) -> Sequence[Message]:
        if (end.size, end.sha256) != (job.position, job.digest.digest()):
            raise OccultaError(Reason.BAD_INTAKE, "size or digest is not that of the frame")
        if job.frame.size not in (None, job.position):
            detail = f"{job.position} bytes of the {job.frame.size} announced"
            raise OccultaError(Reason.BAD_INTAKE, detail)
        del self._jobs[camera]
        self._ending[camera, end.frame_id] = _Ending(job, finish_in_pieces(job.stream))
        return []

    def _meanwhile(self, camera: str, message: FromCamera) -> Sequence[Message]:
        """A frame that has ended can still be given up; nothing else changes it."""
        if isinstance(message, FrameAbort):
            self._discard(camera, message.frame_id)
        return []

    def _note_stored(self, camera: str, job: Job) -> None:
        frame_id = job.frame.frame_id
        self._attempts.forget(camera, frame_id)
        self.counters["frames_protected"] += 1
        if job.fallback is not None:
            self.counters["frames_fallback"] += 1
            self._notices.append(f"{frame_id} was {job.fallback}: {job.attempt.why}")

    def _refuse(self, camera: str, frame_id: str, error: OccultaError) -> FrameRefused:
        """With `retry` where the frame is not to blame, and where it goes another way then."""
        reason, again = error.reason, not blames_frame(error.reason)
        job = self._discard(camera, frame_id)
        way = None if job is None else other_way(reason, job.has_private, job.has_fallback)
        if job is not None and way is not None:
            again = True
            self._attempts.remember(camera, frame_id, Attempt(way, str(error), job.rule))
        refused = FrameRefused(frame_id, reason.value, error.detail[:200], again)
        self._refused[camera] = refused
        return refused

    def _stray(self, camera: str, message: FromCamera) -> Sequence[Message]:
        """Of a frame that was refused or has timed out: what is left of it changes nothing."""
        if not isinstance(message, FrameEnd):
            return []
        product = self._store.known_frame(camera, message.frame_id)
        if product is not None:
            return [FrameStored(message.frame_id, product)]
        last = self._refused.get(camera)
        if last is not None and last.frame_id == message.frame_id:
            return [last]
        detail = "the frame is not in progress"
        return [FrameRefused(message.frame_id, Reason.BAD_INTAKE, detail, True)]

    def _lost(self, camera: str) -> FrameRefused:
        frame_id = self._jobs[camera].frame.frame_id
        self._discard(camera, frame_id)
        return FrameRefused(frame_id, Reason.BAD_INTAKE, "the camera was silent", True)

    def _discard(self, camera: str, frame_id: str) -> Job | None:
        """The frame, if it was in progress."""
        job = self._jobs.get(camera)
        if job is not None and job.frame.frame_id == frame_id:
            del self._jobs[camera]
        elif (camera, frame_id) in self._ending:
            job = self._ending.pop((camera, frame_id)).job
        else:
            return None
        job.discard()
        self.counters["frames_discarded"] += 1
        return job
