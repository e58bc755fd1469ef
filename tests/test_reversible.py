"""Round trips: whatever the kind of picture, the profile, the cutting and the private size.

Proves that marking and recovery are exact inverses, that the output depends on the bytes alone
(not on how they were cut), that `exact` changes no pixel and no segment but DHT, and that padding
bits of any value come back.
"""

from __future__ import annotations

import random
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.codec import crypto
from occulta.errors import OccultaError, Reason
from occulta.limits import DEFAULT_LIMITS, Limits
from occulta.schemes.reversible.hidden import EFFORTS
from tests.encoder import Picture, random_blocks
from tests.jpegs import (
    KINDS,
    PLAIN,
    PROGRESSIVE,
    SEQUENTIAL,
    encode,
    pixels,
    sample,
    segments_and_trailer,
)
from tests.support import (
    SMALL,
    assert_recovers,
    assert_round_trip,
    by_kernel,
    each_byte,
    mark,
    pieces,
    private_bytes,
    recover,
)

PROFILES = ("exact", "paper")
ROOMY = (480, 400)
PAPER_SIZES = {"gray_q95": (720, 720)}
"""Blocks that seldom have room behind their last coefficient: more of them."""
FORECAST_FAILED = (Reason.DOES_NOT_FIT, Reason.NO_CARRIERS_AT_END)
CHUNK = crypto.CHUNK_SIZE
CUTS = st.lists(st.integers(0, 60_000), max_size=8)
CASES = [("exact", kind) for kind in KINDS]
# The notes on padding of "odd_padding" need more bits than its blocks carry with `paper`.
CASES += [("paper", kind) for kind in SEQUENTIAL if kind != "odd_padding"]


def examples(compiled: int, plain: int) -> settings:
    return settings(
        deadline=None, derandomize=True, database=None, max_examples=by_kernel(compiled, plain)
    )


def original_for(profile: str, kind: str) -> bytes:
    """A small file that has room for a few private bytes."""
    if profile == "exact":
        return sample(kind)
    return sample(kind, 7, *PAPER_SIZES.get(kind, ROOMY))


def decoded(data: bytes) -> bytes:
    """Pixels; a warning of the decoder fails the test. A missing EOI is forgiven."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return pixels(data if b"\xff\xd9" in data else data + b"\xff\xd9")


@pytest.mark.parametrize(("profile", "kind"), CASES)
def test_round_trip_of_every_kind(profile: str, kind: str) -> None:
    original = original_for(profile, kind)
    marked = assert_round_trip(original, b"secret", profile)
    assert marked != original
    assert segments_and_trailer(marked) == segments_and_trailer(original)
    if kind in PLAIN or kind in PROGRESSIVE:
        shown = decoded(marked)
        assert len(shown) == len(decoded(original))
        assert profile == "paper" or shown == decoded(original)


@pytest.mark.parametrize(("profile", "kind"), CASES)
def test_one_byte_at_a_time(profile: str, kind: str) -> None:
    original = original_for("exact", kind)
    try:
        whole = mark(original, b"secret", profile, limits=SMALL)
    except OccultaError as error:
        with pytest.raises(OccultaError) as caught:
            mark(original, b"secret", profile, limits=SMALL, chunks=each_byte(original))
        assert caught.value.reason is error.reason
        return
    assert mark(original, b"secret", profile, limits=SMALL, chunks=each_byte(original)) == whole
    back = recover(whole, profile, limits=SMALL, chunks=each_byte(whole))
    assert (back.original, back.private) == (original, b"secret")


@pytest.mark.parametrize("profile", PROFILES)
def test_one_byte_at_a_time_past_the_look_ahead(profile: str) -> None:
    original = sample("ycc444", 7, *ROOMY) if profile == "paper" else sample("ycc420", 7, 264, 200)
    whole = mark(original, b"secret", profile, limits=SMALL)
    assert mark(original, b"secret", profile, limits=SMALL, chunks=each_byte(original)) == whole
    back = recover(whole, profile, limits=SMALL, chunks=each_byte(whole))
    assert (back.original, back.private) == (original, b"secret")


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK])
@pytest.mark.parametrize("limits", [DEFAULT_LIMITS, SMALL], ids=["in view", "streaming"])
def test_private_sizes_around_a_chunk_exact(size: int, limits: Limits) -> None:
    assert_round_trip(sample("ycc444", 7, *ROOMY), private_bytes(size), "exact", limits)


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1])
def test_private_sizes_around_a_chunk_paper(size: int) -> None:
    limits = Limits(hold_back=16384, quantum=4096)
    assert_round_trip(_many_blocks(), private_bytes(size), "paper", limits)


def _many_blocks() -> bytes:
    """Some 70,000 blocks with little in them: room for more than a chunk."""
    if not _MADE:
        _MADE.append(encode(5, 2208, 2048, "L", noise=1.0, quality=25))
    return _MADE[0]


_MADE: list[bytes] = []


@examples(60, 16)
@given(
    kind=st.sampled_from(sorted(KINDS)), size=st.sampled_from([0, 1, 100]), cuts=CUTS,
    recut=CUTS, seed=st.integers(1, 3),
)
def test_exact_however_it_is_cut(
    kind: str, size: int, cuts: list[int], recut: list[int], seed: int
) -> None:
    original, private = sample(kind, seed), private_bytes(size, seed)
    whole = mark(original, private)
    assert mark(original, private, chunks=pieces(original, cuts)) == whole
    back = recover(whole, chunks=pieces(whole, recut))
    assert (back.original, back.private) == (original, private)


STREAMED = sorted(set(KINDS) - {"dnl"})  # the height would come behind the look-ahead


@examples(60, 12)
@given(
    kind=st.sampled_from(STREAMED), profile=st.sampled_from(PROFILES),
    size=st.sampled_from([0, 1, 300, 2000]), cuts=CUTS, recut=CUTS,
    effort=st.integers(0, EFFORTS), limits=st.builds(
        Limits, hold_back=st.sampled_from([8192, 9000, 16384]),
        quantum=st.sampled_from([512, 1000, 4096]),
    ),
)
def test_past_the_look_ahead(
    kind: str, profile: str, size: int, cuts: list[int], recut: list[int], effort: int,
    limits: Limits,
) -> None:
    """Every effort (the last one: size not known) gives an exact round trip or says what fails."""
    if profile == "paper" and kind in PROGRESSIVE:
        kind = "gray"
    original, private = sample(kind, 7, *ROOMY), private_bytes(size)
    plan = {"effort": effort} if effort < EFFORTS else {"declared": False}
    try:
        whole = mark(original, private, profile, limits=limits, **plan)
    except OccultaError as error:
        assert error.reason in FORECAST_FAILED
        return
    again = mark(original, private, profile, limits=limits, chunks=pieces(original, cuts), **plan)
    assert again == whole
    back = recover(whole, profile, limits=limits, chunks=pieces(whole, recut))
    assert (back.original, back.private) == (original, private)
    assert back.remarked(limits) == whole


@pytest.mark.parametrize("effort", range(EFFORTS))
@pytest.mark.parametrize("kind", ["gray", "ycc420", "optimised", "restart_rows", "not_interleaved"])
def test_each_effort_streams(kind: str, effort: int) -> None:
    original, private = sample(kind, 7, *ROOMY), private_bytes(300)
    marked = mark(original, private, limits=SMALL, effort=effort)
    assert_recovers(marked, original, private, "exact", SMALL)


class _Mixed:
    """Padding bits that differ from segment to segment."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    def __and__(self, mask: int) -> int:
        return self._rng.choice([0x7F, 0x7F, 0x7F, 0, self._rng.randrange(128)]) & mask


@examples(60, 16)
@given(
    padding=st.one_of(st.sampled_from([0, 0x7F]), st.integers(0, 127), st.none()),
    interval=st.sampled_from([0, 1, 2, 7, 40]), seed=st.integers(0, 5),
    profile=st.sampled_from(PROFILES), streaming=st.booleans(),
)
def test_padding_comes_back(
    padding: int | None, interval: int, seed: int, profile: str, streaming: bool
) -> None:
    blocks = random_blocks(seed, 3600, last=8)
    kind = _Mixed(seed) if padding is None else padding
    original = Picture([blocks], 60, interval=interval, padding=kind).to_jpeg()  # type: ignore[arg-type]
    try:
        assert_round_trip(original, b"secret", profile, SMALL if streaming else DEFAULT_LIMITS)
    except OccultaError as error:
        # Long notes: a recovery needs them at the end, where a small look-ahead has no room.
        assert error.reason in FORECAST_FAILED and interval and padding not in (0, 0x7F)
