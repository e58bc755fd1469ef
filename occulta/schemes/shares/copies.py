"""One segment out of several shares: a copy that verifies, or the best that there is."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from Crypto.Util.strxor import strxor

from occulta.schemes.shares.damage import Damage
from occulta.schemes.shares.header import Form
from occulta.schemes.shares.locate import Place, by_number, locate, search
from occulta.schemes.shares.opening import OpenSet, OpenShare
from occulta.schemes.shares.segments import (
    GRAIN,
    HEAD_SIZE,
    MAC_SIZE,
    MARK_SIZE,
    MAX_SEGMENT,
    TARGET,
    Checked,
    SetKeys,
    Sizes,
    body_size,
    encrypt,
    sizes_of,
)

_SPARE_NUMBERS = 16


class Copy(NamedTuple):
    """Where a segment stands in a share, how large it is, and whether its MAC holds."""

    place: Place
    size: int
    holds: bool


class Copies:
    """The segments of a set of shares. Notes in `damage` what is altered or moved."""

    def __init__(self, opened: OpenSet, keys: SetKeys, damage: Damage) -> None:
        """Looks for the segments in every share; raises OccultaError(INPUT_UNREADABLE)."""
        self._opened = opened
        self._keys = keys
        self._damage = damage
        self._frame_key = opened.frame_key
        self._holders = [*opened.ciphers]
        if opened.stream is not None:
            self._holders.append(opened.stream)
        self._places = [self._locate(share) for share in self._holders]
        self.count = 1 + max((number for found in self._places for number in found), default=-1)
        """One more than the highest number found."""
        for share, found in zip(self._holders, self._places, strict=True):
            self._search(share, found)
        self._expected = [
            Place(0, share.start, self._first(at)) if 0 not in self._places[at] else None
            for at, share in enumerate(self._holders)
        ]
        """Per share where the next segment should stand, for one whose mark was altered."""
        for share in opened.shares:
            if share.clear.form is Form.SEED and share.source.size != share.start:
                self._note(damage.moved, share, 0)

    def _first(self, at: int) -> int:
        """Where the first mark of a share stands."""
        ends = [place.at for places in self._places[at].values() for place in places]
        return min(ends, default=self._holders[at].source.size)

    def _locate(self, share: OpenShare) -> dict[int, list[Place]]:
        room = max(holder.source.size for holder in self._holders)
        marks = {
            self._keys.mark(share.clear.index, number): number
            for number in range(room // TARGET + _SPARE_NUMBERS)
        }
        found = locate(share.source, share.start, marks)
        self._note_order(share, found)
        return by_number(found)

    def _search(self, share: OpenShare, found: dict[int, list[Place]]) -> None:
        missing = [number for number in range(self.count) if number not in found]
        marks = {self._keys.mark(share.clear.index, number): number for number in missing}
        if not marks:
            return
        places = [place for copies in found.values() for place in copies]
        for place in search(share.source, share.start, places, marks):
            found.setdefault(place.number, [place])
            self._note(self._damage.moved, share, place.number)

    def _note_order(self, share: OpenShare, found: list[Place]) -> None:
        last = -1
        for place in found:
            if place.number <= last or (last < 0 and place.at != share.start):
                self._note(self._damage.moved, share, place.number)
            last = max(last, place.number)

    def _note(self, where: dict[int, set[int]], share: OpenShare, number: int) -> None:
        where.setdefault(share.clear.index, set()).add(number)

    # Reading.

    def has(self, number: int) -> bool:
        """Whether any share holds such a segment, found or only expected; ask in order."""
        for at, found in enumerate(self._places):
            expected = self._expected[at]
            if number not in found and expected and expected.end - expected.at >= GRAIN:
                found[number] = [Place(number, expected.at, expected.end)]
            self._expected[at] = None
        if number < self.count:
            return True
        # Behind the last mark anything may stand: it is a segment if one of its checks says so.
        return any(each.data_holds or each.hashes_hold for each in self.attempts(number))

    def verified(self, number: int) -> Checked | None:
        """The segment, if the MACs of all that it takes hold; every share is checked."""
        sizes = self._sizes(number)
        good = [self._good(at, number, sizes) for at in range(len(self._holders))]
        ciphers = [body for body in good[: len(self._opened.ciphers)] if body is not None]
        if not ciphers:
            return None
        if self._frame_key is not None:
            return self._keys.unpack(number, encrypt(self._frame_key, number, ciphers[0]))
        stream = good[-1]
        if stream is None or len(stream) != len(ciphers[0]):
            return None
        return self._keys.unpack(number, strxor(ciphers[0], stream))

    def attempts(self, number: int) -> Iterator[Checked]:
        """Whatever can be read of a segment that does not verify, from each pair of copies."""
        for sizes, pieces in self._pairs(number):
            readings = [self._readings(share, place, sizes) for share, place in pieces]
            for bodies in product(*readings):
                if self._frame_key is not None:
                    body = encrypt(self._frame_key, number, bodies[0])
                else:
                    body = strxor(*bodies)
                found = self._keys.unpack(number, body)
                if found is not None:
                    yield found

    def _good(self, at: int, number: int, sizes: list[int]) -> bytes | None:
        """The encrypted body of a copy in one share whose MAC holds."""
        share, found = self._holders[at], self._places[at]
        places = found.get(number, [])
        for place in places:
            extent = place.end - place.at
            for size in dict.fromkeys([*sizes, min(extent, MAX_SEGMENT) // GRAIN * GRAIN]):
                sealed = share.source.read(place.at, size)
                if size and len(sealed) == size and share.mac.holds(number, sealed):
                    self._expected[at] = Place(number, place.at + size, place.end)
                    is_followed = number + 1 in found or number + 1 == self.count
                    if len(places) > 1 or (extent != size and is_followed):
                        self._note(self._damage.moved, share, number)
                    return sealed[MARK_SIZE:-MAC_SIZE]
        if places and sizes:
            self._expected[at] = Place(number, places[0].at + sizes[0], places[0].end)
        self._note(self._damage.altered, share, number)
        return None

    def _sizes(self, number: int) -> list[int]:
        """The sizes that the readable heads of a segment tell."""
        return list(dict.fromkeys(sizes.segment for sizes, _ in self._pairs(number)))

    def _pairs(self, number: int) -> Iterator[tuple[Sizes, list[tuple[OpenShare, Place]]]]:
        """Every way to read the segment: a copy of the ciphertext, and one of the key stream."""
        count = len(self._opened.ciphers)
        for share, found in zip(self._holders[:count], self._places, strict=False):
            for place in found.get(number, []):
                head = share.source.read(place.at + MARK_SIZE, HEAD_SIZE)
                if self._frame_key is not None:
                    sizes = sizes_of(encrypt(self._frame_key, number, head))
                    if sizes is not None:
                        yield sizes, [(share, place)]
                    continue
                for other in self._places[-1].get(number, []):
                    yield from self._paired(head, (share, place), other)

    def _paired(
        self, head: bytes, piece: tuple[OpenShare, Place], other: Place
    ) -> Iterator[tuple[Sizes, list[tuple[OpenShare, Place]]]]:
        stream = self._holders[-1]
        beside = stream.source.read(other.at + MARK_SIZE, HEAD_SIZE)
        if len(beside) == len(head):
            sizes = sizes_of(strxor(head, beside))
            if sizes is not None:
                yield sizes, [piece, (stream, other)]

    def _readings(self, share: OpenShare, place: Place, sizes: Sizes) -> list[bytes]:
        """Bodies of the right size out of a place; two where it may have lost or gained bytes.

        Of the second one the bytes up to the end of the JPEG bytes are taken from the begin of the
        place, the rest from its end.
        """
        size = body_size(sizes.segment)
        extent = min(place.end - place.at, 2 * MAX_SEGMENT)
        start = place.at + MARK_SIZE
        front = share.source.read(start, min(size, max(0, extent - MARK_SIZE - MAC_SIZE)))
        front = front.ljust(size, b"\0")
        if extent == sizes.segment:
            return [front]
        rest = size - sizes.data_end
        tail = share.source.read(max(start, place.at + extent - MAC_SIZE - rest), rest)
        return [front, front[: sizes.data_end] + tail.ljust(rest, b"\0")]
