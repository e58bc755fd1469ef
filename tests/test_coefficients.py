"""Coefficients of a JPEG stream: those of libjpeg, however the stream is cut.

Proves that what is read gives libjpeg's pixels through our own inverse DCT, that known coefficients
come back in their places for any sampling factors, that headers are carried, and that files of
another kind are refused by their own number.
"""

from __future__ import annotations

import tracemalloc
from array import array
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.codec.jpeg.coefficient_frame import CoefficientFrame, Row
from occulta.codec.jpeg.coefficients import CoefficientReader, Header
from occulta.codec.jpeg.huffman import dht_segment
from occulta.codec.jpeg.writer import clip
from occulta.errors import OccultaError, Reason
from occulta.limits import DEFAULT_LIMITS, Limits
from tests.coefficient_pictures import (
    FACTORS,
    frame_of,
    luma_pixels,
    pillow_luma,
    plane,
    random_rows,
    read,
    read_bytewise,
    read_chunks,
    write,
)
from tests.encoder import Picture, random_blocks, segment, wide_tables
from tests.jpegs import PLAIN, encode, find, sample
from tests.support import by_kernel, pieces, runs_compiled
from tests.test_corpus import CLEAN, CODED_OTHERWISE, DEEP, OTHERS, Entry, each, load_small

SEVERAL = {"not_interleaved", "redeclared"}
READABLE = [kind for kind in PLAIN if kind not in SEVERAL]


def reason_of(call: Callable[[], object]) -> Reason | None:
    try:
        call()
    except OccultaError as error:
        assert error.hint
        return error.reason
    return None


@pytest.mark.parametrize("kind", [k for k in READABLE if k not in ("cmyk", "no_eoi")])
def test_pixels_are_libjpegs(kind: str) -> None:
    data = sample(kind)
    header, rows = read(data)
    assert np.abs(luma_pixels(header, rows) - pillow_luma(data)).max() <= 1


@pytest.mark.parametrize("quality", [1, 50, 100])
def test_quantisation_tables_of_any_quality(quality: int) -> None:
    data = encode(3, 40, 24, "L", quality=quality)
    assert np.abs(luma_pixels(*read(data)) - pillow_luma(data)).max() <= 1


@pytest.mark.parametrize("kind", READABLE)
def test_cutting_makes_no_difference(kind: str) -> None:
    data = sample(kind, 7, 40, 32)
    whole = read(data)
    assert read(data, 100) == whole
    assert read_bytewise(data) == whole
    assert [row.number for row in whole[1]] == list(range(whole[0].frame.rows))


@settings(max_examples=by_kernel(60, 6), deadline=None)
@given(cuts=st.lists(st.integers(0, 4000), max_size=8))
def test_any_cuts(cuts: list[int]) -> None:
    data = sample("restart_rows", 7, 40, 32)
    assert read_chunks(pieces(data, cuts)) == read(data)


def test_rows_come_as_soon_as_they_are_there() -> None:
    data = sample("gray_q95")
    reader = CoefficientReader(DEFAULT_LIMITS)
    assert reader.frame is None
    assert reader.feed(data[:500]) == []
    big = encode(5, 256, 256, "L", quality=95)
    reader = CoefficientReader(DEFAULT_LIMITS)
    early = reader.feed(big[: len(big) // 2])
    assert reader.frame is not None and 0 < len(early) < 16
    assert early + reader.feed(big[len(big) // 2 :]) + reader.finish() == read(big)[1]


def test_a_stream_gives_rows_while_it_takes_the_chunk() -> None:
    data = encode(5, 256, 512, "L", quality=98)
    reader = CoefficientReader(DEFAULT_LIMITS)
    stream = reader.stream(data)
    first = next(stream)
    assert first.number == 0 and reader._engine.buffer.fed < len(data) // 2
    assert [first, *stream, *reader.finish()] == read(data)[1]


@pytest.mark.skipif(not runs_compiled(), reason="the plain kernel is too slow for it")
def test_memory_is_that_of_a_row() -> None:
    frame = CoefficientFrame.gray(8 * 1000, 8 * 400, (1,) * 64)
    row = Row(0, (array("h", [0]) * 64000,))
    data = write(Header(frame, ()), [row] * 400)
    reader = CoefficientReader(DEFAULT_LIMITS)
    tracemalloc.start()
    try:
        count = sum(1 for _ in reader.stream(data)) + len(reader.finish())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 400 and peak < 6_000_000 < 400 * 128_000


@pytest.mark.parametrize("interval", [0, 5])
def test_blocks_by_hand_are_in_their_places(interval: int) -> None:
    parts = [random_blocks(seed, 12, last=63, spread=300) for seed in (1, 2, 3)]
    made = Picture(parts, 4, tables=wide_tables(), interval=interval)
    header, rows = read(made.to_jpeg())
    for at, blocks in enumerate(parts):
        assert list(plane(header, rows, at)) == [value for block in blocks for value in block]
    assert header.frame.components[0].table == (8,) * 64


@pytest.mark.parametrize("factors", FACTORS)
def test_any_sampling(factors: tuple[tuple[int, int], ...]) -> None:
    frame = frame_of(factors, 41, 37)
    rows = random_rows(frame)
    header, found = read(write(Header(frame, ()), rows))
    assert header.frame == frame
    assert found == rows
    across = -(-41 // (8 * max(h for h, _ in factors)))
    assert [frame.across(at) for at in range(len(factors))] == [across * h for h, _ in factors]


def test_one_component_has_one_block_whatever_its_factors() -> None:
    data = bytearray(sample("gray"))
    at = find(bytes(data), 0xC0)[0] + 11
    assert data[at] == 0x11
    data[at] = 0x22
    assert read(bytes(data)) == read(sample("gray"))


def test_segments_are_carried() -> None:
    data = sample("gray")
    extra = [segment(0xE1, b"Exif\0\0abc"), segment(0xFE, b"words"), segment(0xE5, b"")]
    made = data[:2] + b"\xff\xff".join([*extra, data[2:]])
    header, rows = read(made)
    assert header.segments == (*extra, data[2:20])
    assert rows == read(data)[1]
    assert read(write(header, rows)) == (header, rows)


def with_tables_of_16_bits(data: bytes, divisor: int) -> bytes:
    start, end = find(data, 0xDB)
    return data[:start] + segment(0xDB, b"\x10" + divisor.to_bytes(2, "big") * 64) + data[end:]


def test_greatest_values_of_a_hostile_file() -> None:
    blocks = [[0, *[16383] * 63], [0] * 64]
    data = Picture([blocks], 2, tables=wide_tables(), precision=8).to_jpeg()
    header, rows = read(with_tables_of_16_bits(data, 65535))
    assert header.frame.components[0].table == (65535,) * 64
    assert list(plane(header, rows)) == blocks[0] + blocks[1]
    assert luma_pixels(header, rows).shape == (8, 16)
    assert clip(rows[0].planes[0]) == 63
    assert read(write(header, rows)) == (header, rows)


def without(data: bytes, marker: int) -> bytes:
    start, end = find(data, marker)
    return data[:start] + data[end:]


def reordered() -> bytes:
    data = sample("ycc444")
    start, _ = find(data, 0xDA)
    scan = data[start + 5 : start + 11]
    return data[: start + 5] + scan[2:4] + scan[:2] + scan[4:] + data[start + 11 :]


def bad_dqt(body: bytes) -> bytes:
    data = sample("gray")
    start, end = find(data, 0xDB)
    return data[:start] + segment(0xDB, body) + data[end:]


@pytest.mark.parametrize(("make", "reason"), [
    (lambda: sample("progressive"), Reason.PROGRESSIVE),
    (lambda: sample("not_interleaved"), Reason.SEVERAL_SCANS),
    (lambda: sample("deep"), Reason.DEEP_SAMPLES),
    (lambda: sample("dnl"), Reason.DNL_TOO_FAR),
    (lambda: without(sample("gray"), 0xDB), Reason.NO_QUANTISATION_TABLE),
    (lambda: bad_dqt(bytes([4]) + bytes([1] * 64)), Reason.BAD_SEGMENT),
    (lambda: bad_dqt(bytes([0x20]) + bytes([1] * 256)), Reason.BAD_SEGMENT),
    (lambda: bad_dqt(bytes([0]) + bytes([1] * 63)), Reason.BAD_SEGMENT),
    (lambda: bad_dqt(bytes([0]) + bytes([1] * 63 + [0])), Reason.BAD_SEGMENT),
    (reordered, Reason.BAD_SCAN),
    (lambda: b"", Reason.EMPTY_INPUT),
    (lambda: b"GIF89a", Reason.NOT_JPEG),
    (lambda: sample("gray")[:400], Reason.TRUNCATED),
    (lambda: b"\xff\xd8" + dht_segment([(0, 0, wide_tables()[0, 0])]) + b"\xff\xd9",
     Reason.NO_SCAN),
])
def test_refusals(make, reason: Reason) -> None:
    assert reason_of(lambda: read(make())) is reason


def test_several_scans_of_the_same_components() -> None:
    data = sample("gray")
    start = find(data, 0xDA)[0]
    assert reason_of(lambda: read(data[:-2] + data[start:])) is Reason.SEVERAL_SCANS


def test_limits_come_before_memory() -> None:
    data = bytearray(sample("gray"))
    at = find(bytes(data), 0xC0)[0] + 5
    data[at : at + 4] = b"\xff\xff\xff\xff"
    assert reason_of(lambda: read(bytes(data))) is Reason.LIMIT_BLOCKS
    small = Limits(max_dimension=64)
    assert reason_of(lambda: read(sample("gray"), limits=small)) is Reason.LIMIT_DIMENSIONS


@settings(max_examples=by_kernel(300, 12), deadline=None)
@given(data=st.data())
def test_hostile_bytes(data) -> None:
    kind = data.draw(st.sampled_from(["gray", "ycc420", "restart_blocks", "by_hand"]))
    damaged = bytearray(sample(kind, 7, 40, 32))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    damaged = damaged[: data.draw(st.integers(0, 2 * len(damaged)))]
    limits = Limits(max_blocks=10_000)
    try:
        found = read(bytes(damaged), limits=limits)
    except OccultaError:
        return
    assert read(bytes(damaged), 7, limits=limits) == found


@each(CLEAN)
def test_clean_files(entry: Entry) -> None:
    data = load_small(entry)
    try:
        header, rows = read(data)
    except OccultaError as error:
        assert error.reason in (Reason.PROGRESSIVE, Reason.SEVERAL_SCANS, Reason.DNL_TOO_FAR)
        return
    if header.frame.components[0].horizontal == max(c.horizontal for c in header.frame.components):
        assert read(write(header, rows)) == (header, rows)


@each(DEEP + CODED_OTHERWISE + OTHERS)
def test_other_files(entry: Entry) -> None:
    try:
        read(load_small(entry))
    except OccultaError as error:
        assert error.reason.value // 100 == 3


def test_most_clean_sequential_files_are_read() -> None:
    if not CLEAN:
        pytest.skip("no collection beside the project")
    if not runs_compiled():
        pytest.skip("the plain kernel is too slow for these")
    small = [e for e in CLEAN if e.process.startswith("SOF0")][:20]
    assert sum(reason_of(partial(read, load_small(entry))) is None for entry in small) >= 16
