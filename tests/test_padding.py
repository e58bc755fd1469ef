"""Padding bits: noted compactly, parsed back, patched into the restored file.

Proves that the notes say every segment's padding exactly, that malformed notes are refused, and
that patching does not depend on how the restored file is cut.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.errors import OccultaError, Reason
from occulta.schemes.reversible.padding import PaddingLog, PaddingNotes
from occulta.schemes.reversible.recover import Patch, Patcher
from tests.encoder import Picture, random_blocks
from tests.support import each_byte, mark, pieces

pytestmark = pytest.mark.arm64

EXAMPLES = settings(deadline=None, derandomize=True, database=None, max_examples=200)
PADDING = st.integers(0, 7).flatmap(
    lambda bits: st.tuples(st.just(bits), st.integers(0, (1 << bits) - 1))
)


def log_of(paddings: list[tuple[int, int]], most: int = 4096) -> PaddingLog:
    log = PaddingLog(most)
    for bits, value in paddings:
        log.add(bits, value)
    return log


@EXAMPLES
@given(st.lists(PADDING, max_size=300))
def test_notes_say_every_padding(paddings: list[tuple[int, int]]) -> None:
    notes = PaddingNotes.parse(log_of(paddings).notes())
    assert [(bits, notes.value(at, bits)) for at, (bits, _) in enumerate(paddings)] == paddings


@pytest.mark.parametrize("gap", [1, 127, 128, 129, 16_383, 16_384, 100_000])
def test_far_exceptions(gap: int) -> None:
    paddings = [(3, 7)] * gap + [(3, 5)] + [(3, 7)] * gap + [(7, 1)]
    notes = PaddingNotes.parse(log_of(paddings).notes())
    assert notes.exceptions == {gap: 5, 2 * gap + 1: 1}


def test_the_usual_padding_needs_no_notes() -> None:
    assert log_of([(bits, (1 << bits) - 1) for bits in range(8)] * 10).notes() == b""
    assert len(log_of([(bits, 0) for bits in range(8)] * 10).notes()) == 1


def test_too_many_exceptions() -> None:
    irregular = [(5, 10)] * 9
    assert log_of(irregular, 9).notes()
    with pytest.raises(OccultaError) as caught:
        log_of(irregular, 8).notes()
    assert caught.value.reason is Reason.ODD_PADDING


def test_too_many_exceptions_in_a_picture() -> None:
    blocks = random_blocks(1, 12_000, last=3)
    original = Picture([blocks], 100, interval=1, padding=0x2A).to_jpeg()
    for profile in ("exact", "paper"):
        with pytest.raises(OccultaError) as caught:
            mark(original, b"", profile)
        assert caught.value.reason is Reason.ODD_PADDING


@EXAMPLES
@given(st.binary(min_size=1, max_size=12))
def test_any_notes_parse_or_are_refused(notes: bytes) -> None:
    try:
        parsed = PaddingNotes.parse(notes)
    except OccultaError as error:
        assert error.reason is Reason.SEAL_BROKEN
        return
    assert all(0 <= parsed.value(at, 7) < 128 for at in parsed.exceptions)


@pytest.mark.parametrize(
    "notes", [b"\x01\x05", b"\x01\x80", b"\x01\x01\x02\x81", b"\0" + b"\xff" * 9]
)
def test_malformed_notes(notes: bytes) -> None:
    with pytest.raises(OccultaError) as caught:
        PaddingNotes.parse(notes)
    assert caught.value.reason is Reason.SEAL_BROKEN


RESTORED = b"\x00\x7f\xff\x00\xff\xd0\x3f\xff\x00\xff\x00\xff\xd9"


def test_patches() -> None:
    patches = [Patch(1, 0x0F), Patch(2, 0x01), Patch(6, 0x30), Patch(9, 0x80)]
    expected = b"\x00\x70\xfe\xff\xd0\x0f\xff\x00\x7f\xff\xd9"
    assert Patcher(patches).feed(RESTORED) == expected
    one_by_one = Patcher(patches)
    assert b"".join(map(one_by_one.feed, each_byte(RESTORED))) == expected


@EXAMPLES
@given(
    st.lists(st.sampled_from([b"\x00", b"\x55", b"\xff\x00", b"\xff\xd3"]), max_size=20),
    st.lists(st.integers(1, 255), min_size=20, max_size=20), st.lists(st.integers(0, 40)),
)
def test_patches_however_it_is_cut(
    parts: list[bytes], clears: list[int], cuts: list[int]
) -> None:
    patches, expected, offset = [], b"", 0
    for part, clear in zip(parts, clears, strict=False):
        if part == b"\xff\xd3":
            expected += part
        else:
            patches.append(Patch(offset, clear))
            expected += bytes([part[0] & ~clear])
        offset += len(part)
    data = b"".join(parts)
    patcher = Patcher(patches)
    assert b"".join(map(patcher.feed, pieces(data, cuts))) == expected
