"""Attacks on pictures: what each does to known pixels, by name and in a row."""

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from occulta.errors import OccultaError, Reason
from sim.attacks import catalogue
from sim.attacks.catalogue import apply, parse
from sim.attacks.picture import Picture, decoded, luminance
from tests import jpegs

COLOUR = jpegs.picture(3, 96, 64)
GRAY = luminance(COLOUR)
FLAT = np.full((64, 64), 100, np.uint8)
RAMP = np.arange(48, dtype=np.uint8).reshape(6, 8)


def attacked(pixels: np.ndarray, *texts: str, seed: int = 1) -> np.ndarray:
    return apply(Picture(pixels=pixels), map(parse, texts), seed).raster()


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    error = np.mean((one.astype(float) - other) ** 2)
    return 10 * np.log10(255**2 / error) if error else np.inf


EXAMPLES = {
    "gaussian:2", "saltpepper:0.1", "median:3", "blur:0.5", "sharpen", "sharpen:0.5",
    "brightness:10", "contrast:1.1", "scale:0.5,back", "crop:1", "shift:3,-2", "jpeg:50",
    "jpegratio:3", "webp:80", "bitflips:0.00001", "packets:0.01", "packets:0.01,512,removed",
}


def test_there_is_an_example_of_every_attack() -> None:
    assert {text.split(":")[0] for text in EXAMPLES} == set(catalogue.KINDS)


@pytest.mark.parametrize("text", sorted(EXAMPLES))
@pytest.mark.parametrize("pixels", [GRAY, COLOUR], ids=["gray", "colour"])
def test_what_every_attack_leaves(pixels: np.ndarray, text: str) -> None:
    before = pixels.copy()
    once = apply(Picture(pixels=pixels), [parse(text)], 5)
    again = apply(Picture(pixels=pixels), [parse(text)], 5)
    after = once.raster()
    assert (after.shape, after.dtype) == (pixels.shape, np.uint8)
    assert np.array_equal(after, again.raster())
    assert once.file == again.file
    assert np.array_equal(pixels, before)
    assert psnr(after, pixels) > 8


# --- noise


def test_gaussian_noise_has_its_deviation() -> None:
    noise = attacked(np.full((256, 256), 128, np.uint8), "gaussian:5").astype(float) - 128
    assert noise.std() == pytest.approx(5, rel=0.02)
    assert abs(noise.mean()) < 0.1
    assert np.array_equal(attacked(GRAY, "gaussian:0"), GRAY)


def test_salt_and_pepper_by_halves_and_whole_pixels() -> None:
    after = attacked(np.full((200, 200, 3), 100, np.uint8), "saltpepper:0.2")
    changed = (after != 100).any(axis=2)
    assert changed.mean() == pytest.approx(0.2, abs=0.01)
    assert set(map(tuple, after[changed].tolist())) == {(0, 0, 0), (255, 255, 255)}
    assert (after[changed][:, 0] == 255).mean() == pytest.approx(0.5, abs=0.03)


def test_seeds_and_places_draw_differently() -> None:
    one = attacked(FLAT, "gaussian:3", seed=1)
    assert not np.array_equal(one, attacked(FLAT, "gaussian:3", seed=2))
    twice = attacked(FLAT, "gaussian:3", "gaussian:3").astype(float) - 100
    assert twice.std() == pytest.approx(3 * 2**0.5, rel=0.06)


# --- filters and tone


def test_median_against_a_slow_one() -> None:
    pixels = GRAY[:9, :11]
    padded = np.pad(pixels, 1, mode="edge")
    expected = [
        [int(np.median(padded[y : y + 3, x : x + 3])) for x in range(11)] for y in range(9)
    ]
    assert attacked(pixels, "median:3").tolist() == expected


def test_sharpening_by_one_is_pillows_kernel() -> None:
    expected = np.array(Image.fromarray(COLOUR).filter(ImageFilter.SHARPEN)).astype(int)
    after = attacked(COLOUR, "sharpen")
    assert np.abs(after.astype(int) - expected)[1:-1, 1:-1].max() <= 1
    assert np.array_equal(after, attacked(COLOUR, "sharpen:1"))
    assert np.array_equal(attacked(COLOUR, "sharpen:0"), COLOUR)


def test_blur_keeps_the_mean_and_takes_the_detail() -> None:
    after = attacked(GRAY, "blur:2").astype(float)
    assert after.mean() == pytest.approx(GRAY.mean(), abs=0.5)
    assert np.abs(np.diff(after)).mean() < 0.5 * np.abs(np.diff(GRAY.astype(float))).mean()


def test_tone() -> None:
    row = np.array([[0, 100, 128, 140, 250]], np.uint8)
    assert attacked(row, "brightness:10").tolist() == [[10, 110, 138, 150, 255]]
    assert attacked(row, "brightness:-10").tolist() == [[0, 90, 118, 130, 240]]
    assert attacked(row, "contrast:1.5").tolist() == [[0, 86, 128, 146, 255]]
    assert attacked(row, "contrast:0").tolist() == [[128] * 5]


# --- geometry


def test_shift_repeats_the_edge() -> None:
    assert attacked(RAMP, "shift:2,0")[0].tolist() == [0, 0, 0, 1, 2, 3, 4, 5]
    assert attacked(RAMP, "shift:-1,0")[0].tolist() == [1, 2, 3, 4, 5, 6, 7, 7]
    assert attacked(RAMP, "shift:0,-5")[:, 0].tolist() == [40] * 6
    assert attacked(RAMP, "shift:900,1")[:, 3].tolist() == [0, 0, 8, 16, 24, 32]


def test_crop_takes_the_part() -> None:
    assert np.array_equal(attacked(COLOUR, "crop:5,7,20,10"), COLOUR[7:17, 5:25])
    assert np.array_equal(attacked(COLOUR, "crop:0.5"), COLOUR[16:48, 24:72])


def test_scale_and_back() -> None:
    assert attacked(COLOUR, "scale:0.5").shape == (32, 48, 3)
    assert attacked(GRAY, "scale:1.5").shape == (96, 144)
    back = attacked(GRAY, "scale:2,back")
    assert back.shape == GRAY.shape
    assert psnr(back, GRAY) > 30


# --- codecs


def test_jpeg_is_handed_on_as_the_file() -> None:
    found = apply(Picture(pixels=GRAY), [parse("jpeg:40")], 0)
    out = io.BytesIO()
    Image.fromarray(GRAY).save(out, "JPEG", quality=40)
    assert found.file == out.getvalue() == found.encoded("JPEG")
    assert np.array_equal(found.raster(), decoded(out.getvalue()))


@pytest.mark.parametrize("ratio", [2, 5, 8.5])
def test_jpeg_ratio_is_met_by_the_greatest_quality(ratio: float) -> None:
    found = apply(Picture(pixels=COLOUR), [parse(f"jpegratio:{ratio}")], 0)
    most = COLOUR.size / ratio
    sizes = [apply(Picture(pixels=COLOUR), [parse(f"jpeg:{q}")], 0).file for q in range(1, 101)]
    assert len(found.file) == max(len(each) for each in sizes if len(each) <= most)


def test_jpeg_ratio_out_of_reach() -> None:
    with pytest.raises(OccultaError, match="times smaller") as refused:
        attacked(GRAY, "jpegratio:1000")
    assert refused.value.reason is Reason.DOES_NOT_FIT


def test_webp_keeps_gray_and_hands_on_the_file() -> None:
    found = apply(Picture(pixels=GRAY), [parse("webp:90")], 0)
    assert found.raster().ndim == 2
    assert found.encoded("WEBP") == found.file
    assert psnr(found.raster(), GRAY) > 25
    assert psnr(luminance(decoded(found.file)), found.raster()) > 60


def test_attacks_are_done_in_order() -> None:
    row = np.array([[100]], np.uint8)
    assert attacked(row, "brightness:10", "contrast:2").tolist() == [[92]]
    assert attacked(row, "contrast:2", "brightness:10").tolist() == [[82]]


# --- reading


@pytest.mark.parametrize(
    ("text", "saying"),
    [
        ("gaussian", "0 numbers are given, 1 wanted"), ("gaussian:", "SIGMA is a number from 0 to"),
        ("gaussian:1,2", "2 numbers are given"), ("gaussian:-1", "SIGMA is a number"),
        ("gaussian:nan", "SIGMA is"), ("gaussian:1e3", "SIGMA is"), ("median:4", "odd number"),
        ("median:3.5", "odd number"), ("jpeg:0", "whole number from 1 to 100"),
        ("jpeg:75.5", "whole number"), ("crop:1,2", "2 numbers are given, 1 or 4 wanted"),
        ("crop:0", "SHARE is"), ("crop:0,0,0,5", "W is"), ("scale:back,2", "behind the numbers"),
        ("scale:2,back,back", "each once"), ("scale:2,forth", "2 numbers are given"),
        ("packets:0.1,0", "SIZE is"), ("bitflips:0.1,removed", "2 numbers"),
        ("sharpen:a", "not 'a'"),
    ],
)
def test_what_is_not_an_attack(text: str, saying: str) -> None:
    with pytest.raises(OccultaError, match=saying) as refused:
        parse(text)
    assert refused.value.reason is Reason.USAGE
    assert catalogue.KINDS[text.split(":", maxsplit=1)[0]].written in refused.value.hint


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(OccultaError, match="no attack 'rotate'") as refused:
        parse("rotate:5")
    assert refused.value.reason is Reason.USAGE
    assert all(name in refused.value.hint for name in catalogue.KINDS)


def test_crop_beyond_the_picture() -> None:
    with pytest.raises(OccultaError, match="reaches beyond 96 x 64") as refused:
        attacked(GRAY, "crop:90,0,7,5")
    assert refused.value.reason is Reason.BAD_REGION


def test_scale_beyond_all_bounds() -> None:
    with pytest.raises(OccultaError, match="too many") as refused:
        attacked(np.zeros((100, 1000), np.uint8), "scale:100")
    assert refused.value.reason is Reason.LIMIT_DIMENSIONS
