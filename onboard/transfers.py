"""What is remembered of transfers: their transactions across a restart, and those that failed."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from occulta.link.cfdp import TransactionId

Key = tuple[bytes, int]
"""Product and destination."""
FIRST_PAUSE = 1.0
"""Seconds before what could not be read for the first time is begun again."""
LONGEST_PAUSE = 64.0
MOST_PAUSES = 64
"""Per destination: where so many products cannot be read, it is no product's own fault."""
_REMEMBERED = 1024
_CRC = 4


class _Pause(NamedTuple):
    seconds: float
    until: float


class Pauses:
    """Transfers that this machine could not begin or go on with, each left alone ever longer."""

    def __init__(self) -> None:
        self._pauses: dict[Key, _Pause] = {}

    def begin(self, key: Key, now: float) -> None:
        """Leave a transfer alone for a second, then for twice as long as the last time."""
        last = self._pauses.pop(key, None)
        seconds = FIRST_PAUSE if last is None else min(2 * last.seconds, LONGEST_PAUSE)
        self._pauses[key] = _Pause(seconds, now + seconds)
        if len(self._pauses) > _REMEMBERED:
            del self._pauses[next(iter(self._pauses))]

    def end(self, key: Key) -> None:
        """It is well again, or gone."""
        self._pauses.pop(key, None)

    def of(self, destination: int, now: float) -> list[bytes]:
        """The products that are to be left alone now."""
        return [
            product for (product, number), pause in self._pauses.items()
            if number == destination and now < pause.until
        ]


def encode_transfers(transfers: Mapping[Key, list[TransactionId]]) -> bytes:
    """The transactions of each transfer, as bytes: a CRC-32 and what it covers.

    A number that was altered could be that of a transaction which ended well.
    """
    data = msgspec.msgpack.encode([(*key, found) for key, found in transfers.items()])
    return zlib.crc32(data).to_bytes(_CRC, "big") + data


def decode_transfers(data: bytes) -> dict[Key, list[TransactionId]]:
    """As they were encoded; raises ValueError for bytes that were damaged."""
    if zlib.crc32(data[_CRC:]) != int.from_bytes(data[:_CRC], "big"):
        raise ValueError("its checksum does not match")
    entries = msgspec.msgpack.decode(data[_CRC:], type=list[tuple[bytes, int, list[TransactionId]]])
    return {(product, destination): found for product, destination, found in entries}
