"""A private file to hide: a synthetic customer file, as an imaging company keeps them."""

from __future__ import annotations

import json

import numpy as np

PRODUCTS = ("panchromatic", "multispectral", "stereo pair", "time series")
PURPOSES = ("crop insurance", "port traffic", "pipeline survey", "forest inventory", "flood map")


def customer_file(seed: int, size: int) -> bytes:
    """JSON lines, one order each: as many whole ones as fit in `size` bytes, at least one byte.

    Where not even one fits, the beginning of the first.
    """
    rng = np.random.default_rng(seed)
    lines: list[bytes] = []
    room = max(1, size)
    while True:
        line = json.dumps(_order(rng, len(lines))).encode("ascii") + b"\n"
        if len(line) > room:
            return b"".join(lines) or line[:room]
        lines.append(line)
        room -= len(line)


def _order(rng: np.random.Generator, number: int) -> dict[str, object]:
    """One confidential order; the customer is a number."""
    return {
        "order": f"{number:06d}",
        "customer": f"{rng.integers(10**8):08d}",
        "contact": f"desk-{rng.integers(1000):03d}@customer.example",
        "product": PRODUCTS[int(rng.integers(len(PRODUCTS)))],
        "purpose": PURPOSES[int(rng.integers(len(PURPOSES)))],
        "latitude": round(float(rng.uniform(-60.0, 70.0)), 5),
        "longitude": round(float(rng.uniform(-180.0, 180.0)), 5),
        "licence": rng.bytes(12).hex(),
    }
