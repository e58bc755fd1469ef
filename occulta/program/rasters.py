"""Raster files: PGM by ourselves, others through Pillow, which is never loaded in flight.

Pillow is an extra (`raster`) and is imported where such a file is read or written.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from occulta.errors import OccultaError, Reason
from occulta.program import files, pgm
from occulta.schemes.shares.raster import MAX_PIXELS, Box, Raster, check_size

PGM, PNG, TIFF = "pgm", "png", "tiff"
PARAMETERS = "parameters.occ"
"""What lies beside the share images of the `paper` profile."""
MAX_FILE = 2 * MAX_PIXELS
"""Bytes of a raster file."""
_MAGICS = {
    pgm.MAGIC: PGM, b"\x89PNG\r\n\x1a\n": PNG, b"II*\0": TIFF, b"MM\0*": TIFF,
}
MAGIC_SIZE = 8
READABLE = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "PPM", "JPEG2000", "AVIF")
"""What `luminance` reads, by Pillow's names: no kind that would start another program."""
_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_OPPOSITE = bytes(value ^ 0x80 for value in range(256))


def kind_of(head: bytes) -> str | None:
    """`pgm`, `png` or `tiff` by a file's first MAGIC_SIZE bytes, None for anything else."""
    return next((kind for magic, kind in _MAGICS.items() if head.startswith(magic)), None)


def read(name: str) -> tuple[Raster, str]:
    """The raster in a file, and the kind of the file.

    Raises OccultaError: INPUT_UNREADABLE, BAD_RASTER, LIMIT_DIMENSIONS, PILLOW_MISSING.
    """
    with files.open_input(name) as stream:
        data = files.read_some(stream, MAX_FILE + 1, name)
    kind = kind_of(data)
    if kind is None or len(data) > MAX_FILE:
        what = "too long a file" if kind else "neither a PGM (P5) nor a PNG nor a TIFF file"
        raise OccultaError(Reason.BAD_RASTER, f"{name}: {what}")
    try:
        return pgm.decode(data) if kind == PGM else _decode(data, kind), kind
    except OccultaError as error:
        raise OccultaError(error.reason, f"{name}: {error.detail}", error.hint) from None


def luminance(data: bytes) -> Raster:
    """The luminance of a picture file of any kind in READABLE, whatever its samples are.

    Of a JPEG file as it is coded, even if its end is missing, else by ITU-R BT.601; of deeper
    samples the upper eight bits; without transparency; of several pictures the first. Raises
    OccultaError: EMPTY_INPUT, BAD_RASTER, LIMIT_DIMENSIONS, PILLOW_MISSING.
    """
    if not data:
        raise OccultaError(Reason.EMPTY_INPUT, "the input is empty")
    if kind_of(data) != PGM:
        return _luminance(data)
    try:
        return pgm.decode(data)
    except OccultaError as error:
        if error.reason is not Reason.BAD_RASTER or not _has_pillow():
            raise
        return _luminance(data)  # other depths, and bytes behind the pixels


def _luminance(data: bytes) -> Raster:
    image = _pillow("Image")
    if data.startswith(_SOI):
        data += _EOI  # where that comes early, the decoder fills in what is missing
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", image.DecompressionBombWarning)
            with image.open(io.BytesIO(data), formats=READABLE) as picture:
                width, height = picture.size
                check_size(width, height)
                picture.draft("L", None)
                return Raster(width, height, _gray(picture).tobytes())
    except (OccultaError, MemoryError):
        raise
    except Exception as error:  # as in _decode
        hint = f"give a whole picture of one of the kinds {', '.join(READABLE)}"
        raise OccultaError(Reason.BAD_RASTER, _why(error, image), hint) from None


def _has_pillow() -> bool:
    try:
        _pillow("Image")
    except OccultaError:
        return False
    return True


def resized(raster: Raster, width: int, height: int) -> Raster:
    """The raster in another size, by Lanczos filtering.

    Raises OccultaError: LIMIT_DIMENSIONS, PILLOW_MISSING.
    """
    check_size(width, height)
    image = _pillow("Image")
    picture = image.frombytes("L", (raster.width, raster.height), raster.pixels)
    larger = picture.resize((width, height), image.Resampling.LANCZOS)
    return Raster(width, height, larger.tobytes())


def _gray(picture: Any) -> Any:
    is_deep = picture.mode.startswith("I")
    if is_deep and (picture.mode != "I" or picture.getextrema()[1] > 255):
        picture = picture.convert("I").point(lambda value: value * (1 / 256))
    return picture.convert("L")


def written_kind(kind: str) -> str:
    """The kind that is written for an input of `kind`: PGM stays PGM, the others become PNG."""
    return PGM if kind == PGM else PNG


def encode(raster: Raster, kind: str) -> bytes:
    """The file of a raster, PGM or PNG; raises OccultaError(PILLOW_MISSING)."""
    if kind == PGM:
        return pgm.encode(raster)
    size = raster.width, raster.height
    return _saved(_pillow("Image").frombytes("L", size, raster.pixels))


def encode_outlined(raster: Raster, boxes: Iterable[tuple[Box, str]]) -> tuple[bytes, str]:
    """The raster with rectangles outlined in colours as PNG, without Pillow in contrast as PGM.

    Also the kind of the file.
    """
    try:
        image = _pillow("Image").frombytes("L", (raster.width, raster.height), raster.pixels)
    except OccultaError:
        edges = [edge for box, _ in boxes for edge in _edges(box)]
        return pgm.encode(raster.mapped(edges, _OPPOSITE)), PGM
    picture = image.convert("RGB")
    pen = _pillow("ImageDraw").Draw(picture)
    for (x, y, width, height), colour in boxes:
        pen.rectangle((x, y, x + width - 1, y + height - 1), outline=colour)
    return _saved(picture), PNG


def _edges(box: Box) -> list[Box]:
    """The four sides of a rectangle, each pixel once."""
    x, y, width, height = box
    sides = [Box(x, y, width, 1)]
    if height > 1:
        sides.append(Box(x, y + height - 1, width, 1))
    if height > 2:
        sides += [Box(at, y + 1, 1, height - 2) for at in sorted({x, x + width - 1})]
    return sides


def _decode(data: bytes, kind: str) -> Raster:
    image = _pillow("Image")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # among them: too many pixels
            with image.open(io.BytesIO(data), formats=[kind.upper()]) as picture:
                width, height = picture.size
                check_size(width, height)
                if picture.mode != "L" or getattr(picture, "n_frames", 1) != 1:
                    raise OccultaError(
                        Reason.BAD_RASTER, f"not one 8-bit grayscale image (mode {picture.mode})"
                    )
                return Raster(width, height, picture.tobytes())
    except (OccultaError, MemoryError):
        raise
    except Exception as error:  # Pillow's parsers raise whatever broken files lead to
        raise OccultaError(Reason.BAD_RASTER, _why(error, image)) from None


def _why(error: Exception, image: ModuleType) -> str:
    """What Pillow says, but for an object in memory or the bytes of its last buffer."""
    if isinstance(error, image.UnidentifiedImageError):
        return "it is no picture of a kind that is read, or damaged at its beginning"
    if "truncated" in str(error):
        return "the file ends early"
    return f"Pillow cannot read it: {error}"


def _saved(picture: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG")  # type: ignore[attr-defined]
    return out.getvalue()


def _pillow(part: str) -> ModuleType:
    try:
        from PIL import Image, ImageDraw
    except ImportError:
        raise OccultaError(
            Reason.PILLOW_MISSING, "pictures other than PGM need Pillow, which is not installed"
        ) from None
    return Image if part == "Image" else ImageDraw
