"""Every limit on untrusted JPEG input, in one object, checked before anything is allocated."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one JPEG stream.

    Dimensions are in samples, sizes in bytes. `hold_back` is the last stretch of the file that
    is kept until the digest of the whole is known; the first plan looks as far ahead.
    """

    max_dimension: int = 65_535
    max_blocks: int = 64_000_000
    """8x8 blocks in one scan; 64 million is a gigapixel picture at 4:4:4."""
    max_scans: int = 128
    max_header_bytes: int = 8 << 20
    """Segments (APPn, ICC and the like) between two scans, together."""
    max_segments: int = 4_096
    """Segments between two scans."""
    max_fill_bytes: int = 255
    max_padding_exceptions: int = 4_096
    hold_back: int = 1 << 20
    quantum: int = 1 << 16
    max_side_information: int = 32 << 20
    """Marked bytes a recovery keeps until a scan's side information is complete."""


DEFAULT_LIMITS = Limits()
