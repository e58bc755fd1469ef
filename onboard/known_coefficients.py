"""Known answers of JPEG coefficients and the DCT, for `onboard/selftest.py`.

Each function takes what is in `vectors.json` and returns bytes, always the same.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from occulta.codec import dct
from occulta.codec.jpeg.coefficients import CoefficientReader
from occulta.codec.jpeg.raster import encode_gray
from occulta.codec.jpeg.writer import CoefficientWriter
from occulta.limits import DEFAULT_LIMITS

_READ = ("exact-gray", "exact-restart")
"""Pictures of one scan, gray and in colour."""
_WIDTH, _HEIGHT = 29, 19
_RASTER = bytes(at * at % 251 for at in range(_WIDTH * _HEIGHT))


def coefficients(vectors: Mapping[str, Any]) -> bytes:
    """Pictures read and written again."""
    pictures = (base64.b64decode(vectors["pictures"][name]["original"]) for name in _READ)
    return b"".join(map(_copy, pictures))


def _copy(picture: bytes) -> bytes:
    reader = CoefficientReader(DEFAULT_LIMITS)
    rows = reader.feed(picture) + reader.finish()
    assert reader.header is not None  # the picture is a whole one
    writer = CoefficientWriter(reader.header.frame, reader.header.segments)
    return writer.begin() + b"".join(writer.row(row.planes) for row in rows) + writer.end()


def transforms(_: Mapping[str, Any]) -> bytes:
    """A raster transformed, there and back, and coded."""
    found = dct.forward(_RASTER, _WIDTH, 3, 1)
    back = dct.inverse(found, (_WIDTH - 3) // dct.SIDE)
    values = ",".join(value.hex() for value in found)
    return values.encode() + back + encode_gray(_RASTER, _WIDTH, _HEIGHT, 75)
