"""The sealed parameters of the `paper` profile: what papers/003 has the owner give in secret.

msgpack inside a sealed file (occulta/schemes/sealed.py) bound to scheme 4, profile 2. They are
sealed to public keys, so anybody can make some: everything is checked before it is used.
"""

from __future__ import annotations

import hashlib
from typing import Annotated

import msgspec

from occulta.codec import crypto
from occulta.errors import OccultaError, Reason
from occulta.schemes.sealed import OpeningStream, SealingStream
from occulta.schemes.shares.header import PAPER, SCHEME
from occulta.schemes.shares.paper_watermark import MAX_ROUNDS, Round
from occulta.schemes.shares.raster import Box, Raster, check_regions, check_size
from occulta.schemes.shares.regions import MAX_REGIONS

VERSION = 1
MAX_SIZE = 1 << 16
"""Bytes of encoded parameters."""
_Bytes16 = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
_Bytes32 = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
_Rounds = Annotated[tuple[Round, ...], msgspec.Meta(max_length=MAX_ROUNDS)]


class Parameters(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True
):
    """Everything that a recovery needs besides the two share images."""

    version: int
    set_id: _Bytes16
    kind: str
    """Of the original's file: `pgm`, `png` or `tiff`."""
    width: int
    height: int
    regions: Annotated[tuple[Box, ...], msgspec.Meta(max_length=MAX_REGIONS)]
    keys: tuple[_Bytes16, _Bytes16]
    """Of share A and share B (equations 5 and 6)."""
    check_key: _Bytes16
    """Of the check value behind each hash list."""
    rounds: tuple[_Rounds, _Rounds]
    """Side information of the watermark in the MSB and in the LSB plane."""
    digest: _Bytes32
    """`digest_of` the original."""
    share_digests: tuple[_Bytes32, _Bytes32]
    """`digest_of` the share images."""


def digest_of(raster: Raster) -> bytes:
    """SHA-256 of width and height (4 bytes each, big-endian) and the pixels."""
    head = raster.width.to_bytes(4, "big") + raster.height.to_bytes(4, "big")
    return hashlib.sha256(head + raster.pixels).digest()


def encode(parameters: Parameters) -> bytes:
    """As msgpack, to be sealed."""
    return msgspec.msgpack.encode(parameters)


def decode(data: bytes) -> Parameters:
    """Check and read; raises OccultaError: SHARE_VERSION, BAD_PARAMETERS, LIMIT_DIMENSIONS."""
    try:
        version = msgspec.msgpack.decode(data, type=list[object])[0]
        if version != VERSION:
            raise OccultaError(Reason.SHARE_VERSION, "parameters of another version of the format")
        found = msgspec.msgpack.decode(data, type=Parameters)
    except (msgspec.MsgspecError, ValueError, IndexError, RecursionError):
        raise _bad("they cannot be read") from None
    check_size(found.width, found.height)
    _check(found)
    return found


def _check(found: Parameters) -> None:
    try:
        check_regions(found.regions, found.width, found.height)
    except OccultaError as error:
        raise _bad(error.detail) from None
    if found.kind not in ("pgm", "png", "tiff"):
        raise _bad("they name an unknown kind of file")
    pixels = found.width * found.height
    for peak, zero, carriers in (*found.rounds[0], *found.rounds[1]):
        values = 0 <= peak <= 255 and 0 <= zero <= 255 and peak != zero
        if not values or not 0 <= carriers <= pixels:
            raise _bad("the watermark's side information is impossible")


def _bad(detail: str) -> OccultaError:
    return OccultaError(Reason.BAD_PARAMETERS, f"the sealed parameters make no sense: {detail}")


def context(set_id: bytes) -> crypto.Context:
    """What the sealed file is bound to: the product id is the start of the set id."""
    return crypto.Context(SCHEME, PAPER, set_id[: crypto.PRODUCT_ID_SIZE])


def seal(parameters: Parameters, sealer: crypto.Sealer) -> bytes:
    """The sealed file; `sealer` of `context`."""
    stream = SealingStream(sealer)
    return stream.feed(encode(parameters)) + stream.finish()


def open_sealed(sealed: bytes, key: crypto.PrivateKey) -> tuple[Parameters, OpeningStream]:
    """The parameters, and the stream that knows whether they are signed.

    Raises OccultaError: SEAL_BROKEN, WRONG_KEY, PRIVATE_DATA_INCOMPLETE, DIGEST_MISMATCH and those
    of `decode`.
    """
    stream = OpeningStream(key, SCHEME, PAPER)
    plain = stream.feed(sealed)
    stream.finish()
    found = decode(plain)
    if stream.unsealer is None or stream.unsealer.context.product_id != context(
        found.set_id
    ).product_id:
        raise _bad("they are bound to another set")
    return found, stream
