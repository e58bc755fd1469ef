"""Where the segments of all shares of a set stand, however many were cut out before them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from Crypto.Util.strxor import strxor

from occulta.schemes.shares.damage import Damage
from occulta.schemes.shares.locate import (
    LEAST_READ,
    MOST_COPIES,
    Front,
    Locator,
    Place,
    by_number,
    locate,
    search,
)
from occulta.schemes.shares.opening import OpenSet, OpenShare
from occulta.schemes.shares.segments import (
    HEAD_SIZE,
    MARK_SIZE,
    TARGET,
    SetKeys,
    Sizes,
    encrypt,
    sizes_of,
)

_FACTOR = 4
"""The first search is for so many times the segments that a share has room for, each further one
for so many times the segments before."""
_SPARE_NUMBERS = 16
_MOST_FACTOR = 64
_MOST_NUMBERS = 1 << 18
"""Segments of a frame of 8 GiB: none is looked for beyond."""
_SOUND = 2 * TARGET
_SPARE = 1 << 20
"""Bytes of a share that are looked at behind as many copies as there may be of each segment."""


class Finder:
    """Looks for marks in every share; notes in `damage` what stands where it should not."""

    def __init__(self, opened: OpenSet, keys: SetKeys, damage: Damage) -> None:
        """Raises OccultaError(INPUT_UNREADABLE)."""
        self._opened = opened
        self._keys = keys
        self._damage = damage
        self.holders = [*opened.ciphers]
        """The shares with a body, as far as they are looked at, that of the key stream last."""
        if opened.stream is not None:
            self.holders.append(opened.stream)
        self._bound()
        found = self._locate_all()
        for share, places in zip(self.holders, found, strict=True):
            self._note_order(share, places)
        self.places = [by_number(places) for places in found]
        """Per share the places of each segment."""
        for share, known in zip(self.holders, self.places, strict=True):
            self._search(share, known, range(self.count))

    @property
    def count(self) -> int:
        """One more than the highest number found."""
        return 1 + max((number for places in self.places for number in places), default=-1)

    def look_behind(self) -> None:
        """Look for segments behind the highest number found too: the last one is not there."""
        numbers = range(self.count, self.count + _SPARE_NUMBERS)
        for share, known in zip(self.holders, self.places, strict=True):
            self._search(share, known, numbers)

    # Heads.

    def sizes(self, number: int, cipher: Place, at: int, stream: Place | None) -> Sizes | None:
        """What the head of a copy says; `at` numbers the share, `stream` is the copy beside it."""
        head = self._head(self.holders[at], cipher.at)
        if self._opened.frame_key is not None:
            return sizes_of(encrypt(self._opened.frame_key, number, head))
        beside = b"" if stream is None else self._head(self.holders[-1], stream.at)
        return sizes_of(strxor(head, beside)) if len(head) == len(beside) else None

    def _head(self, share: OpenShare, at: int) -> bytes:
        return share.source.read(at + MARK_SIZE, HEAD_SIZE)

    def _told(self, share: OpenShare, at: int, number: int) -> Sizes | None:
        """What is told at a place; of a key stream its other half stands as far from the front."""
        if self._opened.frame_key is not None:
            return sizes_of(encrypt(self._opened.frame_key, number, self._head(share, at)))
        halves = [self._head(each, at - share.start + each.start) for each in self.holders]
        return sizes_of(strxor(*halves)) if len(halves[0]) == len(halves[1]) else None

    def _hint(self, share: OpenShare, at: int, number: int) -> int | None:
        told = self._told(share, at, number)
        return None if told is None else told.segment

    # Sizes.

    def _bound(self) -> None:
        """Look at no share far beyond the size that all of a set have, where one tells it.

        A share that is whole does: every segment verifies, from the first to the last.
        """
        bodies = [share.source.size - share.start for share in self.holders]
        if len(set(bodies)) < 2:
            return
        by_size = sorted(self.holders, key=lambda share: share.source.size - share.start)
        size = next(filter(None, map(self._whole_size, by_size)), None)
        if size is not None:
            most = MOST_COPIES * size + _SPARE
            self.holders[:] = [_up_to(share, share.start + most) for share in self.holders]

    def _whole_size(self, share: OpenShare) -> int | None:
        """The size of the body of a share that is whole."""
        at, is_last, number = share.start, False, 0
        while not is_last:
            told = self._told(share, at, number)
            if told is None or not self._verifies(share, at, number, told.segment):
                return None
            at, is_last, number = at + told.segment, told.is_last, number + 1
        return at - share.start

    def _verifies(self, share: OpenShare, at: int, number: int, size: int) -> bool:
        sealed = share.source.read(at, size)
        return len(sealed) == size and share.mac.holds(number, sealed)

    def _worth(self, share: OpenShare, place: Place) -> int:
        """A larger segment than most counts whole if it verifies."""
        size = self._hint(share, place.at, place.number) or 0
        is_large = _SOUND < size <= place.end - place.at
        return size if is_large and self._verifies(share, place.at, place.number, size) else _SOUND

    # Marks.

    def _locate_all(self) -> list[list[Place]]:
        room = max((share.source.size for share in self.holders), default=0) // TARGET
        most = min(_MOST_FACTOR * (room + _SPARE_NUMBERS), _MOST_NUMBERS)
        numbers = min(_FACTOR * (room + _SPARE_NUMBERS), most)
        found = [self._locate(share, range(numbers)) for share in self.holders]
        self.holders[:] = [
            _up_to(share, places[-1].end if places else share.start + LEAST_READ)
            for share, places in zip(self.holders, found, strict=True)
        ]
        while numbers < most and not self._has_end(found):
            batch = range(numbers, min(_FACTOR * numbers, most))
            found = [
                self._locate_more(share, batch, places)
                for share, places in zip(self.holders, found, strict=True)
            ]
            numbers = batch.stop
        return found

    def _marks(self, share: OpenShare, numbers: range | list[int]) -> dict[bytes, int]:
        return {self._keys.mark(share.clear.index, number): number for number in numbers}

    def _locate(self, share: OpenShare, numbers: range) -> list[Place]:
        hint, worth = partial(self._hint, share), partial(self._worth, share)
        return locate(share.source, share.start, self._marks(share, numbers), hint, worth)

    def _locate_more(
        self, share: OpenShare, numbers: range, places: list[Place]
    ) -> list[Place]:
        """Look for further numbers where something stands that no segment found accounts for."""
        rest = list(self._unaccounted(share, places))
        if not rest:
            return places
        marks, hint = self._marks(share, numbers), partial(self._hint, share)
        locator = Locator(share.source, marks, hint)
        more = [place for start, end in rest for place in locator.within(start, end)]
        merged = sorted([*places, *more], key=lambda place: place.at)
        ends = [place.at for place in merged[1:]] + [share.source.size] * bool(merged)
        return [place._replace(end=end) for place, end in zip(merged, ends, strict=True)]

    def _unaccounted(self, share: OpenShare, places: list[Place]) -> Iterator[tuple[int, int]]:
        first = places[0].at if places else share.source.size
        if share.start < first:
            yield share.start, first
        for place in places:
            size, extent = self._hint(share, place.at, place.number), place.end - place.at
            if size and size < extent:
                yield place.at + size, place.end
            elif size != extent and extent > _SOUND:
                yield place.at + MARK_SIZE, place.end

    def _has_end(self, found: list[list[Place]]) -> bool:
        """Whether the highest number found is that of a last segment, as far as can be told."""
        last = max((place.number for places in found for place in places), default=-1)
        for share, places in zip(self.holders, found, strict=True):
            for place in places:
                if place.number == last:
                    told = self._told(share, place.at, last)
                    if told is not None and told.is_last:
                        return True
        return False

    def _search(
        self, share: OpenShare, found: dict[int, list[Place]], numbers: range
    ) -> None:
        """Look for segments inside the places of others."""
        missing = [number for number in numbers if number not in found]
        marks = self._marks(share, missing)
        if not marks:
            return
        places = [place for copies in found.values() for place in copies]
        for place in search(share.source, share.start, places, marks):
            found.setdefault(place.number, [place])
            self.note(self._damage.moved, share, place.number)

    def _note_order(self, share: OpenShare, found: list[Place]) -> None:
        last = -1
        for place in found:
            if place.number <= last or (last < 0 and place.at != share.start):
                self.note(self._damage.moved, share, place.number)
            last = max(last, place.number)

    def note(self, where: dict[int, set[int]], share: OpenShare, number: int) -> None:
        """Enter a segment of a share in an account of the damage."""
        where.setdefault(share.clear.index, set()).add(number)


def _up_to(share: OpenShare, end: int) -> OpenShare:
    return replace(share, source=Front(share.source, end))


def in_order_of_rank(
    found: list[dict[int, list[Place]]], number: int
) -> Iterator[tuple[int, Place]]:
    """Copies of a segment in several shares: the first of each, the second of each, ..."""
    for rank in range(MOST_COPIES):
        for at, places in enumerate(found):
            copies = places.get(number, [])
            if rank < len(copies):
                yield at, copies[rank]
