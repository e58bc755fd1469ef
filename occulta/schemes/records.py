"""Pieces of private items, as they ride in frames: the payload of a scheme when the daemon sends.

An item is a sealed file (sealed.py) of any size; a frame takes what it has room for. A payload is
any number of records, each a length of four octets and a msgpack array: item id, offset, size of
the whole item, bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated

import msgspec

from occulta.errors import OccultaError, Reason

MAX_ITEM = 1 << 40
OVERHEAD = 96
"""Bytes that a record takes beside its data, at most."""
_LENGTH = 4
_Id = Annotated[str, msgspec.Meta(pattern=r"\A(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,64}\Z")]
_Size = Annotated[int, msgspec.Meta(ge=0, le=MAX_ITEM)]


class Record(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """`data` stands at `offset` of the item, which is `total` bytes long."""

    item: _Id
    offset: _Size
    total: _Size
    data: bytes

    def __post_init__(self) -> None:
        if self.offset + len(self.data) > self.total:
            raise ValueError("a piece beyond its item's end")


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Record)


def encode_records(records: Iterable[Record]) -> bytes:
    """The payload that carries these records."""
    encoded = (_encoder.encode(record) for record in records)
    return b"".join(len(one).to_bytes(_LENGTH, "big") + one for one in encoded)


def decode_records(payload: bytes) -> Iterator[Record]:
    """The records of a payload; raises OccultaError(BAD_HIDDEN_DATA)."""
    at = 0
    while at < len(payload):
        size = int.from_bytes(payload[at : at + _LENGTH], "big")
        at += _LENGTH
        if at + size > len(payload):
            raise OccultaError(Reason.BAD_HIDDEN_DATA, "a record of private data ends early")
        try:
            yield _decoder.decode(payload[at : at + size])
        except (msgspec.MsgspecError, ValueError):
            raise OccultaError(
                Reason.BAD_HIDDEN_DATA, "what the frame carries is no record of private data"
            ) from None
        at += size
