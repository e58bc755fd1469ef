"""What is hidden: private data, sealed to one recipient, in one of a ladder of sizes.

    encapsulated key 32 | sealed: flags and length 3, signature 64 or none, private data, zeros
    | tag 16 | CRC-32 of all before 4

The seal is HPKE (RFC 9180) with X25519 and AES-256-GCM, base mode: whoever has the recipient's
public key can make a message. Only a signature says that a satellite did, and it is there only
where there was room for it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple

from occulta.codec import crypto
from occulta.errors import OccultaError, Reason
from occulta.schemes.robust.profiles import Profile

CRC_SIZE = 4
SIGNATURE_SIZE = 64
LEAST_BITS = 640
MOST_BITS = 1 << 20
"""128 KiB: marking takes some 20 bytes of memory for each bit of the message."""
_HEAD_SIZE = 3
_SEAL_SIZE = crypto.ENCAPSULATED_SIZE + crypto.TAG_SIZE + CRC_SIZE + _HEAD_SIZE
_SIGNED = 1 << 23
_INFO = b"occulta robust hiding 1"
_STATEMENT = b"occulta robust message 1"
_STEPS = range(8, 16)
_BLOCK = 8


class Opened(NamedTuple):
    """A message that its seal vouches for."""

    private: bytes
    signature: bytes
    """Empty: it was not signed."""

    def is_authentic(self, satellite: crypto.VerifyingKey, recipient: crypto.PublicKey) -> bool:
        """Whether this satellite signed it for this recipient."""
        said = _statement(recipient, self.private)
        return bool(self.signature) and satellite.verifies(said, self.signature)


def sizes() -> Iterator[int]:
    """The sizes of messages in bits, ascending: m * 2^e, m from 8 to 15, from LEAST_BITS on."""
    scale = 1
    while True:
        yield from (m * scale for m in _STEPS if m * scale >= LEAST_BITS)
        scale *= 2


def sizes_within(most: int) -> list[int]:
    """The sizes of at most so many bits, ascending."""
    found: list[int] = []
    for size in sizes():
        if size > most:
            return found
        found.append(size)
    raise AssertionError("sizes never end")


def gross_bits(profile: Profile, width: int, height: int) -> int:
    """Bits that a picture of so many pixels carries, at most MOST_BITS."""
    blocks = (width // _BLOCK) * (height // _BLOCK)
    return min(MOST_BITS, blocks // profile.blocks_per_bit)


def most_bits(profile: Profile, width: int, height: int) -> int:
    """Bits of the largest message that fits into them; 0: none."""
    return max(sizes_within(gross_bits(profile, width, height)), default=0)


def room(bits: int, signed: bool) -> int:
    """Bytes of private data in a message of `bits`; below 0 where not even the seal fits."""
    return bits // 8 - _SEAL_SIZE - SIGNATURE_SIZE * signed


def seal(
    private: bytes, most: int, recipient: crypto.PublicKey,
    signing_key: crypto.SigningKey | None = None,
) -> bytes:
    """The message in bytes: the smallest size that holds it.

    Raises OccultaError(DOES_NOT_FIT) where that has more than `most` bits.
    """
    signed = signing_key is not None
    fitting = (bits for bits in sizes_within(most) if room(bits, signed) >= len(private))
    bits = next(fitting, 0)
    if not bits:
        raise OccultaError(Reason.DOES_NOT_FIT, _too_little(room(most, signed), signed))
    signature = signing_key.sign(_statement(recipient, private)) if signing_key else b""
    head = (len(private) | _SIGNED * signed).to_bytes(_HEAD_SIZE, "big")
    plain = head + signature + private
    plain += bytes(room(bits, False) + _HEAD_SIZE - len(plain))
    sealed = crypto.wrap(recipient, _INFO, b"", plain)
    return sealed + zlib.crc32(sealed).to_bytes(CRC_SIZE, "big")


def _too_little(most_bytes: int, signed: bool) -> str:
    if most_bytes < 0:
        return f"the picture is too small for any {'signed ' if signed else ''}message"
    beside = " beside a signature" if signed else ""
    return f"the private data does not fit: this picture carries {most_bytes} bytes{beside}"


def is_whole(message: bytes) -> bool:
    """Whether the CRC is right: of 2^32 others one has it too."""
    return zlib.crc32(message[:-CRC_SIZE]) == int.from_bytes(message[-CRC_SIZE:], "big")


def open_message(message: bytes, key: crypto.PrivateKey) -> Opened:
    """What is in a whole message; raises OccultaError: WRONG_KEY, SEAL_BROKEN."""
    sealed = message[:-CRC_SIZE]
    plain = crypto.unwrap(key, _INFO, b"", sealed, len(sealed))
    head = int.from_bytes(plain[:_HEAD_SIZE], "big")
    size, signed = head & (_SIGNED - 1), bool(head & _SIGNED)
    start = _HEAD_SIZE + SIGNATURE_SIZE * signed
    if start + size > len(plain):
        raise OccultaError(Reason.SEAL_BROKEN, "the message is longer than its seal")
    return Opened(plain[start : start + size], plain[_HEAD_SIZE:start])


def to_bits(message: bytes) -> bytes:
    """One byte per bit, the highest first."""
    digits = format(int.from_bytes(message, "big"), f"0{8 * len(message)}b")
    return digits.encode("ascii").translate(_BITS)


def from_bits(bits: bytes) -> bytes:
    """The message of such bits, eight to a byte."""
    return int("0" + bits.translate(_DIGITS).decode(), 2).to_bytes(len(bits) // 8, "big")


def _statement(recipient: crypto.PublicKey, private: bytes) -> bytes:
    return _STATEMENT + recipient.raw + private


_BITS = bytes([n & 1 for n in range(256)])
_DIGITS = bytes([48, 49]) + bytes([49]) * 254
