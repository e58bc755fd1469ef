"""A picture's headers are read as soon as they are complete, whatever follows."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.codec.jpeg.coefficients import CoefficientReader, Header
from occulta.codec.jpeg.head import HeaderReader
from occulta.errors import OccultaError, Reason
from occulta.limits import DEFAULT_LIMITS, Limits
from tests.encoder import segment
from tests.jpegs import PLAIN, encode, find, with_thumbnail
from tests.support import pieces

DATA = encode(3, 200, 160)
END = find(DATA, 0xDA)[1]


def header_of(parts: Iterator[bytes] | list[bytes], limits: Limits = DEFAULT_LIMITS) -> Header:
    """Of a file in parts; raises OccultaError."""
    reader = HeaderReader(limits)
    for part in parts:
        header = reader.feed(part)
        if header is not None:
            return header
    reader.finish()


def reason_of(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Reason:
    with pytest.raises(OccultaError) as caught:
        header_of([data], limits)
    return caught.value.reason


@pytest.mark.parametrize("kind", PLAIN)
@settings(max_examples=5, deadline=None)
@given(cuts=st.lists(st.integers(0, 2_000), max_size=6))
def test_it_is_that_of_the_reader(kind: str, cuts: list[int]) -> None:
    data = with_thumbnail(PLAIN[kind](4, 48, 40))
    reader = CoefficientReader(DEFAULT_LIMITS)
    try:
        reader.feed(data)
        reader.finish()
    except OccultaError as error:
        if reader.header is None:
            assert reason_of(data) is error.reason
            return
    assert header_of(pieces(data, cuts)) == reader.header


def test_it_is_there_with_the_last_byte_of_the_headers() -> None:
    reader = HeaderReader(DEFAULT_LIMITS)
    assert reader.feed(DATA[: END - 1]) is None
    header = reader.feed(DATA[END - 1 : END])
    assert header is not None
    assert (header.frame.width, header.frame.height) == (200, 160)


@pytest.mark.parametrize("follows", [
    b"", b"\xff", b"\xff\xd8", b"\xff\xd9\xff", b"\xff\xda\0", b"\xff\xc4\0\1", b"\xff\xff" * 300,
    DATA[find(DATA, 0xDA)[0] :], bytes(5000), b"\xff\xd0" * 700,
])
@pytest.mark.parametrize("size", [1, 1 << 16])
def test_what_follows_does_not_count(follows: bytes, size: int) -> None:
    stream = io.BytesIO(DATA[:END] + follows)
    assert header_of(iter(lambda: stream.read(size), b"")) == header_of([DATA])


def test_what_is_none() -> None:
    assert reason_of(b"") is Reason.EMPTY_INPUT
    assert reason_of(b"GIF89a") is Reason.NOT_JPEG
    assert reason_of(b"\xff\xd8\xff\xd9") is Reason.NO_SCAN
    assert reason_of(b"\xff\xd8\xff\xd9\xff\xda") is Reason.NO_SCAN
    assert reason_of(DATA[: END - 1]) is Reason.TRUNCATED
    assert reason_of(encode(3, 48, 40, progressive=True)) is Reason.PROGRESSIVE
    assert reason_of(DATA[: find(DATA, 0xDA)[0]] + b"\xff\xd0" + DATA[END:]) is Reason.STRAY_MARKER


def test_a_height_behind_the_scan_is_no_header() -> None:
    at = find(DATA, 0xC0)[0]
    dnl = segment(0xDC, (160).to_bytes(2, "big"))
    assert reason_of(DATA[: at + 5] + b"\0\0" + DATA[at + 7 : -2] + dnl) is Reason.DNL_TOO_FAR


def test_headers_are_bounded() -> None:
    limits = Limits(max_header_bytes=50_000)
    comments = segment(0xFE, bytes(30_000)) * 2
    reader = HeaderReader(limits)
    assert reader.feed(DATA[:2] + comments[:30_004]) is None
    with pytest.raises(OccultaError) as caught:
        reader.feed(comments[30_004:])
    assert caught.value.reason is Reason.LIMIT_SEGMENT
