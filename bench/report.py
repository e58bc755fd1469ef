"""What a benchmark found: figures beside their bounds, tables, and what was skipped."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number; `bound` is the most it may be, or with `at_least` the least."""

    name: str
    value: float
    bound: float | None = None
    at_least: bool = False
    unit: str = ""
    digits: int = 3

    @property
    def met(self) -> bool | None:
        """Whether the bound is met; None without a bound."""
        if self.bound is None:
            return None
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def cells(self) -> list[str]:
        """The figure as a row: name, value, bound, verdict."""
        sign = ">=" if self.at_least else "<="
        bound = "" if self.bound is None else f"{sign} {self._shown(self.bound)}"
        verdict = {None: "", True: "yes", False: "NO"}[self.met]
        return [self.name, self._shown(self.value), bound, verdict]

    def _shown(self, value: float) -> str:
        return f"{value:.{self.digits}f} {self.unit}".strip()


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a title."""

    title: str
    head: list[str]
    rows: list[list[str]]


@dataclass(slots=True)
class Result:
    """Everything one benchmark found."""

    name: str
    figures: list[Figure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, str] = field(default_factory=dict)

    @property
    def missed(self) -> list[Figure]:
        """Figures that do not meet their bound."""
        return [figure for figure in self.figures if figure.met is False]

    def figure_table(self) -> Table:
        """All figures beside their bounds."""
        head = ["figure", "measured", "bound", "met"]
        return Table("Figures and bounds", head, [figure.cells() for figure in self.figures])

    def to_json(self) -> dict[str, Any]:
        """Plain values; each figure says whether it is met."""
        plain = asdict(self)
        for figure, entry in zip(self.figures, plain["figures"], strict=True):
            entry["met"] = figure.met
        return plain

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Result:
        """What `to_json` made."""
        figures = [_figure(entry) for entry in plain["figures"]]
        tables = [Table(**entry) for entry in plain["tables"]]
        return cls(**{**plain, "figures": figures, "tables": tables})


def _figure(entry: dict[str, Any]) -> Figure:
    return Figure(**{name: value for name, value in entry.items() if name != "met"})


def plain_table(table: Table) -> str:
    """A table for a terminal: the first column to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(table.head, *table.rows, strict=True)]
    lines = [_aligned(row, widths) for row in (table.head, ["-" * n for n in widths], *table.rows)]
    return "\n".join([table.title, *lines])


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [row[0].ljust(widths[0])]
    cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
    return "  ".join(cells).rstrip()


def markdown_table(table: Table) -> str:
    """A table for the documentation, without its title."""
    rule = ["---"] + ["---:"] * (len(table.head) - 1)
    return "\n".join(_piped(row) for row in (table.head, rule, *table.rows))


def _piped(row: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


def plain(result: Result) -> str:
    """A whole result for a terminal."""
    parts = [f"=== {result.name} ==="]
    parts += [plain_table(table) for table in result.tables]
    parts += [plain_table(result.figure_table())] if result.figures else []
    parts += [f"note: {note}" for note in result.notes]
    parts += [f"skipped: {what}" for what in result.skipped]
    parts.append(summary(result))
    return "\n\n".join(parts) + "\n"


def summary(result: Result) -> str:
    """How many bounds are met, in one line."""
    bounded = [figure for figure in result.figures if figure.bound is not None]
    met = len(bounded) - len(result.missed)
    return f"{result.name}: {met} of {len(bounded)} bounds met"


def machine_kind() -> str:
    """The kind of machine, such as "2 vCPU x86-64"."""
    return f"{os.cpu_count()} vCPU {platform.machine().replace('_', '-')}"


def write_json(path: Path, results: Sequence[Result]) -> None:
    """One result as an object, several as {"results": [...]}; whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plain_results = [result.to_json() for result in results]
    content = plain_results[0] if len(results) == 1 else {"results": plain_results}
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)


def read_json(path: Path) -> Result:
    """A result that `write_json` wrote alone."""
    return Result.from_json(json.loads(path.read_text(encoding="utf-8")))
