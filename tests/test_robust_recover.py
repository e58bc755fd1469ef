"""From the marked picture to the message, exactly, or nothing."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from occulta.errors import OccultaError, Reason
from occulta.schemes.robust.extract import margin, recover, soft_bits
from occulta.schemes.robust.message import LEAST_BITS
from occulta.schemes.robust.picture import equalised, from_jpeg, from_luminance, repaired
from occulta.schemes.robust.profiles import PROFILES
from tests.coefficient_pictures import gray, pillow_jpeg
from tests.jpegs import encode, find
from tests.robust_support import (
    CODED_SIZE,
    FINGERPRINT,
    NAMES,
    PRIVATE,
    TRIED,
    coded,
    coded_marker,
    compiled_only,
    cover,
    found_in,
    marked,
    marked_with,
    pixels,
    scene,
    seen,
    side,
)
from tests.support import KEY, OTHER_KEY, SATELLITE


def not_recovered(picture, key=KEY, names=NAMES, search=False):
    with pytest.raises(OccultaError) as caught:
        recover(picture, key, [PROFILES[name] for name in names], search)
    assert caught.value.reason is Reason.NOT_RECOVERED


@pytest.mark.parametrize("name", TRIED)
def test_from_the_file(name):
    found = recover(from_jpeg(marked(name)), KEY, search=False)
    assert found.opened.private == PRIVATE and found.opened.signature == b""
    assert found.profile is PROFILES[name] and found.message_bits == LEAST_BITS
    # Of a halved profile some coded bits lie in unchosen blocks alone.
    assert found.corrected < 0.15 * found.compared and 1500 < found.compared <= CODED_SIZE
    assert 1.5 < found.margin < 4.8
    assert (found.gain, found.offset, found.origin) == (1.0, (0, 0), (0, 0))


@pytest.mark.parametrize("name", TRIED)
def test_from_pixels(name):
    found = found_in(from_luminance(pixels(marked(name))), name)
    assert found.opened.private == PRIVATE and found.margin > 3.0


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:2:2", "4:4:4"])
@compiled_only
def test_from_colour(subsampling):
    size = side(PROFILES["default"])
    jpeg = encode(3, size, size, subsampling=subsampling, quality=92, restart_marker_blocks=9)
    file = marked_with(jpeg, "default")
    assert found_in(from_jpeg(file), "default").opened.private == PRIVATE
    assert found_in(from_luminance(pixels(file)), "default").opened.private == PRIVATE


@compiled_only
def test_a_signed_message():
    file = marked_with(pillow_jpeg(scene(4, 320, 264), 90), "light", b"says", signing_key=SATELLITE)
    found = found_in(from_jpeg(file), "light")
    assert found.opened.private == b"says"
    assert found.opened.is_authentic(SATELLITE.public, KEY.public)


def noisy(raster, sigma=4.0):
    return raster + np.random.default_rng(1).normal(0, sigma, raster.shape)


def recompressed(raster, quality=50):
    return pixels(pillow_jpeg(raster, quality))


def impulses(raster, density=0.03):
    chance = np.random.default_rng(2).random(raster.shape)
    return np.where(chance < density / 2, 0, np.where(chance < density, 255, raster))


def sharpened(raster):
    padded = np.pad(raster.astype(float), 1, mode="edge")
    height, width = raster.shape
    around = sum(padded[y : y + height, x : x + width] for y in range(3) for x in range(3))
    return raster + (raster - (around - raster) / 8.0)


ATTACKS = {
    "noise": noisy, "JPEG 50": recompressed, "impulses": impulses,
    "brighter": lambda raster: raster + 20.0,
    "less contrast": lambda raster: (raster - 128.0) * 0.9 + 128.0,
    "more contrast": lambda raster: (raster - 128.0) * 1.2 + 128.0,
    "sharpened": sharpened,
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("name", ["default", "max"])
@compiled_only
def test_attacks_survived(name, attack):
    picture = seen(ATTACKS[attack](pixels(marked(name))))
    assert found_in(picture, name).opened.private == PRIVATE


@pytest.mark.parametrize("attack", [lambda r: noisy(r, 0.7), lambda r: recompressed(r, 90)])
@compiled_only
def test_what_light_survives(attack):
    picture = seen(attack(pixels(marked("light"))))
    assert found_in(picture, "light").opened.private == PRIVATE


@compiled_only
def test_a_gain_is_found():
    picture = seen((pixels(marked("light")) - 128.0) * 1.2 + 128.0)
    found = found_in(picture, "light")
    assert found.opened.private == PRIVATE and abs(found.gain * 1.2 - 1.0) < 0.015


@pytest.mark.parametrize("amount", [1.0, 0.5, -0.2])
def test_equalised_is_the_way_back(amount):
    raster = np.clip(gray(5, 90, 70), 60, 190).astype(float)
    padded = np.pad(raster, 1, mode="symmetric")
    around = sum(padded[y : y + 70, x : x + 90] for y in range(3) for x in range(3)) - raster
    filtered = seen(raster + amount * (raster - around / 8.0))
    assert np.abs(equalised(filtered, amount).pixels - raster).mean() < 3.0


def cropped(raster, left=43, top=30):
    return raster[top:, left:]


def shifted(raster):
    return np.pad(raster, ((3, 0), (5, 0)), mode="edge")[: len(raster), : raster.shape[1]]


@pytest.mark.parametrize("name", ["light", "default"])
@pytest.mark.parametrize("move, offset, origin", [
    (cropped, (5, 2), (4, 6)), (shifted, (5, 3), (0, 0))], ids=["cropped", "shifted"])
@compiled_only
def test_moved_pictures(name, move, offset, origin):
    size = side(PROFILES[name]) + 96
    file = marked_with(pillow_jpeg(scene(6, size, size), 90), name)
    found = found_in(seen(move(pixels(file))), name, search=True)
    assert found.opened.private == PRIVATE
    assert found.offset == offset and found.origin == origin


@compiled_only
def test_a_moved_picture_is_not_found_without_a_search():
    size = side(PROFILES["light"]) + 96
    file = marked_with(pillow_jpeg(scene(6, size, size), 90), "light")
    not_recovered(seen(shifted(pixels(file))), names=["light"])


def lost_rows(file, first, count, removed):
    """Rows of MCUs gone from a file: zeroed, or taken out with their markers."""
    start = find(file, 0xDA)[1]
    marks = [start]
    for number in range(first + count):
        at = file.index(bytes([0xFF, 0xD0 + number % 8]), marks[-1])
        marks.append(at + 2)
    a, b = marks[first], marks[first + count]
    return file[:a] + (b"" if removed else bytes(b - a)) + file[b:]


@pytest.mark.parametrize("removed", [False, True], ids=["zeroed", "removed"])
@pytest.mark.parametrize("name", ["default", "max"])
@compiled_only
def test_lost_rows(name, removed):
    file = lost_rows(marked(name), 9, 4, removed)
    picture = from_jpeg(file)
    assert 2 <= (~picture.present.any(axis=1)).sum() <= 6
    assert found_in(picture, name).opened.private == PRIVATE


@pytest.mark.parametrize("name", ["light", "max"])
@compiled_only
def test_too_much_lost_is_said(name):
    file = marked(name)
    start = find(file, 0xDA)[1]
    not_recovered(from_jpeg(file[: start + (len(file) - start) // 4]), names=[name])


@pytest.mark.parametrize("name", ["light", "max"])
@compiled_only
def test_another_key_recovers_nothing(name):
    not_recovered(from_jpeg(marked(name)), OTHER_KEY, [name])


@pytest.mark.parametrize("name", ["light", "max"])
@compiled_only
def test_nothing_hidden_nothing_found(name):
    not_recovered(from_jpeg(cover(name)), names=[name])


@compiled_only
def test_nothing_found_with_a_search():
    not_recovered(from_jpeg(cover("light")), names=["light"], search=True)


@compiled_only
def test_another_profile_recovers_nothing():
    not_recovered(from_jpeg(marked("default")), names=["max"])


@compiled_only
def test_the_second_marking_replaces_the_first():
    twice = marked_with(marked("default"), "default", b"second", OTHER_KEY)
    assert recover(from_jpeg(twice), OTHER_KEY, search=False).opened.private == b"second"


@compiled_only
def test_soft_bits_have_the_signs_of_what_was_coded():
    bits = coded()
    marker = coded_marker("default", bits)
    file = marker.feed(cover("default")) + marker.finish()
    llrs = soft_bits(from_jpeg(file), PROFILES["default"], FINGERPRINT, len(bits))
    said = llrs != 0.0
    wrong = (llrs < 0) != np.frombuffer(bits, np.uint8).astype(bool)
    assert said.mean() > 0.6 and wrong[said].mean() < 0.1
    assert wrong[np.abs(llrs) > 4.0].mean() < 0.002
    assert margin(llrs, bits, LEAST_BITS) > 2.5
    assert margin(np.zeros(9), bytes(9), 3) == -99.0
    assert margin(np.full(9, 40.0), bytes(9), 3) == pytest.approx(10 * np.log10(3), abs=1e-6)


def test_impulses_are_repaired_in_a_picture_of_its_own():
    raster = np.clip(gray(7, 80, 60), 30, 220)
    spoilt = seen(impulses(raster, 0.05))
    better = repaired(spoilt)
    assert np.abs(better.pixels.astype(int) - raster).max() < 80
    assert np.abs(spoilt.pixels.astype(int) - raster).max() > 80
    assert repaired(seen(raster)) is None


def test_a_file_and_its_pixels_agree():
    file = marked("light")
    from_file, from_pixels = from_jpeg(file).carriers(), from_luminance(pixels(file)).carriers()
    assert np.abs(from_file.values - from_pixels.values).mean() < 0.5
    assert from_file.present.all() and from_pixels.present.all()
    image = Image.open(io.BytesIO(file))
    assert from_file.present.shape == (image.height // 8, image.width // 8)
