"""Files and rasters of every bad kind: refused or not recovered, cheaply, and nothing else."""

from __future__ import annotations

import random
import tracemalloc
import zlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.errors import OccultaError, Reason
from occulta.limits import Limits
from occulta.program.rasters import luminance
from occulta.schemes.robust import message
from occulta.schemes.robust.extract import recover
from occulta.schemes.robust.mark import mark_coded
from occulta.schemes.robust.picture import from_jpeg, from_luminance, without_filler
from occulta.schemes.robust.profiles import PROFILES
from tests.jpegs import PLAIN, encode, find
from tests.mutation import mutate
from tests.robust_support import FINGERPRINT, NAMES, PRIVATE, coded, compiled_only, marked
from tests.support import KEY, by_kernel

LIMITS = Limits(max_blocks=20_000)


def recovered(picture, names=("default",), search=False):
    """The private data, or None; anything but OccultaError fails the test."""
    try:
        return recover(picture, KEY, [PROFILES[name] for name in names], search).opened.private
    except OccultaError as error:
        assert error.reason is Reason.NOT_RECOVERED
        return None


def received(data):
    """What is recovered from a file of any kind."""
    try:
        picture = from_jpeg(data, LIMITS)
    except OccultaError:
        return None
    return recovered(picture)


@compiled_only
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 30))
def test_damaged_files_give_the_message_or_nothing(seed):
    file = mutate(random.Random(seed), marked("default"), marked("light"))
    assert received(file) in (None, PRIVATE)


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_random_files_give_nothing(data, begins_well):
    assert received(b"\xff\xd8" * begins_well + data) is None


@settings(max_examples=by_kernel(60, 20), deadline=None)
@given(st.integers(0, 1 << 30), st.sampled_from(sorted(PLAIN)), st.sampled_from(NAMES))
def test_any_file_is_marked_or_refused(seed, kind, name):
    data = mutate(random.Random(seed), PLAIN[kind](seed % 5, 48, 40), PLAIN["gray"](9, 48, 40))
    try:
        out = mark_coded(data, PROFILES[name], FINGERPRINT, coded())
    except OccultaError:
        return
    assert mark_coded(out, PROFILES[name], FINGERPRINT, coded())


@pytest.mark.parametrize("shape", [
    (0, 0), (0, 9), (9, 0), (1, 1), (7, 7), (8, 8), (7, 100), (100, 7), (15, 9), (8, 2200)])
def test_pictures_of_few_blocks(shape):
    raster = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    assert recovered(from_luminance(raster), NAMES, search=True) is None


@compiled_only
@pytest.mark.parametrize("value", [0, 128])
def test_flat_pictures(value):
    raster = np.full((300, 290), value, np.uint8)
    assert recovered(from_luminance(raster), NAMES) is None


@compiled_only
@pytest.mark.parametrize("kind", ["checks", "noise", "lines"])
def test_extreme_pictures(kind):
    y, x = np.mgrid[0:290, 0:300]
    raster = {
        "checks": (x + y) % 2 * 255, "lines": x // 4 % 2 * 255,
        "noise": np.random.default_rng(2).integers(0, 2, (290, 300)) * 255,
    }[kind].astype(np.uint8)
    assert recovered(from_luminance(raster)) is None


def claiming(jpeg, width, height):
    """The file with another size in its frame header."""
    start, _ = find(jpeg, 0xC0)
    size = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return jpeg[: start + 5] + size + jpeg[start + 9 :]


@pytest.mark.parametrize("kind", [
    encode(1, 64, 64, "L"), encode(1, 64, 64, "L", restart_marker_rows=1)])
def test_a_tiny_file_that_claims_to_be_huge_is_refused(kind):
    tracemalloc.start()
    try:
        with pytest.raises(OccultaError) as caught:
            from_jpeg(claiming(kind, 65_535, 65_535))
        assert caught.value.reason is Reason.LIMIT_BLOCKS
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_marking_a_file_that_claims_to_be_huge_takes_a_row_of_memory():
    jpeg = claiming(encode(1, 64, 64, "L"), 65_535, 65_535)
    tracemalloc.start()
    try:
        with pytest.raises(OccultaError):
            mark_coded(jpeg, PROFILES["default"], FINGERPRINT, coded())
        # A row of MCUs is 1 MiB, a layout not much less.
        assert tracemalloc.get_traced_memory()[1] < 12 << 20
    finally:
        tracemalloc.stop()


def test_a_right_crc_over_noise_gives_no_message():
    rng = np.random.default_rng(3)
    for _ in range(20):
        sealed = rng.bytes(76)
        whole = sealed + zlib.crc32(sealed).to_bytes(4, "big")
        with pytest.raises(OccultaError):
            message.open_message(whole, KEY)


def test_sizes_grow_by_an_eighth_at_most():
    """Trying all of them stays cheap."""
    found = message.sizes_within(message.MOST_BITS)
    assert len(found) < 100 and all(b <= a * 9 // 8 for a, b in pairwise(found))


def test_what_another_decoder_fills_in_was_not_received():
    data = claiming(encode(1, 64, 64, "L"), 1600, 1600)
    received = from_jpeg(data)
    raster = luminance(data)
    decoded = np.frombuffer(raster.pixels, dtype=np.uint8).reshape(raster.height, raster.width)
    picture = without_filler(from_luminance(decoded), received)
    assert 0 < picture.present.sum() <= 2 * 64 < picture.present.size // 100


@compiled_only
def test_what_was_never_received_costs_nothing_to_search():
    picture = from_jpeg(claiming(encode(1, 64, 64, "L"), 2400, 2400))
    assert picture.size == (2400, 2400) and not picture.present.any()
    assert recovered(picture, NAMES, search=True) is None
