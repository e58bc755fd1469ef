"""Robust hiding by its commands: there and back through what a picture suffers, and refusals."""

from __future__ import annotations

import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import ground.__main__
from occulta.errors import OccultaError, Reason
from occulta.program import pgm, rasters
from occulta.schemes.robust.profiles import PROFILES
from occulta.schemes.shares.raster import Raster
from onboard.__main__ import PROFILES as OFFERED
from tests import jpegs
from tests.cli import Outcome, Place, assert_error, call, environment, names, run

SECRET = b"48.20N 16.37E"
ROBUST = ("--scheme", "robust")
SIDE = 384
"""1152 gross bits of the profile default."""
LIGHT = 272
"""1156 gross bits of the profile light: room for a signature."""


def scene(side: int, **options: Any) -> bytes:
    return jpegs.encode(3, side, side, **{"quality": 90, **options})


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """With a picture for the profile light."""
    return Place(tmp_path, scene(LIGHT), SECRET)


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Marked with the default profile."""
    place = Place(tmp_path_factory.mktemp("marked"), scene(SIDE), SECRET)
    done = place.protect(*ROBUST)
    assert (done.status, done.err) == (0, ""), done
    assert done.out.endswith(b" bytes, default, a message of 640 bits, not signed\n")
    return place.marked.read_bytes()


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Marked with the profile light, signed."""
    place = Place(tmp_path_factory.mktemp("signed"), scene(LIGHT), SECRET)
    done = place.protect(*ROBUST, "--profile", "light", "--sign", place.key("satellite.key"))
    assert (done.status, done.err) == (0, ""), done
    return place.marked.read_bytes()


def recover(place: Place, data: bytes, *extra: object, profile: str = "default") -> Outcome:
    """Of a file with this content, looking for one profile alone."""
    place.marked.write_bytes(data)
    return place.recover(*ROBUST, "--profile", profile, *extra)


def assert_found(place: Place, done: Outcome, trust: str = "unsigned") -> None:
    assert (done.status, done.err) == (0, ""), done
    assert names(place.folder) == ["private.bin", "report.json"]
    assert (place.folder / "private.bin").read_bytes() == SECRET
    assert (place.folder / "private.bin").stat().st_mode & 0o777 == 0o600
    report = place.report()
    assert report["intact"] and "error" not in report
    assert report["verdict"].startswith(f"intact, {trust}: 13 private bytes, ")
    assert report["authentic"] is (trust == "authentic")


# --- there and back

WAYS = {
    "as it is": lambda image, data: data,
    "quality 50": lambda image, data: saved(image, "JPEG", quality=50),
    "progressive": lambda image, data: saved(image, "JPEG", quality=75, progressive=True),
    "as RGB": lambda image, data: saved(image, "JPEG", quality=75, keep_rgb=True),
    "png": lambda image, data: saved(image, "PNG"),
    "tiff": lambda image, data: saved(image, "TIFF"),
    "webp": lambda image, data: saved(image, "WEBP", quality=75),
    "pgm": lambda image, data: pgm.encode(Raster(SIDE, SIDE, image.convert("L").tobytes())),
    "zeros in the middle": lambda image, data: data[:30_000] + bytes(2_000) + data[32_000:],
    "the end lost": lambda image, data: data[: len(data) * 9 // 10],
    "an end that is no JPEG": lambda image, data: data + bytes(1000),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_message_comes_back(way: str, tmp_path: Path, marked: bytes) -> None:
    place = Place(tmp_path, b"", SECRET)
    with Image.open(io.BytesIO(marked)) as image:
        spoiled = WAYS[way](image, marked)
    assert_found(place, recover(place, spoiled))
    report = place.report()
    assert (report["profile"], report["message_bits"]) == ("default", 640)
    assert 0 <= report["corrected_bits"] < report["compared_bits"] <= 3 * 640 + 12
    assert report["margin_db"] > 0
    assert report["grid_offset"] == report["first_block"] == [0, 0]
    assert (report["origin"], report["signed"]) == ("not checked", False)


@pytest.mark.slow
def test_a_cropped_picture(tmp_path: Path, marked: bytes) -> None:
    place = Place(tmp_path, b"", SECRET)
    with Image.open(io.BytesIO(marked)) as image:
        spoiled = saved(image.crop((21, 13, SIDE, SIDE)), "PNG")
    assert_found(place, recover(place, spoiled))
    report = place.report()
    assert (report["grid_offset"], report["first_block"]) == ([3, 3], [2, 3])


def test_every_profile_is_looked_for(tmp_path: Path, signed: bytes) -> None:
    place = Place(tmp_path, b"", SECRET)
    place.marked.write_bytes(signed)
    assert_found(place, place.recover(*ROBUST), "signature not checked")
    assert place.report()["profile"] == "light"
    assert place.report()["signed"]


def test_through_pipes(place: Place) -> None:
    to = ("--to", place.key("recipient.pub"), "--profile", "light")
    piped = {"input": place.image.read_bytes()}
    done = run("onboard", "protect", "-", *ROBUST, *to, "--private", place.private, "-o", "-",
               **piped)
    assert (done.status, done.err, done.out[:2]) == (0, "", b"\xff\xd8")
    back = run(
        "ground", "recover", "-", *ROBUST, "--profile", "light", "--key",
        place.key("recipient.key"), "-o", place.folder, input=done.out,
    )
    assert_found(place, back)


def test_private_data_from_a_pipe(place: Place) -> None:
    words = place.to_protect(*ROBUST, "--profile", "light", private="-")
    assert run("onboard", *words, input=SECRET).status == 0
    assert_found(place, place.recover(*ROBUST, "--profile", "light"))


def test_json(place: Place) -> None:
    done = place.protect(*ROBUST, "--profile", "light", "--json")
    assert done.json == {
        "output": str(place.marked), "scheme": "robust", "profile": "light", "private_bytes": 13,
        "message_bits": 640, "original_bytes": place.image.stat().st_size,
        "marked_bytes": place.marked.stat().st_size, "recipients": 1, "signed": False,
    }
    done = place.recover(*ROBUST, "--profile", "light", "--json")
    assert done.json == place.report()
    assert done.json["scheme"] == "robust"


def test_metadata_stays_and_the_picture_is_gray_or_colour(tmp_path: Path) -> None:
    comment = b"\xff\xfe\x00\x07hello"
    data = scene(LIGHT, mode="L")
    place = Place(tmp_path, data[:2] + comment + data[2:], SECRET)
    assert place.protect(*ROBUST, "--profile", "light").status == 0
    assert comment in place.marked.read_bytes()
    with Image.open(place.marked) as image:
        assert (image.mode, image.size) == ("L", (LIGHT, LIGHT))
    assert_found(place, place.recover(*ROBUST, "--profile", "light"))


# --- whose it is


def test_signed_by_the_satellite(tmp_path: Path, signed: bytes) -> None:
    place = Place(tmp_path, b"", SECRET)
    known = ("--satellite", place.key("foreign.pub"), "--satellite", place.key("satellite.pub"))
    assert_found(place, recover(place, signed, *known, profile="light"), "authentic")
    assert place.report()["origin"] == "verified"


def assert_not_verified(place: Place, done: Outcome, saying: str) -> None:
    assert_error(done, 503, saying)
    place.assert_report_only(503)
    report = place.report()
    assert report["origin"] == "not verified"
    assert ("without --satellite it is read" in report["error"]["hint"]) is not report["signed"]


def test_signed_by_another(tmp_path: Path, signed: bytes) -> None:
    place = Place(tmp_path, b"", SECRET)
    done = recover(place, signed, "--satellite", place.key("foreign.pub"), profile="light")
    assert_not_verified(place, done, "the signature is not that of a satellite given")


def test_unsigned_is_never_authentic(tmp_path: Path, marked: bytes) -> None:
    place = Place(tmp_path, b"", SECRET)
    done = recover(place, marked, "--satellite", place.key("satellite.pub"))
    assert_not_verified(place, done, "the signature is missing")


@pytest.mark.slow
@pytest.mark.parametrize("key", ["other", "recipient"])
def test_nothing_for_this_key(tmp_path: Path, signed: bytes, key: str) -> None:
    """A message for somebody else, and a picture without any."""
    place = Place(tmp_path, scene(LIGHT), SECRET)
    place.marked.write_bytes(signed if key == "other" else place.image.read_bytes())
    done = place.recover(*ROBUST, "--profile", "light", key=f"{key}.key")
    assert_error(done, 509, "no message for this key can be read (profiles tried: light)")
    place.assert_report_only(509)
    report = place.report()
    assert report["private_bytes"] is report["profile"] is report["margin_db"] is None
    assert report["authentic"] is False


# --- refusals


def test_nothing_is_overwritten(place: Place, signed: bytes) -> None:
    place.marked.write_bytes(signed)
    assert_error(place.protect(*ROBUST), 205)
    assert place.marked.read_bytes() == signed
    place.folder.mkdir()
    (place.folder / "private.bin").write_bytes(b"older")
    assert_error(place.recover(*ROBUST), 205)
    assert names(place.folder) == ["private.bin"]


def test_files_that_are_not_there(place: Place) -> None:
    assert_error(place.protect(*ROBUST, private=place.root / "none"), 329)
    assert_error(place.protect(*ROBUST, image=place.root / "none"), 329)
    assert_error(place.recover(*ROBUST), 329)
    assert not place.folder.exists()


def test_wrong_use_of_recover(place: Place, signed: bytes) -> None:
    place.marked.write_bytes(signed)
    assert_error(place.recover(*ROBUST, output="-"), 200)
    assert_error(place.recover("--profile", "max"), 200, "--profile and --size are for the scheme")
    paper = ("--profile", "paper", "--size", "512x512")
    assert_error(place.recover(*ROBUST, *paper), 200, "--size is not for the profile paper")
    assert not place.folder.exists()
    line = place.to_recover(*ROBUST)
    assert_error(call("ground", *line[:2], place.image, *line[2:]), 200, "takes one marked file")


UNREADABLE = {
    "empty": (b"", 300),
    "text": (b"no picture at all", 338),
    "GIF": (saved(Image.new("L", (64, 64)), "GIF"), 338),
    "half a PNG": (saved(Image.new("L", (64, 64)), "PNG")[:60], 338),
    "a PGM that is cut": (b"P5\n64 64\n255\n" + bytes(100), 338),
    "too many pixels": (saved(Image.new("1", (9000, 9000)), "PNG"), 316),
    "a bomb": (saved(Image.new("1", (30_000, 30_000)), "PNG"), 338),
    "EPS, which would start another program": (b"%!PS-Adobe-3.0 EPSF-3.0\n", 338),
    "the beginning of a JPEG": (scene(LIGHT)[:300], 302),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_files_that_cannot_be_read(kind: str, tmp_path: Path) -> None:
    place = Place(tmp_path, b"", SECRET)
    data, number = UNREADABLE[kind]
    done = recover(place, data)
    assert_error(done, number, f": {place.marked}: ")
    assert " object at 0x" not in done.err
    place.assert_report_only(number)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("extra", "is_shown"), [((), True), (("--json",), False)])
def test_a_terminal_is_told_that_searching_takes_time(
    tmp_path: Path, extra: tuple[str, ...], is_shown: bool
) -> None:
    place = Place(tmp_path, b"", SECRET)
    place.marked.write_bytes(pgm.encode(Raster(5, 3, bytes(15))))
    with redirect_stderr(Terminal()) as shown, redirect_stdout(io.StringIO()):
        words = [str(word) for word in place.to_recover(*ROBUST, *extra)]
        assert ground.__main__.main(words) == 5
    line, cleared, rest = shown.getvalue().rpartition("\r\033[K")
    assert rest.startswith("error 509: ")
    assert (bool(cleared), line.startswith("searching for the message: ")) == (is_shown, is_shown)


def test_pictures_smaller_than_a_block(tmp_path: Path) -> None:
    place = Place(tmp_path, b"", SECRET)
    assert_error(recover(place, pgm.encode(Raster(5, 3, bytes(15)))), 509)
    place.assert_report_only(509)


def test_deep_samples_give_their_upper_bits() -> None:
    values = [0, 255, 256, 0x7FFF, 0x8000, 0xFFFF]
    image = Image.frombytes("I;16", (6, 1), b"".join(v.to_bytes(2, "little") for v in values))
    assert rasters.luminance(saved(image, "PNG")).pixels == bytes(v >> 8 for v in values)


def test_a_share_image_that_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "share-a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    with pytest.raises(OccultaError) as caught:
        rasters.read(str(path))
    assert caught.value.reason is Reason.BAD_RASTER
    assert caught.value.detail == f"{path}: it is no picture of a kind that is read, or damaged " \
        "at its beginning"


def test_without_the_file_telling(place: Place, signed: bytes) -> None:
    """What is marked robustly looks like any picture: a hint says what to give."""
    with Image.open(io.BytesIO(signed)) as image:
        kinds = {327: signed, 301: saved(image, "WEBP"), 336: saved(image, "PNG")}
    for number, data in kinds.items():
        place.marked.write_bytes(data)
        done = place.recover()
        assert_error(done, number)
        assert done.err.endswith("of robust hiding no file tells: give --scheme robust\n")
        assert done.err.endswith(f"hint: {place.report()['error']['hint']}\n")
        given = place.recover("--scheme", "shares" if number == 336 else "reversible")
        assert_error(given, number)
        assert "robust" not in given.err


# --- what is installed


@pytest.mark.parametrize(("lacking", "number"), [("numpy", 610), ("PIL", 608)])
def test_an_extra_that_is_not_installed(
    tmp_path: Path, marked: bytes, lacking: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Image.open(io.BytesIO(marked)) as image:
        spoiled = saved(image, "PNG")
    monkeypatch.setitem(sys.modules, lacking, None)
    place = Place(tmp_path, b"", SECRET)
    done = recover(place, spoiled)
    assert_error(done, number)
    assert "occulta[raster]" in done.err
    assert not (place.folder / "private.bin").exists()


def test_a_jpeg_is_recovered_without_pillow(
    tmp_path: Path, marked: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    place = Place(tmp_path, b"", SECRET)
    assert_found(place, recover(place, marked))


def test_nothing_of_it_is_loaded_on_board() -> None:
    code = "import sys, onboard.robust; print('numpy' in sys.modules, 'PIL' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, check=True
    )
    assert done.stdout == b"False False\n"


def test_the_profiles_offered_are_those_of_the_library() -> None:
    assert set(OFFERED["robust"]) == {*PROFILES, "paper"}
    assert OFFERED["robust"][0] == "default"


@pytest.mark.parametrize("side", [320, 500])
def test_a_scaled_picture_with_the_size_that_it_had(
    tmp_path: Path, marked: bytes, side: int
) -> None:
    place = Place(tmp_path, b"", SECRET)
    with Image.open(io.BytesIO(marked)) as image:
        scaled = image.resize((side, side), Image.Resampling.BICUBIC)
    assert_found(place, recover(place, saved(scaled, "PNG"), "--size", f"{SIDE}x{SIDE}"))


@pytest.mark.parametrize("left", [0.999, 0.75])
def test_a_progressive_file_that_was_cut(place: Place, marked: bytes, left: float) -> None:
    with Image.open(io.BytesIO(marked)) as image:
        data = saved(image, "JPEG", progressive=True, quality=90)
    assert_found(place, recover(place, data[: int(left * len(data))]))


def test_a_progressive_file_of_which_nothing_is_left(place: Place, marked: bytes) -> None:
    with Image.open(io.BytesIO(marked)) as image:
        data = saved(image, "JPEG", progressive=True, quality=90)
    assert_error(recover(place, data[:300]), 509, "profiles tried: default")
    assert_error(recover(place, data[:100]), 302, "marked.jpg")


def test_the_input_is_never_replaced(place: Place, marked: bytes) -> None:
    place.folder.mkdir()
    given = place.folder / "report.json"
    given.write_bytes(marked)
    done = call("ground", "recover", given, *ROBUST, "--key", place.key("recipient.key"), "-o",
                place.folder)
    assert_error(done, 205, "would be replaced")
    assert given.read_bytes() == marked and names(place.folder) == ["report.json"]


@pytest.mark.parametrize("size", ["512", "0x5", "5x-5", "1e3x5"])
def test_a_size_that_is_none(place: Place, marked: bytes, size: str) -> None:
    assert_error(recover(place, marked, f"--size={size}"), 200, "is no size")
    assert not place.folder.exists()


def test_a_size_that_is_too_large(place: Place, marked: bytes) -> None:
    assert_error(recover(place, marked, "--size", "65000x65000"), 316, "65000 x 65000")
    assert_error(recover(place, marked, "--size", "100000x5"), 316, "100000 x 5")
    assert not place.folder.exists()
