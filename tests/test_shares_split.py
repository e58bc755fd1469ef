"""Splitting and restoring: every kind of JPEG, form, chunking and subset of shares, bit for bit."""

from __future__ import annotations

import io
import itertools
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from occulta.codec.crypto import PrivateKey
from occulta.codec.jpeg.cells import CellKeys, CellReader
from occulta.errors import OccultaError, Reason
from occulta.limits import DEFAULT_LIMITS
from occulta.schemes.shares.gather import Gatherer
from occulta.schemes.shares.header import MAX_HEADER_SIZE, MAX_RECIPIENTS, header_size
from occulta.schemes.shares.regions import MAX_REGIONS, Regions
from occulta.schemes.shares.segments import GRAIN, SEGMENT_OVERHEAD, TARGET, Kind
from occulta.schemes.shares.split import Splitter
from tests import jpegs
from tests.shares_support import (
    FORMS,
    frame,
    gather,
    layout,
    make,
    shares_of,
    sources,
    split,
)
from tests.support import KEY, OTHER_KEY, SATELLITE, by_kernel, each_byte, pieces


def long_head() -> bytes:
    picture = jpegs.encode(10, 48, 48)
    comment = b"\xff\xfe" + (60_002).to_bytes(2, "big") + bytes(60_000)
    return picture[:2] + 2 * comment + picture[2:]


PICTURES = {
    "colour": lambda: jpegs.encode(1, 96, 80),
    "gray": lambda: jpegs.encode(2, 70, 50, mode="L"),
    "full colour": lambda: jpegs.encode(3, 50, 70, subsampling=0),
    "restarts": lambda: jpegs.encode(4, 96, 80, restart_marker_blocks=5),
    "progressive": lambda: jpegs.encode(5, 96, 80, progressive=True),
    "tiny": lambda: jpegs.encode(6, 1, 1),
    "trailer": lambda: jpegs.with_trailer(jpegs.encode(7, 40, 40)),
    "thumbnail": lambda: jpegs.with_thumbnail(jpegs.encode(8, 40, 40)),
    "dnl": lambda: jpegs.with_dnl(jpegs.encode(9, 40, 40)),
    "long head": long_head,
}


@pytest.mark.arm64
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", PICTURES)
def test_every_picture_comes_back(kind: str, form: str) -> None:
    picture = PICTURES[kind]()
    found, restored = gather(split(picture, make(form)))
    assert restored == picture
    assert found.is_intact
    assert found.damage.altered_shares == []
    assert found.is_authentic(SATELLITE.public)


@pytest.mark.parametrize("form", FORMS)
def test_a_picture_of_several_segments_comes_back(form: str) -> None:
    made, shares = shares_of(form)
    found, restored = gather(shares)
    assert restored == frame()
    assert found.is_intact
    assert len(layout(made, shares[-1])) >= 6


@settings(max_examples=by_kernel(30, 8), deadline=None,
          suppress_health_check=[HealthCheck.too_slow])
@given(
    kind=st.sampled_from(sorted(PICTURES)), form=st.sampled_from(FORMS),
    cuts=st.lists(st.integers(0, 4000), max_size=6), data=st.data(),
)
def test_however_cut_and_gathered(kind: str, form: str, cuts: list[int], data) -> None:
    picture, made = PICTURES[kind](), make(form, holders=(2, 4))
    shares = split(picture, made, pieces(picture, cuts))
    assert shares == split(picture, made)
    threshold = made.shares[0].clear.threshold
    chosen = data.draw(st.permutations(range(len(shares))))
    count = data.draw(st.integers(threshold, len(shares)))
    found, restored = gather([shares[index] for index in chosen[:count]])
    assert (restored, found.is_intact) == (picture, True)


def test_byte_by_byte() -> None:
    picture, made = PICTURES["restarts"](), make("stream")
    assert split(picture, made, each_byte(picture)) == split(picture, made)


@pytest.mark.arm64
def test_the_plain_kernel_writes_the_same() -> None:
    picture, made = PICTURES["colour"](), make()
    assert split(picture, made, kernel="plain") == split(picture, made)


@pytest.mark.arm64
@pytest.mark.parametrize(("threshold", "holders"), [(2, 2), (2, 3), (3, 5), (4, 4)])
def test_any_k_of_n_restore_and_fewer_do_not(threshold: int, holders: int) -> None:
    picture = PICTURES["gray"]()
    shares = split(picture, make("threshold", holders=(threshold, holders)))
    for chosen in itertools.combinations(shares, threshold):
        assert gather(chosen)[1] == picture
    for chosen in itertools.combinations(shares, threshold - 1):
        with pytest.raises(OccultaError, match=f"{threshold} of {holders} shares") as caught:
            gather(chosen)
        assert caught.value.reason is Reason.TOO_FEW_SHARES


def test_sixteen_holders() -> None:
    picture = PICTURES["tiny"]()
    shares = split(picture, make("threshold", holders=(16, 16)))
    assert gather(reversed(shares))[1] == picture


# --- sizes


def cells_of(picture: bytes) -> int:
    reader = CellReader(DEFAULT_LIMITS, CellKeys(bytes(16)))
    reader.feed(picture)
    reader.finish()
    assert reader.grid is not None
    return reader.grid.columns * reader.grid.rows


@pytest.mark.parametrize("kind", [*PICTURES, "frame"])
def test_the_size_is_bounded(kind: str) -> None:
    picture = frame() if kind == "frame" else PICTURES[kind]()
    made = make("seed")
    splitter = Splitter(made, SATELLITE)
    a, b = (first + last for first, last in
            zip(splitter.feed(picture), splitter.finish(), strict=True))
    assert len(a) < 1024
    assert len(a) == header_size(made.shares[0].clear)
    bound = len(picture) + 4 * cells_of(picture) + 64 * splitter.segments + 1024
    assert len(b) <= bound + splitter.padding
    laid = layout(made, b)
    assert splitter.segments == len(laid)
    assert splitter.padding == sum(each.segment.padding for each in laid)
    assert all(each.size % GRAIN == 0 for each in laid)
    assert SEGMENT_OVERHEAD == 64


def test_segments_end_at_the_first_row_behind_the_target() -> None:
    made, shares = shares_of("seed")
    cells = [each.segment for each in layout(made, shares[1]) if each.segment.kind is Kind.CELLS]
    row = max(len(segment.data) for segment in cells) - TARGET
    assert all(len(segment.data) >= TARGET for segment in cells[:-1])
    assert 0 <= row < 12_000


@pytest.mark.parametrize("form", FORMS)
def test_a_header_fits_in_2048_bytes(form: str) -> None:
    made = make(form, recipients=[KEY] * MAX_RECIPIENTS,
                regions=Regions(((0, 0, 16, 16),) * MAX_REGIONS))
    for share in made.shares:
        assert len(share.header) == header_size(share.clear) <= MAX_HEADER_SIZE
    assert header_size(make(form).shares[0].clear) == len(make(form).shares[0].header)


def test_memory_is_bounded() -> None:
    side = by_kernel(1200, 144)
    stream = io.BytesIO(jpegs.encode(11, side, side, quality=95))
    splitter = Splitter(make("threshold"), SATELLITE)
    tracemalloc.start()
    while chunk := stream.read(1 << 16):
        splitter.feed(chunk)
    splitter.finish()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert splitter.segments >= by_kernel(25, 2)
    assert peak < 1_500_000


def test_memory_of_gathering_is_bounded() -> None:
    side = by_kernel(1200, 144)
    held = sources(split(jpegs.encode(11, side, side, quality=95), make("stream")))
    tracemalloc.start()
    for _ in Gatherer(held, KEY).restore():
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(each.size for each in held) > by_kernel(1_600_000, 20_000)
    assert peak < 1_200_000


# --- what a share tells


@pytest.mark.parametrize("form", FORMS)
def test_bodies_look_random(form: str) -> None:
    made, shares = shares_of(form)
    for share, data in zip(made.shares, shares, strict=True):
        body = data[len(share.header) :]
        ones = sum(byte.bit_count() for byte in body)
        spread = 5 * (8 * len(body)) ** 0.5 / 2
        assert abs(ones - 4 * len(body)) <= spread
        if body:
            counts = [body.count(value) for value in range(256)]
            expected = len(body) / 256
            chi = sum((count - expected) ** 2 / expected for count in counts)
            assert 140 < chi < 380


def test_a_share_without_secrets_depends_on_sizes_alone() -> None:
    """The same frame under two keys: the bodies have one size and no byte pattern in common."""
    first, second = (split(frame(), make("seed", seed=seed))[1] for seed in (1, 2))
    assert len(first) == len(second)
    same = sum(a == b for a, b in zip(first[400:], second[400:], strict=True))
    assert same < len(first) / 200


def test_every_recipient_opens_the_shares() -> None:
    picture = PICTURES["gray"]()
    shares = split(picture, make(recipients=[KEY, OTHER_KEY]))
    for key in (KEY, OTHER_KEY):
        found, restored = gather(shares, key)
        assert (restored, found.is_authentic(SATELLITE.public)) == (picture, True)
    with pytest.raises(OccultaError) as caught:
        gather(shares, PrivateKey(bytes(range(9, 41))))
    assert caught.value.reason is Reason.WRONG_KEY


def test_signatures() -> None:
    picture = PICTURES["gray"]()
    unsigned, _ = gather(split(picture, make(), signing=None))
    assert unsigned.is_intact
    assert not unsigned.is_authentic(SATELLITE.public)
    signed, _ = gather(split(picture, make()))
    other = type(SATELLITE)(bytes(range(8, 40)))
    assert not signed.is_authentic(other.public)


@pytest.mark.parametrize("data", [b"", b"GIF89a", jpegs.encode(1, 16, 16)[:300]])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(OccultaError):
        split(data, make())


@pytest.mark.parametrize(
    ("change", "saying"),
    [
        ({"set_id": b"short"}, "16 bytes"),
        ({"recipients": []}, "recipients"),
        ({"recipients": [KEY] * (MAX_RECIPIENTS + 1)}, "recipients"),
        ({"form": "threshold", "holders": (1, 2)}, "k of n"),
        ({"form": "threshold", "holders": (3, 2)}, "k of n"),
        ({"form": "threshold", "holders": (2, 17)}, "k of n"),
    ],
)
def test_impossible_sets(change: dict, saying: str) -> None:
    with pytest.raises(ValueError, match=saying):
        make(**change)
