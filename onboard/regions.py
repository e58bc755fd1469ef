"""Regions of interest as the command line gives them."""

from __future__ import annotations

from occulta.errors import OccultaError, Reason
from occulta.schemes.shares.regions import Rectangle


def parse_regions(texts: list[str]) -> list[Rectangle]:
    """Rectangles from texts `x,y,w,h`, held to no image; raises OccultaError(BAD_REGION)."""
    return [_rectangle(text) for text in texts]


def _rectangle(text: str) -> Rectangle:
    words = text.split(",")
    if len(words) != 4 or not all(word.isascii() and word.isdigit() for word in words):
        raise OccultaError(Reason.BAD_REGION, f"{text!r} is not x,y,w,h in whole pixels")
    if max(map(len, words)) > 9:
        raise OccultaError(Reason.BAD_REGION, f"{text!r} is beyond any image")
    x, y, width, height = map(int, words)
    return x, y, width, height
