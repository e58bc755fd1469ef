"""What hiding by either scheme, `reversible` and `robust`, refuses before any work."""

from __future__ import annotations

import argparse
from pathlib import Path

from occulta.errors import OccultaError, Reason
from occulta.program import files

_OTHER_FORMATS = frozenset(
    (".png", ".tif", ".tiff", ".webp", ".pgm", ".bmp", ".gif", ".jp2", ".avif")
)
"""Suffixes that promise something else than a JPEG file."""


def refuse_wrong_use(options: argparse.Namespace) -> None:
    """Raises OccultaError(USAGE).

    `options`: scheme, image, private (or None), output (names), roi, holders, key_stream, json.
    """
    for name, is_given in (
        ("--roi", options.roi), ("--holders", options.holders), ("--key-stream", options.key_stream)
    ):
        if is_given:
            _refuse(f"{name} is for the scheme shares, and this is {options.scheme}")
    if options.private is None:
        _refuse(f"the scheme {options.scheme} needs --private FILE: what is to be hidden")
    if options.image == files.STANDARD == options.private:
        _refuse("picture and private data cannot both be standard input")
    if options.json and options.output == files.STANDARD:
        _refuse("--json and the picture cannot both be standard output")
    if Path(options.output).suffix.lower() in _OTHER_FORMATS:
        _refuse(f"{options.output}: the marked picture is a JPEG file, name it .jpg")


def _refuse(detail: str) -> None:
    raise OccultaError(Reason.USAGE, detail)
