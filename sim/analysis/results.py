"""What an analysis found: as a table, as text, as values for report.json."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from occulta.schemes.shares.raster import Box
from sim.analysis import noise, paper_tables
from sim.analysis.jpeg_study import JpegStudy
from sim.analysis.measures import Correlation, Statistics
from sim.analysis.paper_study import Decryption, PaperStudy
from sim.analysis.paper_tables import Measured
from sim.analysis.picture import QUALITY, Picture

HEADINGS = ("what", "entropy", "horizontal", "vertical", "diagonal", "NPCR %", "UACI %")
"""Entropy in bits per pixel or byte; correlation of adjacent ones; of several keys the means."""
NONE = "-"


@dataclass(frozen=True)
class Analysis:
    """A picture, how it was analysed, and what of both profiles was found."""

    picture: Picture
    regions: tuple[Box, ...]
    """As asked for; none is the whole picture."""
    keys: int
    seed: int
    paper: PaperStudy
    jpeg: JpegStudy

    @property
    def is_noise(self) -> bool:
        """Whether no share says anything."""
        return self.paper.is_noise and self.jpeg.is_noise


def rows(found: Analysis) -> list[tuple[str, ...]]:
    """The lines below HEADINGS."""
    a, b = zip(*found.paper.keys, strict=True)
    size = found.paper.pixels.size
    return [
        _row("the picture", found.paper.original),
        _share_row("paper, share a", a),
        _share_row("paper, share b", b),
        (
            "noise of its size", f"{noise.entropy(size).mean:.4f}", *3 * (f"{0:.4f}",),
            f"{noise.npcr(size).mean:.4f}", f"{noise.uaci(size).mean:.4f}",
        ),
        paper_row(),
        _row("jpeg, the file", found.jpeg.original),
        _row("jpeg, share b", found.jpeg.share_b),
    ]


def paper_row() -> tuple[str, ...]:
    """Tables 3 and 4: means over the paper's images, of correlations those of their sizes."""
    uaci, npcr = (fmean(column) for column in zip(*paper_tables.TABLE_3.values(), strict=True))
    shares = [share for pair in paper_tables.TABLE_4.values() for share in pair]
    sides = [fmean(map(abs, side)) for side in zip(*shares, strict=True)]
    return ("papers/003, means", NONE, *map(coefficient, sides), f"{npcr:.4f}", f"{uaci:.4f}")


def _row(name: str, found: Statistics) -> tuple[str, ...]:
    return (name, f"{found.entropy:.4f}", *map(coefficient, found.correlation), NONE, NONE)


def _share_row(name: str, keys: Sequence[Measured]) -> tuple[str, ...]:
    sides = [fmean(side) for side in zip(*(each.correlation for each in keys), strict=True)]
    return (
        name, f"{fmean(each.entropy for each in keys):.4f}", *map(coefficient, sides),
        f"{fmean(each.npcr for each in keys):.4f}", f"{fmean(each.uaci for each in keys):.4f}",
    )


def coefficient(value: float) -> str:
    """A cell; undefined where one side has one value only."""
    return NONE if math.isnan(value) else f"{value:.4f}"


def table(found: Analysis) -> str:
    """The table as aligned text, and a sentence for everything else."""
    lines = [HEADINGS, *rows(found)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    shown = [_aligned(line, widths) for line in lines]
    shown.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([*shown, *map(decryption_line, found.paper.decryptions[1:]), *notes(found)])


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(line, widths, strict=True)
    return "  ".join([f"{first[0]:<{first[1]}}", *(f"{cell:>{width}}" for cell, width in others)])


def decryption_line(tried: Decryption) -> str:
    """What a wrong key restores."""
    verdict = "not refused" if tried.refusal is None else f"refused with {int(tried.refusal)}"
    beside = "" if math.isnan(tried.outside) else f" ({coefficient(tried.outside)} beside them)"
    return (
        f"last bit wrong, share {' and '.join(tried.wrong)}: {tried.right:.2f} % of the pixels "
        f"right, correlation with the picture in the regions {coefficient(tried.inside)}{beside}, "
        f"{verdict}"
    )


def notes(found: Analysis) -> list[str]:
    """Equation 9, then the sizes of the profile `jpeg`."""
    return [collapse_line(found), *size_lines(found)]


def counted(keys: int) -> str:
    """`1 key`, `2 keys`, ..."""
    return "1 key" if keys == 1 else f"{keys:,} keys"


def collapse_line(found: Analysis) -> str:
    """The figure of equation 9 and what the profile closes."""
    collapse = found.paper.collapse
    return (
        f"equation 9 as printed is constant after {collapse.terms:,} terms for {collapse.printed} "
        f"of {collapse.keys} keys; as the profile closes it (2^k outside the cosine, a Weyl "
        f"sequence added) for {collapse.closed}"
    )


def size_lines(found: Analysis) -> list[str]:
    """Sizes of the file and of its shares."""
    jpeg, origin = found.jpeg, ""
    if found.picture.kind != "jpeg":
        origin = f", the picture encoded with quality {QUALITY}"
    return [
        f"jpeg: {jpeg.original_bytes:,} bytes{origin}",
        f"share a: {jpeg.share_a_bytes:,} bytes; share b: {jpeg.share_b_bytes:,} bytes in "
        f"{jpeg.segments} segments, of them {jpeg.header_bytes:,} header, {jpeg.framing:,} "
        f"framing and cell hashes, {jpeg.padding:,} padding",
    ]


def values(found: Analysis) -> dict[str, Any]:
    """Everything as JSON takes it; undefined figures are null."""
    raster, paper = found.picture.raster, found.paper
    return {
        "image": found.picture.name, "kind": found.picture.kind, "width": raster.width,
        "height": raster.height, "regions": [list(region) for region in found.regions],
        "keys": found.keys, "seed": found.seed, "noise": found.is_noise,
        "paper": {
            "noise": paper.is_noise,
            "original": _statistics(paper.original),
            "shares": dict(zip("ab", map(_statistics, paper.shares), strict=True)),
            "under_keys": {
                name: _under_keys(keys)
                for name, keys in zip("ab", zip(*paper.keys, strict=True), strict=True)
            },
            "expected": _expected(raster.width, raster.height),
            "table_3": {
                name: {"uaci": uaci, "npcr": npcr}
                for name, (uaci, npcr) in paper_tables.TABLE_3.items()
            },
            "table_4": {
                name: {share: _sides(Correlation(*c)) for share, c in zip("ab", pair, strict=True)}
                for name, pair in paper_tables.TABLE_4.items()
            },
            "decryption": [
                {
                    "wrong_keys": [*tried.wrong], "error": tried.refusal,
                    "pixels_right_percent": tried.right,
                    "correlation_in_regions": _number(tried.inside),
                    "correlation_beside": _number(tried.outside),
                }
                for tried in paper.decryptions
            ],
            "equation_9": paper.collapse._asdict(),
        },
        "jpeg": _jpeg(found),
    }


def _jpeg(found: Analysis) -> dict[str, Any]:
    jpeg = found.jpeg
    return {
        "noise": jpeg.is_noise,
        "quality": None if found.picture.kind == "jpeg" else QUALITY,
        "original_bytes": jpeg.original_bytes, "share_a_bytes": jpeg.share_a_bytes,
        "share_b_bytes": jpeg.share_b_bytes, "header_bytes": jpeg.header_bytes,
        "framing_bytes": jpeg.framing, "padding_bytes": jpeg.padding, "segments": jpeg.segments,
        "original": _bytes(jpeg.original), "share_b": _bytes(jpeg.share_b),
    }


def _statistics(found: Statistics) -> dict[str, Any]:
    return {
        "entropy": found.entropy, "correlation": _sides(found.correlation),
        "histogram": found.histogram.tolist(),
    }


def _bytes(found: Statistics) -> dict[str, Any]:
    return {
        "entropy": found.entropy, "correlation": _number(found.correlation.horizontal),
        "histogram": found.histogram.tolist(),
    }


def _under_keys(keys: Sequence[Measured]) -> dict[str, Any]:
    return {
        "npcr": spread(each.npcr for each in keys), "uaci": spread(each.uaci for each in keys),
        "entropy": spread(each.entropy for each in keys),
        "greatest_correlation": _number(greatest(keys)),
        "correlation": [_sides(each.correlation) for each in keys],
    }


def greatest(keys: Iterable[Measured]) -> float:
    """The correlation farthest from zero; NaN where none is defined."""
    sides = [side for each in keys for side in each.correlation if not math.isnan(side)]
    return max(sides, key=abs, default=math.nan)


def spread(figures: Iterable[float]) -> dict[str, Any]:
    """Mean, standard deviation (0 of a single one), least and greatest, and all in order."""
    listed = list(figures)
    deviation = stdev(listed) if len(listed) > 1 else 0.0
    return {
        "mean": fmean(listed), "deviation": deviation, "least": min(listed),
        "greatest": max(listed), "values": listed,
    }


def _expected(width: int, height: int) -> dict[str, Any]:
    size = width * height
    figures = {"npcr": noise.npcr(size), "uaci": noise.uaci(size), "entropy": noise.entropy(size)}
    return {name: figure._asdict() for name, figure in figures.items()}


def _sides(found: Correlation) -> dict[str, float | None]:
    return {name: _number(value) for name, value in found._asdict().items()}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
