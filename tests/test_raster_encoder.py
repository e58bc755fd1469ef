"""Gray rasters to JPEG: libjpeg sees the picture, as good as its own encoder makes it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from occulta.codec.jpeg.coefficient_frame import CoefficientFrame
from occulta.codec.jpeg.quantisation import standard_tables
from occulta.codec.jpeg.raster import RasterEncoder, encode_gray
from tests.coefficient_pictures import gray, pillow_jpeg, plane, read
from tests.support import by_kernel, pieces


def decoded(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "L"
        return np.asarray(image).astype(int)


@pytest.mark.parametrize("quality", [10, 50, 90, 100])
@pytest.mark.parametrize(("width", "height"), [(64, 48), (37, 21), (1, 1), (8, 9)])
def test_as_good_as_libjpeg(width: int, height: int, quality: int) -> None:
    pixels = gray(quality, width, height)
    found = encode_gray(pixels.tobytes(), width, height, quality)
    error = np.abs(decoded(found) - pixels).mean()
    theirs = np.abs(decoded(pillow_jpeg(pixels, quality)) - pixels).mean()
    assert error <= 1.05 * theirs + 0.1


@pytest.mark.parametrize("quality", [50, 90])
def test_coefficients_are_libjpegs_but_for_rounding(quality: int) -> None:
    pixels = gray(3, 64, 48)
    ours = plane(*read(encode_gray(pixels.tobytes(), 64, 48, quality)))
    theirs = plane(*read(pillow_jpeg(pixels, quality)))
    differences = np.abs(np.array(ours) - np.array(theirs))
    assert differences.max() <= 1 and (differences > 0).mean() < 0.02


@settings(max_examples=by_kernel(40, 5), deadline=None)
@given(
    width=st.integers(1, 20), height=st.integers(1, 20), cuts=st.lists(st.integers(0, 400)),
)
def test_cutting_makes_no_difference(width: int, height: int, cuts: list[int]) -> None:
    pixels = gray(5, width, height).tobytes()
    encoder = RasterEncoder(width, height, 80)
    found = b"".join(encoder.feed(piece) for piece in pieces(pixels, cuts)) + encoder.finish()
    assert found == encode_gray(pixels, width, height, 80)
    frame = read(found)[0].frame
    assert frame == CoefficientFrame.gray(width, height, standard_tables(80)[0])


def test_extremes_can_be_written() -> None:
    board = (np.indices((32, 32)).sum(axis=0) % 2 * 255).astype(np.uint8)
    steps = np.repeat(np.repeat(board[:4, :4], 8, axis=0), 8, axis=1)
    for pixels in (board, steps, np.rot90(steps).copy()):
        found = decoded(encode_gray(pixels.tobytes(), 32, 32, 100))
        assert np.abs(found - pixels).max() <= 1


def test_misuse() -> None:
    for sizes in ((0, 1, 50), (1, 65536, 50), (1, 1, 0), (1, 1, 101)):
        with pytest.raises(ValueError, match="picture|quality"):
            RasterEncoder(*sizes)
    encoder = RasterEncoder(4, 4, 50)
    encoder.feed(bytes(15))
    with pytest.raises(ValueError, match="1 pixels are missing"):
        encoder.finish()
    with pytest.raises(ValueError, match="more pixels"):
        encoder.feed(bytes(2))
