"""Attacks by lossy codecs. What they make is handed on as the file that it is."""

from __future__ import annotations

from functools import partial

from numpy.random import Generator

from occulta.errors import OccultaError, Reason
from sim.attacks import picture as pictures
from sim.attacks.kinds import Arguments
from sim.attacks.picture import Picture
from sim.pixels import Pixels

_QUALITIES = range(1, 101)


def jpeg(picture: Picture, given: Arguments, _: Generator) -> Picture:
    """Decoded, and encoded as baseline JPEG of `quality` by libjpeg (colour 4:2:0)."""
    return Picture(_jpeg(picture.raster(), int(given.numbers[0])))


def jpeg_ratio(picture: Picture, given: Arguments, _: Generator) -> Picture:
    """Encoded at the greatest quality whose file is at most 1/`ratio` of the raw samples.

    Raises OccultaError(DOES_NOT_FIT) where even quality 1 takes more.
    """
    pixels = picture.raster()
    most = pixels.size / given.numbers[0]
    encode = partial(_jpeg, pixels)
    best = encode(_QUALITIES[0])
    if len(best) > most:
        detail = f"no JPEG file of it is {given.numbers[0]:g} times smaller than its pixels"
        raise OccultaError(Reason.DOES_NOT_FIT, detail, "ask for a smaller ratio")
    low, high = _QUALITIES[0], _QUALITIES[-1] + 1
    while high - low > 1:  # file sizes grow with quality
        middle = (low + high) // 2
        tried = encode(middle)
        if len(tried) <= most:
            low, best = middle, tried
        else:
            high = middle
    return Picture(best)


def webp(picture: Picture, given: Arguments, _: Generator) -> Picture:
    """Encoded as lossy WebP of `quality`; what was gray stays gray."""
    pixels = picture.raster()
    file = pictures.encoded(pixels, "WEBP", quality=int(given.numbers[0]))
    after = pictures.decoded(file)
    return Picture(file, after if pixels.ndim == 3 else pictures.luminance(after))


def _jpeg(pixels: Pixels, quality: int) -> bytes:
    return pictures.encoded(pixels, "JPEG", quality=quality)
