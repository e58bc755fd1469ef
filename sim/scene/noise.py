"""Smooth random planes, and the few curves everything else is shaped with."""

from __future__ import annotations

import numpy as np
from PIL import Image

from sim.scene.frame import Frame, Plane

COARSEST = 3
"""Cells along the shorter side below which an octave would be only a tilt."""


def resized(plane: Plane, width: int, height: int) -> Plane:
    """`plane` resampled to (height, width) with a bicubic filter."""
    picture = Image.fromarray(plane).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(picture, dtype=np.float32)


def fractal(
    rng: np.random.Generator,
    frame: Frame,
    feature_m: float,
    hurst: float = 0.8,
    finest_m: float = 0.0,
) -> Plane:
    """Fractal noise of mean 0 and standard deviation 1, shape (height, width).

    Octaves run from `feature_m` metres down to `finest_m` (or one pixel); each halves the
    feature and scales its amplitude by 2**-hurst. Built as a pyramid, coarse to fine, so the
    whole costs little more than its last octave.
    """
    cell = min(feature_m / frame.gsd, min(frame.width, frame.height) / COARSEST)
    finest = max(1.0, finest_m / frame.gsd)
    amplitude = np.float32(1.0)
    plane = _octave(rng, frame, max(cell, finest))
    while cell / 2 >= finest:
        cell, amplitude = cell / 2, amplitude * np.float32(2.0**-hurst)
        octave = _octave(rng, frame, cell)
        octave *= amplitude
        plane = octave + resized(plane, octave.shape[1], octave.shape[0])
    return _standard(resized(plane, frame.width, frame.height))


def _octave(rng: np.random.Generator, frame: Frame, cell: float) -> Plane:
    """White noise with one value per `cell` pixels."""
    shape = (max(2, round(frame.height / cell)), max(2, round(frame.width / cell)))
    return rng.standard_normal(shape, dtype=np.float32)


def _standard(plane: Plane) -> Plane:
    """`plane` shifted and scaled to mean 0, standard deviation 1."""
    centred: Plane = plane - plane.mean()
    centred /= max(centred.std(), np.float32(1e-6))
    return centred


def smoothstep(plane: Plane, low: float, high: float) -> Plane:
    """0 below `low`, 1 above `high`, with a smooth S between; falls when low > high."""
    t: Plane = (plane - np.float32(low)) * np.float32(1.0 / (high - low))
    np.clip(t, 0.0, 1.0, out=t)
    curve: Plane = np.float32(3.0) - np.float32(2.0) * t
    curve *= t
    curve *= t
    return curve


def gradient(plane: Plane, step_m: float) -> tuple[Plane, Plane]:
    """Slopes of `plane` along x and y, per metre, by central differences."""
    along_x, along_y = np.empty_like(plane), np.empty_like(plane)
    scale = np.float32(0.5 / step_m)
    along_x[:, 1:-1] = (plane[:, 2:] - plane[:, :-2]) * scale
    along_y[1:-1, :] = (plane[2:, :] - plane[:-2, :]) * scale
    along_x[:, 0], along_x[:, -1] = along_x[:, 1], along_x[:, -2]
    along_y[0, :], along_y[-1, :] = along_y[1, :], along_y[-2, :]
    return along_x, along_y
