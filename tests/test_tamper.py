"""Altered marked files: nothing wrong is ever handed out as restored.

Proves for every single bit of a small marked file (on the plain kernel: for a part of them) that
flipping it ends in a numbered refusal, or in a restored file whose digest does not match, or in
the very same original and private data, and then marking again gives another file than the one
received, which is what "marked file altered" is concluded from. An unaltered file marks again to
itself, also past the look-ahead.
"""

from __future__ import annotations

import random
from collections import Counter
from functools import cache

import pytest

from occulta.errors import OccultaError
from occulta.limits import DEFAULT_LIMITS, Limits
from tests.encoder import Picture, random_blocks
from tests.jpegs import KINDS, PROGRESSIVE, SEQUENTIAL, sample
from tests.mutation import mutate
from tests.support import SMALL, by_kernel, mark, recover, runs_compiled

SECRET = b"tamper"
ALTERED = "intact, but altered"


@cache
def small_marked(profile: str) -> tuple[bytes, bytes]:
    """(original, marked), as small as can be: no tables declared, few coefficients."""
    if profile == "exact":
        blocks = random_blocks(1, 90, last=12, spread=4)
        original = Picture([blocks], 10, declare_tables=False, interval=37).to_jpeg()
    else:
        blocks = [[0] * 64 for _ in range(700)]
        original = Picture([blocks], 35, declare_tables=False, interval=333).to_jpeg()
    return original, mark(original, SECRET, profile)


def verdict(received: bytes, original: bytes, private: bytes, profile: str,
            limits: Limits = DEFAULT_LIMITS) -> str:
    """What becomes of an altered file; anything that must not be fails the test."""
    try:
        back = recover(received, profile, limits=limits)
    except OccultaError as error:
        return error.reason.name
    assert (back.original, back.private) == (original, private)
    try:
        assert back.remarked(limits) != received
    except OccultaError:
        return "cannot be the outcome of marking"
    return ALTERED


def flipped(data: bytes, bit: int) -> bytes:
    out = bytearray(data)
    out[bit >> 3] ^= 0x80 >> (bit & 7)
    return bytes(out)


@pytest.mark.parametrize("part", range(8))
@pytest.mark.parametrize("profile", ["exact", "paper"])
def test_every_flipped_bit(profile: str, part: int) -> None:
    original, marked = small_marked(profile)
    step = 8 if runs_compiled() else 8 * 9
    verdicts = Counter(
        verdict(flipped(marked, bit), original, SECRET, profile)
        for bit in range(part, 8 * len(marked), step)
    )
    assert len(verdicts) > 2
    assert not runs_compiled() or (verdicts["SEAL_BROKEN"] and verdicts["DIGEST_MISMATCH"])


def test_a_flipped_choice_is_intact_but_altered() -> None:
    """Behind the conclusion the choices among equal codes say nothing, and may be flipped."""
    original, marked = small_marked("exact")
    bits = range(8 * len(marked) - 400, 8 * len(marked) - 16)
    assert ALTERED in {verdict(flipped(marked, bit), original, SECRET, "exact") for bit in bits}


@pytest.mark.parametrize("kind", KINDS)
def test_mutations_of_a_marked_file(kind: str) -> None:
    original = sample(kind)
    marked = mark(original, SECRET)
    rng = random.Random(kind)
    for _ in range(by_kernel(40, 12)):
        received = mutate(rng, marked, original)
        if received != marked:
            verdict(received, original, SECRET, "exact")


@pytest.mark.parametrize("kind", ["ycc444", "restart_rows", "not_interleaved", "trailer"])
def test_mutations_of_a_streamed_file(kind: str) -> None:
    original = sample(kind, 7, 480, 400)
    for profile in ("exact", "paper"):
        marked = mark(original, SECRET, profile, limits=SMALL, declared=False)
        rng = random.Random(kind)
        for _ in range(by_kernel(12, 2)):
            received = mutate(rng, marked, original)
            if received != marked:
                verdict(received, original, SECRET, profile, SMALL)


@pytest.mark.parametrize("profile", ["exact", "paper"])
def test_nothing_may_be_added_or_taken_away(profile: str) -> None:
    original, marked = small_marked(profile)
    comment = b"\xff\xfe\x00\x02"
    scan = marked.index(b"\xff\xda")
    for received in (
        marked + b"\0", marked + marked, marked[:-1], marked[:-2] + b"\xff" + marked[-2:],
        marked[:2] + comment + marked[2:], marked[:scan] + comment + marked[scan:],
        marked[:2] + b"\xff" + marked[2:],
    ):
        assert verdict(received, original, SECRET, profile) != ALTERED


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_an_unaltered_file_marks_again_to_itself(kind: str, declared: bool) -> None:
    marked = mark(sample(kind), SECRET, declared=declared)
    assert recover(marked).remarked() == marked


@pytest.mark.parametrize("effort", [0, 1, 2])
@pytest.mark.parametrize("kind", sorted(set(SEQUENTIAL) - {"dnl", "odd_padding"}))
def test_an_unaltered_streamed_file_marks_again_to_itself(kind: str, effort: int) -> None:
    marked = mark(sample(kind, 7, 320, 240), SECRET, limits=SMALL, effort=effort)
    assert recover(marked, limits=SMALL).remarked(SMALL) == marked


@pytest.mark.parametrize("kind", sorted(set(SEQUENTIAL) - {"dnl", "odd_padding", "gray_q95"}))
def test_an_unaltered_streamed_file_of_paper_marks_again_to_itself(kind: str) -> None:
    limits = Limits(hold_back=16384, quantum=1024)
    marked = mark(sample(kind, 7, 640, 480), SECRET, "paper", limits=limits)
    assert recover(marked, "paper", limits=limits).remarked(limits) == marked


@pytest.mark.parametrize("kind", PROGRESSIVE)
def test_an_unaltered_streamed_progressive_file_marks_again_to_itself(kind: str) -> None:
    """The look-ahead reaches from the middle of the scans to the end."""
    limits = Limits(hold_back=16384, quantum=1024)
    marked = mark(sample(kind, 7, 320, 240), SECRET, limits=limits)
    assert recover(marked, limits=limits).remarked(limits) == marked
