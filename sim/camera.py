"""A satellite camera that needs no satellite: synthesises a coastal scene, encodes it as JPEG.

The same seed, size and quality give the same bytes on the same machine with the same library
versions; tests that need frozen bytes keep the file, not the seed.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from sim.scene import light, town
from sim.scene.canvas import Canvas
from sim.scene.cover import FOREST, blend, crowns, forest, paint_water, wild
from sim.scene.farmland import Farmland, draw_lanes, farmland, parcel_means
from sim.scene.frame import Colour, Frame, Plane, frame_of
from sim.scene.noise import fractal, gradient, smoothstep
from sim.scene.relief import Relief, relief
from sim.scene.site import Site

MEGAPIXELS = (0.01, 16.0)
"""Least and greatest picture: a scene takes about 130 bytes of memory per pixel."""

DEFAULT_SEED = 4
"""A scene with its town in the clear."""

STAGES = ("relief", "cover", "farmland", "built", "water", "sky", "sensor")
"""Each has its own random stream, so that changing one leaves the others as they were."""


def photograph(seed: int, megapixels: float = 4.0, quality: int = 85) -> bytes:
    """A baseline JPEG (4:2:0, standard Huffman tables) of the scene `seed` stands for.

    `megapixels` lies within MEGAPIXELS and `quality` within 1..100, else ValueError.
    """
    if not MEGAPIXELS[0] <= megapixels <= MEGAPIXELS[1]:
        raise ValueError(f"megapixels must lie in {MEGAPIXELS[0]}..{MEGAPIXELS[1]:g}")
    if not 1 <= quality <= 100:
        raise ValueError("quality must lie in 1..100")
    return encoded(scene(seed, frame_of(megapixels)), quality)


def encoded(picture: Image.Image, quality: int) -> bytes:
    """`picture` as a camera's own encoder would write it: one pass, no optimised tables."""
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality, subsampling="4:2:0", optimize=False)
    return out.getvalue()


def scene(seed: int, frame: Frame) -> Image.Image:
    """An RGB picture of `frame`'s size; `seed` is any integer from 0."""
    streams = np.random.default_rng(seed).spawn(len(STAGES))
    rng = dict(zip(STAGES, streams, strict=True))
    ground = relief(rng["relief"], frame)
    sun = light.some_sun(rng["sky"])
    fields = farmland(rng["farmland"], frame)
    built, built_share, tops = _built(rng["built"], frame, ground, fields)
    picture, trees = _land(rng["cover"], frame, ground, fields)
    water = paint_water(rng["water"], frame, ground, picture)
    blend(picture, built, built_share)
    dry = np.float32(1.0) - water
    tops = np.maximum(tops, trees * dry * (np.float32(1.0) - built_share))
    _illuminate(picture, frame, ground, tops, dry=dry, sun=sun)
    light.paint_clouds(rng["sky"], frame, picture, sun)
    light.paint_air(picture)
    return light.exposed(rng["sensor"], picture)


def _land(
    rng: np.random.Generator, frame: Frame, ground: Relief, fields: Farmland
) -> tuple[Colour, Plane]:
    """Colour of the land without water or buildings, and the height of its trees, metres."""
    along_x, along_y = gradient(ground.height, frame.gsd)
    steep = np.hypot(along_x, along_y)
    picture = wild(rng, frame, ground, steep)
    wooded = forest(rng, frame, ground, steep)
    tilled = _tilled(rng, frame, ground, fields, steep=steep, wooded=wooded)
    blend(picture, fields.colour, tilled)
    wooded *= np.float32(1.0) - tilled
    blend(picture, FOREST, wooded)
    grain = fractal(rng, frame, 14.0, 0.1)
    picture *= np.float32(1.0) + np.float32(0.04) * grain
    return picture, crowns(wooded, grain)


def _tilled(
    rng: np.random.Generator,
    frame: Frame,
    ground: Relief,
    fields: Farmland,
    *,
    steep: Plane,
    wooded: Plane,
) -> Plane:
    """1 on parcels level, dry and clear enough to plough, else 0: whole parcels at a time."""
    fit = np.float32(1.0) - np.float32(4.5) * steep - np.float32(1.1) * wooded
    fit -= smoothstep(ground.inland, 160.0, 60.0) + smoothstep(ground.river, 10.0, -10.0)
    fit += np.float32(0.25) * fractal(rng, frame, 400.0, 0.5, finest_m=100.0)
    return (parcel_means(fields.labels, fit) > 0.15).astype(np.float32)


def _built(
    rng: np.random.Generator, frame: Frame, ground: Relief, fields: Farmland
) -> tuple[Colour, Plane, Plane]:
    """Colour, share and height of everything drawn with an outline."""
    canvas = Canvas(frame)
    site = Site(frame, ground)
    centre = town.town_centre(rng, ground, site)
    draw_lanes(rng, canvas, fields, site)
    town.draw_farms(rng, canvas, fields.seams, site)
    town.draw_roads(rng, canvas, centre, site)
    town.draw_town(rng, canvas, centre, site)
    town.draw_ships(rng, canvas, frame, site)
    colour, share, tops = canvas.layers()
    clear = smoothstep(ground.inland, 30.0, 50.0)
    clear += smoothstep(ground.inland, 50.0 - town.SEAWAY_M, -town.SEAWAY_M)
    return colour, share * clear, tops * clear


def _illuminate(
    picture: Colour, frame: Frame, ground: Relief, tops: Plane, *, dry: Plane, sun: light.Sun
) -> None:
    """Hill shading and cast shadows on everything that is not water, in place."""
    surface = np.maximum(ground.height, np.float32(0.0))
    lit = light.shading(surface + tops * np.float32(0.35), frame.gsd, sun)
    dark = light.shadows(tops + surface, frame.gsd, sun) * dry
    lit = np.float32(1.0) + (lit - np.float32(1.0)) * dry * np.float32(0.85)
    lit *= np.float32(1.0) - np.float32(0.55) * dark
    picture *= lit
