"""What the land is covered with: wild vegetation, forest, rock, sand; and the water."""

from __future__ import annotations

import numpy as np

from sim.scene.frame import Colour, Frame, Plane
from sim.scene.noise import fractal, smoothstep
from sim.scene.relief import Relief

CANOPY_M = 9.0
"""Height of the forest's canopy, metres."""

GRASS, SCRUB, FOREST = (126, 128, 86), (104, 108, 70), (52, 68, 40)
ROCK, SAND, MUD = (142, 130, 114), (206, 192, 158), (116, 122, 96)
DEEP, SHALLOW, FOAM = (16, 42, 66), (72, 138, 140), (226, 232, 230)


def colour_of(rgb: tuple[int, int, int]) -> Colour:
    """A colour 0..255 as fractions, shape (3, 1, 1)."""
    return (np.array(rgb, dtype=np.float32) / np.float32(255))[:, None, None]


def plain(rgb: tuple[int, int, int], like: Plane) -> Colour:
    """A picture of one colour, the size of `like`."""
    return np.broadcast_to(colour_of(rgb), (3, *like.shape)).copy()


def blend(picture: Colour, rgb: tuple[int, int, int] | Colour, share: Plane) -> None:
    """Mix a colour or a picture into `picture`, in place, by a share 0..1 per pixel."""
    other = colour_of(rgb) if isinstance(rgb, tuple) else rgb
    for plane, into in zip(picture, other, strict=True):
        step = into - plane
        step *= share
        np.add(plane, step, out=plane)


def wild(rng: np.random.Generator, frame: Frame, relief: Relief, steep: Plane) -> Colour:
    """Grass and scrub by soil, bare rock where it is steep; `steep` is rise over run."""
    soil = fractal(rng, frame, 900.0, 0.6, finest_m=9.0)
    picture = plain(GRASS, soil)
    blend(picture, SCRUB, smoothstep(soil, -0.6, 0.9))
    rocky = steep + np.float32(0.09) * soil + relief.height * np.float32(0.0003)
    blend(picture, ROCK, smoothstep(rocky, 0.45, 0.8))
    picture *= np.float32(1.0) + np.float32(0.05) * soil
    return picture


def forest(rng: np.random.Generator, frame: Frame, relief: Relief, steep: Plane) -> Plane:
    """Share of forest 0..1: hillsides and valley woods, with ragged edges and clearings."""
    woods = fractal(rng, frame, 800.0, 0.55, finest_m=8.0)
    uphill = smoothstep(relief.height, 25.0, 120.0) - smoothstep(relief.height, 320.0, 520.0)
    bank = smoothstep(relief.river, 70.0, 5.0) * np.float32(0.9)
    wooded = woods + np.float32(1.9) * uphill + bank - np.float32(1.5)
    wooded -= smoothstep(steep, 0.5, 0.8)
    return smoothstep(wooded, -0.05, 0.12)


def crowns(share: Plane, grain: Plane) -> Plane:
    """Height of the trees, metres: shading and shadows then give the canopy its grain.

    `grain` is noise of mean 0 and standard deviation 1, a few pixels fine.
    """
    return share * np.float32(CANOPY_M) * (np.float32(1.0) + np.float32(0.22) * grain)


def paint_water(rng: np.random.Generator, frame: Frame, relief: Relief, picture: Colour) -> Plane:
    """Beach, sea and river painted in place; returns the share of water 0..1."""
    texture = fractal(rng, frame, 260.0, 0.45)
    ragged = relief.inland + np.float32(5.0) * texture
    blend(picture, SAND, smoothstep(ragged, 62.0, 30.0) * smoothstep(relief.river, -2.0, 30.0))
    blend(picture, SAND, smoothstep(relief.river, 14.0, 6.0) * np.float32(0.45))
    sea = smoothstep(ragged, 5.0, 0.0)
    river = smoothstep(relief.river, 2.0, -2.0)
    river *= np.float32(1.0) - sea
    blend(picture, _sea(rng, frame, relief, texture), sea)
    silty = np.float32(0.5) + np.float32(0.12) * texture
    blend(picture, (66, 88, 82), river)
    blend(picture, MUD, river * np.clip(silty, 0.0, 1.0) * np.float32(0.35))
    surf = smoothstep(ragged, 3.0, -2.0) * smoothstep(ragged, -26.0, -6.0)
    blend(picture, FOAM, surf * smoothstep(texture, -0.5, 1.6) * np.float32(0.8))
    return np.maximum(sea, river)


def _sea(rng: np.random.Generator, frame: Frame, relief: Relief, texture: Plane) -> Colour:
    """Water colour by depth, silt off the river's mouth, and short wind waves."""
    shoals = fractal(rng, frame, 700.0, 0.7, finest_m=25.0)
    depth = -relief.inland * np.float32(0.035) + np.float32(1.4) * shoals
    clear = np.exp(np.minimum(-depth, np.float32(0.0)) * np.float32(0.16))
    sea = plain(DEEP, depth)
    blend(sea, SHALLOW, clear)
    blend(sea, SAND, clear**6 * np.float32(0.6))
    plume = smoothstep(relief.river + np.float32(60.0) * texture, 520.0, -30.0)
    blend(sea, MUD, plume * smoothstep(relief.inland, -1000.0, -20.0) * np.float32(0.62))
    sea *= np.float32(1.0) + _waves(rng, frame) * np.float32(0.035)
    return sea


def _waves(rng: np.random.Generator, frame: Frame) -> Plane:
    """Wind waves: noise drawn out along the crests."""
    chop = fractal(rng, frame, 24.0, 0.2)
    crests = chop + np.roll(chop, (1, 2), (0, 1)) + np.roll(chop, (2, 4), (0, 1))
    waves: Plane = crests * np.float32(0.55)
    return waves
