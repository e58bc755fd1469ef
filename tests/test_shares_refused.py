"""What does not belong together is refused by its number, and hostile shares by theirs.

Whoever has a recipient's public key can make shares that open: nothing in them may do more than
be refused.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from occulta.codec import crypto
from occulta.codec.jpeg.cells import Cut
from occulta.errors import OccultaError, Reason
from occulta.schemes.shares.conclusion import Conclusion, decode_conclusion
from occulta.schemes.shares.header import (
    FIXED_SIZE,
    PAPER,
    header_size,
    parse_clear,
)
from occulta.schemes.shares.keys import Share, ShareSet, divide, join
from occulta.schemes.shares.regions import REGIONS_SIZE
from occulta.schemes.shares.segments import Kind, Segment
from tests import jpegs
from tests.shares_support import flipped, gather, hostile, make, sealed, split
from tests.support import KEY, OTHER_KEY, by_kernel

PICTURE = jpegs.encode(1, 64, 48)
OTHER_SET = b"another set, too"
HEADER = header_size(make().shares[1].clear)


def shares(form: str = "seed", **options) -> tuple[bytes, ...]:
    return split(PICTURE, make(form, **options))


def refused(*given, key: crypto.PrivateKey = KEY) -> OccultaError:
    with pytest.raises(OccultaError) as caught:
        gather(given, key)
    return caught.value


# --- by name


def test_shares_of_different_frames() -> None:
    (a, b), (c, d) = shares(), shares(set_id=OTHER_SET, seed=2)
    for pair in ((a, d), (c, b)):
        error = refused(*pair)
        assert error.reason is Reason.SHARES_OF_DIFFERENT_SETS
        assert OTHER_SET.hex() in error.detail
    found, restored = gather([a, d, b])
    assert (restored, found.is_intact) == (PICTURE, True)
    assert found.damage.headers == ["input 1"]


def test_shares_of_different_frames_to_different_recipients() -> None:
    a, _ = shares()
    _, d = shares(set_id=OTHER_SET, recipients=[OTHER_KEY])
    assert refused(a, d).reason is Reason.SHARES_OF_DIFFERENT_SETS


@pytest.mark.parametrize("version", [0, 2, 255])
def test_another_version(version: int) -> None:
    a, b = shares()
    error = refused(a, b[:2] + bytes([version]) + b[3:])
    assert error.reason is Reason.SHARE_VERSION
    assert f"version {version}" in error.detail
    assert ("a later release" in error.hint) == (version > 0)
    assert "fetch it again" in error.hint
    assert "input 1" in error.detail


def test_the_same_share_twice() -> None:
    a, b = shares()
    several = shares("threshold", holders=(3, 4))
    for inputs in ((b, a, b), (several[1], several[0], several[1])):
        error = refused(*inputs)
        assert error.reason is Reason.SHARE_TWICE
        assert error.detail == "share b is given twice: input 0, input 2"


def test_k_of_n_go_on_with_the_first_copy_of_a_share() -> None:
    given = shares("threshold")
    found, restored = gather([given[1], given[0], given[1][:-1]])
    assert (restored, found.is_intact) == (PICTURE, True)
    assert found.damage.headers == ["input 2"]


def test_too_few() -> None:
    a, b = shares()
    for one, name in ((a, "share a"), (b, "share b")):
        error = refused(one)
        assert error.reason is Reason.TOO_FEW_SHARES
        assert error.detail == f"2 of 2 shares are needed, and 1 given: {name}"
    some = shares("threshold", holders=(3, 5))
    error = refused(some[4], some[1])
    assert error.detail == "3 of 5 shares are needed, and 2 given: share e, share b"


@pytest.mark.parametrize("form", ["seed", "stream", "threshold"])
def test_the_wrong_key(form: str) -> None:
    assert refused(*shares(form), key=OTHER_KEY).reason is Reason.WRONG_KEY


@pytest.mark.parametrize("junk", [b"", b"\x0c", PICTURE, b"\x0c\xc1" + bytes(400)])
def test_no_share_at_all(junk: bytes) -> None:
    a, _ = shares()
    for inputs in ((junk,), (a, junk)):
        error = refused(*inputs)
        assert error.reason is Reason.NOT_A_SHARE
        assert f"input {len(inputs) - 1}" in error.detail


def test_mixed_forms_and_profiles() -> None:
    a, _ = shares()
    b = shares("threshold", holders=(2, 2))[1]
    assert refused(a, b).reason is Reason.SHARES_MIXED
    _, other_keys = shares(seed=2)
    assert refused(a, other_keys).reason is Reason.SHARES_MIXED
    paper = [sealed(replace(share.clear, profile=PAPER)) for share in make().shares]
    error = refused(*paper)
    assert error.reason is Reason.SHARES_MIXED
    assert "profile" in error.detail


# --- headers


@pytest.mark.parametrize(
    ("form", "index"), [("seed", 0), ("seed", 1), ("stream", 0), ("threshold", 1)]
)
def test_every_flip_in_a_header_is_noticed(form: str, index: int) -> None:
    given = list(shares(form, holders=(2, 2)))
    size = header_size(parse_clear(given[index]))
    kept = given[index]
    for at in [*range(FIXED_SIZE), *range(FIXED_SIZE, size, 9)]:
        given[index] = flipped(kept, at, 1 << at % 8)
        error = refused(*given)
        expected = {0: Reason.NOT_A_SHARE, 1: Reason.NOT_A_SHARE, 2: Reason.SHARE_VERSION}
        if 9 <= at < 25 or FIXED_SIZE <= at < FIXED_SIZE + crypto.STANZA_SIZE:
            assert error.reason in (Reason.SHARE_ALTERED, Reason.SHARES_OF_DIFFERENT_SETS)
        else:
            assert error.reason is expected.get(at, Reason.SHARE_ALTERED), at
        assert "input" in error.detail


def test_the_altered_header_is_named() -> None:
    a, b = shares()
    error = refused(a, flipped(b, HEADER - 3))
    assert error.reason is Reason.SHARE_ALTERED
    assert error.detail == "input 1: the header of share b was altered"


@pytest.mark.parametrize("at", [0, 2, 5, 6, 7, 25, 40, 100, HEADER - 1])
def test_k_of_n_go_on_without_an_altered_header(at: int) -> None:
    given = shares("threshold")
    found, restored = gather([given[0], flipped(given[1], at), given[2]])
    assert (restored, found.is_intact) == (PICTURE, True)
    assert found.damage.headers == ["input 1"]
    assert found.damage.altered_shares == ["input 1"]
    assert refused(given[0], flipped(given[1], at)).reason in (
        Reason.NOT_A_SHARE, Reason.SHARE_VERSION, Reason.SHARE_ALTERED)


def test_every_cut_header_is_refused() -> None:
    a, b = shares()
    for end in range(0, HEADER, 7):
        assert refused(a, b[:end]).reason in (Reason.NOT_A_SHARE, Reason.SHARE_VERSION,
                                              Reason.SHARE_ALTERED)


def test_a_header_of_another_share_does_not_fit() -> None:
    (a, b), (_, d) = shares(), shares(seed=2)
    found, restored = gather([a, b[:HEADER] + d[HEADER:]])
    assert restored == b""
    assert found.damage.end_lost


# --- hostile senders


@pytest.mark.parametrize("count", [17, 255])
def test_an_impossible_list_of_regions(count: int) -> None:
    clear = make().shares[0].clear
    payload = bytes(64) + bytes([count]) + bytes(REGIONS_SIZE - 1) + bytes(32)
    assert refused(sealed(clear, payload)).reason is Reason.SHARE_ALTERED
    empty = bytes(64) + b"\1" + bytes(REGIONS_SIZE - 1) + bytes(32)
    assert refused(sealed(clear, empty)).reason is Reason.SHARE_ALTERED


WORDS = st.integers(0, 0xFFFF)
CUTS = st.builds(
    Cut, st.integers(0, 2**32 - 1) | st.integers(0, 40), st.integers(0, 7), st.integers(0, 255),
    st.tuples(*[st.integers(-32768, 32767)] * 4), WORDS, st.integers(0, 7),
)
SEGMENTS = st.builds(
    Segment, st.sampled_from(Kind), st.binary(max_size=300), CUTS,
    st.integers(0, 2**24 - 1) | st.integers(0, 40),
    st.binary(max_size=20).map(lambda b: b[: len(b) // 4 * 4]),
)


@settings(max_examples=by_kernel(100, 40), deadline=None,
          suppress_health_check=[HealthCheck.too_slow])
@given(segments=st.lists(SEGMENTS, max_size=4), spoil=st.booleans(), with_head=st.booleans())
def test_hostile_segments(segments: list[Segment], spoil: bool, with_head: bool) -> None:
    head = PICTURE[: jpegs.find(PICTURE, 0xDA)[1]]
    first = [Segment(Kind.PLAIN, head)] if with_head else []
    found, restored = gather(hostile(first + segments, spoil))
    ends = [s for s in first + segments if s.kind is Kind.CONCLUSION]
    assert not found.is_intact or decode_conclusion(ends[0].data) is not None
    assert len(restored) <= sum(len(s.data) for s in first + segments)
    rows = list(found.rows())
    assert sum(row.mcus for row in rows) == (12 if rows else 0)


def test_a_wrong_digest_is_not_intact() -> None:
    end = Conclusion(4, bytes(32), KEY.public.fingerprint)
    found, restored = gather(hostile([Segment(Kind.PLAIN, b"four"),
                                      Segment(Kind.CONCLUSION, end.encode())]))
    assert restored == b"four"
    assert found.damage.digest_matches is False
    assert not found.is_intact
    assert found.damage.altered_shares == []


@pytest.mark.parametrize("size", [0, 41, 42, 43, 60, 200])
def test_malformed_conclusions(size: int) -> None:
    assert decode_conclusion(b"\xff" * size) is None
    found, _ = gather(hostile([Segment(Kind.CONCLUSION, b"\xff" * size)]))
    assert found.conclusion is None
    assert found.damage.end_lost


def test_random_bytes_behind_a_header() -> None:
    a, b = shares()
    rng = random.Random(1)
    for size in (0, 1, 1023, 1024, 40_000):
        found, restored = gather([a, b[:HEADER] + rng.randbytes(size)])
        assert (restored, found.is_intact) == (b"", False)


# --- keys


@pytest.mark.parametrize(("threshold", "holders"), [(2, 2), (2, 5), (5, 9)])
def test_sharing_a_key(threshold: int, holders: int) -> None:
    key = bytes(range(32))
    parts = divide(key, threshold, holders)
    assert len(set(parts)) == holders
    assert join(dict(list(enumerate(parts))[-threshold:])) == key
    assert join(dict(list(enumerate(parts))[: threshold - 1])) != key


def test_a_set_is_made_from_the_randomness_given() -> None:
    first, again, other = make(seed=1), make(seed=1), make(seed=2)
    assert (first.set_key, first.frame_key) == (again.set_key, again.frame_key)
    assert [s.mac_key for s in first.shares] == [s.mac_key for s in again.shares]
    assert first.set_key != other.set_key
    assert len({s.mac_key for s in first.shares}) == 2
    assert isinstance(first, ShareSet)
    assert all(isinstance(share, Share) for share in first.shares)
