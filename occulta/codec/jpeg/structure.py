"""The outer structure of a JPEG stream, found incrementally over a first-in first-out buffer.

`JpegBuffer` holds the bytes that are not processed yet and finds segments, scans and what follows
EOI. Offsets are absolute in the file. Nothing is decoded here.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, replace
from enum import Enum, auto

from occulta.codec.jpeg import markers
from occulta.errors import OccultaError, Reason
from occulta.limits import Limits

_SCAN_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")

_DEAD = 1 << 18
"""Processed bytes that are kept at most before the others move up."""


class ItemKind(Enum):
    """What a stretch of the file is."""

    SEGMENT = auto()
    SCAN = auto()
    TRAILER = auto()


@dataclass(slots=True)
class Item:
    """One stretch [start, end) of the file; `end` is None while it is not known.

    A segment starts with its fill bytes; `body` is where its parameters start.
    """

    kind: ItemKind
    start: int
    end: int | None
    marker: int = 0
    body: int = 0


class JpegBuffer:
    """Bytes of a JPEG file from `base` on, and the items found in them so far."""

    def __init__(self, limits: Limits) -> None:
        self.items: deque[Item] = deque()
        self.base = 0
        """Absolute offset of the first byte that is not processed."""
        self.closed = False
        self._limits = limits
        self._data = bytearray()
        self._origin = 0
        """Absolute offset of the first byte that is still held."""
        self._at = 0
        self._in_scan = False
        self._ended = False
        self._scans = 0
        self._segments = 0

    @classmethod
    def of_scan(cls, limits: Limits, data: bytes, complete: bool) -> JpegBuffer:
        """A buffer that holds nothing but (the beginning of) one scan."""
        buffer = cls(limits)
        buffer._data += data
        buffer._at = len(data)
        buffer.items.append(Item(ItemKind.SCAN, 0, len(data) if complete else None))
        return buffer

    def fork(self) -> JpegBuffer:
        """A copy that can be used up while this one stays; for a closed buffer."""
        other = JpegBuffer(self._limits)
        other.items = deque(replace(item) for item in self.items)
        other.base, other.closed = self.base, self.closed
        other._origin = self._origin
        other._at, other._ended = self._at, True
        other._data += self._data
        return other

    @property
    def fed(self) -> int:
        """Bytes fed so far (absolute end of the buffer)."""
        return self._origin + len(self._data)

    def append(self, chunk: bytes) -> None:
        """Take more of the file and find what can be found; raises OccultaError."""
        self._data += chunk
        self._find()

    def close(self) -> None:
        """The file has ended: the last item ends here; raises OccultaError."""
        self.closed = True
        if not self.fed:
            raise OccultaError(Reason.EMPTY_INPUT, "the input is empty")
        self._find()
        last = self.items[-1] if self.items else None
        if last is not None and last.end is None:
            last.end = self.fed
        elif self._at < self.fed:
            raise OccultaError(Reason.TRUNCATED, "the file ends within a header")

    def discard(self, end: int) -> None:
        """Forget everything before the absolute offset `end`.

        The bytes are moved up now and then, within the same memory: growing and shrinking it
        with every chunk would hold it twice.
        """
        self.base = end
        dead = end - self._origin
        if dead >= _DEAD or dead == len(self._data):
            kept = len(self._data) - dead
            with memoryview(self._data) as view:
                view[:kept] = view[dead:]
            del self._data[kept:]
            self._origin = end

    def forget_scanned(self) -> None:
        """Forget what has been looked through, for those who want the structure only."""
        self.discard(self._at)

    def view(self, start: int, end: int) -> memoryview:
        """A view of [start, end); release it before feeding more."""
        return memoryview(self._data)[start - self._origin : end - self._origin]

    def copy(self, start: int, end: int) -> bytes:
        """A copy of [start, end)."""
        return bytes(self._data[start - self._origin : end - self._origin])

    def _find(self) -> None:
        while not self._ended:
            found = self._find_scan_end() if self._in_scan else self._find_segment()
            if not found:
                return
        if self.items and self.items[-1].kind is ItemKind.TRAILER:
            return
        if self._at < self.fed:
            self.items.append(Item(ItemKind.TRAILER, self._at, None))
            self._at = self.fed

    def _find_scan_end(self) -> bool:
        start = self._at - self._origin
        match = None if self._is_plain(start) else _SCAN_END.search(self._data, start)
        if match is None:
            self._at = self.fed - self._fill_before(len(self._data), start)
            return False
        end = match.start()
        self._at = self.items[-1].end = self._origin + end - self._fill_before(end, start)
        self._in_scan = False
        return True

    def _is_plain(self, start: int) -> bool:
        """True if every FF from `start` on is a stuffed one: by far the quickest thing to ask."""
        return self._data.count(b"\xff", start) == self._data.count(b"\xff\x00", start)

    def _fill_before(self, end: int, start: int) -> int:
        """How many FF stand before `end`: fill bytes of a marker, as many as one may have."""
        at = end
        first = max(start, end - self._limits.max_fill_bytes - 1)
        while at > first and self._data[at - 1] == 0xFF:
            at -= 1
        return end - at

    def _find_segment(self) -> bool:
        start = self._at - self._origin
        at = start
        size = len(self._data)
        while at < size and self._data[at] == 0xFF:
            at += 1
        self._check_marker(start, at, size)
        if at >= size:
            return False
        code = self._data[at]
        body = at + 1
        end = body
        if not markers.stands_alone(code):
            if body + 2 > size:
                return False
            length = self._data[body] << 8 | self._data[body + 1]
            if length < 2:
                raise OccultaError(Reason.BAD_SEGMENT, f"segment FF{code:02X} has length {length}")
            end = body + length
            body += 2
            if end > size:
                return False
        self._add_segment(code, start, body, end)
        return True

    def _check_marker(self, start: int, at: int, size: int) -> None:
        first = self._origin + start == 0
        reason = Reason.NOT_JPEG if first else Reason.EXTRANEOUS_DATA
        detail = "the input is not a JPEG file" if first else "no marker where one must stand"
        if at < size and (at == start or self._data[at] == 0):
            raise OccultaError(reason, detail)
        if first and at < size and (at != 1 or self._data[at] != markers.SOI):
            raise OccultaError(reason, detail)
        if at - start > self._limits.max_fill_bytes + 1:
            raise OccultaError(Reason.EXTRANEOUS_DATA, "too many fill bytes")

    def _add_segment(self, code: int, start: int, body: int, end: int) -> None:
        if markers.is_restart(code) or (code == markers.SOI and start + self._origin > 0):
            raise OccultaError(Reason.STRAY_MARKER, f"marker FF{code:02X} out of place")
        self._segments += 1
        if self._segments > self._limits.max_segments:
            raise OccultaError(Reason.LIMIT_SEGMENT, f"over {self._segments - 1} header segments")
        base = self._origin
        self.items.append(Item(ItemKind.SEGMENT, start + base, end + base, code, body + base))
        self._at = end + base
        if code == markers.SOS:
            self._scans += 1
            self._segments = 0
            if self._scans > self._limits.max_scans:
                raise OccultaError(Reason.LIMIT_SCANS, f"more than {self._scans - 1} scans")
            self._in_scan = True
            self.items.append(Item(ItemKind.SCAN, self._at, None))
        self._ended = code == markers.EOI
