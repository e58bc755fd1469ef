"""Histogram shifting: reversible for any plane and any bits, refused with numbers where not."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occulta.errors import OccultaError, Reason
from occulta.schemes.shares.paper_watermark import Round, embed, extract, possible_values

planes = st.one_of(
    st.binary(max_size=400),
    st.lists(st.integers(0, 15), max_size=400).map(bytes),
    st.lists(st.integers(0, 15), max_size=400).map(lambda found: bytes(16 * n for n in found)),
)
streams = st.lists(st.integers(0, 1), max_size=500).map(bytes)


@given(planes, streams)
def test_what_was_embedded_comes_back_and_the_plane_too(plane: bytes, bits: bytes) -> None:
    try:
        marked, rounds = embed(plane, bits)
    except OccultaError as error:
        assert error.reason is Reason.NO_WATERMARK_ROOM
        return
    assert len(marked) == len(plane)
    assert extract(marked, rounds, len(bits)) == (plane, bits)
    assert set(marked) <= possible_values(sorted(set(plane)), rounds)
    assert sum(each.carriers for each in rounds[:-1]) < len(bits) or not bits


def test_a_plane_that_is_marked_in_several_pieces() -> None:
    draw = random.Random(4)
    plane = bytes(draw.choices((0x40, 0x50), (9, 1), k=50_000))
    bits = bytes(draw.choices((0, 1), k=plane.count(0x40) - 5))
    marked, rounds = embed(plane, bits)
    expected, rest = bytearray(plane), iter(bits)
    for at, value in enumerate(plane):
        if value == 0x40 and next(rest, 0):
            expected[at] = 0x3F
    assert (marked, rounds) == (bytes(expected), (Round(0x40, 0x3F, plane.count(0x40)),))


def test_the_paper_s_example_with_the_zero_point_above() -> None:
    plane = bytes([133, 133, 134, 233, 133, *range(234)])
    marked, rounds = embed(plane, bytes([1, 0, 1]))
    assert rounds == (Round(133, 234, 4),)
    assert marked[:5] == bytes([134, 133, 135, 234, 134])
    assert marked[5 + 132 : 5 + 136] == bytes([132, 133, 135, 136])


def test_the_zero_point_below_moves_values_down() -> None:
    marked, rounds = embed(bytes([9, 9, 9, 8, 7, 10, 11, 12]), bytes([0, 1, 0]))
    assert rounds == (Round(9, 6, 3),)
    assert marked == bytes([9, 8, 9, 7, 6, 10, 11, 12])


def test_nothing_else_moves_where_the_value_beside_the_peak_is_empty() -> None:
    plane = bytes([0x40] * 20 + [0x50] * 9 + [0x30] * 9)
    marked, rounds = embed(plane, bytes([1] * 20))
    assert rounds == (Round(0x40, 0x3F, 20),)
    assert marked == bytes([0x3F] * 20) + plane[20:]


def test_as_many_rounds_as_the_bits_need() -> None:
    plane = bytes(range(16)) * 4
    bits = bytes([1, 0, 0, 1, 1] * 20)
    marked, rounds = embed(plane, bits)
    assert len(rounds) > 16
    assert extract(marked, rounds, 100) == (plane, bits)


def test_a_plane_without_an_empty_value_has_no_room() -> None:
    with pytest.raises(OccultaError) as caught:
        embed(bytes(range(256)), b"\1\0")
    assert caught.value.reason is Reason.NO_WATERMARK_ROOM
    assert "needs 2 bits" in caught.value.detail
    assert "room for 0" in caught.value.detail


def test_the_room_of_a_small_plane_is_said() -> None:
    with pytest.raises(OccultaError) as caught:
        embed(bytes(2), bytes([0] * 129))
    assert (caught.value.reason, caught.value.reason.exit_code) == (404, 4)
    assert "needs 129 bits and the picture has room for 128" in caught.value.detail


def test_no_bits_need_no_room() -> None:
    assert embed(bytes(range(256)), b"") == (bytes(range(256)), ())


@given(st.binary(min_size=64, max_size=64), st.integers(0, 63))
def test_each_pixel_is_restored_from_itself_alone(noise: bytes, at: int) -> None:
    plane = bytes(range(16)) * 4
    marked, rounds = embed(plane, bytes([1, 0, 1] * 40))
    changed = marked[:at] + noise[:1] + marked[at + 1 :]
    found, bits = extract(changed, rounds, 120)
    assert found[:at] + found[at + 1 :] == plane[:at] + plane[at + 1 :]
    assert len(bits) == 120
    assert len(extract(noise, rounds, 120)[0]) == 64


def test_a_lost_carrier_leaves_the_other_rounds_in_place() -> None:
    plane = bytes([0x40] * 30 + [0x60] * 20)
    bits = bytes([0, 1] * 25)
    marked, rounds = embed(plane, bits)
    assert [each.carriers for each in rounds] == [30, 20]
    changed = bytes([0xFF]) + marked[1:]
    found = extract(changed, rounds, 50)[1]
    assert found[30:] == bits[30:]
    assert found[:29] == bits[1:30]
