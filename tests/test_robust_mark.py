"""The marked file: independent of chunks, a plain JPEG, everything but the luminance kept."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from occulta.codec.jpeg.raster import encode_gray
from occulta.errors import OccultaError, Reason
from occulta.schemes.robust.mark import Marker, mark_coded
from occulta.schemes.robust.profiles import PROFILES, TABLE
from tests.coefficient_pictures import read
from tests.encoder import segment
from tests.jpegs import PLAIN, encode, find, segments
from tests.robust_support import FINGERPRINT, NAMES, PRIVATE, coded, coded_marker, cover, pixels
from tests.support import KEY, by_kernel, pieces

WIDTH, HEIGHT = 150, 93
GOLDEN = {
    "light": "dd0957d8080e2e2fa38c95c6a24216ee",
    "default": "9bdc8b3c1b178ce33a18dbc13c4f9cd9",
    "max": "d58b659e717d69878582e0e40e7fc4e0",
    "strong": "eafa852da0aa637463c87e81edc2b15d",
}


def frozen_cover():
    """A raster by integers alone, coded by our own encoder."""
    raster = bytes(
        128 + (x * y // 7 + x * x // 11) % 61 - 30 + (x // 9 + y // 5) % 2 * 17
        for y in range(HEIGHT) for x in range(WIDTH))
    return encode_gray(raster, WIDTH, HEIGHT, 80)


@pytest.mark.arm64
@pytest.mark.parametrize("name", GOLDEN)
def test_a_marked_file_is_the_same_for_ever(name):
    marked = mark_coded(frozen_cover(), PROFILES[name], FINGERPRINT, coded())
    assert hashlib.sha256(marked).hexdigest()[:32] == GOLDEN[name]


def test_every_profile_is_frozen():
    assert list(GOLDEN) == NAMES


@settings(max_examples=by_kernel(20, 5), deadline=None)
@given(st.lists(st.integers(0, 12_000), max_size=8), st.sampled_from(NAMES))
def test_chunks_make_no_difference(cuts, name):
    jpeg = encode(1, 90, 70, restart_marker_blocks=5)
    whole = mark_coded(jpeg, PROFILES[name], FINGERPRINT, coded())
    marker = coded_marker(name, coded())
    parts = [marker.feed(part) for part in pieces(jpeg, cuts)]
    assert b"".join(parts) + marker.finish() == whole


def test_single_bytes_make_no_difference():
    jpeg = encode(2, 160, 120, quality=90)
    marker = coded_marker("max", coded())
    parts = [marker.feed(jpeg[at : at + 1]) for at in range(len(jpeg))]
    assert b"".join(parts) + marker.finish() == mark_coded(
        jpeg, PROFILES["max"], FINGERPRINT, coded())
    assert sum(map(bool, parts)) > 2


KINDS = {
    "gray": encode(3, 83, 61, "L"),
    "4:4:4": encode(3, 83, 61, subsampling="4:4:4"),
    "4:2:2": encode(3, 83, 61, subsampling="4:2:2"),
    "4:2:0": encode(3, 83, 61, subsampling="4:2:0"),
    "restarts": encode(3, 83, 61, subsampling="4:2:0", restart_marker_blocks=7),
    "optimized": encode(3, 83, 61, quality=95, optimize=True),
    "one block": encode(3, 8, 8, "L"),
    "less than a block": encode(3, 5, 7, "RGB", subsampling="4:2:0"),
    "one line": encode(3, 200, 1, "L"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_any_sampling_and_size(kind):
    jpeg = KINDS[kind]
    marked = mark_coded(jpeg, PROFILES["default"], FINGERPRINT, coded())
    (before, rows), (after, again) = read(jpeg), read(marked)
    assert (after.frame.width, after.frame.height) == (before.frame.width, before.frame.height)
    assert after.frame.components[0].table == TABLE
    assert after.frame.components[1:] == before.frame.components[1:]
    for one, other in zip(rows, again, strict=True):
        assert one.planes[1:] == other.planes[1:]
    with Image.open(io.BytesIO(marked)) as image:
        image.load()
        assert image.size == (before.frame.width, before.frame.height)


@pytest.mark.parametrize("kind", ["gray", "4:2:0"])
def test_a_row_of_mcus_is_a_restart_interval(kind):
    marked = mark_coded(KINDS[kind], PROFILES["light"], FINGERPRINT, coded())
    header, rows = read(marked)
    start, end = find(marked, 0xDD)
    assert int.from_bytes(marked[start + 4 : end], "big") == header.frame.mcus_across
    scan = marked[find(marked, 0xDA)[1] : -2]
    at, found = 0, []
    while (at := scan.find(b"\xff", at) + 1) > 0:
        found += [scan[at]] if scan[at] else []
    assert found == [0xD0 + number % 8 for number in range(len(rows) - 1)]


def test_metadata_is_kept():
    jpeg = KINDS["4:2:0"]
    extra = segment(0xE1, b"Exif\0\0metadata") + segment(0xFE, b"a comment")
    marked = mark_coded(jpeg[:2] + extra + jpeg[2:], PROFILES["max"], FINGERPRINT, coded())
    kinds = (*range(0xE0, 0xF0), 0xFE)
    kept = [marked[a:b] for code, a, b in segments(marked) if code in kinds]
    assert kept[:2] == [segment(0xE1, b"Exif\0\0metadata"), segment(0xFE, b"a comment")]
    assert len(kept) == 3 and b"JFIF" in kept[2]


@pytest.mark.parametrize("kind", ["gray", "4:2:0"])
def test_padding_carries_nothing(kind):
    """Blocks that the picture does not fill are only requantised."""
    jpeg = KINDS[kind]
    one, other = (mark_coded(jpeg, PROFILES["max"], FINGERPRINT, bits) for bits in (b"\0", b"\1"))
    header, rows = read(one)
    changed = set()
    for row, again in zip(rows, read(other)[1], strict=True):
        across = header.frame.across(0)
        plain, marked = (np.array(each.planes[0]).reshape(-1, across, 64) for each in (row, again))
        lines, columns = np.nonzero((plain != marked).any(axis=2))
        changed |= {(len(plain) * row.number + y, x) for y, x in zip(lines, columns, strict=True)}
    assert max(y for y, _ in changed) < 61 // 8 and max(x for _, x in changed) < 83 // 8
    assert len(changed) > 50


REFUSED = {
    "CMYK": (encode(4, 300, 300, "CMYK"), Reason.NO_LUMINANCE),
    "RGB": (encode(4, 300, 300, keep_rgb=True), Reason.NO_LUMINANCE),
    "progressive": (encode(4, 300, 300, progressive=True), Reason.PROGRESSIVE),
    "too small": (encode(4, 280, 280), Reason.DOES_NOT_FIT),
    "nothing": (b"", Reason.EMPTY_INPUT),
    "no picture": (b"\xff\xd8\xff\xd9", Reason.NO_SCAN),
    "no JPEG": (b"\x89PNG\r\n\x1a\n" * 9, Reason.NOT_JPEG),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused(kind):
    jpeg, reason = REFUSED[kind]
    marker = Marker(PROFILES["default"], KEY.public, PRIVATE)
    with pytest.raises(OccultaError) as caught:
        marker.feed(jpeg)
        marker.finish()
    assert caught.value.reason is reason


def test_a_file_that_ends_early_is_refused():
    jpeg = encode(4, 300, 300, "L")
    marker = Marker(PROFILES["default"], KEY.public, PRIVATE)
    marker.feed(jpeg[: len(jpeg) // 2])
    with pytest.raises(OccultaError) as caught:
        marker.finish()
    assert caught.value.reason is Reason.TRUNCATED


def test_the_message_is_the_smallest_that_holds_the_private_data():
    jpeg = cover("light")
    for private, bits in ((b"", 640), (bytes(25), 640), (bytes(26), 0)):
        marker = Marker(PROFILES["light"], KEY.public, private)
        if bits:
            marker.feed(jpeg)
            marker.finish()
            assert marker.message_bits == bits
        else:
            with pytest.raises(OccultaError) as caught:
                marker.feed(jpeg)
            assert caught.value.reason is Reason.DOES_NOT_FIT


@pytest.mark.parametrize("name", NAMES)
def test_the_picture_stays_close(name):
    jpeg = encode(5, 200, 160, "L", quality=92)
    marked = mark_coded(jpeg, PROFILES[name], FINGERPRINT, coded())
    error = np.mean((pixels(jpeg).astype(float) - pixels(marked)) ** 2)
    assert 0.5 < error < 12.0


@pytest.mark.parametrize("kind", ["ycc444", "gray_q30"])
def test_both_kernels_write_the_same(kind):
    jpeg = PLAIN[kind](6, 48, 40)
    found = []
    for kernel in ("plain", None):
        marker = coded_marker("light", coded(), kernel)
        found.append(marker.feed(jpeg) + marker.finish())
    assert found[0] == found[1]
