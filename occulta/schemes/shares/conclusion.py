"""What the last segment of a frame says: length, digest, recipients, signature."""

from __future__ import annotations

from dataclasses import dataclass

from occulta.codec import crypto
from occulta.codec.crypto import FINGERPRINT_SIZE, SIGNATURE_SIZE, SigningKey, VerifyingKey
from occulta.schemes.shares.header import SCHEME, Clear

_DIGEST_SIZE = 32
_FIXED_SIZE = 8 + _DIGEST_SIZE + 2


@dataclass(frozen=True, slots=True)
class Conclusion:
    """Length in bytes and SHA-256 of the original; `signature` is empty or 64 bytes."""

    length: int
    digest: bytes
    fingerprints: bytes
    signature: bytes = b""

    def signed(self, key: SigningKey, clear: Clear) -> Conclusion:
        """The same with a satellite's signature."""
        signature = key.sign(self._statement(clear))
        return Conclusion(self.length, self.digest, self.fingerprints, signature)

    def is_authentic(self, satellite: VerifyingKey, clear: Clear) -> bool:
        """True if the satellite signed this frame, as this set of shares, to these recipients."""
        if not self.signature:
            return False
        return satellite.verifies(self._statement(clear), self.signature)

    def names(self, recipient: crypto.PublicKey) -> bool:
        """True if it is meant for this recipient."""
        return recipient.fingerprint in crypto.fingerprints_in(self.fingerprints)

    def _statement(self, clear: Clear) -> bytes:
        context = crypto.Context(SCHEME, clear.profile, clear.set_id)
        kind = bytes([clear.threshold, clear.holders]) + self.length.to_bytes(8, "big")
        return crypto.statement(context, self.fingerprints, self.digest, kind)

    def encode(self) -> bytes:
        """The data of the segment."""
        counts = bytes([bool(self.signature), len(self.fingerprints) // FINGERPRINT_SIZE])
        fixed = self.length.to_bytes(8, "big") + self.digest + counts
        return fixed + self.signature + self.fingerprints


def decode_conclusion(data: bytes) -> Conclusion | None:
    """Read what `encode` wrote; None for anything else."""
    if len(data) < _FIXED_SIZE:
        return None
    at = _FIXED_SIZE + SIGNATURE_SIZE * (data[_FIXED_SIZE - 2] != 0)
    if len(data) != at + FINGERPRINT_SIZE * data[_FIXED_SIZE - 1]:
        return None
    length = int.from_bytes(data[:8], "big")
    return Conclusion(length, data[8 : 8 + _DIGEST_SIZE], data[at:], data[_FIXED_SIZE:at])
