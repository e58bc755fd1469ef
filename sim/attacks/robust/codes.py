"""The codes that papers/002 compares itself with, BCH and Reed-Solomon, at about rate 1/3.

From libraries of the extra `attacks`: bchlib and reedsolo. Both decide on hard bits and erase the
weakest. How many, and what stands in the place of erased bits, they are told: the right message is
known to them, and in each word they do what leaves the fewest errors. No receiver can do better
with these decoders (G. D. Forney 1966, generalized minimum distance decoding, tries some).
"""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

import numpy as np
import numpy.typing as npt

from occulta.errors import OccultaError, Reason
from occulta.schemes.robust.picture import Floats

Flags = npt.NDArray[np.bool_]

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

    def decode(self, llrs: Floats, message: bytes) -> bytes:
        """`message` as far as it can be had from LLRs of its coded bits, positive for 0."""
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

    def decode(self, llrs: Floats, message: bytes) -> bytes:
        """Erased bits are all 0 or all 1. A word with too many errors stays as it was received."""
        out, at = b"", 0
        for word in _words(_packed(message), BCH_DATA):
            right = _unpacked(word) + _unpacked(self._code.encode(word))[: self._checks]
            soft = llrs[at : at + len(right)]
            at += len(right)
            decoded = self._corrected(_filled(soft, right), len(word))
            out += _unpacked(decoded) if decoded else _hard(soft[: 8 * len(word)])
        return out

    def _corrected(self, bits: bytes, length: int) -> bytes:
        """The `length` bytes of data of a word; none where it has too many errors."""
        data = bytearray(_packed(bits[: 8 * length]))
        checks = bytearray(_packed(bits[8 * length :]))
        checks += bytes(self._code.ecc_bytes - len(checks))
        if self._code.decode(data, checks) < 0:
            return b""
        self._code.correct(data, checks)
        return bytes(data)


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

    def decode(self, llrs: Floats, message: bytes) -> bytes:
        """Errors and erasures. A word with too many of both stays as it was received."""
        words = _words(_packed(message), _RS_WORD // 3)
        codec = self._make(2 * len(words[0]))
        out, at = b"", 0
        for word in words:
            right = bytes(codec.encode(word))
            soft = llrs[at : at + 8 * len(right)].reshape(-1, 8)
            at += soft.size
            received = _packed(_hard(soft))
            erased = _erased(soft, received, right)
            try:
                out += bytes(codec.decode(received, erase_pos=erased)[0])
            except self._error:
                out += received[: len(word)]
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


def _filled(llrs: Floats, right: bytes) -> bytes:
    """Hard bits, of which as many of the weakest are all 0, or all 1, as leaves the fewest errors.

    Without any erasure where that is as good.
    """
    order = np.argsort(np.abs(llrs), kind="stable")
    known = np.frombuffer(right, np.uint8)[order]
    hard = (llrs[order] < 0.0).astype(np.uint8)
    kept = _errors_behind(hard != known)
    errors = [kept + _errors_before(known != fill) for fill in (0, 1)]
    fill, count = divmod(int(np.argmin(errors)), len(kept))
    hard[:count] = fill
    found = np.empty_like(hard)
    found[order] = hard
    return found.tobytes()


def _erased(soft: Floats, received: bytes, right: bytes) -> list[int]:
    """The weakest bytes, as many as leave the most room: an error costs as much as two erasures."""
    trust = -np.log1p(np.exp(-np.abs(soft))).sum(axis=1)  # ln P(the byte is right)
    order = np.argsort(trust, kind="stable")
    pairs = (np.frombuffer(each, np.uint8)[order] for each in (received, right))
    cost = 2 * _errors_behind(np.not_equal(*pairs)) + np.arange(len(order) + 1)
    return [int(place) for place in order[: int(np.argmin(cost))]]


def _errors_before(wrong: Flags) -> npt.NDArray[np.int64]:
    """Of the first n, for each n from 0 on."""
    return np.concatenate(([0], np.cumsum(wrong)))


def _errors_behind(wrong: Flags) -> npt.NDArray[np.int64]:
    """Of all but the first n."""
    return int(wrong.sum()) - _errors_before(wrong)


def _hard(llrs: Floats) -> bytes:
    return (llrs < 0.0).tobytes()


def _packed(bits: bytes) -> bytes:
    return np.packbits(np.frombuffer(bits, np.uint8)).tobytes()


def _unpacked(data: bytes) -> bytes:
    return np.unpackbits(np.frombuffer(data, np.uint8)).tobytes()


def _missing(package: str) -> OccultaError:
    return OccultaError(Reason.USAGE, f"{package} is not installed", f"run: {_INSTALL}")
