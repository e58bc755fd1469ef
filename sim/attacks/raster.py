"""Attacks on pixels: noise, filters, tone, geometry. All keep gray gray and colour colour."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from occulta.errors import OccultaError, Reason
from sim.attacks.kinds import Arguments
from sim.attacks.picture import MAX_PIXELS, Picture
from sim.pixels import Pixels

_MIDDLE = 128.0
"""The value that a change of contrast leaves as it is."""
BACK = "back"


def gaussian(picture: Picture, given: Arguments, chance: Generator) -> Picture:
    """Normal noise of `sigma` gray levels on each sample."""
    pixels = picture.raster()
    return _rounded(pixels + given.numbers[0] * chance.standard_normal(pixels.shape))


def salt_and_pepper(picture: Picture, given: Arguments, chance: Generator) -> Picture:
    """A share `density` of the pixels black or white, as many of each on average."""
    pixels = picture.raster().copy()
    drawn = chance.random(pixels.shape[:2])
    density = given.numbers[0]
    pixels[drawn < density] = 255
    pixels[drawn < density / 2] = 0
    return Picture(pixels=pixels)


def median(picture: Picture, given: Arguments, _: Generator) -> Picture:
    """The median of the `size` x `size` pixels around each, edges repeated."""
    return _filtered(picture.raster(), ImageFilter.MedianFilter(int(given.numbers[0])))


def blur(picture: Picture, given: Arguments, _: Generator) -> Picture:
    """A Gaussian blur of standard deviation `radius`, as Pillow approximates it."""
    return _filtered(picture.raster(), ImageFilter.GaussianBlur(given.numbers[0]))


def _filtered(pixels: Pixels, by: ImageFilter.Filter) -> Picture:
    return Picture(pixels=np.array(Image.fromarray(pixels).filter(by)))


def sharpen(picture: Picture, given: Arguments, _: Generator) -> Picture:
    """Each pixel moved away from the mean of its eight neighbours by `amount` of the difference.

    An amount of 1, which stands for none, is the kernel of Pillow's ImageFilter.SHARPEN.
    """
    amount = given.numbers[0] if given.numbers else 1.0
    pixels = picture.raster()
    padding = ((1, 1), (1, 1), (0, 0))[: pixels.ndim]
    padded = np.pad(pixels.astype(np.float64), padding, mode="edge")
    height, width = pixels.shape[:2]
    block = sum(padded[y : y + height, x : x + width] for y in range(3) for x in range(3))
    around = (block - pixels) / 8.0
    return _rounded(pixels + amount * (pixels - around))


def brightness(picture: Picture, given: Arguments, _: Generator) -> Picture:
    """`offset` added to each sample."""
    return _rounded(picture.raster() + given.numbers[0])


def contrast(picture: Picture, given: Arguments, _: Generator) -> Picture:
    """Each sample's distance from 128 times `factor`."""
    return _rounded(_MIDDLE + given.numbers[0] * (picture.raster() - _MIDDLE))


def scale(picture: Picture, given: Arguments, _: Generator) -> Picture:
    """Resampled (bicubic) to `factor` times the size; with the word `back`, then to what it was.

    Raises OccultaError(LIMIT_DIMENSIONS).
    """
    pixels = picture.raster()
    before = pixels.shape[1], pixels.shape[0]
    width, height = (max(1, round(side * given.numbers[0])) for side in before)
    if width * height > MAX_PIXELS:
        detail = f"{width} x {height} pixels are too many"
        raise OccultaError(Reason.LIMIT_DIMENSIONS, detail, f"at most {MAX_PIXELS}")
    scaled = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)
    if BACK in given.words:
        scaled = scaled.resize(before, Image.Resampling.BICUBIC)
    return Picture(pixels=np.array(scaled))


def crop(picture: Picture, given: Arguments, _: Generator) -> Picture:
    """The part of `width` x `height` pixels at (x, y); or the middle, a share of both sides.

    Raises OccultaError(BAD_REGION).
    """
    pixels = picture.raster()
    height, width = pixels.shape[:2]
    if len(given.numbers) == 1:
        across, down = (max(1, round(side * given.numbers[0])) for side in (width, height))
        x, y = (width - across) // 2, (height - down) // 2
    else:
        x, y, across, down = map(int, given.numbers)
    if x + across > width or y + down > height:
        detail = f"crop {x},{y},{across},{down} reaches beyond {width} x {height}"
        raise OccultaError(Reason.BAD_REGION, detail, "name a part of the picture")
    return Picture(pixels=pixels[y : y + down, x : x + across].copy())


def shift(picture: Picture, given: Arguments, _: Generator) -> Picture:
    """Moved right by `dx` and down by `dy` pixels; the edge is repeated where nothing comes in."""
    pixels = picture.raster()
    height, width = pixels.shape[:2]
    dx, dy = map(int, given.numbers)
    columns = np.clip(np.arange(width) - dx, 0, width - 1)
    rows = np.clip(np.arange(height) - dy, 0, height - 1)
    return Picture(pixels=pixels[rows][:, columns])


def _rounded(samples: NDArray[np.floating[Any]]) -> Picture:
    return Picture(pixels=np.clip(np.rint(samples), 0, 255).astype(np.uint8))
