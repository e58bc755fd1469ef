"""Cutting at rows of cells: the bytes pass unchanged, the hashes are those of the coefficients.

Proves for every kind of file and every pair of sampling factors that the stretches joined are the
file, however it was cut into chunks; that cuts stand where rows of cells begin; that each cell's
hash is the one computed from the coefficients that were written, so that another coefficient
changes the hashes of the cells its block covers and no others; that damaged files are refused by
number.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import cells
from occulta.codec.jpeg.cell_grid import spans
from occulta.codec.jpeg.cells import CellKeys, CellReader, Decoded, Grid
from occulta.codec.jpeg.engine import MARGIN
from occulta.errors import OccultaError, Reason
from occulta.limits import DEFAULT_LIMITS, Limits
from tests.cell_pictures import (
    KEYS,
    Factors,
    decoder,
    hashes,
    joined,
    read,
    read_chunks,
    rows,
    sampled,
)
from tests.encoder import Picture, flat_table, random_blocks
from tests.jpegs import KINDS, PROGRESSIVE, sample
from tests.support import by_kernel, pieces

EXAMPLES = settings(
    deadline=None, derandomize=True, database=None, max_examples=by_kernel(60, 15)
)
UNCUT = {"not_interleaved", "redeclared", "dnl", *PROGRESSIVE}
ONE = ((1, 1),)
SAMPLINGS: list[Factors] = [
    ONE,
    ((2, 2),),
    ((1, 1), (1, 1), (1, 1)),
    ((2, 1), (1, 1), (1, 1)),
    ((1, 2), (1, 1), (1, 1)),
    ((2, 2), (1, 1), (1, 1)),
    ((4, 1), (1, 1), (1, 1)),
    ((1, 4), (1, 1), (1, 1)),
    ((2, 2), (2, 1), (1, 2)),
    ((3, 1), (2, 1), (1, 1)),
    ((1, 3), (1, 2), (1, 1)),
    ((4, 2), (1, 1), (1, 1)),
    ((1, 1), (1, 1), (1, 1), (2, 2)),
    ((4, 1), (3, 1)),
    ((1, 4), (1, 3)),
    ((2, 4), (1, 1)),
]
SIZES = [(1, 1), (16, 16), (17, 33), (40, 50), (64, 25), (95, 81)]


def name(factors: Factors) -> str:
    return "-".join(f"{h}x{v}" for h, v in factors)


def refusal(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Reason:
    reader = CellReader(limits, KEYS)
    with pytest.raises(OccultaError) as caught:
        reader.feed(data)
        reader.finish()
    return caught.value.reason


# --- bytes and cuts


@pytest.mark.parametrize("kind", KINDS)
def test_the_stretches_are_the_file(kind: str) -> None:
    data = sample(kind)
    found = read(data)
    assert joined(found) == data
    assert all(stretch.data for stretch in found)
    if kind in UNCUT:
        assert rows(found) == []
    else:
        assert [len(stretch.hashes) for stretch in rows(found)] == [4 * 6] * 5
        assert joined([stretch for stretch in found if stretch.cut is None]) != b""


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_of_a_few_bytes(kind: str) -> None:
    data = sample(kind)
    found = read(data, 5)
    assert joined(found) == data
    assert rows(found) == rows(read(data))


@given(st.sampled_from(sorted(KINDS)), st.lists(st.integers(0, 9000), max_size=12))
@EXAMPLES
def test_chunks_do_not_matter(kind: str, cuts: list[int]) -> None:
    data = sample(kind)
    found = read_chunks(list(pieces(data, cuts)))
    assert joined(found) == data
    assert rows(found) == rows(read(data))


@pytest.mark.parametrize("interval", [1, 2, 5, 6, 12, 13, 100])
@pytest.mark.parametrize("factors", [ONE, ((2, 2), (1, 1), (1, 1))], ids=name)
def test_cuts_know_the_restart_state(factors: Factors, interval: int) -> None:
    picture = sampled(factors, 93, 80, interval)
    found = rows(read(picture.to_jpeg()))
    assert len(found) == 5
    for stretch in found:
        cut = stretch.cut
        assert cut is not None
        assert cut.interval_left == interval - cut.mcu % interval
        assert cut.next_restart == cut.mcu // interval % 8
        if cut.mcu % interval == 0:
            assert (cut.bit, cut.byte, cut.predictors) == (0, 0, (0, 0, 0, 0))


def test_markers_behind_an_interval_belong_to_the_row_before() -> None:
    data = sampled(((2, 2), (1, 1), (1, 1)), 96, 48, 6).to_jpeg()
    found = read(data)
    ends = [stretch.data[-2:] for stretch in rows(found)[:-1]]
    assert ends == [b"\xff\xd0", b"\xff\xd1"]
    assert found[-1].data == b"\xff\xd9"
    assert rows(found)[-1].data[-2:-1] != b"\xff"


def test_stray_restart_markers_at_the_end_are_plain() -> None:
    data = sample("gray")
    found = read(data[:-2] + b"\xff\xd3\xff\xd9")
    assert joined([s for s in found[-3:] if s.cut is None]) == b"\xff\xd3\xff\xd9"
    assert rows(found) == rows(read(data))


def test_a_cut_tells_the_byte_it_shares() -> None:
    """Each cut's bits are those at the end of the row before: seen over every bit offset."""
    found = [
        pair for seed in range(6)
        for pair in itertools.pairwise(rows(read(sampled(ONE, 33, 160, seed=seed).to_jpeg())))
    ]
    assert {after.cut.bit for _, after in found if after.cut} == set(range(8))
    for before, after in found:
        assert after.cut is not None
        if after.cut.bit:
            tail = before.data.replace(b"\xff\x00", b"\xff")[-1]
            assert after.cut.byte == tail
        else:
            assert after.cut.byte == 0


def test_a_shared_byte_of_ones_keeps_its_stuffed_zero() -> None:
    """Seven ones end a row and five begin the next: FF between them is not torn from its 00."""
    bits = set()
    for value, other in itertools.product((0, 1, 2, 4, 8, 16, 32, 64), (0, 1)):
        blocks = [[0] * 64 for _ in range(4)]
        blocks[0][1] = other
        blocks[0][0] = blocks[1][0] = value
        blocks[1][63] = 127
        blocks[2][0] = value + 200
        data = Picture([blocks], 1).to_jpeg()
        found = read(data)
        assert joined(found) == data
        first, second = rows(found)
        assert second.cut is not None
        if second.cut.byte == 0xFF:
            bits.add(second.cut.bit)
            assert first.data.endswith(b"\xff\x00")
            again = decoder(found).decode(second.cut, second.data, 2)
            assert again == Decoded(second.hashes, 2, True, (0, 0, 0, 0), [(0, second.cut)])
    assert bits >= {3, 4, 5, 6, 7}


def test_a_row_can_lie_within_one_byte() -> None:
    """Rows of cells of four bits: the second one of each byte is empty, its cut says it all."""
    tables = {(0, 0): flat_table([0], 1), (1, 0): flat_table([0], 1)}
    data = Picture([[[0] * 64 for _ in range(12)]], 1, tables=tables).to_jpeg()
    found = read(data)
    assert joined(found) == data
    assert [(s.mcus, s.data) for s in rows(found)] == [(2, b"\0"), (2, b"")] * 3
    assert [s.cut and (s.cut.bit, s.cut.byte) for s in rows(found)] == [(0, 0), (4, 0)] * 3
    for stretch in rows(found):
        assert stretch.cut is not None
        decoded = decoder(found).decode(stretch.cut, stretch.data, 2)
        assert decoded == Decoded(stretch.hashes, 2, True, (0, 0, 0, 0), [(0, stretch.cut)])


@pytest.mark.parametrize("kind", ["gray", "ycc420", "progressive"])
def test_little_is_held_back(kind: str) -> None:
    data = KINDS[kind](1, 96, 1600)
    largest = max((len(stretch.data) for stretch in rows(read(data))), default=0)
    reader = CellReader(DEFAULT_LIMITS, KEYS)
    out = 0
    for at in range(0, len(data), 500):
        out += len(joined(reader.feed(data[at : at + 500])))
        assert at + 500 - out <= MARGIN + largest + 500
    assert len(data) - out < len(data) // 2


def test_a_scan_of_some_components_is_plain() -> None:
    parts = [random_blocks(seed, 12) for seed in range(3)]
    data = Picture(parts, 3, interleaved=False).to_jpeg()
    assert rows(read(data)) == []
    assert joined(read(data)) == data


def test_a_second_scan_behind_a_whole_one_is_plain() -> None:
    data = sample("gray")
    scan = data[data.index(b"\xff\xda") : -2]
    found = read(data[:-2] + scan + data[-2:])
    assert rows(found) == rows(read(data))
    assert joined(found) == data[:-2] + scan + data[-2:]


# --- hashes


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("factors", SAMPLINGS, ids=name)
def test_hashes_are_those_of_the_coefficients(factors: Factors, size: tuple[int, int]) -> None:
    picture = sampled(factors, *size)
    data = picture.to_jpeg()
    found = read(data)
    assert joined(found) == data
    assert hashes(found) == picture.hashes()


@pytest.mark.parametrize("factors", SAMPLINGS, ids=name)
def test_one_coefficient_changes_its_cells_only(factors: Factors) -> None:
    """The middle block of each component: its last coefficient, then its first."""

    def changes(found: list[bytes]) -> set[int]:
        pairs = zip(found, expected, strict=True)
        return {cell for cell, (a, b) in enumerate(pairs) if a != b}

    picture = sampled(factors, 70, 70)
    expected = picture.hashes()
    for c, at in itertools.product(range(len(factors)), (63, 0)):
        planes = [[[list(block) for block in line] for line in plane] for plane in picture.planes]
        line, column = len(planes[c]) // 2, len(planes[c][0]) // 2
        planes[c][line][column][at] += 1
        changed = replace(picture, planes=tuple(planes))
        touched = changes(changed.hashes())
        assert changes(hashes(read(changed.to_jpeg()))) == touched
        assert 1 <= len(touched) <= 4


def test_a_flipped_sign_changes_one_cell() -> None:
    """In the entropy-coded data itself: the last value bit before an EOB of a flat block."""
    blocks = [[0] * 64 for _ in range(36)]
    blocks[14][1] = 1
    data = Picture([blocks], 6).to_jpeg()
    blocks[14][1] = -1
    other = Picture([blocks], 6).to_jpeg()
    differing = [a ^ b for a, b in zip(data, other, strict=True) if a != b]
    assert len(differing) == 1 and differing[0].bit_count() == 1
    pairs = zip(hashes(read(data)), hashes(read(other)), strict=True)
    assert [i for i, (a, b) in enumerate(pairs) if a != b] == [1 * 3 + 1]


def test_equal_cells_in_other_places_differ() -> None:
    data = Picture([[[0] * 64 for _ in range(64)]], 8).to_jpeg()
    assert len(set(hashes(read(data)))) == 16


def test_predictors_wrap_at_16_bits() -> None:
    blocks = [[0] * 64 for _ in range(8)]
    for at in range(8):
        blocks[at][0] = 30_000 * (at + 1)
    picture = sampled(ONE, 16, 32)
    planes = ([blocks[0:2], blocks[2:4], blocks[4:6], blocks[6:8]],)
    found = rows(read(replace(picture, planes=planes).to_jpeg()))
    assert found[1].cut is not None
    assert found[1].cut.predictors == (4 * 30_000 - 131_072, 0, 0, 0)


# --- geometry


@pytest.mark.parametrize("widest", [1, 2, 3, 4])
def test_places_fit_into_the_keys(widest: int) -> None:
    """At any size a block covers at most two cells a direction and takes a place of its own."""
    for factor, size in itertools.product(range(1, widest + 1), range(1, 200)):
        mcus, cells = -(-size // (8 * widest)), -(-size // 16)
        factors = [factor, widest]
        found = spans(factors, mcus, cells, 1 << 30, 0)[: 2 * mcus * factor]
        entries = [entry for entry in found if entry >= 0]
        assert len(set(entries)) == len(entries)
        assert {entry >> 2 for entry in entries} == set(range(cells))
        assert {entry & 3 for entry in entries} <= set(range(4))


def test_grid_is_known_with_the_frame_header() -> None:
    data = sample("odd_size")
    reader = CellReader(DEFAULT_LIMITS, KEYS)
    assert reader.grid is None and reader.geometry is None
    reader.feed(data[:100])
    assert reader.grid is None
    reader.feed(data[100:])
    reader.finish()
    assert reader.grid == Grid(6, 5)
    assert reader.geometry is not None
    assert [reader.geometry.row_of(mcu) for mcu in (0, 5, 6, 29, 30)] == [0, 0, 1, 4, 5]


def test_a_file_that_is_not_cut_has_no_geometry() -> None:
    reader = CellReader(DEFAULT_LIMITS, KEYS)
    reader.feed(sample("progressive"))
    reader.finish()
    assert reader.grid == Grid(6, 5)
    assert reader.geometry is None


# --- what is refused


@pytest.mark.parametrize("size", [0, 15, 17, 31, 33])
def test_secrets_have_16_or_32_bytes(size: int) -> None:
    with pytest.raises(ValueError, match=f"a secret of {size} bytes"):
        CellKeys(bytes(size))


def test_damaged_files_are_refused() -> None:
    data = sample("restart_blocks")
    assert refusal(b"") is Reason.EMPTY_INPUT
    assert refusal(b"GIF89a") is Reason.NOT_JPEG
    assert refusal(b"\xff\xd8\xff\xd9") is Reason.NO_SCAN
    assert refusal(data[: len(data) // 2]) is Reason.TRUNCATED
    assert refusal(data.replace(b"\xff\xd1", b"\xff\xd2", 1)) is Reason.BAD_RESTART
    assert refusal(sample("gray")[:-2] + b"\x12\x34\xff\xd9") is Reason.EXTRANEOUS_DATA
    assert refusal(data, Limits(max_dimension=90)) is Reason.LIMIT_DIMENSIONS
    assert refusal(data, Limits(max_blocks=50)) is Reason.LIMIT_BLOCKS


def test_the_benchmark_checks_the_bytes() -> None:
    assert cells.read_time(sample("gray")) >= 0
