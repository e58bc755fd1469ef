"""The report of an evaluation: one HTML file that needs nothing else, plots included."""

from __future__ import annotations

from collections.abc import Sequence

from sim import page
from sim.attacks.robust import plots, results, tables
from sim.attacks.robust.results import Evaluation
from sim.attacks.robust.tables import Table

_STRENGTHS = {
    "Gaussian noise, gray levels": [f"gaussian:{sigma}" for sigma in ("0.5", 1, 2, 5, 7, 10)],
    "JPEG, quality": [f"jpeg:{quality}" for quality in (90, 75, 60, 50, 30, 20, 10)],
    "Salt and pepper, share of pixels": [f"saltpepper:{x}" for x in (0.01, 0.05, 0.1, 0.2)],
}
_TITLE = "Occulta: evaluation of robust hiding"


def render(found: Evaluation, command: str) -> str:
    """The whole report as HTML."""
    lost, refused = results.failures(found), results.refusals(found)
    false = results.false_ones(found)
    measured = [
        _plots(found), *map(_table, tables.tables(found)),
        page.section("Failures", page.listing(lost or ["none"])),
    ]
    return page.document(_TITLE, [
        _headline(found),
        page.section("WRONG messages", page.listing(false)) if false else "",
        *(measured if found.marked else []),
        page.section("Not measured", page.listing(refused)) if refused else "",
        page.section("Command", page.listing([command])),
    ])


def _headline(found: Evaluation) -> str:
    count = len(found.pictures)
    lead = (
        f"{count} picture{'s' * (count != 1)} of {found.folder}, {found.seeds} "
        f"message{'s' * (found.seeds != 1)} each. {results.verdict(found)}"
    )
    false, lost = len(results.false_ones(found)), results.lost_ones(found)
    if not found.checked:
        verdict = "Nothing was measured"
    elif false:
        verdict = f"{false} WRONG messages"
    else:
        verdict = f"{lost} messages lost" if lost else "Every message came back"
    return page.headline(_TITLE, verdict, verdict.startswith("Every"), lead)


def _table(table: Table) -> str:
    rows = [page.row(table.headings, cells) for cells in table.rows]
    return page.section(table.title, page.table(table.headings, rows, table.note))


def _plots(found: Evaluation) -> str:
    text = "Share of the messages that were recovered, over the strength of the attack."
    figures = []
    for name, attacks in _STRENGTHS.items():
        done = [attack for attack in attacks if results.trials(found.marked, attack)]
        figures += [plots.recovery(name, _strengths(done), _lines(found, done))] if done else []
    return page.section("Recovery", page.paragraph(text), page.gallery(figures))


def _strengths(attacks: Sequence[str]) -> list[str]:
    return [attack.partition(":")[2] for attack in attacks]


def _lines(found: Evaluation, attacks: Sequence[str]) -> dict[str, list[float]]:
    """By scheme, without those that took no picture."""
    return {
        scheme: [results.rate(results.trials(marked, attack)) for attack in attacks]
        for scheme in found.schemes if (marked := found.of(scheme))
    }
