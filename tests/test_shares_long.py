"""Shares that a holder made as long as it liked, or filled with its own marks.

Such a share costs what the honest ones hold, not what it claims; nothing that stands in the others
is lost by it, and neither can one that is too short hide what they hold.
"""

from __future__ import annotations

import random

import pytest

from occulta.schemes.shares import finding, locate
from occulta.schemes.shares import split as splitting
from occulta.schemes.shares.gather import Gatherer
from occulta.schemes.shares.locate import MOST_COPIES, Place, search
from occulta.schemes.shares.segments import GRAIN, MARK_SIZE, TARGET, SetKeys
from occulta.schemes.shares.split import Splitter
from tests.shares_support import (
    SET_ID,
    Laid,
    Memory,
    Shares,
    flipped,
    layout,
    make,
    sources,
)
from tests.support import KEY, SATELLITE

HUGE = 100 << 30
MARKS = {SetKeys(bytes(32), SET_ID).mark(0, number): number for number in range(12)}


class Sparse(Memory):
    """A share with a hole of 100 GiB behind it; counts the bytes read."""

    total = 0

    @property
    def size(self) -> int:
        return len(self.data) + HUGE

    def read(self, at: int, size: int) -> bytes:
        found = super().read(at, max(0, min(size, self.size - at)))
        self.total += size
        return found.ljust(size, b"\0")


def in_bytes(size: int, form: str) -> tuple[bytes, Shares, list[Laid]]:
    """Random bytes, their shares, and the segments of the last one."""
    data, made = random.Random(5).randbytes(size), make(form)
    splitter = Splitter(made, SATELLITE, cells=False)
    parts = zip(splitter.feed(data), splitter.finish(), strict=True)
    shares = tuple(first + last for first, last in parts)
    return data, shares, layout(made, shares[-1])


def restored(given: list[Memory]) -> tuple[Gatherer, bytes]:
    found = Gatherer(given, KEY)
    return found, b"".join(found.restore())


# --- sparse


@pytest.mark.parametrize("spoilt", [(), (0,), (0, 1)])
def test_a_sparse_share_of_three(spoilt: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where others were altered, and where none is whole: then what was found counts."""
    if len(spoilt) == 2:
        monkeypatch.setattr(locate, "LEAST_READ", 1 << 20)
    monkeypatch.setattr(finding, "_MOST_NUMBERS", 1000)
    data, (a, b, c), laid = in_bytes(8 * TARGET, "threshold")
    a = flipped(a, laid[1].start + 99) if 0 in spoilt else a
    b = flipped(b, laid[3].start + 99) if 1 in spoilt else b
    c = flipped(c, laid[5].start + 99) if len(spoilt) == 2 else c
    sparse = Sparse(c)
    found, bytes_restored = restored([*sources([a, b]), sparse])
    assert (bytes_restored, found.is_intact) == (data, True)
    assert set(found.damage.altered) == ({0, 1, 2} if len(spoilt) == 2 else set(spoilt))
    assert found.damage.moved == {2: {len(laid) - 1}}
    assert sparse.total < 10 << 20


@pytest.mark.parametrize(("form", "index"), [("seed", 1), ("stream", 0), ("stream", 1)])
def test_a_sparse_share_of_two(
    form: str, index: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locate, "LEAST_READ", 1 << 20)
    monkeypatch.setattr(finding, "_MOST_NUMBERS", 1000)
    made = []
    mark = SetKeys.mark
    monkeypatch.setattr(SetKeys, "mark", lambda *given: made.append(given) or mark(*given))
    data, shares, laid = in_bytes(8 * TARGET, form)
    made.clear()
    given = sources(shares)
    given[index] = sparse = Sparse(shares[index])
    found, bytes_restored = restored(given)
    assert bytes_restored == data
    assert found.damage.digest_matches
    assert not found.is_intact
    assert found.damage.moved == {index: {len(laid) - 1}}
    assert sparse.total < 12 << 20
    assert len(made) < 2 * 1100


def test_a_sparse_share_without_any_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locate, "LEAST_READ", 1 << 20)
    monkeypatch.setattr(finding, "LEAST_READ", 1 << 20)
    monkeypatch.setattr(finding, "_MOST_NUMBERS", 1000)
    _, (a, b), laid = in_bytes(TARGET, "seed")
    sparse = Sparse(b[: laid[0].start])
    found, bytes_restored = restored([Memory(a), sparse])
    assert (bytes_restored, found.damage.end_lost) == (b"", True)
    assert sparse.total < 20 << 20


# --- how far is looked


@pytest.mark.parametrize("size", [TARGET, 400_000])
def test_what_is_found_lets_go_on(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long segments count whole where they verify; four times as much may stand between them."""
    monkeypatch.setattr(splitting, "TARGET", size)
    monkeypatch.setattr(locate, "LEAST_READ", size + 50_000)
    data, (a, b), laid = in_bytes(12 * size, "seed")
    assert restored(sources([a, b]))[0].is_intact
    last = laid[-1].start
    far = b[:last] + bytes(30 * size) + b[last:]
    assert restored(sources([a, far]))[1] == data
    too_far = b[: laid[4].start] + bytes(50 * size) + b[laid[4].start :]
    found, bytes_restored = restored(sources([a, too_far]))
    assert bytes_restored == data[: 4 * size]
    assert found.damage.end_lost


def shrunk(segment: bytes) -> bytes:
    """A segment whose head, altered under its cipher, tells 1 KiB."""
    told = bytearray(segment[:GRAIN])
    for at, byte in enumerate((TARGET ^ 100).to_bytes(3, "big"), MARK_SIZE + 2):
        told[at] ^= byte
    return bytes(told)


def test_a_short_share_hides_nothing_of_a_long_one() -> None:
    """Its end verifies, all marks stand in it: only a share that verifies whole tells a size."""
    data, (a, b, c), laid = in_bytes(80 * TARGET, "threshold")
    start, end = laid[0].start, laid[-1].start
    marks = b"".join(c[each.start :][:MARK_SIZE] + bytes(56) for each in laid[:-1])
    heads = b"".join(shrunk(c[each.start :]) for each in laid[:-1])
    spoilt = flipped(a, laid[7].start + 500), flipped(b, laid[70].start + 500)
    for short in (b"", marks, heads):
        found, bytes_restored = restored(sources([*spoilt, c[:start] + short + c[end:]]))
        assert (bytes_restored, found.is_intact) == (data, True)
        assert set(found.damage.altered) == {0, 1, 2}


# --- floods of marks


@pytest.mark.parametrize("apart", [MARK_SIZE, 64, GRAIN])
def test_a_flood_of_marks_gives_few_places(apart: int) -> None:
    flood = b"".join(mark.ljust(apart, b"x") for mark in MARKS) * (600_000 // apart)
    data = flood[:600_000]
    places = locate.locate(Memory(data), 0, MARKS)
    assert [place.number for place in places] == [*range(12)] * MOST_COPIES
    assert places[-1].end == len(data)
    some = search(Memory(data), 0, [Place(20, 0, len(data))], MARKS | {bytes(8): 99})
    assert len(list(some)) <= len(MARKS)


def test_searching_gives_each_place_once() -> None:
    marks = MARKS | {SetKeys(bytes(32), SET_ID).mark(1, number): 20 + number for number in range(8)}
    data = bytes(100) + b"".join(marks) * 2000
    found = list(search(Memory(data), 0, [Place(40, 0, len(data))], marks))
    assert [place.number for place in found] == [*range(12), *range(20, 28)]


def test_a_flood_in_a_share_does_no_harm() -> None:
    data, (a, b, c), laid = in_bytes(10 * TARGET, "threshold")
    marks = b"".join(c[each.start :][:MARK_SIZE] for each in laid)
    flood = c[: laid[0].start] + (marks * 10_000)[:400_000]
    found, bytes_restored = restored(sources([a, b, flood]))
    assert (bytes_restored, found.is_intact) == (data, True)
    assert set(found.damage.altered) == {2}
