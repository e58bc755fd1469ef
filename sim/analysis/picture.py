"""The picture that is analysed: a raster for the `paper` profile, a JPEG file for `jpeg`."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from occulta.errors import OccultaError, Reason
from occulta.program import files, rasters
from occulta.schemes.shares.raster import Raster

MAX_PIXELS = 1 << 24
"""Bound on width * height, 4096 x 4096: the measures take some 50 bytes of memory per pixel."""
MAX_JPEG = 1 << 26
"""Bytes of a JPEG file."""
QUALITY = 90
"""Of the JPEG file that stands for a raster."""
_SOI = b"\xff\xd8"
_JPEG_HINT = "the JPEG file must be whole, and one that Pillow decodes"


@dataclass(frozen=True, slots=True)
class Picture:
    """`jpeg` is the file itself, or where that is a raster the same picture encoded."""

    name: str
    kind: str
    """`jpeg`, `pgm`, `png` or `tiff`."""
    raster: Raster
    jpeg: bytes


def read(name: str) -> Picture:
    """Read a file; of a JPEG the luminance is the raster.

    Raises OccultaError: USAGE, INPUT_UNREADABLE, BAD_RASTER, LIMIT_DIMENSIONS.
    """
    if name == files.STANDARD:
        raise OccultaError(Reason.USAGE, "the picture is read twice: name a file")
    with files.open_input(name) as stream:
        data = files.read_some(stream, len(_SOI), name)
        if data == _SOI:
            data += files.read_some(stream, MAX_JPEG + 1 - len(_SOI), name)
    if data.startswith(_SOI):
        kind, raster, jpeg = "jpeg", _luminance(data, name), data
    else:
        raster, kind = rasters.read(name)
        _check(raster.width, raster.height, name)
        jpeg = _encoded(raster)
    return Picture(Path(name).name, kind, raster, jpeg)


def _check(width: int, height: int, name: str) -> None:
    if width * height > MAX_PIXELS:
        raise OccultaError(
            Reason.LIMIT_DIMENSIONS, f"{name}: {width} x {height} pixels are too many to analyse",
            f"give a part of the picture, at most {MAX_PIXELS} pixels",
        )


def _luminance(data: bytes, name: str) -> Raster:
    if len(data) > MAX_JPEG:
        raise OccultaError(Reason.BAD_RASTER, f"{name}: a JPEG file of more than {MAX_JPEG} bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # among them: too many pixels
            with Image.open(io.BytesIO(data), formats=["JPEG"]) as picture:
                _check(*picture.size, name)
                picture.draft("L", None)
                return Raster(*picture.size, picture.convert("L").tobytes())
    except (OccultaError, MemoryError):
        raise
    except Exception as error:  # Pillow's parsers raise whatever broken files lead to
        detail = f"{name}: Pillow cannot read it: {error}"
        raise OccultaError(Reason.BAD_RASTER, detail, _JPEG_HINT) from None


def _encoded(raster: Raster) -> bytes:
    out = io.BytesIO()
    size = raster.width, raster.height
    try:
        Image.frombytes("L", size, raster.pixels).save(out, "JPEG", quality=QUALITY)
    except OSError as error:
        detail = f"{size[0]} x {size[1]} pixels cannot be encoded as JPEG: {error}"
        raise OccultaError(Reason.LIMIT_DIMENSIONS, detail, "give a part of the picture") from None
    return out.getvalue()
