"""The report of a recovery from shares: damaged cells as runs, however many there are."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ground.sharereport import MOST_RUNS, Report
from occulta.codec.jpeg.cells import Grid
from occulta.schemes.shares.cellset import CellSet
from occulta.schemes.shares.damage import Damage


def said(cells: CellSet, grid: Grid | None) -> Any:
    report = Report(damage=Damage(cells=cells), grid=grid)
    return json.loads(json.dumps(report.as_dict()))["damage"]


def test_runs_end_with_their_rows() -> None:
    found = said(CellSet([range(3, 25), range(27, 28)]), Grid(10, 5))
    assert found["runs"] == [[3, 0, 7], [0, 1, 10], [0, 2, 5], [7, 2, 1]]
    assert (found["cells"], found["runs_left_out"], found["grid"]) == (23, 0, [10, 5])


@given(st.sets(st.integers(0, 59)), st.integers(1, 12))
@settings(max_examples=50, deadline=None)
def test_the_runs_are_the_cells(cells: set[int], columns: int) -> None:
    found = said(CellSet(range(cell, cell + 1) for cell in cells), Grid(columns, 60))
    listed = [row * columns + column + at
              for column, row, length in found["runs"] for at in range(length)]
    assert listed == sorted(cells)
    assert found["cells"] == len(cells)


def test_a_picture_of_any_size_has_a_short_report() -> None:
    grid = Grid(4096, 4096)
    found = said(CellSet([range(4096 * 4096)]), grid)
    assert found["cells"] == 4096 * 4096
    assert found["runs"] == [[0, row, 4096] for row in range(MOST_RUNS)]
    assert found["runs_left_out"] == 4096 - MOST_RUNS
    assert len(json.dumps(found, indent=2)) < 60_000


def test_no_places_without_a_grid() -> None:
    found = said(CellSet(), None)
    assert (found["grid"], found["cells"], found["runs"]) == (None, 0, [])


def test_nothing_is_claimed_that_was_not_checked() -> None:
    report = Report().as_dict()
    assert (report["intact"], report["authentic"], report["origin"]) == (
        False, None, "not checked")
