"""How much profile `exact` carries in real JPEG files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

from bench import data
from bench.drive import chunks, entropy_bytes
from bench.report import Figure, Result, Table
from occulta.errors import OccultaError
from occulta.schemes.reversible import EXACT
from occulta.schemes.reversible.capacity import CapacityMeter

LEAST_SHARE = 2.0
SMALL = 8 << 10
"""Bytes of a file below which the seal's fixed size matters most."""


@dataclass(frozen=True, slots=True)
class Case:
    """One file."""

    file: str
    size: int
    entropy: int
    hidden_bits: int
    private_bytes: int

    @property
    def hidden_share(self) -> float:
        """Hidden bytes, overhead included, in percent of the entropy-coded bytes."""
        return 100 * self.hidden_bits / 8 / max(1, self.entropy)

    @property
    def private_share(self) -> float:
        """Private bytes net of all overhead, in percent of the entropy-coded bytes."""
        return 100 * self.private_bytes / max(1, self.entropy)


def run(folder: Path, say: Callable[[str], None]) -> Result:
    """Measure every clean file."""
    result = Result("capacity")
    if not folder.is_dir():
        result.skipped.append(data.missing(folder))
        return result
    say("capacity")
    cases = []
    for path in data.clean_jpegs(folder):
        try:
            cases.append(measure(path.name, path.read_bytes()))
        except OccultaError as error:
            result.notes.append(f"refused: {path.name}: {error}")
    _report(result, cases)
    return result


def measure(name: str, jpeg: bytes) -> Case:
    """What one file can carry, signed, for one recipient; raises OccultaError."""
    meter = CapacityMeter(EXACT)
    for chunk in chunks(jpeg):
        meter.feed(chunk)
    found = meter.finish()
    return Case(name, len(jpeg), entropy_bytes(jpeg), found.hidden_bits, found.private_bytes)


def _report(result: Result, cases: list[Case]) -> None:
    large = [case for case in cases if case.size > SMALL]
    satellite = [case for case in cases if not case.file.startswith(_CORPUS_PREFIXES)]
    head = ["files", "number", "hidden, mean %", "hidden, least %", "private, mean %",
            "private, least %"]
    groups = {"all": cases, "above 8 KiB": large, "OPS-SAT": satellite}
    rows = [_row(name, group) for name, group in groups.items() if group]
    result.tables.append(Table("Capacity of profile exact, % of entropy-coded bytes", head, rows))
    hidden = fmean(case.hidden_share for case in cases)
    private = fmean(case.private_share for case in cases)
    result.figures += [
        Figure("hidden bytes, mean over all files", hidden, LEAST_SHARE, True, "%", 2),
        Figure("private bytes, mean over all files", private, LEAST_SHARE, True, "%", 2),
    ]
    none = [case.file for case in large if case.private_bytes < 6]
    name = "files above 8 KiB without room for 6 bytes"
    result.figures.append(Figure(name, len(none), 0, digits=0))
    result.notes += [f"no room for 6 private bytes: {name}" for name in none]
    result.details = {"cases": [asdict(case) for case in cases]}


_CORPUS_PREFIXES = ("exif__", "gen__", "imagers__", "jpeglib__", "ljt__", "zune__")


def _row(name: str, cases: list[Case]) -> list[str]:
    hidden = [case.hidden_share for case in cases]
    private = [case.private_share for case in cases]
    shares = (fmean(hidden), min(hidden), fmean(private), min(private))
    return [name, str(len(cases)), *(f"{share:.2f}" for share in shares)]
