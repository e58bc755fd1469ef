"""A robustly hidden message out of a picture file: as a JPEG first, damaged or not, then as pixels.

numpy, which the command looks for before it loads this module.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from occulta.codec.crypto import PrivateKey
from occulta.errors import OccultaError, Reason
from occulta.program import rasters
from occulta.schemes.robust import extract, paper_extract, picture
from occulta.schemes.robust.extract import Found
from occulta.schemes.robust.picture import Picture
from occulta.schemes.robust.profiles import TABLE, Profile
from occulta.schemes.shares.raster import Raster

_JPEG = b"\xff\xd8"
_OF_PILLOW = (Reason.PROGRESSIVE, Reason.SEVERAL_SCANS)
"""What our own reader leaves to Pillow: no reason to refuse a file."""
_ROUNDING = 1
"""What two decoders may differ by."""


def find(data: bytes, key: PrivateKey, profiles: Iterable[Profile]) -> Found:
    """The message for this key in a picture file.

    A JPEG of a kind that our own reader refuses, or that shows nothing to it, is decoded by Pillow:
    progressive files, several scans, other colour spaces. Raises OccultaError: NOT_RECOVERED, or
    why the file cannot be read.
    """
    chosen = tuple(profiles)
    if not data.startswith(_JPEG):
        return extract.recover(_decoded(data), key, chosen)
    seen: Picture | None = None
    try:
        seen = picture.from_jpeg(data)
        return extract.recover(seen, key, chosen)
    except OccultaError as error:
        refusal = error
    decoded = _decoded_too(data, refusal)
    if seen is None or seen.size != decoded.size:
        return extract.recover(decoded, key, chosen)
    if _are_alike(seen, decoded):
        raise refusal
    return extract.recover(picture.without_filler(decoded, seen), key, chosen)


def find_scaled(
    data: bytes, key: PrivateKey, profiles: Iterable[Profile], size: tuple[int, int]
) -> Found:
    """As `find`, of a picture that was scaled since: it is brought to `size`, width and height."""
    received = _pixels(rasters.resized(rasters.luminance(data), *size))
    return extract.recover(received, key, tuple(profiles))


def find_literally(data: bytes, key: PrivateKey) -> Found:
    """As `find`, of the profile `paper`: a JPEG as it is, pixels quantised at quality 90."""
    if data.startswith(_JPEG):
        return paper_extract.recover(paper_extract.from_jpeg(data), key)
    raster = rasters.luminance(data)
    received = paper_extract.from_pixels(raster.pixels, raster.width, TABLE)
    return paper_extract.recover(received, key)


def _decoded_too(data: bytes, refusal: OccultaError) -> Picture:
    """What Pillow makes of a JPEG; where that is nothing, raises why one of both readers failed."""
    try:
        return _decoded(data)
    except OccultaError as error:
        is_refused = refusal.reason is not Reason.NOT_RECOVERED
        if refusal.reason in _OF_PILLOW or error.reason is Reason.PILLOW_MISSING and is_refused:
            raise
        raise refusal from None


def _decoded(data: bytes) -> Picture:
    return _pixels(rasters.luminance(data))


def _pixels(raster: Raster) -> Picture:
    pixels = np.frombuffer(raster.pixels, dtype=np.uint8)
    return picture.from_luminance(pixels.reshape(raster.height, raster.width))


def _are_alike(seen: Picture, decoded: Picture) -> bool:
    """Whether a search through both, of the same size, would find the same."""
    if not seen.present.all():
        return False
    apart = np.abs(seen.pixels.astype(np.int16) - decoded.pixels)
    return int(apart.max(initial=0)) <= _ROUNDING
