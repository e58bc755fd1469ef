"""The demonstration's report: one HTML file that needs nothing else, pictures included."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path

from sim import pixels
from sim.pixels import Pixels
from sim.results import HEADINGS, Measured, Outcome, Refused, cells
from sim.style import STYLE

GAIN = 16
"""How much the difference pictures are amplified."""

OVERVIEW_PX = 1000
DETAIL_PX = 360


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


def render(page: Page) -> str:
    """The whole report as HTML."""
    body = [
        _headline(page),
        _table(page.outcomes),
        _pictures(page),
        _commands(page.commands),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>Occulta demonstration</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{''.join(body)}</main>\n</body>\n</html>\n"
    )


def _headline(page: Page) -> str:
    if page.success:
        most = max(o.hidden for o in page.outcomes if isinstance(o, Measured))
        verdict, tone = "Restored bit for bit", "good"
        text = (
            f"{most:,} private bytes were hidden in the picture, sealed for one recipient. "
            "With the recipient's key the ground recovered them and the original file, exactly."
        )
    else:
        verdict, tone = "Not everything was restored", "bad"
        text = "The table says which profile failed or refused, and why."
    return (
        f'<header><p class="brand">Occulta demonstration</p>'
        f'<h1 class="{tone}">{verdict}</h1><p class="lead">{text}</p></header>\n'
    )


def _table(outcomes: list[Outcome]) -> str:
    """A row per profile; on a phone each row becomes a card, labelled by data-label."""
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in HEADINGS)
    rows = "".join(_row(outcome) for outcome in outcomes)
    return (
        f"<section><h2>Measured</h2>\n<table><thead><tr>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table>\n"
        '<p class="note">Growth is in bytes of the whole file. PSNR compares the marked picture '
        "with the original, both decoded. Restored and private data were compared byte by byte "
        "with the originals. Seconds (start-up included) and peak memory are given as "
        "protect + recover.</p></section>\n"
    )


def _row(outcome: Outcome) -> str:
    if isinstance(outcome, Refused):
        message = escape(outcome.line)
        span = len(HEADINGS) - 1
        return (
            f'<tr><th scope="row">{escape(outcome.profile)}</th>'
            f'<td class="refused" colspan="{span}">{message}</td></tr>'
        )
    first, *others = cells(outcome)
    data = "".join(
        f'<td data-label="{escape(label)}"{_tone(text)}>{escape(text)}</td>'
        for label, text in zip(HEADINGS[1:], others, strict=True)
    )
    return f'<tr><th scope="row">{escape(first)}</th>{data}</tr>'


def _tone(text: str) -> str:
    if text in ("bit for bit", "identical", "authentic"):
        return ' class="good"'
    return ' class="bad"' if text == "NO" else ""


def _pictures(page: Page) -> str:
    """The pictures side by side, whole and in detail, and what changed between them."""
    original = pixels.decoded(page.original)
    if original is None:
        return (
            "<section><h2>Pictures</h2><p>Pillow does not decode this picture (12-bit, or very "
            "large), so it is not shown; the files were compared byte by byte.</p></section>\n"
        )
    marked = {name: pixels.decoded(path) for name, path in page.marked.items()}
    usable = {n: m for n, m in marked.items() if m is not None and m.shape == original.shape}
    seen = {"Original": original, **{f"Marked, {n}": m for n, m in usable.items()}}
    changed = {n: pixels.difference(original, m, GAIN) for n, m in usable.items()}
    whole = [_figure(n, pixels.shrunk(p, OVERVIEW_PX)) for n, p in seen.items()]
    close = [_figure(n, pixels.detail(p, DETAIL_PX)) for n, p in seen.items()]
    apart = [_difference(n, d) for n, d in changed.items()]
    zoomed = [_figure(f"{n}, detail", pixels.detail(d, DETAIL_PX)) for n, d in changed.items()]
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


def _difference(name: str, changed: Pixels) -> str:
    """The whole difference picture with the share of changed samples."""
    share = float((changed > 0).mean())
    caption = f"{name}: every pixel identical" if share == 0.0 else f"{name}: {share:.1%} differ"
    return _figure(caption, pixels.pooled(changed, OVERVIEW_PX))


def _figure(caption: str, picture: Pixels) -> str:
    kind = "PNG" if picture.max(initial=0) == 0 else "JPEG"
    height, width = picture.shape[:2]
    text = escape(caption)
    return (
        f'<figure><img alt="{text}" width="{width}" height="{height}" '
        f'src="{pixels.data_uri(picture, kind)}"><figcaption>{text}</figcaption></figure>\n'
    )


def _gallery(title: str, text: str, figures: list[str]) -> str:
    return (
        f"<section><h2>{escape(title)}</h2><p>{escape(text)}</p>"
        f'<div class="gallery">\n{"".join(figures)}</div></section>\n'
    )


def _commands(commands: list[str]) -> str:
    lines = "\n".join(escape(command) for command in commands)
    return f"<section><h2>Commands</h2><pre><code>{lines}</code></pre></section>\n"
