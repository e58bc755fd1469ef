"""Whatever a picture shows, its message is there right after marking."""

from __future__ import annotations

from array import array

import numpy as np
import pytest

from occulta.codec.fec.message import TurboCode
from occulta.schemes.robust import extract, message
from occulta.schemes.robust.mark import RowMarker
from occulta.schemes.robust.picture import from_jpeg
from occulta.schemes.robust.profiles import PROFILES
from tests.coefficient_pictures import pillow_jpeg
from tests.robust_support import (
    FINGERPRINT,
    NAMES,
    coded,
    compiled_only,
    found_in,
    marked_with,
    scene,
)

SIDE = 416


def speckle(looks):
    rng = np.random.default_rng(looks)
    return scene(1, SIDE, SIDE) * rng.gamma(looks, 1.0 / looks, (SIDE, SIDE))


CONTENTS = {
    "radar, one look": lambda: speckle(1),
    "radar, four looks": lambda: speckle(4),
    "two tones": lambda: (scene(1, SIDE, SIDE) > 120) * 255.0,
    "dithered": lambda: (
        scene(1, SIDE, SIDE) > np.random.default_rng(1).uniform(0, 255, (SIDE, SIDE))) * 255.0,
    "impulses": lambda: np.where(
        np.random.default_rng(2).random((SIDE, SIDE)) < 0.02, 255, scene(1, SIDE, SIDE)),
    "checkers": lambda: np.indices((SIDE, SIDE)).sum(0) % 2 * 255.0,
    "large checkers": lambda: (np.indices((SIDE, SIDE)) // 8).sum(0) % 2 * 255.0,
    "a ramp": lambda: np.tile(np.linspace(0, 255, SIDE), (SIDE, 1)),
    "black": lambda: np.zeros((SIDE, SIDE)),
    "gray": lambda: np.full((SIDE, SIDE), 100.0),
    "white": lambda: np.full((SIDE, SIDE), 255.0),
}


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("name", NAMES)
@compiled_only
def test_the_largest_message_is_there_at_once(name, content):
    if (name, content) == ("light", "checkers"):
        pytest.skip("all blocks alike and rough: hardly to be told which half carries")
    raster = np.clip(np.rint(CONTENTS[content]()), 0, 255).astype(np.uint8)
    most = message.most_bits(PROFILES[name], SIDE, SIDE)
    private = bytes(message.room(most, signed=False))
    file = marked_with(pillow_jpeg(raster, 90), name, private)
    found = found_in(from_jpeg(file), name)
    assert found.opened.private == private and found.message_bits == most
    assert found.offset == found.origin == (0, 0)


@compiled_only
@pytest.mark.parametrize("name, width, height", [
    ("max", 8, 28_672), ("max", 16, 24_000), ("default", 3072, 32), ("light", 2048, 32)])
def test_strips_carry_what_they_are_said_to(name, width, height):
    most = message.most_bits(PROFILES[name], width, height)
    private = bytes(message.room(most, signed=False))
    file = marked_with(pillow_jpeg(scene(3, width, height), 90), name, private)
    assert found_in(from_jpeg(file), name).opened.private == private


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [1023, -1023])
def test_the_largest_coefficients_can_be_marked(name, value):
    profile = PROFILES[name]
    row = array("h", np.tile(np.full(64, value, np.int16), 40).tobytes())
    RowMarker(profile, FINGERPRINT, 8 * 40, coded()).mark(memoryview(row), 2)
    marked = np.array(row).reshape(40, 64)[:, list(profile.carriers)]
    assert np.abs(marked).max() <= 1023
    if not profile.grouped:
        cells = np.floor(marked / np.array(profile.cells) + 0.5)
        assert len(np.unique(cells % 2)) == 2  # both bits are there


@pytest.mark.parametrize("timid", [1.0, 4.0])
@compiled_only
def test_what_one_decision_loses_another_finds(timid):
    """LLRs `timid` times too small, where hardly enough came."""
    code, bits = TurboCode(640), coded(640)
    signs = 1.0 - 2.0 * np.frombuffer(code.encode(bits), np.uint8)
    rng, first, all_of_them = np.random.default_rng(4), 0, 0
    for _ in range(60):
        noise = rng.normal(0.0, 1.17, len(signs))
        llrs = 2.0 / 1.17**2 * (signs + noise) / timid
        right = [each.bits == bits for each in extract._decided(code, llrs, thoroughly=True)]
        first, all_of_them = first + right[0], all_of_them + any(right)
    assert 10 <= first < all_of_them - 5


def test_llrs_for_the_decoder():
    soft = np.array([0.0, 1.0, -2.0, 4.0, -100.0])
    assert extract.as_llrs(soft, 1.0).tolist() == [0, 8, -16, 32, -255]
    assert extract.as_llrs(soft, 4.0).tolist() == [0, 32, -64, 128, -255]
    even = extract.as_llrs(np.array([0.01, -0.01, 0.0]))
    assert even.tolist() == [32, -32, 0] and extract.as_llrs(np.zeros(2)).tolist() == [0, 0]


def test_the_margin_knows_no_unit():
    bits = coded(300)
    signs = 1.0 - 2.0 * np.frombuffer(bits, np.uint8)
    rng = np.random.default_rng(1)
    llrs = 2.0 * (signs + rng.normal(0, 1.0, 300))
    assert extract.margin(llrs, bits, 100) == pytest.approx(
        extract.margin(llrs / 4.0, bits, 100), abs=0.05)
    assert extract.margin(np.zeros(300), bits, 100) == -99.0
