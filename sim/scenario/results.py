"""What a scenario has measured: the printed table, and report.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ground.product import SHARES
from sim.scenario.check import Arrival

HEADINGS = (
    "frame", "bytes", "growth %", "hidden", "scheme", "restored", "private file", "verdict",
    "stored s", "recovered s",
)
LINK_HEADINGS = (
    "link", "packets", "bytes", "lost", "in outages", "queue full", "corrupted", "duplicated",
    "reordered", "truncated", "arrived",
)
_LINK_COUNTS = (
    "submitted", "bytes_submitted", "lost", "dropped_outage", "dropped_queue", "corrupted",
    "duplicated", "reordered", "truncated", "sent",
)
PROGRAM_HEADINGS = ("program", "CPU s", "peak MiB")
_NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Usage:
    """What a program took."""

    program: str
    cpu_seconds: float
    peaks_mib: tuple[float, ...]
    """Greatest resident memory of the program and of each child; 0 where that is not known."""


@dataclass
class Result:
    """One run. Times are seconds from its beginning."""

    scenario: str
    arrivals: list[Arrival]
    faults: list[str]
    """What went wrong, in words; without any the run was a success."""
    seconds: float
    limit: float
    pass_began: float
    stored: Mapping[str, float]
    """When each frame was durable on board, by its name."""
    recovered: Mapping[str, float]
    link: Mapping[str, Any]
    """The relay's statistics between satellite and ground."""
    outages: Sequence[tuple[float, float]]
    """From the beginning of the pass."""
    ground: Mapping[str, int]
    """What the ground node counted."""
    programs: list[Usage] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    others: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Statistics of the satellite's links to other holders, by their names."""

    @property
    def restored(self) -> int:
        """Frames that came back bit for bit."""
        return sum(arrival.is_restored for arrival in self.arrivals)

    @property
    def overhead(self) -> float | None:
        """Bytes sent down beyond those of the products, as a share of them."""
        nodes = 1 + len(self.others)
        products = sum(
            a.size * (1 if a.product.scheme == SHARES else nodes)
            for a in self.arrivals if a.product is not None
        )
        if not (products and self.link):
            return None
        pairs = (self.link, *self.others.values())
        sent = sum(pair["down"]["counts"]["bytes_submitted"] for pair in pairs)
        return float(sent) / products - 1.0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "scenario": self.scenario, "success": not self.faults, "faults": self.faults,
            "seconds": self.seconds, "time_limit": self.limit, "pass_began": self.pass_began,
            "frames": [self._frame(arrival) for arrival in self.arrivals],
            "link": self.link, "others": dict(self.others),
            "overhead": self.overhead, "outages": list(self.outages),
            "ground": dict(self.ground),
            "programs": [
                {"program": u.program, "cpu_seconds": u.cpu_seconds, "peak_mib": list(u.peaks_mib)}
                for u in self.programs
            ],
        }

    def _frame(self, arrival: Arrival) -> dict[str, Any]:
        frame, product = arrival.frame, arrival.product
        return {
            "frame": frame.name, "bytes": frame.size, "sensitive": frame.is_sensitive,
            "product": product and product.id.hex(), "scheme": product and product.scheme,
            "received_bytes": product and arrival.size, "hidden_bytes": arrival.hidden,
            "verdict": arrival.verdict, "restored": arrival.is_restored,
            "private_same": arrival.is_private_same if frame.private else None,
            "stored_at": self.stored.get(frame.name),
            "recovered_at": self.recovered.get(frame.name), "faults": arrival.faults,
        }

    # --- cells of tables

    def frame_rows(self) -> list[tuple[str, ...]]:
        """Cells for HEADINGS, a row per frame."""
        return [self._cells(arrival) for arrival in self.arrivals]

    def _cells(self, arrival: Arrival) -> tuple[str, ...]:
        frame, product = arrival.frame, arrival.product
        sizes = (_NOTHING,) * 3
        if product is not None:
            growth = 100.0 * (arrival.size - frame.size) / frame.size
            sizes = (f"{growth:+.2f}", f"{arrival.hidden:,}", product.scheme)
        private = "identical" if arrival.is_private_same else "NO"
        return (
            frame.name, f"{frame.size:,}", *sizes,
            "bit for bit" if arrival.is_restored else "NO",
            private if frame.private else "none", arrival.verdict,
            _time(self.stored.get(frame.name)), _time(self.recovered.get(frame.name)),
        )

    def link_rows(self) -> list[tuple[str, ...]]:
        """Cells for LINK_HEADINGS, a row per link and direction; none if the pass never began."""
        if not self.link:
            return []
        pairs = {"": self.link} | {f" {name}": pair for name, pair in self.others.items()}
        return [
            (way + name, *(f"{pair[way]['counts'][count]:,}" for count in _LINK_COUNTS))
            for name, pair in pairs.items() for way in ("down", "up")
        ]

    def program_rows(self) -> list[tuple[str, ...]]:
        """Cells for PROGRAM_HEADINGS, a row per program."""
        return [
            (u.program, f"{u.cpu_seconds:.1f}", " + ".join(f"{mib:.0f}" for mib in u.peaks_mib))
            for u in self.programs
        ]

    def summary(self) -> str:
        """One line."""
        frames = f"{self.restored} of {len(self.arrivals)} frames bit for bit"
        return f"{self.scenario}: {frames} in {self.seconds:.1f} s, limit {self.limit:.0f} s"


def table(result: Result) -> str:
    """Everything as aligned text, faults last."""
    parts = [_aligned([HEADINGS, *result.frame_rows()])]
    if result.link:
        parts.append(_aligned([LINK_HEADINGS, *result.link_rows()]))
    if result.overhead is not None:
        parts.append(f"{result.overhead:.0%} more bytes sent down than the products have")
    parts.append(_aligned([PROGRAM_HEADINGS, *result.program_rows()]))
    parts.append("\n".join([result.summary(), *(f"FAULT: {fault}" for fault in result.faults)]))
    return "\n\n".join(parts)


def _time(seconds: float | None) -> str:
    return _NOTHING if seconds is None else f"{seconds:.1f}"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """The first cell to the left, the others to the right, a rule below the headings."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
