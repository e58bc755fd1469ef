"""What is hidden robustly: sizes, seal, CRC."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.errors import OccultaError, Reason
from occulta.schemes.robust.message import (
    MOST_BITS,
    from_bits,
    is_whole,
    most_bits,
    open_message,
    room,
    seal,
    sizes_within,
    to_bits,
)
from occulta.schemes.robust.profiles import PROFILES
from tests.support import KEY, OTHER_KEY, SATELLITE, private_bytes

OVERHEAD = 32 + 16 + 4 + 3


def test_the_ladder_of_sizes():
    assert sizes_within(2048) == [
        640, 704, 768, 832, 896, 960, 1024, 1152, 1280, 1408, 1536, 1664, 1792, 1920, 2048]
    assert sizes_within(639) == sizes_within(-1) == []
    ladder = sizes_within(1 << 20)
    assert all(large <= small * 9 / 8 for small, large in zip(ladder, ladder[1:], strict=False))
    assert all(size % 8 == 0 for size in ladder)


def test_the_bits_of_512_by_512_pixels():
    found = {name: most_bits(profile, 512, 512) for name, profile in PROFILES.items()}
    assert found.pop("light") == 4096 and found.pop("default") == 2048
    assert set(found.values()) == {1024}


@pytest.mark.parametrize("width, height", [(0, 0), (7, 9999), (9999, 7), (199, 208)])
def test_too_small_a_picture_carries_nothing(width, height):
    assert most_bits(PROFILES["light"], width, height) == 0


def test_the_largest_message_is_bounded():
    assert most_bits(PROFILES["light"], 65_535, 65_535) == MOST_BITS


def test_room_beside_the_seal():
    assert room(1024, False) == 73
    assert room(1024, True) == 9
    assert room(640, False) == 25
    assert room(640, True) < 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 700), st.booleans(), st.integers(0, 3))
def test_round_trip(size, signed, spare):
    private = private_bytes(size)
    least = (size + OVERHEAD + 64 * signed) * 8
    fitting = next(bits for bits in sizes_within(1 << 14) if bits >= least)
    message = seal(private, fitting << spare, KEY.public, SATELLITE if signed else None)
    assert len(message) * 8 == fitting
    assert from_bits(to_bits(message)) == message and is_whole(message)
    opened = open_message(message, KEY)
    assert opened.private == private
    assert opened.is_authentic(SATELLITE.public, KEY.public) is signed


@pytest.mark.parametrize("signed, size, most", [
    (False, 74, 1024), (True, 10, 1024), (False, 0, 639), (True, 0, 832), (False, 26, 640)])
def test_what_does_not_fit(signed, size, most):
    with pytest.raises(OccultaError) as caught:
        seal(bytes(size), most, KEY.public, SATELLITE if signed else None)
    assert caught.value.reason is Reason.DOES_NOT_FIT


def test_a_signature_is_for_one_recipient_by_one_satellite():
    opened = open_message(seal(b"x", 4096, KEY.public, SATELLITE), KEY)
    assert opened.is_authentic(SATELLITE.public, KEY.public)
    assert not opened.is_authentic(SATELLITE.public, OTHER_KEY.public)
    assert not opened._replace(private=b"y").is_authentic(SATELLITE.public, KEY.public)


def test_every_flipped_bit_is_seen_by_the_crc_and_by_the_seal():
    message = seal(b"private", 640, KEY.public)
    for bit in range(len(message) * 8):
        altered = bytearray(message)
        altered[bit // 8] ^= 1 << bit % 8
        assert not is_whole(bytes(altered))
        if bit < 8 * (len(message) - 4) and bit % 7 == 0:
            with pytest.raises(OccultaError) as caught:
                open_message(bytes(altered), KEY)
            assert caught.value.reason is Reason.WRONG_KEY


@settings(max_examples=20, deadline=None)
@given(st.binary(min_size=76, max_size=76))
def test_a_right_crc_alone_opens_nothing(sealed):
    message = sealed + zlib.crc32(sealed).to_bytes(4, "big")
    assert is_whole(message)
    with pytest.raises(OccultaError) as caught:
        open_message(message, KEY)
    assert caught.value.reason is Reason.WRONG_KEY


def test_another_key_opens_nothing():
    with pytest.raises(OccultaError) as caught:
        open_message(seal(b"private", 640, KEY.public), OTHER_KEY)
    assert caught.value.reason is Reason.WRONG_KEY


def test_nothing_is_sent_twice():
    assert seal(b"private", 640, KEY.public) != seal(b"private", 640, KEY.public)


@given(st.binary(min_size=1))
def test_bits_of_a_message(message):
    assert from_bits(to_bits(message)) == message
    assert to_bits(message)[:8] == bytes(int(digit) for digit in f"{message[0]:08b}")
