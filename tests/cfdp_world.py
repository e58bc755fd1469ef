"""CFDP entities on a virtual clock, with files in memory and a link that does what a test says."""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from occulta.link.cfdp import (
    Entity,
    FilestoreError,
    Limits,
    PutRequest,
    Remote,
    TransactionId,
)
from occulta.link.cfdp.decode import decode
from occulta.link.cfdp.events import Event, TransactionFinished
from occulta.link.cfdp.pdu import Body, Header

SAT, GROUND = 1, 2
DELAY = 0.01


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
        self.durable = bytes(self.data)

    def commit(self, name: str, size: int) -> None:
        self.store.files.setdefault(name, []).append(bytes(self.data[:size]))
        del self.store.sinks[self.transaction]

    def discard(self) -> None:
        del self.store.sinks[self.transaction]


class MemoryStore:
    """Files by name; `crash` forgets what was not made durable."""

    def __init__(self) -> None:
        self.sources: dict[str, MemorySource] = {}
        self.sinks: dict[TransactionId, MemorySink] = {}
        self.files: dict[str, list[bytes]] = {}
        """What was published, by name; more than one entry: published again."""
        self.full = False

    def open_source(self, name: str) -> MemorySource:
        if name not in self.sources:
            raise FilestoreError(f"no file {name}")
        return self.sources[name]

    def open_sink(self, transaction: TransactionId, resume: bool) -> MemorySink:
        if resume:
            if transaction not in self.sinks:
                raise FilestoreError("nothing to resume")
            return self.sinks[transaction]
        self.sinks[transaction] = MemorySink(self, transaction)
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


class World:
    """A satellite and a ground entity; `run` lets virtual time pass until nothing happens."""

    def __init__(
        self, fate: Fate = arrives, *, limits: Limits | None = None, durable: bool = False,
        **settings: object,
    ) -> None:
        self.now = 1000.0
        self.fate = fate
        self.settings = settings
        self.limits = limits or Limits()
        self.durable = durable
        self.stores = {SAT: MemoryStore(), GROUND: MemoryStore()}
        self.log: list[Sent] = []
        self.events: dict[int, list[Event]] = {SAT: [], GROUND: []}
        self.window = 1 << 30
        """Octets of room in each step."""
        self._air: list[tuple[float, int, Sent]] = []
        self._count = 0
        self.entities = {SAT: self.entity(SAT, GROUND), GROUND: self.entity(GROUND, SAT)}

    def entity(self, own: int, other: int) -> Entity:
        remote = Remote(other, **self.settings)  # type: ignore[arg-type]
        return Entity(own, [remote], self.stores[own], limits=self.limits, durable=self.durable)

    @property
    def sat(self) -> Entity:
        return self.entities[SAT]

    @property
    def ground(self) -> Entity:
        return self.entities[GROUND]

    def put(self, data: bytes, name: str = "file.bin", **request: object) -> TransactionId:
        self.stores[SAT].sources[name] = MemorySource(data)
        return self.sat.put(PutRequest(GROUND, name, name, **request), self.now)  # type: ignore[arg-type]

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
            self.events[number] += entity.events()
        return found

    def step(self) -> bool:
        """Let the next thing happen; False if nothing will."""
        if self.transmit():
            return True
        times = [t for e in self.entities.values() if (t := e.next_timer()) is not None]
        if self._air:
            times.append(self._air[0][0])
        if not times:
            return False
        self.now = max(self.now, min(times))
        while self._air and self._air[0][0] <= self.now:
            _, _, sent = heapq.heappop(self._air)
            self.entities[sent.target].receive(sent.pdu, self.now)
        for number, entity in self.entities.items():
            entity.handle_timer(self.now)
            self.events[number] += entity.events()
        return True

    def run(self, until: float = 1e9, steps: int = 1_000_000) -> "World":
        """Until nothing happens any more, or the clock passes `until` (seconds from now)."""
        end = self.now + until
        for _ in range(steps):
            if not self.step() or self.now > end:
                return self
        raise AssertionError("it never ends")

    def finished(self, number: int) -> list[TransactionFinished]:
        return [e for e in self.events[number] if isinstance(e, TransactionFinished)]

    def delivered(self, name: str = "file.bin") -> list[bytes]:
        return self.stores[GROUND].files.get(name, [])

    def kinds(self, source: int | None = None) -> list[str]:
        """Names of the PDUs on the link, in order."""
        chosen = (sent for sent in self.log if source in (None, sent.source))
        return [type(sent.body).__name__ for sent in chosen]
