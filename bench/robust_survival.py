"""Robust hiding: quality, and attacks survived, on the pictures and seeds that bounds were set on.

The same code as `occulta-sim evaluate robust`, without the rivals.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from bench.data import missing
from bench.report import Figure, Result, Table
from occulta.codec.kernels import is_compiled, load_kernel
from occulta.schemes.robust.mark import KERNEL
from sim.attacks.picture import decoded, luminance
from sim.attacks.robust import choice
from sim.attacks.robust.study import ATTACKS, BEYOND, Marked, Trial, study

FOLDERS = ("sipi", "remote_sensing")
SEEDS = {"max": 5, "default": 5}
QUALITY_BOUNDS = {"max": (43.1, 0.974), "default": (41.8, 0.978)}
"""Mean PSNR in dB, mean SSIM."""
SURVIVOR = "max"
MEDIAN, HARD = "median:3", "jpeg:20"
EXCEPTED = "baboon.png"
"""The median loses its message."""
LEAST = {"sipi": (1, 1), "remote_sensing": (12, 15)}
"""So many pictures of so many survive each attack of the row but the median."""


class _Task(NamedTuple):
    folder: str
    path: Path
    profile: str
    seed: int


class Case(NamedTuple):
    """One folder with one profile: everything that was measured of each picture, by its name."""

    folder: str
    profile: str
    seeds: int
    pictures: dict[str, list[Marked]]


def run(data: Path, say: Callable[[str], None]) -> Result:
    """Every picture of 512x512 at the top level of both folders."""
    result = Result("robust-survival")
    paths = {folder: sorted((data / folder).glob("*.png")) for folder in FOLDERS}
    result.skipped += [missing(data / folder) for folder in FOLDERS if not paths[folder]]
    if not is_compiled(load_kernel(KERNEL)):
        result.skipped.append("the compiled kernel is not built: python3 dev.py setup")
    if not result.skipped:
        report(result, measured(paths, SEEDS, say))
    return result


def measured(
    paths: dict[str, list[Path]], seeds: dict[str, int], say: Callable[[str], None]
) -> list[Case]:
    """All cores are used."""
    cases = {
        (folder, profile): Case(folder, profile, count, {path.name: [] for path in listed})
        for profile, count in seeds.items() for folder, listed in paths.items()
    }
    tasks = [
        _Task(folder, path, profile, seed) for folder, profile in cases
        for path in paths[folder] for seed in range(seeds[profile])
    ]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for task, marked in zip(tasks, pool.map(_work, tasks), strict=True):
            cases[task.folder, task.profile].pictures[task.path.name].append(marked)
            if task.seed + 1 == seeds[task.profile]:
                say(f"robust-survival, {task.profile}, {task.path.stem}")
    return list(cases.values())


def _work(task: _Task) -> Marked:
    pixels = luminance(decoded(task.path.read_bytes()))
    return study(task.path.name, pixels, choice.by_name(task.profile), task.seed)


# --- what it says


def report(result: Result, cases: Sequence[Case]) -> None:
    """Tables, figures and details."""
    for case in cases:
        result.tables.append(_table(case))
        result.figures += _quality(case)
        if case.profile == SURVIVOR:
            result.figures += _survival(case)
    every = [each for case in cases for each in _marked(case)]
    wrong = sum(trial.false for each in every for trial in each.trials)
    count = sum(len(each.trials) for each in every)
    result.figures.append(Figure(f"of {count} messages, came back wrong", wrong, 0, digits=0))
    result.tables.append(Table(
        "Messages lost under attacks of the row and JPEG 20: margins in dB",
        ["picture", "profile", "attack", "lost", "margins"],
        [row for case in cases for row in _losses(case)]))
    result.details["marked"] = [asdict(each) for each in every]


def _marked(case: Case) -> list[Marked]:
    return [each for marked in case.pictures.values() for each in marked]


def _trials(marked: Iterable[Marked], attack: str) -> list[Trial]:
    return [trial for each in marked for trial in each.trials if trial.attack == attack]


def is_kept(case: Case, picture: str, attack: str) -> bool:
    """Whether every message came back: each seed's, of attacks of the row."""
    tried = _trials(case.pictures[picture], attack)
    needed = case.seeds if attack in ATTACKS or attack == HARD else 1
    return len(tried) >= needed and all(trial.recovered for trial in tried)


def _kept(case: Case, attack: str, without: str = "") -> int:
    return sum(is_kept(case, name, attack) for name in case.pictures if name != without)


def _quality(case: Case) -> Iterator[Figure]:
    marked, (psnr, ssim) = _marked(case), QUALITY_BOUNDS[case.profile]
    what = f"{case.profile}, {case.folder}, mean"
    yield Figure(f"{what} PSNR", fmean(each.psnr for each in marked), psnr, True, "dB", 2)
    yield Figure(f"{what} SSIM", fmean(each.ssim for each in marked), ssim, True, "", 4)


def _survival(case: Case) -> Iterator[Figure]:
    """Pictures of which every message came back."""
    what, count = f"{case.profile}, {case.folder}: of", len(case.pictures)
    row = [attack for attack in ATTACKS if attack != MEDIAN]
    least, most = LEAST[case.folder]
    yield Figure(
        f"{what} {count} pictures, survived whichever of {len(row)} attacks is worst",
        min(_kept(case, attack) for attack in row), -(-count * least // most), True, digits=0)
    yield Figure(f"{what} {count} pictures, survived {HARD}", _kept(case, HARD), count, True,
                 digits=0)
    if EXCEPTED in case.pictures:
        yield Figure(
            f"{what} {count - 1} pictures but {EXCEPTED}, survived {MEDIAN}",
            _kept(case, MEDIAN, EXCEPTED), count - 1, True, digits=0)
    else:
        yield Figure(f"{what} {count} pictures, survived {MEDIAN}", _kept(case, MEDIAN), digits=0)


def _table(case: Case) -> Table:
    marked = _marked(case)
    rows = []
    for attack in (*ATTACKS, *BEYOND):
        tried = _trials(marked, attack)
        if tried:
            came = sum(trial.recovered for trial in tried)
            rows.append([
                attack, f"{_kept(case, attack)} of {len(case.pictures)}", f"{came} of {len(tried)}",
                _decibels(min(map(_margin, tried))),
            ])
    return Table(
        f"Profile {case.profile}, {case.folder}, seeds: {case.seeds}",
        ["attack", "pictures with every message recovered", "messages recovered",
         "least margin, dB"], rows)


def _losses(case: Case) -> Iterator[list[str]]:
    for attack in (*ATTACKS, HARD):
        for name, marked in case.pictures.items():
            tried = _trials(marked, attack)
            lost = [trial for trial in tried if not trial.recovered]
            if lost:
                margins = ", ".join(map(_decibels, sorted(map(_margin, lost))))
                yield [name, case.profile, attack, f"{len(lost)} of {len(tried)}", margins]


def _margin(trial: Trial) -> float:
    return -math.inf if trial.margin is None else trial.margin


def _decibels(margin: float) -> str:
    return "nothing" if margin == -math.inf else f"{margin:.2f}"
