"""Pictures that were cut out, shifted, or put into others; and what the report says of it."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from occulta.errors import OccultaError, Reason
from occulta.schemes.robust import picture as picture_module
from occulta.schemes.robust.extract import recover
from occulta.schemes.robust.picture import equalised, from_jpeg, from_luminance, parts_of, repaired
from occulta.schemes.robust.profiles import PROFILES
from tests.coefficient_pictures import pillow_jpeg
from tests.jpegs import encode
from tests.robust_support import (
    PRIVATE,
    compiled_only,
    marked_with,
    pixels,
    scene,
    seen,
)
from tests.support import KEY

pytestmark = compiled_only
LONG = bytes(range(250))


def plain(name, width=512, height=512, private=PRIVATE, seed=1):
    return pixels(marked_with(pillow_jpeg(scene(seed, width, height), 90), name, private))


def shifted(raster, right, down):
    height, width = raster.shape
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    return raster[np.ix_(rows, columns)]


def found(raster, name):
    return recover(from_luminance(np.ascontiguousarray(raster)), KEY, [PROFILES[name]])


def assert_found(raster, name, offset, origin, private=PRIVATE):
    it = found(raster, name)
    assert it.opened.private == private
    assert (it.offset, it.origin) == (offset, origin)
    assert it.margin > 2.0


@pytest.mark.parametrize("name, right, down, offset, origin", [
    ("max", 8, 0, (0, 0), (0, -1)), ("max", 0, 8, (0, 0), (-1, 0)),
    ("max", -8, 0, (0, 0), (0, 1)), ("max", -9, -13, (7, 3), (2, 2)),
    ("max", 3, 5, (3, 5), (0, 0)), ("default", 40, 17, (0, 1), (-2, -5))])
def test_shifts(name, right, down, offset, origin):
    assert_found(shifted(plain(name), right, down), name, offset, origin)


@pytest.mark.parametrize("ground", ["flat", "noise"])
def test_a_picture_within_another(ground):
    canvas = np.full((620, 700), 200, np.uint8)
    if ground == "noise":
        canvas[:] = np.random.default_rng(1).integers(0, 256, canvas.shape)
    canvas[53:565, 91:603] = plain("max")
    assert_found(canvas, "max", (3, 5), (-6, -11))


def test_the_right_edge_cut_off():
    whole = plain("max", 768, 512, bytes(90))
    assert_found(whole[:, :640], "max", (0, 0), (0, 0), bytes(90))


@pytest.mark.parametrize("name", ["default", "max"])
def test_a_long_message_in_a_tall_picture(name):
    assert_found(plain(name, 512, 1536, LONG)[3:], name, (0, 5), (1, 0), LONG)


def test_a_part_from_far_below():
    whole = plain("max", 256, 4096)
    assert_found(whole[2500:], "max", (0, 4), (313, 0))


def test_a_part_from_far_right():
    whole = plain("max", 4096, 256)
    assert_found(whole[:, 2100:], "max", (4, 0), (0, 263))


def test_a_part_from_far_right_of_a_width_that_is_no_multiple_of_the_period():
    whole = plain("max", 3072, 256)
    assert_found(whole[:, 2064:], "max", (0, 0), (0, 258))


@pytest.mark.parametrize("left", [1536, 1920])
def test_a_wrong_width_that_tells_the_message_is_not_reported(left):
    it = found(plain("max", 2048, 256)[:, :left], "max")
    assert (it.opened.private, it.origin) == (PRIVATE, (0, 0))
    assert it.corrected < it.compared // 50 and it.margin > 4.0


def test_of_places_that_fit_equally_the_nearest():
    it = found(plain("max", 4096, 256, bytes(60))[128:, 2048:3891], "max")
    assert (it.opened.private, it.corrected) == (bytes(60), 0)
    assert sum(it.origin) <= 16 + 256


@pytest.mark.parametrize("ground, width, height", [("flat", 1920, 1080), ("noise", 1600, 1200)])
def test_a_picture_on_a_large_ground(ground, width, height):
    canvas = np.full((height, width), 200, np.uint8)
    if ground == "noise":
        canvas[:] = np.random.default_rng(1).integers(0, 256, canvas.shape)
    canvas[100:612, 120:632] = plain("max")
    assert_found(canvas, "max", (0, 4), (-12, -15))


def test_the_filter_undone_is_told():
    raster = plain("light").astype(float)
    around = sum(
        np.pad(raster, 1, mode="edge")[y : y + 512, x : x + 512]
        for y in range(3) for x in range(3)
    ) - raster
    it = recover(seen(raster + raster - around / 8.0), KEY, [PROFILES["light"]], search=False)
    assert it.opened.private == PRIVATE and (it.undone, it.gain) == (1.0, 1.0)


def test_tiles_of_a_large_picture_are_filtered_as_one():
    raster = scene(4, 1100, 600)
    whole, part = equalised(from_luminance(raster), 0.5), raster[300:, 400:]
    beside = equalised(from_luminance(np.ascontiguousarray(part)), 0.5)
    apart = whole.pixels[300:, 400:].astype(int) - beside.pixels
    assert np.abs(apart[40:, 40:]).max() <= 1


def test_a_large_picture_is_searched_by_parts():
    raster = plain("max", 2600, 1700).copy()
    raster[:1000, :1100] = 0
    picture = from_luminance(raster)
    parts = parts_of(picture)
    assert len(parts) == 3 and all(part.picture.pixels.size <= 1 << 20 for part in parts)
    for part in parts:
        y, x = 8 * part.row, 8 * part.column
        down, across = part.picture.pixels.shape
        assert np.array_equal(part.picture.pixels, raster[y : y + down, x : x + across])
        assert (part.picture.pixels != 0).mean() > 0.8
    small = from_luminance(raster[:900])
    assert [part.picture for part in parts_of(small)] == [small]
    assert_found(raster[5:, 3:], "max", (5, 3), (1, 1))


def test_parts_of_a_file_have_its_coefficients():
    picture = from_jpeg(marked_with(pillow_jpeg(scene(2, 400, 12_000), 90), "max"))
    for part in parts_of(picture):
        assert part.picture.blocks is not None and part.column == 0
        assert part.picture.present.shape == part.picture.blocks.shape[:2] == (327, 50)
        assert np.array_equal(
            part.picture.blocks, picture.blocks[part.row : part.row + 327])


def test_a_place_that_a_wrong_width_would_tell_too():
    whole = plain("default", 7168, 256, bytes(60))
    assert_found(whole[:, 4096:], "default", (0, 0), (0, 512), bytes(60))


def test_a_message_within_a_photograph():
    canvas = scene(9, 1024, 1024)
    canvas[256:768, 256:768] = plain("strong")
    assert_found(canvas, "strong", (0, 0), (-32, -32))


def test_repair_takes_little_memory():
    black = np.zeros((2048, 2048), np.uint8)
    black[700, 900] = 255
    tracemalloc.start()
    better = repaired(from_luminance(black))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not better.pixels.any() and peak < 16 << 20


def test_more_pixels_than_a_search_bears(monkeypatch):
    monkeypatch.setattr(picture_module, "MOST_BLOCKS", 64)
    assert from_jpeg(encode(1, 64, 64, "L")).size == (64, 64)
    with pytest.raises(OccultaError) as caught:
        from_jpeg(encode(1, 72, 64, "L"))
    assert caught.value.reason is Reason.LIMIT_BLOCKS and "72 blocks" in caught.value.detail
