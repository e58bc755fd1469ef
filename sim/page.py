"""The parts of a report: one HTML file that needs nothing else, pictures included."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from sim import pixels
from sim.pixels import Pixels
from sim.style import STYLE

GAIN = 16
"""How much the difference pictures are amplified."""

OVERVIEW_PX = 1000
DETAIL_PX = 360
_GOOD = ("bit for bit", "identical", "authentic", "intact, authentic")
_BAD = "NO"


def document(title: str, body: Sequence[str]) -> str:
    """The whole file; `body` is HTML."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{''.join(body)}</main>\n</body>\n</html>\n"
    )


def headline(brand: str, verdict: str, is_good: bool, lead: str) -> str:
    """What it is about, and how it ended."""
    tone = "good" if is_good else "bad"
    return (
        f'<header><p class="brand">{escape(brand)}</p>'
        f'<h1 class="{tone}">{escape(verdict)}</h1><p class="lead">{escape(lead)}</p></header>\n'
    )


def table(headings: Sequence[str], rows: Sequence[str], note: str) -> str:
    """A table; on a phone each row becomes a card, labelled by data-label."""
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in headings)
    return (
        f"<table><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>\n"
        f'<p class="note">{escape(note)}</p>'
    )


def row(headings: Sequence[str], cells: Sequence[str]) -> str:
    """A row, its first cell the row's heading."""
    first, *others = cells
    data = "".join(
        f'<td data-label="{escape(label)}"{_tone(text)}>{escape(text)}</td>'
        for label, text in zip(headings[1:], others, strict=True)
    )
    return f'<tr><th scope="row">{escape(first)}</th>{data}</tr>'


def message_row(headings: Sequence[str], first: str, message: str) -> str:
    """A row that holds one message instead of its cells."""
    return (
        f'<tr><th scope="row">{escape(first)}</th>'
        f'<td class="refused" colspan="{len(headings) - 1}">{escape(message)}</td></tr>'
    )


def _tone(text: str) -> str:
    if text in _GOOD:
        return ' class="good"'
    return ' class="bad"' if text == _BAD else ""


def section(title: str, *parts: str) -> str:
    """Parts under a heading; `parts` are HTML."""
    return f"<section><h2>{escape(title)}</h2>\n{''.join(parts)}</section>\n"


def paragraph(text: str) -> str:
    """Plain text."""
    return f"<p>{escape(text)}</p>"


def listing(lines: Sequence[str]) -> str:
    """Lines of text as they are."""
    text = "\n".join(escape(line) for line in lines)
    return f"<pre><code>{text}</code></pre>"


def gallery(figures: Sequence[str]) -> str:
    """Figures side by side, as far as the screen goes."""
    return f'<div class="gallery">\n{"".join(figures)}</div>'


def figure(caption: str, picture: Pixels) -> str:
    """A picture with its caption."""
    kind = "PNG" if picture.max(initial=0) == 0 else "JPEG"
    height, width = picture.shape[:2]
    text = escape(caption)
    return (
        f'<figure><img alt="{text}" width="{width}" height="{height}" '
        f'src="{pixels.data_uri(picture, kind)}"><figcaption>{text}</figcaption></figure>\n'
    )


def difference_figure(name: str, changed: Pixels) -> str:
    """A whole difference picture with the share of changed samples."""
    share = float((changed > 0).mean())
    caption = f"{name}: every pixel identical" if share == 0.0 else f"{name}: {share:.1%} differ"
    return figure(caption, pixels.pooled(changed, OVERVIEW_PX))
