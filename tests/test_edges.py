"""Places where streams end, begin or repeat awkwardly: each was once got wrong or nearly so."""

from __future__ import annotations

import io

import pytest

from occulta.codec import crypto
from occulta.codec.jpeg.huffman import ANNEX_K, HuffmanTable
from occulta.errors import OccultaError, Reason
from occulta.limits import Limits
from occulta.schemes.reversible import PROFILES, open_marker
from occulta.schemes.reversible.hidden import SealedSource
from occulta.schemes.reversible.sniff import ProfileSniffer
from tests.encoder import Picture, random_blocks
from tests.support import KEY, assert_round_trip, mark, recover, run_marker

BOTH = pytest.mark.parametrize("profile", sorted(PROFILES))
EOI = b"\xff\xd9"


def single() -> bytes:
    return Picture([random_blocks(1, 1600, last=20)], 40).to_jpeg()


def three_scans(shift: int) -> bytes:
    """A non-interleaved picture of unusual tables whose scans begin `shift` bytes later."""
    parts = [random_blocks(seed, 1200, last=20) for seed in (1, 2, 3)]
    unusual = {
        place: HuffmanTable(table.counts, bytes(reversed(table.symbols)))
        for place, table in ANNEX_K.items()
    }
    data = Picture(
        parts, 40, tables=unusual, interleaved=False, redeclare=True
    ).to_jpeg()
    return data[:2] + b"\xff\xe5" + (shift + 2).to_bytes(2, "big") + bytes(shift) + data[2:]


@pytest.mark.parametrize("distance", [1, 2, 8, 20, 50, 200, 1000])
def test_a_scan_may_begin_just_before_the_last_stretch(distance: int) -> None:
    """Idle bytes of an earlier scan are dropped; a later scan's side information is not."""
    second = second_scan(three_scans(0))
    data = three_scans(-(second + distance) % 1024)
    hold_back = len(data) - second_scan(data) - distance
    assert hold_back >= 8192
    assert_round_trip(data, b"secret", "exact", Limits(hold_back=hold_back, quantum=1024))


def second_scan(data: bytes) -> int:
    """Where the second scan's entropy-coded data begins."""
    return data.index(b"\xff\xda", data.index(b"\xff\xda") + 2) + 10


def refusal_of(data: bytes, profile: str) -> Reason:
    with pytest.raises(OccultaError) as caught:
        mark(data, b"secret", profile)
    return caught.value.reason


@BOTH
@pytest.mark.parametrize(
    "tail", [b"\xff" * 64_000 + b"\xd0", b"\xff\xd0" * 2_000, b"\xff" * 2_000_000]
)
def test_long_runs_behind_the_last_block(tail: bytes, profile: str) -> None:
    data = single()
    assert refusal_of(data[:-2] + tail + EOI, profile) is Reason.EXTRANEOUS_DATA


@BOTH
@pytest.mark.parametrize("segment", [b"\xff\xfe\0\2", b"\xff\x01"], ids=["COM", "TEM"])
def test_too_many_header_segments(segment: bytes, profile: str) -> None:
    data = single()
    assert refusal_of(data[:2] + segment * 5000 + data[2:], profile) is Reason.LIMIT_SEGMENT


def test_the_sniffer_forgets_what_it_has_seen() -> None:
    data = single()
    sniffer = ProfileSniffer()
    sniffer.feed(data[:2])
    for _ in range(1000):
        sniffer.feed(b"\xff\xe5\x40\x00" + bytes(0x3FFE))
    assert sniffer._buffer.fed - sniffer._buffer.base < 70_000
    sniffer.feed(data[2:])
    assert sniffer.finish() == PROFILES["paper"]


@BOTH
@pytest.mark.parametrize("place", ["unused", "behind"])
def test_repeats_in_a_table_that_no_scan_uses(place: str, profile: str) -> None:
    """Recovery tells the profile by repeats, so no table may have them."""
    repeated = b"\xff\xc4\x00\x15\x13" + bytes([0, 2] + 14 * [0]) + b"\x01\x01"
    data = single()
    marked = data[:2] + repeated + data[2:] if place == "unused" else data[:-2] + repeated + EOI
    assert refusal_of(marked, profile) is Reason.ALREADY_MARKED


@BOTH
def test_another_schemes_stream_is_not_taken(profile: str) -> None:
    context = crypto.Context(9, PROFILES[profile], bytes(8))
    sealer = crypto.Sealer.create(context, [KEY.public], None, 6)
    source = SealedSource(sealer, io.BytesIO(b"secret").read, 6)
    marked = run_marker(open_marker(PROFILES[profile], source), [single()])
    with pytest.raises(OccultaError) as caught:
        recover(marked, profile)
    assert caught.value.reason is Reason.BAD_HIDDEN_DATA
