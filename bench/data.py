"""The pictures that figures are measured on: the data folder, or synthesised scenes without it."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from sim.camera import scene
from sim.scene.frame import frame_of

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_DATA = ROOT.parent / "shared" / "data"
QUALITIES = (30, 50, 70, 90)
SIDE = 512
SCENES = (4, 5, 6, 7)
"""Seeds of the scenes that stand in for real pictures."""


def missing(folder: Path) -> str:
    """What to say where there is no data."""
    return f"the data folder {folder.name}/ is not there: give it with --data DIR"


def square_grays(data: Path) -> list[Path]:
    """The 21 lossless 512x512 grayscale pictures that the bounds were set on."""
    return _pngs(data / "remote_sensing") + _pngs(data / "sipi")


def more_crops(data: Path) -> list[Path]:
    """Ten more crops of the same remote-sensing scenes."""
    return _pngs(data / "remote_sensing" / "more_crops")


def remote_sensing(data: Path) -> list[Path]:
    """Every lossless 512x512 remote-sensing picture."""
    return _pngs(data / "remote_sensing") + more_crops(data)


def _pngs(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.png"))


def gray_jpeg(picture: Image.Image, quality: int) -> bytes:
    """Grayscale with the standard Huffman tables."""
    out = io.BytesIO()
    picture.convert("L").save(out, "JPEG", quality=quality, optimize=False)
    return out.getvalue()


def tiles(data: Path, colour: bool) -> list[Image.Image]:
    """512x512 pictures to build large ones from."""
    if not data.is_dir():
        return _synthesised(colour)
    if colour:
        paths = [*_pngs(data / "natural"), *_pngs(data / "sipi" / "color")]
        paths += sorted((data / "remote_sensing" / "opssat_jpeg").glob("*.jpeg"))
    else:
        paths = remote_sensing(data) + _pngs(data / "sipi")
    loaded = [Image.open(path) for path in paths]
    kept = [picture for picture in loaded if not colour or picture.mode == "RGB"]
    return [squared(picture.convert("RGB" if colour else "L")) for picture in kept]


def squared(picture: Image.Image) -> Image.Image:
    """The top left 512x512 of a picture that is at least as large."""
    return picture.crop((0, 0, SIDE, SIDE))


def _synthesised(colour: bool) -> list[Image.Image]:
    pictures = [scene(seed, frame_of(4.0)).convert("RGB" if colour else "L") for seed in SCENES]
    return [tile for picture in pictures for tile in _cut(picture)]


def _cut(picture: Image.Image) -> list[Image.Image]:
    corners = [
        (x, y)
        for y in range(0, picture.height - SIDE + 1, SIDE)
        for x in range(0, picture.width - SIDE + 1, SIDE)
    ]
    return [picture.crop((x, y, x + SIDE, y + SIDE)) for x, y in corners]


def clean_jpegs(data: Path) -> list[Path]:
    """Valid JPEG files according to MANIFEST.tsv: the corpus and the OPS-SAT pictures."""
    lines = (data / "MANIFEST.tsv").read_text(encoding="utf-8").splitlines()
    head = lines[0].split("\t")
    rows = [dict(zip(head, line.split("\t"), strict=False)) for line in lines[1:]]
    return [data / row["path"] for row in rows if _is_clean(row)]


def _is_clean(row: dict[str, str]) -> bool:
    wanted = row["path"].startswith(("jpeg_corpus/", "remote_sensing/opssat_jpeg/"))
    return wanted and ", valid" in row["what_it_exercises"]
