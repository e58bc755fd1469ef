"""Altered shares of the `paper` profile: which one, and where, to the 16x16 block.

Proves that one pixel changed in either share is found in exactly its block (no other is named),
watermark bits included; what several changes and changes outside the regions give; and that what
does not belong together is refused by its number.
"""

import itertools
import random
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.codec import crypto
from occulta.errors import OccultaError, Reason
from occulta.schemes.shares import paper, paper_parameters
from occulta.schemes.shares.paper_locate import Damage
from occulta.schemes.shares.paper_parameters import Parameters
from occulta.schemes.shares.paper_recover import recover
from occulta.schemes.shares.raster import Box, Raster, blocks_of
from tests.paper_world import block_at, fixed_random, picture, protect, refuses, with_share
from tests.support import KEY, OTHER_KEY, by_kernel

WIDTH = 64
REGION = (8, 8, 40, 32)
SHARES, PARAMETERS = protect(picture(), REGION)
BLOCKS = blocks_of(PARAMETERS.regions)


def damage(shares: paper.Shares, parameters: Parameters = PARAMETERS) -> Damage:
    found = recover(shares, parameters).damage
    assert found is not None
    return found


def inside() -> list[int]:
    return [at for at in range(WIDTH * 48) if block(at) is not None]


def block(at: int) -> Box | None:
    return block_at(PARAMETERS.regions, at)


def tampers(count: int) -> Iterator[tuple[int, int, int]]:
    """Share, pixel inside the region, change."""
    draw = random.Random(6)
    places = inside()
    for _ in range(count):
        yield draw.randrange(2), draw.choice(places), draw.randrange(1, 256)


def test_one_changed_pixel_is_located_to_exactly_its_block() -> None:
    kinds = set()
    for index, at, change in tampers(by_kernel(400, 25)):
        found = damage(with_share(SHARES, index, {at: change}))
        assert found.altered == (index == 0, index == 1)
        assert found.blocks == (block(at),)
        assert not found.outside
        kinds.add(found.restored)
    assert kinds == {True, False}


def test_a_watermark_bit_alone_is_located_by_making_the_shares_again() -> None:
    tried = (
        (at, recover(with_share(SHARES, 1, {at: change}), PARAMETERS))
        for at in inside()[::7] for change in (1, 2)
    )
    hits = ((at, found) for at, found in tried if found.damage.restored)
    count = by_kernel(10, 2)
    located = list(itertools.islice(hits, count))
    assert len(located) == count
    for at, found in located:
        assert found.raster == found.verified() == picture()
        assert found.damage == Damage((False, True), (block(at),), (), True, False, None)


def test_the_partial_image_is_grey_but_for_the_blocks_that_are_proved() -> None:
    """Outside the regions nothing proves a pixel once the digest differs."""
    at = 10 * WIDTH + 10
    found = recover(with_share(SHARES, 0, {at: 0x80}), PARAMETERS)
    assert found.damage == Damage((True, False), (Box(8, 8, 16, 16),), (), False, None, None)
    shown = found.verified()
    expected = bytearray([128]) * len(picture().pixels)
    for y in range(8, 40):
        for x in range(8, 48):
            if not (x < 24 and y < 24):
                expected[y * WIDTH + x] = picture().pixels[y * WIDTH + x]
    assert shown.pixels == bytes(expected)


@settings(max_examples=by_kernel(150, 10), deadline=None)
@given(st.dictionaries(st.sampled_from(inside()), st.integers(1, 255), min_size=1, max_size=40),
       st.integers(0, 1))
def test_many_changed_pixels_of_one_share(changes: dict[int, int], index: int) -> None:
    """Never a false block; a block is missed only where no pixel of the image changed."""
    found = recover(with_share(SHARES, index, changes), PARAMETERS)
    original = picture()
    wrong = {one for one in BLOCKS if found.raster.cut(one) != original.cut(one)}
    named = set(found.damage.blocks)
    assert wrong <= named <= {block(at) for at in changes}
    assert named == wrong or found.damage.restored or named - wrong <= {block(at) for at in changes}
    assert found.damage.altered == (index == 0, index == 1)


def test_both_shares_altered_where_neither_list_holds() -> None:
    """Blocks at both ends of the region."""
    first, last = 9 * WIDTH + 9, 38 * WIDTH + 46
    for change in (0x01, 0x10, 0x80, 0xFF):
        shares = with_share(with_share(SHARES, 0, {first: change}), 1, {last: change})
        found = damage(shares)
        assert (found.altered, found.unverified) == ((True, True), ())
        assert set(found.blocks) <= {block(first), block(last)}
        assert found.blocks or found.restored


@pytest.mark.parametrize("index", [0, 1])
def test_changes_outside_the_region(index: int) -> None:
    at = 46 * WIDTH + 60
    for change in (1, 2, 0x10, 0x80, 0xFF):
        recovered = recover(with_share(SHARES, index, {at: change}), PARAMETERS)
        found = recovered.damage
        assert (found.blocks, found.unverified, found.outside) == ((), (), True)
        assert found.outside_box in (None, Box(60, 46, 1, 1))
        assert found.outside_box or not found.restored
        ground = picture() if found.restored else picture().kept([], 128)
        expected = bytearray(ground.pixels)
        for row in Box(*REGION).rows(WIDTH):
            expected[row] = picture().pixels[row]
        assert recovered.verified().pixels == bytes(expected)


def test_changes_inside_and_outside() -> None:
    outside, at = 46 * WIDTH + 60, 20 * WIDTH + 20
    found = damage(with_share(SHARES, 0, {outside: 0x55, at: 0x80}))
    assert found.blocks == (block(at),)
    assert found.outside is not False


@pytest.mark.parametrize("left", [[Box(8, 8, 40, 16)], []])
@pytest.mark.parametrize("index", [0, 1])
def test_most_of_a_share_is_overwritten(index: int, left: list[Box]) -> None:
    """The other share's plane has the whole list of hashes; `left` is what is not overwritten."""
    pair = [SHARES.a, SHARES.b]
    pair[index] = pair[index].kept(left, 0)
    found = recover(paper.Shares(*pair), PARAMETERS)
    assert found.strangers == (() if left else (f"share {'ab'[index]}",))
    assert found.damage is not None
    assert (found.damage.altered, found.damage.unverified) == ((index == 0, index == 1), ())
    right = [one for one in BLOCKS if left and one.y == 8]
    assert list(found.damage.blocks) == [one for one in BLOCKS if one not in right]
    assert found.verified() == picture().kept(right, 128)


def test_both_shares_altered_everywhere_look_like_others() -> None:
    every = dict.fromkeys(range(WIDTH * 48), 0x5A)
    shares = with_share(with_share(SHARES, 0, every), 1, every)
    with pytest.raises(OccultaError) as caught:
        recover(shares, PARAMETERS)
    assert caught.value.reason is Reason.SHARES_OF_DIFFERENT_SETS
    assert "share a and share b do not belong" in caught.value.detail
    assert "of one run of protect" in caught.value.hint
    assert "set ids" not in caught.value.hint


# --- what does not belong together


def test_swapped_shares() -> None:
    refuses(Reason.SHARES_MIXED, lambda: recover(paper.Shares(SHARES.b, SHARES.a), PARAMETERS))


def test_swapped_shares_of_which_one_was_altered() -> None:
    changed = with_share(SHARES, 0, {0: 1})
    refuses(Reason.SHARES_MIXED, lambda: recover(paper.Shares(SHARES.b, changed.a), PARAMETERS))


@pytest.mark.parametrize("index", [0, 1])
def test_the_same_share_twice(index: int) -> None:
    twice = paper.Shares(SHARES[index], SHARES[index])
    refuses(Reason.SHARE_TWICE, lambda: recover(twice, PARAMETERS))


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("salt", [b"", b"again"])
def test_a_share_of_another_image_or_protection(index: int, salt: bytes) -> None:
    """As good as overwritten: every block is wrong, and which share it is."""
    others, _ = protect(picture(seed=1 if salt else 2), REGION, salt=salt)
    mixed = [SHARES.a, SHARES.b]
    mixed[index] = others[index]
    found = recover(paper.Shares(*mixed), PARAMETERS)
    assert found.strangers == (f"share {'ab'[index]}",)
    assert found.damage is not None and found.damage.blocks == tuple(BLOCKS)


def test_parameters_of_another_image() -> None:
    _, parameters = protect(picture(seed=2), REGION)
    refuses(Reason.SHARES_OF_DIFFERENT_SETS, lambda: recover(SHARES, parameters))


@pytest.mark.parametrize("index", [0, 1])
def test_shares_of_another_size(index: int) -> None:
    pair = [SHARES.a, SHARES.b]
    pair[index] = Raster(WIDTH, 47, pair[index].pixels[: WIDTH * 47])
    refuses(
        Reason.SHARE_SIZE, lambda: recover(paper.Shares(*pair), PARAMETERS),
        f"share {'ab'[index]} has 64 x 47 pixels, the image 64 x 48",
    )
    turned = Raster(48, WIDTH, SHARES[index].pixels)
    pair[index] = turned
    refuses(Reason.SHARE_SIZE, lambda: recover(paper.Shares(*pair), PARAMETERS))


# --- sealed parameters


def seal(parameters: Parameters = PARAMETERS, bound_to: bytes | None = None) -> bytes:
    bound = paper_parameters.context(bound_to or parameters.set_id)
    sealer = crypto.Sealer.create(bound, [KEY.public], None)
    return paper_parameters.seal(parameters, sealer)


def test_parameters_come_back_and_are_bound_to_their_profile() -> None:
    sealed = seal()
    assert sealed[:4] == b"\x0c\xc1\x04\x02"
    found, opened = paper_parameters.open_sealed(sealed, KEY)
    assert found == PARAMETERS
    assert not opened.conclusion.signature


def test_another_key_opens_nothing() -> None:
    refuses(Reason.WRONG_KEY, lambda: paper_parameters.open_sealed(seal(), OTHER_KEY))


def test_every_altered_byte_of_the_parameters_is_noticed() -> None:
    sealed = seal()
    for at in range(0, len(sealed), 5):
        broken = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        with pytest.raises(OccultaError):
            paper_parameters.open_sealed(broken, KEY)
    for end in (0, 1, 100, len(sealed) - 1):
        with pytest.raises(OccultaError):
            paper_parameters.open_sealed(sealed[:end], KEY)


def test_parameters_bound_to_another_set() -> None:
    sealed = seal(bound_to=bytes(16))
    refuses(Reason.BAD_PARAMETERS, lambda: paper_parameters.open_sealed(sealed, KEY), "another set")


def changed(**fields: object) -> bytes:
    return paper_parameters.encode(msgspec.structs.replace(PARAMETERS, **fields))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.BAD_PARAMETERS), (b"\x90", Reason.BAD_PARAMETERS),
        (b"\xc0", Reason.BAD_PARAMETERS), (b"\x91\x01", Reason.BAD_PARAMETERS),
        (b"\x91\x02", Reason.SHARE_VERSION), (changed(version=2), Reason.SHARE_VERSION),
        (b"\x91" * 4000, Reason.BAD_PARAMETERS),
        (changed(width=0), Reason.LIMIT_DIMENSIONS),
        (changed(height=1 << 40), Reason.LIMIT_DIMENSIONS),
        (changed(regions=()), Reason.BAD_PARAMETERS),
        (changed(regions=(Box(60, 0, 5, 5),)), Reason.BAD_PARAMETERS),
        (changed(kind="gif"), Reason.BAD_PARAMETERS),
        (changed(keys=(bytes(16), bytes(15))), Reason.BAD_PARAMETERS),
        (changed(rounds=(((256, 0, 5),), ())), Reason.BAD_PARAMETERS),
        (changed(rounds=(((4, 4, 5),), ())), Reason.BAD_PARAMETERS),
        (changed(rounds=(((4, 5, 1 << 50),), ())), Reason.BAD_PARAMETERS),
        (changed(rounds=(((4, 5, -1),), ())), Reason.BAD_PARAMETERS),
        (changed(rounds=(((4, 5, 1),) * 65, ())), Reason.BAD_PARAMETERS),
    ],
)
def test_impossible_parameters_are_refused(data: bytes, reason: Reason) -> None:
    refuses(reason, lambda: paper_parameters.decode(data))


def test_parameters_that_contradict_the_shares_they_name() -> None:
    rounds = PARAMETERS.rounds[0]
    for other in ((), rounds * 9):
        forged = msgspec.structs.replace(PARAMETERS, rounds=(other, PARAMETERS.rounds[1]))
        with pytest.raises(OccultaError) as caught:
            recover(SHARES, forged)
        assert caught.value.reason is Reason.BAD_PARAMETERS
    forged = msgspec.structs.replace(PARAMETERS, digest=bytes(32))
    refuses(Reason.DIGEST_MISMATCH, lambda: recover(SHARES, forged))
    forged = msgspec.structs.replace(PARAMETERS, share_digests=(bytes(32), bytes(32)))
    refuses(Reason.BAD_PARAMETERS, lambda: recover(SHARES, forged), "other shares")


@settings(max_examples=by_kernel(100, 10), deadline=None)
@given(st.data())
def test_any_parameters_that_decode_do_no_harm(data: st.DataObject) -> None:
    encoded = bytearray(paper_parameters.encode(PARAMETERS))
    for _ in range(data.draw(st.integers(1, 4))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = recover(SHARES, paper_parameters.decode(bytes(encoded)))
    except OccultaError:
        return
    assert found.damage is not None or found.raster == picture()


def test_randomness_is_asked_for_three_times_sixteen_bytes() -> None:
    asked: list[int] = []
    draw = fixed_random()
    paper.protect(picture(), [], "pgm", lambda size: asked.append(size) or draw(size))
    assert asked == [16, 16, 16]
