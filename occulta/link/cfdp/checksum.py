"""File checksums, carried along as a file is read (CCSDS 727.0-B-5, 4.2.2)."""

from __future__ import annotations

import sys
import zlib
from array import array
from collections.abc import Callable
from functools import cache

from occulta.codec.kernels import load_kernel
from occulta.link.cfdp.constants import ChecksumType

_CASTAGNOLI = 0x82F63B78
_KERNEL = "occulta.link.cfdp.crc_kernel"


class Checksum:
    """The checksum of a file's first `offset` octets, of one of the types `ChecksumType`."""

    def __init__(self, kind: ChecksumType, value: int = 0, offset: int = 0) -> None:
        self.kind = kind
        self.value = value
        """32 bits."""
        self.offset = offset

    def update(self, data: bytes) -> None:
        """Go on over the octets that follow."""
        self.value = _STEPS[self.kind](data, self.value, self.offset)
        self.offset += len(data)


def _modular(data: bytes, value: int, offset: int) -> int:
    """Sum of 32-bit words that lie at multiples of four in the file (4.2.2.3)."""
    before = offset & 3
    padded = bytes(before) + data
    padded += bytes(-len(padded) & 3)
    words = array("I", padded)
    if sys.byteorder == "little":
        words.byteswap()
    return (value + sum(words)) & 0xFFFF_FFFF


def _crc32(data: bytes, value: int, offset: int) -> int:
    return zlib.crc32(data, value)


def _crc32c(data: bytes, value: int, offset: int) -> int:
    return int(load_kernel(_KERNEL).crc32c(data, crc_tables(), value))


def _null(data: bytes, value: int, offset: int) -> int:
    return 0


_STEPS: dict[ChecksumType, Callable[[bytes, int, int], int]] = {
    ChecksumType.MODULAR: _modular,
    ChecksumType.CRC_32: _crc32,
    ChecksumType.CRC_32C: _crc32c,
    ChecksumType.NULL: _null,
}


@cache
def crc_tables() -> array[int]:
    """Table t, entry b: what octet b, t octets before the last one, adds to a CRC-32C."""
    tables = array("I", (_one_octet(b) for b in range(256)))
    for index in range(256, 8 * 256):
        last = tables[index - 256]
        tables.append(tables[last & 255] ^ last >> 8)
    return tables


def _one_octet(octet: int) -> int:
    for _ in range(8):
        octet = octet >> 1 ^ (_CASTAGNOLI if octet & 1 else 0)
    return octet
