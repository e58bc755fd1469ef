"""Frames on their way in: one at a time per camera, never held whole.

A pure machine between the sockets (intake.py) and the spool: messages in, messages out.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from occulta.errors import OccultaError, Reason
from occulta.link.messages import (
    MAX_SIZE,
    Credit,
    FrameBegin,
    FrameChunk,
    FrameEnd,
    FrameRefused,
    FrameStored,
    FromCamera,
    Message,
)
from onboard.pipeline import Stream

_REFUSALS_REMEMBERED = 1_024
_MAX_FRAME = MAX_SIZE // 2
"""A scheme may add to it, and a product has `MAX_SIZE` bytes at most."""


class FrameStore(Protocol):
    """What frames need of the rest of the daemon."""

    def known_frame(self, frame_id: str) -> bytes | None:
        """The product that this frame became, if it did."""

    def begin(self, frame: FrameBegin, with_payload: bool) -> Job:
        """Choose a scheme, open a file; raises OccultaError."""

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
    context: Any = None
    """The store's own."""
    position: int = 0
    credit: int = 0
    heard: float = 0.0
    digest: Any = field(default_factory=hashlib.sha256)


class Frames:
    """Frames of all cameras. `camera` is the name that a peer's key has."""

    def __init__(
        self, store: FrameStore, *, window: int, timeout: float, most_open: int
    ) -> None:
        """`window` in bytes a camera may send ahead, `timeout` in seconds of silence."""
        self.counters: Counter[str] = Counter()
        self.accepting = True
        """False once the daemon is to stop: no frame begins any more."""
        self._store = store
        self._window = window
        self._timeout = timeout
        self._most_open = most_open
        self._jobs: dict[str, Job] = {}
        self._without_payload: dict[str, None] = {}
        self._refused: dict[str, FrameRefused] = {}
        """The last refusal of each camera."""

    @property
    def open_frames(self) -> int:
        """Frames in progress."""
        return len(self._jobs)

    def receive(self, camera: str, message: FromCamera, now: float) -> Sequence[Message]:
        """Take a message; return what to answer."""
        try:
            if isinstance(message, FrameBegin):
                return self._begin(camera, message, now)
            job = self._jobs.get(camera)
            if job is None or job.frame.frame_id != message.frame_id:
                return self._stray(camera, message)
            job.heard = now
            if isinstance(message, FrameChunk):
                return self._chunk(job, message)
            if isinstance(message, FrameEnd):
                return self._end(camera, job, message)
            self._discard(camera)
            return []
        except OccultaError as error:
            return self._refuse(camera, message.frame_id, error)

    def next_timer(self) -> float | None:
        """When the first camera has been silent for too long."""
        return min((job.heard + self._timeout for job in self._jobs.values()), default=None)

    def handle_timer(self, now: float) -> list[tuple[str, Message]]:
        """Discard the frames of cameras that have died; what to tell them, should they live."""
        silent = [c for c, job in self._jobs.items() if job.heard + self._timeout <= now]
        return [(camera, self._lost(camera)) for camera in silent]

    def abandon(self) -> None:
        """The daemon ends: frames in progress are offered again by their cameras."""
        for camera in list(self._jobs):
            self._discard(camera)

    def _begin(self, camera: str, frame: FrameBegin, now: float) -> Sequence[Message]:
        if camera in self._jobs:  # a camera that has started anew
            self._discard(camera)
        self._refused.pop(camera, None)
        product = self._store.known_frame(frame.frame_id)
        if product is not None:
            self.counters["frames_again"] += 1
            return [FrameStored(frame.frame_id, product)]
        if len(self._jobs) >= self._most_open or not self.accepting:
            detail = "too many frames are in progress"
            if not self.accepting:
                detail = "the daemon is stopping"
            return [FrameRefused(frame.frame_id, Reason.SPOOL_FULL, detail, True)]
        self.counters["frames_in"] += 1
        job = self._store.begin(frame, frame.frame_id not in self._without_payload)
        job.heard = now
        self._jobs[camera] = job
        return [self._grant(job)]

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
        job.write(job.stream.finish())
        self._store.commit(job)
        del self._jobs[camera]
        self._without_payload.pop(end.frame_id, None)
        self.counters["frames_protected"] += 1
        return [FrameStored(end.frame_id, job.product_id)]

    def _refuse(self, camera: str, frame_id: str, error: OccultaError) -> Sequence[Message]:
        """With `retry` where the frame itself is not to blame."""
        does_not_fit = error.reason.exit_code == Reason.DOES_NOT_FIT.exit_code
        if does_not_fit and error.reason is not Reason.SPOOL_FULL:
            again = frame_id not in self._without_payload
            self._without_payload[frame_id] = None
            while len(self._without_payload) > _REFUSALS_REMEMBERED:
                del self._without_payload[next(iter(self._without_payload))]
        else:
            again = error.reason.exit_code != Reason.NOT_JPEG.exit_code
            again = again or error.reason is Reason.BAD_INTAKE
        if camera in self._jobs:
            self._discard(camera)
        refused = FrameRefused(frame_id, error.reason.value, error.detail[:200], again)
        self._refused[camera] = refused
        return [refused]

    def _stray(self, camera: str, message: FromCamera) -> Sequence[Message]:
        """Of a frame that was refused or has timed out: what is left of it changes nothing."""
        if not isinstance(message, FrameEnd):
            return []
        product = self._store.known_frame(message.frame_id)
        if product is not None:
            return [FrameStored(message.frame_id, product)]
        last = self._refused.get(camera)
        if last is not None and last.frame_id == message.frame_id:
            return [last]
        detail = "the frame is not in progress"
        return [FrameRefused(message.frame_id, Reason.BAD_INTAKE, detail, True)]

    def _lost(self, camera: str) -> FrameRefused:
        frame_id = self._jobs[camera].frame.frame_id
        self._discard(camera)
        return FrameRefused(frame_id, Reason.BAD_INTAKE, "the camera was silent", True)

    def _discard(self, camera: str) -> None:
        self._jobs.pop(camera).discard()
        self.counters["frames_discarded"] += 1
