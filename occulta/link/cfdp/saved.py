"""A transaction as bytes, to outlive a restart.

What is read back was written by this entity, so a field that makes no sense means a damaged store:
ValueError, never a guess.
"""

from __future__ import annotations

import zlib

import msgspec

from occulta.link.cfdp.constants import ChecksumType, Condition
from occulta.link.cfdp.pdu import Eof, Finished, Header, Metadata
from occulta.link.cfdp.request import PutRequest
from occulta.link.cfdp.states import State

FORMAT = 1
_CRC = 4


class SavedSum(msgspec.Struct, frozen=True):
    """A checksum under way."""

    kind: ChecksumType
    value: int
    offset: int


class _Saved(msgspec.Struct, frozen=True, tag_field="kind"):
    """What every snapshot says."""

    format: int


class SavedSender(_Saved, frozen=True, tag="sender"):
    """A transaction being sent."""

    header: Header
    state: State
    condition: Condition
    suspended: bool
    request: PutRequest
    closure: bool
    declared: int | None
    sent: int
    checksum: SavedSum
    asked: list[tuple[int, int]]


class SavedReceiver(_Saved, frozen=True, tag="receiver"):
    """A transaction being received."""

    header: Header
    state: State
    condition: Condition
    suspended: bool
    metadata: Metadata | None
    eof: Eof | None
    received: list[tuple[int, int]]
    outcome: Finished | None


class SavedClosed(_Saved, frozen=True, tag="closed"):
    """A transaction that has ended."""

    remote: int
    sender: bool
    condition: Condition
    order: int


class SavedEntity(_Saved, frozen=True, tag="entity"):
    """The next sequence number."""

    next_sequence: int


Saved = SavedSender | SavedReceiver | SavedClosed | SavedEntity

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Saved] = msgspec.msgpack.Decoder(Saved)


def encode_saved(saved: Saved) -> bytes:
    """The bytes of a snapshot: a CRC-32 and what it covers."""
    data = _encoder.encode(saved)
    return zlib.crc32(data).to_bytes(_CRC, "big") + data


def decode_saved(data: bytes) -> Saved:
    """A snapshot; raises ValueError for what was not written by `encode_saved`."""
    if zlib.crc32(data[_CRC:]) != int.from_bytes(data[:_CRC], "big"):
        raise ValueError("a damaged snapshot")
    try:
        saved = _decoder.decode(data[_CRC:])
    except msgspec.MsgspecError as error:
        raise ValueError(f"not a snapshot of a transaction: {error}") from None
    if saved.format != FORMAT:
        raise ValueError(f"a snapshot of format {saved.format}")
    return saved
