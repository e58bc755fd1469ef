"""Profile `paper` against a second implementation of the paper, written on lists of coefficients.

Proves that marking puts exactly the coefficients that papers/000 prescribes (tables 2 to 4), that
the ambiguous blocks (a value of two or three at index 62) come back whatever stands behind them,
and that what the profile cannot restore is refused.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from occulta.codec.jpeg.huffman import HuffmanTable, dht_segment
from occulta.errors import OccultaError, Reason
from tests.encoder import (
    ANNEX_K,
    WIDE_DC,
    Block,
    Picture,
    Tables,
    flat_table,
    random_blocks,
    wide_tables,
)
from tests.jpegs import PROGRESSIVE, sample
from tests.support import SMALL, Recovery, assert_round_trip, mark, recover

pytestmark = pytest.mark.arm64

SECRET = b"paper"
VALUES = {(0, 0): -3, (0, 1): -2, (1, 0): 2, (1, 1): 3}
"""Two hidden bits -> the coefficient (tables 2 and 3)."""
MARKS = (-3, -2, 2, 3)
ACROSS = 50


def narrow_tables(sizes: list[int]) -> Tables:
    """Tables whose AC symbols have only some sizes (and so lack (0, s) for others)."""
    ac = flat_table([0, 0xF0, *(run << 4 | size for run in range(16) for size in sizes)])
    return {(0, 0): WIDE_DC, (0, 1): WIDE_DC, (1, 0): ac, (1, 1): ac}


def last_index(block: Block) -> int:
    """The termination point: index of the last non-zero AC coefficient, 0 if there is none."""
    return max((at for at in range(1, 64) if block[at]), default=0)


def hidden_pairs(back: Recovery) -> Iterator[tuple[int, int]]:
    """The hidden stream, two bits at a time."""
    assert back.restorer.recovered is not None
    stream = back.record + back.restorer.recovered.opened.conclusion_frame
    for byte in stream:
        for shift in (6, 4, 2, 0):
            yield byte >> shift + 1 & 1, byte >> shift & 1


def paper_mark(blocks: list[Block], pairs: list[tuple[int, int]], escape: int = 7) -> list[Block]:
    """The paper's algorithm; `escape` is the value at 63 that tells an unmarked block apart."""
    left = iter(pairs)
    out, rest = [], len(pairs)
    for block in blocks:
        marked = list(block)
        last = last_index(block)
        if rest and last <= 61:
            marked[last + 1] = VALUES[next(left)]
            rest -= 1
        elif rest and block[62] in MARKS:
            if last == 62:
                marked[63] = escape
            elif block[63] >= escape:
                marked[63] += 1
        out.append(marked)
    assert not rest, "the blocks cannot carry the hidden stream"
    return out


def check_against_the_paper(blocks: list[Block], tables: Tables, escape: int = 7) -> None:
    original = Picture([blocks], ACROSS, tables=tables).to_jpeg()
    marked = assert_round_trip(original, SECRET, "paper")
    pairs = list(hidden_pairs(recover(marked, "paper")))
    expected = Picture([paper_mark(blocks, pairs, escape)], ACROSS, tables=tables)
    assert marked == expected.to_jpeg()


def with_specials(specials: list[Block], seed: int = 3) -> list[Block]:
    """The special blocks spread among ordinary ones, two of each, some behind the conclusion."""
    blocks = random_blocks(seed, 1500 - 2 * len(specials), last=30)
    step = len(blocks) // (2 * len(specials))
    for at, special in enumerate(2 * specials):
        blocks.insert(at * (step + 1), special)
    return blocks


def ending(at_62: int, at_63: int, before: int = 0) -> Block:
    block = [0] * 64
    block[0], block[61], block[62], block[63] = 5, before, at_62, at_63
    return block


AMBIGUOUS = [0, 1, -1, 2, -3, 5, 6, 7, 8, 9, 15, 16, -6, -7, -8, -15, -16, 31, 126, 127, 128, 1023]


def test_ordinary_blocks() -> None:
    check_against_the_paper(random_blocks(1, 1500, last=40), dict(ANNEX_K))


def test_blocks_without_ac_coefficients() -> None:
    check_against_the_paper([[at % 40] + [0] * 63 for at in range(1000)], dict(ANNEX_K))


@pytest.mark.parametrize("at_62", [-3, -2, 2, 3])
def test_ambiguous_blocks(at_62: int) -> None:
    """L = 62 with a mark's value, and every kind of value behind it."""
    specials = [ending(at_62, value) for value in AMBIGUOUS]
    check_against_the_paper(with_specials(specials), wide_tables())


@pytest.mark.parametrize("at_62", [0, 1, -1, 4, -4, 7, 200])
def test_blocks_that_only_look_ambiguous(at_62: int) -> None:
    specials = [ending(at_62, value, 2) for value in AMBIGUOUS] + [ending(at_62, 0, 3)]
    check_against_the_paper(with_specials(specials), wide_tables())


def test_blocks_that_end_shortly_before_the_end() -> None:
    specials = []
    for last in range(57, 62):
        for value in (-3, -2, -1, 1, 2, 3, 7):
            block = [1] + [0] * 63
            block[last] = value
            specials.append(block)
    check_against_the_paper(with_specials(specials), wide_tables())


def test_runs_with_zrl_up_to_the_end() -> None:
    specials = []
    for first in (1, 14, 15, 30):
        for last in (46, 47, 48, 61, 62, 63):
            block = [1] + [0] * 63
            block[first], block[last] = -2, 2
            specials.append(block)
    check_against_the_paper(with_specials(specials), wide_tables())


@pytest.mark.parametrize(("sizes", "escape"), [
    ([1, 2, 4, 5, 8, 9], 15), ([1, 2, 3, 4, 5, 8, 9], 7), ([1, 2, 6, 7, 9], 63),
])
def test_tables_that_lack_the_code_for_seven(sizes: list[int], escape: int) -> None:
    """Without (0, 3) the next size takes its part."""
    possible = [v for v in (0, 1, -1, 2, -3, 8, 9, 14, 15, -15, -8, 63, 64, 126, 127, 255, 256, -64)
                if abs(v).bit_length() in (0, *sizes)]
    specials = [ending(at_62, value) for at_62 in MARKS for value in possible
                if not value or (value + 1).bit_length() in sizes]
    blocks = with_specials(specials, 5)
    for block in blocks:
        block[0] = 3
        block[1:62] = [v if abs(v) < 4 else 2 for v in block[1:62]]
    check_against_the_paper(blocks, narrow_tables(sizes), escape)


def test_a_value_that_grows_out_of_the_table_is_refused() -> None:
    """7 becomes 8, which needs a code for size 4."""
    blocks = [ending(2, 7)] + [[1] + [0] * 63 for _ in range(1499)]
    original = Picture([blocks], ACROSS, tables=narrow_tables([1, 2, 3])).to_jpeg()
    with pytest.raises(OccultaError) as caught:
        mark(original, SECRET, "paper")
    assert caught.value.reason is Reason.NO_ESCAPE_CODE


def test_a_table_without_any_escape_is_refused_where_it_matters() -> None:
    tables = narrow_tables([1, 2])
    quiet = [[1] + [0] * 63 for _ in range(1500)]
    check_against_the_paper(quiet, tables)
    with pytest.raises(OccultaError) as caught:
        mark(Picture([[ending(3, 0), *quiet[1:]]], ACROSS, tables=tables).to_jpeg(), b"", "paper")
    assert caught.value.reason is Reason.NO_ESCAPE_CODE


def test_a_table_without_carrying_code_carries_nothing() -> None:
    blocks = [[at % 7, 1] + [0] * 62 for at in range(1500)]
    original = Picture([blocks], ACROSS, tables=narrow_tables([1, 3])).to_jpeg()
    with pytest.raises(OccultaError) as caught:
        mark(original, SECRET, "paper")
    assert caught.value.reason is Reason.NO_CARRIERS


def test_ambiguous_blocks_that_stream_past_the_look_ahead() -> None:
    specials = [ending(at_62, value) for at_62 in MARKS for value in AMBIGUOUS]
    blocks = [block for seed in range(4) for block in with_specials(specials, seed)]
    original = Picture([blocks], ACROSS, tables=wide_tables(), interval=33).to_jpeg()
    assert len(original) > 3 * SMALL.hold_back
    assert_round_trip(original, SECRET, "paper", SMALL)


def test_little_private_data_changes_a_long_picture_little() -> None:
    """While there is nothing to hide, only every 256th carrier or so is changed."""
    blocks = random_blocks(2, 12_000, last=10)
    original = Picture([blocks], 100).to_jpeg()
    marked = assert_round_trip(original, b"", "paper", SMALL)
    assert len(marked) - len(original) < 12_000 * 5 // 8 // 4


@pytest.mark.parametrize("spare", [0, 1, 2, 40])
def test_the_conclusion_may_end_with_the_last_carrier(spare: int) -> None:
    """As many carriers as the hidden stream needs, or a few more."""
    roomy = Picture([[[1] + [0] * 63] * 1500], ACROSS).to_jpeg()
    needed = len(list(hidden_pairs(recover(mark(roomy, SECRET, "paper"), "paper"))))
    blocks = [[1] + [0] * 63] * (needed + spare)
    assert_round_trip(Picture([blocks], 1).to_jpeg(), SECRET, "paper")


@pytest.mark.parametrize("kind", PROGRESSIVE)
def test_progressive_is_refused(kind: str) -> None:
    with pytest.raises(OccultaError) as caught:
        mark(sample(kind), b"", "paper")
    assert caught.value.reason is Reason.PROGRESSIVE


def _with_ac_table(symbols: bytes) -> bytes:
    """A picture whose AC table was replaced by one of symbols of eight bits each."""
    ac = flat_table(list(symbols))
    tables: Tables = dict(ANNEX_K) | {(1, 0): ac}
    blocks = [[1] + [0] * 63 for _ in range(1500)]
    return Picture([blocks], ACROSS, tables=tables).to_jpeg()


def test_repeated_codes_are_refused() -> None:
    with pytest.raises(OccultaError) as caught:
        mark(_with_ac_table(b"\x00\x02\x02\x01"), b"", "paper")
    assert caught.value.reason is Reason.ALREADY_MARKED


@pytest.mark.parametrize("other", [run << 4 for run in range(1, 15)])
def test_other_ends_of_a_block_are_refused(other: int) -> None:
    with pytest.raises(OccultaError) as caught:
        mark(_with_ac_table(bytes([0, 1, 2, 3, other])), b"", "paper")
    assert caught.value.reason is Reason.BAD_HUFFMAN_TABLE


def test_tables_of_other_destinations_do_not_matter() -> None:
    """A table that no scan of the picture uses may have other ends of block."""
    odd = HuffmanTable.from_lengths([(8, 0), (8, 0x10), (8, 2), (8, 3)])
    original = Picture([[[1] + [0] * 63 for _ in range(1500)]], ACROSS).to_jpeg()
    at = original.index(b"\xff\xc4")
    assert_round_trip(original[:at] + dht_segment([(1, 3, odd)]) + original[at:], SECRET, "paper")
