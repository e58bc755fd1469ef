"""What two CFDP entities allocate while a large file passes between them.

The file is generated where it is read and compared where it is written, so that all that is
counted is the entities' own, and the PDUs that are handed over.
"""

from __future__ import annotations

import random
import tracemalloc
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from bench.transfer import Pair, loses

MIB = 1 << 20
_PERIOD = 1_000_003
"""Octets, a prime: data at a wrong offset is other data."""
_CONTENT = random.Random(7).randbytes(_PERIOD) * 2
SMALL = 2_000_000
"""Octets of a first file, after which everything is imported and warm."""


def content(offset: int, size: int) -> bytes:
    """The file's octets from an offset on, at most a million."""
    at = offset % _PERIOD
    return _CONTENT[at : at + size]


class Generated:
    """A file of so many octets that is nowhere."""

    def __init__(self, size: int) -> None:
        self._size = size

    def size(self) -> int | None:
        return self._size

    def read(self, offset: int, size: int) -> bytes:
        return content(offset, min(size, self._size - offset))

    def close(self) -> None:
        """There is nothing to close."""


class Compared:
    """A sink that compares and counts what is written, and can say it again."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.written = 0
        self.complete = False

    def write(self, offset: int, data: bytes) -> None:
        if data != content(offset, len(data)):
            raise AssertionError(f"other data at {offset}")
        self.written += len(data)

    def read(self, offset: int, size: int) -> bytes:
        return content(offset, size)

    def commit(self, name: str, size: int) -> None:
        self.complete = self.written == size == self._size

    def sync(self) -> None:
        """Nothing is kept."""

    discard = sync


def transfer(size: int, segment: int, loss: float) -> None:
    """Pass a file; raises AssertionError unless every octet was written once, as it was sent."""
    sink = Compared(size)
    pair = Pair(Generated(size), sink, segment + 16)
    pair.run(loses(loss))
    pair.check()
    if not sink.complete:
        raise AssertionError(f"{sink.written} octets written of {size}")


def traced_peak(size: int, segment: int, loss: float) -> float:
    """MiB that Python allocated at most during the transfer."""
    transfer(SMALL, segment, loss)
    tracemalloc.start()
    transfer(size, segment, loss)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / MIB


def resident_growth(size: int, segment: int, loss: float) -> float:
    """MiB by which the process grew over what a small file needs."""
    transfer(SMALL, segment, loss)
    before = _resident_peak()
    transfer(size, segment, loss)
    return _resident_peak() - before


def _resident_peak() -> float:
    """MiB; unlike ru_maxrss it knows nothing of the process that this one was made from."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def measured(size: int, segment: int, loss: float) -> tuple[float, float]:
    """(traced peak, resident growth), each in a process of its own."""
    found = []
    for measure in (traced_peak, resident_growth):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            found.append(pool.submit(measure, size, segment, loss).result())
    return found[0], found[1]
