"""Attacks on files: bit errors, lost packets, what is read and written, the command."""

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from occulta.errors import OccultaError, Reason
from sim.__main__ import main
from sim.attacks import catalogue, picture
from sim.attacks.catalogue import apply, parse
from sim.attacks.picture import Picture, decoded
from tests import jpegs
from tests.cli import names

FILE = jpegs.encode(5, 128, 96, "L")
START = jpegs.find(FILE, 0xDA)[1]
END = len(FILE) - 2
PAGE = (Path(__file__).parents[1] / "docs/robust.md").read_text(encoding="utf-8")


def attacked(file: bytes, text: str, seed: int = 1) -> bytes:
    return apply(Picture(file), [parse(text)], seed).file


def flipped(one: bytes, other: bytes) -> int:
    return sum((a ^ b).bit_count() for a, b in zip(one, other, strict=True))


# --- bytes


def test_bit_flips_spare_the_headers() -> None:
    after = attacked(FILE, "bitflips:0.01")
    assert (after[:START], after[END:]) == (FILE[:START], FILE[END:])
    assert flipped(after, FILE) == pytest.approx(0.01 * 8 * (END - START), rel=0.4)
    assert attacked(FILE, "bitflips:0") == FILE
    assert flipped(attacked(FILE, "bitflips:1"), FILE) == 8 * (END - START)


def test_bit_flips_anywhere() -> None:
    assert flipped(attacked(FILE, "bitflips:1,all"), FILE) == 8 * len(FILE)


def test_bit_flips_of_a_long_file_are_drawn_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = attacked(FILE, "bitflips:0.01")
    monkeypatch.setattr("sim.attacks.stream._DRAWN", 1000)
    assert attacked(FILE, "bitflips:0.01") == whole


def test_packets_are_zeroed_or_removed() -> None:
    size = 256
    zeroed = attacked(FILE, f"packets:0.3,{size}")
    removed = attacked(FILE, f"packets:0.3,{size},removed")
    assert (zeroed[:START], zeroed[END:]) == (FILE[:START], FILE[END:])
    places = range(START, END, size)
    parts = [(FILE[at : min(at + size, END)], zeroed[at : min(at + size, END)]) for at in places]
    assert all(after in (before, bytes(len(before))) for before, after in parts)
    kept = [after for before, after in parts if after == before]
    assert 0 < len(kept) < len(parts)
    assert removed == FILE[:START] + b"".join(kept) + FILE[END:]


def test_packets_of_the_whole_file() -> None:
    assert attacked(FILE, "packets:1,100,all") == bytes(len(FILE))
    assert attacked(FILE, "packets:1,removed,all") == b""
    assert attacked(FILE, "packets:1,removed") == FILE[:START] + FILE[END:]
    assert attacked(FILE, "packets:0") == FILE


def test_pixels_become_a_jpeg_first() -> None:
    pixels = decoded(FILE)
    found = apply(Picture(pixels=pixels), [parse("bitflips:0")], 0)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=90)
    assert found.file == out.getvalue()


def test_a_file_without_a_scan_cannot_be_hurt_there() -> None:
    for file in (FILE[:2], FILE[:40], b"\xff\xd8" + bytes(50)):
        with pytest.raises(OccultaError, match="no picture data") as refused:
            attacked(file, "bitflips:0.1")
        assert refused.value.reason is Reason.BAD_SEGMENT


def test_fill_bytes_before_markers() -> None:
    file = jpegs.sample("fill_bytes")
    after = attacked(file, "bitflips:1")
    start = next(i for i, (a, b) in enumerate(zip(file, after, strict=True)) if a != b)
    scan = file.rindex(b"\xff\xda")
    assert start == scan + 2 + int.from_bytes(file[scan + 2 : scan + 4], "big")


@pytest.mark.parametrize("kind", ["progressive_restart", "not_interleaved", "redeclared"])
def test_headers_between_scans_are_spared(kind: str) -> None:
    file = jpegs.sample(kind)
    flips, losses = bytearray(file), bytearray(file)
    assert len(scans(file)) == file.count(b"\xff\xda") > 1
    for start, end in scans(file):
        flips[start:end] = bytes(byte ^ 0xFF for byte in file[start:end])
        losses[start:end] = bytes(end - start)
    assert attacked(file, "bitflips:1") == flips
    assert attacked(file, "packets:1") == losses


def scans(file: bytes) -> list[tuple[int, int]]:
    """A slow second opinion: (start, end) of each scan's data in a sound file."""
    found, at = [], 2
    while file[at + 1] != 0xD9:
        marker, at = file[at + 1], at + 2 + int.from_bytes(file[at + 2 : at + 4], "big")
        if marker == 0xDA:
            start = at
            while file[at] != 0xFF or file[at + 1] == 0 or 0xD0 <= file[at + 1] <= 0xD7:
                at += 1
            found.append((start, at))
    return found


def test_what_stands_behind_the_picture_is_spared() -> None:
    after = attacked(jpegs.with_trailer(FILE), "bitflips:1")
    assert after == attacked(FILE, "bitflips:1") + jpegs.with_trailer(FILE)[len(FILE) :]
    with_dnl = jpegs.with_dnl(FILE)
    assert attacked(with_dnl, "packets:1") == with_dnl[:START] + bytes(END - START) + with_dnl[END:]


def test_a_damaged_file_can_be_damaged_again() -> None:
    stray = bytearray(FILE)
    stray[START + 100 : START + 104] = b"\xff\xe1\x12\x34"  # no segment of the file
    assert flipped(attacked(bytes(stray), "bitflips:1"), bytes(stray)) == 8 * (END - START)


# --- what is read


def stored(array: np.ndarray, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(array).save(out, kind, **options)
    return out.getvalue()


def test_deep_samples_keep_their_upper_bits() -> None:
    deep = np.array([[0, 255, 256, 65535]], np.uint16)
    for kind in ("PNG", "TIFF", "PPM"):
        assert decoded(stored(deep, kind)).tolist() == [[0, 0, 1, 255]]


def test_other_modes() -> None:
    rgba = Image.new("RGBA", (2, 1), (1, 2, 3, 0))
    palette = Image.new("P", (2, 1))
    for image, expected in ((rgba, [1, 2, 3]), (palette, [0, 0, 0])):
        out = io.BytesIO()
        image.save(out, "PNG")
        assert decoded(out.getvalue()).tolist() == [[expected, expected]]
    assert decoded(stored(np.array([[True, False]]), "PNG")).tolist() == [[255, 0]]


def test_what_is_no_picture() -> None:
    fractions = stored(np.zeros((2, 2), np.float32), "TIFF")
    for data in (b"no picture", FILE[: len(FILE) // 3], fractions):
        with pytest.raises(OccultaError) as refused, warnings.catch_warnings():
            decoded(data)
        assert refused.value.reason is Reason.BAD_RASTER


def test_too_large_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "MAX_PIXELS", 128 * 96 - 1)
    with pytest.raises(OccultaError, match="128 x 96") as refused:
        decoded(FILE)
    assert refused.value.reason is Reason.LIMIT_DIMENSIONS


# --- the command


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "scene.jpg"
    path.write_bytes(FILE)
    return path


def attack(image: Path, *words: object) -> int:
    return main(["attack", str(image), *map(str, words)])


@pytest.mark.parametrize("suffix", sorted(picture.FORMATS))
def test_the_suffix_names_the_format(image: Path, suffix: str) -> None:
    output = image.with_name(f"out{suffix.upper()}")
    assert attack(image, "brightness:10", "-o", output) == 0
    with Image.open(output) as found:
        assert found.format == picture.FORMATS[suffix]
        lossless = np.clip(decoded(FILE).astype(int) + 10, 0, 255)
        gap = np.abs(decoded(output.read_bytes()).astype(int).T - lossless.T).max()
        assert gap <= (20 if suffix.startswith(".jp") else 0)


def test_a_jpeg_is_written_as_the_attack_left_it(image: Path) -> None:
    output = image.with_name("out.jpg")
    assert attack(image, "gaussian:3", "jpeg:40", "bitflips:0.001", "-o", output, "--seed", 9) == 0
    expected = apply(Picture(FILE), map(parse, ("gaussian:3", "jpeg:40", "bitflips:0.001")), 9)
    assert output.read_bytes() == expected.file


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bitflips:1,all", bytes(byte ^ 0xFF for byte in FILE)),
        ("packets:1,all", bytes(len(FILE))), ("packets:1,removed,all", b""),
    ],
)
def test_damage_is_written_whatever_it_hit(image: Path, text: str, expected: bytes) -> None:
    output = image.with_name("out.jpg")
    assert attack(image, text, "bitflips:0,all", "-o", output) == 0
    assert output.read_bytes() == expected


@pytest.mark.parametrize(
    ("words", "number"),
    [
        (("jpeg:50", "-o", "out.jpg"), 338), (("-o", "out.png"), 338),
        (("packets:0.5", "-o", "out.jpg"), 303),
    ],
)
def test_an_attack_that_lacks_a_picture_names_the_one_before(
    image: Path, words: tuple[str, ...], number: int, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(image.parent)
    assert attack(image, "gaussian:1", "bitflips:1,all", *words) == 3
    error = capsys.readouterr().err.splitlines()[0]
    assert error.startswith(f"error {number}: {image}: after bitflips:1,all: ")
    assert "0x" not in error
    assert names(image.parent) == ["scene.jpg"]


def test_the_seed_decides(image: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        words = ("saltpepper:0.05", "-o", image.with_name(f"{name}.png"), "--seed", seed)
        assert attack(image, *words) == 0
    a, b, c = (image.with_name(f"{name}.png").read_bytes() for name in "abc")
    assert a == b != c


@pytest.mark.parametrize(
    ("words", "number"),
    [
        (("rotate:5", "-o", "out.png"), 200), (("gaussian:5", "-o", "out"), 200),
        (("gaussian:5", "-o", "out.gif"), 200), (("-o", "out.png"), 200),
        (("gaussian:5",), 200), (("crop:0,0,500,5", "-o", "out.png"), 209),
        (("gaussian:5", "-o", "scene.jpg"), 205), (("jpegratio:900", "-o", "out.jpg"), 400),
        (("gaussian:5", "-o", "none/out.png"), 600),
        (("jpeg:5", "-o", "out.png", "--seed", "x"), 200),
    ],
)
def test_refusals_leave_nothing(
    image: Path, words: tuple[str, ...], number: int, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(image.parent)
    assert attack(image, *words) == number // 100
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith(f"error {number}: ")
    assert hint.startswith("hint: ")
    assert names(image.parent) == ["scene.jpg"]
    assert image.read_bytes() == FILE


def test_inputs_that_are_no_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "text.png").write_text("hello")
    for name, number in (("empty", 300), ("text.png", 338), ("none.jpg", 329)):
        assert attack(tmp_path / name, "jpeg:5", "-o", tmp_path / "out.jpg") == 3
        assert capsys.readouterr().err.startswith(f"error {number}: ")
    assert names(tmp_path) == ["empty", "text.png"]


def test_help_and_page_list_every_attack(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attack", "--help"]) == 0
    shown = capsys.readouterr().out
    for kind in catalogue.KINDS.values():
        assert f"  {kind.written} " in shown
        assert f"| `{kind.written}` |" in PAGE
