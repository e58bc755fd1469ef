"""Segments: how a stretch of the frame lies inside the shares.

    mark 8 | body: head 25, JPEG bytes, cell hashes, check of the bytes 8, check of the hashes 7,
    padding; all under AES-256-CTR | MAC 16

Every segment decrypts by itself: the nonce is its number. The MAC goes over the SHA-256 of the
body, so that n holders cost one pass over the bytes.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import NamedTuple

from Crypto.Cipher import AES

from occulta.codec.jpeg.cells import HASH_SIZE, Cut
from occulta.schemes.shares.keys import derive

TARGET = 32 << 10
"""JPEG bytes behind which a segment ends, at the next row of cells."""
GRAIN = 1 << 10
"""The size of a segment is a multiple of it."""
MARK_SIZE = 8
MAC_SIZE = 16
DATA_CHECK_SIZE = 8
HASH_CHECK_SIZE = 7
_HEAD = Struct(">BB3s3s3sI4HH")
HEAD_SIZE = _HEAD.size
_CHECKS_SIZE = DATA_CHECK_SIZE + HASH_CHECK_SIZE
SEGMENT_OVERHEAD = MARK_SIZE + HEAD_SIZE + _CHECKS_SIZE + MAC_SIZE
"""64 bytes."""
MAX_DATA = (1 << 24) - 1
MAX_SEGMENT = 1 << 25
"""Bytes of a segment that are read at most."""


class Sizes(NamedTuple):
    """What the head of a segment says: size of the whole, where its JPEG bytes end, its kind."""

    segment: int
    data_end: int
    is_last: bool


class Kind(IntEnum):
    """What the bytes of a segment are."""

    PLAIN = 0
    """Bytes of the file without a place in the scan."""
    CELLS = 1
    """Whole rows of cells."""
    CONCLUSION = 2
    """The end: length, digest, signature of the frame."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment in the clear. `cut` and `mcus` of CELLS alone; `hashes` 4 bytes per cell."""

    kind: Kind
    data: bytes
    cut: Cut | None = None
    mcus: int = 0
    hashes: bytes = b""

    @property
    def padding(self) -> int:
        """Bytes that fill it up to a multiple of GRAIN."""
        return -(SEGMENT_OVERHEAD + len(self.data) + len(self.hashes)) % GRAIN


@dataclass(frozen=True, slots=True)
class Checked:
    """A decrypted segment and which of its two checks hold."""

    segment: Segment
    data_holds: bool
    hashes_hold: bool


class SetKeys:
    """Marks and checks of one set of shares."""

    def __init__(self, set_key: bytes, set_id: bytes) -> None:
        self.cells = derive(set_key, b"cells")
        """The secret of the cell hashes."""
        self._marks = derive(set_key, b"marks")
        self._check = derive(set_key, b"check")
        self._set_id = set_id

    def mark(self, index: int, number: int) -> bytes:
        """What a segment of a share begins with."""
        named = self._set_id + bytes([index]) + number.to_bytes(8, "big")
        return hmac.digest(self._marks, named, "sha256")[:MARK_SIZE]

    def pack(self, number: int, segment: Segment) -> bytes:
        """The body of a segment, padding included, to be encrypted."""
        head = _encode_head(segment)
        checks = self._check_of(b"data", number, head, segment.data)[:DATA_CHECK_SIZE]
        checks += self._check_of(b"hash", number, head, segment.hashes)[:HASH_CHECK_SIZE]
        return b"".join((head, segment.data, segment.hashes, checks, bytes(segment.padding)))

    def unpack(self, number: int, body: bytes) -> Checked | None:
        """Read a decrypted body; None where its head cannot be that of a segment.

        Both checks hold for the head together with what they are named for.
        """
        found = _decode_head(body)
        if found is None:
            return None
        head, at = body[:HEAD_SIZE], HEAD_SIZE + len(found.data) + len(found.hashes)
        data = self._check_of(b"data", number, head, found.data)[:DATA_CHECK_SIZE]
        hashes = self._check_of(b"hash", number, head, found.hashes)[:HASH_CHECK_SIZE]
        middle, end = at + DATA_CHECK_SIZE, at + _CHECKS_SIZE
        return Checked(
            found, hmac.compare_digest(data, body[at:middle]),
            hmac.compare_digest(hashes, body[middle:end]),
        )

    def _check_of(self, purpose: bytes, number: int, head: bytes, data: bytes) -> bytes:
        made = hmac.new(self._check, purpose + number.to_bytes(8, "big") + head, "sha256")
        made.update(data)
        return made.digest()


class ShareMac:
    """The MACs of one share, bound to its whole header."""

    def __init__(self, mac_key: bytes, header: bytes) -> None:
        self._key = mac_key
        self._header = hashlib.sha256(header).digest()

    def of(self, number: int, mark: bytes, body_digest: bytes) -> bytes:
        """MAC_SIZE bytes over header, number, mark and the SHA-256 of the encrypted body."""
        message = self._header + number.to_bytes(8, "big") + mark + body_digest
        return hmac.digest(self._key, message, "sha256")[:MAC_SIZE]

    def holds(self, number: int, sealed: bytes) -> bool:
        """Whether a whole segment (mark, body, MAC) is what the satellite wrote."""
        body = memoryview(sealed)[MARK_SIZE:-MAC_SIZE]
        found = self.of(number, sealed[:MARK_SIZE], hashlib.sha256(body).digest())
        return hmac.compare_digest(found, sealed[-MAC_SIZE:])


def key_stream(frame_key: bytes, number: int, size: int) -> bytes:
    """The AES-256-CTR key stream of a segment: its number is the nonce."""
    return encrypt(frame_key, number, bytes(size))


def encrypt(frame_key: bytes, number: int, body: bytes) -> bytes:
    """A body under the key stream of its segment; the same again decrypts."""
    nonce = number.to_bytes(8, "big")
    return AES.new(frame_key, AES.MODE_CTR, nonce=nonce, initial_value=0).encrypt(body)


def body_size(segment_size: int) -> int:
    """Bytes of the body of a segment."""
    return segment_size - MARK_SIZE - MAC_SIZE


def sizes_of(head: bytes) -> Sizes | None:
    """What a decrypted head says; None for one that is cut or impossible."""
    if len(head) < HEAD_SIZE:
        return None
    flags, _, data, _, cells, *_ = _HEAD.unpack_from(head)
    end = HEAD_SIZE + int.from_bytes(data, "big")
    whole = MARK_SIZE + end + HASH_SIZE * int.from_bytes(cells, "big") + _CHECKS_SIZE + MAC_SIZE
    size = -(-whole // GRAIN) * GRAIN
    if flags >> 6 > Kind.CONCLUSION or size > MAX_SEGMENT:
        return None
    return Sizes(size, end, flags >> 6 == Kind.CONCLUSION)


def _encode_head(segment: Segment) -> bytes:
    cut = segment.cut or Cut(0, 0, 0, (0, 0, 0, 0), 0, 0)
    flags = segment.kind << 6 | cut.bit << 3 | cut.next_restart
    sizes = (len(segment.data), segment.mcus, len(segment.hashes) // HASH_SIZE)
    return _HEAD.pack(
        flags, cut.byte, *(size.to_bytes(3, "big") for size in sizes), cut.mcu,
        *(value & 0xFFFF for value in cut.predictors), cut.interval_left,
    )


def _decode_head(body: bytes) -> Segment | None:
    if len(body) < HEAD_SIZE + _CHECKS_SIZE:
        return None
    flags, byte, size, mcus, cells, mcu, p, q, r, s, left = _HEAD.unpack_from(body)
    end = HEAD_SIZE + int.from_bytes(size, "big")
    hashes_end = end + HASH_SIZE * int.from_bytes(cells, "big")
    if flags >> 6 > Kind.CONCLUSION or hashes_end + _CHECKS_SIZE > len(body):
        return None
    predictors = (_signed(p), _signed(q), _signed(r), _signed(s))
    cut = Cut(mcu, flags >> 3 & 7, byte, predictors, left, flags & 7)
    kind = Kind(flags >> 6)
    return Segment(
        kind, body[HEAD_SIZE:end], cut if kind is Kind.CELLS else None,
        int.from_bytes(mcus, "big"), body[end:hashes_end],
    )


def _signed(word: int) -> int:
    return word - 0x10000 if word > 0x7FFF else word
