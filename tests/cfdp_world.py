"""CFDP entities on a virtual clock, with files in memory and a link that does what a test says."""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import inf
from typing import Any, TypeVar

from occulta.link.cfdp import (
    Entity,
    FileSource,
    FilestoreError,
    Limits,
    PutRequest,
    Remote,
    TransactionId,
)
from occulta.link.cfdp.constants import Condition, Delivery, Direction, FileStatus, Mode
from occulta.link.cfdp.decode import decode
from occulta.link.cfdp.events import Abandoned, Event, Fault, TransactionFinished
from occulta.link.cfdp.pdu import Body, Header, encode

Kind = TypeVar("Kind", bound=Body)
SAT, GROUND = 1, 2
START, DELAY = 1000.0, 0.01
DATA = bytes(i * 7 & 255 for i in range(5_000))
SEGMENT = 1_008
"""Octets of a segment by default; DATA has four, and one of 968."""


class MemorySource:
    """A file to be sent; `grow` appends, `ended` says that nothing more comes."""

    def __init__(self, data: bytes, ended: bool = True) -> None:
        self.data = data
        self.ended = ended
        self.closed = False

    def size(self) -> int | None:
        return len(self.data) if self.ended else None

    def read(self, offset: int, size: int) -> bytes:
        return self.data[offset : offset + size]

    def close(self) -> None:
        self.closed = True


@dataclass
class MemorySink:
    """A file being received, and everything that was done to it."""

    store: "MemoryStore"
    transaction: TransactionId
    data: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    writes: list[tuple[int, int]] = field(default_factory=list)

    def write(self, offset: int, data: bytes) -> None:
        if self.store.full:
            raise FilestoreError("no room")
        self.writes.append((offset, offset + len(data)))
        if len(self.data) < offset:
            self.data.extend(bytes(offset - len(self.data)))
        self.data[offset : offset + len(data)] = data

    def read(self, offset: int, size: int) -> bytes:
        return bytes(self.data[offset : offset + size])

    def sync(self) -> None:
        if self.store.full:
            raise FilestoreError("no room")
        self.durable = bytes(self.data)

    def commit(self, name: str, size: int) -> None:
        if self.store.full:
            raise FilestoreError("no room")
        self.store.files.setdefault(name, []).append(bytes(self.data[:size]))
        del self.store.sinks[self.transaction]

    def discard(self) -> None:
        del self.store.sinks[self.transaction]


class MemoryStore:
    """Files by name; `crash` forgets what was not made durable."""

    def __init__(self) -> None:
        self.sources: dict[str, Any] = {}
        self.sinks: dict[TransactionId, MemorySink] = {}
        self.files: dict[str, list[bytes]] = {}
        """What was published, by name; more than one entry: published again."""
        self.full = False
        self.make_sink: Callable[[MemoryStore, TransactionId], MemorySink] = MemorySink

    def open_source(self, name: str) -> FileSource:
        if name not in self.sources:
            raise FilestoreError(f"no file {name}")
        return self.sources[name]

    def open_sink(self, transaction: TransactionId, resume: bool) -> MemorySink:
        if resume:
            if transaction not in self.sinks:
                raise FilestoreError("nothing to resume")
            return self.sinks[transaction]
        self.sinks[transaction] = self.make_sink(self, transaction)
        return self.sinks[transaction]

    def crash(self) -> None:
        for sink in self.sinks.values():
            sink.data = bytearray(sink.durable)


@dataclass(frozen=True)
class Sent:
    """A PDU as it went onto the link."""

    at: float
    source: int
    target: int
    pdu: bytes

    @property
    def header(self) -> Header:
        return decode(self.pdu)[0]

    @property
    def body(self) -> Body:
        return decode(self.pdu)[1]


Fate = Callable[[Sent], Iterable[float]]
"""Delays after which a PDU arrives: none if it is lost, several if it is duplicated."""


def pdu(
    body: Body, sequence: int = 1, *, up: bool = False, mode: Mode = Mode.ACKNOWLEDGED,
    large: bool = False,
) -> bytes:
    """A PDU of a transaction of the satellite's, from there or, with `up`, from the ground."""
    return encode(Header(SAT, sequence, GROUND, Direction(up), mode, large), body)


def arrives(sent: Sent) -> list[float]:
    """A link without faults."""
    return [DELAY]


def loses(*kinds: type, times: int = 1) -> Fate:
    """A link that loses the first `times` PDUs of each kind."""
    left = dict.fromkeys(kinds, times)

    def fate(sent: Sent) -> list[float]:
        kind = type(sent.body)
        if left.get(kind, 0):
            left[kind] -= 1
            return []
        return [DELAY]

    return fate


def without(*kinds: type) -> Fate:
    """A link that loses all PDUs of these kinds."""
    return lambda sent: [] if isinstance(sent.body, kinds) else [DELAY]


def no_second_segment(sent: Sent) -> list[float]:
    """A link that loses the segment at SEGMENT every time."""
    return [] if getattr(sent.body, "offset", 0) == SEGMENT else [DELAY]


def doubles(*kinds: type) -> Fate:
    """A link that delivers PDUs of these kinds twice, the copy a second later."""
    return lambda sent: [DELAY, DELAY + 1] if isinstance(sent.body, kinds) else [DELAY]


class World:
    """A satellite and ground entities; `run` lets virtual time pass until nothing happens."""

    def __init__(
        self, fate: Fate = arrives, *, limits: Limits | None = None, durable: bool = False,
        grounds: tuple[int, ...] = (GROUND,), **settings: object,
    ) -> None:
        self.now = START
        self.fate = fate
        self.settings = settings
        self.limits = limits or Limits()
        self.durable = durable
        self.grounds = grounds
        numbers = (SAT, *grounds)
        self.stores = {number: MemoryStore() for number in numbers}
        self.saved: dict[int, dict[TransactionId, bytes]] = {number: {} for number in numbers}
        self.log: list[Sent] = []
        self.events: dict[int, list[Event]] = {number: [] for number in numbers}
        self.times: dict[int, list[float]] = {number: [] for number in numbers}
        """When each event was told, in seconds since the start."""
        self.window = 1 << 30
        """Octets of room in each step."""
        self._air: list[tuple[float, int, Sent]] = []
        self._count = 0
        self.entities = {number: self.entity(number) for number in numbers}

    def entity(self, own: int) -> Entity:
        others = self.grounds if own == SAT else (SAT,)
        remotes = [Remote(other, **self.settings) for other in others]  # type: ignore[arg-type]
        return Entity(own, remotes, self.stores[own], limits=self.limits, durable=self.durable)

    def save(self, *numbers: int) -> None:
        """Keep what changed durably, as the caller of an entity does."""
        for number in numbers or self.entities:
            for key, data in self.entities[number].snapshots():
                if data is None:
                    del self.saved[number][key]
                else:
                    self.saved[number][key] = data

    def restart(self, number: int) -> None:
        """The machine of an entity fails and starts again: what was not saved is gone."""
        self.stores[number].crash()
        self.entities[number] = self.entity(number)
        self.entities[number].load(self.saved[number], self.now)
        self._collect(number)

    def _collect(self, number: int) -> None:
        for event in self.entities[number].events():
            self.events[number].append(event)
            self.times[number].append(self.since())

    def since(self, at: float | None = None) -> float:
        """Seconds since the start, to the microsecond."""
        return round((self.now if at is None else at) - START, 6)

    @property
    def sat(self) -> Entity:
        return self.entities[SAT]

    @property
    def ground(self) -> Entity:
        return self.entities[GROUND]

    def put(
        self, data: bytes | FileSource, name: str = "file.bin", to: int = GROUND, **request: object
    ) -> TransactionId:
        source = MemorySource(data) if isinstance(data, bytes) else data
        self.stores[SAT].sources[name] = source
        return self.sat.put(PutRequest(to, name, name, **request), self.now)  # type: ignore[arg-type]

    def transmit(self) -> bool:
        """Everything that entities have to send goes onto the link."""
        found = False
        for number, entity in self.entities.items():
            for remote, pdu in entity.pdus_to_send(self.now, self.window):
                found = True
                sent = Sent(self.now, number, remote, pdu)
                self.log.append(sent)
                for delay in self.fate(sent):
                    self._count += 1
                    heapq.heappush(self._air, (self.now + delay, self._count, sent))
            self._collect(number)
        return found

    def step(self, limit: float = inf) -> bool:
        """Let the next thing happen; False if nothing will, up to a moment `limit`."""
        if self.transmit():
            return True
        times = [t for e in self.entities.values() if (t := e.next_timer()) is not None]
        if self._air:
            times.append(self._air[0][0])
        if min(times, default=inf) > limit or not times:
            return False
        self.now = max(self.now, min(times))
        while self._air and self._air[0][0] <= self.now:
            _, _, sent = heapq.heappop(self._air)
            self.entities[sent.target].receive(sent.pdu, self.now)
        for number, entity in self.entities.items():
            entity.handle_timer(self.now)
            self._collect(number)
        return True

    def run(self, until: float = inf, steps: int = 1_000_000) -> "World":
        """Until nothing happens any more; if seconds are given the clock has moved by these."""
        end = self.now + until
        for _ in range(steps):
            if not self.step(end):
                self.now = end if end < inf else self.now
                return self
        raise AssertionError("it never ends")

    def loss_of_signal(self) -> None:
        """Nothing goes out, and what is on the link is lost."""
        self._air.clear()
        for entity, remotes in self._pairs():
            for remote in remotes:
                entity.freeze(remote, self.now)

    def acquisition_of_signal(self) -> None:
        for entity, remotes in self._pairs():
            for remote in remotes:
                entity.thaw(remote, self.now)

    def _pairs(self) -> Iterable[tuple[Entity, tuple[int, ...]]]:
        return ((e, self.grounds if n == SAT else (SAT,)) for n, e in self.entities.items())

    def finished(self, number: int) -> list[TransactionFinished]:
        return [e for e in self.events[number] if isinstance(e, TransactionFinished)]

    def hears(self, *bodies: Body, mode: Mode = Mode.ACKNOWLEDGED) -> None:
        """The ground receives PDUs of the satellite's first transaction, and answers."""
        for body in bodies:
            self.ground.receive(pdu(body, mode=mode), self.now)
        self.run(0)

    def outcome(self, number: int) -> tuple[Condition, Delivery, FileStatus]:
        """How the one transaction finished, as this end tells it."""
        (end,) = self.finished(number)
        return end.condition, end.delivery, end.file_status

    def faults(self, number: int) -> list[tuple[float, Condition]]:
        """When which fault was declared."""
        told = zip(self.times[number], self.events[number], strict=True)
        return [(at, event.condition) for at, event in told if isinstance(event, Fault)]

    def ends(self, number: int) -> list[tuple[float, Condition]]:
        """When which transaction finished or was abandoned, and its condition."""
        told = zip(self.times[number], self.events[number], strict=True)
        over = (TransactionFinished, Abandoned)
        return [(at, event.condition) for at, event in told if isinstance(event, over)]

    def sent(self, kind: type, source: int | None = None) -> list[float]:
        """When PDUs of a kind went onto the link."""
        chosen = (s for s in self.log if source in (None, s.source) and isinstance(s.body, kind))
        return [self.since(sent.at) for sent in chosen]

    def bodies(self, kind: type[Kind]) -> list[Kind]:
        """All PDUs of a kind, in order."""
        return [body for sent in self.log if isinstance(body := sent.body, kind)]

    def delivered(self, name: str = "file.bin", at: int = GROUND) -> list[bytes]:
        return self.stores[at].files.get(name, [])

    def kinds(self, source: int | None = None) -> list[str]:
        """Names of the PDUs on the link, in order."""
        chosen = (sent for sent in self.log if source in (None, sent.source))
        return [type(sent.body).__name__ for sent in chosen]
