"""How many private bytes a picture can carry, found by marking it with bytes that count."""

from __future__ import annotations

from dataclasses import dataclass

from occulta.codec import crypto
from occulta.errors import OccultaError, Reason
from occulta.limits import DEFAULT_LIMITS, Limits
from occulta.schemes.reversible import open_marker
from occulta.schemes.reversible.hidden import header_size, sealed_size

_FRAME = bytes(crypto.CHUNK_SIZE)


class EndlessSource:
    """A hidden source that never ends: what is carried of it is the capacity."""

    effort = 0

    def next_frame(self) -> bytes | None:
        """Zeros, for ever."""
        return _FRAME

    def remaining(self) -> int | None:
        """Not known: marking plans for the most the picture can carry."""
        return None

    def conclude(self, digest: bytes, notes: bytes) -> bytes:
        """Never asked for."""
        raise AssertionError("an endless source has no conclusion")

    def conclusion_size(self, notes_size: int) -> int:
        """Bytes of a signed conclusion to one recipient."""
        return 1 + crypto.conclusion_size(1, True, notes_size)


@dataclass(frozen=True, slots=True)
class Capacity:
    """Carried bits in all, bits among them that only a recovery needs, and what is left."""

    hidden_bits: int
    side_bits: int
    private_bytes: int
    fits: bool
    """False if not even an empty private file fits."""


class CapacityMeter:
    """Takes a JPEG in chunks; `finish` says what it can carry for `recipients`, signed."""

    def __init__(
        self, profile: int, recipients: int = 1, limits: Limits = DEFAULT_LIMITS,
        kernel: str | None = None,
    ) -> None:
        self._marker = open_marker(profile, EndlessSource(), limits, kernel)
        self._recipients = recipients

    def feed(self, chunk: bytes) -> None:
        """Take a chunk; raises OccultaError as marking would."""
        self._marker.feed(chunk)

    def finish(self) -> Capacity:
        """The picture has ended."""
        marker = self._marker
        before = marker.hidden_bits
        try:
            for _ in marker.finish_in_pieces():
                pass
        except OccultaError as error:
            if error.reason not in (Reason.DOES_NOT_FIT, Reason.NO_CARRIERS):
                raise
        conclusion = 1 + crypto.conclusion_size(self._recipients, True, marker.notes_size)
        room = (marker.hidden_bits - marker.side_bits) // 8
        last = (marker.hidden_bits - before) // 8
        room = room - header_size(self._recipients) - conclusion if last > conclusion else 0
        fits = room >= sealed_size(0)
        return Capacity(marker.hidden_bits, marker.side_bits, largest_private(room), fits)


def largest_private(room: int) -> int:
    """The most private bytes whose data chunks take at most `room` bytes; 0 if none do."""
    size = max(0, room - crypto.CHUNK_OVERHEAD * max(1, -(-room // crypto.CHUNK_SIZE)))
    while sealed_size(size + 1) <= room:
        size += 1
    return size
