"""A camera's and a payload program's side of the intake: offers what it has until it is stored.

A pure machine: messages in, messages out, the time as an argument. What was not answered, whatever
was lost, is offered again from its beginning; the daemon stores it once, under its id.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import UnionType
from typing import BinaryIO, ClassVar, Generic, TypeVar

from occulta.errors import OccultaError, Reason
from occulta.link.messages import (
    MAX_CHUNK,
    MAX_SIZE,
    Credit,
    FrameBegin,
    FrameChunk,
    FrameEnd,
    FrameRefused,
    FrameStored,
    ItemBegin,
    ItemChunk,
    ItemEnd,
    ItemRefused,
    ItemStored,
    Message,
    ToCamera,
    ToPayload,
)

MIN_CHUNK = 1 << 16
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before what was refused for now is offered again: each pause is twice the one before."""
Answer = FrameStored | FrameRefused | ItemStored | ItemRefused
B = TypeVar("B", FrameBegin, ItemBegin)


@dataclass(frozen=True, slots=True)
class Offer(Generic[B]):
    """What is to be stored: its announcement, and how to read it from the beginning."""

    begin: B
    open: Callable[[], BinaryIO]


class Feeder(ABC, Generic[B]):
    """Offers one thing after another, each until it is stored or refused for good.

    Call `receive` with what arrives, then `handle_timer`, then `next_message` until it returns
    None; `reconnected` when there is a new connection.
    """

    answers: ClassVar[UnionType]
    """What may arrive."""

    def __init__(
        self, offers: Iterable[Offer[B]], *, chunk: int = 1 << 18, patience: float = 10.0,
        interval: float = 0.0,
    ) -> None:
        """`offers` have ids that differ, and are taken from the iterable one by one.

        `chunk` is the most that one message carries, 64 KiB to 1 MiB; `patience` seconds without
        an answer count as a loss; a new offer begins at least `interval` seconds after whatever
        began last. Raises ValueError.
        """
        if not MIN_CHUNK <= chunk <= MAX_CHUNK or patience <= 0 or interval < 0:
            raise ValueError(f"chunks of {MIN_CHUNK}..{MAX_CHUNK} bytes, times that go forward")
        self._offers: Iterator[Offer[B]] = iter(offers)
        self._chunk = chunk
        self._patience = patience
        self._interval = interval
        self._offer: Offer[B] | None = None
        self._attempt: _Attempt | None = None
        self._heard = 0.0
        self._resume = 0.0
        self._next_offer = 0.0
        self._pause = FIRST_PAUSE
        self._events: list[Answer] = []
        self.is_done = False
        """Everything was stored or refused for good."""

    @property
    def is_pausing(self) -> bool:
        """Whether nothing is under way, between two offers or before one is made again."""
        return self._attempt is None

    def receive(self, message: Message, now: float) -> None:
        """Take an answer; one to something else changes nothing."""
        if self._offer is None or _id(message) != _id(self._offer.begin):
            return
        self._heard = now
        if isinstance(message, Credit):
            if self._attempt is not None:
                self._attempt.allow(message.up_to)
        elif isinstance(message, FrameStored | ItemStored):
            self._finish(message)
        elif isinstance(message, FrameRefused | ItemRefused):
            if not message.retry:
                self._finish(message)
            elif self._attempt is not None:
                self._abandon(now + self._pause)
                self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def next_message(self, now: float) -> Message | None:
        """The next message, taken as sent; None until something is answered or due.

        Raises OSError where what is offered cannot be read, OccultaError(INPUT_UNREADABLE) where
        it is not as long as it was announced.
        """
        if self._attempt is None:
            self._begin(now)
        message = None if self._attempt is None else self._attempt.next_message()
        if message is not None:
            self._heard = now
        return message

    def reconnected(self, now: float) -> None:
        """Messages may have been lost: what is in progress is offered again."""
        if self._attempt is not None:
            self._abandon(now)

    def next_timer(self) -> float | None:
        """When something is due; None while there is something to send, or nothing any more."""
        if self.is_done:
            return None
        if self._attempt is None:
            return self._resume
        return self._heard + self._patience if self._attempt.is_waiting else None

    def handle_timer(self, now: float) -> None:
        """Offer again what was not answered for too long."""
        is_waiting = self._attempt is not None and self._attempt.is_waiting
        if is_waiting and now >= self._heard + self._patience:
            self._abandon(now)

    def events(self) -> list[Answer]:
        """What became of the offers, each once it is certain, since the last call."""
        events, self._events = self._events, []
        return events

    @abstractmethod
    def _open(self, offer: Offer[B]) -> _Attempt: ...

    def _begin(self, now: float) -> None:
        if self._offer is None:
            self._offer = next(self._offers, None)
        if self._offer is None:
            self.is_done = True
        elif now >= self._resume:
            self._attempt = self._open(self._offer)
            self._next_offer = now + self._interval

    def _abandon(self, resume: float) -> None:
        if self._attempt is not None:
            self._attempt.close()
        self._attempt = None
        self._resume = resume

    def _finish(self, answer: Answer) -> None:
        self._events.append(answer)
        self._abandon(self._next_offer)
        self._offer = None
        self._pause = FIRST_PAUSE


class FrameFeeder(Feeder[FrameBegin]):
    """A camera: sends within the credit that it is given."""

    answers = ToCamera

    def _open(self, offer: Offer[FrameBegin]) -> _Attempt:
        frame = offer.begin
        return _Attempt(
            frame, offer.open(), self._chunk,
            lambda offset, data: FrameChunk(frame.frame_id, offset, data),
            lambda size, digest: FrameEnd(frame.frame_id, size, digest),
        )


class ItemFeeder(Feeder[ItemBegin]):
    """A payload program: private data is sent without credit."""

    answers = ToPayload

    def _open(self, offer: Offer[ItemBegin]) -> _Attempt:
        item = offer.begin
        attempt = _Attempt(
            item, offer.open(), self._chunk,
            lambda offset, data: ItemChunk(item.item_id, offset, data),
            lambda size, digest: ItemEnd(item.item_id, size, digest),
        )
        attempt.allow(MAX_SIZE)
        return attempt


class _Attempt:
    """One offer on its way; reads one chunk ahead."""

    def __init__(
        self, begin: FrameBegin | ItemBegin, stream: BinaryIO, chunk: int,
        make_chunk: Callable[[int, bytes], Message], make_end: Callable[[int, bytes], Message],
    ) -> None:
        self._begin: FrameBegin | ItemBegin | None = begin
        self._announced = begin.size
        self._name = _id(begin)
        self._stream = stream
        self._chunk = chunk
        self._make_chunk = make_chunk
        self._make_end = make_end
        self._ahead = stream.read(chunk)
        self._position = 0
        self._allowed: int | None = None
        self._digest = hashlib.sha256()
        self._is_ended = False

    def allow(self, up_to: int) -> None:
        """Credit, which never shrinks."""
        self._allowed = max(up_to, self._allowed or 0)

    @property
    def is_waiting(self) -> bool:
        """Whether only an answer helps."""
        if self._begin is not None:
            return False
        blocked = self._allowed is None or bool(self._ahead) and self._allowed <= self._position
        return blocked or self._is_ended

    def next_message(self) -> Message | None:
        """As of `Feeder`."""
        if self._begin is not None:
            begin, self._begin = self._begin, None
            return begin
        if self.is_waiting:
            return None
        if not self._ahead:
            self._is_ended = True
            self._check_size()
            return self._make_end(self._position, self._digest.digest())
        return self._make_chunk(self._position, self._take())

    def close(self) -> None:
        """It is read no further."""
        self._stream.close()

    def _take(self) -> bytes:
        assert self._allowed is not None
        data = self._ahead[: self._allowed - self._position]
        self._ahead = self._ahead[len(data) :] or self._stream.read(self._chunk)
        self._position += len(data)
        self._digest.update(data)
        return data

    def _check_size(self) -> None:
        if self._announced not in (None, self._position):
            raise OccultaError(
                Reason.INPUT_UNREADABLE,
                f"{self._name} has {self._position} bytes, not {self._announced}",
                "let no other program write what is being sent",
            )


def _id(message: Message) -> str:
    """What a message is about; empty if nothing says so."""
    found = getattr(message, "frame_id", None) or getattr(message, "item_id", None)
    return str(found or "")
