"""Cutting real files at rows of cells: all clean ones pass unchanged, the others by number.

Proves over the collection beside the project (skipped where it is absent) that the stretches of
every clean file and of every 12-bit one join to it, that each row decodes by itself to the same
hashes, and that every other file is refused with a number or passes unchanged.
"""

from __future__ import annotations

import pytest

from occulta.errors import OccultaError
from tests.cell_pictures import decoder, hashes, joined, read, rows
from tests.support import runs_compiled
from tests.test_corpus import CLEAN, CODED_OTHERWISE, DEEP, ENTRIES, OTHERS, Entry, each
from tests.test_corpus import load_small as load


@each(CLEAN + DEEP)
def test_clean_file(entry: Entry) -> None:
    original = load(entry)
    found = read(original, 10_000)
    assert joined(found) == original
    if not rows(found):
        return
    by_itself = decoder(found)
    grid = by_itself.geometry.grid
    assert len(hashes(found)) == grid.columns * grid.rows
    for stretch in rows(found):
        assert stretch.cut is not None
        decoded = by_itself.decode(stretch.cut, stretch.data, stretch.mcus)
        assert decoded[:3] == (stretch.hashes, stretch.mcus, True)


@each(CODED_OTHERWISE + OTHERS)
def test_other_file_is_refused_or_passes(entry: Entry) -> None:
    original = load(entry)
    try:
        assert joined(read(original)) == original
    except OccultaError as error:
        assert error.reason.value // 100 == 3


def test_most_clean_files_are_cut() -> None:
    if not ENTRIES:
        pytest.skip("no collection beside the project")
    if not runs_compiled():
        pytest.skip("the plain kernel is too slow for these")
    small = [e for e in CLEAN if e.process.startswith("SOF0")][:20]
    assert sum(bool(rows(read(load(entry)))) for entry in small) >= 18
