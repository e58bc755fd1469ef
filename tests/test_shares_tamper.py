"""Tampering: all of it is noticed, none of it is restored as right, and what is whole survives.

Flips, cuts, insertions, swaps and splices at random places of random shares. Damaged cells lie in
the segments that were touched, and from the first row that was; everything else is as it was.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from occulta.codec.jpeg.cells import CellKeys, CellReader
from occulta.limits import DEFAULT_LIMITS
from occulta.schemes.shares.gather import Gatherer
from occulta.schemes.shares.regions import Regions
from occulta.schemes.shares.segments import MAC_SIZE, MARK_SIZE, Kind
from tests import jpegs
from tests.shares_support import (
    FORMS,
    Laid,
    cipher_index,
    flipped,
    frame,
    gather,
    layout,
    make,
    shares_of,
    split,
)
from tests.support import by_kernel

BODIES = [("seed", 1), ("stream", 0), ("stream", 1)]
"""Forms of two shares, and the share with a body that is tampered with."""
each_body = pytest.mark.parametrize(("form", "index"), BODIES)


def laid(form: str) -> list[Laid]:
    made, shares = shares_of(form)
    return layout(made, shares[cipher_index(form)])


def start_of(form: str, index: int, number: int) -> int:
    """Where a segment stands: the shares of a set differ in the size of their headers alone."""
    made, _ = shares_of(form)
    headers = [len(share.header) for share in made.shares]
    return laid(form)[number].start + headers[index] - headers[cipher_index(form)]


def with_share(form: str, index: int, data: bytes) -> list[bytes]:
    shares = list(shares_of(form)[1])
    shares[index] = data
    return shares


def cells_of(number: int) -> set[int]:
    """The cells of a segment of the frame."""
    reader = CellReader(DEFAULT_LIMITS, CellKeys(bytes(16)))
    reader.feed(frame())
    segment = laid("seed")[number].segment
    geometry = reader.geometry
    assert geometry is not None
    if segment.cut is None:
        return set()
    first = geometry.first_cell(segment.cut)
    return set(range(first, first + geometry.cells_in(segment.cut, segment.mcus)))


def without(numbers: Iterable[int]) -> bytes:
    """The frame without some of its segments."""
    parts = [each.segment for each in laid("seed") if each.segment.kind is not Kind.CONCLUSION]
    return b"".join(p.data for n, p in enumerate(parts) if n not in set(numbers))


def cell_numbers() -> list[int]:
    return [n for n, each in enumerate(laid("seed")) if each.segment.kind is Kind.CELLS]


# --- one place


@each_body
def test_a_flip_in_the_jpeg_bytes_is_located(form: str, index: int) -> None:
    number = cell_numbers()[2]
    size = len(laid(form)[number].segment.data)
    start = start_of(form, index, number) + MARK_SIZE + 25
    rng = random.Random(1)
    for _ in range(by_kernel(12, 1)):
        at = rng.randrange(size)
        data = flipped(shares_of(form)[1][index], start + at, 1 << rng.randrange(8))
        found, restored = gather(with_share(form, index, data))
        assert not found.is_intact
        assert restored == without([number])
        assert found.damage.altered == {index: {number}}
        assert found.damage.located == {number}
        assert found.damage.moved == {}
        assert found.damage.cells <= cells_of(number)
        assert first_row_touched(number, at) <= min(found.damage.cells, default=1 << 30)


def first_row_touched(number: int, at: int) -> int:
    """The first cell of the row that a byte of a segment belongs to, the byte before counted in."""
    reader = CellReader(DEFAULT_LIMITS, CellKeys(bytes(16)))
    rows = [s for s in reader.feed(frame()) + reader.finish() if s.cut is not None]
    segment = laid("seed")[number].segment
    mine = [s for s in rows if segment.cut.mcu <= s.cut.mcu < segment.cut.mcu + segment.mcus]
    assert b"".join(s.data for s in mine) == segment.data
    end = 0
    for row in mine:
        end += len(row.data)
        if at < end:
            return reader.geometry.first_cell(row.cut)
    raise AssertionError(at)


@each_body
@pytest.mark.parametrize("place", ["mark", "padding", "mac", "hashes", "check"])
def test_a_flip_beside_the_jpeg_bytes_loses_nothing(place: str, form: str, index: int) -> None:
    number = cell_numbers()[1]
    segment, size = laid(form)[number].segment, laid(form)[number].size
    assert segment.padding > 0
    body_end = size - MAC_SIZE
    at = {
        "mark": 3, "mac": body_end + 5, "padding": body_end - 1,
        "hashes": MARK_SIZE + 25 + len(segment.data) + 2,
        "check": MARK_SIZE + 25 + len(segment.data) + len(segment.hashes) + 9,
    }[place]
    data = flipped(shares_of(form)[1][index], start_of(form, index, number) + at)
    found, restored = gather(with_share(form, index, data))
    assert restored == frame()
    assert not found.is_intact
    assert found.damage.digest_matches
    assert found.damage.altered == {index: {number}}
    assert found.damage.restored == {number}
    assert found.damage.cells == set()


@each_body
def test_every_mark_altered_loses_nothing(form: str, index: int) -> None:
    data = shares_of(form)[1][index]
    for number in range(len(laid(form))):
        data = flipped(data, start_of(form, index, number) + number % 8)
    found, restored = gather(with_share(form, index, data))
    assert (restored, found.is_intact) == (frame(), False)
    assert found.damage.altered == {index: set(range(len(laid(form))))}
    assert found.damage.digest_matches


@each_body
@pytest.mark.parametrize("at", range(MARK_SIZE, MARK_SIZE + 25, by_kernel(3, 6)))
def test_a_flip_in_the_head_of_a_segment_loses_no_other(
    at: int, form: str, index: int
) -> None:
    number = cell_numbers()[1]
    for mask in (1, 128):
        data = flipped(
            shares_of(form)[1][index], start_of(form, index, number) + at, mask
        )
        found, restored = gather(with_share(form, index, data))
        assert restored == without([number])
        assert found.damage.altered == {index: {number}}
        assert found.damage.cells == cells_of(number)


@each_body
def test_a_segment_cut_out(form: str, index: int) -> None:
    number = cell_numbers()[1]
    start, size = start_of(form, index, number), laid(form)[number].size
    whole = shares_of(form)[1][index]
    found, restored = gather(with_share(form, index, whole[:start] + whole[start + size :]))
    assert restored == without([number])
    assert found.damage.missing == {number}
    assert found.damage.cells == cells_of(number)
    assert not found.damage.head_lost


@each_body
def test_two_segments_swapped_are_restored(form: str, index: int) -> None:
    a, b = cell_numbers()[0], cell_numbers()[2]
    whole = shares_of(form)[1][index]
    starts = [start_of(form, index, n) for n in range(len(laid(form)))]
    parts = [whole[x:y] for x, y in zip(starts, [*starts[1:], len(whole)], strict=True)]
    parts[a], parts[b] = parts[b], parts[a]
    found, restored = gather(with_share(form, index, whole[: starts[0]] + b"".join(parts)))
    assert restored == frame()
    assert not found.is_intact
    assert found.damage.moved[index] & {a, b}
    assert found.damage.altered == {}


@each_body
@pytest.mark.parametrize("junk", [1, 7, 1000, 1024, 40_000])
@pytest.mark.parametrize("where", ["first", "between", "last"])
def test_bytes_put_between_segments_lose_nothing(
    where: str, junk: int, form: str, index: int
) -> None:
    whole = shares_of(form)[1][index]
    at = {"first": start_of(form, index, 0), "between": start_of(form, index, 2),
          "last": len(whole)}[where]
    found, restored = gather(with_share(form, index, whole[:at] + bytes(junk) + whole[at:]))
    assert restored == frame()
    assert not found.is_intact
    assert set(found.damage.moved) == {index}
    assert found.damage.altered == {}


@each_body
def test_a_segment_there_twice_is_noticed(form: str, index: int) -> None:
    number = cell_numbers()[1]
    start, size = start_of(form, index, number), laid(form)[number].size
    whole = shares_of(form)[1][index]
    for at in (start, len(whole), start_of(form, index, 1)):
        doubled = whole[:at] + whole[start : start + size] + whole[at:]
        found, restored = gather(with_share(form, index, doubled))
        assert (restored, found.is_intact) == (frame(), False)
        assert number in found.damage.moved[index]


@each_body
def test_a_segment_hidden_inside_another_is_found(form: str, index: int) -> None:
    """One moved into the place of its neighbour, at an odd offset that a later cut makes good."""
    a, b = cell_numbers()[0], cell_numbers()[2]
    whole = shares_of(form)[1][index]
    start, size = start_of(form, index, b), laid(form)[b].size
    moved = whole[start : start + size]
    rest = whole[:start] + whole[start + size :]
    at = start_of(form, index, a) + 1001
    filler = bytes(-size % 1024 + 23)
    cut = rest[:at] + moved + filler + rest[at:]
    found, restored = gather(with_share(form, index, cut))
    assert restored == without([a])
    assert b in found.damage.moved[index]


@each_body
def test_the_headers_of_the_picture_lost(form: str, index: int) -> None:
    whole = shares_of(form)[1][index]
    start, following = start_of(form, index, 0), start_of(form, index, 1)
    found, restored = gather(with_share(form, index, whole[:start] + whole[following:]))
    assert found.damage.missing == {0}
    assert found.damage.head_lost
    assert found.grid is None
    assert restored == without([0])
    assert list(found.rows()) == []


@each_body
def test_every_truncation_keeps_what_is_before_it(form: str, index: int) -> None:
    whole = shares_of(form)[1][index]
    starts = [start_of(form, index, n) for n in range(len(laid(form)))]
    for end in [starts[0], starts[1], starts[3] + 500, starts[-1], len(whole) - 1]:
        found, restored = gather(with_share(form, index, whole[:end]))
        kept = sum(start <= end for start in starts[1:]) + (end > starts[-1])
        assert not found.is_intact
        assert restored == without(range(kept, len(starts)))
        if end < starts[-1]:
            assert found.damage.end_lost
            assert found.damage.digest_matches is None


def test_bytes_behind_a_sealed_key_are_noticed() -> None:
    a, b = shares_of("seed")[1]
    found, restored = gather([a + b"x", b])
    assert (restored, found.is_intact) == (frame(), False)
    assert found.damage.altered_shares == ["share a"]


# --- anything at all


def tampered(data: bytes, start: int, rng: random.Random) -> bytes:
    """A body with one of five things done to it."""
    a = rng.randrange(start, len(data))
    b = min(len(data), a + rng.randrange(1, 5000))
    match rng.randrange(5):
        case 0:
            return flipped(data, a, 1 << rng.randrange(8))
        case 1:
            return data[:a] + data[b:]
        case 2:
            return data[:a] + rng.randbytes(b - a) + data[a:]
        case 3:
            at = rng.randrange(start, len(data))
            return data[:a] + data[at : at + b - a] + data[b:]
        case _:
            c = rng.randrange(start, len(data))
            return data[:c] + data[a:b] + data[c:]


@pytest.mark.parametrize("form", FORMS)
def test_random_tampering(form: str) -> None:
    made, shares = shares_of(form)
    rng = random.Random(form)
    for _ in range(by_kernel(40, 3)):
        index = rng.choice([n for n, share in enumerate(made.shares)
                            if len(shares[n]) > len(share.header)])
        data = tampered(shares[index], len(made.shares[index].header), rng)
        if data == shares[index]:
            continue
        found, restored = gather(with_share(form, index, data))
        damage = found.damage
        assert set(damage.altered) | set(damage.moved) == {index}
        if form == "threshold":
            assert found.is_intact
            assert restored == frame()
            continue
        assert not found.is_intact
        lost = damage.missing | damage.coarse | damage.located
        tail = range(found.segments, len(laid(form))) if damage.end_lost else ()
        assert restored == without({*lost, *tail})
        assert lost <= damage.altered.get(index, set())
        assert damage.cells <= set().union(*map(cells_of, {*lost, *tail}))
        assert damage.digest_matches in (None, not lost)


@pytest.mark.parametrize("form", ["seed", "threshold"])
def test_all_of_it_is_there_in_rows(form: str) -> None:
    number = cell_numbers()[1]
    _, shares = shares_of(form)
    spoilt = [flipped(data, start_of(form, n, number) + 20_000) if len(data) > 2000 else data
              for n, data in enumerate(shares)]
    found, _ = gather(spoilt)
    rows = list(found.rows())
    assert found.damage.located == {number}
    assert [row.cut.mcu for row in rows][0] == 0
    at = 0
    for row in rows:
        assert row.cut.mcu == at
        at += row.mcus
    assert sum(row.mcus for row in rows if row.data is None) > 0
    assert {cell for row in rows for cell in row.damaged} == found.damage.cells
    assert all((row.data is None) == bool(row.damaged) for row in rows)


# --- k of n


def test_segments_come_from_whichever_share_holds_them() -> None:
    """Every share damaged, each in another segment: together they are whole."""
    _, shares = shares_of("threshold")
    spoilt = [
        flipped(data, start_of("threshold", n, cell_numbers()[n]) + 5000)
        for n, data in enumerate(shares)
    ]
    found, restored = gather(spoilt)
    assert (restored, found.is_intact) == (frame(), True)
    assert found.damage.altered == {n: {cell_numbers()[n]} for n in range(3)}
    assert found.damage.altered_shares == ["share a", "share b", "share c"]


def test_the_same_segment_damaged_in_every_share() -> None:
    _, shares = shares_of("threshold")
    number = cell_numbers()[1]
    spoilt = [flipped(data, start_of("threshold", n, number) + 5000 * (n + 1))
              for n, data in enumerate(shares)]
    found, restored = gather(spoilt)
    assert restored == without([number])
    assert not found.is_intact
    assert found.damage.located == {number}


def test_a_share_that_is_cut_off_is_made_good_by_another() -> None:
    _, shares = shares_of("threshold")
    found, restored = gather([shares[0][:50_000], shares[2]])
    assert (restored, found.is_intact) == (frame(), True)
    assert found.damage.altered_shares == ["share a"]


# --- regions of interest, other kinds of files


def test_only_regions_of_interest_are_located() -> None:
    made = make(regions=Regions(((64, 40, 30, 60), (400, 200, 100, 20))))
    shares = split(frame(), made)
    assert sum(map(len, shares)) < sum(map(len, shares_of("seed")[1]))
    assert gather(shares)[1] == frame()
    hashes = sum(len(each.segment.hashes) for each in layout(made, shares[1]))
    assert hashes == 4 * (2 * 5 + 3 * 2)
    number = cell_numbers()[0]
    place = layout(made, shares[1])[number]
    found, _ = gather([shares[0], flipped(shares[1], place.data_start + 100)])
    assert found.damage.located == {number}
    assert found.damage.cells <= cells_of(number)
    assert all(row.data is None or row.cut.mcu != place.segment.cut.mcu for row in found.rows())


def test_a_progressive_file_is_located_to_the_segment() -> None:
    picture = jpegs.encode(3, 320, 240, quality=95, progressive=True)
    made = make()
    a, b = split(picture, made)
    places = layout(made, b)
    assert len(places) >= 3
    found, restored = gather([a, flipped(b, places[1].start + 300)])
    assert found.damage.coarse == {1}
    assert restored == picture[: 32 << 10] + picture[64 << 10 :]
    assert found.grid is None


def test_gathering_again_says_the_same() -> None:
    form, number = "seed", cell_numbers()[1]
    _, shares = shares_of(form)
    data = flipped(shares[1], start_of(form, 1, number) + 900)
    found: Gatherer = gather(with_share(form, 1, data))[0]
    before = (dict(found.damage.altered), set(found.damage.cells), set(found.damage.located))
    assert list(found.rows()) == list(found.rows())
    assert before == (found.damage.altered, found.damage.cells, found.damage.located)
