"""Recovery over strength as inline SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

_WIDTH, _HEIGHT, _LEFT, _TOP, _FOOT, _KEY = 320, 150, 30, 8, 18, 13
_HUES = (210, 25, 130, 280)
_DASHES = ("", "6 3", "1 3")
_STYLE = "display:block;width:100%;height:auto"


def recovery(caption: str, strengths: Sequence[str], lines: Mapping[str, Sequence[float]]) -> str:
    """A figure with a line for each scheme: shares 0..1, one for each strength, evenly spaced.

    A profile and its rivals (`max`, `max + BCH`) have a colour in common.
    """
    text = escape(caption)
    step = (_WIDTH - _LEFT) / len(strengths)
    places = [_LEFT + step * (n + 0.5) for n in range(len(strengths))]
    below = _TOP + _HEIGHT + _FOOT
    drawn = [_axis(share) for share in (0.0, 0.5, 1.0)]
    drawn += [_text(x, below - 6, s, "middle") for x, s in zip(places, strengths, strict=True)]
    strokes = _strokes(list(lines))
    for number, (name, shares) in enumerate(lines.items()):
        points = " ".join(f"{x:.1f},{_y(y):.1f}" for x, y in zip(places, shares, strict=True))
        drawn.append(f'<polyline points="{points}" {strokes[name]}/>')
        y = below + _KEY * number
        drawn.append(f'<path d="M{_LEFT} {y + 3}h26" {strokes[name]}/>')
        drawn.append(_text(_LEFT + 32, y + 6, name, "start"))
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH} {below + _KEY * len(lines)}" role="img" fill="none" '
        f'style="{_STYLE}"><title>{text}</title>{"".join(drawn)}</svg>'
        f"<figcaption>{text}</figcaption></figure>\n"
    )


def _strokes(names: Sequence[str]) -> dict[str, str]:
    """A colour for each profile, dashes for each of its rivals."""
    found, groups = {}, dict[str, int]()
    for name in names:
        group = name.partition(" + ")[0]
        nth = groups[group] = groups.get(group, -1) + 1
        hue = _HUES[(len(groups) - 1) % len(_HUES)]
        found[name] = (
            f'stroke="hsl({hue} 70% 50%)" stroke-width="2" '
            f'stroke-dasharray="{_DASHES[nth % len(_DASHES)]}"'
        )
    return found


def _y(share: float) -> float:
    return _TOP + _HEIGHT * (1.0 - share)


def _axis(share: float) -> str:
    y = _y(share)
    line = f'<path d="M{_LEFT} {y:.1f}H{_WIDTH}" stroke="currentColor" opacity=".2"/>'
    return line + _text(_LEFT - 4, y + 3, f"{share:.0%}", "end")


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="9" text-anchor="{anchor}" '
        f'fill="currentColor">{escape(text)}</text>'
    )
