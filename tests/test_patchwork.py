"""Partial pictures: verified runs as they were, grey in all other places.

Proves on every kind of sequential file that is one interleaved scan (12-bit, optimised tables and
restart intervals among them), by a second decoder, that what is written has exactly the original's
coefficients in the rows given and zero elsewhere, but for the level in the last block before a run;
that Pillow and djpeg decode it without complaint; and that damage ends in a numbered reason.
"""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from occulta.codec.jpeg.cells import CellKeys, CellReader, Cut, Stretch
from occulta.codec.jpeg.grey import complete_table
from occulta.codec.jpeg.huffman import AC, ANNEX_K, DC, HuffmanTable, parse_dht
from occulta.codec.jpeg.patchwork import Patchwork
from occulta.errors import OccultaError, Reason
from occulta.limits import DEFAULT_LIMITS
from tests.decoder import Scan, decode
from tests.encoder import Picture, flat_table, segment, wide_tables
from tests.jpegs import find, pixels, sample, segments
from tests.support import by_kernel, compiled_kernel

DJPEG = shutil.which("djpeg")
KINDS = [
    "gray", "gray_q95", "ycc444", "ycc422", "ycc420", "ycc411", "cmyk", "odd_size", "optimised",
    "restart_blocks", "restart_rows", "fill_bytes", "trailer", "no_eoi", "thumbnail", "mjpeg",
    "one_dht", "zero_padding", "odd_padding", "by_hand", "deep",
]
ZERO = (0,) * 64


class Cutting(NamedTuple):
    """A file, its headers, the rows of cells it is cut into, and what a second decoder reads."""

    data: bytes
    head: bytes
    rows: list[Stretch]
    scan: Scan


def cut(data: bytes) -> Cutting:
    reader = CellReader(DEFAULT_LIMITS, CellKeys(bytes(16)))
    rows = [row for row in reader.feed(data) + reader.finish() if row.cut is not None]
    head = data[: data.index(rows[0].data)]
    return Cutting(data, head, rows, decode(data))


@cache
def original(kind: str) -> Cutting:
    return cut(sample(kind, 5, 96, 80))


Runs = list[tuple[int, int]]
"""First row of cells and the one behind the last."""


def joined(rows: list[Stretch]) -> tuple[Cut, int, bytes]:
    """Rows that follow each other as one run."""
    assert rows[0].cut is not None
    return rows[0].cut, sum(row.mcus for row in rows), b"".join(row.data for row in rows)


def patched(whole: Cutting, runs: Runs, kernel: str | None = None) -> bytes:
    """The partial picture with these rows of the original, each run added at once."""
    work = Patchwork(whole.head, DEFAULT_LIMITS, kernel)
    out = b""
    for first, end in runs:
        run = joined(whole.rows[first:end])
        out += work.skip(run[0].mcu - work.position)
        out += work.add(*run)
    return out + work.finish()


def assert_shows(whole: Cutting, runs: Runs, made: bytes) -> None:
    """Exactly the original in the runs; grey elsewhere, but for the level before a run."""
    after = decode(made)
    assert made[after.end :] == b"\xff\xd9"
    shown: set[int] = set()
    before: set[int] = set()
    for start, mcus, _ in (joined(whole.rows[a:b]) for a, b in runs):
        shown |= set(range(start.mcu, start.mcu + mcus))
        before.add(start.mcu - 1)
    for number, (was, now) in enumerate(zip(whole.scan.mcus, after.mcus, strict=True)):
        if number in shown:
            assert now == was, number
        else:
            assert all(block[1:] == ZERO[1:] for block in now), number
            assert number in before or all(block[0] == 0 for block in now), number


def rows_of(whole: Cutting, chosen: Callable[[int], bool]) -> Runs:
    """The rows of which `chosen` says so, each a run of its own."""
    return [(row, row + 1) for row in range(len(whole.rows)) if chosen(row)]


CHOICES: dict[str, Callable[[int], bool]] = {
    "all": lambda row: True,
    "none": lambda row: False,
    "even": lambda row: row % 2 == 0,
    "odd": lambda row: row % 2 == 1,
    "first missing": lambda row: row > 0,
    "first only": lambda row: row == 0,
    "middle missing": lambda row: row not in (2, 3),
    "middle only": lambda row: row in (2, 3),
}


@pytest.mark.parametrize("kind", KINDS)
def test_shows_the_rows_that_verify(kind: str) -> None:
    whole = original(kind)
    assert len(whole.rows) == 5
    for chosen in CHOICES.values():
        runs = rows_of(whole, chosen)
        assert_shows(whole, runs, patched(whole, runs))


@pytest.mark.parametrize("kind", KINDS)
def test_rows_one_by_one_or_joined(kind: str) -> None:
    whole = original(kind)
    one_by_one = patched(whole, [(1, 2), (2, 3), (4, 5)])
    assert one_by_one == patched(whole, [(1, 3), (4, 5)])
    assert_shows(whole, [(1, 3), (4, 5)], one_by_one)


@given(st.sampled_from(KINDS), st.sets(st.integers(0, 9), min_size=1))
@settings(max_examples=by_kernel(80, 25), deadline=None)
def test_any_rows_of_any_file(kind: str, chosen: set[int]) -> None:
    whole = cut(sample(kind, 6, 48, 160)) if kind == "restart_blocks" else original(kind)
    runs = rows_of(whole, chosen.__contains__)
    assert_shows(whole, runs, patched(whole, runs))


@pytest.mark.parametrize("kind", ["ycc420", "restart_blocks", "deep"])
def test_what_follows_a_run_is_left_alone(kind: str) -> None:
    """A run may come with all the data that its segment holds."""
    whole = original(kind)
    start, mcus, data = joined(whole.rows[1:2])
    work = Patchwork(whole.head, DEFAULT_LIMITS)
    out = work.skip(start.mcu) + work.add(start, mcus, data + whole.rows[2].data)
    assert out + work.finish() == patched(whole, [(1, 2)])


@pytest.mark.parametrize("kind", ["restart_rows", "restart_blocks"])
def test_grey_in_pieces_is_the_same_grey(kind: str) -> None:
    whole = cut(sample(kind, 5, 96, 160))
    work = Patchwork(whole.head, DEFAULT_LIMITS)
    out = b"".join(work.skip(1) for _ in range(work.mcus)) + work.finish()
    assert out == patched(whole, []) == patched(whole, [])


@pytest.mark.skipif(compiled_kernel() is None, reason="the kernel is not compiled")
@pytest.mark.parametrize("kind", ["ycc420", "restart_blocks", "deep"])
def test_both_kernels_write_the_same(kind: str) -> None:
    whole = original(kind)
    plain, compiled = (patched(whole, [(1, 2), (4, 5)], name) for name in ("plain", "compiled"))
    assert plain == compiled


# --- other decoders


def seen(made: bytes) -> np.ndarray:
    """What djpeg decodes without smoothing; any warning fails."""
    options = [str(DJPEG), "-nosmooth", "-dct", "int", "-pnm"]
    done = subprocess.run(options, input=made, capture_output=True, check=True)
    assert done.stderr == b""
    with Image.open(io.BytesIO(done.stdout)) as image:
        return np.asarray(image)


@pytest.mark.skipif(DJPEG is None, reason="djpeg is not installed")
@pytest.mark.parametrize("kind", ["gray", "ycc444", "ycc422", "ycc420", "optimised",
                                  "restart_blocks", "restart_rows", "odd_size"])
def test_djpeg_shows_the_same_pixels(kind: str) -> None:
    whole = original(kind)
    made, expected = seen(patched(whole, [(0, 1), (2, 3), (4, 5)])), seen(whole.data)
    assert made.shape == expected.shape
    for row, top in enumerate(range(0, len(made), 16)):
        part = slice(top, top + 16)
        if row % 2 == 0:
            assert np.array_equal(made[part], expected[part])
        else:  # all but the last MCU: its last block is at the level of what is lost
            assert (made[part, :-16] == 128).all()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "deep"])
def test_pillow_decodes_it(kind: str) -> None:
    whole = original(kind)
    made = patched(whole, rows_of(whole, CHOICES["odd"]))
    with Image.open(io.BytesIO(made)) as image, Image.open(io.BytesIO(whole.data)) as other:
        image.load()
        assert (image.size, image.mode) == (other.size, other.mode)


@pytest.mark.parametrize("kind", ["gray", "ycc420", "by_hand", "one_dht"])
def test_pillow_shows_all_that_was_given(kind: str) -> None:
    whole = original(kind)
    assert pixels(patched(whole, rows_of(whole, CHOICES["all"]))) == pixels(whole.data)


# --- headers and tables


@pytest.mark.parametrize("kind", ["thumbnail", "optimised", "restart_rows", "one_dht"])
def test_headers_stay_but_for_the_tables(kind: str) -> None:
    whole = original(kind)
    made = patched(whole, [])
    kept = [whole.data[a:b] for marker, a, b in segments(whole.data) if marker != 0xC4]
    assert [made[a:b] for marker, a, b in segments(made) if marker != 0xC4] == kept
    found = [marker for marker, _, _ in segments(made)]
    assert found[-2:] == [0xC4, 0xDA]
    assert found.count(0xC4) == 1


def tables_in(made: bytes) -> list[tuple[int, int, HuffmanTable]]:
    start, end = find(made, 0xC4)
    return parse_dht(made[start + 4 : end])


def test_tables_get_what_grey_needs_and_no_more() -> None:
    whole = original("optimised")
    before = {(kind, slot): t for m, a, b in segments(whole.data) if m == 0xC4
              for kind, slot, t in parse_dht(whole.data[a + 4 : b])}
    for kind, slot, table in tables_in(patched(whole, [])):
        if kind == AC:
            assert table == before[kind, slot]
        else:
            assert sorted(table.symbols) == list(range(12))
            assert table != before[kind, slot]
    deep = tables_in(patched(original("deep"), []))
    assert [sorted(t.symbols) for kind, _, t in deep if kind == DC] == [list(range(16))]


def test_a_table_that_has_all_is_kept() -> None:
    for table in ANNEX_K.values():
        assert complete_table(table, [0, 1, 2]) is table


@given(st.sets(st.integers(0, 255), min_size=1), st.integers(8, 16))
@settings(max_examples=by_kernel(40, 20), deadline=None)
def test_completed_tables_are_valid(symbols: set[int], length: int) -> None:
    made = complete_table(flat_table(sorted(symbols), length), range(256))
    assert sorted(made.symbols) == list(range(256))
    HuffmanTable.checked(made.counts, made.symbols)
    if len(symbols) < 256:
        assert all(code != (1 << length) - 1 for _, code, length in made.codes)


def test_no_code_for_the_end_of_a_block() -> None:
    """A file whose blocks are all full and whose table lacks it."""
    blocks = [[index - 4, *([3, -1, 2] * 21)] for index in range(16)]
    data = Picture([blocks], 2, tables={**ANNEX_K, (1, 0): flat_table([1, 2], 2)}).to_jpeg()
    whole = cut(data)
    assert_shows(whole, [(1, 2), (3, 4)], patched(whole, [(1, 2), (3, 4)]))


def test_levels_of_twelve_bits() -> None:
    """Both signs, up to the edge of what 12-bit samples give."""
    blocks = [[(-16384, 16383, 0, -5, 7)[at % 5], *range(63)] for at in range(60)]
    whole = cut(Picture([blocks], 6, tables=wide_tables(), precision=12).to_jpeg())
    for runs in ([(0, 1), (2, 3), (4, 5)], [(1, 2), (3, 4)]):
        assert_shows(whole, runs, patched(whole, runs))


def test_levels_beyond_the_range_are_refused() -> None:
    """Differences that add up to what 12 categories cannot say: not an 8-bit picture."""
    whole = cut(Picture([[[1500 * (at // 4)] + [0] * 63 for at in range(16)]], 2).to_jpeg())
    with pytest.raises(OccultaError) as caught:
        patched(whole, [(2, 3)])
    assert caught.value.reason is Reason.COEFFICIENT_OVERRUN


def refused(head: bytes) -> Reason:
    with pytest.raises(OccultaError) as caught:
        Patchwork(head, DEFAULT_LIMITS)
    return caught.value.reason


def test_heads_that_do_not_fit_are_refused() -> None:
    head = original("ycc420").head
    tables = head[: find(head, 0xDA)[0]]
    assert refused(head[:-1]) is Reason.BAD_SCAN
    assert refused(head + b"\x12") is Reason.BAD_SCAN
    assert refused(b"GIF89a") is Reason.NOT_JPEG
    assert refused(tables) is Reason.BAD_SCAN
    assert refused(b"") is Reason.BAD_SCAN
    for kind in ("progressive", "not_interleaved", "dnl"):
        data = sample(kind)
        assert refused(data[: find(data, 0xDA)[1]]) is Reason.BAD_SCAN
    other = segment(0xDA, b"\x01\x05\x00\x00\x3f\x00")
    assert refused(tables + other) is Reason.BAD_SCAN


# --- misuse and damage


def test_runs_stand_in_order() -> None:
    whole = original("gray")
    work = Patchwork(whole.head, DEFAULT_LIMITS)
    work.skip(24)
    with pytest.raises(ValueError, match="from 48, at 24"):
        work.add(*joined(whole.rows[2:3]))
    run, mcus, data = joined(whole.rows[1:2])
    assert mcus == 24
    for count in (0, -1, 97):
        with pytest.raises(ValueError, match="a run of"):
            work.add(run, count, data)
    for count in (-1, 97):
        with pytest.raises(ValueError, match="of which 96 are left"):
            work.skip(count)
    work.skip(1)
    with pytest.raises(ValueError, match="from 25, at 25"):
        work.add(replace(run, mcu=25), 1, data)
    assert (work.position, work.mcus) == (25, 120)


@given(st.data())
@settings(max_examples=by_kernel(80, 25), deadline=None)
def test_runs_that_are_wrong_end_in_a_number(data: st.DataObject) -> None:
    whole = original(data.draw(st.sampled_from(["gray", "ycc420", "restart_blocks"])))
    start, mcus, run = joined(whole.rows[1:3])
    altered = bytearray(run)
    for _ in range(data.draw(st.integers(0, 4))):
        altered[data.draw(st.integers(0, len(run) - 1))] = data.draw(st.integers(0, 255))
    kept = bytes(altered[: data.draw(st.integers(0, len(run)))])
    work = Patchwork(whole.head, DEFAULT_LIMITS)
    work.skip(start.mcu)
    try:
        work.add(start, mcus, kept)
        work.finish()
    except OccultaError as error:
        assert error.reason in (
            Reason.BAD_CODE, Reason.BAD_RESTART, Reason.COEFFICIENT_OVERRUN, Reason.TRUNCATED
        )
