"""What is attacked: a file, pixels, or pixels together with the file that holds them."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from occulta.errors import OccultaError, Reason
from sim.pixels import Pixels

MAX_PIXELS = 1 << 26
"""Bound on width * height, 8192 x 8192: `sharpen` takes 50 bytes of memory per sample, noise 25."""
MAX_FILE = 1 << 28
"""Bytes of a picture file."""
QUALITY = 90
"""Of a JPEG file that is written from pixels."""
FORMATS = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".pgm": "PPM", ".ppm": "PPM",
    ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP",
}
"""What is written, by suffix."""
_MAGICS = {"JPEG": (0, b"\xff\xd8"), "WEBP": (8, b"WEBP")}
_OPTIONS: dict[str, dict[str, Any]] = {"JPEG": {"quality": QUALITY}, "WEBP": {"lossless": True}}
_HINT = "give one 8-bit gray or RGB picture that Pillow reads, whole"


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One of both may be missing; where both are there they are the same picture."""

    file: bytes = b""
    """A picture file as it is; possibly a damaged one, where there are no pixels."""
    pixels: Pixels | None = None
    """Shape (height, width) or (height, width, 3)."""
    damaged_by: str = ""
    """The attack that left the file, if it damages JPEG files: that is what this one was."""

    def raster(self) -> Pixels:
        """The pixels; raises OccultaError: BAD_RASTER, LIMIT_DIMENSIONS."""
        if self.pixels is not None:
            return self.pixels
        try:
            return decoded(self.file)
        except OccultaError as error:
            raise self.refusal(error) from None

    def refusal(self, error: OccultaError) -> OccultaError:
        """The same error, the attack named that the file's damage comes from."""
        cause = f"after {self.damaged_by}: " if self.damaged_by else ""
        return OccultaError(error.reason, cause + error.detail, error.hint)

    def encoded(self, format_name: str) -> bytes:
        """The file if it is of this format (of FORMATS) or was, else one made from the pixels.

        Raises OccultaError: BAD_RASTER, LIMIT_DIMENSIONS.
        """
        at, magic = _MAGICS.get(format_name, (0, b""))
        if magic and self.file[at:].startswith(magic):
            return self.file
        if self.damaged_by and format_name == "JPEG":
            return self.file
        return encoded(self.raster(), format_name, **_OPTIONS.get(format_name, {}))


def format_of(name: str) -> str:
    """The format that a file's name asks for; raises OccultaError(USAGE)."""
    suffix = PurePath(name).suffix.lower()
    if suffix not in FORMATS:
        hint = f"end the name in one of {' '.join(FORMATS)}"
        raise OccultaError(Reason.USAGE, f"{name}: the suffix names no format to write", hint)
    return FORMATS[suffix]


def decoded(data: bytes) -> Pixels:
    """The pixels of a file, gray or RGB; deeper samples keep their upper eight bits.

    Transparency is dropped. Raises OccultaError: BAD_RASTER, LIMIT_DIMENSIONS.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as picture:
                _check_size(picture)
                return _samples(picture)
    except (OccultaError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise OccultaError(Reason.BAD_RASTER, "no picture that Pillow knows", _HINT) from None
    except Exception as error:  # Pillow's parsers raise whatever broken files lead to
        raise OccultaError(Reason.BAD_RASTER, f"Pillow cannot read it: {error}", _HINT) from None


def _check_size(picture: Image.Image) -> None:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise OccultaError(
            Reason.LIMIT_DIMENSIONS, f"{width} x {height} pixels are too many",
            f"give a part of the picture, at most {MAX_PIXELS} pixels",
        )


def _samples(picture: Image.Image) -> Pixels:
    if picture.mode == "F":
        raise OccultaError(Reason.BAD_RASTER, "its samples are fractions", _HINT)
    if picture.mode.startswith("I"):
        upper: Pixels = (np.clip(np.asarray(picture), 0, 0xFFFF) >> 8).astype(np.uint8)
        return upper
    gray = picture.mode in ("1", "L", "LA", "La")
    return np.array(picture.convert("L" if gray else "RGB"))


def encoded(pixels: Pixels, format_name: str, **options: Any) -> bytes:
    """A file made from pixels; raises OccultaError(LIMIT_DIMENSIONS) for what the format lacks."""
    out = io.BytesIO()
    try:
        Image.fromarray(pixels).save(out, format_name, **options)
    except (OSError, ValueError) as error:
        height, width = pixels.shape[:2]
        detail = f"{width} x {height} pixels cannot be written as {format_name}: {error}"
        raise OccultaError(Reason.LIMIT_DIMENSIONS, detail, "write another format") from None
    return out.getvalue()


def luminance(pixels: Pixels) -> Pixels:
    """Gray of the same size, Pillow's weights (ITU-R BT.601)."""
    return pixels if pixels.ndim == 2 else np.array(Image.fromarray(pixels).convert("L"))
