"""Profile `paper`: capacity and PSNR with every block used, beside the paper's Table 5."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
from PIL import Image

from bench import data
from bench.drive import comes_back, mark
from bench.report import Figure, Result, Table
from bench.target import mark_with_bits
from sim.pixels import psnr

TABLE_5 = {
    30: ([8192] * 10,
         [37.02, 34.72, 41.08, 37.14, 38.32, 37.42, 39.56, 40.44, 41.59, 38.91]),
    50: ([8192, 8192, 8192, 8192, 8190, 8192, 8192, 8192, 8192, 8192],
         [38.10, 37.73, 43.44, 38.47, 41.37, 39.48, 40.87, 44.50, 43.83, 40.84]),
    70: ([8192, 8190, 8192, 8192, 8190, 8192, 8192, 8190, 8192, 8192],
         [38.12, 36.93, 44.35, 38.83, 41.74, 40.11, 41.57, 46.03, 46.08, 41.90]),
    90: ([8188, 8188, 8186, 8188, 8184, 8190, 8190, 8186, 8190, 8188],
         [41.69, 39.20, 48.00, 42.26, 45.89, 43.68, 46.28, 57.04, 52.50, 45.68]),
}
"""Quality -> (capacity in bits, PSNR in dB) of the paper's ten pictures."""
BLOCKS = 4096
MEAN_SQUARE = (2 * 2 + 3 * 3) / 2
"""Of a value drawn evenly from -3, -2, 2, 3."""


@dataclass(frozen=True, slots=True)
class Case:
    """One picture with every block used."""

    picture: str
    quality: int
    capacity: int
    """Bits: two per block that can carry."""
    carried: int
    psnr: float
    growth: int
    """Bits the file grew."""
    least_step: int
    """Smallest quantisation step of an AC coefficient."""
    restored: bool


def psnr_bound(least_step: int, blocks: int = BLOCKS, pixels: int = 512 * 512) -> float:
    """No PSNR can be higher when each of `blocks` blocks takes one more coefficient, in dB.

    The DCT keeps squared error: the value v of step q changes the pixels of its block by v^2 q^2
    in all, and q is at least the smallest AC step. (Rounding to whole pixels and clipping at 0
    and 255 move it by hundredths of a dB on ordinary pictures.)
    """
    return 10 * math.log10(255**2 * pixels / (MEAN_SQUARE * least_step**2 * blocks))


def run(folder: Path, say: Callable[[str], None]) -> Result:
    """Fill every picture at every quality."""
    result = Result("paper")
    if not folder.is_dir():
        result.skipped.append(data.missing(folder))
        return result
    paths = sorted({*data.square_grays(folder), *data.remote_sensing(folder)})
    cases = []
    for quality in data.QUALITIES:
        say(f"paper, quality {quality}")
        cases += [_case(path, quality) for path in paths]
    same = {path.stem for path in data.square_grays(folder)}
    sensing = {path.stem for path in data.remote_sensing(folder)}
    result.tables.append(_table(f"The {len(same)} pictures of the growth benchmark", cases, same))
    result.tables.append(_table(f"All {len(sensing)} remote-sensing pictures", cases, sensing))
    result.tables.append(_impossible_table(cases))
    lost = sum(not case.restored for case in cases)
    result.figures.append(Figure("files not restored bit for bit", lost, 0, digits=0))
    result.details = {"cases": [asdict(case) for case in cases]}
    return result


def _case(path: Path, quality: int) -> Case:
    jpeg = data.gray_jpeg(Image.open(path), quality)
    capacity = 2 * mark(jpeg, b"", "paper").carriers
    # What is carried is whole bytes: up to three blocks stay as they are.
    marked, private = mark_with_bits(jpeg, capacity, "paper")
    restored = comes_back(jpeg, private, marked.data, "paper")
    distance = psnr(_pixels(jpeg), _pixels(marked.data))
    growth = 8 * (len(marked.data) - len(jpeg))
    step = least_ac_step(jpeg)
    carried = marked.carried_bits
    return Case(path.stem, quality, capacity, carried, distance, growth, step, restored)


def _pixels(jpeg: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(Image.open(io.BytesIO(jpeg)))


def least_ac_step(jpeg: bytes) -> int:
    """The smallest quantisation step of the first table, DC apart."""
    with Image.open(io.BytesIO(jpeg)) as picture:
        tables: dict[int, list[int]] = picture.quantization  # type: ignore[attr-defined]
    return int(min(tables[0][1:]))


def _table(title: str, cases: Sequence[Case], pictures: set[str]) -> Table:
    head = ["quality", "bits", "bits, paper", "range, paper", "PSNR", "PSNR range", "bound",
            "PSNR, paper", "range, paper", "growth, bits"]
    rows = []
    for quality, (bits, printed) in TABLE_5.items():
        chosen = [c for c in cases if c.quality == quality and c.picture in pictures]
        ours = [case.psnr for case in chosen]
        rows.append([
            str(quality), f"{fmean(case.capacity for case in chosen):.0f}",
            f"{fmean(bits):.0f}", f"{min(bits)} to {max(bits)}",
            f"{fmean(ours):.1f}", _range(ours), f"{_bound(chosen):.1f}",
            f"{fmean(printed):.1f}", _range(printed),
            f"{fmean(case.growth for case in chosen):+.0f}",
        ])
    return Table(title + ": capacity (bits) and PSNR (dB), mean", head, rows)


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.1f} to {max(values):.1f}"


def _bound(cases: Sequence[Case]) -> float:
    return psnr_bound(min(case.least_step for case in cases))


def _impossible_table(cases: Sequence[Case]) -> Table:
    head = ["quality", "least AC step", "bound, dB", "printed above it", "ours above it"]
    rows = []
    for quality, (_, printed) in TABLE_5.items():
        chosen = [case for case in cases if case.quality == quality]
        bound = _bound(chosen)
        above = sum(value > bound for value in printed)
        ours = sum(case.psnr > psnr_bound(case.least_step, case.carried // 2) for case in chosen)
        rows.append([
            str(quality), str(min(case.least_step for case in chosen)), f"{bound:.1f}",
            f"{above} of {len(printed)}", f"{ours} of {len(chosen)}",
        ])
    return Table("PSNR above what the scheme allows", head, rows)
