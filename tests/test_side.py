"""Side information of `exact`: what a scan's own DHT segments were, told in bytes and back.

Proves that every description survives, also through a table plan (DERIVED), that fill bytes, gaps
and many tables keep their places in a whole file, and that malformed descriptions are refused.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.codec.jpeg.huffman import AC, ANNEX_K, DC, HuffmanTable, dht_segment, optimal_lengths
from occulta.errors import OccultaError, Reason
from occulta.schemes.reversible.bits import PullParser
from occulta.schemes.reversible.plan import Origin, TableUse, is_derivable, plan_lengths, spread
from occulta.schemes.reversible.side import (
    DroppedSegment,
    DroppedTable,
    derive,
    encode_side,
    parse_side,
)
from tests.encoder import segment
from tests.jpegs import encode, find, segments, with_one_dht
from tests.support import assert_round_trip

EXAMPLES = settings(deadline=None, derandomize=True, database=None, max_examples=200)
OWN = HuffmanTable.from_lengths([(2, 9), (2, 3), (3, 1), (4, 0)])


def dropped(kind: int, destination: int, origin: Origin) -> DroppedTable:
    tables = {Origin.LITERAL: OWN, Origin.DERIVED: None}
    table = tables[origin] if origin in tables else ANNEX_K[kind, int(origin)]
    return DroppedTable(kind, destination, origin, table)


TABLES = st.builds(dropped, st.integers(0, 1), st.integers(0, 3), st.sampled_from(list(Origin)))
SEGMENTS = st.builds(
    DroppedSegment, st.sampled_from([0, 1, 127, 128, 300, 20_000]), st.sampled_from([0, 1, 255]),
    st.lists(TABLES, max_size=9).map(tuple),
)


def parsed(data: bytes) -> list[DroppedSegment]:
    parser = PullParser(parse_side())
    assert parser.feed(data + b"rest") == b"rest"
    assert parser.done and parser.result is not None
    return parser.result


@EXAMPLES
@given(st.lists(SEGMENTS, max_size=6))
def test_descriptions_survive(described: list[DroppedSegment]) -> None:
    assert parsed(encode_side(described)) == described


def test_a_dropped_segment_is_written_as_it_was() -> None:
    tables = (dropped(DC, 0, Origin.ANNEX_K_0), dropped(AC, 2, Origin.LITERAL))
    expected = dht_segment([(DC, 0, ANNEX_K[DC, 0]), (AC, 2, OWN)])
    assert DroppedSegment(0, 2, tables).to_bytes() == b"\xff\xff" + expected


def test_the_typical_tables_take_a_byte_each() -> None:
    tables = [dropped(kind, slot, Origin(slot)) for kind in (0, 1) for slot in (0, 1)]
    assert len(encode_side([DroppedSegment(0, 0, (table,)) for table in tables])) == 1 + 4 * 4
    assert len(encode_side([DroppedSegment(0, 0, tuple(tables))])) == 1 + 3 + 4


def test_more_than_a_byte_can_say() -> None:
    with pytest.raises(OccultaError) as caught:
        encode_side([DroppedSegment(0, 0, ())] * 256)
    assert caught.value.reason is Reason.LIMIT_SEGMENT


@pytest.mark.parametrize("data", [
    b"\x01\x00\x00\x01\x20",  # an impossible table
    b"\x01\x00\x00\x01\x18" + b"\xff" * 16,  # too many symbols
    b"\x01\x00\x00\x01\x18" + b"\x03" + bytes(15) + b"abc",  # over-full
    b"\x01\xff\xff\xff\xff\xff\x01",  # an endless number
])
def test_malformed_descriptions(data: bytes) -> None:
    with pytest.raises(OccultaError) as caught:
        PullParser(parse_side()).feed(data)
    assert caught.value.reason in (Reason.BAD_HIDDEN_DATA, Reason.BAD_HUFFMAN_TABLE)


@EXAMPLES
@given(st.binary(max_size=60))
def test_any_description_parses_or_is_refused(data: bytes) -> None:
    parser = PullParser(parse_side())
    try:
        parser.feed(data)
    except OccultaError as error:
        assert error.reason.value // 100 == 3
        return
    if parser.done:
        assert parser.result is not None
        encode_side(parser.result)


@EXAMPLES
@given(st.lists(st.integers(1, 3000), min_size=2, max_size=60), st.integers(0, 20_000))
def test_a_derived_table_comes_back(weights: list[int], needed: int) -> None:
    lengths = optimal_lengths([*weights, 1], 16)[:-1]
    pairs = sorted((length, symbol) for symbol, length in enumerate(lengths))
    original = HuffmanTable.from_lengths(pairs)
    assert is_derivable(original)
    counts = weights + [0] * (256 - len(weights))
    plan = plan_lengths(TableUse((AC, 0), original, counts, True))
    assert plan.origin is Origin.DERIVED
    spread([plan], needed)
    assert derive(plan.table()) == original


@pytest.mark.parametrize("coded", [
    [(2, 1)] * 3, [(2, 1), (3, 1)] * 2, [(1, 1), (3, 1), (3, 1), (3, 1)], [(1, 1), (1, 1)],
])
def test_tables_that_nothing_is_derived_from(coded: list[tuple[int, int]]) -> None:
    with pytest.raises(OccultaError) as caught:
        derive(HuffmanTable.from_lengths(coded))
    assert caught.value.reason is Reason.BAD_HIDDEN_DATA


def _with_head(data: bytes, change: dict[int, bytes]) -> bytes:
    """Bytes put in before the first segment with a marker."""
    for marker, extra in change.items():
        at = find(data, marker)[0]
        data = data[:at] + extra + data[at:]
    return data


UNUSED = dht_segment([(DC, 2, OWN), (AC, 3, ANNEX_K[AC, 1])])
COMMENTS = segment(0xFE, b"comment") * 200


@pytest.mark.parametrize("change", [
    {0xC4: UNUSED}, {0xDA: UNUSED}, {0xDB: UNUSED}, {0xC4: COMMENTS}, {0xDA: COMMENTS},
    {0xDA: b"\xff\xff" + UNUSED + COMMENTS + b"\xff" + UNUSED}, {0xC4: UNUSED * 20},
    {0xC4: dht_segment([])}, {0xC4: dht_segment([(DC, 0, OWN), (DC, 0, OWN), (AC, 0, OWN)])},
])
@pytest.mark.parametrize("optimise", [False, True])
def test_every_dht_segment_gets_its_place_back(change: dict[int, bytes], optimise: bool) -> None:
    original = _with_head(encode(3, 160, 160, optimize=optimise), change)
    marked = assert_round_trip(original, b"side", "exact")
    assert sum(marker == 0xC4 for marker, _, _ in segments(marked)) == 1


def test_one_segment_for_all_tables() -> None:
    assert_round_trip(with_one_dht(encode(3, 96, 96, optimize=True)), b"side", "exact")
    assert_round_trip(with_one_dht(encode(3, 96, 96)), b"side", "exact")
