"""Agricultural land: a patchwork of parcels, their crops, and the rows they are sown in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sim.scene import polygons
from sim.scene.canvas import Canvas
from sim.scene.frame import Colour, Frame, Plane, Points
from sim.scene.noise import fractal
from sim.scene.site import Site

PARCEL_M2 = 42_000.0
"""Typical field area in square metres (4.2 ha)."""

LANE_DEPTH = 6
"""Divisions up to this depth carry a lane; deeper ones only a hedge or a furrow."""

BRIDGE_DEPTH = 4
"""Lanes along divisions above this depth cross the river."""

HEDGED = 0.45
"""Share of the deeper boundaries that carry a hedge."""

CROPS = np.array(
    [
        (186, 168, 126), (170, 154, 116), (198, 184, 146), (130, 106, 84), (106, 90, 74),
        (158, 139, 114), (96, 114, 70), (110, 126, 80), (76, 96, 62), (84, 106, 68),
        (172, 168, 100), (116, 124, 86), (124, 126, 92), (146, 138, 106), (100, 118, 82),
    ],
    dtype=np.float32,
) / np.float32(255)  # fmt: skip
"""Ripe grain, stubble, straw; ploughed, wet and pale soil; four greens; rape, pasture, fallow."""


@dataclass(frozen=True)
class Farmland:
    """Parcels rasterised over the frame, and what grows on each."""

    labels: NDArray[np.int32]
    """Shape (height, width): the parcel each pixel belongs to."""
    colour: Colour
    """Reflectance of the parcels, rows and tracks included."""
    seams: list[tuple[int, Points]]
    """Boundaries with the depth of the division that made them."""


class Warp:
    """A smooth displacement that bends surveyed lines the way land does; a few sines."""

    def __init__(self, rng: np.random.Generator, reach_m: float = 34.0) -> None:
        self._waves = rng.normal(0.0, 2 * np.pi / 1500.0, (5, 2))
        self._phases = rng.uniform(0.0, 2 * np.pi, 5)
        self._moves = rng.normal(0.0, reach_m / 5**0.5, (5, 2))

    def __call__(self, points: Points) -> Points:
        """`points` displaced by tens of metres."""
        moved: Points = points + np.sin(points @ self._waves.T + self._phases) @ self._moves
        return moved


def farmland(rng: np.random.Generator, frame: Frame) -> Farmland:
    """Divide the whole frame into parcels and sow them."""
    width, height = frame.extent
    angle = rng.uniform(0.0, np.pi)
    ground = polygons.rectangle(np.array([width, height]) / 2, width * 1.26, width * 1.26, angle)
    warp = Warp(rng)
    seams: list[tuple[int, Points]] = []
    parcels: list[Points] = []
    for depth, shape, whole in polygons.divide(rng, ground, PARCEL_M2, jitter=0.45):
        bent = warp(polygons.densified(shape, 60.0, closed=whole))
        if whole:
            parcels.append(bent)
        elif len(bent) > 1:
            seams.append((depth, bent))
    labels = _rasterised(frame, parcels)
    bearings = np.array([polygons.bearing(p) for p in parcels], dtype=np.float32)
    return Farmland(labels, _crops(rng, frame, labels, bearings), seams)


def _rasterised(frame: Frame, parcels: list[Points]) -> NDArray[np.int32]:
    """Parcel numbers per pixel."""
    image = Image.new("I", (frame.width, frame.height))
    draw = ImageDraw.Draw(image)
    for label, parcel in enumerate(parcels):
        corners = [(float(x), float(y)) for x, y in parcel / frame.gsd]
        draw.polygon(corners, fill=label, outline=label)
    return np.array(image, dtype=np.int32)


def _crops(
    rng: np.random.Generator, frame: Frame, labels: NDArray[np.int32], bearings: Plane
) -> Colour:
    """Colour of each parcel: its crop, how well it grows in places, and its rows."""
    count = len(bearings)
    crop = CROPS[rng.integers(0, len(CROPS), count)]
    crop = crop * rng.normal(1.0, 0.07, (count, 1)) * rng.normal(1.0, 0.02, (count, 3))
    patchy = rng.uniform(0.02, 0.11, count).astype(np.float32)
    growth = fractal(rng, frame, 180.0, 0.55) * patchy[labels]
    growth += _rows(rng, frame, labels, bearings)
    growth += np.float32(1.0)
    return np.stack([tint.astype(np.float32)[labels] * growth for tint in crop.T])


def _rows(
    rng: np.random.Generator, frame: Frame, labels: NDArray[np.int32], bearings: Plane
) -> Plane:
    """Sown rows along each parcel's long side; spacing and strength differ per parcel."""
    count = len(bearings)
    spacing = np.maximum(rng.uniform(8.0, 26.0, count), 2.6 * frame.gsd)
    strength = rng.choice([0.0, 0.015, 0.03, 0.07], count, p=[0.2, 0.3, 0.3, 0.2])
    wave = (2 * np.pi / spacing).astype(np.float32)
    x, y = frame.axes()
    phase = x * (-np.sin(bearings) * wave)[labels] + y * (np.cos(bearings) * wave)[labels]
    return np.sin(phase) * strength.astype(np.float32)[labels]


def parcel_means(labels: NDArray[np.int32], plane: Plane) -> Plane:
    """The mean of `plane` over each pixel's whole parcel: decisions follow boundaries."""
    flat = labels.ravel()
    total = np.bincount(flat, weights=plane.ravel())
    means = total / np.maximum(np.bincount(flat), 1)
    return means.astype(np.float32)[labels]


def draw_lanes(rng: np.random.Generator, canvas: Canvas, land: Farmland, site: Site) -> None:
    """Lanes along the oldest boundaries, hedges and trees along some of the others."""
    for depth, line in land.seams:
        if depth <= LANE_DEPTH:
            _draw_lane(canvas, line, depth, site)
        elif rng.random() < HEDGED:
            _draw_hedge(rng, canvas, line, site)


def _draw_lane(canvas: Canvas, line: Points, depth: int, site: Site) -> None:
    """A lane on land; only the oldest ones have bridges over the river."""
    for leg in zip(line[:-1], line[1:], strict=True):
        bridged = depth < BRIDGE_DEPTH and min(site.inland(p) for p in leg) > 0.0
        if bridged or all(site.dry(p, 0.0) for p in leg):
            canvas.line(np.array(leg), 6.0 if depth < LANE_DEPTH else 4.0, (168, 158, 138))


def _draw_hedge(rng: np.random.Generator, canvas: Canvas, line: Points, site: Site) -> None:
    """A broken row of trees."""
    spots = polygons.densified(line, rng.uniform(7.0, 12.0), closed=False)
    gaps = np.convolve(rng.standard_normal(len(spots) + 4), np.ones(5) / 5**0.5, mode="valid")
    spots = spots[gaps > rng.normal(0.0, 0.8)]
    for spot in spots + rng.normal(0.0, 2.4, spots.shape):
        shade = int(rng.integers(-10, 14))
        tree = (70 + shade, 84 + shade, 54 + shade)
        radius, top = rng.gamma(4.0, 0.75), rng.uniform(2.0, 9.0)
        if site.dry(spot, 2.0):
            canvas.disc(spot, radius, tree, top)
