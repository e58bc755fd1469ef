"""Robust hiding by its commands: what fits, and what is refused before anything is marked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from occulta.schemes.robust import message
from occulta.schemes.robust.profiles import PROFILES
from tests import jpegs
from tests.cli import Place, assert_error, call, run

SECRET = b"48.20N 16.37E"
ROBUST = ("--scheme", "robust")
LIGHT = 272
"""1156 gross bits of the profile light: room for a signature."""


def scene(side: int, **options: Any) -> bytes:
    return jpegs.encode(3, side, side, **{"quality": 90, **options})


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """With a picture for the profile light."""
    return Place(tmp_path, scene(LIGHT), SECRET)


# --- what fits


def capacity(place: Place, profile: str) -> Any:
    done = call("onboard", "capacity", place.image, *ROBUST, "--profile", profile, "--json")
    assert (done.status, done.err) == (0, "")
    return done.json


def test_capacity_of_512_pixels(tmp_path: Path) -> None:
    place = Place(tmp_path, scene(512), b"")
    assert capacity(place, "max") == {
        "scheme": "robust", "profile": "max", "gross_bits": 1024, "message_bits": 1024,
        "private_bytes": 9, "private_bytes_unsigned": 73, "fits": True, "fits_unsigned": True,
    }
    assert capacity(place, "default")["private_bytes_unsigned"] == 2048 // 8 - 55
    assert capacity(place, "light")["gross_bits"] == 4096
    done = call("onboard", "capacity", place.image, *ROBUST)
    assert done.out == b"201 private bytes fit unsigned, 137 signed: 2048 gross bits " \
        b"(profile default)\n"


@pytest.mark.parametrize(("side", "profile", "said"), [
    (208, "light", "25 private bytes fit unsigned, nothing signed: 676 gross bits (profile light)"),
    (208, "max",
     "nothing fits: 169 gross bits (profile max); the picture is too small for the profile max: it "
     "has 676 whole blocks of 8x8 pixels, and the smallest message takes 2560 (408x408 pixels)"),
])
def test_capacity_of_small_pictures(tmp_path: Path, side: int, profile: str, said: str) -> None:
    place = Place(tmp_path, scene(side), b"")
    done = call("onboard", "capacity", place.image, *ROBUST, "--profile", profile)
    assert done.out.decode() == said + "\n"


LEAST = {
    "light": (640, 960), "default": (1280, 1920), "max": (2560, 3840), "strong": (2560, 3840),
    "paper": (1288, 1928),
}
"""Blocks of the smallest pictures that carry a message, unsigned and signed."""


@pytest.mark.parametrize("is_signed", [False, True])
@pytest.mark.parametrize("profile", LEAST)
def test_a_picture_that_is_too_small_is_told_how_large_the_smallest_is(
    tmp_path: Path, profile: str, is_signed: bool
) -> None:
    place = Place(tmp_path, scene(208), b"")
    least, kind = LEAST[profile][is_signed], "smallest signed message" if is_signed else "message"
    extra = ("--sign", place.key("satellite.key")) if is_signed else ()
    if (profile, is_signed) != ("light", False):
        done = place.protect(*ROBUST, "--profile", profile, *extra)
        assert_error(done, 400, f"too small for the profile {profile}: it has 676 whole blocks")
        assert f"{kind} takes {least} (" in done.err
        place.assert_nothing_marked()
    place.image.write_bytes(bytes_of_size(8 * least, 8))
    assert capacity(place, profile)["fits" if is_signed else "fits_unsigned"]
    place.image.write_bytes(bytes_of_size(8 * (least - 1), 8))
    assert not capacity(place, profile)["fits" if is_signed else "fits_unsigned"]


def bytes_of_size(width: int, height: int) -> bytes:
    """The headers of a picture of this size, and nothing behind them."""
    data = jpegs.encode(3, 16, 16, "L")
    at, (_, end) = jpegs.find(data, 0xC0)[0], jpegs.find(data, 0xDA)
    size = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return data[: at + 5] + size + data[at + 9 : end]


def test_the_smallest_picture_is_given_in_pixels_too(tmp_path: Path) -> None:
    place = Place(tmp_path, jpegs.encode(3, 120, 90), SECRET)
    assert_error(
        place.protect(*ROBUST), 400,
        "it has 165 whole blocks of 8x8 pixels, and the smallest message takes 1280 "
        "(288x288 pixels)",
    )


@pytest.mark.parametrize(("side", "profile", "size", "is_signed", "hint"), [
    (208, "light", 25, True, "leave --sign out (unsigned it fits), or take a larger picture"),
    (208, "light", 26, True, "take a larger picture"),
    (208, "default", 25, False, "take --profile light, or take a larger picture"),
    (208, "light", 26, False, "choose a smaller private file, or take a larger picture"),
    (304, "max", 1, False, "take --profile light or default, or take a larger picture"),
    (LIGHT, "light", 89, True,
     "choose a smaller private file, or leave --sign out (unsigned it fits), or take a larger "
     "picture"),
])
def test_what_would_fit(
    tmp_path: Path, side: int, profile: str, size: int, is_signed: bool, hint: str
) -> None:
    place = Place(tmp_path, scene(side), bytes(size))
    extra = ("--sign", place.key("satellite.key")) if is_signed else ()
    done = place.protect(*ROBUST, "--profile", profile, *extra)
    assert_error(done, 400)
    assert done.err.splitlines()[1] == f"hint: {hint}"


def test_what_would_fit_is_said_of_a_pipe_too(tmp_path: Path) -> None:
    place = Place(tmp_path, scene(208), SECRET)
    done = run(
        "onboard", *place.to_protect(*ROBUST, image="-"), input=place.image.read_bytes()
    )
    assert_error(done, 400, "it has 676 whole blocks")


@pytest.mark.parametrize("is_signed", [False, True])
def test_as_many_bytes_as_capacity_says(place: Place, is_signed: bool) -> None:
    fits = capacity(place, "light")["private_bytes" if is_signed else "private_bytes_unsigned"]
    extra = ("--sign", place.key("satellite.key")) if is_signed else ()
    place.private.write_bytes(bytes(fits + 1))
    done = place.protect(*ROBUST, "--profile", "light", *extra)
    assert_error(done, 400, f"the private data does not fit: this picture carries {fits} bytes")
    place.assert_nothing_marked()
    place.private.write_bytes(bytes(fits))
    assert place.protect(*ROBUST, "--profile", "light", *extra).status == 0


def test_a_file_larger_than_any_picture_carries(place: Place) -> None:
    place.private.write_bytes(bytes(message.MOST_BITS))
    assert_error(place.protect(*ROBUST, "--profile", "light"), 400, "this picture carries 89 bytes")
    place.assert_nothing_marked()
    done = run("onboard", *place.to_protect(*ROBUST, output="-"))
    assert_error(done, 400)


def test_the_largest_message_is_bounded() -> None:
    assert message.most_bits(PROFILES["light"], 65_535, 65_535) == message.MOST_BITS
    assert message.gross_bits(PROFILES["light"], 65_535, 65_535) == message.MOST_BITS


# --- refusals


def test_two_recipients(place: Place) -> None:
    done = place.protect(*ROBUST, "--to", place.key("other.pub"))
    assert_error(done, 200, "robust hiding is for one recipient")
    place.assert_nothing_marked()


WRONG_USE = {
    "regions": (["--roi", "0,0,8,8"], {}, "--roi is for the scheme shares"),
    "holders": (["--holders", "2/3"], {}, "--holders is for the scheme shares"),
    "a key stream": (["--key-stream"], {}, "--key-stream is for the scheme shares"),
    "two pipes in": ([], {"image": "-", "private": "-"}, "cannot both be standard input"),
    "two texts out": (["--json"], {"output": "-"}, "cannot both be standard output"),
}


@pytest.mark.parametrize("scheme", ["robust", "reversible"])
@pytest.mark.parametrize("wrong", WRONG_USE)
def test_wrong_use_of_protect(place: Place, wrong: str, scheme: str) -> None:
    extra, other, saying = WRONG_USE[wrong]
    done = place.protect("--scheme", scheme, *extra, **other)
    assert (done.status, done.err.splitlines()[0][:9]) == (2, "error 200")
    assert saying in done.err
    assert "--private" not in done.err
    place.assert_nothing_marked()


@pytest.mark.parametrize("scheme", ["robust", "reversible"])
def test_hiding_needs_a_private_file(place: Place, scheme: str) -> None:
    to = ("--to", place.key("recipient.pub"), "-o", place.marked)
    done = call("onboard", "protect", place.image, "--scheme", scheme, *to)
    assert_error(done, 200, f"the scheme {scheme} needs --private FILE")
    assert "shares" not in done.err


def test_profiles_of_other_schemes(place: Place) -> None:
    assert_error(place.protect(*ROBUST, "--profile", "exact"), 200, "robust has no profile exact")
    assert_error(place.protect("--profile", "max"), 200, "reversible has no profile max")
    assert_error(
        call("onboard", "capacity", place.image, "--profile", "light"), 200, "no profile light"
    )


OTHER_FORMATS = ["png", "tif", "tiff", "webp", "pgm", "bmp", "gif", "jp2", "avif", "PNG"]


@pytest.mark.parametrize("scheme", ["robust", "reversible"])
@pytest.mark.parametrize("suffix", OTHER_FORMATS)
def test_a_name_that_promises_another_format(place: Place, suffix: str, scheme: str) -> None:
    output = place.work / f"out.{suffix}"
    done = place.protect("--scheme", scheme, output=output, image=place.root / "none")
    assert_error(done, 200, f"out.{suffix}: the marked picture is a JPEG file")
    place.assert_nothing_marked()


@pytest.mark.parametrize("name", ["out", "OUT.JPG", "out.png.bin", ".png"])
def test_other_names_are_the_users_own(place: Place, name: str) -> None:
    output = place.work / name
    assert place.protect(*ROBUST, "--profile", "light", output=output).status == 0
    assert output.read_bytes()[:2] == b"\xff\xd8"


PICTURES = {
    "empty": (b"", 300),
    "no JPEG": (b"GIF89a", 301),
    "progressive": (scene(LIGHT, progressive=True), 315),
    "cut": (scene(LIGHT)[:9000], 302),
    "cut in its headers": (scene(LIGHT)[:300], 302),
    "RGB": (scene(LIGHT, keep_rgb=True), 346),
    "CMYK": (scene(LIGHT, mode="CMYK"), 346),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_pictures_that_cannot_be_marked(kind: str, tmp_path: Path) -> None:
    data, number = PICTURES[kind]
    place = Place(tmp_path, data, SECRET)
    assert_error(place.protect(*ROBUST, "--profile", "light"), number)
    place.assert_nothing_marked()
    if kind != "cut":  # which no header tells
        assert_error(call("onboard", "capacity", place.image, *ROBUST), number)


@pytest.mark.parametrize("words", [
    ("protect", "--scheme", "robust"), ("protect", "--scheme", "reversible"),
    ("protect", "--scheme", "shares"), ("capacity", "--scheme", "robust"), ("capacity",),
])
def test_pictures_of_other_formats_must_be_saved_as_jpeg_first(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    place = Place(tmp_path, b"\x89PNG\r\n\x1a\n" + bytes(100), SECRET)
    extra: tuple[object, ...] = ()
    if words[0] == "protect":
        extra = ("--to", place.key("recipient.pub"), "-o", place.work / "out")
    if words[-1] in ("robust", "reversible") and words[0] == "protect":
        extra += ("--private", place.private)
    done = call("onboard", words[0], place.image, *words[1:], *extra)
    assert_error(done, 301)
    assert done.err.endswith(
        "hint: a PNG, TIFF, WebP or other picture must be saved as JPEG first\n"
    )


SCANS = {
    "a wrong restart interval": lambda head, scan: (
        head[:2] + b"\xff\xdd\x00\x04\x00\x01" + head[2:] + scan
    ),
    "a stray marker": lambda head, scan: head + b"\xff\xd8" + scan,
    "another scan": lambda head, scan: head + head[jpegs.find(head + scan, 0xDA)[0] :] + scan,
    "nothing": lambda head, scan: head,
    "noise": lambda head, scan: head + bytes(range(1, 255)) * 99,
}


@pytest.mark.parametrize("profile", ["light", "paper"])
@pytest.mark.parametrize("kind", SCANS)
def test_capacity_is_read_from_the_headers_alone(
    tmp_path: Path, kind: str, profile: str
) -> None:
    data = scene(LIGHT)
    end = jpegs.find(data, 0xDA)[1]
    place = Place(tmp_path, data, SECRET)
    told = capacity(place, profile)
    place.image.write_bytes(SCANS[kind](data[:end], data[end:]))
    assert capacity(place, profile) == told
    assert place.protect(*ROBUST, "--profile", profile).status == 3
