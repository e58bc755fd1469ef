"""One frame through its scheme: every scheme gives back the original, however the frame was cut."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.codec import crypto
from occulta.errors import OccultaError, Reason
from occulta.schemes.reversible.hidden import declare
from occulta.schemes.sealed import OpeningStream
from onboard.pipeline import NO_PROFILE, SCHEMES, Keys, Stream, counts, open_stream
from tests import jpegs
from tests.intake_support import EXAMPLES
from tests.support import KEY, OTHER_KEY, SATELLITE, assert_recovers, private_bytes, recover

KEYS = Keys((KEY.public, OTHER_KEY.public), SATELLITE)
PRODUCT = bytes(range(16))
FRAME = jpegs.encode(3, 384, 384)
SECRET = private_bytes(400)
CUTS = st.lists(st.integers(0, len(FRAME)), max_size=6)


def through(stream: Stream, frame: bytes, cuts: list[int] | None = None) -> bytes:
    edges = [0, *sorted(cuts or []), len(frame)]
    chunks = [frame[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    return b"".join([*map(stream.feed, chunks), stream.finish()])


def open_sealed(data: bytes, key: crypto.PrivateKey) -> tuple[bytes, OpeningStream]:
    stream = OpeningStream(key)
    return stream.feed(data) + stream.finish(), stream


def test_there_are_four_schemes() -> None:
    assert SCHEMES == ("reversible", "sealed", "plain", "shares")


@given(CUTS)
@settings(EXAMPLES, max_examples=20)
def test_plain_is_the_frame(cuts: list[int]) -> None:
    stream = open_stream("plain", NO_PROFILE, KEYS, PRODUCT)
    assert through(stream, FRAME, cuts) == FRAME
    assert counts(stream) == (0, 0)


@given(CUTS)
@settings(EXAMPLES, max_examples=20)
def test_sealed_is_for_every_recipient(cuts: list[int]) -> None:
    stream = open_stream("sealed", NO_PROFILE, KEYS, PRODUCT)
    data = through(stream, FRAME, cuts)
    assert FRAME[:64] not in data and FRAME[-64:] not in data
    assert counts(stream) == (0, 0)
    for key in (KEY, OTHER_KEY):
        plain, opened = open_sealed(data, key)
        assert plain == FRAME
        assert opened.is_authentic(SATELLITE.public)
        assert opened.unsealer is not None
        assert opened.unsealer.context.product_id == PRODUCT[:8]
    with pytest.raises(OccultaError) as caught:
        open_sealed(data, crypto.PrivateKey.generate())
    assert caught.value.reason is Reason.WRONG_KEY


@pytest.mark.parametrize("profile", ["exact", "paper"])
@pytest.mark.parametrize("payload", [b"", SECRET], ids=["empty", "secret"])
def test_reversible_gives_back_frame_and_payload(profile: str, payload: bytes) -> None:
    stream = open_stream("reversible", profile, KEYS, PRODUCT, payload)
    data = through(stream, FRAME, [1000, 20_000])
    assert_recovers(data, FRAME, payload, profile)
    back = recover(data, profile, key=OTHER_KEY)
    assert (back.original, back.private) == (FRAME, payload)
    assert back.unsealer.is_authentic(back.conclusion, SATELLITE.public)
    assert back.unsealer.context.product_id == PRODUCT[:8]
    assert back.unsealer.declared_size == declare(len(payload), 1)
    blocks, hidden = counts(stream)
    assert blocks == 384 * 384 * 3 // 2 // 64
    assert len(payload) < hidden < len(data)


@given(CUTS, st.binary(max_size=600))
@settings(EXAMPLES, max_examples=15)
def test_reversible_however_it_is_cut(cuts: list[int], payload: bytes) -> None:
    stream = open_stream("reversible", "exact", KEYS, PRODUCT, payload)
    assert_recovers(through(stream, FRAME, cuts), FRAME, payload, "exact")


def test_without_a_signing_key_nothing_is_authentic() -> None:
    keys = Keys((KEY.public,), None)
    plain, opened = open_sealed(
        through(open_stream("sealed", NO_PROFILE, keys, PRODUCT), FRAME), KEY
    )
    assert plain == FRAME and not opened.is_authentic(SATELLITE.public)
    back = recover(through(open_stream("reversible", "exact", keys, PRODUCT), FRAME))
    assert not back.unsealer.is_authentic(back.conclusion, SATELLITE.public)


@pytest.mark.parametrize(("data", "reason"), [
    (b"", Reason.EMPTY_INPUT),
    (b"GIF89a" + bytes(100), Reason.NOT_JPEG),
    (FRAME[:2000], Reason.TRUNCATED),
    (jpegs.encode(1, 16, 16), Reason.DOES_NOT_FIT),
])
def test_what_reversible_refuses(data: bytes, reason: Reason) -> None:
    stream = open_stream("reversible", "exact", KEYS, PRODUCT)
    with pytest.raises(OccultaError) as caught:
        through(stream, data)
    assert caught.value.reason is reason


def test_a_product_is_no_frame() -> None:
    marked = through(open_stream("reversible", "exact", KEYS, PRODUCT, SECRET), FRAME)
    with pytest.raises(OccultaError) as caught:
        through(open_stream("reversible", "exact", KEYS, PRODUCT), marked)
    assert caught.value.reason is Reason.ALREADY_MARKED


@pytest.mark.parametrize(("scheme", "profile"), [
    ("robust", "exact"), ("", ""), ("reversible", "none"), ("reversible", "Exact"),
])
def test_unknown_schemes_and_profiles(scheme: str, profile: str) -> None:
    with pytest.raises(ValueError, match="no scheme"):
        open_stream(scheme, profile, KEYS, PRODUCT)


@pytest.mark.parametrize("scheme", ["sealed", "plain"])
def test_only_reversible_carries_a_payload(scheme: str) -> None:
    with pytest.raises(ValueError, match="carries no payload"):
        open_stream(scheme, NO_PROFILE, KEYS, PRODUCT, b"x")


def test_two_streams_never_seal_alike() -> None:
    one, two = (through(open_stream("sealed", NO_PROFILE, KEYS, PRODUCT), FRAME) for _ in "ab")
    assert one != two and len(one) == len(two)
    assert io.BytesIO(one).read(17) == two[:17]
