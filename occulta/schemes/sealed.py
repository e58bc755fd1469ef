"""A whole file sealed to its recipients: what must lie on a disk or cross a link in no other form.

The sealed stream of occulta.codec.crypto as it stands: header, chunks, conclusion with the digest
of the plaintext and, with a signing key, the satellite's signature. One shape for both directions:
`feed(chunk) -> bytes`, `finish() -> bytes`.
"""

from __future__ import annotations

import hashlib

from occulta.codec import crypto
from occulta.errors import OccultaError, Reason
from occulta.schemes.reversible.bits import Parsing, PullParser

SCHEME = 6
"""Number of the scheme in sealed headers."""
PROFILE = 1


def context(product_id: bytes) -> crypto.Context:
    """What a sealed file is bound to; `product_id` of 8 bytes."""
    return crypto.Context(SCHEME, PROFILE, product_id)


def sealed_size(plain_size: int, recipients: int, signed: bool) -> int:
    """Bytes of a sealed file."""
    chunks = max(1, -(-plain_size // crypto.CHUNK_SIZE))
    header = crypto.FIXED_HEADER_SIZE + recipients * crypto.STANZA_SIZE
    conclusion = crypto.conclusion_size(recipients, signed, 0)
    return header + plain_size + chunks * crypto.CHUNK_OVERHEAD + conclusion


class SealingStream:
    """Seals what it is fed; holds one chunk."""

    def __init__(self, sealer: crypto.Sealer) -> None:
        self._sealer = sealer
        self._pending = bytearray()
        self._digest = hashlib.sha256()
        self._out = bytearray(sealer.header)

    def feed(self, chunk: bytes) -> bytes:
        """Take plaintext; return what is sealed by now."""
        self._digest.update(chunk)
        self._pending += chunk
        while len(self._pending) > crypto.CHUNK_SIZE:
            self._out += self._sealer.data(bytes(self._pending[: crypto.CHUNK_SIZE]), False)
            del self._pending[: crypto.CHUNK_SIZE]
        return self._take()

    def finish(self) -> bytes:
        """The plaintext has ended; return the rest."""
        self._out += self._sealer.data(bytes(self._pending), True)
        self._out += self._sealer.conclude(self._digest.digest(), b"")
        return self._take()

    def _take(self) -> bytes:
        out = bytes(self._out)
        self._out.clear()
        return out


class OpeningStream:
    """Opens what it is fed. Each piece returned is verified, the whole only by `finish`."""

    def __init__(
        self, key: crypto.PrivateKey, scheme: int = SCHEME, profile: int = PROFILE
    ) -> None:
        self._kind = bytes([scheme, profile])
        self.unsealer: crypto.Unsealer | None = None
        self.conclusion: crypto.Conclusion | None = None
        self._key = key
        self._out = bytearray()
        self._digest = hashlib.sha256()
        self._parser = PullParser(self._parse())

    def feed(self, chunk: bytes) -> bytes:
        """Take sealed bytes; return plaintext; raises OccultaError."""
        if self._parser.feed(chunk):
            raise OccultaError(Reason.SEAL_BROKEN, "bytes follow the sealed file")
        out = bytes(self._out)
        self._out.clear()
        return out

    def finish(self) -> bytes:
        """The sealed file has ended; raises OccultaError unless it was whole."""
        if self.conclusion is None:
            raise OccultaError(Reason.PRIVATE_DATA_INCOMPLETE, "the sealed file ends early")
        if self.conclusion.digest != self._digest.digest():
            raise OccultaError(Reason.DIGEST_MISMATCH, "the sealed file is not the one digested")
        return b""

    def is_authentic(self, satellite: crypto.VerifyingKey) -> bool:
        """True if this satellite signed it; only after `finish`."""
        if self.unsealer is None or self.conclusion is None:
            return False
        return self.unsealer.is_authentic(self.conclusion, satellite)

    def _parse(self) -> Parsing[None]:
        header = yield crypto.FIXED_HEADER_SIZE
        known = crypto.MAGIC + self._kind
        if header[: len(known)] != known or not 1 <= header[-1] <= crypto.MAX_RECIPIENTS:
            raise OccultaError(Reason.SEAL_BROKEN, "not a sealed file")
        header += yield crypto.STANZA_SIZE * header[-1]
        self.unsealer = unsealer = crypto.Unsealer(header, self._key)
        last = False
        while not last:
            head = yield 2
            last, size = head[0] > 0x7F, (head[0] & 0x7F) << 8 | head[1]
            if size > crypto.CHUNK_SIZE:
                raise OccultaError(Reason.SEAL_BROKEN, "a sealed chunk has an impossible size")
            plaintext = unsealer.data((yield size + crypto.TAG_SIZE), last)
            self._digest.update(plaintext)
            self._out += plaintext
        head = yield 2
        size = int.from_bytes(head, "big")
        if size < crypto.TAG_SIZE:
            raise OccultaError(Reason.SEAL_BROKEN, "the sealed conclusion is too short")
        self.conclusion = unsealer.conclude((yield size))
