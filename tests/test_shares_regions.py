"""Regions of interest in a damaged frame: what is counted, said and shown of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from occulta.schemes.shares.cellset import CellSet
from occulta.schemes.shares.regions import Regions
from tests import jpegs
from tests.cli import assert_error
from tests.holders import DAMAGED, Holders
from tests.shares_support import flipped, frame, gather, make, split

COLUMNS, ROWS = 28, 20
STRIPE = range(10, 14)
"""Columns of the region."""
ROI = "160,0,64,320"


def seen(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def inner(picture: np.ndarray, row: int, column: int) -> np.ndarray:
    """A cell without the edge that its neighbours' chroma may reach."""
    return picture[16 * row + 4 : 16 * row + 12, 16 * column + 4 : 16 * column + 12]


def damaged_cells(report: Any) -> set[tuple[int, int]]:
    return {(row, column + at) for column, row, length in report["damage"]["runs"]
            for at in range(length)}


@pytest.fixture
def place(tmp_path: Path) -> Holders:
    made = Holders(tmp_path, frame())
    assert made.split("--roi", ROI).status == 0
    return made


def test_cells_of_the_regions_are_counted(place: Holders) -> None:
    for at in range(45_000, 50_000, 300):
        place.spoil("b", at)
    done = place.join(place.work)
    report = place.report()
    damage, damaged = report["damage"], damaged_cells(report)
    inside = sum(column in STRIPE for _, column in damaged)
    assert damage["cells"] == len(damaged) > inside
    assert damage["cells_in_regions"] == len(STRIPE) * ROWS == 80
    assert damage["damaged_in_regions"] == inside
    assert 0 < inside < len(STRIPE) * ROWS
    assert report["regions"] == [[160, 0, 64, 320]]
    said = f"{inside} of 80 cells of the regions are damaged; {len(damaged) - inside} cells outside"
    assert_error(done, 507, said)
    assert "of the picture" not in done.err


def test_without_regions_all_cells_count(tmp_path: Path) -> None:
    place = Holders(tmp_path, frame())
    place.split()
    place.spoil("b", 45_000)
    done = place.join(place.work)
    damage = place.report()["damage"]
    assert damage["cells_in_regions"] == COLUMNS * ROWS
    assert damage["damaged_in_regions"] == damage["cells"] > 0
    assert place.report()["regions"] == []
    assert_error(done, 507, f"{damage['cells']} of 560 cells of the picture are damaged")


@pytest.mark.parametrize("at", [45_000, 60_000])
def test_cells_that_verify_are_shown(at: int, place: Holders) -> None:
    """In rows that are not verified as a whole, which the partial picture leaves out."""
    place.spoil("b", at)
    assert place.join(place.work).status == 5
    assert sorted(path.name for path in place.folder.iterdir()) == DAMAGED
    damaged = damaged_cells(place.report())
    (place.root / "whole.jpg").write_bytes(frame())
    whole = seen(place.root / "whole.jpg")
    partial, tamper = (seen(place.folder / name) for name in DAMAGED[::2])
    hidden = [row for row in range(ROWS) if np.ptp(inner(partial, row, 0)) == 0]
    assert 1 < len(hidden) < ROWS
    shown = 0
    for row in hidden:
        for column in range(COLUMNS):
            drawn = inner(tamper, row, column)
            if column in STRIPE and np.array_equal(drawn, inner(whole, row, column)):
                assert (row, column) not in damaged
                shown += 1
            elif (row, column) not in damaged:  # of a row that cannot be decoded to its end too
                assert (drawn == 128).all()
    assert shown > len(STRIPE)
    for row in set(range(ROWS)) - set(hidden):
        assert np.array_equal(inner(tamper, row, 3), inner(whole, row, 3))


def test_damage_outside_the_regions(tmp_path: Path) -> None:
    place = Holders(tmp_path, frame())
    place.split("--roi", "0,0,16,16")
    place.spoil("b", 45_000)
    done = place.join(place.work)
    assert_error(done, 507, "share b was altered: segment 2 is damaged outside the regions")
    assert place.report()["damage"]["damaged_in_regions"] == 0


def test_rows_that_hold_levels_of_no_picture_do_no_harm(tmp_path: Path) -> None:
    """Whatever an altered segment decodes to, the partial picture is there."""
    picture = jpegs.encode(5, 160, 160, quality=95)
    made = make(regions=Regions(((0, 0, 16, 160),)))
    a, b = split(picture, made)
    for at in range(1000, len(b) - 2000, 700):
        found, _ = gather([a, flipped(b, at, 0x55)])
        total = sum(row.mcus for row in found.rows())
        assert total in (0, 100)


def test_sets_of_cells_have_cells_in_common() -> None:
    one, other = CellSet([range(2, 9), range(20, 30)]), CellSet([range(5, 22), range(29, 31)])
    assert one.shared(other) == other.shared(one) == 4 + 2 + 1
    assert CellSet().shared(one) == one.shared(CellSet()) == 0
