"""msgpack structures between the processes of one side, and manifests that travel as files.

A message is one msgpack map: `kind` names the structure, the other keys are its fields, all of
them known. Everything is checked on the way in: total length first, then types without coercion
(an integer stands for a float, nothing else for anything else), ranges, lengths and names.
`encode` puts out nothing that `decode` would refuse.

Sizes and offsets are bytes, times are seconds since 1970-01-01 UTC, digests are SHA-256.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from functools import cache
from types import UnionType
from typing import Annotated, Any, TypeVar, get_args, overload

import msgspec
from msgspec import Meta, Struct

from occulta.codec.crypto import FINGERPRINT_SIZE, SIGNATURE_SIZE, SigningKey, VerifyingKey
from occulta.link.cfdp.names import is_safe_name
from occulta.link.drops import Drop, PacketError

MAX_SIZE = 1 << 40
MAX_CHUNK = 1 << 18
MAX_MESSAGE = MAX_CHUNK + 512
"""A chunk of `MAX_CHUNK` bytes with everything around it; nothing else comes close."""
MAX_MANIFEST = 1 << 16
MAX_FILE_NAME = 128
PRODUCT_ID_SIZE = 16

# `\Z`, since `$` would let a line feed follow. A name may become part of a path: no "." or "..".
_NAME = r"\A(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,64}\Z"
_LINE = r"\A[^\x00-\x1f\x7f-\x9f]{0,200}\Z"
_MAX_TIME = 253_402_300_799
"""The end of the year 9999."""

Name = Annotated[str, Meta(pattern=_NAME)]
Line = Annotated[str, Meta(pattern=_LINE)]
"""One line of text, at most 200 characters, none of them a control character."""
Label = Annotated[str, Meta(max_length=64, pattern=_LINE)]
Size = Annotated[int, Meta(ge=0, le=MAX_SIZE)]
Time = Annotated[float, Meta(ge=0, le=_MAX_TIME)]
Chunk = Annotated[bytes, Meta(min_length=1, max_length=MAX_CHUNK)]
Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]
ProductId = Annotated[bytes, Meta(min_length=PRODUCT_ID_SIZE, max_length=PRODUCT_ID_SIZE)]
Fingerprint = Annotated[bytes, Meta(min_length=FINGERPRINT_SIZE, max_length=FINGERPRINT_SIZE)]
Signature = Annotated[bytes, Meta(min_length=SIGNATURE_SIZE, max_length=SIGNATURE_SIZE)]
ReasonNumber = Annotated[int, Meta(ge=0, le=999)]
"""A number of `occulta.errors.Reason` or of `occulta.link.drops.Drop`."""
Finite = Annotated[float, Meta(ge=-sys.float_info.max, le=sys.float_info.max)]
Argument = bool | int | Finite | Annotated[str, Meta(max_length=1024)]
Count = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
QuestionId = Count
"""A console's own for each question, so that it takes no answer to another's; 0 is none."""


class Message(Struct, frozen=True, tag_field="kind", forbid_unknown_fields=True):
    """What can be encoded and decoded by itself; each kind adds its tag."""


# --- camera to daemon, and back


class FrameBegin(Message, frozen=True, tag="frame_begin"):
    """A frame follows; `size` is None while the camera does not know it."""

    frame_id: Name
    camera: Name
    size: Size | None
    captured_at: Time
    sensitive: bool
    labels: Annotated[dict[Name, Label], Meta(max_length=16)]


class FrameChunk(Message, frozen=True, tag="frame_chunk"):
    """Bytes of a frame from `offset` on, within the credit given."""

    frame_id: Name
    offset: Size
    data: Chunk


class FrameEnd(Message, frozen=True, tag="frame_end"):
    """The frame is complete: its size and digest."""

    frame_id: Name
    size: Size
    sha256: Digest


class FrameAbort(Message, frozen=True, tag="frame_abort"):
    """The camera gives the frame up."""

    frame_id: Name
    reason: Line


class Credit(Message, frozen=True, tag="credit"):
    """The camera may have sent `up_to` bytes of the frame in all."""

    frame_id: Name
    up_to: Size


class FrameStored(Message, frozen=True, tag="frame_stored"):
    """The frame is durable on board as this product."""

    frame_id: Name
    product_id: ProductId


class FrameRefused(Message, frozen=True, tag="frame_refused"):
    """The frame is not stored; with `retry` the same frame may be accepted later."""

    frame_id: Name
    reason: ReasonNumber
    detail: Line
    retry: bool


FromCamera = FrameBegin | FrameChunk | FrameEnd | FrameAbort
ToCamera = Credit | FrameStored | FrameRefused


# --- payload program to daemon, and back


class ItemBegin(Message, frozen=True, tag="item_begin"):
    """Private data follows, for the recipients named, or the daemon's own if none is."""

    item_id: Name
    size: Size
    recipients: Annotated[tuple[Fingerprint, ...], Meta(max_length=16)]


class ItemChunk(Message, frozen=True, tag="item_chunk"):
    """Bytes of an item from `offset` on."""

    item_id: Name
    offset: Size
    data: Chunk


class ItemEnd(Message, frozen=True, tag="item_end"):
    """The item is complete: its size and digest."""

    item_id: Name
    size: Size
    sha256: Digest


class ItemStored(Message, frozen=True, tag="item_stored"):
    """The item is durable on board."""

    item_id: Name


class ItemRefused(Message, frozen=True, tag="item_refused"):
    """The item is not stored; with `retry` the same item may be accepted later."""

    item_id: Name
    reason: ReasonNumber
    detail: Line
    retry: bool


FromPayload = ItemBegin | ItemChunk | ItemEnd
ToPayload = ItemStored | ItemRefused


# --- what a product consists of


class ManifestFile(Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a product: a plain name, and the size and digest of the bytes transmitted."""

    name: str
    size: Size
    sha256: Digest

    def __post_init__(self) -> None:
        if not _is_plain_name(self.name):
            raise ValueError("not a plain file name")


class Part(Struct, frozen=True, forbid_unknown_fields=True):
    """Which part, counted from 1, of a private item that spans several frames."""

    item_id: Name
    number: Annotated[int, Meta(ge=1, le=65_535)]
    count: Annotated[int, Meta(ge=1, le=65_535)]

    def __post_init__(self) -> None:
        if self.number > self.count:
            raise ValueError("a part beyond the last")


class ProductManifest(Message, frozen=True, tag="product_manifest"):
    """What a product consists of. `product_id` is the store's, not a sealed stream's."""

    product_id: ProductId
    frame_id: Name
    captured_at: Time
    created_at: Time
    scheme: Name
    profile: Name
    files: Annotated[tuple[ManifestFile, ...], Meta(min_length=1, max_length=16)]
    part: Part | None = None

    def __post_init__(self) -> None:
        if len({file.name for file in self.files}) < len(self.files):
            raise ValueError("two files of one name")


class SignedManifest(Message, frozen=True, tag="signed_manifest"):
    """A manifest as it was signed, who signed it, and the Ed25519 signature (RFC 8032)."""

    body: Annotated[bytes, Meta(max_length=MAX_MANIFEST)]
    key_fingerprint: Fingerprint
    signature: Signature


# --- console to ground node, and back


class CommandRequest(Message, frozen=True, tag="command_request"):
    """Do what `name` says."""

    name: Name
    arguments: Annotated[dict[Name, Argument], Meta(max_length=16)]
    question: QuestionId = 0


class CommandReply(Message, frozen=True, tag="command_reply"):
    """Whether the command was accepted, and why not; `question` is the request's."""

    accepted: bool
    detail: Line
    question: QuestionId = 0


class StatusRequest(Message, frozen=True, tag="status_request"):
    """Say how it goes."""

    question: QuestionId = 0


class Status(Message, frozen=True, tag="status"):
    """Counters by name, whether there is contact now, seconds since the start; `question` is the
    request's.
    """

    counters: Annotated[dict[Name, Count], Meta(max_length=1024)]
    contact: bool
    uptime: Time
    question: QuestionId = 0


FromConsole = CommandRequest | StatusRequest
ToConsole = CommandReply | Status


# --- in and out


class _Head(Struct):
    kind: str


_T = TypeVar("_T")
_M = TypeVar("_M", bound=Message)
_HEAD = msgspec.msgpack.Decoder(_Head)


def encode(message: Message) -> bytes:
    """The message in msgpack; raises ValueError for one that `decode` would refuse."""
    try:
        data = msgspec.msgpack.encode(message)
        decode(data, type(message))
    except (PacketError, TypeError, OverflowError) as error:
        raise ValueError(f"not a valid {type(message).__name__}: {error}") from None
    return data


@overload
def decode(data: bytes, kind: type[_M], limit: int = MAX_MESSAGE) -> _M: ...
@overload
def decode(data: bytes, kind: UnionType, limit: int = MAX_MESSAGE) -> Message: ...
def decode(data: bytes, kind: type[Message] | UnionType, limit: int = MAX_MESSAGE) -> Message:
    """The message of that kind, or of one of a union such as `FromCamera`, in `data`.

    Raises PacketError: MESSAGE_TOO_LONG beyond `limit` bytes, MESSAGE_KIND for a kind not asked
    for, MESSAGE_MALFORMED for anything else.
    """
    if len(data) > limit:
        raise PacketError(Drop.MESSAGE_TOO_LONG, f"{len(data)} bytes, at most {limit}")
    tags, decoder = _decoder(kind)
    found = _unpack(_HEAD, data).kind
    if found not in tags:
        raise PacketError(Drop.MESSAGE_KIND, f"kind {found[:64]!a} is not expected here")
    return _unpack(decoder, data)


@cache
def _decoder(
    kind: type[Message] | UnionType,
) -> tuple[frozenset[object], msgspec.msgpack.Decoder[Message]]:
    kinds: tuple[Any, ...] = get_args(kind) or (kind,)
    tags = frozenset(each.__struct_config__.tag for each in kinds)
    return tags, msgspec.msgpack.Decoder(kind)


def _unpack(decoder: msgspec.msgpack.Decoder[_T], data: bytes) -> _T:
    try:
        return decoder.decode(data)
    except (ValueError, RecursionError) as error:  # both of msgspec's errors, and bad UTF-8
        # The text may quote a key of the peer's: shortened, and escaped for a log.
        raise PacketError(Drop.MESSAGE_MALFORMED, ascii(str(error)[:160])[1:-1]) from None


def _is_plain_name(name: str) -> bool:
    controls = any("\x7f" <= letter <= "\x9f" for letter in name)
    short = len(name.encode()) <= MAX_FILE_NAME
    return short and "/" not in name and not controls and is_safe_name(name)


# --- signed manifests

_MANIFEST_CONTEXT = b"occulta manifest v1"


def satellite_fingerprint(key: VerifyingKey) -> bytes:
    """16 bytes that name a satellite's key."""
    return hashlib.sha256(b"occulta satellite" + key.raw).digest()[:FINGERPRINT_SIZE]


def sign_manifest(manifest: ProductManifest, key: SigningKey) -> bytes:
    """An encoded SignedManifest; raises ValueError for a manifest that is not valid."""
    body = encode(manifest)
    signature = key.sign(_MANIFEST_CONTEXT + body)
    return encode(SignedManifest(body, satellite_fingerprint(key.public), signature))


def open_manifest(
    data: bytes, known: Mapping[bytes, VerifyingKey]
) -> tuple[ProductManifest, bool]:
    """The manifest in an encoded SignedManifest, and whether it is authentic.

    True means: a key in `known` (by its `satellite_fingerprint`) was named and its signature over
    these bytes verified. A manifest by any other key is returned with False, and says no more than
    its sender claims. A known key's broken signature is refused: MESSAGE_SIGNATURE, before the
    body is read. Other errors as of `decode`.
    """
    signed = decode(data, SignedManifest, MAX_MANIFEST + 256)
    key = known.get(signed.key_fingerprint)
    if key is not None and not key.verifies(_MANIFEST_CONTEXT + signed.body, signed.signature):
        raise PacketError(Drop.MESSAGE_SIGNATURE, "the manifest's signature does not verify")
    return decode(signed.body, ProductManifest), key is not None
