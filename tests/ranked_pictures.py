"""Pictures whose blocks lie far apart in roughness: embedding does not change their ranking."""

from __future__ import annotations

import math
from array import array

import numpy as np

from occulta.codec import dct
from occulta.codec.jpeg.coefficient_frame import CoefficientFrame
from occulta.codec.jpeg.writer import CoefficientWriter


def spread(order: list[int]) -> bytes:
    """Blocks of two singular values, the second 10 times what `order` says, in a square."""
    table = tuple({54: 20, 63: 10}.get(dct.ZIGZAG[at], 1) for at in range(64))
    side = math.isqrt(len(order))
    writer = CoefficientWriter(CoefficientFrame.gray(8 * side, 8 * side, table))
    out = writer.begin()
    for first in range(0, len(order), side):
        row = np.zeros((side, 64), np.int16)
        row[:, dct.ZIGZAG.index(54)] = 1023
        row[:, dct.ZIGZAG.index(63)] = order[first : first + side]
        out += writer.row([array("h", row.tobytes())])
    return out + writer.end()
