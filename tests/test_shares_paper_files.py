"""Rasters in files: our own PGM, Pillow's PNG and TIFF, and what is refused."""

import io
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from occulta.errors import OccultaError, Reason
from occulta.program import pgm, rasters
from occulta.schemes.shares.raster import Box, Raster
from tests.paper_world import picture, refuses

PICTURE = picture()
ROOT = Path(__file__).resolve().parents[1]


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def as_pillow(raster: Raster) -> Image.Image:
    return Image.frombytes("L", (raster.width, raster.height), raster.pixels)


def write(folder: Path, content: bytes) -> str:
    path = folder / "image"
    path.write_bytes(content)
    return str(path)


# --- PGM


def test_pgm_as_pillow_reads_it() -> None:
    with Image.open(io.BytesIO(pgm.encode(PICTURE))) as image:
        assert (image.size, image.tobytes()) == ((64, 48), PICTURE.pixels)


def test_pgm_as_pillow_writes_it() -> None:
    assert pgm.decode(saved(as_pillow(PICTURE), "PPM")) == PICTURE


@given(st.integers(1, 20), st.integers(1, 20), st.data())
def test_pgm_round_trip(width: int, height: int, data: st.DataObject) -> None:
    size = width * height
    raster = Raster(width, height, data.draw(st.binary(min_size=size, max_size=size)))
    assert pgm.decode(pgm.encode(raster)) == raster


def test_pgm_with_comments() -> None:
    found = pgm.decode(b"P5 # by a scanner\n#two\n\t2 #w\n 3\r\n255\n" + b"#12345")
    assert found == Raster(2, 3, b"#12345")


@pytest.mark.parametrize(
    "data",
    [
        b"", b"P5", b"P2\n1 1\n255\n5", b"P5\n1 1\n255", b"P5\n1 1\n255\n", b"P5\n1 1\n255\n12",
        b"P5\n1\n255\n1", b"P51 1\n255\n1", b"P5\n-1 1\n255\n1", b"P5\n1 1\n65535\n12",
        b"P5\n1 1\n15\n1", b"P5\n1 1\n255#\n1", b"P5 #" + b"x" * 5000 + b"\n1 1 255\n1",
    ],
)
def test_broken_pgm_is_refused(data: bytes) -> None:
    refuses(Reason.BAD_RASTER, lambda: pgm.decode(data))


@pytest.mark.parametrize("size", [b"0 4", b"4 0", b"70000 1", b"9000 9000", b"999999999 999999999"])
def test_pgm_of_impossible_size_is_refused(size: bytes) -> None:
    refuses(Reason.LIMIT_DIMENSIONS, lambda: pgm.decode(b"P5\n" + size + b"\n255\n"))


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_as_pgm(data: bytes) -> None:
    try:
        found = pgm.decode(b"P5" + data)
    except OccultaError:
        return
    assert pgm.decode(pgm.encode(found)) == found


# --- PNG and TIFF


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"})]
)
def test_pillow_s_formats_are_read(tmp_path: Path, kind: str, options: dict[str, str]) -> None:
    name = write(tmp_path, saved(as_pillow(PICTURE), kind, **options))
    assert rasters.read(name) == (PICTURE, kind.lower())


def test_kinds_that_are_written() -> None:
    assert [rasters.written_kind(kind) for kind in ("pgm", "png", "tiff")] == ["pgm", "png", "png"]
    with Image.open(io.BytesIO(rasters.encode(PICTURE, "png"))) as image:
        assert (image.mode, image.format, image.tobytes()) == ("L", "PNG", PICTURE.pixels)
    assert rasters.encode(PICTURE, "pgm") == pgm.encode(PICTURE)


@pytest.mark.parametrize("mode", ["1", "LA", "P", "RGB", "I;16"])
def test_other_modes_are_refused(tmp_path: Path, mode: str) -> None:
    name = write(tmp_path, saved(Image.new(mode, (20, 20)), "PNG"))
    refuses(Reason.BAD_RASTER, lambda: rasters.read(name), "8-bit grayscale")


def test_a_tiff_of_several_pages_is_refused(tmp_path: Path) -> None:
    image = as_pillow(PICTURE)
    name = write(tmp_path, saved(image, "TIFF", save_all=True, append_images=[image]))
    refuses(Reason.BAD_RASTER, lambda: rasters.read(name))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_broken_files_are_refused(tmp_path: Path, kind: str) -> None:
    data = saved(as_pillow(PICTURE), kind)
    for broken in (data[:10], data[: len(data) // 2], data[:20] + b"\xff" * 30 + data[50:]):
        refuses(Reason.BAD_RASTER, lambda: rasters.read(write(tmp_path, broken)))  # noqa: B023


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"GIF89a", b"P6\n1 1\n255\n123"])
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    name = write(tmp_path, data)
    refuses(Reason.BAD_RASTER, lambda: rasters.read(name), "neither a PGM")


def test_a_png_of_too_many_pixels_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    huge = bytearray(saved(Image.new("L", (1, 1)), "PNG"))
    huge[16:24] = (60_000).to_bytes(4, "big") * 2
    import zlib

    huge[29:33] = zlib.crc32(bytes(huge[12:29])).to_bytes(4, "big")
    with pytest.raises(OccultaError) as caught:
        rasters.read(write(tmp_path, bytes(huge)))
    assert caught.value.reason in (Reason.LIMIT_DIMENSIONS, Reason.BAD_RASTER)


def test_a_missing_file() -> None:
    refuses(Reason.INPUT_UNREADABLE, lambda: rasters.read("no/such/file"))


# --- outlines


def test_outlines_in_colour() -> None:
    data, kind = rasters.encode_outlined(PICTURE, [(Box(8, 8, 16, 16), "red")])
    assert kind == "png"
    with Image.open(io.BytesIO(data)) as image:
        colours = {image.getpixel(at) for at in ((8, 8), (23, 8), (8, 23), (23, 23), (15, 23))}
        assert colours == {(255, 0, 0)}
        for x, y in ((7, 8), (9, 9), (24, 10), (22, 22), (10, 24)):
            assert image.getpixel((x, y)) == (PICTURE.pixels[64 * y + x],) * 3


def without_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)


@pytest.mark.parametrize(
    "box", [Box(8, 8, 16, 16), Box(0, 0, 1, 1), Box(3, 3, 1, 9), Box(5, 5, 9, 2)]
)
def test_outlines_without_pillow(monkeypatch: pytest.MonkeyPatch, box: Box) -> None:
    without_pillow(monkeypatch)
    data, kind = rasters.encode_outlined(PICTURE, [(box, "red")])
    assert kind == "pgm"
    found = pgm.decode(data).pixels
    changed = {at for at in range(64 * 48) if found[at] == PICTURE.pixels[at] ^ 0x80}
    x, y, w, h = box
    edge = {
        64 * row + column for row in range(y, y + h) for column in range(x, x + w)
        if row in (y, y + h - 1) or column in (x, x + w - 1)
    }
    assert changed == edge
    assert all(found[at] == PICTURE.pixels[at] for at in range(64 * 48) if at not in edge)


def test_png_without_pillow_is_refused_and_pgm_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    png = saved(as_pillow(PICTURE), "PNG")
    without_pillow(monkeypatch)
    refuses(Reason.PILLOW_MISSING, lambda: rasters.read(write(tmp_path, png)))
    refuses(Reason.PILLOW_MISSING, lambda: rasters.encode(PICTURE, "png"))
    assert rasters.read(write(tmp_path, pgm.encode(PICTURE))) == (PICTURE, "pgm")


def test_importing_the_commands_loads_neither_pillow_nor_numpy() -> None:
    line = "import sys, onboard.rasters, ground.rasters; print({'PIL', 'numpy'} & {*sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", line], cwd=ROOT, capture_output=True, check=True, timeout=60
    )
    assert done.stdout.strip() == b"set()"
