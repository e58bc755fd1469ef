"""What the spool keeps, and the record that lies beside each product.

The record repeats what the manifest does not say (camera, priority, destinations, the private data
carried, the other shares of the frame), so that a lost database is made again from the folders:

    SHA-256 of all that follows 32 | msgpack
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from occulta.link.drops import PacketError
from occulta.link.messages import (
    MAX_MANIFEST,
    MAX_SIZE,
    Digest,
    Name,
    ProductId,
    Size,
    Time,
    open_manifest,
)

DATA, MANIFEST, RECORD = "data", "manifest", "record"
"""The files of a product's folder; the first two are sent."""
MAX_PARTS = 1024
MAX_DESTINATIONS = 16
MAX_MANIFEST_FILE = MAX_MANIFEST + 256
"""Bytes of a signed manifest."""
MAX_RECORD = 1 << 18
"""Bytes; `MAX_PARTS` parts with the longest keys need less."""
_DIGEST_SIZE = 32

Priority = Annotated[int, Meta(ge=0, le=255)]
Entity = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]


class Product(Struct, frozen=True):
    """One protected frame. Times in seconds since 1970 UTC; size and digest are of its data file.

    `priority` 0..255, 0 is sent first; `destinations` are 1..16 CFDP entity ids.
    """

    id: ProductId
    frame_id: Name
    camera: Name
    captured_at: Time
    created_at: Time
    scheme: Name
    profile: Name
    priority: Priority
    destinations: Annotated[
        tuple[Entity, ...], Meta(min_length=1, max_length=MAX_DESTINATIONS)
    ]
    size: Size
    sha256: Digest


class Part(Struct, frozen=True):
    """A range of an item of private data, in bytes."""

    item_key: Name
    offset: Size
    size: Annotated[int, Meta(ge=1, le=MAX_SIZE)]


class Record(Struct, frozen=True):
    """A product, the private data that it carries, and the shares that it is one of."""

    product: Product
    parts: Annotated[tuple[Part, ...], Meta(max_length=MAX_PARTS)]
    shares: Annotated[tuple[ProductId, ...], Meta(max_length=MAX_DESTINATIONS)] = ()
    """The products that a frame became together, in order; none where it became one alone."""

    def __post_init__(self) -> None:
        destinations = self.product.destinations
        if len(set(destinations)) < len(destinations):
            raise ValueError("a destination twice")
        if self.shares and (
            self.product.id not in self.shares or len(set(self.shares)) < len(self.shares)
        ):
            raise ValueError("a share twice, or none of them")

    @property
    def first(self) -> bytes:
        """The product by which all shares of a frame know each other: the first of them."""
        return self.shares[0] if self.shares else self.product.id


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of an item for one product: `data` from `offset` on, of `item_size` in all."""

    item_key: str
    offset: int
    item_size: int
    data: bytes

    @property
    def part(self) -> Part:
        """The range that the piece covers."""
        return Part(self.item_key, self.offset, len(self.data))


@dataclass(frozen=True, slots=True)
class Counts:
    """How full the spool is, for telemetry.

    `products` are stored and whole; `waiting` and `sending` count deliveries, one for each
    destination of a product; `bytes` includes files in progress; `private_bytes` is what no product
    carries yet.
    """

    products: int
    damaged: int
    waiting: int
    sending: int
    items: int
    private_bytes: int
    bytes: int


def encode_record(record: Record) -> bytes:
    """The bytes of a record; raises ValueError for one that `decode_record` would refuse."""
    try:
        body = msgspec.msgpack.encode(record)
        _decode(body)
    except (TypeError, OverflowError) as error:
        raise ValueError(f"not a valid product: {error}") from None
    return hashlib.sha256(body).digest() + body


def decode_record(data: bytes) -> Record:
    """The record in `data`; raises ValueError."""
    body = data[_DIGEST_SIZE:]
    if hashlib.sha256(body).digest() != data[:_DIGEST_SIZE]:
        raise ValueError("its record is damaged")
    return _decode(body)


def read_record(path: Path) -> tuple[Record, int]:
    """A product's record, and its size in bytes; raises OSError or ValueError."""
    with open(path, "rb") as stream:
        data = stream.read(MAX_RECORD)
    record = decode_record(data)
    if record.product.id.hex() != path.parent.name:
        raise ValueError("its record is another product's")
    return record, len(data)


def _decode(body: bytes) -> Record:
    try:
        return msgspec.msgpack.decode(body, type=Record)
    except msgspec.MsgspecError as error:
        raise ValueError(f"not a valid product: {error}") from None


def check_manifest(product: Product, manifest: bytes) -> None:
    """Raises ValueError unless the signed manifest is this product's, size and digest included.

    The signature is for those on the ground to verify.
    """
    try:
        found, _ = open_manifest(manifest, {})
    except PacketError as error:
        raise ValueError(f"its manifest is damaged: {error.detail}") from None
    if (found.product_id, found.frame_id) != (product.id, product.frame_id):
        raise ValueError("its manifest is another product's")
    if (product.size, product.sha256) not in [(file.size, file.sha256) for file in found.files]:
        raise ValueError("size or digest of the data is not what the manifest says")
