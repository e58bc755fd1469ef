"""The outer structure of a file: segments, scans, what follows; found in any chunking.

Proves that the same items come out however the bytes come in, that fill bytes and stray markers
are told from structure, and that every limit on structure is kept.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.codec.jpeg import markers
from occulta.codec.jpeg.structure import Item, ItemKind, JpegBuffer
from occulta.errors import OccultaError, Reason
from occulta.limits import DEFAULT_LIMITS, Limits
from tests.encoder import segment
from tests.jpegs import KINDS, sample
from tests.support import each_byte, mark, pieces

pytestmark = pytest.mark.arm64

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
SOS = segment(0xDA, b"\x01\x01\x00\x00\x3f\x00")
SCAN = b"\x12\xff\x00\x34\xff\xd0\x56\xff\xff\xd1\x78"
TINY = SOI + segment(0xE0, b"app") + SOS + SCAN + EOI + b"tail\xff\xd8"
EXAMPLES = settings(deadline=None, derandomize=True, database=None, max_examples=100)


def items_of(chunks: object, limits: Limits = DEFAULT_LIMITS) -> list[Item]:
    buffer = JpegBuffer(limits)
    for chunk in chunks:  # type: ignore[attr-defined]
        buffer.append(chunk)
    buffer.close()
    return list(buffer.items)


def stretches(data: bytes, items: list[Item]) -> list[bytes]:
    return [data[item.start : item.end] for item in items]


def test_the_parts_of_a_tiny_file() -> None:
    items = items_of([TINY])
    assert [item.kind for item in items] == [ItemKind.SEGMENT] * 3 + [
        ItemKind.SCAN, ItemKind.SEGMENT, ItemKind.TRAILER
    ]
    assert stretches(TINY, items) == [
        SOI, segment(0xE0, b"app"), SOS, SCAN, EOI, b"tail\xff\xd8"
    ]
    assert [item.marker for item in items] == [0xD8, 0xE0, 0xDA, 0, 0xD9, 0]
    assert TINY[items[1].body : items[1].end] == b"app"


@pytest.mark.parametrize("kind", KINDS)
def test_items_lie_end_to_end(kind: str) -> None:
    data = sample(kind)
    whole = items_of([data])
    assert b"".join(stretches(data, whole)) == data
    assert items_of(each_byte(data)) == whole


@EXAMPLES
@given(st.sampled_from(sorted(KINDS)), st.lists(st.integers(0, 6000), max_size=9))
def test_items_however_it_is_cut(kind: str, cuts: list[int]) -> None:
    data = sample(kind)
    assert items_of(pieces(data, cuts)) == items_of([data])


def test_an_unfinished_scan_ends_with_the_file() -> None:
    data = TINY[: TINY.index(EOI)] + b"\xff"
    items = items_of(each_byte(data))
    assert items[-1].kind is ItemKind.SCAN
    assert items[-1].end == len(data)


@pytest.mark.parametrize(("data", "reason"), [
    (b"", Reason.EMPTY_INPUT),
    (b"x", Reason.NOT_JPEG),
    (b"\xff\xe0\x00\x02", Reason.NOT_JPEG),
    (b"\xff\xff\xd8", Reason.NOT_JPEG),
    (SOI + b"x", Reason.EXTRANEOUS_DATA),
    (SOI + b"\xff\x00", Reason.EXTRANEOUS_DATA),
    (SOI + b"\xff\xe0\x00\x01\x00", Reason.BAD_SEGMENT),
    (SOI + b"\xff\xe0\x00\x00", Reason.BAD_SEGMENT),
    (SOI + b"\xff\xe0\x00\x05ab", Reason.TRUNCATED),
    (SOI + b"\xff\xe0\x00", Reason.TRUNCATED),
    (SOI + b"\xff", Reason.TRUNCATED),
    (SOI + b"\xff\xd3", Reason.STRAY_MARKER),
    (SOI + SOI, Reason.STRAY_MARKER),
    (SOI + SOS + SCAN + SOI, Reason.STRAY_MARKER),
])
def test_refusals(data: bytes, reason: Reason) -> None:
    for chunks in ([data], list(each_byte(data))):
        with pytest.raises(OccultaError) as caught:
            items_of(chunks)
        assert caught.value.reason is reason


@pytest.mark.parametrize("most", [0, 1, 255])
def test_fill_bytes(most: int) -> None:
    limits = Limits(max_fill_bytes=most)
    data = SOI + b"\xff" * most + segment(0xFE, b"comment") + EOI
    assert [i.marker for i in items_of([data], limits)] == [0xD8, 0xFE, 0xD9]
    with pytest.raises(OccultaError) as caught:
        items_of([SOI + b"\xff" * (most + 1) + segment(0xFE, b"comment") + EOI], limits)
    assert caught.value.reason is Reason.EXTRANEOUS_DATA


def test_the_number_of_scans_is_limited() -> None:
    limits = Limits(max_scans=3)
    assert len(items_of([SOI + 3 * (SOS + SCAN) + EOI], limits)) == 8
    with pytest.raises(OccultaError) as caught:
        items_of([SOI + 4 * (SOS + SCAN) + EOI], limits)
    assert caught.value.reason is Reason.LIMIT_SCANS


def test_the_size_of_headers_is_limited() -> None:
    data = sample("gray")
    comments = segment(0xFE, bytes(60_000)) * 3
    limits = Limits(max_header_bytes=100_000, hold_back=8192, quantum=1024)
    with pytest.raises(OccultaError) as caught:
        mark(data[:2] + comments + data[2:], b"", limits=limits)
    assert caught.value.reason is Reason.LIMIT_SEGMENT


def test_a_discarded_beginning_does_not_move_offsets() -> None:
    buffer = JpegBuffer(DEFAULT_LIMITS)
    buffer.append(TINY[:9])
    buffer.discard(5)
    buffer.append(TINY[9:])
    buffer.close()
    assert list(buffer.items) == items_of([TINY])
    assert buffer.base == 5 and buffer.fed == len(TINY)
    assert buffer.copy(6, 12) == TINY[6:12]
    with buffer.view(7, 9) as view:
        assert bytes(view) == TINY[7:9]


def test_a_buffer_of_one_scan() -> None:
    whole = JpegBuffer.of_scan(DEFAULT_LIMITS, SCAN, True)
    part = JpegBuffer.of_scan(DEFAULT_LIMITS, SCAN, False)
    assert [i.end for i in whole.items] == [len(SCAN)]
    assert [i.end for i in part.items] == [None]


def test_which_markers_stand_alone() -> None:
    alone = {code for code in range(256) if markers.stands_alone(code)}
    assert alone == {0x01, 0xD8, 0xD9, *range(0xD0, 0xD8)}
    assert not markers.HUFFMAN_FRAMES & (
        markers.LOSSLESS_FRAMES | markers.ARITHMETIC_FRAMES | markers.HIERARCHICAL
    )
