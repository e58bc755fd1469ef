"""Private data for benchmarks: the same incompressible bytes every time."""

from __future__ import annotations

import random


def private_bytes(size: int) -> bytes:
    """`size` bytes."""
    return random.Random(size).randbytes(size)
