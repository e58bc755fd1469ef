"""Rows of cells decoded by themselves: the same hashes from a cut, and what damage leaves.

Proves for every kind of file that can be cut that each row, several rows and the rest of the scan
decode to the reader's hashes and end in the next cut's predictors; that damage is bounded: cells
before it keep their hashes, what was decoded is told, and no bytes, cut or head whatsoever raise
anything but a numbered refusal.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.codec.jpeg.cells import CellDecoder, Cut, Decoded, Stretch
from occulta.errors import OccultaError, Reason
from occulta.limits import DEFAULT_LIMITS, Limits
from tests.cell_pictures import KEYS, Factors, decoder, head, joined, read, rows, sampled
from tests.jpegs import KINDS, PROGRESSIVE, sample
from tests.mutation import mutate
from tests.support import by_kernel, compiled_kernel

EXAMPLES = settings(
    deadline=None, derandomize=True, database=None, max_examples=by_kernel(150, 30)
)
CUT_KINDS = sorted(set(KINDS) - {"not_interleaved", "redeclared", "dnl", *PROGRESSIVE})
NOTHING = Decoded(b"", 0, False, (0, 0, 0, 0), [])
RARE: list[Factors] = [((1, 4), (1, 1)), ((1, 3), (1, 1)), ((4, 1), (1, 1)), ((2, 2), (1, 1))]
HOSTILE = [
    *((kind, sample(kind)) for kind in ("gray", "odd_size", "restart_rows", "deep")),
    *((str(factors), sampled(factors, 70, 70, 7).to_jpeg()) for factors in RARE),
]


def cut_of(stretch: Stretch) -> Cut:
    assert stretch.cut is not None
    return stretch.cut


def rare(factors: Factors) -> list[Stretch]:
    return read(sampled(factors, 75, 131, 9).to_jpeg())


def same_rows(found: list[Stretch], kernel: str | None = None) -> None:
    by_itself = decoder(found, kernel)
    cut_ones = rows(found)
    for stretch, following in itertools.pairwise([*cut_ones, None]):
        assert stretch is not None
        decoded = by_itself.decode(cut_of(stretch), stretch.data, stretch.mcus)
        assert decoded[:3] == (stretch.hashes, stretch.mcus, True)
        if following is not None:
            assert decoded.predictors == cut_of(following).predictors


# --- whole rows


@pytest.mark.parametrize("kind", CUT_KINDS)
def test_each_row_by_itself(kind: str) -> None:
    same_rows(read(sample(kind)))


@pytest.mark.parametrize("factors", RARE, ids=str)
def test_each_row_of_rare_samplings(factors: Factors) -> None:
    same_rows(rare(factors))


@pytest.mark.parametrize("kind", CUT_KINDS)
def test_rows_from_each_cut_to_the_end(kind: str) -> None:
    found = read(sample(kind))
    by_itself, cut_ones = decoder(found), rows(found)
    for at, first in enumerate(cut_ones):
        rest = cut_ones[at:]
        decoded = by_itself.decode(cut_of(first), joined(rest), sum(s.mcus for s in rest))
        assert decoded.hashes == b"".join(s.hashes for s in rest)
        assert decoded.ended_well
        starts = itertools.accumulate((len(s.data) for s in rest), initial=0)
        assert decoded.bands == list(zip(starts, map(cut_of, rest), strict=False))


@pytest.mark.skipif(compiled_kernel() is None, reason="the compiled kernel is not built")
@pytest.mark.parametrize("kernel", ["plain", "compiled"])
@pytest.mark.parametrize("kind", ["gray", "odd_size", "restart_rows", "deep"])
def test_both_kernels(kind: str, kernel: str) -> None:
    same_rows(read(sample(kind)), kernel)


@pytest.mark.parametrize("factors", RARE, ids=str)
def test_cells_are_counted_as_they_are_completed(factors: Factors) -> None:
    """Asked for fewer MCUs, the decoder gives the cells that no later MCU adds to."""
    found = rare(factors)
    first = rows(found)[0]
    by_itself = decoder(found)
    sizes = []
    for mcus in range(first.mcus + 1):
        decoded = by_itself.decode(cut_of(first), first.data, mcus)
        assert decoded.mcus == mcus
        assert decoded.ended_well == (mcus == first.mcus)
        assert first.hashes.startswith(decoded.hashes)
        sizes.append(len(decoded.hashes) // 4)
    assert sizes == sorted(sizes) and sizes[0] == 0
    assert sizes[-1] == len(first.hashes) // 4 > sizes[-2]


def test_complete_cells_of_two_rows_of_mcus() -> None:
    """6x5 gray cells of 2x2 MCUs each: complete with their lower right one."""
    found = read(sample("gray"))
    first = rows(found)[0]
    counts = [
        len(decoder(found).decode(cut_of(first), first.data, mcus).hashes) // 4
        for mcus in range(25)
    ]
    assert counts == [0] * 14 + [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6]


def test_helpers_map_cuts_to_cells() -> None:
    for found in (read(sample("gray")), *map(rare, RARE)):
        geometry = decoder(found).geometry
        cells = 0
        for stretch in rows(found):
            cut = cut_of(stretch)
            assert geometry.first_cell(cut) == cells
            assert geometry.cells_in(cut, stretch.mcus) == len(stretch.hashes) // 4
            assert geometry.row_of(cut.mcu) == cells // geometry.grid.columns
            cells += len(stretch.hashes) // 4
        assert cells == geometry.grid.columns * geometry.grid.rows
        assert geometry.row_of(geometry.mcus) == geometry.grid.rows


# --- damage


def test_cells_before_a_flipped_bit_keep_their_hashes() -> None:
    found = read(sample("ycc420"))
    row = rows(found)[2]
    whole = decoder(found)
    flipped = bytearray(row.data)
    flipped[len(flipped) // 2] ^= 0x10
    decoded = whole.decode(cut_of(row), bytes(flipped), row.mcus)
    same = [
        decoded.hashes[at : at + 4] == row.hashes[at : at + 4]
        for at in range(0, len(row.hashes), 4)
    ]
    assert same[:2] == [True, True]
    assert not all(same)


def test_a_shorter_row_is_told() -> None:
    found = read(sample("ycc420"))
    row = rows(found)[1]
    decoded = decoder(found).decode(cut_of(row), row.data[: len(row.data) // 2], row.mcus)
    assert 0 < decoded.mcus < row.mcus
    assert not decoded.ended_well
    assert decoded.hashes == row.hashes[: 4 * decoded.mcus]


def test_a_longer_row_does_not_end_well() -> None:
    found = read(sample("ycc420"))
    first, second = rows(found)[:2]
    decoded = decoder(found).decode(cut_of(first), first.data + second.data, first.mcus)
    assert decoded[:3] == (first.hashes, first.mcus, False)


def test_a_wrong_restart_marker_stops_it() -> None:
    found = read(sample("restart_rows"))
    row = rows(found)[1]
    assert row.data.endswith(b"\xff\xd1")
    decoded = decoder(found).decode(cut_of(row), row.data[:-1] + b"\xd2", row.mcus)
    assert decoded[:3] == (row.hashes, row.mcus, False)


def test_other_predictors_are_another_row() -> None:
    found = read(sample("gray"))
    row = rows(found)[1]
    cut = replace(cut_of(row), predictors=(17, 0, 0, 0))
    decoded = decoder(found).decode(cut, row.data, row.mcus)
    assert decoded.mcus == row.mcus and decoded.ended_well
    pairs = zip(decoded.hashes[::4], row.hashes[::4], strict=True)
    assert all(a != b for a, b in pairs)


@pytest.mark.parametrize("change", [
    {"mcu": -24}, {"mcu": 12}, {"mcu": 120}, {"mcu": 1 << 70}, {"bit": -1}, {"bit": 8},
    {"byte": -1}, {"byte": 256}, {"interval_left": 4}, {"interval_left": 0},
    {"interval_left": -1}, {"next_restart": 8}, {"next_restart": -1},
], ids=str)
def test_an_impossible_cut_decodes_to_nothing(change: dict[str, int]) -> None:
    found = read(sample("restart_blocks"))
    row = rows(found)[1]
    assert decoder(found).decode(cut_of(row), row.data, row.mcus).ended_well
    assert decoder(found).decode(replace(cut_of(row), **change), row.data, row.mcus) == NOTHING


def test_more_mcus_than_there_are_decode_to_nothing() -> None:
    found = read(sample("gray"))
    last = rows(found)[-1]
    assert decoder(found).decode(cut_of(last), last.data, last.mcus + 1) == NOTHING
    with pytest.raises(ValueError, match="-1 MCUs"):
        decoder(found).decode(cut_of(last), last.data, -1)


def test_a_decoder_forgets_what_it_decoded_before() -> None:
    found = read(sample("ycc422"))
    by_itself = decoder(found)
    for row in rows(found):
        by_itself.decode(cut_of(row), bytes(50), row.mcus)
        assert by_itself.decode(cut_of(row), row.data, row.mcus).hashes == row.hashes


@pytest.mark.parametrize("kernel", ["plain", "compiled"])
def test_random_bytes(kernel: str) -> None:
    """Both kernels agree on nonsense, and neither reads or writes where it must not."""
    if compiled_kernel() is None:
        pytest.skip("the compiled kernel is not built")
    for label, data in HOSTILE:
        found = read(data)
        chance = random.Random(label)
        by_itself, plain = decoder(found, kernel), decoder(found, "plain")
        for row in rows(found):
            cut = replace(
                cut_of(row), bit=chance.randrange(8), byte=chance.randrange(256),
                predictors=(chance.randrange(-32768, 32768),) * 4,
            )
            noise = chance.randbytes(chance.randrange(1000)).replace(b"\xff", b"\xff\x00")
            decoded = by_itself.decode(cut, noise, row.mcus)
            assert decoded == plain.decode(cut, noise, row.mcus)
            assert 0 <= decoded.mcus <= row.mcus
            assert len(decoded.hashes) <= len(row.hashes)


@given(
    st.sampled_from(range(len(HOSTILE))), st.binary(max_size=400), st.integers(0, 9),
    st.integers(0, 7), st.integers(0, 400), st.integers(0, 2**32),
)
@EXAMPLES
def test_anything_decodes_to_something(
    which: int, noise: bytes, at: int, bit: int, mcus: int, seed: int
) -> None:
    found = read(HOSTILE[which][1])
    row = rows(found)[at % len(rows(found))]
    damaged = mutate(random.Random(seed), row.data, row.data) if seed % 2 else noise
    cut = replace(cut_of(row), bit=bit)
    decoded = decoder(found).decode(cut, damaged, mcus)
    assert 0 <= decoded.mcus <= mcus
    assert len(decoded.hashes) % 4 == 0


# --- heads


@pytest.mark.parametrize("kind", ["progressive", "not_interleaved", "dnl"])
def test_the_head_of_a_file_that_cannot_be_cut(kind: str) -> None:
    data = sample(kind)
    start = data.index(b"\xff\xda")
    end = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    with pytest.raises(OccultaError) as caught:
        CellDecoder(data[:end], KEYS, DEFAULT_LIMITS)
    assert caught.value.reason is (Reason.DNL_TOO_FAR if kind == "dnl" else Reason.BAD_SCAN)


@pytest.mark.parametrize(("size", "reason"), [
    (0, Reason.BAD_SCAN), (2, Reason.BAD_SCAN), (-1, Reason.BAD_SCAN), (-12, Reason.BAD_SCAN),
])
def test_a_head_that_is_cut_short(size: int, reason: Reason) -> None:
    with pytest.raises(OccultaError) as caught:
        CellDecoder(head(read(sample("gray")))[:size], KEYS, DEFAULT_LIMITS)
    assert caught.value.reason is reason


def test_a_head_beyond_the_limits() -> None:
    with pytest.raises(OccultaError) as caught:
        CellDecoder(head(read(sample("gray"))), KEYS, Limits(max_dimension=64))
    assert caught.value.reason is Reason.LIMIT_DIMENSIONS


@given(st.integers(0, 2**32))
@EXAMPLES
def test_damaged_heads(seed: int) -> None:
    found = read(sample("odd_size"))
    row = rows(found)[0]
    limits = Limits(max_blocks=20_000)
    damaged = mutate(random.Random(seed), head(found), head(found))
    try:
        by_itself = CellDecoder(damaged, KEYS, limits)
    except OccultaError:
        return
    decoded = by_itself.decode(cut_of(row), row.data, row.mcus)
    assert 0 <= decoded.mcus <= row.mcus
