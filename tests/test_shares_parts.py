"""The parts of shares by themselves: regions, where segments stand, their bodies."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.codec.crypto import PrivateKey
from occulta.codec.jpeg.cells import Cut
from occulta.schemes.shares.conclusion import Conclusion, decode_conclusion
from occulta.schemes.shares.locate import Place, by_number, locate, search
from occulta.schemes.shares.regions import MAX_REGIONS, REGIONS_SIZE, Regions
from occulta.schemes.shares.segments import (
    GRAIN,
    HEAD_SIZE,
    SEGMENT_OVERHEAD,
    Kind,
    Segment,
    SetKeys,
    encrypt,
    key_stream,
    sizes_of,
)
from tests.shares_support import SET_ID, Memory, make
from tests.support import KEY, OTHER_KEY, SATELLITE, by_kernel

pytestmark = pytest.mark.arm64

KEYS = SetKeys(bytes(range(32)), SET_ID)
CELLS = st.binary(max_size=60).map(lambda b: b[: len(b) // 4 * 4])
WORD = st.integers(0, 0xFFFF)
SIGNED = st.integers(-32768, 32767)
CUTS = st.builds(
    Cut, st.integers(0, 2**32 - 1), st.integers(0, 7), st.integers(0, 255),
    st.tuples(SIGNED, SIGNED, SIGNED, SIGNED), WORD, st.integers(0, 7),
)
RECTANGLES = st.tuples(WORD, WORD, st.integers(1, 0xFFFF), st.integers(1, 0xFFFF))


# --- regions


@given(st.lists(RECTANGLES, max_size=MAX_REGIONS))
def test_regions_are_read_as_written(rectangles: list) -> None:
    regions = Regions(tuple(rectangles))
    assert len(regions.encode()) == REGIONS_SIZE
    assert Regions.decode(regions.encode()) == regions


SMALL = st.tuples(st.integers(0, 90), st.integers(0, 90), st.integers(1, 60), st.integers(1, 60))


@given(st.lists(SMALL, max_size=4), st.integers(1, 6), st.integers(1, 6))
def test_cells_of_regions_by_brute_force(rectangles: list, columns: int, rows: int) -> None:
    regions = Regions(tuple(rectangles))
    pixels = {
        (px // 16, py // 16) for x, y, w, h in rectangles
        for px in range(x, x + w) for py in range(y, y + h)
    }
    expected = [
        row * columns + column for row in range(rows) for column in range(columns)
        if not rectangles or (column, row) in pixels
    ]
    assert regions.cells(0, rows, columns) == expected
    hashes = b"".join(cell.to_bytes(4, "big") for cell in range(rows * columns))
    chosen = regions.chosen(hashes, 0, columns)
    assert chosen == b"".join(cell.to_bytes(4, "big") for cell in expected)


@pytest.mark.parametrize(
    "rectangle", [(-1, 0, 1, 1), (0, 0, 0, 1), (0, 0, 1, 0), (0, 65536, 1, 1), (0, 0, 65536, 1)]
)
def test_impossible_regions(rectangle: tuple) -> None:
    with pytest.raises(ValueError, match="region"):
        Regions((rectangle,))
    with pytest.raises(ValueError, match="at most 16"):
        Regions(((0, 0, 1, 1),) * 17)


# --- segments


@given(
    data=st.binary(max_size=3000), cut=CUTS, mcus=st.integers(0, 2**24 - 1), hashes=CELLS,
    number=st.integers(0, 2**64 - 1),
)
def test_segments_are_read_as_written(
    data: bytes, cut: Cut, mcus: int, hashes: bytes, number: int
) -> None:
    for segment in (Segment(Kind.CELLS, data, cut, mcus, hashes), Segment(Kind.PLAIN, data)):
        body = KEYS.pack(number, segment)
        found = KEYS.unpack(number, body)
        assert found is not None
        assert (found.segment, found.data_holds, found.hashes_hold) == (segment, True, True)
        sizes = sizes_of(body)
        assert sizes is not None
        assert sizes.segment % GRAIN == 0
        assert sizes.segment - len(body) == 24
        assert sizes.segment == (
            SEGMENT_OVERHEAD + len(data) + len(segment.hashes) + segment.padding)
        assert body[HEAD_SIZE : sizes.data_end] == data


def test_checks_tell_what_was_altered() -> None:
    segment = Segment(Kind.CELLS, bytes(100), Cut(4, 3, 2, (1, -2, 3, -4), 5, 6), 7, bytes(8))
    body = KEYS.pack(1, segment)
    expected = {
        0: (False, False), HEAD_SIZE: (False, True), HEAD_SIZE + 99: (False, True),
        HEAD_SIZE + 100: (True, False), HEAD_SIZE + 107: (True, False),
        HEAD_SIZE + 108: (False, True), HEAD_SIZE + 115: (False, True),
        HEAD_SIZE + 116: (True, False), HEAD_SIZE + 122: (True, False),
        HEAD_SIZE + 123: (True, True), len(body) - 1: (True, True),
    }
    for at, holds in expected.items():
        found = KEYS.unpack(1, body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :])
        assert found is not None
        assert (found.data_holds, found.hashes_hold) == holds, at
    moved = KEYS.unpack(2, body)
    assert moved is not None
    assert not moved.data_holds
    assert not moved.hashes_hold


@given(st.binary(max_size=200))
def test_any_bytes_as_a_body(data: bytes) -> None:
    found = KEYS.unpack(0, data)
    assert found is None or not (found.data_holds or found.hashes_hold)
    sizes_of(data)


def test_the_key_stream_of_each_segment_is_its_own() -> None:
    key = bytes(range(32))
    streams = {key_stream(key, number, 64) for number in range(20)}
    assert len(streams) == 20
    assert encrypt(key, 3, encrypt(key, 3, b"text")) == b"text"
    # AES-256-CTR of zeros, NIST SP 800-38A layout: number, then the block counter from 0.
    assert key_stream(key, 0, 16).hex() == "f29000b62a499fd0a9f39a6add2e7780"


def test_marks_depend_on_everything() -> None:
    other_set = SetKeys(bytes(range(32)), b"another set, too")
    other_key = SetKeys(bytes(32), SET_ID)
    marks = {KEYS.mark(0, 0), KEYS.mark(1, 0), KEYS.mark(0, 1), other_set.mark(0, 0),
             other_key.mark(0, 0)}
    assert len(marks) == 5
    assert all(len(mark) == 8 for mark in marks)


# --- places


MARKS = {KEYS.mark(0, number): number for number in range(40)}


def body_of(numbers: list[int], sizes: int | list[int] = 2048) -> bytes:
    sizes = [sizes] * len(numbers) if isinstance(sizes, int) else sizes
    rng = random.Random(4)
    return b"".join(
        KEYS.mark(0, number) + rng.randbytes(size - 8)
        for number, size in zip(numbers, sizes, strict=True)
    )


def test_segments_in_order() -> None:
    found = locate(Memory(bytes(333) + body_of([0, 1, 2], [2048, 300 << 10, 1024])), 333, MARKS)
    assert found == [
        Place(0, 333, 2381), Place(1, 2381, 2381 + (300 << 10)),
        Place(2, 2381 + (300 << 10), 2381 + (301 << 10)),
    ]


@settings(max_examples=by_kernel(60, 30), deadline=None)
@given(st.permutations(range(6)), st.lists(st.integers(0, 3000), min_size=6, max_size=6))
def test_segments_anywhere(order: list[int], gaps: list[int]) -> None:
    data, expected = bytearray(), {}
    for number, gap in zip(order, gaps, strict=True):
        data += bytes(gap)
        expected[number] = len(data)
        data += body_of([number])
    source = Memory(bytes(data))
    places = locate(source, 0, MARKS)
    found = {place.number: place.at for place in places}
    assert all(place.at < place.end <= len(data) for place in places)
    missing = {mark: n for mark, n in MARKS.items() if n < 6 and n not in found}
    found |= {place.number: place.at for place in search(source, 0, places, missing)}
    assert found == expected


@pytest.mark.parametrize("size", [0, 1, 7, 8, 100, 1 << 18, (1 << 18) + 3, (1 << 19) - 1])
def test_nothing_to_be_found(size: int) -> None:
    assert locate(Memory(random.Random(1).randbytes(size)), 0, MARKS) == []


@pytest.mark.parametrize("before", [(1 << 18) - n for n in range(1, 10)])
def test_a_mark_across_the_edge_of_what_is_read_at_once(before: int) -> None:
    assert [p.at for p in locate(Memory(bytes(before) + body_of([7])), 0, MARKS)] == [before]


def test_a_place_inside_another_is_found_by_searching() -> None:
    data = bytearray(body_of([0, 1, 3], 33 << 10))
    data[2000:2000] = body_of([2]) + bytes(1024)
    source = Memory(bytes(data))
    places = [Place(0, 0, 36 << 10), Place(1, 36 << 10, 69 << 10)]
    one = {KEYS.mark(0, 2): 2}
    assert [(p.number, p.at) for p in search(source, 0, places, one)] == [(2, 2000)]
    many = one | {KEYS.mark(0, number): number for number in range(10, 40)}
    places = [Place(0, 0, (36 << 10) + 5)]
    assert [(p.number, p.at) for p in search(source, 0, places, many)] == [(2, 2000)]


def test_copies_beyond_the_fourth_are_not_kept() -> None:
    places = [Place(0, at, at + 1) for at in range(10)]
    assert by_number(places) == {0: places[:4]}


# --- the end


@pytest.mark.parametrize("signed", [False, True])
def test_conclusions(signed: bool) -> None:
    clear = make().shares[0].clear
    names = KEY.public.fingerprint + OTHER_KEY.public.fingerprint
    made = Conclusion(1 << 40, bytes(range(32)), names)
    made = made.signed(SATELLITE, clear) if signed else made
    found = decode_conclusion(made.encode())
    assert found == made
    assert found.is_authentic(SATELLITE.public, clear) == signed
    assert found.names(OTHER_KEY.public)
    assert not found.names(PrivateKey(bytes(range(7, 39))).public)
