"""Private data on its way in: sealed as it arrives, so that only ciphertext reaches the disk."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from occulta.errors import ExitCode, OccultaError, Reason
from occulta.link.messages import (
    FromPayload,
    ItemBegin,
    ItemChunk,
    ItemRefused,
    ItemStored,
    Message,
)
from occulta.schemes.sealed import SealingStream


class ItemStore(Protocol):
    """What items need of the rest of the daemon."""

    def item_owner(self, item_id: str) -> str | None:
        """The program whose item is durable under this id, or was and has been sent."""

    def begin_item(self, peer: str, item: ItemBegin) -> ItemJob:
        """Open a file and a seal for the recipients named; raises OccultaError."""

    def commit_item(self, job: ItemJob) -> None:
        """Make the sealed item durable; raises OccultaError."""


@dataclass
class ItemJob:
    """An item in progress."""

    item: ItemBegin
    stream: SealingStream
    write: Callable[[bytes], object]
    discard: Callable[[], object]
    context: Any = None
    """The store's own."""
    position: int = 0
    heard: float = 0.0
    digest: Any = field(default_factory=hashlib.sha256)


class Items:
    """Items of all payload programs. `peer` is the name that a program's key has.

    On the ground items are joined by their ids: an id is for whoever was first to use it, and
    another program's item is refused, to be tried again, for as long as the first is known.
    """

    def __init__(self, store: ItemStore, *, timeout: float, most_open: int) -> None:
        """`timeout` in seconds of silence."""
        self.counters: Counter[str] = Counter()
        self._store = store
        self._timeout = timeout
        self._most_open = most_open
        self._jobs: dict[str, ItemJob] = {}
        self._refused: dict[str, ItemRefused] = {}
        """The last refusal of each program."""

    def receive(self, peer: str, message: FromPayload, now: float) -> Sequence[Message]:
        """Take a message; return what to answer."""
        try:
            if isinstance(message, ItemBegin):
                return self._begin(peer, message, now)
            job = self._jobs.get(peer)
            if job is None or job.item.item_id != message.item_id:
                return self._stray(peer, message)
            job.heard = now
            if isinstance(message, ItemChunk):
                self._chunk(job, message)
                return []
            if (message.size, message.sha256) != (job.position, job.digest.digest()):
                raise OccultaError(Reason.BAD_INTAKE, "size or digest is not that of the item")
            return self._end(peer, job)
        except OccultaError as error:
            return self._refuse(peer, message, error)

    def next_timer(self) -> float | None:
        """When the first program has been silent for too long."""
        return min((job.heard + self._timeout for job in self._jobs.values()), default=None)

    def handle_timer(self, now: float) -> None:
        """Discard the items of programs that have died."""
        for peer in [p for p, job in self._jobs.items() if job.heard + self._timeout <= now]:
            self._discard(peer)

    def abandon(self) -> None:
        """The daemon ends: items in progress are offered again."""
        for peer in list(self._jobs):
            self._discard(peer)

    def _begin(self, peer: str, item: ItemBegin, now: float) -> Sequence[Message]:
        if peer in self._jobs:
            self._discard(peer)
        self._refused.pop(peer, None)
        owner = self._store.item_owner(item.item_id)
        if owner == peer:
            return [ItemStored(item.item_id)]
        if owner is not None:
            detail = f"the id {item.item_id} is another program's"
            return [ItemRefused(item.item_id, Reason.BAD_INTAKE, detail, True)]
        if len(self._jobs) >= self._most_open:
            detail = "too many items are in progress"
            return [ItemRefused(item.item_id, Reason.SPOOL_FULL, detail, True)]
        job = self._store.begin_item(peer, item)
        job.heard = now
        self._jobs[peer] = job
        return []

    def _chunk(self, job: ItemJob, chunk: ItemChunk) -> None:
        if chunk.offset != job.position:
            raise OccultaError(Reason.BAD_INTAKE, f"bytes at {chunk.offset} of {job.position}")
        job.position += len(chunk.data)
        if job.position > job.item.size:
            raise OccultaError(Reason.BAD_INTAKE, f"more than the {job.item.size} bytes announced")
        job.digest.update(chunk.data)
        job.write(job.stream.feed(chunk.data))

    def _end(self, peer: str, job: ItemJob) -> Sequence[Message]:
        job.write(job.stream.finish())
        self._store.commit_item(job)
        del self._jobs[peer]
        self.counters["items_in"] += 1
        return [ItemStored(job.item.item_id)]

    def _refuse(self, peer: str, message: FromPayload, error: OccultaError) -> Sequence[Message]:
        """Without `retry` where what the item is to be can never be: bytes may be sent again."""
        if peer in self._jobs:
            self._discard(peer)
        is_bad = error.reason.exit_code is ExitCode.REFUSED
        again = not (is_bad and isinstance(message, ItemBegin))
        refused = ItemRefused(message.item_id, error.reason.value, error.detail[:200], again)
        self._refused[peer] = refused
        return [refused]

    def _stray(self, peer: str, message: FromPayload) -> Sequence[Message]:
        if isinstance(message, ItemChunk):
            return []
        if self._store.item_owner(message.item_id) == peer:
            return [ItemStored(message.item_id)]
        last = self._refused.get(peer)
        if last is not None and last.item_id == message.item_id:
            return [last]
        detail = "the item is not in progress"
        return [ItemRefused(message.item_id, Reason.BAD_INTAKE, detail, True)]

    def _discard(self, peer: str) -> None:
        self._jobs.pop(peer).discard()
        self.counters["items_discarded"] += 1
