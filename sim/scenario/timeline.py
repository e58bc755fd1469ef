"""The pass second by second, as inline SVG: bytes that arrived, bytes that were lost, outages."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import islice

WIDTH, HEIGHT = 1000, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 10, 24, 28
_MOST_BARS = 240
_MOST_LABELS = 12
Second = tuple[int, int, int]
"""Number of the second, bytes that arrived, bytes lost or dropped."""


def timeline(
    seconds: Sequence[Second], outages: Sequence[tuple[float, float]],
    marks: Sequence[tuple[float, str]],
) -> str:
    """An SVG of a direction; `marks` are times with a short label. Times from the pass's begin."""
    bars = _joined(seconds)
    span = max([seconds[-1][0] + 1 if seconds else 1, *(time for time, _ in marks)])
    width = bars[0][0] if bars else 1
    peak = max((arrived + lost for _, _, arrived, lost in bars), default=0) or 1

    def x(time: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * min(max(time / span, 0.0), 1.0)

    floor, tall = HEIGHT - _BOTTOM, HEIGHT - _TOP - _BOTTOM
    parts = [_box("outage", x(begin), _TOP, x(end) - x(begin), tall)
             for begin, end in outages if begin < span]
    for _, begin, arrived, lost in bars:
        step = x(begin + width) - x(begin)
        high, low = tall * arrived / peak, tall * lost / peak
        parts.append(_box("arrived", x(begin), floor - high, step * 0.9, high))
        parts.append(_box("lost", x(begin), floor - high - low, step * 0.9, low))
    parts += [_text(x(time), _TOP - 8, label, "middle") for time, label in marks]
    parts += [_text(x(time), HEIGHT - 8, f"{time} s", "middle") for time in _ticks(span)]
    parts.append(_text(_LEFT - 6, _TOP + 10, f"{peak / width / 1000:,.0f} kB/s", "end"))
    parts.append(f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{floor}" y2="{floor}"/>')
    title = "Bytes that arrived and bytes that were lost, second by second"
    return (
        f'<svg class="timeline" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
        f"<title>{title}</title>{''.join(parts)}</svg>\n"
    )


def _joined(seconds: Sequence[Second]) -> list[tuple[int, int, int, int]]:
    """(width in seconds, beginning, arrived, lost) of as many bars as can be told apart."""
    width = -(-len(seconds) // _MOST_BARS) or 1
    rest, bars = iter(seconds), []
    while part := list(islice(rest, width)):
        bars.append((width, part[0][0], sum(s[1] for s in part), sum(s[2] for s in part)))
    return bars


def _ticks(span: float) -> range:
    steps = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
    step = next((step for step in steps if span / step <= _MOST_LABELS), 1800)
    return range(0, int(span) + 1, step)


def _box(kind: str, x: float, y: float, width: float, height: float) -> str:
    if width <= 0 or height <= 0:
        return ""
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
