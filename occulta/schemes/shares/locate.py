"""Where the segments of a share stand, found by their marks, whatever was moved, cut or put in.

The next mark is looked for where the head of a segment says, then at multiples of 1 KiB, and only
where it is missing at every byte. The work grows with what segments account for and no faster: a
holder can make a share as long as it likes, and knows the marks of its own segments.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, Protocol

from occulta.schemes.shares.segments import GRAIN, MARK_SIZE, MAX_SEGMENT, TARGET

_REACHES = (8 * TARGET, 64 * TARGET, MAX_SEGMENT)
"""How far a next mark is looked for at multiples of GRAIN before every byte up to there is."""
_SOUND = 2 * TARGET
"""A whole segment of rows cannot hide in a place of this size beside its owner."""
_WINDOW = 1 << 18
_LEAST_SCANNED = 1 << 7
_FEW = 16
MOST_COPIES = 4
"""Copies of a segment in a share; further ones are not looked at."""
LEAST_READ = 2 * MAX_SEGMENT
MOST_TIMES = 4
"""Bytes of a share that are looked at: the former, and so many times what its segments take."""


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


class Front:
    """A source up to some byte: what lies behind it is not looked at."""

    def __init__(self, source: Source, end: int) -> None:
        self._source = source
        self.name = source.name
        self.size = min(end, source.size)

    def read(self, at: int, size: int) -> bytes:
        """Bytes from `at` on, fewer at the end; raises OccultaError(INPUT_UNREADABLE)."""
        return self._source.read(at, max(0, min(size, self.size - at)))


Hint = Callable[[int, int], int | None]
"""The size that the head of a segment tells, by place and number; nobody vouches for it."""
Worth = Callable[[Place], int]
"""Bytes that a segment takes for certain in its place."""


def locate(
    source: Source, start: int, marks: Mapping[bytes, int], hint: Hint | None = None,
    worth: Worth | None = None,
) -> list[Place]:
    """Every segment from `start` on, in order of place; `marks` name numbers.

    With `worth` not beyond what the segments found so far can make likely; the last place ends
    where looking did.
    """
    return Locator(source, marks, hint).within(start, source.size, worth)


def search(
    source: Source, start: int, places: list[Place], marks: Mapping[bytes, int]
) -> Iterator[Place]:
    """Look where `locate` did not: for segments that stand inside the places of others.

    The first place of each that is found.
    """
    locator = Locator(source, marks, None, most=1)
    if len(marks) <= _FEW:
        for mark, number in marks.items():
            at = locator.find(mark, start)
            if at is not None:
                yield Place(number, at, source.size)
        return
    for place in places:
        size = place.end - place.at
        at = place.at + MARK_SIZE
        while size % GRAIN or size > _SOUND:
            found = locator.scan(at, place.end)
            if found is None:
                break
            yield Place(locator.take(found), found, place.end)
            at = found + MARK_SIZE


def by_number(places: list[Place]) -> dict[int, list[Place]]:
    """The places of each segment, at most four."""
    sorted_places: dict[int, list[Place]] = {}
    for place in places:
        copies = sorted_places.setdefault(place.number, [])
        if len(copies) < MOST_COPIES:
            copies.append(place)
    return sorted_places


class Locator:
    """Looks for marks in a source, each of them `most` times in all."""

    def __init__(
        self, source: Source, marks: Mapping[bytes, int], hint: Hint | None,
        most: int = MOST_COPIES,
    ) -> None:
        self._source = source
        self._marks = dict(marks)
        self._words = set(array("Q", b"".join(marks)))
        self._hint = hint
        self._most = most
        self._copies: Counter[int] = Counter()
        self._end = source.size
        self._base = 0
        self._window = b""

    def within(self, start: int, stop: int, worth: Worth | None = None) -> list[Place]:
        """Every segment that begins in [start, stop), in order; `worth`: see `locate`."""
        self._end = stop if worth is None else min(stop, start + LEAST_READ)
        found: list[Place] = []
        new: list[Place] = []
        at = self.scan(start, self._end)
        while at is not None:
            number = self.take(at)
            following = self.next_mark(at, number)
            if self._copies[number] == 1:
                new.append(Place(number, at, following or self._end))
            while following is None and worth is not None and new and self._end < stop:
                self._end = min(stop, self._end + MOST_TIMES * sum(map(worth, new)))
                new.clear()
                following = self.next_mark(at, number)
            found.append(Place(number, at, self._end if following is None else following))
            at = following
        return found

    def take(self, at: int) -> int:
        """The number of the segment whose mark stands there; its last copy is not found again."""
        mark = self._at(at)
        number = self._marks[mark]
        self._copies[number] += 1
        if self._copies[number] == self._most:
            del self._marks[mark]
            self._words.discard(memoryview(mark).cast("Q")[0])
        return number

    def _at(self, at: int) -> bytes:
        begin = at - self._base
        if begin < 0 or begin + MARK_SIZE > len(self._window):
            self._base, begin = at, 0
            self._window = self._source.read(at, _WINDOW)
        return self._window[begin : begin + MARK_SIZE]

    def next_mark(self, at: int, number: int) -> int | None:
        """Where the mark behind the one at `at` stands."""
        begin = at + MARK_SIZE
        for reach in _REACHES:
            end = min(at + reach, self._end)
            probed = self._probe(at, begin, end)
            if probed is None and reach == _REACHES[0] and self._hint is not None:
                told = at + (self._hint(at, number) or 0)
                if told == self._end:
                    return self._probe(at, begin, self._end)
                if told > at and self._marks.get(self._source.read(told, MARK_SIZE)) == number + 1:
                    return told
            if probed is not None and self._marks[self._at(probed)] == number + 1:
                return probed
            found = self.scan(begin, end if probed is None else probed)
            if found is not None or probed is not None:
                return probed if found is None else found
            begin = max(begin, end)
        return self.scan(begin, self._end)

    def _probe(self, at: int, begin: int, end: int) -> int | None:
        """The first mark in [begin, end) at multiples of GRAIN behind `at`."""
        first = at - (at - begin) // GRAIN * GRAIN
        for probed in range(first, min(end, self._end - MARK_SIZE + 1), GRAIN):
            if self._at(probed) in self._marks:
                return probed
        return None

    def scan(self, at: int, end: int) -> int | None:
        """The first mark that begins in [at, end), looking at every byte."""
        size = _LEAST_SCANNED
        while at < end:
            self._at(at)
            begin = at - self._base
            stop = min(begin + size, end - self._base, len(self._window) - MARK_SIZE + 1)
            found = self._first_in(self._window[begin : stop + MARK_SIZE - 1])
            if found is not None:
                return at + found
            at = max(at + 1, self._base + stop)
            size = min(4 * size, _WINDOW)
        return None

    def _first_in(self, data: bytes) -> int | None:
        """The first mark in some bytes, which are looked at as words, from each of eight bytes."""
        hits: set[int] = set()
        for first in range(min(MARK_SIZE, len(data))):
            whole = (len(data) - first) // MARK_SIZE * MARK_SIZE
            hits |= self._words.intersection(memoryview(data)[first : first + whole].cast("Q"))
        places = (data.find(array("Q", [word]).tobytes()) for word in hits)
        return min(places, default=None)

    def find(self, mark: bytes, at: int) -> int | None:
        """The first place of one mark from `at` on."""
        while at < self._source.size:
            window = self._source.read(at, _WINDOW)
            found = window.find(mark)
            if found >= 0:
                return at + found
            at += max(1, len(window) - MARK_SIZE + 1)
        return None
