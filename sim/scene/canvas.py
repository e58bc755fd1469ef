"""An antialiased drawing surface for everything with a sharp outline: roads, roofs, ships."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from sim.scene.frame import Colour, Frame, Plane, Points

OVERSAMPLE = 2
"""Canvas pixels per picture pixel along each side; more costs memory, fewer jagged edges."""

HEIGHT_STEP_M = 0.125
"""Metres per grey level of the height layer (8 bits: up to 31 m)."""

Rgb = tuple[int, int, int]


class Canvas:
    """Coloured shapes over nothing, each with a height above the ground in metres."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        size = (frame.width * OVERSAMPLE, frame.height * OVERSAMPLE)
        self._scale = OVERSAMPLE / frame.gsd
        self._colour = Image.new("RGBA", size)
        self._height = Image.new("L", size)
        self._ink = ImageDraw.Draw(self._colour)
        self._relief = ImageDraw.Draw(self._height)

    def polygon(self, points: Points, rgb: Rgb, height_m: float = 0.0) -> None:
        """Fill `points` with a colour 0..255 at a height."""
        outline = _pairs(points * self._scale)
        self._ink.polygon(outline, fill=(*rgb, 255))
        self._relief.polygon(outline, fill=_level(height_m))

    def line(self, points: Points, width_m: float, rgb: Rgb) -> None:
        """Draw a line of a ground width, never thinner than half a picture pixel."""
        outline = _pairs(points * self._scale)
        width = max(1, round(width_m * self._scale))
        self._ink.line(outline, fill=(*rgb, 255), width=width, joint="curve")
        self._relief.line(outline, fill=0, width=width, joint="curve")

    def disc(self, centre: Points, radius_m: float, rgb: Rgb, height_m: float) -> None:
        """Fill a disc around `centre`, shape (2,)."""
        (x, y), r = centre * self._scale, max(0.5, radius_m * self._scale)
        self._ink.ellipse((x - r, y - r, x + r, y + r), fill=(*rgb, 255))
        self._relief.ellipse((x - r, y - r, x + r, y + r), fill=_level(height_m))

    def layers(self) -> tuple[Colour, Plane, Plane]:
        """Colour, cover 0..1 and height in metres, at the picture's resolution."""
        bands = [np.asarray(band) for band in self._colour.reduce(OVERSAMPLE).split()]
        red, green, blue, cover = (band * np.float32(1 / 255) for band in bands)
        height = np.asarray(self._height.reduce(OVERSAMPLE)) * np.float32(HEIGHT_STEP_M)
        return np.stack((red, green, blue)), cover, height


def _pairs(points: Points) -> list[tuple[float, float]]:
    """`points` as Pillow takes them."""
    return [(float(x), float(y)) for x, y in points]


def _level(height_m: float) -> int:
    """A height as a grey level."""
    return min(255, round(height_m / HEIGHT_STEP_M))
