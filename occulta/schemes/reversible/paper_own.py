"""The paper's own protection of the secret, for recomputing its tables and for nothing else.

papers/000, section 4: the secret is XORed with a pseudo-random sequence from a shared seed. It
carries no header, no digest and no authentication, and restores only under known length. No
command offers it. The sequence is SHAKE-128 of the seed; the paper names no generator.
"""

from __future__ import annotations

import hashlib

from occulta.codec import crypto
from occulta.limits import DEFAULT_LIMITS, Limits
from occulta.schemes.reversible.bits import Parsing, PullParser
from occulta.schemes.reversible.recover import PaperRestorer


def xor_sequence(data: bytes, seed: bytes) -> bytes:
    """`data` XOR the sequence that `seed` generates; its own inverse."""
    stream = hashlib.shake_128(b"papers/000" + seed).digest(len(data))
    mixed = int.from_bytes(data, "big") ^ int.from_bytes(stream, "big")
    return mixed.to_bytes(len(data), "big")


class XorSource:
    """A hidden source that is the mixed secret alone."""

    effort = 0

    def __init__(self, secret: bytes, seed: bytes) -> None:
        self._mixed: bytes | None = xor_sequence(secret, seed)

    def next_frame(self) -> bytes | None:
        """The mixed secret, once."""
        mixed, self._mixed = self._mixed, None
        return mixed

    def remaining(self) -> int | None:
        """Its size until it was taken."""
        return len(self._mixed) if self._mixed is not None else 0

    def conclude(self, digest: bytes, notes: bytes) -> bytes:
        """Nothing: the paper carries no digest."""
        return b""

    def conclusion_size(self, notes_size: int) -> int:
        """Nothing."""
        return 0


class XorRestorer(PaperRestorer):
    """Takes `size` secret bytes out of a picture marked from a `XorSource`."""

    def __init__(
        self, size: int, seed: bytes, limits: Limits = DEFAULT_LIMITS, kernel: str | None = None
    ) -> None:
        unused = crypto.PrivateKey(bytes(32))
        super().__init__(unused, bytes, bytes, limits, kernel)
        self.secret = b""
        self._size = size
        self._seed = seed
        self._parser = PullParser(self._parse())

    def _parse(self) -> Parsing[None]:
        self.secret = xor_sequence((yield self._size), self._seed)

    def finish(self) -> bytes:
        """The marked file has ended; return the last restored bytes."""
        return self.end_of_file()
