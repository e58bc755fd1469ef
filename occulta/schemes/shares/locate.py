"""Where the segments of a share stand, found by their marks, whatever was moved, cut or put in.

Marks stand a multiple of 1 KiB behind each other, and so the next one is looked for there; only
where it is missing is every byte looked at. The work grows with the file and no faster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

from occulta.schemes.shares.segments import GRAIN, MARK_SIZE, TARGET

_PROBED = 8 * TARGET
"""How far a next mark is looked for at multiples of GRAIN."""
_SOUND = 2 * TARGET
"""A whole segment of rows cannot hide in a place of this size beside its owner."""
_WINDOW = 1 << 18
_FEW = 16
_MOST_COPIES = 4


class Source(Protocol):
    """A share on the ground: a file that can be read anywhere."""

    @property
    def name(self) -> str:
        """What to call it in messages."""

    @property
    def size(self) -> int:
        """Bytes."""

    def read(self, at: int, size: int) -> bytes:
        """Bytes from `at` on, fewer at the end; raises OccultaError(INPUT_UNREADABLE)."""


class Place(NamedTuple):
    """A segment begins at byte `at`; the next mark, or the end of the file, is at `end`."""

    number: int
    at: int
    end: int


def locate(source: Source, start: int, marks: Mapping[bytes, int]) -> list[Place]:
    """Every segment that begins at or behind `start`, in order of place; `marks` name numbers."""
    finder = _Finder(source, marks)
    found: list[Place] = []
    at = finder.scan(start, source.size)
    while at is not None:
        number = finder.number_at(at)
        following = finder.next_mark(at, number)
        found.append(Place(number, at, source.size if following is None else following))
        at = following
    return found


def search(
    source: Source, start: int, places: list[Place], marks: Mapping[bytes, int]
) -> Iterator[Place]:
    """Look where `locate` did not: for segments that stand inside the places of others."""
    if len(marks) <= _FEW:
        for mark, number in marks.items():
            at = _Finder(source, marks).find(mark, start)
            if at is not None:
                yield Place(number, at, source.size)
        return
    finder = _Finder(source, marks)
    for place in places:
        size = place.end - place.at
        at = place.at + MARK_SIZE
        while size % GRAIN or size > _SOUND:
            found = finder.scan(at, place.end)
            if found is None:
                break
            yield Place(finder.number_at(found), found, place.end)
            at = found + MARK_SIZE


def by_number(places: list[Place]) -> dict[int, list[Place]]:
    """The places of each segment, at most four."""
    sorted_places: dict[int, list[Place]] = {}
    for place in places:
        copies = sorted_places.setdefault(place.number, [])
        if len(copies) < _MOST_COPIES:
            copies.append(place)
    return sorted_places


class _Finder:
    def __init__(self, source: Source, marks: Mapping[bytes, int]) -> None:
        self._source = source
        self._marks = marks
        self._base = 0
        self._window = b""

    def _at(self, at: int) -> bytes:
        begin = at - self._base
        if begin < 0 or begin + MARK_SIZE > len(self._window):
            self._base, begin = at, 0
            self._window = self._source.read(at, _WINDOW)
        return self._window[begin : begin + MARK_SIZE]

    def number_at(self, at: int) -> int:
        """The number of the segment whose mark stands there."""
        return self._marks[self._at(at)]

    def next_mark(self, at: int, number: int) -> int | None:
        """Where the mark behind the one at `at` stands."""
        end = self._source.size
        for probed in range(at + GRAIN, min(at + _PROBED, end - MARK_SIZE) + 1, GRAIN):
            found = self._marks.get(self._at(probed))
            if found == number + 1:
                return probed
            if found is not None:
                before = self.scan(at + MARK_SIZE, probed)
                return probed if before is None else before
        return self.scan(at + MARK_SIZE, end)

    def scan(self, at: int, end: int) -> int | None:
        """The first mark that begins in [at, end), looking at every byte."""
        while at < end:
            if self._at(at) in self._marks:
                return at
            window, marks = self._window, self._marks
            begin = at - self._base
            stop = min(end - self._base, len(window) - MARK_SIZE + 1)
            for offset in range(begin, stop):
                if window[offset : offset + MARK_SIZE] in marks:
                    return self._base + offset
            at = max(at + 1, self._base + stop)
        return None

    def find(self, mark: bytes, at: int) -> int | None:
        """The first place of one mark from `at` on."""
        while at < self._source.size:
            window = self._source.read(at, _WINDOW)
            found = window.find(mark)
            if found >= 0:
                return at + found
            at += max(1, len(window) - MARK_SIZE + 1)
        return None
