"""Peak resident memory of `protect`, for a small and for a very large picture."""

from __future__ import annotations

import filecmp
import random
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image

from bench import data
from bench.mosaic import varied
from bench.noise import private_bytes
from bench.peers import has_program
from bench.report import Figure, Result, Table
from bench.strip import encode_strip, shuffled
from sim.command import must

SIZES = {"1 megapixel": 1000, "400 megapixels": 20_000}
"""Name -> width and height."""
QUALITY = 75
PEAK_BOUND, DIFFERENCE_BOUND = 64.0, 4.0
STRIP_HEIGHT = 512
PRIVATE_SHARE = 0.02
"""Of the file's bytes."""
LARGEST_PAPER_PRIVATE = 1 / 64 / 8
"""Bytes per pixel: one bit per block, half of what `paper` carries where every block can."""


@dataclass(frozen=True, slots=True)
class Case:
    """One run of the program."""

    size: str
    colour: str
    profile: str
    file_bytes: int
    private_bytes: int
    peak_mib: float
    seconds: float
    recovery_peak_mib: float


def run(folder: Path, say: Callable[[str], None]) -> Result:
    """Protect each picture with each profile, each in a process of its own."""
    result = Result("memory")
    for program in ("onboard", "ground"):
        if not has_program(program):
            result.skipped.append(f"the program `{program}` is not there yet")
    if not result.skipped:
        with tempfile.TemporaryDirectory() as name:
            _report(result, _cases(Path(name), folder, say))
    return result


def _cases(work: Path, folder: Path, say: Callable[[str], None]) -> list[Case]:
    must("ground", "keygen", "keys", cwd=work)
    cases = []
    for colour in ("gray", "4:2:0"):
        tiles = data.tiles(folder, colour != "gray")
        for size, side in SIZES.items():
            say(f"memory, {colour}, {size}")
            strip = encode_strip(strip_of(tiles, side), QUALITY)
            write(work / "image.jpg", strip.repeated(side, shuffled(len(strip.rows))))
            cases += [_case(work, size, colour, profile) for profile in ("exact", "paper")]
    return cases


def strip_of(tiles: list[Image.Image], width: int) -> Image.Image:
    """A strip of varied tiles."""
    chance = random.Random(width)
    strip = Image.new(tiles[0].mode, (width, STRIP_HEIGHT))
    for left in range(0, width, data.SIDE):
        strip.paste(varied(chance.choice(tiles), chance), (left, 0))
    return strip


def write(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a file piece by piece."""
    with path.open("wb") as file:
        file.writelines(pieces)


def _case(work: Path, size: str, colour: str, profile: str) -> Case:
    image = work / "image.jpg"
    wanted = int(image.stat().st_size * PRIVATE_SHARE)
    if profile == "paper":
        wanted = min(wanted, int(SIZES[size] ** 2 * LARGEST_PAPER_PRIVATE))
    private = private_bytes(wanted)
    (work / "private").write_bytes(private)
    ran = must(
        "onboard", "protect", image.name, "--private", "private", "--to", "keys/recipient.pub",
        "-o", "marked.jpg", "--profile", profile, cwd=work,
    )
    back = _recovery_peak(work, private)
    size_of = image.stat().st_size
    return Case(size, colour, profile, size_of, len(private), ran.peak_mib, ran.seconds, back)


def _recovery_peak(work: Path, private: bytes) -> float:
    """Recover as well: a figure counts only if the private data comes back."""
    ran = must(
        "ground", "recover", "marked.jpg", "--key", "keys/recipient.key", "-o", "back", cwd=work
    )
    same = filecmp.cmp(work / "back" / "carrier.jpg", work / "image.jpg", shallow=False)
    if not same or (work / "back" / "private.bin").read_bytes() != private:
        raise AssertionError("the picture or the private data did not come back")
    shutil.rmtree(work / "back")
    (work / "marked.jpg").unlink()
    return ran.peak_mib


def _report(result: Result, cases: list[Case]) -> None:
    head = ["picture", "sampling", "profile", "JPEG, MB", "private, kB", "peak, MiB", "seconds",
            "recover, MiB"]
    rows = [
        [c.size, c.colour, c.profile, f"{c.file_bytes / 1e6:.1f}", f"{c.private_bytes / 1e3:.0f}",
         f"{c.peak_mib:.1f}", f"{c.seconds:.1f}", f"{c.recovery_peak_mib:.1f}"]
        for c in cases
    ]
    result.tables.append(Table("Peak resident memory of occulta-onboard protect", head, rows))
    for colour in ("gray", "4:2:0"):
        for profile in ("exact", "paper"):
            result.figures += _figures(cases, colour, profile)
    result.details = {"cases": [asdict(case) for case in cases]}
    result.notes.append("private file: 2 % of the JPEG; with `paper` at most one bit per block")


def _figures(cases: list[Case], colour: str, profile: str) -> list[Figure]:
    chosen = [c.peak_mib for c in cases if (c.colour, c.profile) == (colour, profile)]
    small, large = chosen
    name = f"{profile}, {colour}"
    return [
        Figure(f"peak, {name}", max(small, large), PEAK_BOUND, unit="MiB", digits=1),
        Figure(f"400 less 1 megapixel, {name}", large - small, DIFFERENCE_BOUND, unit="MiB",
               digits=1),
    ]
