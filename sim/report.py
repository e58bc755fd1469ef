"""The report of the demonstration with one picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sim import page, pixels
from sim.page import DETAIL_PX, GAIN, OVERVIEW_PX
from sim.results import HEADINGS, Measured, Outcome, Refused, cells

_NOTE = (
    "Growth is in bytes of the whole file. PSNR compares the marked picture with the original, "
    "both decoded. Restored and private data were compared byte by byte with the originals. "
    "Seconds (start-up included) and peak memory are given as protect + recover."
)
_NOT_DECODED = (
    "Pillow does not decode this picture (12-bit, or very large), so it is not shown; the files "
    "were compared byte by byte."
)


@dataclass(frozen=True)
class Page:
    """What the report is made of."""

    outcomes: list[Outcome]
    original: Path
    marked: dict[str, Path]
    """Marked pictures by profile."""
    commands: list[str]
    """The commands as typed, in order."""
    success: bool
    """What the exit status says: everything asked for came back."""


def render(content: Page) -> str:
    """The whole report as HTML."""
    return page.document("Occulta demonstration", [
        _headline(content),
        page.section("Measured", page.table(HEADINGS, list(map(_row, content.outcomes)), _NOTE)),
        _pictures(content),
        page.section("Commands", page.listing(content.commands)),
    ])


def _headline(content: Page) -> str:
    verdict = "Not everything was restored"
    text = "The table says which profile failed or refused, and why."
    if content.success:
        most = max(o.hidden for o in content.outcomes if isinstance(o, Measured))
        verdict = "Restored bit for bit"
        text = (
            f"{most:,} private bytes were hidden in the picture, sealed for one recipient. "
            "With the recipient's key the ground recovered them and the original file, exactly."
        )
    return page.headline("Occulta demonstration", verdict, content.success, text)


def _row(outcome: Outcome) -> str:
    if isinstance(outcome, Refused):
        return page.message_row(HEADINGS, outcome.profile, outcome.line)
    return page.row(HEADINGS, cells(outcome))


def _pictures(content: Page) -> str:
    """The pictures side by side, whole and in detail, and what changed between them."""
    original = pixels.decoded(content.original)
    if original is None:
        return page.section("Pictures", page.paragraph(_NOT_DECODED))
    marked = {name: pixels.decoded(path) for name, path in content.marked.items()}
    usable = {n: m for n, m in marked.items() if m is not None and m.shape == original.shape}
    seen = {"Original": original, **{f"Marked, {n}": m for n, m in usable.items()}}
    changed = {n: pixels.difference(original, m, GAIN) for n, m in usable.items()}
    whole = [page.figure(n, pixels.shrunk(p, OVERVIEW_PX)) for n, p in seen.items()]
    close = [page.figure(n, pixels.detail(p, DETAIL_PX)) for n, p in seen.items()]
    apart = [page.difference_figure(n, d) for n, d in changed.items()]
    zoomed = [page.figure(f"{n}, detail", pixels.detail(d, DETAIL_PX)) for n, d in changed.items()]
    return (
        _gallery("Pictures", "The whole picture.", whole)
        + _gallery("In detail", "The middle, pixel for pixel.", close)
        + _gallery(
            f"Difference x{GAIN}",
            f"How far each pixel moved from the original, amplified {GAIN} times; "
            "black is no change at all.",
            apart + zoomed,
        )
    )


def _gallery(title: str, text: str, figures: list[str]) -> str:
    return page.section(title, page.paragraph(text), page.gallery(figures))
