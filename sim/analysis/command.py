"""`occulta-sim analyse shares`: what the shares of a picture tell whoever holds one of them."""

from __future__ import annotations

import json
import random
import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from occulta.errors import OccultaError
from occulta.program import cli, files
from occulta.schemes.shares.raster import Box, Raster, check_regions
from onboard.regions import parse_regions
from sim.analysis import jpeg_study, paper_study, picture, report, results
from sim.analysis.results import Analysis

REPORT, VALUES = "report.html", "report.json"
_LONG = 15.0
"""Seconds."""


@dataclass(frozen=True)
class Options:
    """What the caller chose."""

    image: str
    folder: Path
    regions: list[str]
    """Texts `x,y,w,h`; none is the whole picture."""
    keys: int
    seed: int
    json: bool


def run(options: Options) -> int:
    """Measure, print the table (or JSON) and write the reports; the exit status.

    Raises OccultaError.
    """
    regions = tuple(Box(*region) for region in parse_regions(options.regions))
    taken = picture.read(options.image)
    if regions:
        check_regions(regions, taken.raster.width, taken.raster.height)
    paths = [options.folder / name for name in (REPORT, VALUES)]
    for path in paths:
        files.refuse_existing(path)
    files.make_folder(options.folder)
    with ExitStack() as stack:
        page, values = (stack.enter_context(files.output(path)) for path in paths)
        found = _measure(options, taken, regions)
        listed = json.dumps(results.values(found), indent=1)
        page.write(report.render(found, _typed(options)).encode("utf-8", "replace"))
        values.write(f"{listed}\n".encode())
        said = listed if options.json else f"{results.table(found)}\nreport: {page.path}"
        files.publish_together([page, values], lambda: cli.say(said))
    return 0


def _measure(options: Options, taken: picture.Picture, regions: tuple[Box, ...]) -> Analysis:
    _say(f"measuring, profile paper, {results.counted(options.keys)}")
    paper = _paper(options, taken.raster, regions)
    _say("measuring, profile jpeg")
    jpeg = _jpeg(options, taken.jpeg, regions)
    return Analysis(taken, regions, options.keys, options.seed, paper, jpeg)


def _paper(options: Options, raster: Raster, regions: Sequence[Box]) -> paper_study.PaperStudy:
    progress = cli.Progress("measuring", options.keys * len(raster.pixels))
    chance = random.Random(f"paper {options.seed}")
    began, is_first = time.monotonic(), True

    def add(pixels: int) -> None:
        nonlocal is_first
        progress.add(pixels)
        if is_first:
            _say_how_long(options.keys - 1, time.monotonic() - began)
        is_first = False

    try:
        return paper_study.study(raster, regions, options.keys, chance.randbytes, add)
    except OccultaError as error:
        raise _of_profile("paper", error) from None
    finally:
        progress.close()


def _jpeg(options: Options, jpeg: bytes, regions: Sequence[Box]) -> jpeg_study.JpegStudy:
    progress = cli.Progress("measuring", len(jpeg))
    chance = random.Random(f"jpeg {options.seed}")
    try:
        return jpeg_study.study(jpeg, regions, chance.randbytes, progress.add)
    except OccultaError as error:
        raise _of_profile("jpeg", error) from None
    finally:
        progress.close()


def _of_profile(name: str, error: OccultaError) -> OccultaError:
    return OccultaError(error.reason, f"profile {name}: {error.detail}", error.hint)


def _typed(options: Options) -> str:
    words = ["occulta-sim", "analyse", "shares", options.image]
    for text in options.regions:
        words += ["--roi", text]
    words += ["--keys", str(options.keys), "--seed", str(options.seed)]
    return shlex.join([*words, "-o", str(options.folder)])


def _say_how_long(keys: int, seconds: float) -> None:
    """After the first key, where the others take long."""
    if keys * seconds >= _LONG:
        _say(f"{keys} more keys take about {keys * seconds:.0f} s, fewer with --keys")


def _say(step: str) -> None:
    """Progress goes to standard error; the table alone is the output."""
    print(f"{step} ...", file=sys.stderr, flush=True)
