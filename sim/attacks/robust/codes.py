"""The codes that papers/002 compares itself with, BCH and Reed-Solomon, at about rate 1/3.

From libraries of the extra `attacks`: bchlib and reedsolo. Both decide on hard bits.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

import numpy as np

from occulta.errors import OccultaError, Reason

BCH_FIELD, BCH_ERRORS, BCH_DATA = 9, 45, 22
"""BCH (511, 184) over GF(2^9), shortened to (503, 176): 45 wrong bits of a word are corrected."""
_RS_WORD = 255
_INSTALL = "pip install 'occulta[attacks]'"


class Code(Protocol):
    """Bits are one to a byte; a message has a whole number of bytes."""

    name: str

    def encode(self, bits: bytes) -> bytes:
        """Coded bits."""
        ...

    def decode(self, received: bytes, size: int) -> bytes:
        """The `size` bits of the message as far as they can be had from hard coded bits."""
        ...


class Bch:
    """Words of at most BCH_DATA bytes, as equal as can be, one after the other."""

    name = "BCH"

    def __init__(self) -> None:
        """Raises OccultaError(USAGE) where bchlib is missing."""
        try:
            from bchlib import BCH
        except ImportError:
            raise _missing("bchlib") from None
        self._code = BCH(BCH_ERRORS, m=BCH_FIELD)
        self._checks: int = self._code.ecc_bits

    def encode(self, bits: bytes) -> bytes:
        """Each word's data, then its checks."""
        out = b""
        for word in _words(_packed(bits), BCH_DATA):
            out += _unpacked(word) + _unpacked(self._code.encode(word))[: self._checks]
        return out

    def decode(self, received: bytes, size: int) -> bytes:
        """A word with too many errors stays as it was received."""
        out, at = b"", 0
        for length in map(len, _words(bytes(size // 8), BCH_DATA)):
            data = bytearray(_packed(received[at : at + 8 * length]))
            at += 8 * length
            checks = bytearray(_packed(received[at : at + self._checks]))
            checks += bytes(self._code.ecc_bytes - len(checks))
            at += self._checks
            if self._code.decode(data, checks) > 0:
                self._code.correct(data, checks)
            out += _unpacked(bytes(data))
        return out


class ReedSolomon:
    """Words over GF(2^8), k bytes of data and 2k checks, as few and equal as can be."""

    name = "RS"

    def __init__(self) -> None:
        """Raises OccultaError(USAGE) where reedsolo is missing."""
        try:
            from reedsolo import ReedSolomonError, RSCodec
        except ImportError:
            raise _missing("reedsolo") from None
        self._make, self._error = RSCodec, ReedSolomonError

    def encode(self, bits: bytes) -> bytes:
        """Each word's data, then its checks."""
        words = _words(_packed(bits), _RS_WORD // 3)
        codec = self._make(2 * len(words[0]))
        return _unpacked(b"".join(bytes(codec.encode(word)) for word in words))

    def decode(self, received: bytes, size: int) -> bytes:
        """A word with too many errors stays as it was received."""
        lengths = [*map(len, _words(bytes(size // 8), _RS_WORD // 3))]
        checks = 2 * lengths[0]
        codec = self._make(checks)
        data, out, at = _packed(received), b"", 0
        for length in lengths:
            word = data[at : at + length + checks]
            at += len(word)
            try:
                out += bytes(codec.decode(word)[0])
            except self._error:
                out += word[:length]
        return _unpacked(out)


CODES: dict[str, type[Bch] | type[ReedSolomon]] = {code.name: code for code in (Bch, ReedSolomon)}


def available() -> list[str]:
    """The names of the codes whose packages are installed."""
    found = []
    for name, make in CODES.items():
        with suppress(OccultaError):
            make()
            found.append(name)
    return found


def _words(data: bytes, most: int) -> list[bytes]:
    """Cut into the fewest parts of at most `most` bytes, equal but for the last."""
    count = -(-len(data) // most)
    size = -(-len(data) // count)
    return [data[at : at + size] for at in range(0, len(data), size)]


def _packed(bits: bytes) -> bytes:
    return np.packbits(np.frombuffer(bits, np.uint8)).tobytes()


def _unpacked(data: bytes) -> bytes:
    return np.unpackbits(np.frombuffer(data, np.uint8)).tobytes()


def _missing(package: str) -> OccultaError:
    return OccultaError(Reason.USAGE, f"{package} is not installed", f"run: {_INSTALL}")
