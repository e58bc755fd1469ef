"""Sets of cells of a picture, kept as runs: a picture of any size costs no more than its damage."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Set
from itertools import chain
from typing import TypeVar

_Element = TypeVar("_Element")
MAX_RUNS = 1 << 16
"""Runs that a set keeps; where there are more, what lies between the last ones counts in."""


class CellSet(Set[int]):
    """Numbers of cells, row * columns + column. Compares with any set; immutable."""

    __slots__ = ("_runs", "_size", "_starts")

    def __init__(self, runs: Iterable[range] = (), most: int = MAX_RUNS) -> None:
        """`runs` in any order, overlapping or not; at most `most` (1 or more) are kept."""
        joined: list[range] = []
        for run in sorted((run for run in runs if run), key=lambda each: each.start):
            if joined and (run.start <= joined[-1].stop or len(joined) >= most):
                joined[-1] = range(joined[-1].start, max(run.stop, joined[-1].stop))
            else:
                joined.append(run)
        self._runs = joined
        self._starts = [run.start for run in joined]
        self._size = sum(map(len, joined))

    @classmethod
    def _from_iterable(cls, it: Iterable[_Element]) -> Set[_Element]:
        return frozenset(it)

    @property
    def runs(self) -> list[range]:
        """In order and apart from each other."""
        return self._runs

    def rows(self, columns: int) -> Iterator[tuple[int, int, int]]:
        """Row, first and last column of every run, cut where rows of cells end."""
        for run in self._runs:
            start = run.start
            while start < run.stop:
                row = start // columns
                stop = min(run.stop, (row + 1) * columns)
                yield row, start - row * columns, stop - 1 - row * columns
                start = stop

    def within(self, start: int, stop: int) -> CellSet:
        """Those in [start, stop)."""
        first = max(0, bisect_right(self._starts, start) - 1)
        last = bisect_right(self._starts, stop)
        pieces = self._runs[first:last]
        return CellSet(range(max(p.start, start), min(p.stop, stop)) for p in pieces)

    def shared(self, other: CellSet) -> int:
        """How many are in both."""
        return sum(len(other.within(run.start, run.stop)) for run in self._runs)

    def __contains__(self, cell: object) -> bool:
        at = bisect_right(self._starts, cell) - 1 if isinstance(cell, int) else -1
        return at >= 0 and cell in self._runs[at]

    def __iter__(self) -> Iterator[int]:
        return chain.from_iterable(self._runs)

    def __len__(self) -> int:
        return self._size

    def __repr__(self) -> str:
        return f"CellSet({self._runs})"
