"""Every attack by name, and several in a row."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from sim.attacks import codecs, kinds, raster, stream
from sim.attacks.kinds import Attack, Kind, Parameter
from sim.attacks.picture import Picture

_SIDE = 1 << 16
_RATE = Parameter("RATE", 0, 1)
_CORNER = tuple(Parameter(name, 0, _SIDE, whole=True) for name in ("X", "Y"))
_SIZES = tuple(Parameter(name, 1, _SIDE, whole=True) for name in ("W", "H"))

KINDS = {kind.name: kind for kind in (
    Kind(
        "gaussian:SIGMA", "normal noise, in gray levels",
        raster.gaussian, ((Parameter("SIGMA", 0, 255),),),
    ),
    Kind(
        "saltpepper:DENSITY", "a share of the pixels black or white",
        raster.salt_and_pepper, ((Parameter("DENSITY", 0, 1),),),
    ),
    Kind(
        "median:SIZE", "of SIZE x SIZE pixels, an odd number",
        raster.median, ((Parameter("SIZE", 3, 31, odd=True),),),
    ),
    Kind(
        "blur:RADIUS", "Gaussian, standard deviation in pixels",
        raster.blur, ((Parameter("RADIUS", 0, 100),),),
    ),
    Kind(
        "sharpen[:AMOUNT]", "away from the neighbours' mean, by 1 if not given",
        raster.sharpen, ((), (Parameter("AMOUNT", 0, 10),)),
    ),
    Kind(
        "brightness:OFFSET", "added to each sample",
        raster.brightness, ((Parameter("OFFSET", -255, 255),),),
    ),
    Kind(
        "contrast:FACTOR", "the distance from 128, times",
        raster.contrast, ((Parameter("FACTOR", 0, 100),),),
    ),
    Kind(
        "scale:FACTOR[,back]", "resampled; with `back` to its size before",
        raster.scale, ((Parameter("FACTOR", 0.01, 100),),), (raster.BACK,),
    ),
    Kind(
        "crop:SHARE or X,Y,W,H", "the middle, a share of both sides; or a part, in pixels",
        raster.crop, ((Parameter("SHARE", 0.001, 1),), (*_CORNER, *_SIZES)),
    ),
    Kind(
        "shift:DX,DY", "whole pixels right and down, the edge repeated", raster.shift,
        (tuple(Parameter(name, -_SIDE, _SIDE, whole=True) for name in ("DX", "DY")),),
    ),
    Kind(
        "jpeg:QUALITY", "encoded again by libjpeg",
        codecs.jpeg, ((Parameter("QUALITY", 1, 100, whole=True),),),
    ),
    Kind(
        "jpegratio:RATIO", "at the quality whose file is that much smaller than the samples",
        codecs.jpeg_ratio, ((Parameter("RATIO", 1, 1000),),),
    ),
    Kind(
        "webp:QUALITY", "encoded as lossy WebP",
        codecs.webp, ((Parameter("QUALITY", 0, 100, whole=True),),),
    ),
    Kind(
        "bitflips:RATE[,all]", "bit errors in a JPEG file's entropy-coded data; `all`: anywhere",
        stream.bit_flips, ((_RATE,),), (stream.ALL,),
    ),
    Kind(
        "packets:RATE[,SIZE][,removed][,all]",
        f"packets of SIZE bytes ({stream.PACKET}) lost there, zeroed or `removed`",
        stream.packets, ((_RATE,), (_RATE, Parameter("SIZE", 1, 1e6, whole=True))),
        (stream.REMOVED, stream.ALL),
    ),
)}


def parse(text: str) -> Attack:
    """An attack as the command line names it: `gaussian:5`; raises OccultaError(USAGE)."""
    return kinds.read(text, KINDS)


def apply(picture: Picture, attacks: Iterable[Attack], seed: int) -> Picture:
    """The picture after all the attacks, one after the other.

    The same picture, attacks and `seed` (from 0) give the same result with the same versions of
    numpy and Pillow; each attack draws from a stream of its own. Raises OccultaError.
    """
    for place, attack in enumerate(attacks):
        chance = np.random.default_rng([seed, place])
        picture = attack.kind.apply(picture, attack.arguments, chance)
    return picture


def listing() -> str:
    """A line for each attack, as in the help."""
    width = max(len(kind.written) for kind in KINDS.values())
    return "\n".join(f"  {kind.written:<{width}}  {kind.help}" for kind in KINDS.values())
