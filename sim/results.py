"""What the demonstration measures of each profile, and the table it prints."""

from __future__ import annotations

import math
from dataclasses import dataclass

HEADINGS = (
    "profile",
    "hidden bytes",
    "growth",
    "growth %",
    "PSNR dB",
    "restored",
    "private data",
    "signature",
    "seconds",
    "peak MiB",
)
"""Seconds and peak memory are given as protect + recover."""


@dataclass(frozen=True)
class Measured:
    """A profile that protected the picture, and what came back."""

    profile: str
    hidden: int
    """Private bytes hidden."""
    before: int
    """Size of the original file, bytes."""
    after: int
    """Size of the marked file, bytes."""
    psnr: float | None
    """dB, infinite for identical pixels; None where the pictures could not be decoded."""
    restored: bool
    """The recovered carrier is byte for byte the original file."""
    private_same: bool
    """The recovered private file is byte for byte the one that was hidden."""
    authentic: bool
    """The recovery's own word on the satellite's signature."""
    seconds: tuple[float, float]
    peak_mib: tuple[float, float]
    note: str = ""
    """The recovery's message where it failed."""

    @property
    def ok(self) -> bool:
        """Everything came back bit for bit, and under the satellite's signature."""
        return self.restored and self.private_same and self.authentic

    @property
    def growth(self) -> int:
        """Bytes the file grew by; negative where it shrank."""
        return self.after - self.before


@dataclass(frozen=True)
class Refused:
    """A profile that does not take this picture or this private file, and why."""

    profile: str
    message: str
    failed: bool = False
    """True where protecting did not refuse the input but went wrong."""

    @property
    def line(self) -> str:
        """One line for the table."""
        return f"{'failed' if self.failed else 'refused'}: {self.message}"


Outcome = Measured | Refused


def cells(outcome: Measured) -> tuple[str, ...]:
    """One cell for each of HEADINGS."""
    return (
        outcome.profile,
        f"{outcome.hidden:,}",
        f"{outcome.growth:+,}",
        f"{100.0 * outcome.growth / outcome.before:+.3f}",
        _decibels(outcome.psnr),
        "bit for bit" if outcome.restored else "NO",
        "identical" if outcome.private_same else "NO",
        "authentic" if outcome.authentic else "NO",
        "{:.2f} + {:.2f}".format(*outcome.seconds),
        "{:.0f} + {:.0f}".format(*outcome.peak_mib),
    )


def _decibels(psnr: float | None) -> str:
    if psnr is None:
        return "not decoded"
    return "infinite" if math.isinf(psnr) else f"{psnr:.2f}"


def table(outcomes: list[Outcome]) -> str:
    """Aligned text: headings, then a line per profile; a refusal's message takes its line."""
    rows = [HEADINGS, *(cells(o) for o in outcomes if isinstance(o, Measured))]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADINGS))]
    lines = [_aligned(HEADINGS, widths), "  ".join("-" * width for width in widths)]
    for outcome in outcomes:
        if isinstance(outcome, Refused):
            lines.append(f"{outcome.profile:<{widths[0]}}  {outcome.line}")
        else:
            lines.append(_aligned(cells(outcome), widths))
            lines += [f"{'':<{widths[0]}}  {outcome.note}"] if outcome.note else []
    return "\n".join(lines)


def _aligned(row: tuple[str, ...], widths: list[int]) -> str:
    """The first cell to the left, the others to the right."""
    first, *others = zip(row, widths, strict=True)
    return "  ".join([f"{first[0]:<{first[1]}}", *(f"{c:>{w}}" for c, w in others)])


def all_restored(outcomes: list[Outcome], refusals_allowed: bool) -> bool:
    """True where at least one profile ran and each that ran brought everything back.

    A refusal counts as failure unless the picture or the private file was the caller's own.
    """
    measured = [o for o in outcomes if isinstance(o, Measured)]
    refused = [o for o in outcomes if isinstance(o, Refused)]
    complete = all(refusals_allowed and not o.failed for o in refused)
    return bool(measured) and complete and all(o.ok for o in measured)
