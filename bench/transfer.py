"""Files through two of our CFDP entities, in memory, over a link that loses file data."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from occulta.link.cfdp import (
    Entity,
    FileSink,
    FileSource,
    FilestoreError,
    PutRequest,
    Remote,
    TransactionId,
)
from occulta.link.cfdp.constants import Delivery
from occulta.link.cfdp.events import TransactionFinished

SATELLITE, GROUND = 1, 2
STEP = 1 << 16
"""Octets handed over at a time: what a socket takes."""
RATE = 150e6
"""Bits per second of the virtual clock: X-band."""
FILE_DATA = 0b0001_0000
"""In the first octet of a PDU."""
NAME = "file"
Loss = Callable[[], bool]


class MemoryFile:
    """A file in memory, as a source and as a sink."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)

    def size(self) -> int | None:
        return len(self.data)

    def read(self, offset: int, size: int) -> bytes:
        return bytes(self.data[offset : offset + size])

    def write(self, offset: int, data: bytes) -> None:
        if len(self.data) < offset:
            self.data.extend(bytes(offset - len(self.data)))
        self.data[offset : offset + len(data)] = data

    def close(self) -> None:
        """Nothing is held open."""

    sync = discard = close

    def commit(self, name: str, size: int) -> None:
        """It stays where it is."""


@dataclass
class OneFile:
    """A filestore with one file to send, or one place to receive into."""

    source: FileSource | None = None
    sink: FileSink | None = None

    def open_source(self, name: str) -> FileSource:
        if self.source is None:
            raise FilestoreError("nothing to send")
        return self.source

    def open_sink(self, transaction: TransactionId, resume: bool) -> FileSink:
        if self.sink is None:
            raise FilestoreError("nowhere to put it")
        return self.sink


def loses(share: float) -> Loss:
    """Loses that share of File Data PDUs, the same ones in every run."""
    chance = random.Random(5).random
    return lambda: chance() < share


def never() -> bool:
    """A link without loss."""
    return False


class Pair:
    """A satellite's and a ground station's entity, and a clock that the link's rate moves."""

    def __init__(self, source: FileSource, sink: FileSink, max_pdu: int) -> None:
        self.satellite = Entity(SATELLITE, [Remote(GROUND, max_pdu=max_pdu)], OneFile(source))
        self.ground = Entity(GROUND, [Remote(SATELLITE, max_pdu=max_pdu)], OneFile(sink=sink))
        self.now = 0.0
        self.lost = 0
        self.satellite.put(PutRequest(GROUND, NAME, NAME), self.now)

    def wait(self) -> bool:
        """Nothing is to be sent: let the next timer expire; False if there is none."""
        ends = (self.satellite, self.ground)
        times = [at for end in ends if (at := end.next_timer()) is not None]
        if not times:
            return False
        self.now = max(self.now, min(times))
        for end in ends:
            end.handle_timer(self.now)
        return True

    def passed(self, octets: int) -> None:
        """So much was on the air."""
        self.now += 8 * octets / RATE
        for end in (self.satellite, self.ground):
            due = end.next_timer()
            if due is not None and due <= self.now:
                end.handle_timer(self.now)

    def check(self) -> None:
        """Both ends must say that all of it arrived."""
        for end in (self.satellite, self.ground):
            told = [e for e in end.events() if isinstance(e, TransactionFinished)]
            if [e.delivery for e in told] != [Delivery.COMPLETE]:
                raise AssertionError(f"the file was not delivered: {told}")

    def run(self, lost: Loss) -> None:
        """PDUs back and forth until all is said."""
        ground, satellite = self.ground, self.satellite
        while True:
            down = satellite.pdus_to_send(self.now, STEP)
            for _, pdu in down:
                if pdu[0] & FILE_DATA and lost():
                    self.lost += 1
                else:
                    ground.receive(pdu, self.now)
            up = ground.pdus_to_send(self.now, STEP)
            for _, pdu in up:
                satellite.receive(pdu, self.now)
            if down or up:
                self.passed(sum(len(pdu) for _, pdu in down))
            elif not self.wait():
                return


def ours(data: bytes, segment: int, lost: Loss) -> float:
    """CPU seconds of both ends for one file; raises AssertionError if it does not arrive whole."""
    sink = MemoryFile()
    source = MemoryFile(data)
    started = time.process_time()
    pair = Pair(source, sink, segment + 16)
    pair.run(lost)
    seconds = time.process_time() - started
    pair.check()
    if sink.data != data:
        raise AssertionError("another file arrived")
    return seconds
