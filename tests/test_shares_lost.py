"""What is left of shares that were cut, and of rows of cells in which decoding lost step."""

from __future__ import annotations

import io
import random
from typing import Any

import numpy as np
import pytest
from PIL import Image

from occulta.codec.jpeg.cells import CellDecoder, CellKeys, CellReader, Stretch
from occulta.codec.jpeg.patchwork import Patchwork
from occulta.limits import DEFAULT_LIMITS
from occulta.schemes.shares import split as splitting
from occulta.schemes.shares.damage import Rows
from occulta.schemes.shares.gather import Gatherer
from occulta.schemes.shares.regions import Regions
from occulta.schemes.shares.segments import GRAIN, TARGET, Kind
from occulta.schemes.shares.split import Splitter
from tests import jpegs
from tests.cell_pictures import sampled
from tests.decoder import decode
from tests.shares_support import (
    Laid,
    Shares,
    cipher_index,
    flipped,
    frame,
    gather,
    layout,
    make,
    shares_of,
    split,
)
from tests.support import SATELLITE, by_kernel

# --- the end


def ends(form: str) -> tuple[list[bytes], list[int], int]:
    """Shares, where the last segment of each begins, and its number."""
    made, shares = shares_of(form)
    laid = layout(made, shares[cipher_index(form)])
    return list(shares), [len(data) - laid[-1].size for data in shares], len(laid) - 1


@pytest.mark.parametrize(
    ("form", "cut"),
    [("seed", {1}), ("stream", {0}), ("stream", {1}), ("stream", {0, 1}), ("threshold", {1}),
     ("threshold", {0, 1, 2})],
)
def test_a_share_without_its_end_is_blamed(form: str, cut: set[int]) -> None:
    shares, starts, last = ends(form)
    for index in cut:
        shares[index] = shares[index][: starts[index]]
    found, restored = gather(shares)
    assert restored == frame()
    assert found.damage.altered == {index: {last} for index in cut}
    is_lost = form != "threshold" or len(cut) == 3
    assert found.damage.end_lost == is_lost
    assert found.is_intact != is_lost


def test_a_share_that_is_nothing_but_its_header_is_blamed() -> None:
    made, (a, b) = shares_of("seed")
    found, restored = gather([a, b[: len(made.shares[1].header)]])
    assert (restored, found.damage.altered) == (b"", {1: {0}})
    assert found.damage.end_lost


def test_an_end_that_was_swapped_into_another_segment_is_found() -> None:
    shares, starts, last = ends("seed")
    share, begin = shares[1], starts[1]
    inside = layout(shares_of("seed")[0], share)[1].start + 700
    size = len(share) - begin
    swapped = (
        share[:inside] + share[begin:] + share[inside + size : begin]
        + share[inside : inside + size]
    )
    found, _ = gather([shares[0], swapped])
    assert found.conclusion is not None and not found.damage.end_lost
    assert last in found.damage.moved[1]
    assert found.damage.coarse | found.damage.located == {1}


# --- large cuts


def in_bytes(size: int) -> tuple[bytes, Shares, list[Laid]]:
    """Random bytes, their shares, and the segments of share b."""
    data, made = random.Random(3).randbytes(size), make()
    splitter = Splitter(made, SATELLITE, cells=False)
    parts = zip(splitter.feed(data), splitter.finish(), strict=True)
    a, b = (first + last for first, last in parts)
    return data, (a, b), layout(made, b)


@pytest.mark.parametrize("kept", [1, 2, 3, 70])
def test_what_stands_behind_a_large_cut_is_restored(kept: int) -> None:
    data, (a, b), laid = in_bytes(150 * TARGET + 7)
    found, restored = gather([a, b[: laid[0].start] + b[laid[-kept].start :]])
    assert restored == data[len(data) - sum(len(s.segment.data) for s in laid[-kept:-1]) :]
    assert found.conclusion is not None
    assert found.damage.missing == set(range(len(laid) - kept))
    assert not found.damage.end_lost


def test_a_large_cut_behind_the_first_segments() -> None:
    data, (a, b), laid = in_bytes(150 * TARGET)
    whole = b[: laid[2].start] + b[laid[140].start :]
    found, restored = gather([a, whole])
    assert restored == data[: 2 * TARGET] + data[140 * TARGET :]
    assert found.damage.missing == set(range(2, 140))


def test_nothing_is_looked_for_behind_a_sound_end() -> None:
    """A share cut off between segments has nothing that is not accounted for."""
    _, (a, b), laid = in_bytes(20 * TARGET)
    found, restored = gather([a, b[: laid[10].start]])
    assert len(restored) == 10 * TARGET
    assert found.damage.altered == {1: {10}}


# --- restart markers


def rows_of(picture: bytes) -> tuple[CellReader, list[Stretch]]:
    reader = CellReader(DEFAULT_LIMITS, CellKeys(bytes(16)))
    rows = [s for s in reader.feed(picture) + reader.finish() if s.cut is not None]
    return reader, rows


def first_rows() -> tuple[Laid, list[Stretch]]:
    """The second segment of the frame and its rows of cells, each a restart interval."""
    made, shares = shares_of("seed")
    laid = next(each for each in layout(made, shares[1])[2:] if each.segment.kind is Kind.CELLS)
    cut, mcus = laid.segment.cut, laid.segment.mcus
    rows = [row for row in rows_of(frame())[1] if cut.mcu <= row.cut.mcu < cut.mcu + mcus]
    assert len(rows) >= 4
    return laid, rows


def cells_in(rows: list[Stretch]) -> set[int]:
    columns = 28
    return {c for row in rows for c in range(row.cut.mcu, row.cut.mcu + columns)}


def assert_rows_restored(found: Gatherer, lost: list[Stretch]) -> None:
    """Every row but those lost comes back, with data that decodes to what was there."""
    assert found.damage.cells <= cells_in(lost)
    rows: list[Rows] = list(found.rows())
    assert sum(row.mcus for row in rows) == 28 * 20
    assert sum(row.mcus for row in rows if row.data is None) <= 28 * len(lost)
    decoder = CellDecoder(found.head, CellKeys(bytes(16)), DEFAULT_LIMITS)
    hashes = {row.cut.mcu: row.hashes for row in rows_of(frame())[1]}
    for row in rows:
        if row.data is not None:
            decoded = decoder.decode(row.cut, row.data, row.mcus).hashes
            true = b"".join(hashes[row.cut.mcu + n] for n in range(0, row.mcus, 28))
            assert decoded == true


@pytest.mark.arm64
@pytest.mark.parametrize("number", [0, 1])
def test_decoding_goes_on_at_the_next_restart_marker(number: int) -> None:
    laid, rows = first_rows()
    a, b = shares_of("seed")[1]
    start = laid.data_start + sum(len(row.data) for row in rows[:number])
    rng = random.Random(number)
    lost_step = 0
    for _ in range(by_kernel(25, 2)):
        at = start + rng.randrange(len(rows[number].data) - 2)
        found, _ = gather([a, flipped(b, at, 1 << rng.randrange(8))])
        assert_rows_restored(found, [rows[number]])
        lost_step += len(found.damage.cells) > 2
    assert lost_step or by_kernel(0, 1)


@pytest.mark.parametrize("mask", [1, 2, 8, 0x80])
def test_an_altered_restart_marker_loses_a_row(mask: int) -> None:
    laid, rows = first_rows()
    a, b = shares_of("seed")[1]
    at = laid.data_start + len(rows[0].data) + len(rows[1].data) - 1
    found, _ = gather([a, flipped(b, at, mask)])
    assert_rows_restored(found, rows[1:3])


@pytest.mark.parametrize("size", [1, 300, GRAIN])
def test_bytes_cut_out_of_a_row_lose_what_is_behind_it(size: int) -> None:
    laid, rows = first_rows()
    a, b = shares_of("seed")[1]
    at = laid.data_start + len(rows[0].data) + 20
    found, _ = gather([a, b[:at] + b[at + size :]])
    assert_rows_restored(found, rows[1:])


# --- rows behind the damage


def patched(found: Gatherer) -> bytes:
    """The partial picture."""
    work = Patchwork(found.head, DEFAULT_LIMITS)
    out = b""
    for row in found.rows():
        out += work.skip(row.cut.mcu - work.position)
        if row.data is not None:
            out += work.add(row.cut, row.mcus, row.data)
    return out + work.finish()


BEHIND = {
    "4:2:0": jpegs.encode(5, 96, 160, quality=95),
    "4:4:4": jpegs.encode(6, 96, 160, quality=95, subsampling=0),
    "restarts within rows": jpegs.encode(7, 96, 160, quality=95, restart_marker_blocks=4),
    "three rows in two": sampled(((1, 3), (1, 1)), 70, 231, 9).to_jpeg(),
}


@pytest.mark.parametrize("kind", BEHIND)
def test_every_row_that_verifies_is_shown(kind: str) -> None:
    """Exactly the original's coefficients in it, DC of every component too, and grey elsewhere."""
    picture, made = BEHIND[kind], make()
    a, b = split(picture, made)
    laid = next(each for each in layout(made, b) if each.segment.kind is Kind.CELLS)
    expected = decode(picture).mcus
    geometry = rows_of(picture)[0].geometry
    row_of, columns = geometry.row_of, geometry.grid.columns
    rng, behind = random.Random(kind), 0
    for _ in range(by_kernel(10, 2)):
        at = laid.data_start + rng.randrange(len(laid.segment.data))
        found, _ = gather([a, flipped(b, at, 1 << rng.randrange(8))])
        rows = list(found.rows())
        shown = [row for row in rows if row.data is not None]
        assert not any(row.damaged for row in shown)
        bands = [row.cut.mcu for row in rows_of(picture)[1]]
        hurt = {max(mcu for mcu in bands if row_of(mcu) <= cell // columns)
                for cell in found.damage.cells}
        assert [row.cut.mcu + n for row in rows if row.data is None
                for n in range(row.mcus) if row.cut.mcu + n in bands] == sorted(hurt)
        mcus = {n for row in shown for n in range(row.cut.mcu, row.cut.mcu + row.mcus)}
        after = decode(patched(found)).mcus
        assert all(after[n] == expected[n] for n in mcus)
        assert all(not any(block[1:]) for n, mcu in enumerate(after) if n not in mcus
                   for block in mcu)
        lost = [row.cut.mcu for row in rows if row.data is None]
        behind += bool(lost) and any(row.cut.mcu > lost[0] for row in shown)
    assert behind or by_kernel(0, 1)


# --- regions, long rows, the last row


def test_damage_outside_the_regions_is_said_to_be_there() -> None:
    made = make(regions=Regions(((0, 0, 40, 20),)))
    a, b = split(frame(), made)
    number, laid = [
        (n, each) for n, each in enumerate(layout(made, b)) if each.segment.kind is Kind.CELLS
    ][1]
    in_step = 0
    for at in range(40, 400, 24):
        found, _ = gather([a, flipped(b, laid.data_start + at)])
        assert found.damage.located == {number}
        assert found.damage.outside == (set() if found.damage.cells else {number})
        in_step += not found.damage.cells
    assert in_step > 5


def saved(image: Image.Image, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", **options)
    return stream.getvalue()


def noisy_below(flat_first: bool) -> bytes:
    rng = np.random.default_rng(1)
    pixels = np.zeros((160, 800), np.uint8)
    pixels[80:] = rng.integers(0, 256, (80, 800))
    return saved(Image.fromarray(pixels if flat_first else pixels[::-1].copy()), quality=90)


@pytest.mark.parametrize("flat_first", [True, False])
def test_rows_too_long_for_a_segment_are_not_called_damaged(
    flat_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splitting, "MAX_DATA", TARGET + 4000)
    picture, made = noisy_below(flat_first), make()
    a, b = split(picture, made)
    laid = layout(made, b)
    (number,) = (n for n, each in enumerate(laid) if each.segment.kind is Kind.CELLS)
    mark = flipped(b, laid[0].start + 2)
    found, restored = gather([a, mark])
    assert (restored, found.damage.digest_matches) == (picture, True)
    assert found.damage.cells == set()
    found, _ = gather([a, flipped(b, laid[number].data_start + 20)])
    rows = range(0, 5) if flat_first else range(5, 10)
    assert found.grid == (50, 10)
    assert found.damage.cells
    assert found.damage.cells <= {50 * row + column for row in rows for column in range(50)}
    assert found.head == picture[: jpegs.find(picture, 0xDA)[1]]
    assert sum(row.mcus for row in found.rows()) == 2000
    other = next(n for n, each in enumerate(laid) if n not in (0, number))
    found, _ = gather([a, flipped(b, laid[other].start + 500)])
    hit = {50 * row + column for row in range(10) if row not in rows for column in range(50)}
    assert found.damage.cells == hit


def test_a_last_row_within_the_byte_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of four bits: what follows the scan is plain all the same."""
    monkeypatch.setattr(splitting, "TARGET", 1)
    picture = saved(Image.new("L", (8, 96), 128), quality=50, optimize=True)
    rows = rows_of(picture)[1]
    assert [len(row.data) for row in rows][-1] == 0
    made = make()
    a, b = split(picture, made)
    segments = [each.segment for each in layout(made, b)]
    assert [segment.kind for segment in segments[-4:-1]] == [Kind.CELLS, Kind.PLAIN, Kind.PLAIN]
    assert (segments[-4].data, len(segments[-4].hashes)) == (b"", 4 * segments[-4].mcus // 2)
    assert segments[-3].data + segments[-2].data == b"\xff\xd9"
    found, restored = gather([a, b])
    assert (restored, found.is_intact) == (picture, True)
