"""The tables of an evaluation, and everything that is printed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import fmean
from typing import NamedTuple

from sim.attacks.robust import results
from sim.attacks.robust.results import Evaluation, rate, trials
from sim.attacks.robust.study import ATTACKS, BEYOND, Marked, Trial

NONE = "-"
_PLAIN = ("scheme", "bits", "coded", "PSNR", "SSIM", "bpp")
_TABLE_5 = ("gaussian:0.5", "jpegratio:5", "median:3")
_TABLE_6 = ("jpeg:90", "saltpepper:0.01", "sharpen")
ALL = "ok"
"""Every message of the cell was recovered."""


class Table(NamedTuple):
    """Cells as text; the first column is the row's heading."""

    title: str
    headings: tuple[str, ...]
    rows: list[tuple[str, ...]]
    note: str


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
    "codes on the same lattice, and pictures that have moved, with the first seed only. Profiles "
    "that choose half of the blocks (default, light) never send about one coded bit in seven: "
    "seven bytes of ten lack one, more than RS bears, and BCH spends most of its strength on them. "
    "These rows are so by construction; with max and strong like is compared with like."
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
    count, false = sum(t.recovered for t in found), sum(t.false for t in found)
    shown = ALL if count == len(found) else f"{count}/{len(found)}"
    return f"{shown}, {false} WRONG" if false else shown


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
    headings = ("attack", *found.schemes)
    return Table("Bit error rates before and after decoding", headings, rows, _ERRORS_NOTE)


_ERRORS_NOTE = (
    "Of the coded bits of which anything came, their copies taken together, and of the message."
)


def _both(found: Sequence[Trial]) -> str:
    if not found:
        return NONE
    before = [trial.before for trial in found if trial.before is not None]
    return f"{fmean(before):.4f} {_after(found)}" if before else f"{NONE} {_after(found)}"


def text(found: Evaluation) -> str:
    """Everything that is printed."""
    parts = [_aligned(table) for table in tables(found)] if found.marked else []
    parts.append("\n".join([results.verdict(found), *results.false_ones(found)]))
    if found.marked:
        parts.append("\n".join([f"Failures: {results.lost_ones(found)}", *results.failures(found)]))
    refused = results.refusals(found)
    return "\n\n".join([*parts, "\n".join(["Not measured:", *refused])] if refused else parts)


def _aligned(table: Table) -> str:
    lines = [table.headings, *table.rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = [_line(cells, widths) for cells in lines]
    shown.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([f"{table.title}", *shown, *([table.note] if table.note else [])])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    return "  ".join([f"{first[0]:<{first[1]}}", *(f"{cell:>{width}}" for cell, width in others)])
