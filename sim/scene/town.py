"""Built land: a town's blocks, streets and roofs, farmsteads, roads and ships."""

from __future__ import annotations

import numpy as np

from sim.scene import polygons
from sim.scene.canvas import Canvas, Rgb
from sim.scene.frame import Frame, Points
from sim.scene.relief import Relief
from sim.scene.site import Site

TOWN_M = (620.0, 820.0)
"""Least and greatest radius of the town, metres."""

BLOCK_M2 = 7_500.0
LOT_M2 = 520.0

SEAWAY_M = 250.0
"""Ships keep this far off the coast, and nothing else is drawn further out, metres."""

ASPHALT: Rgb = (134, 131, 127)
ROAD: Rgb = (150, 147, 142)
ROOFS: tuple[Rgb, ...] = (
    (172, 112, 86), (160, 98, 76), (184, 128, 98), (148, 104, 84), (190, 146, 116),
    (150, 148, 146), (176, 172, 166), (120, 116, 114), (204, 200, 192), (140, 124, 108),
)  # fmt: skip
SHEDS: tuple[Rgb, ...] = ((206, 206, 204), (168, 178, 188), (186, 180, 170), (120, 140, 160))


def town_centre(rng: np.random.Generator, relief: Relief, site: Site) -> Points:
    """Shape (2,): on a bank of the river, a little inland of its mouth, inside the frame."""
    aside = np.array([-relief.seaward[0, 1], relief.seaward[0, 0]]) * rng.choice([-220.0, 220.0])
    upstream: Points = relief.course[::-1] + aside
    for margin, coast in ((700.0, 420.0), (300.0, 420.0), (300.0, 100.0)):
        for spot in upstream:
            if site.inside(spot, margin) and site.inland(spot) > coast:
                return np.asarray(spot)
    return np.asarray(relief.course[len(relief.course) // 2])


def draw_roads(rng: np.random.Generator, canvas: Canvas, centre: Points, site: Site) -> None:
    """Four main roads that wander from the town until they leave the frame or meet the sea."""
    first = rng.uniform(0.0, np.pi / 2)
    for quarter in range(4):
        road = _road(rng, centre, first + quarter * np.pi / 2 + rng.normal(0.0, 0.2))
        ashore = np.array([site.inland(p) > 60.0 for p in road])
        road = road[: len(road) if ashore.all() else int(np.argmin(ashore))]
        if len(road) > 30:
            canvas.line(road, 17.0, (138, 134, 112))
            canvas.line(road, 10.0, ROAD)


def _road(rng: np.random.Generator, start: Points, heading: float) -> Points:
    """A smooth random walk of 40 m legs."""
    turns = rng.normal(0.0, 0.05, 190)
    smooth = np.convolve(turns, np.ones(14) / 4.0, mode="same")
    headings = heading + np.cumsum(smooth - smooth.mean()) * 0.35
    legs = 40.0 * np.stack([np.cos(headings), np.sin(headings)], axis=1)
    road: Points = start + np.cumsum(legs, axis=0)
    return road


def draw_town(rng: np.random.Generator, canvas: Canvas, centre: Points, site: Site) -> None:
    """Blocks within a ragged radius: dense in the middle, gardens and sheds further out."""
    radius = rng.uniform(*TOWN_M)
    ragged = rng.uniform(0.75, 1.2, 9)
    ground = polygons.rectangle(centre, 2.6 * radius, 2.6 * radius, rng.uniform(0.0, np.pi))
    blocks = []
    for _, shape, whole in polygons.divide(rng, ground, BLOCK_M2, jitter=0.3):
        out = shape.mean(axis=0) - centre
        sector = int((np.arctan2(out[1], out[0]) + np.pi) / (2 * np.pi) * 8.999)
        distance = float(np.hypot(*out)) / (radius * ragged[sector])
        if whole and distance < 1.0 and all(site.dry(p) for p in shape):
            blocks.append((distance, shape))
    for _, shape in blocks:
        canvas.polygon(polygons.shrunk(shape, -4.0), ASPHALT)
    for distance, shape in blocks:
        _draw_block(rng, canvas, polygons.shrunk(shape, 4.5), distance)


def _draw_block(rng: np.random.Generator, canvas: Canvas, block: Points, distance: float) -> None:
    """A park, an estate of sheds, or lots with houses."""
    kind = rng.random()
    if kind < 0.06:
        canvas.polygon(block, (96, 112, 70))
        _plant(rng, canvas, block, 40)
    elif kind < 0.06 + 0.25 * distance**3:
        canvas.polygon(block, (158, 154, 148))
        _build(rng, canvas, block, lot=3200.0, margin=9.0, roofs=SHEDS, height=(7.0, 12.0))
    else:
        canvas.polygon(block, (134, 128, 110) if distance < 0.45 else (116, 118, 86))
        margin, top = (2.2, 17.0) if distance < 0.4 else (5.0, 8.0)
        _build(rng, canvas, block, lot=LOT_M2, margin=margin, roofs=ROOFS, height=(4.5, top))
        _plant(rng, canvas, block, int(14 * distance))


def _build(
    rng: np.random.Generator,
    canvas: Canvas,
    block: Points,
    *,
    lot: float,
    margin: float,
    roofs: tuple[Rgb, ...],
    height: tuple[float, float],
) -> None:
    """One roof per lot: two slopes either side of a ridge, unequally lit."""
    for _, shape, whole in polygons.divide(rng, block, lot, jitter=0.05):
        if not whole or rng.random() < 0.06:
            continue
        house = polygons.shrunk(shape, margin * rng.uniform(0.7, 1.3))
        roof = np.array(roofs[int(rng.integers(len(roofs)))]) * rng.normal(1.0, 0.06)
        top = rng.uniform(*height)
        slopes = polygons.cut(house, house.mean(axis=0), polygons.bearing(house))[:2]
        for slope, light in zip(slopes, (1.1, 0.88), strict=True):
            if len(slope) > 2:
                canvas.polygon(slope, _rgb(roof * light), top)


def _plant(rng: np.random.Generator, canvas: Canvas, block: Points, count: int) -> None:
    """Trees scattered over the middle of a block."""
    spread = 0.22 * polygons.area(block) ** 0.5
    for spot in block.mean(axis=0) + rng.normal(0.0, spread, (count, 2)):
        canvas.disc(spot, rng.uniform(2.0, 4.5), (62, 82, 48), rng.uniform(4.0, 9.0))


def draw_farms(
    rng: np.random.Generator, canvas: Canvas, seams: list[tuple[int, Points]], site: Site
) -> None:
    """Farmsteads of a few roofs and trees, by the lanes."""
    lanes = [line for depth, line in seams if 3 <= depth <= 6]
    for _ in range(34):
        lane = lanes[int(rng.integers(len(lanes)))]
        spot = lane[int(rng.integers(len(lane)))] + rng.normal(0.0, 14.0, 2)
        if site.inside(spot) and site.dry(spot, 60.0):
            _draw_farm(rng, canvas, spot)


def _draw_farm(rng: np.random.Generator, canvas: Canvas, spot: Points) -> None:
    """A yard, two to six buildings, trees around."""
    angle = rng.uniform(0.0, np.pi)
    yard = polygons.rectangle(spot, rng.uniform(50.0, 90.0), rng.uniform(40.0, 70.0), angle)
    canvas.polygon(yard, (150, 142, 120))
    _plant(rng, canvas, yard, 16)
    roofs = ROOFS[:6] + SHEDS
    _build(rng, canvas, yard, lot=900.0, margin=6.5, roofs=roofs, height=(4.0, 8.0))


def draw_ships(rng: np.random.Generator, canvas: Canvas, frame: Frame, site: Site) -> None:
    """A few vessels under way, each with a wake."""
    for spot in rng.uniform(0.0, 1.0, (16, 2)) * np.array(frame.extent):
        if site.inland(spot) < -SEAWAY_M - 150.0:
            heading = rng.uniform(0.0, 2 * np.pi)
            length = rng.uniform(25.0, 95.0)
            ahead = np.array([np.cos(heading), np.sin(heading)])
            tail = spot - ahead * length * rng.uniform(2.0, 5.0)
            canvas.line(np.array([tail, spot]), length * 0.07, (112, 146, 158))
            hull = polygons.rectangle(spot, length, length * 0.2, heading)
            canvas.polygon(hull, (214, 212, 206), 5.0)


def _rgb(colour: Points) -> Rgb:
    """A colour with its three parts clipped to 0..255."""
    r, g, b = (int(min(255, max(0, c))) for c in colour)
    return r, g, b
