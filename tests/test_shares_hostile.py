"""Hostile shares cost no more than honest ones: time and memory stay bounded, nothing hangs."""

from __future__ import annotations

import random
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.codec.jpeg.cells import CellKeys, CellReader, Cut, Geometry, Stretch
from occulta.limits import DEFAULT_LIMITS
from occulta.schemes.shares.cellset import CellSet
from occulta.schemes.shares.gather import Gatherer
from occulta.schemes.shares.locate import Place, locate
from occulta.schemes.shares.segments import MARK_SIZE, TARGET, Kind, Segment, SetKeys
from occulta.schemes.shares.split import Splitter
from tests import jpegs
from tests.shares_support import (
    SET_ID,
    Memory,
    Shares,
    flipped,
    frame,
    gather,
    hostile,
    layout,
    make,
    shares_of,
    sources,
    split,
)
from tests.support import KEY, SATELLITE, by_kernel

PICTURE = jpegs.encode(1, 64, 48)


def read() -> tuple[Geometry, bytes, list[Stretch]]:
    """Geometry, headers and rows of PICTURE under the keys of `hostile`."""
    keys = SetKeys(make().set_key, SET_ID)
    reader = CellReader(DEFAULT_LIMITS, CellKeys(keys.cells))
    found = reader.feed(PICTURE) + reader.finish()
    head = b"".join(s.data for s in found[: [s.cut is None for s in found].index(False)])
    assert reader.geometry is not None
    return reader.geometry, head, [s for s in found if s.cut is not None]


GEOMETRY, HEAD, ROWS = read()
FIRST = Cut(0, 0, 0, (0, 0, 0, 0), 0, 0)
AT_END = replace(FIRST, mcu=GEOMETRY.mcus)
BETWEEN = replace(FIRST, mcu=1)


def traced(given: list[bytes]) -> tuple[Gatherer, int]:
    """What was found, and the most memory it took, in bytes."""
    held = sources(given)
    tracemalloc.start()
    found = Gatherer(held, KEY)
    for _ in found.restore():
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return found, peak


# --- segments that no satellite writes


@pytest.mark.arm64
@pytest.mark.parametrize(
    ("cut", "mcus", "cells"),
    [
        (AT_END, 5, 0), (AT_END, 0, 0), (FIRST, 0, 0), (BETWEEN, 4, 4), (FIRST, 3, 3),
        (FIRST, GEOMETRY.mcus + 4, 12), (FIRST, 4, 3), (FIRST, 4, 5), (FIRST, 4, 0),
        (FIRST, (1 << 24) - 1, 4), (replace(FIRST, mcu=(1 << 32) - 1), 4, 4),
    ],
)
def test_rows_that_cannot_be_are_refused(cut: Cut, mcus: int, cells: int) -> None:
    bad = Segment(Kind.CELLS, bytes(40), cut, mcus, bytes(4 * cells))
    found, restored = gather(hostile([Segment(Kind.PLAIN, HEAD), bad], broken={1}))
    assert restored == HEAD
    assert found.damage.coarse == {1}
    assert found.damage.cells == set(range(12))
    assert [(row.mcus, row.data) for row in found.rows()] == [(12, None)]


def test_rows_that_go_back_are_refused() -> None:
    first, second, *_ = (
        Segment(Kind.CELLS, row.data, row.cut, row.mcus, row.hashes) for row in ROWS
    )
    shares = hostile([Segment(Kind.PLAIN, HEAD), second, first], broken={2})
    found, _ = gather(shares)
    assert found.damage.coarse == {2}
    assert sum(row.mcus for row in found.rows()) == 12


# --- memory


def test_a_huge_picture_of_which_nothing_is_there() -> None:
    side = 40_000
    at = HEAD.index(b"\xff\xc0") + 5
    head = HEAD[:at] + 2 * side.to_bytes(2, "big") + HEAD[at + 4 :]
    found, peak = traced(hostile([Segment(Kind.PLAIN, head)]))
    assert found.damage.cells.runs == [range(0, 2500 * 2500)]
    assert len(found.damage.cells) == 2500 * 2500
    assert next(found.damage.cells.rows(2500)) == (0, 0, 2499)
    assert peak < 3_000_000


def test_a_head_that_claims_16_mib_costs_nothing() -> None:
    for form in ("seed", "stream"):
        made, shares = shares_of(form)
        data = bytearray(shares[1])
        for laid in layout(made, shares[1])[1:4]:
            data[laid.start + MARK_SIZE + 2] ^= 0xFC
        found, peak = traced([shares[0], bytes(data)])
        assert found.damage.coarse == {1, 2, 3}
        assert peak < 1_200_000


def test_copies_are_judged_as_they_come() -> None:
    """Four copies of a segment in both shares, none of which verifies."""
    made = make("stream")
    shares = split(by_kernel(frame(), PICTURE), made)
    place = layout(made, shares[1])[1]
    given = []
    for data, header in zip(shares, (share.header for share in made.shares), strict=True):
        start = place.start + len(header) - len(made.shares[1].header)
        copy, at = data[start : start + place.size], 200 + len(given)
        copies = b"".join(flipped(copy, at, 1 + n) for n in range(4))
        given.append(data[:start] + copies + data[start + place.size :])
    found, peak = traced(given)
    assert found.damage.located == {1}
    assert peak < 1_500_000


# --- time


def in_bytes(size: int, form: str = "threshold") -> tuple[list[int], Shares]:
    """Where segments of the last share stand, and shares of random bytes, without cells."""
    made = make(form)
    splitter = Splitter(made, SATELLITE, cells=False)
    parts = zip(splitter.feed(random.Random(3).randbytes(size)), splitter.finish(), strict=True)
    shares = tuple(first + last for first, last in parts)
    return [laid.start for laid in layout(made, shares[-1])], shares


class Counting(Memory):
    """Counts the bytes read."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.total = 0

    def read(self, at: int, size: int) -> bytes:
        found = super().read(at, size)
        self.total += len(found)
        return found


def test_heads_that_claim_much_are_not_believed() -> None:
    """Half the segments four times each, every copy with a size up to the end of the file."""
    starts, shares = in_bytes(60 * TARGET)
    data = shares[2]
    out = bytearray(data[: starts[0]])
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(data)], strict=True)):
        for n in range(4 if number < 30 else 1):
            segment = bytearray(data[start:end])
            if number < 30:
                want = TARGET ^ (len(data) - start - 4096 - 2048 * n)
                for at, byte in enumerate(want.to_bytes(3, "big"), MARK_SIZE + 2):
                    segment[at] ^= byte
            out += segment
    held = [Counting(each) for each in (shares[0], shares[1], bytes(out))]
    found = Gatherer(held, KEY)
    restored = b"".join(found.restore())
    assert found.is_intact
    assert len(restored) == 60 * TARGET
    assert set(found.damage.altered[2]) == set(range(30))
    assert sum(each.total for each in held) < 6 * sum(each.size for each in held)


MARKS = {SetKeys(bytes(32), SET_ID).mark(0, number): number for number in range(12)}


@pytest.mark.parametrize("is_told", [True, False])
def test_long_segments_are_found_without_reading_them(is_told: bool) -> None:
    size, rng = 1200 << 10, random.Random(2)
    data = b"".join(mark + rng.randbytes(size - MARK_SIZE) for mark in [*MARKS][:8])
    source = Counting(data)
    places = locate(source, 0, MARKS, (lambda at, number: size) if is_told else None)
    assert places == [Place(n, n * size, (n + 1) * size) for n in range(8)]
    if is_told:
        assert source.total < len(data)


@pytest.mark.parametrize("told", [None, 1024, 40 << 10, 700 << 10, 1 << 24])
def test_what_a_head_tells_is_only_a_hint(told: int | None) -> None:
    sizes = [5 << 10, 600 << 10, 33 << 10, 300 << 10]
    data = b"".join(m + bytes(size - MARK_SIZE) for m, size in zip(MARKS, sizes, strict=False))
    places = locate(Memory(data), 0, MARKS, lambda at, number: told)
    assert [place.end - place.at for place in places] == sizes


# --- sets of cells


RUNS = st.lists(st.builds(range, st.integers(0, 60), st.integers(0, 60)), max_size=8)


@settings(max_examples=80, deadline=None)
@given(runs=RUNS, start=st.integers(0, 60), stop=st.integers(0, 60), columns=st.integers(1, 9))
def test_sets_of_cells(runs: list[range], start: int, stop: int, columns: int) -> None:
    found, expected = CellSet(runs), {cell for run in runs for cell in run}
    assert found == expected
    assert [*found] == sorted(expected)
    assert len(found) == len(expected)
    assert all((cell in found) == (cell in expected) for cell in range(61))
    assert found.within(start, stop) == {c for c in expected if start <= c < stop}
    by_row = {row * columns + c for row, a, b in found.rows(columns) for c in range(a, b + 1)}
    assert by_row == expected
    assert all(a <= b < columns for _, a, b in found.rows(columns))


def test_a_set_keeps_no_more_runs_than_it_may() -> None:
    every_other = [range(n, n + 1) for n in range(0, 20, 2)]
    assert CellSet(every_other, 3).runs == [range(0, 1), range(2, 3), range(4, 19)]
