"""What an evaluation found: tables, the failures one by one, values for report.json."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, NamedTuple

from sim.attacks.robust.study import ATTACKS, BEYOND, Marked, Refused, Result, Trial

NONE = "-"
_PLAIN = ("scheme", "bits", "coded", "PSNR", "SSIM", "bpp")
_TABLE_5 = ("gaussian:0.5", "jpegratio:5", "median:3")
_TABLE_6 = ("jpeg:90", "saltpepper:0.01", "sharpen")
_NO_MARGIN = -99.0
"""See `extract.margin`: nothing of the message was there."""
ALL = "ok"
"""Every message of the cell was recovered."""


class Table(NamedTuple):
    """Cells as text; the first column is the row's heading."""

    title: str
    headings: tuple[str, ...]
    rows: list[tuple[str, ...]]
    note: str


@dataclass(frozen=True)
class Evaluation:
    """Everything that was measured."""

    folder: str
    schemes: tuple[str, ...]
    profiles: tuple[str, ...]
    """Those of the schemes that are profiles as they are."""
    seeds: int
    results: tuple[Result, ...]
    skipped: tuple[str, ...]
    """Files that are no pictures."""

    @property
    def marked(self) -> list[Marked]:
        """Without refusals."""
        return [each for each in self.results if isinstance(each, Marked)]

    @property
    def pictures(self) -> list[str]:
        """Names in the order of the folder."""
        return list(dict.fromkeys(each.picture for each in self.results))

    def of(self, scheme: str, picture: str | None = None) -> list[Marked]:
        """Of one scheme, of one picture or of all."""
        return [
            each for each in self.marked
            if each.scheme == scheme and picture in (None, each.picture)
        ]


def trials(marked: Iterable[Marked], attack: str) -> list[Trial]:
    """All trials of one attack."""
    return [trial for each in marked for trial in each.trials if trial.attack == attack]


def rate(found: Sequence[Trial]) -> float:
    """Share of recovered messages."""
    return fmean(trial.recovered for trial in found)


def tables(found: Evaluation) -> list[Table]:
    """In the order in which they are printed."""
    return [
        _overview(found, ATTACKS, "Recovered", _PLAIN_NOTE),
        _overview(found, BEYOND, "Recovered, further attacks", ""),
        *_paper_tables(found),
        _errors(found),
    ]


_PLAIN_NOTE = (
    f"{ALL}: every message of every picture and seed came back exactly; otherwise how many did. "
    "PSNR (dB) and SSIM compare the marked picture with the same one as plain JPEG of quality 90, "
    "means over pictures and seeds; bits of a message with its seal, bpp the same per pixel. Other "
    "codes on the same lattice, and pictures that have moved, with the first seed only."
)


def _overview(found: Evaluation, attacks: dict[str, str], title: str, note: str) -> Table:
    rows = []
    for scheme in found.schemes:
        marked = found.of(scheme)
        cells = (_share(trials(marked, attack)) for attack in attacks)
        rows.append((scheme, *_figures(marked), *cells))
    return Table(title, (*_PLAIN, *attacks.values()), rows, note)


def _figures(marked: list[Marked]) -> tuple[str, ...]:
    if not marked:
        return (NONE,) * (len(_PLAIN) - 1)
    return (
        _range(each.bits for each in marked), _range(each.coded for each in marked),
        f"{fmean(each.psnr for each in marked):.2f}", f"{fmean(each.ssim for each in marked):.4f}",
        f"{fmean(each.bpp for each in marked):.4f}",
    )


def _range(values: Iterable[int]) -> str:
    listed = sorted(set(values))
    return f"{listed[0]}" if len(listed) == 1 else f"{listed[0]}-{listed[-1]}"


def _share(found: Sequence[Trial]) -> str:
    if not found:
        return NONE
    count = sum(trial.recovered for trial in found)
    return ALL if count == len(found) else f"{count}/{len(found)}"


def _paper_tables(found: Evaluation) -> Iterator[Table]:
    """The layout of tables 2 to 6 of papers/002, whose own figures are not known."""
    yield _by_picture(
        found, found.profiles, "Table 2: PSNR, dB", _mean(lambda each: each.psnr, 2)
    )
    yield _by_picture(found, found.profiles, "Table 3: SSIM", _mean(lambda each: each.ssim, 4))
    yield _by_picture(
        found, found.profiles, "Table 4: capacity, bits per pixel",
        _mean(lambda each: each.bpp, 4), "Of the message with its seal.",
    )
    yield _by_picture(
        found, found.schemes, "Table 5: recovery rate, %", _each_of(_TABLE_5, _percent),
        "Under Gaussian noise of 0.5, JPEG 5:1, median filter 3x3, in this order.",
    )
    yield _by_picture(
        found, found.schemes, "Table 6: bit error rate after decoding", _each_of(_TABLE_6, _after),
        "Under JPEG of quality 90, salt and pepper of 0.01, sharpening, in this order.",
    )


Cell = Callable[[list[Marked]], str]


def _by_picture(
    found: Evaluation, schemes: Sequence[str], title: str, cell: Cell, note: str = ""
) -> Table:
    """A row for each picture, and one for all of them."""
    rows: list[tuple[str, str | None]] = [(picture, picture) for picture in found.pictures]
    return Table(title, ("picture", *schemes), [
        (name, *(cell(marked) if (marked := found.of(s, picture)) else NONE for s in schemes))
        for name, picture in [*rows, ("all", None)]
    ], note)


def _mean(of: Callable[[Marked], float], digits: int) -> Cell:
    return lambda marked: f"{fmean(map(of, marked)):.{digits}f}"


def _each_of(attacks: Sequence[str], one: Callable[[Sequence[Trial]], str]) -> Cell:
    return lambda marked: " ".join(one(trials(marked, attack)) for attack in attacks)


def _percent(found: Sequence[Trial]) -> str:
    return f"{100.0 * rate(found):.0f}" if found else NONE


def _after(found: Sequence[Trial]) -> str:
    return f"{fmean(trial.after for trial in found):.4f}" if found else NONE


def _errors(found: Evaluation) -> Table:
    """Means over everything."""
    rows = [
        (attack, *(_both(trials(found.of(scheme), attack)) for scheme in found.schemes))
        for attack in (*ATTACKS, *BEYOND)
    ]
    note = "Of the coded bits, all copies taken together, and of the message."
    headings = ("attack", *found.schemes)
    return Table("Bit error rates before and after decoding", headings, rows, note)


def _both(found: Sequence[Trial]) -> str:
    if not found:
        return NONE
    return f"{fmean(trial.before for trial in found):.4f} {_after(found)}"


def failures(found: Evaluation) -> list[str]:
    """A line for every profile, attack and picture where a message was lost."""
    lines = []
    for profile in found.profiles:
        for attack in (*ATTACKS, *BEYOND):
            for picture in found.pictures:
                tried = trials(found.of(profile, picture), attack)
                lost = [trial for trial in tried if not trial.recovered]
                if lost:
                    lines.append(f"{profile}, {attack}, {picture}: {_loss(lost, len(tried))}")
    return lines


def _loss(lost: Sequence[Trial], count: int) -> str:
    margins = sorted(_NO_MARGIN if t.margin is None else t.margin for t in lost)
    ends = dict.fromkeys(map(_decibels, (margins[0], margins[-1])))
    return f"{len(lost)} of {count} lost, margin {' to '.join(ends)}"


def _decibels(margin: float) -> str:
    return "nothing" if margin <= _NO_MARGIN else f"{margin:.2f} dB"


def refusals(found: Evaluation) -> list[str]:
    """A line for every picture that a scheme does not take."""
    lines = dict.fromkeys(
        f"{each.scheme}, {each.picture}: refused, {each.why}"
        for each in found.results if isinstance(each, Refused)
    )
    return [*lines, *(f"{name}: skipped" for name in found.skipped)]


def text(found: Evaluation) -> str:
    """Everything that is printed."""
    parts = [_aligned(table) for table in tables(found)]
    lost = failures(found)
    parts.append("\n".join([f"Failures: {len(lost)}", *lost]))
    refused = refusals(found)
    return "\n\n".join([*parts, "\n".join(refused)] if refused else parts)


def _aligned(table: Table) -> str:
    lines = [table.headings, *table.rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = [_line(cells, widths) for cells in lines]
    shown.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([f"{table.title}", *shown, *([table.note] if table.note else [])])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    return "  ".join([f"{first[0]:<{first[1]}}", *(f"{cell:>{width}}" for cell, width in others)])


def values(found: Evaluation) -> dict[str, Any]:
    """Everything as JSON takes it."""
    return {
        "folder": found.folder, "schemes": [*found.schemes], "profiles": [*found.profiles],
        "seeds": found.seeds, "pictures": found.pictures, "skipped": [*found.skipped],
        "marked": [asdict(each) | {"bpp": each.bpp} for each in found.marked],
        "refused": [asdict(each) for each in found.results if isinstance(each, Refused)],
        "summary": {scheme: _summary(found.of(scheme)) for scheme in found.schemes},
        "failures": failures(found),
    }


def _summary(marked: list[Marked]) -> dict[str, Any]:
    if not marked:
        return {}
    shares = {attack: trials(marked, attack) for attack in (*ATTACKS, *BEYOND)}
    return {
        "psnr": fmean(each.psnr for each in marked), "ssim": fmean(each.ssim for each in marked),
        "bpp": fmean(each.bpp for each in marked),
        "recovery_rate": {attack: rate(tried) for attack, tried in shares.items() if tried},
    }
