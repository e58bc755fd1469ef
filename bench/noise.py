"""Private data and pictures for benchmarks: the same incompressible bytes every time."""

from __future__ import annotations

import io
import random

from PIL import Image


def private_bytes(size: int) -> bytes:
    """`size` bytes."""
    return random.Random(size).randbytes(size)


def noise_jpeg(size: int) -> bytes:
    """A grey JPEG of about `size` bytes at quality 85: noise, smoothed to a picture's spectrum."""
    side = max(32, round((size / 0.55) ** 0.5))
    noise = Image.frombytes("L", (side * 2 // 3, side * 2 // 3),
                            random.Random(side).randbytes((side * 2 // 3) ** 2))
    out = io.BytesIO()
    noise.resize((side, side), Image.Resampling.BICUBIC).save(out, "JPEG", quality=85)
    return out.getvalue()
