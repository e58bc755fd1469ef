"""Sorted, disjoint ranges of offsets: what was received, what is asked for."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class Intervals:
    """Half-open ranges [start, end), merged where they touch."""

    __slots__ = ("_ends", "_starts")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in ranges:
            self.add(start, end)

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._starts, self._ends, strict=True)

    @property
    def end(self) -> int:
        """Behind the last range, 0 if there is none."""
        return self._ends[-1] if self._ends else 0

    @property
    def front(self) -> int:
        """How far everything from offset 0 on is covered."""
        return self._ends[0] if self._starts and self._starts[0] == 0 else 0

    @property
    def total(self) -> int:
        """Octets covered."""
        return sum(self._ends) - sum(self._starts)

    def add(self, start: int, end: int) -> None:
        """Cover [start, end) too."""
        if start >= end:
            return
        if self._ends and start == self._ends[-1]:  # data in order, nearly always
            self._ends[-1] = end
            return
        first = bisect_left(self._ends, start)
        last = bisect_right(self._starts, end)
        if first < last:
            start = min(start, self._starts[first])
            end = max(end, self._ends[last - 1])
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]

    def remove(self, start: int, end: int) -> None:
        """Cover nothing of [start, end) any more."""
        first = bisect_right(self._ends, start)
        last = bisect_left(self._starts, end)
        if start >= end or first >= last:
            return
        kept = [(self._starts[first], start), (end, self._ends[last - 1])]
        kept = [(a, b) for a, b in kept if a < b]
        self._starts[first:last] = [a for a, _ in kept]
        self._ends[first:last] = [b for _, b in kept]

    def gaps(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The ranges within [start, end) that are not covered, lazily, in order."""
        index = bisect_right(self._ends, start)
        while start < end and index < len(self._starts):
            if self._starts[index] > start:
                yield start, min(end, self._starts[index])
            start = max(start, self._ends[index])
            index += 1
        if start < end:
            yield start, end

    def covers(self, start: int, end: int) -> bool:
        """True if nothing of [start, end) is missing."""
        return next(self.gaps(start, end), None) is None

    def joins(self, start: int, end: int) -> bool:
        """True if [start, end) touches or overlaps a range, so that adding it makes no new one."""
        return bisect_left(self._ends, start) < bisect_right(self._starts, end)

    def first(self, size: int) -> tuple[int, int]:
        """At most `size` octets of the first range; raises IndexError if there is none."""
        start = self._starts[0]
        return start, min(self._ends[0], start + size)
