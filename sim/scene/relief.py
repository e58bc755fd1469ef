"""Height of the ground, the coast, and the river that runs from the hills to the sea."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.scene.frame import Frame, Plane, Points
from sim.scene.noise import fractal, resized, smoothstep

HILL_M = 330.0
"""Height of the highest hills above the plain, metres."""

RIVER_M = (32.0, 58.0)
"""Least and greatest full width of the river, metres."""


@dataclass(frozen=True)
class Relief:
    """The bare ground before anything grows or is built on it."""

    height: Plane
    """Metres above the sea; the sea bed is negative."""
    inland: Plane
    """Metres from the coast, growing inland; negative over the sea."""
    river: Plane
    """Metres to the river's bank; negative in the river."""
    course: Points
    """The river's centre line from the hills to the sea."""
    seaward: Points
    """Shape (1, 2): the unit vector towards the open sea."""


def relief(rng: np.random.Generator, frame: Frame) -> Relief:
    """A coastal plain that rises to hills, cut by one river."""
    angle = rng.uniform(0.0, 2.0 * np.pi)
    seaward = np.array([[np.cos(angle), np.sin(angle)]])
    reach = float(np.abs(seaward[0]) @ np.array(frame.extent)) / 2.0
    coast = reach * rng.uniform(0.42, 0.6)
    inland = _inland(rng, frame, seaward, coast)
    course = _course(rng, frame, seaward, coast, reach)
    river = _bank_distance(frame, course, rng.uniform(*RIVER_M))
    height = _height(rng, frame, inland, river, reach + coast)
    return Relief(height, inland, river, course, seaward)


def _inland(rng: np.random.Generator, frame: Frame, seaward: Points, coast: float) -> Plane:
    """Distance from a ragged coast line whose mean lies `coast` metres from the centre."""
    x, y = frame.axes()
    across, down = np.float32(frame.extent[0] / 2), np.float32(frame.extent[1] / 2)
    out = (x - across) * np.float32(seaward[0, 0]) + (y - down) * np.float32(seaward[0, 1])
    return (
        np.float32(coast)
        - out
        + np.float32(210.0) * fractal(rng, frame, 2200.0, 0.95, finest_m=10.0)
    )


def _course(
    rng: np.random.Generator, frame: Frame, seaward: Points, coast: float, reach: float
) -> Points:
    """A meandering centre line, from beyond the inland edge to beyond the coast."""
    along = np.linspace(-reach - 300.0, coast + 500.0, 160)
    sway = np.zeros_like(along)
    for wave in (430.0, 900.0, 1900.0, 3300.0):
        bend = np.sin(2 * np.pi * along / wave + rng.uniform(0.0, 2 * np.pi))
        sway += rng.uniform(0.5, 1.0) * wave / 9.0 * bend
    aside = np.array([[-seaward[0, 1], seaward[0, 0]]])
    offset = rng.uniform(-0.45, 0.45) * min(frame.extent)
    centre = np.array([frame.extent]) / 2.0
    line: Points = centre + along[:, None] * seaward + (offset + sway)[:, None] * aside
    return line


def _bank_distance(frame: Frame, course: Points, width: float) -> Plane:
    """Distance to the river's bank: measured on a coarse grid, then interpolated.

    Distance is smooth except on the centre line, where only "inside the river" matters.
    """
    step = max(1, round(24.0 / frame.gsd))
    columns, rows = -(-frame.width // step), -(-frame.height // step)
    x = (np.arange(columns) + 0.5) * frame.extent[0] / columns
    y = (np.arange(rows) + 0.5) * frame.extent[1] / rows
    coarse = _distance(np.stack(np.broadcast_arrays(x[None, :], y[:, None]), axis=-1), course)
    return resized((coarse - width / 2.0).astype(np.float32), frame.width, frame.height)


def _distance(grid: Points, line: Points) -> Points:
    """Distance from each of `grid`, shape (rows, columns, 2), to the nearest segment of `line`."""
    nearest = np.full(grid.shape[:2], np.inf)
    for start, end in zip(line[:-1], line[1:], strict=True):
        leg = end - start
        t = np.clip((grid - start) @ leg / float(leg @ leg), 0.0, 1.0)
        gap = grid - start - t[..., None] * leg
        np.minimum(nearest, np.einsum("ijk,ijk->ij", gap, gap), out=nearest)
    distance: Points = np.sqrt(nearest)
    return distance


def _height(
    rng: np.random.Generator, frame: Frame, inland: Plane, river: Plane, depth: float
) -> Plane:
    """Beach, plain and hills over the inland distance; valleys along the river."""
    rolling = fractal(rng, frame, 1500.0, 0.9, finest_m=20.0)
    ridges = np.exp(np.abs(fractal(rng, frame, 1900.0, 1.12)) * np.float32(-0.9))
    shore = np.where(inland > 0, inland * np.float32(0.022), inland * np.float32(0.035))
    hills = smoothstep(inland, 0.36 * depth, 1.05 * depth)
    land = smoothstep(inland, 0.0, 700.0)
    valley = np.float32(0.08) + np.float32(0.92) * smoothstep(river, 0.0, 750.0)
    bumps = np.float32(HILL_M) * hills * (ridges + np.float32(0.3)) + np.float32(7.0) * rolling
    height: Plane = shore + land * valley * np.maximum(bumps, np.float32(-4.0))
    return height
