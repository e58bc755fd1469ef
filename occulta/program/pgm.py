"""PGM files (Netpbm, pgm(5)): binary (P5), one image, 8 bits with a maximum of 255."""

from __future__ import annotations

import re

from occulta.errors import OccultaError, Reason
from occulta.schemes.shares.raster import Raster, check_size

MAGIC = b"P5"
MAX_HEADER = 1 << 12
"""Bytes of a header with its comments."""
# White space and comments may stand before each number, and one white space behind the last.
_GAP = rb"(?:\s|#[^\n\r]*[\n\r])+"
_HEADER = re.compile(rb"P5" + 3 * (_GAP + rb"(\d{1,9})") + rb"\s")


def decode(data: bytes) -> Raster:
    """Read a file; raises OccultaError: BAD_RASTER, LIMIT_DIMENSIONS."""
    header = _HEADER.match(data[:MAX_HEADER])
    if header is None:
        raise OccultaError(Reason.BAD_RASTER, "not a binary PGM file (P5)")
    width, height, maximum = map(int, header.groups())
    if maximum != 255:
        raise OccultaError(Reason.BAD_RASTER, f"a PGM file with a maximum of {maximum}, not 255")
    check_size(width, height)
    if len(data) - header.end() != width * height:
        raise OccultaError(
            Reason.BAD_RASTER, f"a PGM file of {width} x {height} with "
            f"{len(data) - header.end()} bytes of pixels",
        )
    return Raster(width, height, data[header.end() :])


def encode(raster: Raster) -> bytes:
    """The file of a raster."""
    return b"P5\n%d %d\n255\n" % (raster.width, raster.height) + raster.pixels
