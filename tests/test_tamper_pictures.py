"""What a recovery of a damaged frame leaves: the partial picture, and the damage outlined.

Proves that `carrier.partial.jpg` has the original's pixels in every verified row and grey in the
others, that `tamper.png` is that picture with a red border inside every damaged cell and nothing
else, whatever its size; that both get their names only when published; and what is said when one
of them cannot be made.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from ground import tamper
from ground.tamper import PARTIAL, TAMPER, Pictures, write_pictures
from occulta.codec.jpeg.cells import CellKeys, CellReader, Cut
from occulta.codec.jpeg.patchwork import Patchwork
from occulta.errors import OccultaError, Reason
from occulta.limits import DEFAULT_LIMITS
from occulta.program import files
from occulta.schemes.shares.cellset import CellSet
from occulta.schemes.shares.damage import Damage, Rows
from tests.encoder import Picture
from tests.jpegs import sample
from tests.support import by_kernel

RED = (255, 0, 0)
NOWHERE = (0, 0, 0, 0)


@cache
def rows_of(data: bytes) -> tuple[bytes, list[Rows]]:
    """A file's headers and its rows of cells, all verified."""
    reader = CellReader(DEFAULT_LIMITS, CellKeys(bytes(16)))
    found = [s for s in reader.feed(data) + reader.finish() if s.cut is not None]
    rows = [Rows(s.cut, s.mcus, s.data) for s in found if s.cut is not None]
    return data[: data.index(found[0].data)], rows


def without(rows: list[Rows], lost: Iterable[int]) -> list[Rows]:
    """The rows as recovery gives them when some are missing."""
    gone = set(lost)
    return [
        Rows(Cut(row.cut.mcu, 0, 0, NOWHERE, 0, 0), row.mcus, None) if at in gone else row
        for at, row in enumerate(rows)
    ]


def last_of(data: bytes) -> list[Rows]:
    """All that verifies of a file whose other rows are lost: nothing is drawn without any."""
    return rows_of(data)[1][-1:]


def cells_of(rows: Iterable[int], columns: int) -> set[int]:
    return {row * columns + column for row in rows for column in range(columns)}


def cell_set(cells: Iterable[int]) -> CellSet:
    return CellSet(range(cell, cell + 1) for cell in cells)


def written(
    folder: Path, data: bytes, rows: list[Rows], cells: set[int], columns: int
) -> Pictures:
    """Write and publish."""
    with ExitStack() as stack:
        made = write_pictures(
            folder, rows_of(data)[0], rows, Damage(cells=cell_set(cells)), columns, stack
        )
        assert not [path for path in folder.iterdir() if path.name in (PARTIAL, TAMPER)]
        files.publish_together(made.outputs, lambda: None)
    return made


def seen(folder: Path, name: str) -> np.ndarray:
    with Image.open(folder / name) as image:
        return np.asarray(image.convert("RGB"))


def outlined(picture: np.ndarray, cells: Iterable[int], columns: int, width: int = 2,
             side: int = 16) -> np.ndarray:
    """A second opinion on what is drawn: by masks."""
    drawn = picture.copy()
    for cell in cells:
        top, left = side * (cell // columns), side * (cell % columns)
        whole = drawn[top : top + side, left : left + side]
        inner = whole[width:-width, width:-width].copy()
        whole[:] = RED
        whole[width:-width, width:-width] = inner
    return drawn


@pytest.mark.parametrize("kind", ["gray", "ycc444", "ycc422", "ycc420", "optimised", "cmyk",
                                  "restart_rows"])
def test_rows_that_are_lost_are_outlined(tmp_path: Path, kind: str) -> None:
    data = sample(kind, 5, 96, 80)
    rows = rows_of(data)[1]
    cells = cells_of([1, 4], 6)
    made = written(tmp_path, data, without(rows, [1, 4]), cells, 6)
    assert [file.path.name for file in made.outputs] == [PARTIAL, TAMPER]
    assert made.problems == []
    assert sorted(path.name for path in tmp_path.iterdir()) == [PARTIAL, TAMPER]
    partial = seen(tmp_path, PARTIAL)
    (tmp_path / "whole.jpg").write_bytes(data)
    whole = seen(tmp_path, "whole.jpg")
    for row in (0, 2, 3):  # chroma may be smoothed over the edge
        part = slice(16 * row + 2, 16 * row + 14)
        assert np.array_equal(partial[part], whole[part])
    assert np.ptp(partial[18:30, :64]) == np.ptp(partial[66:80]) == 0
    assert np.array_equal(seen(tmp_path, TAMPER), outlined(partial, cells, 6))


@given(st.sets(st.integers(0, 4), max_size=4), st.sets(st.integers(0, 29)))
@settings(max_examples=by_kernel(25, 10), deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage(tmp_path_factory: pytest.TempPathFactory, lost: set[int], cells: set[int]
                    ) -> None:
    folder = tmp_path_factory.mktemp("any")
    data = sample("ycc444", 5, 96, 80)
    written(folder, data, without(rows_of(data)[1], lost), cells, 6)
    partial = seen(folder, PARTIAL)
    (folder / "whole.jpg").write_bytes(data)
    whole = seen(folder, "whole.jpg")
    for row in range(5):
        part = slice(16 * row, 16 * row + 16)
        if row in lost:
            assert (partial[part, :88] == 128).all()
        else:
            assert np.array_equal(partial[part], whole[part])
    assert np.array_equal(seen(folder, TAMPER), outlined(partial, cells, 6))


def test_rows_with_damaged_cells_are_not_shown(tmp_path: Path) -> None:
    """Only verified rows are: what decodes may be false all the same."""
    data = sample("gray", 5, 96, 80)
    rows = [*rows_of(data)[1]]
    rows[2:3] = [Rows(rows[2].cut, rows[2].mcus, rows[2].data, cell_set({13}))]
    written(tmp_path, data, rows, {13}, 6)
    partial = seen(tmp_path, PARTIAL)
    assert (partial[32:48, :88] == 128).all()
    assert np.array_equal(seen(tmp_path, TAMPER), outlined(partial, {13}, 6))


def test_what_the_rows_leave_out_is_grey(tmp_path: Path) -> None:
    """No rows at the end, several in one, one twice: nothing is shown in a wrong place."""
    data = sample("ycc420", 5, 96, 80)
    head, rows = rows_of(data)
    given_rows = [without(rows, [0])[0], rows[1], rows[1], rows[0], rows[3]]
    written(tmp_path, data, given_rows, set(), 6)
    work = Patchwork(head, DEFAULT_LIMITS)
    out = work.skip(rows[0].mcus) + work.add(rows[1].cut, rows[1].mcus, rows[1].data or b"")
    out += work.skip(rows[2].mcus) + work.add(rows[3].cut, rows[3].mcus, rows[3].data or b"")
    assert (tmp_path / PARTIAL).read_bytes() == out + work.finish()


@pytest.mark.parametrize(("width", "height"), [(1, 1), (7, 3), (16, 16), (17, 40)])
def test_small_pictures_show_their_damage(tmp_path: Path, width: int, height: int) -> None:
    data = sample("gray", 5, width, height)
    columns = -(-width // 16)
    cells = cells_of(range(-(-height // 16)), columns)
    written(tmp_path, data, last_of(data), cells, columns)
    drawn = seen(tmp_path, TAMPER)
    assert np.array_equal(drawn, outlined(seen(tmp_path, PARTIAL), cells, columns))
    assert drawn.shape == (height, width, 3)
    assert tuple(drawn[0, 0]) == tuple(drawn[-1, -1]) == RED


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_large_pictures_are_scaled_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scale: int
) -> None:
    data = sample("odd_size", 5, 200, 168)  # 197 x 163
    monkeypatch.setattr(tamper, "MAX_PIXELS", 197 * 163 // scale**2 + 1)
    cells = {0, 14, 25, 142}
    written(tmp_path, data, without(rows_of(data)[1], [0, 1]), cells, 13)
    drawn = seen(tmp_path, TAMPER)
    assert drawn.shape == (-(-163 // scale), -(-197 // scale), 3)
    red = (drawn == RED).all(axis=2)
    expected = outlined(np.zeros_like(drawn), cells, 13, 1, 16 // scale)
    assert np.array_equal(red, (expected == RED).all(axis=2))


def test_pillows_guard_against_bombs_is_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = sample("gray", 5, 96, 80)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = written(tmp_path, data, last_of(data), {3}, 6)
    assert len(made.outputs) == 2


def test_a_picture_of_twelve_bits_is_outlined_on_grey(tmp_path: Path) -> None:
    """Pillow cannot decode it; the damage can be shown all the same."""
    data = sample("deep", 5, 96, 80)
    written(tmp_path, data, rows_of(data)[1], {7, 8}, 6)
    grey = np.full((80, 96, 3), 128, np.uint8)
    assert np.array_equal(seen(tmp_path, TAMPER), outlined(grey, {7, 8}, 6))


def test_without_pillow_the_partial_picture_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = sample("gray", 5, 96, 80)
    monkeypatch.setitem(sys.modules, "PIL", None)
    made = written(tmp_path, data, rows_of(data)[1], {3}, 6)
    assert [file.path.name for file in made.outputs] == [PARTIAL]
    assert [error.reason for error in made.problems] == [Reason.PILLOW_MISSING]
    assert [path.name for path in tmp_path.iterdir()] == [PARTIAL]


def test_older_pictures_are_replaced(tmp_path: Path) -> None:
    for name in (PARTIAL, TAMPER):
        (tmp_path / name).write_bytes(b"of an earlier run")
    data = sample("gray", 5, 96, 80)
    with ExitStack() as stack:
        made = write_pictures(tmp_path, rows_of(data)[0], last_of(data), Damage(), 6, stack)
        assert (tmp_path / TAMPER).read_bytes() == b"of an earlier run"
        files.publish_together(made.outputs, lambda: None)
    assert seen(tmp_path, TAMPER).shape == seen(tmp_path, PARTIAL).shape == (80, 96, 3)


def test_nothing_stays_of_what_is_not_published(tmp_path: Path) -> None:
    data = sample("gray", 5, 96, 80)
    with ExitStack() as stack:
        write_pictures(tmp_path, rows_of(data)[0], last_of(data), Damage(), 6, stack)
        assert len(list(tmp_path.iterdir())) == 2
    assert list(tmp_path.iterdir()) == []


def test_levels_that_no_picture_has_are_said(tmp_path: Path) -> None:
    data = Picture([[[1500 * (at // 4)] + [0] * 63 for at in range(16)]], 2).to_jpeg()
    made = written(tmp_path, data, without(rows_of(data)[1], [0, 1, 2]), set(), 1)
    assert made.outputs == []
    assert [error.reason for error in made.problems] == [Reason.COEFFICIENT_OVERRUN]
    assert list(tmp_path.iterdir()) == []


def assert_not_drawn(tmp_path: Path, rows: list[Rows], detail: str) -> None:
    made = written(tmp_path, sample("gray", 5, 96, 80), rows, {3}, 6)
    assert (made.outputs, [*tmp_path.iterdir()]) == ([], [])
    assert [(error.reason, error.detail) for error in made.problems] == [
        (Reason.FRAME_DAMAGED, detail)
    ]


def test_nothing_is_drawn_where_nothing_verifies(tmp_path: Path) -> None:
    said = "no row of the picture verifies: it is not drawn"
    assert_not_drawn(tmp_path, [], said)
    assert_not_drawn(tmp_path, without(rows_of(sample("gray", 5, 96, 80))[1], range(5)), said)


def test_a_large_picture_of_which_little_verifies_is_not_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four rows of 24 MCUs are grey: so many are too many, and as many as there may be are not."""
    data = sample("gray", 5, 96, 80)
    rows = rows_of(data)[1]
    monkeypatch.setattr(tamper, "_GREY_PER_BYTE", 1)
    monkeypatch.setattr(tamper, "_GREY_MCUS", 95 - len(rows[2].data or b""))
    said = "too little of so large a picture verifies: it is not drawn"
    assert_not_drawn(tmp_path, without(rows, [0, 1, 3, 4]), said)
    monkeypatch.setattr(tamper, "_GREY_MCUS", 96 - len(rows[2].data or b""))
    assert len(written(tmp_path, data, without(rows, [0, 1, 3, 4]), {3}, 6).outputs) == 2


@pytest.mark.parametrize("step", [0, 1500])
def test_rows_of_which_only_some_cells_verify(tmp_path: Path, step: int) -> None:
    """They are drawn in `tamper.png` alone, unless an altered one holds levels of no picture."""
    data = Picture([[[step * (at // 4)] + [0] * 63 for at in range(16)]], 2).to_jpeg()
    head, rows = rows_of(data)
    last = rows[3]
    mixed = Rows(last.cut, last.mcus, last.data, CellSet(), CellSet())
    with ExitStack() as stack:
        given_rows = [*without(rows, [0, 1, 2])[:3], mixed]
        made = write_pictures(tmp_path, head, given_rows, Damage(), 1, stack, has_regions=True)
        files.publish_together(made.outputs, lambda: None)
    assert sorted(path.name for path in tmp_path.iterdir()) == [PARTIAL, TAMPER]
    assert (seen(tmp_path, TAMPER)[-16:] == 128).all()


def test_a_folder_that_is_gone_is_a_failure(tmp_path: Path) -> None:
    data = sample("gray", 5, 96, 80)
    with ExitStack() as stack, pytest.raises(OccultaError) as caught:
        write_pictures(tmp_path / "gone", rows_of(data)[0], [], Damage(), 6, stack)
    assert caught.value.reason is Reason.OUTPUT_UNWRITABLE


def test_the_columns_are_those_of_the_picture(tmp_path: Path) -> None:
    data = sample("gray", 5, 96, 80)
    with ExitStack() as stack, pytest.raises(ValueError, match="5 cells in a row"):
        write_pictures(tmp_path, rows_of(data)[0], [], Damage(), 5, stack)
