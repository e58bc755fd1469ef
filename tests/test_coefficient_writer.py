"""The baseline encoder for coefficients: what is written is read back, by us and by libjpeg.

Proves that the reader gives back every value that baseline has, that libjpeg opens the files and
sees the pixels of what was copied, that rows stand behind restart markers, and that values beyond
baseline are refused.
"""

from __future__ import annotations

import io
from array import array

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from occulta.codec.jpeg.coefficient_frame import CodedComponent, CoefficientFrame
from occulta.codec.jpeg.coefficients import Header
from occulta.codec.jpeg.quantisation import standard_tables
from occulta.codec.jpeg.writer import JFIF, CoefficientWriter, clip
from tests.coefficient_pictures import FACTORS, frame_of, random_rows, read, write
from tests.jpegs import encode, find, pixels, sample
from tests.support import by_kernel

TABLE = standard_tables(75)[0]
WIDE = st.integers(-1023, 1023)
NARROW = st.integers(-2, 2)
VALUES = st.one_of(st.just(0), st.just(0), NARROW, WIDE)


@settings(max_examples=by_kernel(60, 12), deadline=None)
@given(
    blocks=st.lists(st.lists(VALUES, min_size=64, max_size=64), min_size=1, max_size=6),
    across=st.integers(1, 3),
)
def test_what_is_written_is_read(blocks: list[list[int]], across: int) -> None:
    blocks += [blocks[0]] * (-len(blocks) % across)
    frame = CoefficientFrame.gray(8 * across, len(blocks) // across * 8, TABLE)
    flat = array("h", [value for block in blocks for value in block])
    width = 64 * across
    writer = CoefficientWriter(frame)
    data = writer.begin()
    for at in range(0, len(flat), width):
        data += writer.row([flat[at : at + width]])
    header, rows = read(data + writer.end())
    assert header == Header(frame, (JFIF,))
    assert array("h", b"".join(row.planes[0] for row in rows)) == flat


@pytest.mark.parametrize("kind", ["gray", "gray_q95", "ycc420", "ycc411", "cmyk", "odd_size"])
def test_a_copy_has_the_same_pixels(kind: str) -> None:
    header, rows = read(sample(kind))
    copy = write(header, rows)
    assert pixels(copy) == pixels(sample(kind))
    with Image.open(io.BytesIO(copy)) as image, Image.open(io.BytesIO(sample(kind))) as before:
        assert image.quantization == before.quantization
        assert (image.mode, image.info) == (before.mode, before.info)


@pytest.mark.parametrize("factors", [f for f in FACTORS if len(f) != 2])
def test_libjpeg_opens_any_sampling(factors: tuple[tuple[int, int], ...]) -> None:
    frame = frame_of(factors, 41, 37)
    data = write(Header(frame, ()), random_rows(frame))
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (41, 37)
        image.load()


def test_each_row_stands_behind_a_marker() -> None:
    header, rows = read(encode(2, 96, 8 * 19, "L"))
    data = write(header, rows)
    start, end = find(data, 0xDD)
    assert data[start:end] == b"\xff\xdd\x00\x04\x00\x0c"
    scan = data[find(data, 0xDA)[1] :]
    found = [b for a, b in zip(scan, scan[1:], strict=False) if a == 0xFF and b]
    assert found == [0xD0 + at % 8 for at in range(18)] + [0xD9]


def test_a_requantised_copy() -> None:
    header, rows = read(encode(2, 64, 48, "L", quality=95))
    coarse = standard_tables(50)[0]
    fine = header.frame.components[0].table
    frame = CoefficientFrame.gray(64, 48, coarse)
    writer = CoefficientWriter(frame)
    data = writer.begin()
    for row in rows:
        values = [round(v * fine[at % 64] / coarse[at % 64]) for at, v in enumerate(row.planes[0])]
        data += writer.row([array("h", values)])
    data += writer.end()
    with Image.open(io.BytesIO(data)) as image:
        found = np.asarray(image).astype(int)
    with Image.open(io.BytesIO(encode(2, 64, 48, "L", quality=95))) as image:
        before = np.asarray(image).astype(int)
    assert 2 < np.abs(found - before).mean() < 8


def test_tables_of_16_bits_are_extended_sequential() -> None:
    frame = CoefficientFrame.gray(8, 8, (300, *TABLE[1:]))
    data = write(Header(frame, ()), random_rows(frame))
    assert find(data, 0xC1) and read(data)[0].frame == frame


@pytest.mark.parametrize(("place", "value", "fits"), [
    (1, 1023, True), (1, 1024, False), (63, -1023, True), (63, -1024, False), (0, 2047, True),
    (0, 2048, False), (0, -2047, True), (0, -2048, False), (5, -32768, False), (0, 32767, False),
])
def test_values_beyond_baseline(place: int, value: int, fits: bool) -> None:
    frame = CoefficientFrame.gray(8, 8, TABLE)
    block = array("h", [0] * 64)
    block[place] = value
    writer = CoefficientWriter(frame)
    writer.begin()
    if not fits:
        with pytest.raises(ValueError, match="beyond baseline in MCU 0 of row 0"):
            writer.row([block])
        assert clip(block) == (value not in range(-1023, 1024))
    assert writer.row([block]) and writer.end() == b"\xff\xd9"


def test_differences_count_and_begin_anew_in_each_row() -> None:
    frame = CoefficientFrame.gray(16, 16, TABLE)
    high, low = [1500, *[0] * 63], [-1500, *[0] * 63]
    writer = CoefficientWriter(frame)
    with pytest.raises(ValueError, match="in MCU 1 of row 0"):
        writer.row([array("h", high + low)])
    rows = [array("h", high + high), array("h", low + low)]
    data = writer.begin() + b"".join(writer.row([row]) for row in rows) + writer.end()
    assert [row.planes[0] for row in read(data)[1]] == rows


def test_clipping() -> None:
    values = array("h", [-1024, *[1023] * 62, -1024, -1025, 1024, *[-1023] * 62])
    assert clip(values) == 3
    assert values == array("h", [-1024, *[1023] * 62, -1023, -1024, 1023, *[-1023] * 62])
    for wrong in (array("h", [0] * 63), array("i", [0] * 64)):
        with pytest.raises(ValueError, match="whole blocks"):
            clip(wrong)


def test_a_row_larger_than_the_buffer() -> None:
    frame = CoefficientFrame.gray(8 * by_kernel(1000, 400), 8, TABLE)
    values = array("h", [1023, *[-1023, 1023] * 31, -1023] * (frame.width // 8))
    writer = CoefficientWriter(frame)
    data = writer.begin() + writer.row([values]) + writer.end()
    assert read(data)[1][0].planes[0] == values


def component(identifier: int = 1, h: int = 1, v: int = 1, table=TABLE) -> CodedComponent:
    return CodedComponent(identifier, h, v, table)


@pytest.mark.parametrize("frame", [
    CoefficientFrame(0, 8, (component(),)),
    CoefficientFrame(8, 65536, (component(),)),
    CoefficientFrame(8, 8, ()),
    CoefficientFrame(8, 8, (component(h=2),)),
    CoefficientFrame(8, 8, (component(), component())),
    CoefficientFrame(8, 8, (component(), component(256))),
    CoefficientFrame(8, 8, (component(), component(2, h=5))),
    CoefficientFrame(8, 8, (component(h=4, v=2), component(2, h=3))),
    CoefficientFrame(8, 8, (component(table=TABLE[1:]),)),
    CoefficientFrame(8, 8, (component(table=(0, *TABLE[1:])),)),
    CoefficientFrame(8, 8, (component(table=(65536, *TABLE[1:])),)),
    CoefficientFrame(8, 8, tuple(component(at) for at in range(5))),
])
def test_impossible_frames(frame: CoefficientFrame) -> None:
    with pytest.raises(ValueError, match=r"."):
        CoefficientWriter(frame)


def test_misuse() -> None:
    writer = CoefficientWriter(CoefficientFrame.gray(8, 8, TABLE))
    block = array("h", [0] * 64)
    for wrong in ([], [block, block], [block + block], [array("i", [0] * 64)]):
        with pytest.raises(ValueError, match="row of MCUs|array"):
            writer.row(wrong)
    with pytest.raises(ValueError, match="0 rows of 1"):
        writer.end()
    writer.row([block])
    with pytest.raises(ValueError, match="complete"):
        writer.row([block])


@pytest.mark.parametrize("quality", range(1, 101))
def test_tables_are_libjpegs(quality: int) -> None:
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "JPEG", quality=quality)
    tables = [c.table for c in read(out.getvalue())[0].frame.components]
    assert tuple(tables[:2]) == standard_tables(quality)


@pytest.mark.parametrize("quality", [0, 101, -1])
def test_impossible_qualities(quality: int) -> None:
    with pytest.raises(ValueError, match="quality"):
        standard_tables(quality)
