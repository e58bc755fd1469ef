"""The synthetic camera: reproducible pictures that look like land seen from orbit."""

import functools
import io

import numpy as np
import pytest
from PIL import Image

from sim.__main__ import main
from sim.camera import MEGAPIXELS, photograph, scene
from sim.scene.frame import frame_of
from sim.scene.noise import fractal, smoothstep
from sim.scene.polygons import area, cut, densified, divide, rectangle

SMALL = 0.12
SEEDS = (0, 4, 7, 2**40)


@functools.cache
def seen(seed):
    """The scene's pixels; several tests look at the same ones."""
    return np.asarray(scene(seed, frame_of(SMALL)))


def pixels(jpeg):
    with Image.open(io.BytesIO(jpeg)) as picture:
        return np.asarray(picture)


def segments(jpeg):
    """Markers and payloads up to the scan."""
    found, at = [], 2
    while True:
        marker = jpeg[at + 1]
        length = int.from_bytes(jpeg[at + 2 : at + 4], "big")
        found.append((marker, jpeg[at + 4 : at + 2 + length]))
        at += 2 + length
        if marker == 0xDA:
            return found


def test_default_size_is_four_megapixels():
    frame = frame_of(4.0)
    assert (frame.width, frame.height) == (2448, 1632)


@pytest.mark.parametrize("megapixels", [MEGAPIXELS[0], 0.05, 0.3, 1.0, MEGAPIXELS[1]])
def test_sizes_are_whole_blocks_near_what_was_asked(megapixels):
    frame = frame_of(megapixels)
    assert frame.width % 16 == 0 and frame.height % 16 == 0
    assert abs(frame.width * frame.height / (megapixels * 1e6) - 1) < 0.2


@pytest.mark.parametrize("seed", SEEDS)
def test_same_seed_same_pixels(seed):
    assert (np.asarray(scene(seed, frame_of(SMALL))) == seen(seed)).all()


def test_different_seeds_differ():
    pictures = [seen(seed).astype(int) for seed in SEEDS]
    for i, one in enumerate(pictures):
        for other in pictures[:i]:
            assert np.abs(one - other).mean() > 10


def test_global_randomness_is_neither_read_nor_written():
    np.random.seed(1)
    first = photograph(3, SMALL)
    state = np.random.get_state()[1].copy()
    np.random.seed(2)
    assert photograph(3, SMALL) == first
    np.random.seed(1)
    assert (np.random.get_state()[1] == state).all()


def test_encoding_is_a_plain_camera_jpeg():
    found = segments(photograph(4, SMALL, quality=85))
    markers = [marker for marker, _ in found]
    assert markers.count(0xC0) == 1 and markers.count(0xDA) == 1
    frame = next(payload for marker, payload in found if marker == 0xC0)
    sampling = [frame[6 + 3 * i + 1] for i in range(frame[5])]
    assert sampling == [0x22, 0x11, 0x11]
    tables = b"".join(payload for marker, payload in found if marker == 0xC4)
    # The standard luminance AC table: its code counts (T.81, K.3.3.2).
    assert bytes.fromhex("0002010303020403050504040000017d") in tables


@pytest.mark.parametrize("quality", [1, 95])
def test_quality_reaches_the_encoder(quality):
    expected = io.BytesIO()
    Image.new("RGB", (16, 16)).save(expected, "JPEG", quality=quality)
    with Image.open(expected) as one, Image.open(io.BytesIO(photograph(4, 0.02, quality))) as two:
        assert one.quantization == two.quantization


@pytest.mark.parametrize("seed", SEEDS)
def test_pictures_have_the_variety_of_land(seed):
    picture = seen(seed)
    grey = picture.mean(axis=2)
    shares = np.bincount(grey.astype(int).ravel(), minlength=256) / grey.size
    entropy = -(shares[shares > 0] * np.log2(shares[shares > 0])).sum()
    assert 6.0 < entropy < 8.0
    edges = np.abs(np.diff(grey, axis=1))
    assert 0.03 < (edges > 20).mean() < 0.5
    assert (edges < 4).mean() > 0.2
    assert 60 < grey.mean() < 170


@pytest.mark.parametrize("seed", SEEDS)
def test_there_is_sea_and_there_is_land(seed):
    red, _, blue = np.moveaxis(seen(seed).astype(int), 2, 0)
    sea = (blue > red + 25).mean()
    assert 0.05 < sea < 0.5
    assert (red > blue + 10).mean() > 0.2


def test_a_picture_compresses_like_one():
    jpeg = photograph(4, 0.5)
    height, width, _ = pixels(jpeg).shape
    assert 1.0 < 8 * len(jpeg) / (height * width) < 4.0


@pytest.mark.parametrize(("megapixels", "quality"), [(0.0, 85), (17.0, 85), (1.0, 0), (1.0, 101)])
def test_out_of_range_is_refused(megapixels, quality):
    with pytest.raises(ValueError):
        photograph(0, megapixels, quality)


def test_command_writes_the_picture(tmp_path):
    out = tmp_path / "a.jpg"
    assert main(["camera", "--seed", "9", "--megapixels", "0.05", "-o", str(out)]) == 0
    assert out.read_bytes() == photograph(9, 0.05)
    assert list(tmp_path.iterdir()) == [out]


def test_command_writes_to_standard_output(capsysbinary):
    assert main(["camera", "--megapixels", "0.05", "-o", "-"]) == 0
    assert capsysbinary.readouterr().out[:2] == b"\xff\xd8"


def test_unwritable_output_is_a_machine_failure(tmp_path, capsys):
    out = tmp_path / "missing" / "a.jpg"
    assert main(["camera", "--megapixels", "0.05", "-o", str(out)]) == 6
    message, hint = capsys.readouterr().err.splitlines()
    assert "missing" in message and hint.startswith("hint: ")


@pytest.mark.parametrize(
    "arguments", [["--megapixels", "99"], ["--quality", "0"], ["--seed", "-1"], ["--seed", "x"],
                  ["--megapixels", "nan"]]
)
def test_bad_arguments_are_usage_errors(arguments, tmp_path, capsys):
    assert main(["camera", *arguments, "-o", str(tmp_path / "a.jpg")]) == 2
    assert capsys.readouterr().err.startswith("error 200: occulta-sim camera: argument")
    assert not list(tmp_path.iterdir())


def test_fractal_noise_is_standardised():
    plane = fractal(np.random.default_rng(5), frame_of(SMALL), 800.0)
    assert plane.dtype == np.float32 and plane.shape == (288, 432)
    assert abs(float(plane.mean())) < 1e-3 and abs(float(plane.std()) - 1) < 1e-3


def test_smoothstep_rises_and_falls():
    ramp = np.linspace(-1, 2, 31, dtype=np.float32)
    rising, falling = smoothstep(ramp, 0.0, 1.0), smoothstep(ramp, 1.0, 0.0)
    assert rising[0] == 0 and rising[-1] == 1 and (np.diff(rising) >= 0).all()
    assert np.allclose(rising + falling, 1, atol=1e-6)


def test_dividing_land_loses_none():
    rng = np.random.default_rng(6)
    ground = rectangle(np.array([500.0, 400.0]), 1000.0, 800.0, 0.4)
    pieces = [shape for _, shape, whole in divide(rng, ground, 9000.0, 0.4) if whole]
    assert len(pieces) > 20
    assert sum(area(piece) for piece in pieces) == pytest.approx(area(ground))


def test_a_cut_that_misses_leaves_one_side_empty():
    left, right, seam = cut(rectangle(np.zeros(2), 2.0, 2.0, 0.0), np.array([0.0, 9.0]), 0.0)
    assert sorted((len(left), len(right))) == [0, 4] and len(seam) == 0


def test_densified_lines_keep_their_ends():
    line = np.array([[0.0, 0.0], [100.0, 0.0], [100.0, 30.0]])
    dense = densified(line, 10.0, closed=False)
    assert (dense[0] == line[0]).all() and (dense[-1] == line[-1]).all()
    assert np.hypot(*np.diff(dense, axis=0).T).max() <= 10.0 + 1e-9
