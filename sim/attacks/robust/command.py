"""`occulta-sim evaluate robust`: every picture of a folder, marked, attacked, read again."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import active_children
from pathlib import Path
from typing import NamedTuple

from occulta.errors import OccultaError, Reason
from occulta.program import cli, files
from sim.attacks import command
from sim.attacks.picture import luminance
from sim.attacks.robust import choice, codes, report, results, tables
from sim.attacks.robust.results import Evaluation, Skipped
from sim.attacks.robust.study import Refused, Result, study
from sim.pixels import Pixels

REPORT, VALUES = "report.html", "report.json"


@dataclass(frozen=True)
class Options:
    """What the caller chose."""

    pictures: Path
    folder: Path
    profiles: list[str]
    """None is all of them."""
    seeds: int
    json: bool


class _Task(NamedTuple):
    path: Path
    scheme: str
    seed: int


def run(options: Options) -> int:
    """Measure, print the tables (or JSON) and write the reports; the exit status.

    Raises OccultaError, and nothing is written. Where nothing was measured or a message came back
    wrong the reports say so, and the exit status.
    """
    paths = [options.folder / name for name in (REPORT, VALUES)]
    for path in paths:
        files.refuse_existing(path)
    pictures, skipped = _pictures(options.pictures)
    files.make_folder(options.folder)
    with ExitStack() as stack:
        page, values = (stack.enter_context(files.output(path)) for path in paths)
        found = _measure(options, pictures, skipped)
        listed = json.dumps(results.values(found), indent=1)
        page.write(report.render(found, _typed(options)).encode("utf-8", "replace"))
        values.write(f"{listed}\n".encode())
        said = listed if options.json else f"{tables.text(found)}\n\nreport: {page.path}"
        files.publish_together([page, values], lambda: cli.say(said))
    failure = _failure(found)
    return cli.report_error(failure) if failure else 0


def _failure(found: Evaluation) -> OccultaError | None:
    count = len(results.false_ones(found))
    if count:
        detail = f"{count} of {found.checked} messages came back wrong"
        return OccultaError(Reason.NOT_AS_SENT, detail)
    if not found.checked:
        return OccultaError(Reason.NOT_TAKEN, "nothing was measured")
    return None


def _pictures(folder: Path) -> tuple[list[Path], list[Skipped]]:
    """The folder's pictures, and its other files; raises OccultaError."""
    try:
        listed = sorted(p for p in folder.iterdir() if p.is_file() and p.name[0] != ".")
    except OSError as error:
        raise files.read_failure(error, folder) from None
    taken, skipped = [], []
    for path in listed:
        try:
            _luminance(path)
            taken.append(path)
        except OccultaError as error:
            skipped.append(Skipped(path.name, str(error)))
    if not taken:
        detail = "; ".join([f"{folder} holds no picture", *map(results.skipping, skipped[:1])])
        hint = "name a folder of picture files"
        raise OccultaError(Reason.INPUT_UNREADABLE, detail, hint)
    return taken, skipped


def _luminance(path: Path) -> Pixels:
    return luminance(command.read(str(path)).raster())


def _measure(options: Options, paths: Sequence[Path], skipped: Sequence[Skipped]) -> Evaluation:
    profiles = [*dict.fromkeys(options.profiles)] or [*choice.NAMES]
    rivals = codes.available()
    for name in codes.CODES:
        if name not in rivals:
            _say(f"without {name}: the extra `attacks` is not installed")
    compared = choice.names(profiles, rivals)
    tasks = [task for path in paths for task in _tasks(path, compared, options.seeds)]
    found: list[Result] = []
    for task, result in zip(tasks, _done(tasks), strict=True):
        found.append(result)
        if task is tasks[-1] or task.path != tasks[len(found)].path:
            _say(f"measured {result.picture}, {paths.index(task.path) + 1} of {len(paths)}")
    return Evaluation(
        options.pictures.name, tuple(compared), tuple(profiles), options.seeds, tuple(found),
        tuple(skipped),
    )


def _tasks(path: Path, compared: Sequence[str], seeds: int) -> Iterator[_Task]:
    """Rivals with the first seed only."""
    for seed in range(seeds):
        yield from (_Task(path, n, seed) for n in compared if seed == 0 or not choice.is_rival(n))


def _done(tasks: Sequence[_Task]) -> Iterator[Result]:
    """The results in the order of the tasks, worked out by as many processes as there are cores."""
    workers = min(os.cpu_count() or 1, len(tasks))
    if workers == 1:
        yield from map(_work, tasks)
        return
    pool = ProcessPoolExecutor(workers)
    try:
        yield from pool.map(_work, tasks)
    except BrokenProcessPool:
        hint = "the machine may lack memory for it: measure fewer or smaller pictures at a time"
        raise OccultaError(Reason.PROGRAM_FAILED, "a process that measures died", hint) from None
    except BaseException:  # nobody waits for what was begun
        for process in active_children():
            process.kill()
        raise
    finally:
        pool.shutdown()


def _work(task: _Task) -> Result:
    """A picture that cannot be measured, gone by now perhaps, is a result too."""
    name, scheme = task.path.name, choice.by_name(task.scheme)
    try:
        return study(name, _luminance(task.path), scheme, task.seed)
    except OccultaError as error:
        refusal = error
    except MemoryError:
        refusal = OccultaError(Reason.OUT_OF_MEMORY, "out of memory")
    return Refused(name, task.scheme, str(refusal))


def _typed(options: Options) -> str:
    words = ["occulta-sim", "evaluate", "robust", str(options.pictures)]
    for name in options.profiles:
        words += ["--profile", name]
    return shlex.join([*words, "--seeds", str(options.seeds), "-o", str(options.folder)])


def _say(step: str) -> None:
    """Progress goes to standard error; the tables alone are the output."""
    print(step, file=sys.stderr, flush=True)
