"""The `paper` profile of shares: papers/003 step by step, lossless, frozen.

Proves the S-box, the folding, the grid of blocks and the keys from their definitions, that every
picture comes back bit for bit whatever its size and regions, and the frozen share images.
"""

import hashlib
from operator import or_, xor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.codec import chaos
from occulta.errors import Reason
from occulta.schemes.shares import paper
from occulta.schemes.shares.paper_parameters import digest_of
from occulta.schemes.shares.paper_recover import recover
from occulta.schemes.shares.paper_watermark import extract
from occulta.schemes.shares.raster import Box, Raster, blocks_of, check_size, merged
from tests.paper_world import altered, picture, protect, refuses
from tests.support import by_kernel

REGION = (8, 8, 40, 32)
FROZEN = {
    "whole": [
        "3c67a171501a2a357888028f6e8a63126fc552c33e22953aff3c2ad19d281e29",
        "b2a5126e6acce4e4ec0cb1ac3087ff78af7b66d23ade1e7bd805d327b1809d42",
    ],
    "region": [
        "89bc61da2d87e5216696d5ded316d936c23280978b09b10a693e275c9bd6cca7",
        "880f34c56886d9fc1b738aff9274c8d590b5a78a3707fa7246a18d7ee8c801f6",
    ],
}


def multiplied(a: int, b: int) -> int:
    """In GF(2^8) modulo x^8 + x^4 + x^3 + x + 1."""
    total = 0
    while b:
        total ^= a if b & 1 else 0
        a = a << 1 ^ (0x11B if a & 0x80 else 0)
        b >>= 1
    return total


@pytest.mark.arm64
def test_the_s_box_is_that_of_aes() -> None:
    for value in range(256):
        inverse = next((x for x in range(256) if multiplied(value, x) == 1), 0)
        turned = [inverse << n & 0xFF | inverse >> (8 - n) for n in range(5)]
        expected = 0x63 ^ turned[0] ^ turned[1] ^ turned[2] ^ turned[3] ^ turned[4]
        assert paper.SUBSTITUTE[value] == expected
        assert paper.RESTORE[expected] == value


def test_equation_4_folds_halves() -> None:
    digest = bytes(range(32))
    assert paper.fold(digest) == bytes(a ^ b for a, b in zip(range(16), range(16, 32), strict=True))


def test_hash_of_a_block_is_that_of_its_original_pixels() -> None:
    raster = picture()
    (found,) = paper.block_hashes(raster, [Box(3, 5, 16, 16)])
    rows = np.frombuffer(raster.pixels, np.uint8).reshape(48, 64)[5:21, 3:19]
    assert found == paper.fold(hashlib.sha256(rows.tobytes()).digest())


def test_blocks_begin_at_the_region_and_end_with_it() -> None:
    assert blocks_of([Box(5, 3, 33, 17)]) == [
        Box(5, 3, 16, 16), Box(21, 3, 16, 16), Box(37, 3, 1, 16),
        Box(5, 19, 16, 1), Box(21, 19, 16, 1), Box(37, 19, 1, 1),
    ]


def test_each_pixel_of_a_region_is_in_one_block() -> None:
    regions = [Box(5, 3, 33, 17), Box(40, 0, 10, 50)]
    found = [
        (x, y) for block in blocks_of(regions) for x in range(block.x, block.x + block.width)
        for y in range(block.y, block.y + block.height)
    ]
    expected = {(x, y) for x in range(5, 38) for y in range(3, 20)}
    assert sorted(found) == sorted(expected | {(x, y) for x in range(40, 50) for y in range(50)})


def test_strings_are_merged_over_any_length() -> None:
    for size in (1, 65_535, 65_536, 65_537, 200_000):
        one = bytes(n % 251 for n in range(size))
        other = bytes(n % 17 for n in range(size))
        assert merged(one, other, xor) == bytes(a ^ b for a, b in zip(one, other, strict=True))
        assert merged(one, other, or_) == bytes(a | b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    "regions",
    [
        [(0, 0, 0, 4)], [(0, 0, 4, 0)], [(-1, 0, 4, 4)], [(0, -1, 4, 4)], [(61, 0, 4, 4)],
        [(0, 45, 4, 4)], [(0, 0, 17, 16), (16, 0, 4, 4)], [(4, 4, 1, 1), (0, 0, 20, 20)],
        [(n, 0, 1, 1) for n in range(17)],
    ],
)
def test_impossible_regions_are_refused(regions: list[tuple[int, ...]]) -> None:
    refuses(Reason.BAD_REGION, lambda: protect(picture(), *regions))


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (65_536, 1), (8193, 8192)])
def test_impossible_sizes_are_refused(size: tuple[int, int]) -> None:
    refuses(Reason.LIMIT_DIMENSIONS, lambda: check_size(*size))


def test_a_raster_has_the_pixels_it_says() -> None:
    for pixels in (b"", b"123", b"12345"):
        with pytest.raises(ValueError, match="pixels"):
            Raster(2, 2, pixels)


@pytest.mark.arm64
@pytest.mark.parametrize(
    "regions", [[], [REGION], [(0, 0, 16, 16), (16, 0, 48, 16), (10, 20, 7, 9)]]
)
def test_lossless(regions: list[tuple[int, ...]]) -> None:
    raster = picture()
    shares, parameters = protect(raster, *regions)
    found = recover(shares, parameters)
    assert (found.raster, found.damage) == (raster, None)
    assert paper.make_again(raster, parameters) == shares


@settings(max_examples=by_kernel(80, 10), deadline=None)
@given(st.data())
def test_lossless_for_any_picture_and_region(data: st.DataObject) -> None:
    width, height = (data.draw(st.integers(14, 40)) for _ in range(2))
    values = data.draw(st.sampled_from([[7], [0, 255], list(range(256)), list(range(100, 120))]))
    noise = np.random.default_rng(data.draw(st.integers(0, 999))).choice(values, width * height)
    raster = Raster(width, height, noise.astype(np.uint8).tobytes())
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    w, h = data.draw(st.integers(1, width - x)), data.draw(st.integers(1, height - y))
    shares, parameters = protect(raster, (x, y, w, h))
    assert recover(shares, parameters).raster == raster


def test_an_image_too_small_for_its_watermark() -> None:
    refuses(Reason.NO_WATERMARK_ROOM, lambda: protect(Raster(1, 1, b"\7")), "needs 192 bits")


def test_each_plane_carries_the_hash_list_and_its_check() -> None:
    raster = picture()
    shares, parameters = protect(raster, REGION)
    hashes = paper.block_hashes(raster, blocks_of([Box(*REGION)]))
    expected = paper.watermark(hashes, parameters.check_key)
    assert len(expected) == 16 * 6 + 8
    for share, key, rounds in zip(shares, parameters.keys, parameters.rounds, strict=True):
        plane = chaos.gather(share.pixels, *chaos.key_matrices(key, len(share.pixels)))
        bits = extract(plane, rounds, 8 * len(expected))[1]
        assert paper.from_bits(bits) == expected


@pytest.mark.parametrize("at", [0, 10 * 64 + 10, 39 * 64 + 47, 47 * 64 + 63])
def test_any_changed_pixel_changes_both_keys(at: int) -> None:
    raster = picture()
    keys = protect(raster, REGION)[1].keys
    others = protect(altered(raster, {at: 1}), REGION)[1].keys
    assert len({*keys, *others}) == 4


def test_a_fresh_salt_gives_other_keys_and_shares() -> None:
    shares, parameters = protect(picture())
    others, second = protect(picture(), salt=b"other")
    assert len({*parameters.keys, *second.keys}) == 4
    for one, other in zip(shares, others, strict=True):
        same = sum(a == b for a, b in zip(one.pixels, other.pixels, strict=True))
        assert same < len(one.pixels) / 100


@pytest.mark.arm64
@pytest.mark.parametrize("name", ["whole", "region"])
def test_frozen_shares(name: str) -> None:
    shares, parameters = protect(picture(), *([REGION] if name == "region" else []))
    found = [hashlib.sha256(share.pixels).hexdigest() for share in shares]
    assert found == FROZEN[name]
    assert parameters.share_digests == (digest_of(shares.a), digest_of(shares.b))


def test_digests_tell_shapes_apart() -> None:
    assert digest_of(Raster(2, 3, bytes(6))) != digest_of(Raster(3, 2, bytes(6)))
