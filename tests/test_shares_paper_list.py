"""The hash list read out of two altered planes: what is proved of each block, and what is not.

Proves that a block is called wrong only where the check value confirms the list, right only where
its hash stands in its place, that one change in each plane leaves nothing open, and that blocks
with equal hashes are not taken for each other.
"""

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.schemes.shares import paper
from occulta.schemes.shares.paper_list import Carried, judge
from occulta.schemes.shares.paper_recover import recover
from occulta.schemes.shares.paper_watermark import Round
from occulta.schemes.shares.raster import blocks_of
from tests.paper_world import block_at, picture, protect, with_share
from tests.support import by_kernel

KEY = bytes(16)
COUNT = 12
BITS = 128
SHARES, PARAMETERS = protect(picture(), (8, 8, 40, 32))
BLOCKS = blocks_of(PARAMETERS.regions)


def a_hash(number: int) -> bytes:
    return hashlib.sha256(bytes([number])).digest()[:16]


LISTED = [a_hash(number) for number in range(COUNT)]


def bits_of(hashes: list[bytes]) -> bytes:
    return paper.to_bits(paper.watermark(hashes, KEY))


def carried(bits: bytes, listed: list[bytes] = LISTED) -> Carried:
    """One round, whose carriers were those of the list."""
    return Carried([Round(0, 1, len(bits_of(listed)))], [bits])


def lost(bits: bytes, at: int, number: int = 1) -> bytes:
    return bits[:at] + bits[at + number :]


def flipped(bits: bytes, *places: int) -> bytes:
    found = bytearray(bits)
    for at in places:
        found[at] ^= 1
    return bytes(found)


def noise(bits: bytes, start: int, end: int, seed: int = 1) -> bytes:
    drawn = random.Random(seed).choices((0, 1), k=end - start)
    return bits[:start] + bytes(drawn) + bits[end:]


def damaged(*numbers: int) -> list[bytes]:
    """The hashes of the restored pixels where these blocks are wrong."""
    return [a_hash(100 + at) if at in numbers else one for at, one in enumerate(LISTED)]


def expected(*wrong: int) -> list[bool]:
    return [at not in wrong for at in range(COUNT)]


def test_one_plane_that_holds_tells_of_every_block() -> None:
    bits = bits_of(LISTED)
    broken = carried(bytes(len(bits)))
    for planes in ([carried(bits), broken], [broken, carried(bits)]):
        assert judge(damaged(0, 7, 11), planes, KEY) == expected(0, 7, 11)


def inserted(bits: bytes, at: int) -> bytes:
    return bits[:at] + b"\1" + bits[at:]


@pytest.mark.parametrize("wrong", [(), (0,), (4,), (11,), (3, 4)])
@pytest.mark.parametrize("one", [lost, inserted, flipped])
@pytest.mark.parametrize("other", [lost, inserted, flipped])
def test_one_change_in_each_plane_leaves_nothing_open(wrong, one, other) -> None:
    bits = bits_of(LISTED)
    draw = random.Random(f"{wrong} {one.__name__} {other.__name__}")
    for _ in range(5):
        a, b = draw.randrange(len(bits) - 64), draw.randrange(len(bits) - 64)
        planes = [carried(one(bits, a)), carried(other(bits, b))]
        assert judge(damaged(*wrong), planes, KEY) == expected(*wrong), (a, b)


@pytest.mark.parametrize("wrong", [0, 5, COUNT - 1])
@pytest.mark.parametrize("change", [lost, inserted, flipped])
def test_a_change_in_the_wrong_block_s_own_bits_of_both_planes(wrong, change) -> None:
    """Behind the last one the number of bits tells the displacement."""
    bits, start = bits_of(LISTED), wrong * BITS
    planes = [carried(change(bits, start + 30)), carried(change(bits, start + 90))]
    assert judge(damaged(wrong), planes, KEY) == expected(wrong)


def test_check_values_that_were_changed_in_different_places_confirm_together() -> None:
    bits = bits_of(LISTED)
    end = COUNT * BITS
    planes = [carried(flipped(bits, end + 3)), carried(flipped(bits, end + 40))]
    assert judge(damaged(2), planes, KEY) == expected(2)


def test_without_a_check_value_no_block_is_called_wrong() -> None:
    """Both planes carry the same other hash for block 6: that alone proves nothing."""
    bits = bits_of(LISTED)
    end = COUNT * BITS
    planes = [carried(noise(bits, end, end + 64, seed)) for seed in (1, 2)]
    assert judge(damaged(6), planes, KEY) == [True] * 6 + [None] + [True] * 5


def test_a_right_block_whose_hash_is_gone_from_both_planes_is_open() -> None:
    bits = bits_of(LISTED)
    end = COUNT * BITS
    planes = [
        carried(noise(noise(bits, 6 * BITS, 7 * BITS, seed), end, end + 64, seed))
        for seed in (1, 2)
    ]
    assert judge(LISTED, planes, KEY) == [True] * 6 + [None] + [True] * 5


@pytest.mark.parametrize("pieces", [4, 5])
def test_five_pieces_of_eight_prove_a_hash(pieces: int) -> None:
    """Others are spoilt in both planes, and the check value too."""
    bits = bits_of(LISTED)
    end = COUNT * BITS
    spoilt = [6 * BITS + 16 * (2 * at + 1) for at in range(4)] + [6 * BITS]
    bits = flipped(bits, *spoilt[: 8 - pieces])
    planes = [carried(noise(bits, end, end + 64, seed)) for seed in (1, 2)]
    assert judge(LISTED, planes, KEY)[6] is (True if pieces == 5 else None)


@pytest.mark.parametrize("gone", [60, 300])
def test_many_lost_bits_are_followed(gone: int) -> None:
    bits = bits_of(LISTED)
    planes = [carried(lost(bits, 4 * BITS, gone)), carried(lost(bits, 5 * BITS + 9, gone))]
    found = judge(LISTED, planes, KEY)
    assert False not in found
    assert found[:4] == [True] * 4
    assert found[9:] == [True] * 3


def test_what_stands_between_two_losses_is_found() -> None:
    """Of the third block touched five pieces are left. The check value would confirm all."""
    bits = lost(lost(bits_of(LISTED), 8 * BITS, 300), 2 * BITS, 300)
    spoilt = noise(bits, len(bits) - 64, len(bits))
    found = judge(LISTED, [carried(spoilt)] * 2, KEY)
    assert judge(LISTED, [carried(bits)] * 2, KEY) == [True] * COUNT
    assert found == [True] * 2 + [None] * 2 + [True] * 4 + [None] * 2 + [True] * 2


def test_blocks_that_both_planes_agree_on_leave_the_tries_to_the_others() -> None:
    bits = bits_of(LISTED)
    planes = [carried(lost(bits, 5 * BITS + 30)), carried(lost(bits, 5 * BITS + 90))]
    wrong = (1, 2, 3, 5, 7, 8, 9)
    assert judge(damaged(*wrong), planes, KEY) == expected(*wrong)


def test_equal_hashes_are_not_taken_for_each_other() -> None:
    """Both planes lost one hash's worth of bits before two equal blocks, and noise follows."""
    listed = [*LISTED]
    listed[5] = listed[6] = a_hash(200)
    bits = bits_of(listed)
    end = COUNT * BITS
    computed = [*listed]
    computed[7] = a_hash(201)
    planes = [
        carried(lost(noise(noise(bits, 2 * BITS, 5 * BITS, seed), end, end + 64, seed), 4 * BITS,
                     BITS), listed)
        for seed in (1, 2)
    ]
    found = judge(computed, planes, KEY)
    assert False not in found
    assert found[7] is None


# --- in pictures


def check(a: dict[int, int], b: dict[int, int]) -> bool:
    """Nothing false, nothing missed, nothing wrong shown; whether nothing stayed open."""
    found = recover(with_share(with_share(SHARES, 0, a), 1, b), PARAMETERS)
    original = picture()
    wrong = {one for one in BLOCKS if found.raster.cut(one) != original.cut(one)}
    named, still_open = set(found.damage.blocks), set(found.damage.unverified)
    assert named <= {block_at(PARAMETERS.regions, at) for at in (*a, *b)}
    assert wrong <= named | still_open
    assert not named & still_open
    shown = found.verified().pixels
    assert all(one in (other, 128) for one, other in zip(shown, original.pixels, strict=True))
    return not still_open


def test_displacements_end_with_their_round() -> None:
    """Of three: the change in plane B displaces the end of its second round alone."""
    assert check({747: 1}, {1640: 1})


places = st.integers(0, len(picture().pixels) - 1)


@settings(max_examples=by_kernel(60, 8), deadline=None)
@given(*[st.dictionaries(places, st.integers(1, 255), min_size=1, max_size=40) for _ in range(2)])
def test_any_changes_of_both_shares(a: dict[int, int], b: dict[int, int]) -> None:
    check(a, b)


@settings(max_examples=by_kernel(60, 8), deadline=None)
@given(*[st.tuples(places, st.integers(1, 1000), st.sampled_from([1, 2, 16, 255]))
         for _ in range(2)])
def test_whole_stretches_of_both_shares(a: tuple[int, int, int], b: tuple[int, int, int]) -> None:
    """XOR with 1 leaves many pixels that a plane can have."""
    size = len(picture().pixels)
    check(*(
        dict.fromkeys(range(start, min(start + length, size)), change)
        for start, length, change in (a, b)
    ))


def test_one_pixel_of_each_share_leaves_next_to_nothing_open() -> None:
    draw = random.Random(8)
    count = by_kernel(120, 12)
    settled = sum(
        check(*({draw.randrange(64 * 48): draw.randrange(1, 256)} for _ in range(2)))
        for _ in range(count)
    )
    assert settled >= 0.98 * count
