"""Where frames and private data come in: ZeroMQ sockets and watched folders."""

from __future__ import annotations

import hashlib
import logging
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, BinaryIO, NamedTuple, Protocol

from occulta.errors import Reason
from occulta.link.drops import Drop, DropCounts, PacketError
from occulta.link.endpoint import Server
from occulta.link.messages import (
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
    decode,
    encode,
)
from occulta.program.guard import SILENCE
from occulta.program.naming import id_of_file
from onboard.config import FOLDER

log = logging.getLogger("occulta.onboard")
REFUSED = "refused"
"""Where files go that can never be taken in."""
_MESSAGES = 16
"""Messages taken at once from one socket, so that no peer keeps the daemon from the others."""
_MAX_REPLIES = 256
_LONGEST_PAUSE = 60.0
"""Seconds."""
_ENDED = object()
_LATEST = 253_402_300_799.0
"""Seconds: the end of the year 9999, where the time of a message ends."""


class Machine(Protocol):
    """`Frames` or `Items`."""

    def receive(self, peer: str, message: Any, now: float) -> Sequence[Message]:
        """Take a message; return what to answer."""


class SocketIntake:
    """Messages of one kind from the peers of one server."""

    def __init__(self, server: Server, machine: Machine, kind: UnionType) -> None:
        self.server = server
        self.machine = machine
        self.drops = DropCounts()
        self._kind = kind
        self._complained = 0
        self._silent_until = 0.0
        self._replies: deque[tuple[str, bytes]] = deque(maxlen=_MAX_REPLIES)

    def update(self, now: float) -> bool:
        """Take in what waits; True if there may be more."""
        self._flush()
        received = self.server.receive(_MESSAGES)
        for peer, data in received:
            try:
                message = decode(data, self._kind)
            except PacketError as error:
                self.drops[error.drop] += 1
                continue
            for reply in self._receive(peer, message, now):
                self.reply(peer, reply)
        self._flush()
        return len(received) == _MESSAGES

    def _receive(self, peer: str, message: Message, now: float) -> Sequence[Message]:
        """Rules go by the camera's name, so it has to be the one that its key or the list gives."""
        if isinstance(message, FrameBegin) and message.camera != peer:
            detail = f"camera {message.camera} is {peer} by the list of clients"
            return [FrameRefused(message.frame_id, Reason.BAD_INTAKE, detail, False)]
        return self.machine.receive(peer, message, now)

    def reply(self, peer: str, message: Message) -> None:
        """Answer a peer as soon as its queue has room."""
        self._replies.append((peer, encode(message)))

    def reply_if_known(self, peer: str, message: Message) -> None:
        """Tell a peer, if it is one of this server's."""
        if peer in self.server.connected():
            self.reply(peer, message)

    def complain(self, now: float) -> None:
        """Log, once a minute at most, that somebody was refused who is not on the list."""
        refused = self.server.dropped[Drop.UNKNOWN_PEER]
        if refused > self._complained and now >= self._silent_until:
            log.warning(
                "%s: refused %d times what is not on the list of clients by its name or key",
                self.server.address, refused - self._complained,
            )
            self._complained, self._silent_until = refused, now + SILENCE

    def _flush(self) -> None:
        """Send what can be sent, each peer's replies in order."""
        full: set[str] = set()
        for _ in range(len(self._replies)):
            peer, data = self._replies.popleft()
            is_sent = peer not in full and self.server.send(peer, data)
            if not is_sent and peer in self.server.connected():
                full.add(peer)
                self._replies.append((peer, data))


@dataclass(frozen=True, slots=True)
class Words:
    """How a folder's files are put into messages: one kind of intake."""

    begin: Callable[[str, os.stat_result], Message]
    chunk: Callable[[str, int, bytes], Message]
    end: Callable[[str, int, bytes], Message]
    stored: type[Message]
    refused: type[FrameRefused] | type[ItemRefused]


def _frame_begin(key: str, found: os.stat_result) -> FrameBegin:
    captured_at = min(max(0.0, found.st_mtime), _LATEST)
    return FrameBegin(key, FOLDER, found.st_size, captured_at, False, {})


def _item_begin(key: str, found: os.stat_result) -> ItemBegin:
    return ItemBegin(key, found.st_size, ())


FRAME_WORDS = Words(_frame_begin, FrameChunk, FrameEnd, FrameStored, FrameRefused)
ITEM_WORDS = Words(_item_begin, ItemChunk, ItemEnd, ItemStored, ItemRefused)


class _Later(NamedTuple):
    """When a file is tried again, and how long that is after it was tried."""

    time: float
    pause: float


class FolderIntake:
    """Files that appear in a folder by rename, one at a time, a chunk per step.

    A file that is durable in the spool is removed; one that can never be taken in is moved to
    `refused/`. One that cannot be taken in now is tried again after a pause that grows, and keeps
    no other waiting. Names that begin with a dot are left alone, and so are links. What has taken
    a file's name since it was opened is another file, and stays.
    """

    def __init__(
        self, folder: Path, machine: Machine, words: Words, interval: float, chunk: int
    ) -> None:
        """`interval` in seconds between two looks at the folder, `chunk` in bytes.

        Raises OSError.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.machine = machine
        self._folder = folder
        self._words = words
        self._interval = interval
        self._chunk = chunk
        self._now = 0.0
        self._next_look = 0.0
        self._feeding: Iterator[None] | None = None
        self._later: dict[str, _Later] = {}
        self._told: list[Message] = []

    @property
    def is_feeding(self) -> bool:
        """Whether a file is being read."""
        return self._feeding is not None

    def next_timer(self) -> float:
        """When `update` is to be called: at once while a file is being read."""
        return 0.0 if self._feeding is not None else self._next_look

    def update(self, now: float) -> None:
        """Read on, or look for a file."""
        self._now = now
        if self._feeding is None and now >= self._next_look:
            path = self._oldest()
            if path is None:
                self._next_look = now + self._interval
            else:
                self._feeding = self._feed(path)
        if self._feeding is not None and next(self._feeding, _ENDED) is _ENDED:
            self._feeding = None

    def reply_if_known(self, peer: str, message: Message) -> None:
        """What becomes of a file that was read, where the machine did not say so at once."""
        if peer == FOLDER:
            self._told.append(message)

    def _oldest(self) -> Path | None:
        """Of the files that are not to be tried again only later."""
        try:
            with os.scandir(self._folder) as entries:
                files = {e.name: e for e in entries if _is_for_us(e)}
            self._later = {n: later for n, later in self._later.items() if n in files}
            now = [e for n, e in files.items() if n not in self._later or self._is_due(n)]
            found = min(now, key=lambda e: (e.stat().st_mtime_ns, e.name), default=None)
        except OSError:  # a file that has just gone, or a folder that will be back
            return None
        return None if found is None else Path(found.path)

    def _is_due(self, name: str) -> bool:
        return self._later[name].time <= self._now

    def _feed(self, path: Path) -> Iterator[None]:
        """Yields between chunks."""
        try:
            with path.open("rb") as stream:
                found = os.fstat(stream.fileno())
                answers = yield from self._read(stream, path.name, found)
                is_settled = self._settle(path, found, answers)
        except OSError:
            is_settled = False
        if not is_settled:
            self._postpone(path.name)

    def _postpone(self, name: str) -> None:
        before = self._later.get(name)
        pause = self._interval
        if before is not None:
            pause = min(2 * before.pause, max(_LONGEST_PAUSE, self._interval))
        self._later[name] = _Later(self._now + pause, pause)

    def _read(
        self, stream: BinaryIO, name: str, found: os.stat_result
    ) -> Generator[None, None, Sequence[Message]]:
        key = _key(name, found)
        answers = self.machine.receive(FOLDER, self._words.begin(key, found), self._now)
        digest, size = hashlib.sha256(), 0
        while not self._is_over(answers) and (data := stream.read(self._chunk)):
            yield
            answers = self.machine.receive(FOLDER, self._words.chunk(key, size, data), self._now)
            digest.update(data)
            size += len(data)
        if not self._is_over(answers):
            end = self._words.end(key, size, digest.digest())
            self._told.clear()
            answers = self.machine.receive(FOLDER, end, self._now)
            while not self._is_over(answers):
                yield
                answers = self._told
        return answers

    def _is_over(self, answers: Sequence[Message]) -> bool:
        ends = (self._words.stored, self._words.refused)
        return any(isinstance(answer, ends) for answer in answers)

    def _settle(self, path: Path, opened: os.stat_result, answers: Sequence[Message]) -> bool:
        """Remove what is durable, move what is hopeless; False if it is to be tried again.

        Raises OSError.
        """
        last = answers[-1] if answers else None
        if isinstance(last, self._words.stored):
            if _is_still(path, opened):
                path.unlink()
            return True
        if not isinstance(last, self._words.refused) or last.retry:
            return False
        if _is_still(path, opened):
            self._refuse(path, last)
        return True

    def _refuse(self, path: Path, why: FrameRefused | ItemRefused) -> None:
        folder = self._folder / REFUSED
        folder.mkdir(exist_ok=True)
        with suppress(OSError):  # the file is to go, even if there is no room to say why
            reason = folder / (path.name + ".reason")
            reason.write_text(f"error {why.reason}: {why.detail}\n", encoding="utf-8")
        os.replace(path, folder / path.name)


def _key(name: str, found: os.stat_result) -> str:
    """An id of its own for each file that ever has a name, the same after a restart."""
    facts = f"|{found.st_ino}|{found.st_mtime_ns}|{found.st_size}".encode()
    return id_of_file(name, hashlib.sha256(os.fsencode(name) + facts).hexdigest())


def _is_still(path: Path, opened: os.stat_result) -> bool:
    """Whether a path still is the file that was opened; open, its inode is no other file's.

    Raises OSError.
    """
    try:
        return _identity(path.lstat()) == _identity(opened)
    except FileNotFoundError:
        return False


def _identity(found: os.stat_result) -> tuple[int, int, int, int]:
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def _is_for_us(entry: os.DirEntry[str]) -> bool:
    return entry.is_file(follow_symlinks=False) and not entry.name.startswith(".")
