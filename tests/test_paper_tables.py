"""The measurements of papers/003 on shares: the regions of table 2, and what noise must give."""

import hashlib
from pathlib import Path

import pytest
from PIL import Image

from occulta.schemes.shares import paper
from occulta.schemes.shares.paper_recover import recover
from occulta.schemes.shares.raster import Box, Raster, check_regions
from sim.analysis.paper_tables import literal_collapses, measure, scaled_regions
from tests.paper_world import fixed_random, picture
from tests.support import runs_compiled

MEDICAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "medical"


def test_the_paper_s_regions_are_whole_blocks() -> None:
    regions = scaled_regions(512, 512)
    assert regions[0] == Box(102, 118, 304, 336)
    assert len(regions) == 6
    assert all(region.width % 16 == region.height % 16 == 0 for region in regions)


@pytest.mark.parametrize("size", [(256, 256), (207, 256), (40, 33)])
def test_scaled_regions_are_within_the_image(size: tuple[int, int]) -> None:
    for region in scaled_regions(*size):
        check_regions([region], *size)


def test_shares_of_a_small_picture_are_noise() -> None:
    for share in measure(picture(128, 128), Box(20, 20, 80, 80), fixed_random()):
        assert share.entropy > 7.98
        assert share.npcr == pytest.approx(99.609, abs=0.25)
        assert share.uaci == pytest.approx(33.464, abs=1.0)
        assert max(map(abs, share.correlation)) < 0.04


def test_equation_9_as_printed_collapses_for_some_keys() -> None:
    keys = [hashlib.sha256(bytes([at])).digest()[:8] for at in range(6)]
    assert literal_collapses(keys, 200) == 0
    # u = 1 and x_0 = 0: cos of a whole number of turns is 1, its fraction 0, and so on.
    assert literal_collapses([*keys, bytes([0x30]) + bytes(7)], 200) == 1


@pytest.mark.skipif(not MEDICAL.is_dir(), reason="the medical images are not there")
@pytest.mark.skipif(not runs_compiled(), reason="too slow on the plain kernel")
def test_a_real_image() -> None:
    with Image.open(MEDICAL / "ct_brain_256.png") as opened:
        raster = Raster(*opened.size, opened.tobytes())
    region = scaled_regions(256, 256)[0]
    for share in measure(raster, region, fixed_random()):
        assert share.entropy > 7.99
        assert share.npcr == pytest.approx(99.609, abs=0.12)
        assert share.uaci == pytest.approx(33.464, abs=0.4)
        assert max(map(abs, share.correlation)) < 0.03
    shares, parameters = paper.protect(raster, [region], "png", fixed_random())
    assert recover(shares, parameters).raster == raster
