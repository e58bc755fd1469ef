"""Choosing the private size so that a marked file carries a given number of hidden bits."""

from __future__ import annotations

from bench.drive import Marked, mark
from bench.noise import private_bytes
from occulta.codec.crypto import CHUNK_OVERHEAD, CHUNK_SIZE
from occulta.limits import DEFAULT_LIMITS, Limits
from occulta.schemes.reversible.hidden import sealed_size


def largest_private(room: int) -> int:
    """The most private bytes whose sealed chunks fit into `room` bytes; -1 if none do."""
    size = room - max(1, -(-room // (CHUNK_SIZE + CHUNK_OVERHEAD))) * CHUNK_OVERHEAD
    while size >= 0 and sealed_size(size) > room:
        size -= 1
    while size >= 0 and sealed_size(size + 1) <= room:
        size += 1
    return max(size, -1)


def overhead(marked: Marked, private: int) -> int:
    """Bytes carried besides the chunks of private data."""
    return marked.carried_bits // 8 - sealed_size(private)


def mark_with_bits(
    jpeg: bytes, bits: int, profile: str = "exact", limits: Limits = DEFAULT_LIMITS
) -> tuple[Marked, bytes]:
    """Mark so that in all `bits` are carried, or the least fewer; raises OccultaError.

    The overhead depends on the file (its tables, its padding), so it is measured first.
    """
    trial = mark(jpeg, b"", profile, limits)
    private = private_bytes(largest_private(bits // 8 - overhead(trial, 0)))
    marked = mark(jpeg, private, profile, limits)
    return marked, private
