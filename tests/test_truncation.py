"""Files that end early, and files that are none.

Proves that a file of any kind, cut at any marker or anywhere else, is refused with a numbered
reason or comes back exactly (a file cut behind its last block is whole enough), that a marked file
cut short is never taken for a whole one, and that empty input, other formats and noise are refused.
"""

from __future__ import annotations

import random

import pytest

from occulta.codec.jpeg.engine import NO_LIMIT
from occulta.codec.jpeg.survey import Survey
from occulta.errors import OccultaError, Reason
from occulta.limits import DEFAULT_LIMITS
from occulta.schemes.reversible.sniff import ProfileSniffer
from tests.jpegs import KINDS, sample
from tests.mutation import marker_places
from tests.support import (
    PROFILES,
    SMALL,
    by_kernel,
    each_byte,
    mark,
    private_bytes,
    recover,
    refusal,
)

NOT_JPEG = {
    "png": b"\x89PNG\r\n\x1a\n" + bytes(100), "text": b"not a picture\n", "one byte": b"\xff",
    "zeros": bytes(5000), "tiff": b"II*\0" + bytes(64), "marker only": b"\xff\xe0\x00\x10JFIF",
}


def places(data: bytes, seed: str, anywhere: int) -> list[int]:
    """At each marker, in its middle and behind it, and anywhere."""
    rng = random.Random(seed)
    found = {at + step for at in marker_places(data)[:24] for step in (0, 1, 2, 3)}
    found |= {rng.randrange(1, len(data)) for _ in range(anywhere)}
    found |= {len(data) - 1, len(data) - 2, len(data) - 3}
    return sorted(at for at in found if 0 < at < len(data))


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("kind", KINDS)
def test_truncated_original(kind: str, profile: str) -> None:
    original = sample(kind, 7, 96, 48)
    for at in places(original, kind, by_kernel(16, 6)):
        refusal(original[:at], profile, b"")


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_survey(kind: str) -> None:
    original = sample(kind, 7, 96, 48)
    for at in places(original, kind + "s", by_kernel(16, 6)):
        survey = Survey(DEFAULT_LIMITS)
        try:
            survey.buffer.append(original[:at])
            survey.buffer.close()
            survey.advance(NO_LIMIT)
        except OccultaError:
            continue
        assert survey.buffer.base <= at


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_marked_file(kind: str) -> None:
    marked = mark(sample(kind), b"secret")
    for at in places(marked, kind, by_kernel(16, 6)):
        with pytest.raises(OccultaError):
            recover(marked[:at])


@pytest.mark.parametrize("kind", ["ycc444", "restart_rows"])
@pytest.mark.parametrize("profile", PROFILES)
def test_truncated_streamed_file(kind: str, profile: str) -> None:
    original = sample(kind, 7, 480, 400)
    marked = mark(original, b"secret", profile, limits=SMALL)
    for at in places(marked, kind, by_kernel(12, 4)):
        with pytest.raises(OccultaError):
            recover(marked[:at], profile, limits=SMALL)


@pytest.mark.parametrize("profile", PROFILES)
def test_cut_within_the_image_data_says_truncated(profile: str) -> None:
    original = sample("gray")
    with pytest.raises(OccultaError) as caught:
        mark(original[: len(original) // 2], b"", profile)
    assert caught.value.reason is Reason.TRUNCATED
    with pytest.raises(OccultaError) as caught:
        mark(original[:100], b"", profile)
    assert caught.value.reason is Reason.TRUNCATED


def reasons_of(data: bytes, profile: str) -> set[Reason]:
    """Why both marking and recovery refuse, fed whole and byte by byte."""
    found = set()
    for chunks in ([data], list(each_byte(data))):
        with pytest.raises(OccultaError) as caught:
            mark(data, b"", profile, chunks=chunks)
        found.add(caught.value.reason)
        with pytest.raises(OccultaError) as caught:
            recover(data, profile, chunks=chunks)
        found.add(caught.value.reason)
    return found


@pytest.mark.parametrize("profile", PROFILES)
def test_empty_input(profile: str) -> None:
    assert reasons_of(b"", profile) == {Reason.EMPTY_INPUT}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", sorted(set(NOT_JPEG) - {"one byte"}))
def test_other_formats(name: str, profile: str) -> None:
    assert reasons_of(NOT_JPEG[name], profile) == {Reason.NOT_JPEG}


@pytest.mark.parametrize("profile", PROFILES)
def test_less_than_a_header(profile: str) -> None:
    assert reasons_of(b"\xff", profile) <= {Reason.NOT_JPEG, Reason.TRUNCATED}
    assert reasons_of(b"\xff\xd8", profile) <= {Reason.TRUNCATED, Reason.NO_SCAN}
    assert reasons_of(b"\xff\xd8\xff\xd9", profile) <= {Reason.TRUNCATED, Reason.NO_SCAN}


@pytest.mark.parametrize("profile", PROFILES)
def test_random_bytes(profile: str) -> None:
    for seed in range(by_kernel(60, 30)):
        noise = private_bytes(1 + seed * 17, seed)
        assert reasons_of(noise, profile) <= {Reason.NOT_JPEG}
        found = reasons_of(b"\xff\xd8" + noise, profile)
        assert found and all(reason.value // 100 == 3 for reason in found)


def test_the_sniffer_refuses_the_same() -> None:
    for data, reason in ((b"", Reason.EMPTY_INPUT), (b"text", Reason.NOT_JPEG)):
        sniffer = ProfileSniffer()
        with pytest.raises(OccultaError) as caught:
            sniffer.feed(data)
            sniffer.finish()
        assert caught.value.reason is reason


@pytest.mark.parametrize("limits", [DEFAULT_LIMITS, SMALL], ids=["default", "small"])
def test_the_sniffer_tells_the_profiles(limits: object) -> None:
    original = sample("ycc444", 7, 480, 400)
    for profile, number in PROFILES.items():
        marked = mark(original, b"", profile)
        for chunks in ([marked], list(each_byte(marked))):
            sniffer = ProfileSniffer(limits)  # type: ignore[arg-type]
            for chunk in chunks:
                sniffer.feed(chunk)
            assert sniffer.finish() == number
