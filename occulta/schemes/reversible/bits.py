"""Queues of hidden bits, and parsers that say how many bytes they want next."""

from __future__ import annotations

from collections.abc import Generator
from typing import Generic, TypeVar

T = TypeVar("T")
Parsing = Generator[int, bytes, T]
"""A parser: yields the number of bytes it wants, is sent exactly these, returns its result."""


class BitQueue:
    """Bytes to be carried, read bit by bit by the kernel."""

    _SLACK = b"\0\0"  # the kernel reads two bytes at a time

    def __init__(self) -> None:
        self._data = bytearray()
        self.position = 0
        self.taken = 0

    @property
    def available(self) -> int:
        """Bits not read yet."""
        return 8 * len(self._data) - self.position

    @property
    def end(self) -> int:
        """Bits ever appended, counting what `prepend` put in front."""
        return self.taken + self.available

    def append(self, data: bytes) -> None:
        """Add whole bytes at the end."""
        self._data += data

    def prepend(self, data: bytes) -> None:
        """Put whole bytes before the next bit."""
        rest = self.available
        value = int.from_bytes(self._data, "big") & ((1 << rest) - 1)
        padding = -rest % 8
        body = (value << padding).to_bytes((rest + 7) // 8, "big")
        # The front bytes are shifted so that the queue still ends on a byte's end.
        whole = int.from_bytes(data + body, "big") >> padding
        size = len(data) + len(body)
        self._data = bytearray(whole.to_bytes(size, "big"))
        self.position = padding

    def cut(self, most: int) -> None:
        """Drop whole bytes from the end: at most `most`, and none that is partly read."""
        drop = min(most, self.available // 8)
        if drop:
            del self._data[-drop:]

    def buffer(self) -> bytearray:
        """What the kernel reads, from bit `position` on."""
        return self._data + self._SLACK

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
