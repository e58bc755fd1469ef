"""Capacity is exact, and what does not fit is said to: nothing is ever cut off in silence.

Proves that as many private bytes fit as `CapacityMeter` says (signed, to one recipient), and one
more does not; that nothing hidden, a wrong key and a file marked before each have their reason.
"""

from __future__ import annotations

import pytest

from occulta.codec import crypto
from occulta.errors import OccultaError, Reason
from occulta.limits import DEFAULT_LIMITS, Limits
from occulta.schemes.reversible.capacity import CapacityMeter, largest_private
from occulta.schemes.reversible.hidden import sealed_size
from tests.jpegs import KINDS, PROGRESSIVE, SEQUENTIAL, encode, sample
from tests.support import (
    OTHER_KEY,
    PROFILES,
    SATELLITE,
    SMALL,
    assert_round_trip,
    each_byte,
    fixed_sealer,
    mark,
    private_bytes,
    recover,
)


def capacity(data: bytes, profile: str, limits: Limits = DEFAULT_LIMITS) -> int:
    meter = CapacityMeter(PROFILES[profile], limits=limits)
    meter.feed(data)
    return meter.finish().private_bytes


def signed(original: bytes, size: int, profile: str, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Mark with the fullest plan, signed, as the meter reckons."""
    sealer = fixed_sealer(profile, signing_key=SATELLITE)
    private = private_bytes(size)
    return mark(original, private, profile, limits=limits, declared=False, sealer=sealer)


def check_exact(original: bytes, profile: str, limits: Limits = DEFAULT_LIMITS) -> None:
    size = capacity(original, profile, limits)
    assert size > 0
    back = recover(signed(original, size, profile, limits), profile, limits=limits)
    assert (back.original, back.private) == (original, private_bytes(size))
    with pytest.raises(OccultaError) as caught:
        signed(original, size + 1, profile, limits)
    assert caught.value.reason is Reason.DOES_NOT_FIT


@pytest.mark.parametrize("kind", KINDS)
def test_capacity_is_exact(kind: str) -> None:
    check_exact(sample(kind), "exact")


@pytest.mark.parametrize("kind", sorted(set(SEQUENTIAL) - {"gray_q95", "odd_padding"}))
def test_capacity_of_paper_is_exact(kind: str) -> None:
    check_exact(sample(kind, 7, 480, 400), "paper")


@pytest.mark.parametrize("kind", ["gray", "ycc420", "optimised", "restart_rows"])
def test_capacity_past_the_look_ahead_is_exact(kind: str) -> None:
    check_exact(sample(kind, 7, 264, 200), "exact", SMALL)


@pytest.mark.parametrize("kind", ["gray", "ycc444", "restart_rows", "by_hand"])
def test_capacity_of_paper_past_the_look_ahead_is_exact(kind: str) -> None:
    check_exact(sample(kind, 7, 480, 400), "paper", SMALL)


@pytest.mark.parametrize("kind", ["gray", "ycc444", "optimised", "progressive", "redeclared"])
def test_what_fits_signed_fits_with_its_size_declared(kind: str) -> None:
    original = sample(kind)
    assert_round_trip(original, private_bytes(capacity(original, "exact")), "exact")


@pytest.mark.parametrize("profile", PROFILES)
def test_capacity_does_not_depend_on_the_cutting(profile: str) -> None:
    original = sample("ycc444", 7, 480, 400)
    meter = CapacityMeter(PROFILES[profile], limits=SMALL)
    for chunk in each_byte(original):
        meter.feed(chunk)
    assert meter.finish().private_bytes == capacity(original, profile, SMALL)


def test_more_recipients_leave_less() -> None:
    original = sample("gray")
    sizes = []
    for recipients in (1, 2, 3):
        meter = CapacityMeter(PROFILES["exact"], recipients)
        meter.feed(original)
        sizes.append(meter.finish().private_bytes)
    each = crypto.STANZA_SIZE + crypto.FINGERPRINT_SIZE
    assert sizes == [sizes[0], sizes[0] - each, sizes[0] - 2 * each]


@pytest.mark.parametrize("room", [0, 1, 17, 18, 19, 16402, 16403, 16420, 16421, 16422, 40_000])
def test_largest_private_is_the_largest(room: int) -> None:
    size = largest_private(room)
    assert sealed_size(size) <= room or size == 0
    assert sealed_size(size + 1) > room


@pytest.mark.parametrize("profile", PROFILES)
def test_a_picture_of_one_block_carries_nothing(profile: str) -> None:
    flat = encode(1, 8, 8, "L", noise=0)
    assert capacity(flat, profile) == 0
    with pytest.raises(OccultaError) as caught:
        mark(flat, b"", profile)
    assert caught.value.reason in (Reason.DOES_NOT_FIT, Reason.NO_CARRIERS)


@pytest.mark.parametrize(("profile", "size"), [
    ("exact", 20_000), ("exact", 3_000_000), ("paper", 600), ("paper", 3_000_000),
])
@pytest.mark.parametrize("limits", [DEFAULT_LIMITS, SMALL], ids=["in view", "streaming"])
def test_too_much_private_data(profile: str, size: int, limits: Limits) -> None:
    original = sample("gray", 7, *((264, 200) if profile == "exact" else (480, 400)))
    with pytest.raises(OccultaError) as caught:
        mark(original, bytes(size), profile, limits=limits)
    assert caught.value.reason is Reason.DOES_NOT_FIT


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_hidden(kind: str, profile: str) -> None:
    expected = Reason.NOTHING_HIDDEN
    if profile == "paper" and kind in PROGRESSIVE:
        expected = Reason.PROGRESSIVE
    with pytest.raises(OccultaError) as caught:
        recover(sample(kind), profile)
    assert caught.value.reason is expected


@pytest.mark.parametrize("profile", PROFILES)
def test_wrong_key(profile: str) -> None:
    marked = mark(sample("ycc444", 7, 480, 400), b"secret", profile)
    with pytest.raises(OccultaError) as caught:
        recover(marked, profile, key=OTHER_KEY)
    assert caught.value.reason is Reason.WRONG_KEY


@pytest.mark.parametrize("kind", KINDS)
def test_a_marked_file_is_not_marked_again(kind: str) -> None:
    marked = mark(sample(kind), b"secret")
    for profile in PROFILES:
        with pytest.raises(OccultaError) as caught:
            mark(marked, b"again", profile)
        progressive = profile == "paper" and kind in PROGRESSIVE
        assert caught.value.reason is (
            Reason.PROGRESSIVE if progressive else Reason.ALREADY_MARKED
        )


def test_paper_within_exact_comes_off_in_layers() -> None:
    """The paper's marks are coefficients: such a file can be an original of `exact`."""
    original = sample("ycc444", 7, 480, 400)
    inner = mark(original, b"inner", "paper")
    outer = assert_round_trip(inner, b"outer", "exact")
    peeled = recover(outer).original
    assert recover(peeled, "paper").private == b"inner"
