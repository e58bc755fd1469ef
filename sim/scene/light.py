"""Sunlight, cast shadows, clouds and air: from ground reflectance to what the lens sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from sim.scene.cover import blend
from sim.scene.frame import Colour, Frame, Plane
from sim.scene.noise import fractal, gradient, smoothstep

TALLEST_M = 22.0
"""Trees and buildings above this cast no longer shadow."""

CLOUD_BASE_M = 420.0
"""Height of the clouds above the ground: how far their shadows fall, metres."""


@dataclass(frozen=True)
class Sun:
    """Where the light comes from: azimuth on the picture and elevation, radians."""

    azimuth: float
    elevation: float

    @property
    def towards(self) -> tuple[float, float]:
        """Horizontal unit vector towards the sun, x and y."""
        return float(np.cos(self.azimuth)), float(np.sin(self.azimuth))


def some_sun(rng: np.random.Generator) -> Sun:
    """A morning sun, upper left or upper right, 35 to 50 degrees high."""
    return Sun(rng.uniform(np.radians(-155), np.radians(-25)), rng.uniform(0.61, 0.87))


def shading(surface: Plane, step_m: float, sun: Sun) -> Plane:
    """Lambert hill shading, 1 on level ground; `surface` in metres, `step_m` per pixel."""
    along_x, along_y = gradient(surface, step_m)
    sx, sy = sun.towards
    flat = np.float32(1.0 / np.tan(sun.elevation))
    lit = np.float32(1.0) - flat * (np.float32(sx) * along_x + np.float32(sy) * along_y)
    lit /= np.sqrt(np.float32(1.0) + along_x * along_x + along_y * along_y)
    return np.clip(lit, np.float32(0.25), np.float32(1.75), out=lit)


def shadows(surface: Plane, step_m: float, sun: Sun) -> Plane:
    """1 where something taller stands between a pixel and the sun, else 0."""
    sx, sy = sun.towards
    rise = step_m * np.tan(sun.elevation)
    shaded = np.zeros_like(surface)
    for k in range(1, int(TALLEST_M / rise) + 2):
        taller = shifted(surface, round(-k * sx), round(-k * sy)) - surface
        np.maximum(shaded, taller - np.float32(k * rise), out=shaded)
    shaded *= np.float32(0.8)
    return np.clip(shaded, 0.0, 1.0, out=shaded)


def shifted(plane: Plane, right: int, down: int) -> Plane:
    """`plane` moved by whole pixels, its edge values repeated."""
    height, width = plane.shape
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    return plane[rows][:, columns]


def paint_clouds(rng: np.random.Generator, frame: Frame, picture: Colour, sun: Sun) -> None:
    """Fair weather cumulus and the shadows it throws, painted in place.

    The sky is larger than the frame, so that clouds outside it shadow the ground inside.
    """
    fall = CLOUD_BASE_M / np.tan(sun.elevation) / frame.gsd
    right, down = round(-sun.towards[0] * fall), round(-sun.towards[1] * fall)
    body = _clouds(rng, frame.grown(abs(right), abs(down)))
    above = body[max(down, 0) :, max(right, 0) :][: frame.height, : frame.width]
    beside = body[max(-down, 0) :, max(-right, 0) :][: frame.height, : frame.width]
    picture *= np.float32(1.0) - np.float32(0.58) * smoothstep(beside, -0.05, 0.6)
    dome = np.sqrt(np.maximum(above, np.float32(0.0))) * np.float32(90.0)
    bright = np.float32(0.76) + np.float32(0.2) * shading(dome, frame.gsd * 1.5, sun)
    white = np.array([0.94, 0.955, 0.97], dtype=np.float32)[:, None, None]
    blend(picture, bright * white, smoothstep(above, -0.05, 0.7) * np.float32(0.97))


def _clouds(rng: np.random.Generator, sky: Frame) -> Plane:
    """Thickness of the clouds: above 0 inside them, negative in the clear."""
    puffs = fractal(rng, sky, 520.0, 0.9, finest_m=9.0)
    where = fractal(rng, sky, 2600.0, 0.9, finest_m=300.0)
    return puffs + where - np.float32(rng.uniform(1.9, 2.6))


def paint_air(picture: Colour) -> None:
    """Haze veils colours and lifts the blue end, in place."""
    red, green, blue = picture
    veil = (red + green + blue) * np.float32(0.05)
    for plane, clear, glow in zip(picture, (0.84, 0.83, 0.8), (0.018, 0.03, 0.05), strict=True):
        np.multiply(plane, np.float32(clear), out=plane)
        np.add(plane, veil + np.float32(glow), out=plane)


def exposed(rng: np.random.Generator, picture: Colour) -> Image.Image:
    """The picture through the optics and the sensor: slight blur, noise, 8 bits.

    Most of the noise is common to the three bands, as detectors' gain and shot noise is.
    """
    grain = rng.standard_normal(picture.shape[1:], dtype=np.float32) * np.float32(3.0)
    bands = []
    for plane in picture:
        level = np.clip(plane * np.float32(255), 0, 255).astype(np.uint8)
        lens = Image.fromarray(level).filter(ImageFilter.GaussianBlur(0.55))
        noise = np.sqrt(plane + np.float32(0.02)) * grain + np.float32(0.5)
        noise += np.asarray(lens)
        bands.append(Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8)))
    return Image.merge("RGB", bands)
