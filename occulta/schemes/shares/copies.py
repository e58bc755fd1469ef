"""One segment out of several shares: a copy that verifies, or the best that there is."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, product

from Crypto.Util.strxor import strxor

from occulta.schemes.shares.damage import Damage
from occulta.schemes.shares.finding import Finder, in_order_of_rank
from occulta.schemes.shares.header import Form
from occulta.schemes.shares.locate import Place
from occulta.schemes.shares.opening import OpenSet, OpenShare
from occulta.schemes.shares.segments import (
    GRAIN,
    MAC_SIZE,
    MARK_SIZE,
    MAX_SEGMENT,
    TARGET,
    Checked,
    SetKeys,
    Sizes,
    body_size,
    encrypt,
)

_MOST_SIZES = 4
_MOST_ATTEMPTS = 32
"""Ways to read a segment that does not verify, tried at most."""
_MOST_LOST = TARGET
"""Bytes that a segment may have lost and still be read."""


class Copies:
    """The segments of a set of shares. Notes in `damage` what is altered or moved."""

    def __init__(self, opened: OpenSet, keys: SetKeys, damage: Damage) -> None:
        """Looks for the segments in every share; raises OccultaError(INPUT_UNREADABLE)."""
        self._opened = opened
        self._keys = keys
        self._damage = damage
        self._frame_key = opened.frame_key
        self._finder = Finder(opened, keys, damage)
        self._holders, self._places = self._finder.holders, self._finder.places
        self._count = self._finder.count
        """One more than the highest number found by its mark."""
        self._guessed: list[set[int]] = [set() for _ in self._holders]
        """Per share the segments that have a place without their mark."""
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

    def _note(self, where: dict[int, set[int]], share: OpenShare, number: int) -> None:
        self._finder.note(where, share, number)

    def note_end(self, number: int) -> None:
        """The last segment is nowhere: every share was cut before it."""
        for share in self._holders:
            self._note(self._damage.altered, share, number)

    # Reading.

    def has(self, number: int) -> bool:
        """Whether any share holds such a segment, found or only expected; ask in order."""
        if number == self._count:
            self._finder.look_behind()
            self._count = max(self._count, self._finder.count)
        for at, found in enumerate(self._places):
            expected = self._expected[at]
            if number not in found and expected and expected.end - expected.at >= GRAIN:
                found[number] = [Place(number, expected.at, expected.end)]
                self._guessed[at].add(number)
            self._expected[at] = None
        if number < self._count:
            return True
        # Behind the last mark anything may stand: it is a segment if one of its checks says so.
        return any(each.data_holds or each.hashes_hold for each in self.attempts(number))

    def stands(self, number: int) -> bool:
        """Whether everything that makes up a segment has a place, in whatever state."""
        ciphers = len(self._opened.ciphers)
        has = [number in found for found in self._places]
        return any(has[:ciphers]) and all(has[ciphers:])

    def verified(self, number: int) -> Checked | None:
        """The segment, if the MACs of all that it takes hold; every share is checked."""
        good = [self._good(at, number) for at in range(len(self._holders))]
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
        """What can be read of a segment that does not verify, from each pair of copies."""
        return islice(self._attempts(number), _MOST_ATTEMPTS)

    def _attempts(self, number: int) -> Iterator[Checked]:
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

    def _good(self, at: int, number: int) -> bytes | None:
        """The encrypted body of a copy in one share whose MAC holds."""
        share, found = self._holders[at], self._places[at]
        places = found.get(number, [])
        for place in places:
            extent = place.end - place.at
            for size in self._sizes(at, place, number):
                sealed = share.source.read(place.at, size)
                if len(sealed) == size and share.mac.holds(number, sealed):
                    self._expected[at] = Place(number, place.at + size, place.end)
                    is_followed = number + 1 in found or number + 1 == self._count
                    if len(places) > 1 or (extent != size and is_followed):
                        self._note(self._damage.moved, share, number)
                    return sealed[MARK_SIZE:-MAC_SIZE]
        if places:
            told = self._told(at, places[0], number)
            if told:
                self._expected[at] = Place(number, places[0].at + told[0], places[0].end)
        self._note(self._damage.altered, share, number)
        return None

    def _sizes(self, at: int, place: Place, number: int) -> list[int]:
        """The sizes that a copy can have, none beyond its place.

        Where the head can be read alone, one that was altered would break the MAC anyway: nothing
        but what it tells is tried. Nobody else's head has a say, and so what is read for all
        copies is not more than the file, or a few times that of key streams.
        """
        told = self._told(at, place, number)
        if self._frame_key is not None or number in self._guessed[at]:
            return told
        whole = min(place.end - place.at, MAX_SEGMENT) // GRAIN * GRAIN
        return list(dict.fromkeys([whole, *told] if whole else told))

    def _told(self, at: int, place: Place, number: int) -> list[int]:
        if self._frame_key is not None:
            pairs: list[tuple[Place, Place | None]] = [(place, None)]
        elif at == len(self._holders) - 1:  # the key stream
            pairs = [(other, place) for other in self._places[0].get(number, [])]
        else:
            pairs = [(place, other) for other in self._places[-1].get(number, [])]
        share = at if self._frame_key is not None else 0
        told = (self._finder.sizes(number, cipher, share, stream) for cipher, stream in pairs)
        extent = place.end - place.at
        sizes = [each.segment for each in told if each is not None and each.segment <= extent]
        return list(dict.fromkeys(sizes))[:_MOST_SIZES]

    def _pairs(self, number: int) -> Iterator[tuple[Sizes, list[tuple[OpenShare, Place]]]]:
        """Every way to read the segment: a copy of the ciphertext, and one of the key stream."""
        ciphers = self._places[: len(self._opened.ciphers)]
        beside: list[Place | None] = [None]
        if self._frame_key is None:
            beside = [*self._places[-1].get(number, [])]
        for at, place in in_order_of_rank(ciphers, number):
            for other in beside:
                sizes = self._finder.sizes(number, place, at, other)
                if sizes is None:
                    continue
                pieces = [(self._holders[at], place)]
                if other is not None:
                    pieces.append((self._holders[-1], other))
                yield sizes, pieces

    def _readings(self, share: OpenShare, place: Place, sizes: Sizes) -> list[bytes]:
        """Bodies of the right size out of a place; two where it may have lost or gained bytes.

        Of the second one the bytes up to the end of the JPEG bytes are taken from the begin of the
        place, the rest from its end. None where too much is lacking: what an altered head claims
        costs no memory.
        """
        size = body_size(sizes.segment)
        extent = min(place.end - place.at, 2 * MAX_SEGMENT)
        if sizes.segment > extent + _MOST_LOST:
            return []
        start = place.at + MARK_SIZE
        front = share.source.read(start, min(size, max(0, extent - MARK_SIZE - MAC_SIZE)))
        front = front.ljust(size, b"\0")
        if extent == sizes.segment:
            return [front]
        rest = size - sizes.data_end
        tail = share.source.read(max(start, place.at + extent - MAC_SIZE - rest), rest)
        return [front, front[: sizes.data_end] + tail.ljust(rest, b"\0")]
