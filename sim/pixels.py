"""Comparing pictures pixel by pixel: PSNR, difference pictures, scaled copies for a report."""

from __future__ import annotations

import base64
import io
import math
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
"""Shape (height, width) or (height, width, bands), 0..255."""

BAND_ROWS = 256
"""Rows compared at a time: keeps the 64-bit intermediate small for any picture."""


def decoded(path: Path) -> Pixels | None:
    """The picture's samples as Pillow decodes them; None for what Pillow cannot or will not.

    Pillow reads no 12-bit JPEG, and refuses pictures so large that they look like an attack.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                return np.asarray(picture)
    except (OSError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None


def psnr(one: Pixels, other: Pixels) -> float:
    """Peak signal-to-noise ratio in dB over all samples, peak 255; infinite when identical."""
    if one.shape != other.shape:
        raise ValueError(f"pictures differ in shape: {one.shape} and {other.shape}")
    total = 0
    for top in range(0, one.shape[0], BAND_ROWS):
        rows = slice(top, top + BAND_ROWS)
        gap = one[rows].astype(np.int64) - other[rows]
        total += int((gap * gap).sum())
    return math.inf if total == 0 else 10.0 * math.log10(255.0**2 * one.size / total)


def difference(one: Pixels, other: Pixels, gain: int) -> Pixels:
    """Absolute difference of each sample times `gain`, clipped at 255."""
    gap = np.abs(one.astype(np.int16) - other.astype(np.int16))
    amplified: Pixels = np.minimum(gap * gain, 255).astype(np.uint8)
    return amplified


def pooled(pixels: Pixels, width: int) -> Pixels:
    """`pixels` shrunk to at most `width` columns keeping each cell's largest value.

    Averaging, as pictures are usually shrunk, would fade single changed pixels to nothing.
    """
    step = -(-pixels.shape[1] // width)
    rows = np.maximum.reduceat(pixels, np.arange(0, pixels.shape[0], step), axis=0)
    cells: Pixels = np.maximum.reduceat(rows, np.arange(0, pixels.shape[1], step), axis=1)
    return cells


def shrunk(pixels: Pixels, width: int) -> Pixels:
    """`pixels` at most `width` wide, by averaging."""
    if pixels.shape[1] <= width:
        return pixels
    height = max(1, round(pixels.shape[0] * width / pixels.shape[1]))
    return np.asarray(_picture(pixels).resize((width, height), Image.Resampling.LANCZOS))


def detail(pixels: Pixels, side: int) -> Pixels:
    """A square of at most `side` pixels from the middle."""
    top, left = (max(0, (size - side) // 2) for size in pixels.shape[:2])
    return pixels[top : top + side, left : left + side]


def data_uri(pixels: Pixels, kind: str) -> str:
    """The picture as a data URI; `kind` is "PNG" (exact) or "JPEG" (smaller)."""
    out = io.BytesIO()
    _picture(pixels).convert("RGB").save(out, kind, quality=86)
    return f"data:image/{kind.lower()};base64," + base64.b64encode(out.getvalue()).decode("ascii")


def _picture(pixels: Pixels) -> Image.Image:
    """A Pillow picture; four bands are taken as CMYK, as in a JPEG."""
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        return Image.frombuffer("CMYK", pixels.shape[1::-1], pixels.tobytes(), "raw", "CMYK", 0, 1)
    return Image.fromarray(pixels)
