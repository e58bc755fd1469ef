"""The parts of an analysis of shares: noise, plots, reading pictures."""

import io
import random
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sim.analysis import jpeg_study, measures, noise, paper_study, paper_tables, picture, plots
from tests import jpegs
from tests.paper_world import picture as scan

SCAN = scan()


# --- noise


def test_noise_is_told_from_what_is_not() -> None:
    size = 256 * 256
    assert noise.npcr(size).mean == pytest.approx(99.6094, abs=1e-4)
    assert noise.uaci(size).mean == pytest.approx(33.4635, abs=1e-4)
    one, other = np.random.default_rng(3).integers(0, 256, (2, 256, 256), np.uint8)
    even = paper_tables.Measured(
        measures.entropy(one), paper_tables.correlation(one), paper_tables.npcr(one, other),
        measures.uaci(one, other),
    )
    assert paper_study.is_noise(even, one.shape)
    for change in ({"npcr": 99.4}, {"uaci": 34.0}, {"entropy": 7.99}):
        assert not paper_study.is_noise(even._replace(**change), one.shape)
    leaning = even.correlation._replace(diagonal=0.03)
    assert not paper_study.is_noise(even._replace(correlation=leaning), one.shape)


def test_a_share_that_is_the_picture_is_told() -> None:
    found = jpeg_study.study(jpegs.encode(3, 128, 128, quality=90), (), random.Random(1).randbytes)
    assert found.is_noise
    assert not replace(found, share_b=found.original, body=found.file).is_noise


# --- plots


def test_the_density_of_known_pairs() -> None:
    found = plots.densities(np.array([[10, 20, 20]], np.uint8))
    assert [*found] == ["horizontal"]
    assert found["horizontal"].shape == (256, 256)
    lit = {(int(255 - y), int(x)) for y, x in zip(*np.nonzero(found["horizontal"]), strict=True)}
    assert lit == {(20, 10), (20, 20)}, "(neighbour, pixel)"


def test_the_bars_of_a_histogram() -> None:
    counts = np.zeros(256, np.int64)
    counts[3], counts[4] = 8, 2
    drawn = plots.histogram("<a>", counts)
    tops = re.findall(r"V([\d.]+)h1", drawn)
    assert [tops[2], tops[3], tops[4]] == ["100.0", "0.0", "75.0"]
    assert len(tops) == 256 and "&lt;a&gt;: at most 8 of a value, at least 0" in drawn


# --- inputs


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_rasters_are_read_as_they_are(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"scan.{kind}"
    Image.frombytes("L", (64, 48), SCAN.pixels).save(path)
    found = picture.read(str(path))
    assert (found.raster, found.kind) == (SCAN, kind)
    with Image.open(io.BytesIO(found.jpeg)) as encoded:
        assert (encoded.format, encoded.mode, encoded.size) == ("JPEG", "L", (64, 48))


def test_of_a_colour_jpeg_the_luminance_is_taken(tmp_path: Path) -> None:
    colours = np.zeros((16, 16, 3), np.uint8)
    colours[:, :, 1] = 200
    path = tmp_path / "a.jpg"
    Image.fromarray(colours).save(path, quality=95)
    found = picture.read(str(path))
    assert found.jpeg == path.read_bytes()
    assert {*found.raster.pixels} <= {117, 118}, "0.587 * 200 (ITU-R BT.601)"
