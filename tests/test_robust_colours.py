"""What three components are: our guess of a JPEG file's colours is libjpeg's."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from occulta.codec.jpeg.head import HeaderReader
from occulta.errors import OccultaError, Reason
from occulta.limits import DEFAULT_LIMITS
from occulta.schemes.robust.mark import check_luminance
from tests.encoder import segment
from tests.jpegs import encode, find

SIDE = 32
JFIF = segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
SHORT_JFIF = segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0")
JFXX = segment(0xE0, b"JFXX\0\1\1\0\0\1\0\1\0\0")


def adobe(transform: int, size: int = 12) -> bytes:
    return segment(0xEE, (b"Adobe\0\x64\0\0\0\0" + bytes([transform, 0]))[:size])


def plain(identifiers: bytes) -> bytes:
    """Three components with these identifiers, without JFIF and Adobe segments."""
    data = encode(3, SIDE, SIDE, keep_rgb=True)
    start, end = find(data, 0xEE)
    data = bytearray(data[:start] + data[end:])
    for code, first, step in ((0xC0, 10, 3), (0xDA, 5, 2)):
        at = find(bytes(data), code)[0]
        for n, identifier in enumerate(identifiers):
            data[at + first + n * step] = identifier
    return bytes(data)


def named(identifiers: bytes, *extra: bytes) -> bytes:
    data = plain(identifiers)
    return data[:2] + b"".join(extra) + data[2:]


YCC, RGB = b"\1\2\3", b"RGB"
FILES = {
    "numbered": (named(YCC), False),
    "lettered": (named(RGB), True),
    "lower case": (named(b"rgb"), False),
    "letters in another order": (named(b"BGR"), False),
    "other numbers": (named(b"\0\1\2"), False),
    "lettered, JFIF": (named(RGB, JFIF), False),
    "lettered, JFIF that is too short": (named(RGB, SHORT_JFIF), True),
    "lettered, JFXX": (named(RGB, JFXX), True),
    "lettered, Adobe's YCbCr": (named(RGB, adobe(1)), False),
    "lettered, an unknown transform": (named(RGB, adobe(7)), False),
    "lettered, Adobe that is too short": (named(RGB, adobe(1, 11)), True),
    "numbered, Adobe's RGB": (named(YCC, adobe(0)), True),
    "numbered, Adobe's RGB and longer": (named(YCC, adobe(0, 13)), True),
    "numbered, Adobe's RGB and JFIF": (named(YCC, adobe(0), JFIF), False),
    "numbered, two of Adobe": (named(YCC, adobe(0), adobe(1)), False),
    "numbered, two of Adobe, RGB last": (named(YCC, adobe(1), adobe(0)), True),
}


def luminance(data: bytes) -> bytes:
    """As libjpeg sees it."""
    with Image.open(io.BytesIO(data)) as image:
        image.draft("L", None)
        return image.convert("L").tobytes()


@pytest.mark.parametrize("kind", FILES)
def test_rgb_is_told_from_a_luminance(kind: str) -> None:
    data, is_rgb = FILES[kind]
    first_component = luminance(named(YCC, JFIF))
    assert (luminance(data) != first_component) is is_rgb
    header = HeaderReader(DEFAULT_LIMITS).feed(data)
    assert header is not None
    if not is_rgb:
        check_luminance(header)
        return
    with pytest.raises(OccultaError) as caught:
        check_luminance(header)
    assert caught.value.reason is Reason.NO_LUMINANCE
