"""Which blocks of a restored picture have the hash that the `paper` profile's watermark lists.

A plane whose check value holds tells it of every block. Where neither does, both shares being
altered, a changed pixel has flipped a bit or displaced those behind it, and the planes are read
together:

1. Blocks whose hash is found, half of it (64 bits) near the place expected, tell by how much each
   plane is displaced there.
2. A block is right where five of the eight pieces of its hash stand, in either plane, where the
   blocks before and behind it tell: chance alone does that once in 10^11.
3. Where the hashes of these blocks and readings of the others make a list that the check value
   confirms, the list tells of every block. Nothing less says that one is wrong: after a loss of
   many bits both planes can carry the hash of another block in its place.

Of a block for which neither holds nothing is said.
"""

from __future__ import annotations

import hmac
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import chain, islice, product, zip_longest
from typing import NamedTuple

from occulta.schemes.shares import paper
from occulta.schemes.shares.paper_watermark import Round, joined

_BITS = 8 * paper.HASH_SIZE
_HALF = _BITS // 2
_PIECE = 16
_ENOUGH = 5
"""Pieces of a hash that prove it."""
_NEAR = 1024
"""Bits by which half a hash may be displaced against what was found before it."""
_SLACK, _GAP = 2, 64
"""The same for a piece, against what was found on either side; everything between the two is
searched if they differ by no more than the second."""
_MOST_LISTS = 1 << 14
_MOST_HASHED = 1 << 26
"""Bytes of lists that are tried, in all."""
_FLIPPED = bytes.maketrans(b"\0\1", b"\1\0")


class Carried(NamedTuple):
    """What a plane carries as watermark: the rounds, and the bits found of each (0 and 1)."""

    rounds: Sequence[Round]
    parts: Sequence[bytes]


class _Stream:
    """The bits of a plane, and by how much they are displaced where that is known.

    It is at both ends of each round, whose carriers were counted.
    """

    def __init__(self, carried: Carried) -> None:
        self.bits = joined(*carried)
        self._places: list[int] = []
        self._shifts: list[int] = []
        end = 0
        for each, part in zip(*carried, strict=True):
            self._places += [end - 1, end + each.carriers - 1]
            self._shifts += [0, len(part) - each.carriers]
            end += each.carriers

    def learn(self, part: bytes, place: int) -> None:
        """Look for half a hash."""
        at = bisect_right(self._places, place)
        expected = max(0, place + self._shifts[at - 1])
        behind = self.bits.find(part, expected, expected + _NEAR + len(part))
        before = self.bits.rfind(part, max(0, expected - _NEAR), expected + len(part))
        found = min((at for at in (behind, before) if at >= 0), default=None,
                    key=lambda at: abs(at - expected))
        if found is not None:
            self._places.insert(at, place)
            self._shifts.insert(at, found - place)

    def around(self, place: int) -> tuple[int, int]:
        """The displacements before and behind the hash at `place`."""
        before = bisect_left(self._places, place) - 1
        behind = bisect_left(self._places, place + _BITS)
        return self._shifts[before], self._shifts[min(behind, len(self._shifts) - 1)]

    def stands(self, bits: bytes, place: int) -> bool:
        """Whether a whole hash stands where the block before it tells."""
        return self._read(place, _BITS, self.around(place)[0]) == bits

    def pieces(self, place: int, offset: int) -> set[bytes]:
        """What the piece at `offset` of what begins at `place` may be."""
        low, high = sorted(self.around(place))
        shifts = {end + step for end in (low, high) for step in range(-_SLACK, _SLACK + 1)}
        if high - low <= _GAP:
            shifts.update(range(low, high))
        return {self._read(place + offset, _PIECE, shift) for shift in shifts}

    def steady(self, place: int) -> bytes | None:
        """The hash at `place`, None where the displacement before it is not the one behind."""
        before, behind = self.around(place)
        return self._read(place, _BITS, before) if before == behind else None

    def readings(self, place: int) -> Iterator[bytes]:
        """What the hash at `place` may be: as it stands, then after one change."""
        before, behind = self.around(place)
        start, end = (self._read(place, _BITS, shift) for shift in (before, behind))
        yield start
        for at in range(_BITS):
            if behind != before:
                yield start[:at] + end[at:]
            if behind <= before:
                yield start[:at] + end[at : at + 1].translate(_FLIPPED) + end[at + 1 :]

    def _read(self, place: int, size: int, shift: int) -> bytes:
        """Beyond the ends of the stream zeros."""
        at = place + shift
        found = self.bits[max(0, at) : max(0, at + size)]
        return (bytes(max(0, -at)) + found)[:size].ljust(size, b"\0")


def judge(
    hashes: Sequence[bytes], planes: Sequence[Carried], check_key: bytes
) -> list[bool | None]:
    """For each block's hash (of the restored pixels) True, False, or None where nothing proves it.

    `planes` have carriers for the list and its check value.
    """
    size = len(hashes) * _BITS + 8 * paper.CHECK_SIZE
    streams = [_Stream(each) for each in planes]
    for stream in streams:
        listed = _checked(stream.bits[:size], check_key)
        if listed is not None:
            return [found == known for found, known in zip(hashes, listed, strict=True)]
    _learn(hashes, streams)
    right = [_is_carried(one, at * _BITS, streams) for at, one in enumerate(hashes)]
    listed = _completed(hashes, right, streams, check_key)
    if listed is None:
        return [each or None for each in right]
    return [found == known for found, known in zip(hashes, listed, strict=True)]


def is_listed(carried: Carried, blocks: int, check_key: bytes) -> bool:
    """Whether a plane carries the list of so many blocks and the check value of it."""
    bits = joined(*carried)[: blocks * _BITS + 8 * paper.CHECK_SIZE]
    return _checked(bits, check_key) is not None


def _checked(bits: bytes, check_key: bytes) -> list[bytes] | None:
    """The hash list of a plane whose check value holds."""
    data = paper.from_bits(bits)
    end = len(data) - paper.CHECK_SIZE
    hashes = [data[at : at + paper.HASH_SIZE] for at in range(0, end, paper.HASH_SIZE)]
    return hashes if hmac.compare_digest(paper.watermark(hashes, check_key), data) else None


def _learn(hashes: Sequence[bytes], streams: Sequence[_Stream]) -> None:
    """Find out displacements."""
    for at, one in enumerate(hashes):
        bits = paper.to_bits(one)
        for half in (0, _HALF):
            for stream in streams:
                stream.learn(bits[half : half + _HALF], at * _BITS + half)


def _is_carried(one: bytes, place: int, streams: Sequence[_Stream]) -> bool:
    """Whether enough pieces of a hash are."""
    bits = paper.to_bits(one)
    if any(stream.stands(bits, place) for stream in streams):
        return True
    carried = sum(
        any(bits[at : at + _PIECE] in stream.pieces(place, at) for stream in streams)
        for at in range(0, _BITS, _PIECE)
    )
    return carried >= _ENOUGH


def _completed(
    hashes: Sequence[bytes], right: Sequence[bool], streams: Sequence[_Stream], check_key: bytes
) -> list[bytes] | None:
    """A list that the check value confirms; of the blocks that are not right readings are tried."""
    unknown = [at for at, is_right in enumerate(right) if not is_right]
    place = len(hashes) * _BITS
    checks = [
        set().union(*(stream.pieces(place, offset) for stream in streams))
        for offset in range(0, 8 * paper.CHECK_SIZE, _PIECE)
    ]
    most = min(_MOST_LISTS, _MOST_HASHED // (paper.HASH_SIZE * len(hashes)))
    agreed = [_agreed(at * _BITS, streams) for at in unknown]
    depth = int(most ** (1 / max(1, agreed.count(None))))
    choices = [
        list(dict.fromkeys(islice(_choices(hashes[at], at * _BITS, streams), depth)))
        if known is None else [known] for at, known in zip(unknown, agreed, strict=True)
    ]
    for chosen in islice(product(*choices), most):
        listed = list(hashes)
        for at, read in zip(unknown, chosen, strict=True):
            listed[at] = read
        if _is_confirmed(listed, checks, check_key):
            return listed
    return None


def _agreed(place: int, streams: Sequence[_Stream]) -> bytes | None:
    """The hash that every plane carries."""
    read = {stream.steady(place) for stream in streams}
    bits = read.pop() if len(read) == 1 else None
    return None if bits is None else paper.from_bits(bits)


def _choices(one: bytes, place: int, streams: Sequence[_Stream]) -> Iterator[bytes]:
    """What the list may have for a block, the likeliest first; `one` is the hash of its pixels."""
    steady_first = sorted(streams, key=lambda stream: stream.steady(place) is None)
    turns = zip_longest(*(stream.readings(place) for stream in steady_first))
    read = (paper.from_bits(bits) for bits in chain.from_iterable(turns) if bits is not None)
    return chain(islice(read, len(streams)), [one], read)


def _is_confirmed(
    listed: Sequence[bytes], checks: Sequence[set[bytes]], check_key: bytes
) -> bool:
    check = paper.to_bits(paper.watermark(listed, check_key)[-paper.CHECK_SIZE :])
    return all(
        check[at * _PIECE : (at + 1) * _PIECE] in known for at, known in enumerate(checks)
    )
