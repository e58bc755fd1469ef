"""Marked files that were altered: not verified and nothing written, or intact and said so."""

from __future__ import annotations

import io
import random
import shutil
from pathlib import Path

import pytest

from occulta.codec import crypto
from occulta.schemes.reversible.hidden import ReplaySource, SealedSource
from tests import jpegs
from tests.cli import PROFILES, SECRET, Outcome, Place, assert_error, assert_some_error, scene
from tests.mutation import mutate
from tests.support import by_kernel, fixed_sealer, make_marker, mark, recover, run_marker

profiles = pytest.mark.parametrize("profile", PROFILES)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, scene(75))


def recover_bytes(place: Place, marked: bytes) -> Outcome:
    place.marked.write_bytes(marked)
    shutil.rmtree(place.folder, ignore_errors=True)
    return place.recover()


def assert_harmless(place: Place, marked: bytes) -> bool:
    """Not verified with nothing published, or the very same data and a word; true if intact."""
    found = recover_bytes(place, marked)
    if found.status == 0:
        place.assert_recovered()
        assert place.report()["altered"] is True
        assert b", marked file altered: " in found.out
        return True
    assert found.status in {3, 5}, found
    place.assert_report_only(assert_some_error(found))
    return False


def flipped(data: bytes, at: int, bit: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def other_choices(marked: bytes) -> list[bytes]:
    """One bit flipped near the end, and still the same pixels: other codes for the same symbols."""
    size, same = len(marked), jpegs.pixels(marked)
    last = (flipped(marked, at, bit) for at in range(size - 40, size - 2) for bit in range(8))
    return [changed for changed in last if viewed(changed) == same]


def viewed(data: bytes) -> bytes | None:
    """The pixels, if it can be decoded."""
    try:
        return jpegs.pixels(data)
    except (OSError, SyntaxError):
        return None


def test_idle_choices_flipped_in_exact(place: Place) -> None:
    assert place.protect().status == 0
    choices = other_choices(place.marked.read_bytes())
    assert choices
    intact = [assert_harmless(place, changed) for changed in choices]
    assert any(intact)


def test_an_altered_file_is_still_authentic(place: Place) -> None:
    assert place.protect("--sign", place.key("satellite.key")).status == 0
    for changed in other_choices(place.marked.read_bytes()):
        if assert_harmless(place, changed):
            break
    shutil.rmtree(place.folder)
    found = place.recover("--satellite", place.key("satellite.pub"), "--json")
    assert found.status == 0
    assert (found.json["intact"], found.json["authentic"]) == (True, True)
    assert found.json["altered"] is True
    assert found.json["verdict"].startswith("intact, authentic, marked file altered: ")


@profiles
def test_any_flipped_bit(profile: str, place: Place) -> None:
    assert place.protect("--profile", profile).status == 0
    marked = place.marked.read_bytes()
    rng = random.Random(5)
    for _ in range(by_kernel(150, 30)):
        assert_harmless(place, flipped(marked, rng.randrange(len(marked)), rng.randrange(8)))


@profiles
def test_coarser_damage(profile: str, place: Place) -> None:
    assert place.protect("--profile", profile).status == 0
    marked, rng = place.marked.read_bytes(), random.Random(6)
    for _ in range(by_kernel(100, 20)):
        changed = mutate(rng, marked, place.image.read_bytes())
        if changed != marked:
            assert_harmless(place, changed)


@profiles
def test_cut_at_every_marker_and_elsewhere(profile: str, place: Place) -> None:
    assert place.protect("--profile", profile).status == 0
    marked = place.marked.read_bytes()
    ends = {start for _, start, _ in jpegs.segments(marked)} | {1, len(marked) // 2}
    for end in sorted(ends):
        assert not assert_harmless(place, marked[:end])


@profiles
def test_bytes_appended(profile: str, place: Place) -> None:
    assert place.protect("--profile", profile).status == 0
    found = recover_bytes(place, place.marked.read_bytes() + b"more")
    assert_error(found, 502)
    place.assert_report_only(502)


def test_the_original_has_nothing_to_recover(place: Place) -> None:
    found = recover_bytes(place, place.image.read_bytes())
    assert_error(found, 327)
    place.assert_report_only(327)


class Header(SealedSource):
    """A sealed source whose header is changed on the way: a byte at an offset."""

    change = (3, 3)  # profile 1 becomes 2, and 2 becomes 1

    def next_frame(self) -> bytes | None:
        frame = super().next_frame()
        if frame is not None and frame.startswith(crypto.MAGIC):
            at, mask = self.change
            return frame[:at] + bytes([frame[at] ^ mask]) + frame[at + 1 :]
        return frame


def secret_source(kind: type[SealedSource], profile: str) -> SealedSource:
    return kind(fixed_sealer(profile, len(SECRET)), io.BytesIO(SECRET).read, len(SECRET))


def other_profile(profile: str) -> str:
    return PROFILES[1 - PROFILES.index(profile)]


@profiles
def test_the_stream_of_one_profile_carried_by_the_other(profile: str, place: Place) -> None:
    marker = make_marker(profile, secret_source(SealedSource, other_profile(profile)))
    found = recover_bytes(place, run_marker(marker, [place.image.read_bytes()]))
    assert found.status == 3
    place.assert_report_only(assert_some_error(found))


@profiles
def test_the_same_with_its_header_rewritten(profile: str, place: Place) -> None:
    marker = make_marker(profile, secret_source(Header, other_profile(profile)))
    found = recover_bytes(place, run_marker(marker, [place.image.read_bytes()]))
    assert_error(found, 500)
    place.assert_report_only(500)


class FutureHeader(Header):
    """The header of version 3 of the format."""

    change = (1, 2)


class OtherScheme(Header):
    change = (2, 3)


class OtherProduct(Header):
    change = (4, 1)


class OtherSize(Header):
    change = (15, 1)


@profiles
@pytest.mark.parametrize(
    ("kind", "number"), [(OtherScheme, 328), (OtherProduct, 500), (OtherSize, 500)]
)
def test_a_header_with_another_word(
    profile: str, kind: type[Header], number: int, place: Place
) -> None:
    marker = make_marker(profile, secret_source(kind, profile))
    found = recover_bytes(place, run_marker(marker, [place.image.read_bytes()]))
    assert_error(found, number)
    place.assert_report_only(number)


@profiles
def test_a_later_version_is_not_taken_for_an_unmarked_picture(profile: str, place: Place) -> None:
    marker = make_marker(profile, secret_source(FutureHeader, profile))
    found = recover_bytes(place, run_marker(marker, [place.image.read_bytes()]))
    assert_error(found, 328, "version")
    place.assert_report_only(328)


@profiles
def test_the_stream_of_another_picture(profile: str, place: Place) -> None:
    taken = recover(mark(scene(75, seed=4), SECRET, profile), profile)
    assert taken.restorer.recovered is not None
    source = ReplaySource(
        io.BytesIO(taken.record).read, len(taken.record),
        taken.restorer.recovered.opened.conclusion_frame, len(SECRET),
    )
    marker = make_marker(profile, source)
    found = recover_bytes(place, run_marker(marker, [place.image.read_bytes()]))
    assert_error(found, 502)
    place.assert_report_only(502)
