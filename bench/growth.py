"""What profile `exact` costs: file growth, bits per hidden bit, pixels unchanged."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
from PIL import Image

from bench import data
from bench.drive import comes_back, entropy_bytes
from bench.mosaic import mosaic
from bench.peers import MISSING_JPEGTRAN, Jpegtran
from bench.report import Figure, Result, Table
from bench.target import mark_with_bits
from occulta.errors import OccultaError, Reason
from occulta.limits import DEFAULT_LIMITS, Limits

BITS = (8192, 16384, 30000)
FITS, STREAMS, MOSAIC = "fits the look-ahead", "streams past it", "mosaic, default limits"
COST_BOUND = {FITS: 1.01, STREAMS: 1.05, MOSAIC: 1.05}
GROWTH_BOUND = {30: 0, 50: 1600, 70: 2800, 90: -5400}
PAPER_GROWTH = 16384
PUBLISHED_GROWTH = {30: 1267, 50: 2571, 70: 3815, 90: -2279}
LEAST_HOLD_BACK = 8192
SMALL_QUANTUM = 4096
MOSAIC_COLUMNS, MOSAIC_ROWS = 7, 24
"""168 tiles: three mebibytes and more at quality 30."""


@dataclass(frozen=True, slots=True)
class Case:
    """One file marked with a number of hidden bits."""

    picture: str
    way: str
    quality: int
    bits: int
    carried: int
    growth: float
    """Bits the marked file is larger than the original, per 512x512 pixels."""
    cost: float | None
    """Bits per hidden bit over the optimised file; None without jpegtran."""
    idle: float
    """Bits carried with nothing to say, per hidden bit."""
    streamed: bool
    effort: int
    """More than 0 where it had to be marked again."""
    pixels_equal: bool
    restored: bool


def run(folder: Path, say: Callable[[str], None]) -> Result:
    """Mark every picture in every way."""
    result = Result("growth")
    if not folder.is_dir():
        result.skipped.append(data.missing(folder))
        return result
    jpegtran = Jpegtran.find()
    if jpegtran is None:
        result.skipped.append(f"cost over the optimised file: {MISSING_JPEGTRAN}")
    else:
        result.machine["jpegtran"] = jpegtran.version
    cases, refused = _cases(folder, jpegtran, say)
    more = {path.stem for path in data.more_crops(folder)}
    bounded = [case for case in cases if case.picture not in more]
    _report(result, bounded, jpegtran is not None)
    result.tables.append(_growth_table("Mean growth with ten more crops, 8192 bits", cases))
    result.notes += _notes(cases, refused)
    result.details = {"cases": [asdict(case) for case in cases], "did_not_fit": refused}
    return result


def _cases(
    folder: Path, jpegtran: Jpegtran | None, say: Callable[[str], None]
) -> tuple[list[Case], list[str]]:
    cases: list[Case] = []
    refused: list[str] = []
    for picture, way, quality, jpeg, limits in _inputs(folder, say):
        optimised = None if jpegtran is None else jpegtran.optimised(jpeg)
        tiles = MOSAIC_COLUMNS * MOSAIC_ROWS if way == MOSAIC else 1
        for bits in BITS:
            try:
                cases.append(_case(
                    (picture, way, quality), (jpeg, optimised), bits, tiles=tiles, limits=limits
                ))
            except OccultaError as error:
                if error.reason is not Reason.DOES_NOT_FIT:
                    raise
                refused.append(f"{picture}, quality {quality}, {bits} bits, {way}")
    return cases, refused


def _inputs(
    folder: Path, say: Callable[[str], None]
) -> Iterator[tuple[str, str, int, bytes, Limits]]:
    paths = data.square_grays(folder) + data.more_crops(folder)
    whole = mosaic(_open_all(data.square_grays(folder)), MOSAIC_COLUMNS, MOSAIC_ROWS)
    for quality in data.QUALITIES:
        say(f"growth, quality {quality}")
        for path, picture in zip(paths, _open_all(paths), strict=True):
            jpeg = data.gray_jpeg(picture, quality)
            yield path.stem, FITS, quality, jpeg, DEFAULT_LIMITS
            yield path.stem, STREAMS, quality, jpeg, half_limits(jpeg)
        yield "mosaic", MOSAIC, quality, data.gray_jpeg(whole, quality), DEFAULT_LIMITS


def _open_all(paths: Sequence[Path]) -> list[Image.Image]:
    return [Image.open(path).convert("L") for path in paths]


def half_limits(jpeg: bytes) -> Limits:
    """A look-ahead of half the entropy-coded data, so that a small file streams past it."""
    hold_back = max(LEAST_HOLD_BACK, entropy_bytes(jpeg) // 2)
    return Limits(hold_back=hold_back, quantum=SMALL_QUANTUM)


def _case(
    name: tuple[str, str, int], files: tuple[bytes, bytes | None], bits: int, *,
    tiles: int, limits: Limits,
) -> Case:
    jpeg, optimised = files
    marked, private = mark_with_bits(jpeg, bits * tiles, limits=limits)
    restored = comes_back(jpeg, private, marked.data, "exact")
    size = len(marked.data)
    over = None if optimised is None else cost(size, len(optimised), marked.carried_bits)
    growth = 8 * (size - len(jpeg)) / tiles
    same = bool(np.array_equal(_pixels(jpeg), _pixels(marked.data)))
    idle = marked.idle_bits / marked.carried_bits
    return Case(
        *name, bits, marked.carried_bits, growth, over, idle, marked.streamed, marked.effort,
        same, restored,
    )


def cost(marked: int, optimised: int, hidden_bits: int) -> float:
    """Bits a marked file takes over the optimised one, per hidden bit; sizes in bytes."""
    return 8 * (marked - optimised) / hidden_bits


def _pixels(jpeg: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(Image.open(io.BytesIO(jpeg)))


def _report(result: Result, cases: list[Case], with_cost: bool) -> None:
    for way in (FITS, STREAMS, MOSAIC):
        chosen = [case for case in cases if case.way == way]
        if with_cost:
            result.tables.append(_cost_table(way, chosen))
            result.figures += _cost_figures(way, chosen)
    result.tables.append(_growth_table("Growth of the whole file, bits, 8192 hidden bits", cases))
    for quality in data.QUALITIES:
        grown = [case.growth for case in _of(cases, FITS, quality, BITS[0])]
        name = f"mean growth, quality {quality}, {BITS[0]} bits"
        bound = GROWTH_BOUND[quality]
        result.figures.append(Figure(name, fmean(grown), bound, unit="bits", digits=0))
    changed = sum(not case.pixels_equal for case in cases)
    lost = sum(not case.restored for case in cases)
    result.figures += [
        Figure("files whose pixels differ (PSNR not infinite)", changed, 0, digits=0),
        Figure("files not restored bit for bit", lost, 0, digits=0),
    ]


def _of(cases: list[Case], way: str, quality: int, bits: int) -> list[Case]:
    key = (way, quality, bits)
    return [case for case in cases if (case.way, case.quality, case.bits) == key]


def _costs(cases: list[Case]) -> list[float]:
    return [case.cost for case in cases if case.cost is not None]


def _cost_table(way: str, cases: list[Case]) -> Table:
    head = ["quality"] + [f"{bits} bits: {what}" for bits in BITS for what in ("mean", "worst")]
    rows = []
    for quality in data.QUALITIES:
        row = [str(quality)]
        for bits in BITS:
            costs = _costs(_of(cases, way, quality, bits))
            row += [f"{fmean(costs):.3f}", f"{max(costs):.3f}"] if costs else ["-", "-"]
        rows.append(row)
    return Table(f"Bits per hidden bit over the optimised file: {way}", head, rows)


def _cost_figures(way: str, cases: list[Case]) -> Iterator[Figure]:
    for quality in data.QUALITIES:
        for bits in BITS:
            costs = _costs(_of(cases, way, quality, bits))
            if costs:
                name = f"mean cost, {way}, quality {quality}, {bits} bits"
                yield Figure(name, fmean(costs), COST_BOUND[way])


def _growth_table(title: str, cases: list[Case]) -> Table:
    head = ["quality", "mean", "worst", "bound", "streaming, mean", "papers/000", "Du, Yin 2022"]
    return Table(title, head, [_growth_row(cases, quality) for quality in data.QUALITIES])


def _growth_row(cases: list[Case], quality: int) -> list[str]:
    grown = [case.growth for case in _of(cases, FITS, quality, BITS[0])]
    streamed = [case.growth for case in _of(cases, STREAMS, quality, BITS[0])]
    measured = (fmean(grown), max(grown), GROWTH_BOUND[quality])
    known = (fmean(streamed), PAPER_GROWTH, PUBLISHED_GROWTH[quality])
    return [str(quality), *(f"{value:+.0f}" for value in (*measured, *known))]


def _notes(cases: list[Case], refused: list[str]) -> list[str]:
    small = [case for case in cases if case.way == STREAMS]
    streamed = sum(case.streamed for case in small)
    least = min((case.carried / case.bits for case in cases if case.way != MOSAIC), default=1.0)
    again = sum(case.effort > 0 for case in small)
    idle = {way: fmean(case.idle for case in cases if case.way == way) for way in COST_BOUND}
    notes = [
        f"{streamed} of {len(small)} files with the small look-ahead were marked before their end "
        "was in view (the others are shorter than the least look-ahead allows); "
        f"{again} were marked again because the first plan did not hold",
        "idle choices, which count as cost: " + ", ".join(
            f"{share:.3f} per hidden bit ({way})" for way, share in idle.items()
        ),
        f"hidden bits: side information, sealed header, data and conclusion, at least {least:.4f} "
        "of the number asked for (whole bytes); every file is recovered and compared",
    ]
    return notes + [f"did not fit: {what}" for what in refused]
