"""Plots of a report: histograms as inline SVG, adjacent pixels as density pictures."""

from __future__ import annotations

from html import escape

import numpy as np
from numpy.typing import NDArray

from sim.analysis.measures import Pixels

_WIDTH, _HEIGHT, _FOOT = 256, 100, 12


def histogram(caption: str, counts: NDArray[np.int64]) -> str:
    """A figure of 256 bars up to the fullest value; a line stands where an even spread would."""
    peak = max(int(counts.max()), 1)
    tops = [f"V{_HEIGHT - _HEIGHT * int(count) / peak:.1f}h1" for count in counts]
    even = _HEIGHT - _HEIGHT * float(counts.mean()) / peak
    text = escape(caption)
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH} {_HEIGHT + _FOOT}" role="img" fill="currentColor" '
        f'style="display:block;width:100%;height:auto"><title>{text}</title>'
        f'<path d="M0 {_HEIGHT}{"".join(tops)}V{_HEIGHT}z" opacity=".75"/>'
        f'<path d="M0 {even:.1f}h{_WIDTH}" stroke="currentColor" stroke-dasharray="3 3"/>'
        f'{_label(0, "start", "0")}{_label(_WIDTH, "end", "255")}</svg>'
        f"<figcaption>{text}: at most {peak:,} of a value, at least {int(counts.min()):,}"
        "</figcaption></figure>\n"
    )


def _label(x: int, anchor: str, text: str) -> str:
    return (
        f'<text x="{x}" y="{_HEIGHT + _FOOT - 3}" font-size="9" text-anchor="{anchor}">'
        f"{text}</text>"
    )


def densities(pixels: Pixels) -> dict[str, Pixels]:
    """How often each pair of adjacent values occurs, by direction; directions without pairs lack.

    256 x 256: a pixel to the right, its neighbour upwards; logarithmic, the fullest pair white.
    """
    pairs = {
        "horizontal": (pixels[:, :-1], pixels[:, 1:]),
        "vertical": (pixels[:-1], pixels[1:]),
        "diagonal": (pixels[:-1, :-1], pixels[1:, 1:]),
    }
    return {name: _density(*sides) for name, sides in pairs.items() if sides[0].size}


def _density(one: Pixels, other: Pixels) -> Pixels:
    cells = (255 - other.astype(np.int64)) * 256 + one
    scale = np.log1p(np.bincount(cells.ravel(), minlength=256 * 256).reshape(256, 256))
    drawn: Pixels = np.rint(255 * scale / scale.max()).astype(np.uint8)
    return drawn
