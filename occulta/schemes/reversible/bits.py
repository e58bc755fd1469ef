"""Queues of hidden bits, and parsers that say how many bytes they want next."""

from __future__ import annotations

from collections.abc import Generator
from typing import Generic, TypeVar

T = TypeVar("T")
Parsing = Generator[int, bytes, T]
"""A parser: yields the number of bytes it wants, is sent exactly these, returns its result."""


_SLACK = 2
"""Bytes of zeros behind the queue: the kernel reads two bytes at a time."""


class BitQueue:
    """Bytes to be carried, read bit by bit by the kernel."""

    def __init__(self) -> None:
        self._data = bytearray(_SLACK)
        self.position = 0
        self.taken = 0

    @property
    def available(self) -> int:
        """Bits not read yet."""
        return 8 * (len(self._data) - _SLACK) - self.position

    @property
    def end(self) -> int:
        """Bits ever appended, counting what `prepend` put in front."""
        return self.taken + self.available

    def append(self, data: bytes) -> None:
        """Add whole bytes at the end."""
        at = len(self._data) - _SLACK
        self._data[at:at] = data

    def prepend(self, data: bytes) -> None:
        """Put whole bytes before the next bit; the queue stays aligned at its end."""
        kept = 8 - self.position  # bits of the first byte that are still to be read
        value = int.from_bytes(data, "big") << kept | self._data[0] & ((1 << kept) - 1)
        self._data[:1] = value.to_bytes(len(data) + 1, "big")

    def cut(self, most: int) -> None:
        """Drop whole bytes from the end: at most `most`, and none that is partly read."""
        drop = min(most, self.available // 8)
        end = len(self._data) - _SLACK
        del self._data[end - drop : end]

    def buffer(self) -> bytearray:
        """What the kernel reads, from bit `position` on."""
        return self._data

    def advance(self, position: int) -> None:
        """The kernel has read up to bit `position` of the buffer."""
        self.taken += position - self.position
        del self._data[: position >> 3]
        self.position = position & 7


class BitCollector:
    """Bits that come out of the kernel, handed on as whole bytes."""

    def __init__(self) -> None:
        self._value = 0
        self._count = 0

    def push(self, data: bytes, value: int = 0, count: int = 0) -> bytes:
        """Add bytes, then `count` bits of `value`; return the whole bytes that are ready."""
        bits = self._count + 8 * len(data) + count
        whole = (self._value << 8 * len(data)) | int.from_bytes(data, "big")
        whole = (whole << count) | value
        self._count = bits % 8
        self._value = whole & ((1 << self._count) - 1)
        return (whole >> self._count).to_bytes(bits // 8, "big")


class PullParser(Generic[T]):
    """Feeds a generator that yields how many bytes it wants next."""

    def __init__(self, parsing: Parsing[T]) -> None:
        self._parsing = parsing
        self._pending = bytearray()
        self.result: T | None = None
        self.done = False
        self._want = next(parsing)

    @property
    def wanted(self) -> int:
        """Bytes still missing before anything can happen; 0 when done."""
        return 0 if self.done else self._want - len(self._pending)

    def feed(self, data: bytes) -> bytes:
        """Take bytes; return what is left over once the parser is done."""
        self._pending += data
        while not self.done and len(self._pending) >= self._want:
            piece = bytes(self._pending[: self._want])
            del self._pending[: self._want]
            try:
                self._want = self._parsing.send(piece)
            except StopIteration as stop:
                self.result = stop.value
                self.done = True
        if not self.done:
            return b""
        rest = bytes(self._pending)
        self._pending.clear()
        return rest
