"""Huffman tables: canonical codes, DHT segments, package-merge.

Proves that codes are those of T.81 annex C, that a table survives its segment, that malformed
tables are refused, and that optimal lengths are optimal (against trying all, and against Huffman's
algorithm where the limit does not bind).
"""

from __future__ import annotations

import heapq
from fractions import Fraction
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.codec.jpeg.huffman import (
    AC,
    ANNEX_K,
    DC,
    MAX_LENGTH,
    HuffmanTable,
    dht_segment,
    optimal_lengths,
    parse_dht,
)
from occulta.errors import OccultaError, Reason
from tests.jpegs import encode, segments

pytestmark = pytest.mark.arm64

EXAMPLES = settings(deadline=None, derandomize=True, database=None, max_examples=150)
WEIGHTS = st.lists(st.integers(1, 5000), min_size=2, max_size=200)


def share(lengths: list[int]) -> Fraction:
    """How much of the code space the codes use."""
    return sum((Fraction(1, 1 << length) for length in lengths), Fraction(0))


def is_prefix_free(table: HuffmanTable) -> bool:
    words = sorted(format(code, f"0{length}b") for _, code, length in table.codes)
    return not any(b.startswith(a) for a, b in zip(words, words[1:], strict=False))


@st.composite
def tables(draw: st.DrawFn) -> HuffmanTable:
    lengths = optimal_lengths([*draw(WEIGHTS), 1], MAX_LENGTH)[:-1]
    symbols = draw(st.permutations(range(256)))
    return HuffmanTable.from_lengths(list(zip(lengths, symbols, strict=False)))


@pytest.mark.parametrize("destination", ANNEX_K)
def test_the_typical_tables(destination: tuple[int, int]) -> None:
    table = ANNEX_K[destination]
    assert len(table.symbols) == len(set(table.symbols)) == (12 if destination[0] == DC else 162)
    assert is_prefix_free(table) and not table.has_repeats
    assert HuffmanTable.checked(bytes(table.counts), table.symbols) == table
    _, code, length = table.codes[-1]
    assert code + 1 == (1 << length) - 1 or destination[0] == DC


def test_the_typical_tables_are_those_of_libjpeg() -> None:
    data = encode(1, 16, 16)
    found = [entry for marker, a, b in segments(data) if marker == 0xC4
             for entry in parse_dht(data[a + 4 : b])]
    assert {(kind, slot): table for kind, slot, table in found} == ANNEX_K


def test_codes_of_figure_k() -> None:
    """Some codes of tables K.3 and K.5."""
    assert ANNEX_K[DC, 0].by_symbol[0] == (0b00, 2)
    assert ANNEX_K[DC, 0].by_symbol[11] == (0b111111110, 9)
    assert ANNEX_K[AC, 0].by_symbol[0x00] == (0b1010, 4)
    assert ANNEX_K[AC, 0].by_symbol[0xF0] == (0b11111111001, 11)
    assert ANNEX_K[AC, 0].by_symbol[0xFA] == (0xFFFE, 16)


@EXAMPLES
@given(tables())
def test_tables_are_prefix_free_and_survive_their_segment(table: HuffmanTable) -> None:
    assert is_prefix_free(table)
    segment = dht_segment([(DC, 3, table), (AC, 0, table)])
    assert segment[:2] == b"\xff\xc4"
    assert int.from_bytes(segment[2:4], "big") == len(segment) - 2
    assert parse_dht(segment[4:]) == [(DC, 3, table), (AC, 0, table)]
    assert [length for _, _, length in table.codes] == sorted(n for _, _, n in table.codes)


def test_a_symbol_with_several_codes() -> None:
    table = HuffmanTable.from_lengths([(3, 7), (2, 1), (3, 7), (3, 2)])
    assert table.has_repeats
    assert table.by_symbol == {1: (0, 2), 7: (2, 3), 2: (4, 3)}
    assert table.codes == [(1, 0, 2), (7, 2, 3), (7, 3, 3), (2, 4, 3)]


@pytest.mark.parametrize("body", [
    b"\x00", b"\x00" + bytes(15), b"\x00" + bytes(16), b"\x20\x01" + bytes(15) + b"\0",
    b"\x04\x01" + bytes(15) + b"\0", b"\x00\x01" + bytes(15), b"\x00\x03" + bytes(15) + b"abc",
    b"\x00\x02\x01" + bytes(14) + b"abc", b"\x00\x01" + bytes(15) + b"ab",
    b"\x00" + bytes(14) + b"\xff\xff" + bytes(510), b"\x10" + b"\xff" * 16 + bytes(4080),
])
def test_malformed_segments(body: bytes) -> None:
    with pytest.raises(OccultaError) as caught:
        parse_dht(body)
    assert caught.value.reason is Reason.BAD_HUFFMAN_TABLE


@EXAMPLES
@given(st.binary(max_size=80))
def test_any_segment_parses_or_is_refused(body: bytes) -> None:
    try:
        found = parse_dht(body)
    except OccultaError as error:
        assert error.reason is Reason.BAD_HUFFMAN_TABLE
        return
    assert not body or dht_segment(found)[4:] == body
    assert all(share([n for _, _, n in table.codes]) <= 1 for _, _, table in found)


@cache
def _shapes(count: int, limit: int) -> list[tuple[int, ...]]:
    """All ascending tuples of lengths with a Kraft sum of at most one."""
    found = []

    def grow(prefix: tuple[int, ...], left: Fraction) -> None:
        if len(prefix) == count:
            found.append(prefix)
            return
        for length in range(prefix[-1] if prefix else 1, limit + 1):
            if Fraction(1, 1 << length) * (count - len(prefix)) <= left or (
                Fraction(1, 1 << length) <= left
            ):
                grow((*prefix, length), left - Fraction(1, 1 << length))

    grow((), Fraction(1))
    return found


@EXAMPLES
@given(st.lists(st.integers(1, 60), min_size=2, max_size=6), st.integers(3, 5))
def test_lengths_are_the_best_there_are(weights: list[int], limit: int) -> None:
    lengths = optimal_lengths(weights, limit)
    cost = sum(w * n for w, n in zip(weights, lengths, strict=True))
    falling = sorted(weights, reverse=True)
    assert cost == min(
        sum(w * n for w, n in zip(falling, shape, strict=True))
        for shape in _shapes(len(weights), limit)
    )


@EXAMPLES
@given(WEIGHTS)
def test_lengths_are_huffmans_where_the_limit_does_not_bind(weights: list[int]) -> None:
    heap = list(weights)
    heapq.heapify(heap)
    cost = 0
    while len(heap) > 1:
        both = heapq.heappop(heap) + heapq.heappop(heap)
        cost += both
        heapq.heappush(heap, both)
    lengths = optimal_lengths(weights, 32)
    assert sum(w * n for w, n in zip(weights, lengths, strict=True)) == cost
    assert share(lengths) == 1


@pytest.mark.parametrize("count", [2, 3, 17, 256, 257])
def test_the_limit_binds(count: int) -> None:
    weights = [1 << min(at, 60) for at in range(count)]
    lengths = optimal_lengths(weights, MAX_LENGTH)
    assert max(lengths) <= MAX_LENGTH and share(lengths) == 1
    assert lengths == sorted(lengths, reverse=True)


def test_one_symbol_has_one_bit() -> None:
    assert optimal_lengths([5], MAX_LENGTH) == [1]
