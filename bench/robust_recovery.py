"""Robust hiding: CPU time of recovery of a picture that is whole, moved, damaged or not marked."""

from __future__ import annotations

import io
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from PIL import Image

from bench import data
from bench.report import Figure, Result, Table
from bench.robust_mark import KEY, largest, mark, squares
from ground.robustpicture import find
from occulta.errors import OccultaError
from occulta.program.keyfiles import write_pair
from occulta.schemes.robust.profiles import PROFILES
from sim.attacks import catalogue
from sim.attacks.picture import Picture
from sim.command import must

BOUND = 1.0
"""CPU seconds for a picture of 512x512 that nobody touched."""
WHOLE = "whole"
ATTACKS = ("shift:3,5", "shift:8,0", "jpeg:50")
CASES = (WHOLE, "cropped", *ATTACKS, "nothing hidden")
REPEATS = 5
"""Runs of what has a bound; one of the rest."""


def measure(result: Result, folder: Path, say: Callable[[str], None]) -> None:
    """The largest message of each profile in one picture, all profiles tried."""
    plain, rows = squares(folder)[0], []
    for name in PROFILES:
        private = largest(name, data.SIDE, data.SIDE)
        say(f"robust, recovery, {name}")
        cells = []
        for case, file in _cases(plain, mark(plain, name, private)):
            found = taken(file, private, REPEATS if case == WHOLE else 1)
            cells.append(_shown(*found))
            if case == WHOLE:
                result.figures.append(_figure(name, *found))
        rows.append([name, *cells, f"{_command(mark(plain, name, private)):.2f}"])
    result.tables.append(Table(
        f"Recovery of {data.SIDE}x{data.SIDE} with the largest message in CPU-seconds, all "
        f"profiles tried; whole: median of {REPEATS} runs, else one",
        ["profile", *CASES, "whole, as a command"], rows))


def _figure(name: str, seconds: float, outcome: str) -> Figure:
    """No time is good enough where the message is lost."""
    value = seconds if outcome == "exact" else float("inf")
    title = f"recovery, {name}, {data.SIDE}x{data.SIDE}, median of {REPEATS} runs"
    return Figure(title, value, BOUND, unit="CPU-s", digits=2)


def _shown(seconds: float, outcome: str) -> str:
    return f"{seconds:.2f}" if outcome == "exact" else f"{seconds:.2f} ({outcome})"


def _cases(plain: bytes, file: bytes) -> Iterator[tuple[str, bytes]]:
    yield WHOLE, file
    yield "cropped", cropped(file)
    for attack in ATTACKS:
        left = catalogue.apply(Picture(file), [catalogue.parse(attack)], 1)
        yield attack, left.encoded("JPEG")
    yield "nothing hidden", plain


def cropped(file: bytes) -> bytes:
    """The file without its first lines and columns, not a multiple of 8, encoded again."""
    with Image.open(io.BytesIO(file)) as image:
        return data.gray_jpeg(image.crop((61, 37, image.width - 20, image.height - 10)), 95)


def taken(file: bytes, private: bytes, repeats: int) -> tuple[float, str]:
    """CPU seconds, the median, from the bytes of a file on; `exact`, `lost` or `wrong`."""
    seconds, outcome = [], ""
    for _ in range(repeats):
        started = time.process_time()
        outcome = received(file, private)
        seconds.append(time.process_time() - started)
    return median(seconds), outcome


def received(file: bytes, private: bytes) -> str:
    """What the command's own way makes of a file: `exact`, `lost` or `wrong`."""
    try:
        found = find(file, KEY, PROFILES.values())
    except OccultaError:
        return "lost"
    return "exact" if found.opened.private == private else "wrong"


def _command(file: bytes) -> float:
    """User and system time of the whole process, start-up included."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        write_pair(work, "recipient", KEY)
        (work / "marked.jpg").write_bytes(file)
        before = _children()
        must("ground", "recover", "marked.jpg", "--scheme", "robust", "--key", "recipient.key",
             "-o", "recovered", cwd=work)
        return _children() - before


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
