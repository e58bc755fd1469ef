"""`occulta-sim analyse shares`: its figures against our own, its files, and what it refuses."""

import io
import json
import math
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from occulta.codec import chaos
from occulta.errors import OccultaError, Reason
from occulta.program import pgm
from occulta.schemes.shares import paper
from occulta.schemes.shares.keys import create_set
from occulta.schemes.shares.raster import Box, Raster, blocks_of
from occulta.schemes.shares.regions import Regions
from occulta.schemes.shares.split import Splitter
from sim.__main__ import main
from sim.analysis import command, paper_tables, picture
from tests import jpegs
from tests.cli import names
from tests.paper_world import fixed_random
from tests.paper_world import picture as scan
from tests.support import KEY

SCAN = scan()
REGION = Box(8, 8, 40, 32)
SEED = 7
FILES = ["report.html", "report.json"]


def saved(kind: str, raster: Raster = SCAN) -> bytes:
    out = io.BytesIO()
    Image.frombytes("L", (raster.width, raster.height), raster.pixels).save(out, kind)
    return out.getvalue()


class Place:
    """A folder with a picture, and the command."""

    def __init__(self, root: Path, content: bytes, name: str = "scan.png") -> None:
        self.image, self.folder = root / name, root / "out"
        self.image.write_bytes(content)

    def analyse(self, *words: object, keys: int = 2) -> int:
        line = ["analyse", "shares", self.image, "-o", self.folder, "--keys", keys, *words]
        return main([str(word) for word in line])

    def report(self, name: str = "report.json") -> Any:
        return json.loads((self.folder / name).read_text())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    made = Place(tmp_path_factory.mktemp("analyse"), pgm.encode(SCAN), "scan.pgm")
    assert made.analyse("--roi", "8,8,40,32", "--seed", SEED) == 0
    return made


@pytest.fixture(scope="module")
def first() -> tuple[paper.Shares, Any, random.Random]:
    """The shares of the first key, made as a protection makes them."""
    chance = random.Random(f"paper {SEED}")
    shares, parameters = paper.protect(SCAN, [REGION], "pgm", chance.randbytes)
    return shares, parameters, chance


# --- values against our own


def entropy(data: bytes) -> float:
    return -sum(n / len(data) * math.log2(n / len(data)) for n in Counter(data).values())


def rows(raster: Raster) -> np.ndarray:
    return np.array([*raster.pixels], float).reshape(raster.height, raster.width)


def sides(raster: Raster) -> dict[str, float]:
    grid = rows(raster)
    pairs = {
        "horizontal": (grid[:, 1:], grid[:, :-1]), "vertical": (grid[1:], grid[:-1]),
        "diagonal": (grid[1:, 1:], grid[:-1, :-1]),
    }
    return {name: np.corrcoef(a.ravel(), b.ravel())[0, 1] for name, (a, b) in pairs.items()}


def next_shares(parameters: Any, keys: tuple[bytes, bytes]) -> list[bytes]:
    """Shares under keys with another last bit, from the planes up."""
    hashes = paper.block_hashes(SCAN, blocks_of([REGION]))
    planes = paper.mark(SCAN, [REGION], hashes, parameters.check_key).planes
    made = []
    for plane, key in zip(planes, keys, strict=True):
        other = (int.from_bytes(key, "big") ^ 1).to_bytes(16, "big")
        made.append(chaos.diffuse(plane, *chaos.key_matrices(other, len(plane))))
    return made


def changes(one: bytes, other: bytes) -> tuple[float, float]:
    """NPCR and UACI."""
    pairs = [*zip(one, other, strict=True)]
    changed = sum(a != b for a, b in pairs)
    return 100 * changed / len(pairs), 100 * sum(abs(a - b) for a, b in pairs) / 255 / len(pairs)


def test_what_is_said_of_the_picture(place: Place) -> None:
    found = place.report()
    kept = ("image", "kind", "width", "height", "regions", "keys", "seed")
    assert [found[name] for name in kept] == ["scan.pgm", "pgm", 64, 48, [[*REGION]], 2, SEED]
    original = found["paper"]["original"]
    assert original["entropy"] == pytest.approx(entropy(SCAN.pixels))
    assert original["correlation"] == pytest.approx(sides(SCAN))
    assert original["histogram"] == [SCAN.pixels.count(value) for value in range(256)]


def test_shares_of_the_first_key(place: Place, first: Any) -> None:
    found = place.report()["paper"]
    for name, share in zip("ab", first[0], strict=True):
        said = found["shares"][name]
        assert said["entropy"] == pytest.approx(entropy(share.pixels))
        assert said["correlation"] == pytest.approx(sides(share))
        assert said["histogram"] == [share.pixels.count(value) for value in range(256)]
        assert found["under_keys"][name]["entropy"]["values"][0] == said["entropy"]


def test_a_changed_last_bit(place: Place, first: Any) -> None:
    shares, parameters, chance = first
    hashes = paper.block_hashes(SCAN, blocks_of([REGION]))
    second = paper.share_keys(hashes, chance.randbytes(16) + parameters.digest)
    marked = paper.mark(SCAN, [REGION], hashes, parameters.check_key)
    under = [shares, paper.diffuse(SCAN, marked, second)]
    for index, name in enumerate("ab"):
        said = place.report()["paper"]["under_keys"][name]
        expected = [
            changes(made[index].pixels, next_shares(parameters, keys)[index])
            for made, keys in zip(under, (parameters.keys, second), strict=True)
        ]
        assert said["npcr"]["values"] == pytest.approx([npcr for npcr, _ in expected])
        assert said["uaci"]["values"] == pytest.approx([uaci for _, uaci in expected])
        assert said["npcr"]["mean"] == pytest.approx(sum(said["npcr"]["values"]) / 2)
        assert said["uaci"]["least"] == min(said["uaci"]["values"])
        most = max(abs(side) for each in under for side in sides(each[index]).values())
        assert abs(said["greatest_correlation"]) == pytest.approx(most)


def test_wrong_keys_give_nothing(place: Place) -> None:
    right, a, b, both = place.report()["paper"]["decryption"]
    assert [each["wrong_keys"] for each in (right, a, b, both)] == [[], ["a"], ["b"], ["a", "b"]]
    assert [each["error"] for each in (right, a, b, both)] == [None, 502, 502, 502]
    assert right["pixels_right_percent"] == 100.0
    assert right["correlation_in_regions"] == pytest.approx(1.0)
    assert a["pixels_right_percent"] == pytest.approx(100 / 16, abs=2)
    assert both["pixels_right_percent"] < 1.0
    assert abs(both["correlation_in_regions"]) < 0.15
    assert abs(both["correlation_beside"]) < 0.15
    assert b["correlation_beside"] > 0.9, "beside the regions the upper plane is the picture"


def test_equation_9(place: Place) -> None:
    found = place.report()["paper"]["equation_9"]
    assert (found["keys"], found["terms"]) == (20, SCAN.width * SCAN.height)
    assert found["closed"] == 0
    # u = 1 and x_0 = 0: as printed 0 after one step, as closed not.
    key = bytes([0x30]) + bytes(7)
    assert paper_tables.collapses([key], 200, literal=True) == 1
    assert paper_tables.collapses([key], 200, literal=False) == 0


def test_the_jpeg_profile(place: Place) -> None:
    found = place.report()["jpeg"]
    jpeg = picture.read(str(place.image)).jpeg
    chosen = Regions((tuple(REGION),))
    made = create_set(bytes(16), [KEY.public], fixed_random(), regions=chosen)
    splitter = Splitter(made)
    pieces = zip(splitter.feed(jpeg), splitter.finish(), strict=True)
    sizes = [len(start) + len(end) for start, end in pieces]
    assert found["quality"] == picture.QUALITY
    assert [found["share_a_bytes"], found["share_b_bytes"]] == sizes
    assert found["original_bytes"] == len(jpeg)
    assert found["header_bytes"] == len(made.shares[1].header)
    assert (found["segments"], found["padding_bytes"]) == (splitter.segments, splitter.padding)
    assert sizes[1] == sum(
        found[f"{part}_bytes"] for part in ("original", "header", "framing", "padding")
    )
    # 64 a segment, 4 for each of the 9 cells that the region touches, and the conclusion.
    assert found["framing_bytes"] == 64 * splitter.segments + 4 * 9 + 42 + 16
    assert found["original"]["entropy"] == pytest.approx(entropy(jpeg))
    expected = np.corrcoef([*jpeg[1:]], [*jpeg[:-1]])[0, 1]
    assert found["original"]["correlation"] == pytest.approx(expected)
    assert sum(found["share_b"]["histogram"]) == sizes[1] - found["header_bytes"]


def test_tables_of_the_paper(place: Place) -> None:
    uaci, npcr = (np.mean(column) for column in zip(*paper_tables.TABLE_3.values(), strict=True))
    assert (round(uaci, 3), round(npcr, 2)) == (33.465, 99.61), "as section 4.2 says"
    found = place.report()["paper"]
    assert found["table_3"]["IM-0001-0004"] == {"uaci": 33.55, "npcr": 99.61}
    assert found["table_4"]["IM-0001-0010"]["b"] == {
        "horizontal": -0.01232, "vertical": 0.0016, "diagonal": 0.011
    }


# --- reports


def test_what_is_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = Place(tmp_path, saved("PNG"))
    assert place.analyse(keys=1) == 0
    assert names(place.folder) == FILES
    said = capsys.readouterr()
    lines = said.out.splitlines()
    entropies = {line.split("  ")[0]: line for line in lines}
    shown = place.report()["paper"]["under_keys"]["b"]
    assert f"{shown['npcr']['mean']:.4f}" in entropies["paper, share b"]
    assert f"{shown['uaci']['mean']:.4f}" in entropies["paper, share b"]
    assert lines[-1] == f"report: {place.folder / 'report.html'}"
    assert said.err.splitlines() == [
        "measuring, profile paper, 1 key ...", "measuring, profile jpeg ..."
    ]
    page = (place.folder / "report.html").read_text()
    assert page.count("<svg") == 5 and page.count("<img") == 3 + 9 + 4 + 2
    for outside in ("http:", "https:", "<script", "url("):
        assert outside not in page
    assert "IM-0002-0022" in page and "The shares are noise" in page
    assert re.search(r"occulta-sim analyse shares \S+scan.png --keys 1 --seed 4 -o", page)


def test_json_is_what_the_file_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Place(tmp_path, saved("JPEG"), "scan.jpg")
    assert place.analyse("--json", keys=1) == 0
    assert json.loads(capsys.readouterr().out) == place.report()
    found = place.report()
    assert found["kind"] == "jpeg" and found["jpeg"]["quality"] is None
    assert found["jpeg"]["original_bytes"] == place.image.stat().st_size


def test_a_seed_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    for name, seed in (("one", 5), ("same", 5), ("other", 6)):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        Path("scan.png").write_bytes(saved("PNG"))
        line = ["analyse", "shares", "scan.png", "-o", "out", "--keys", "1", "--seed", str(seed)]
        assert main(line) == 0
        written.append([Path("out", each).read_bytes() for each in FILES])
    assert written[0] == written[1]
    assert all(one != other for one, other in zip(written[0], written[2], strict=True))


def test_a_flat_picture_has_no_correlation(tmp_path: Path) -> None:
    place = Place(tmp_path, pgm.encode(Raster(64, 48, bytes([9]) * 64 * 48)), "flat.pgm")
    assert place.analyse(keys=1) == 0
    found = place.report()["paper"]
    undefined = {"horizontal": None, "vertical": None, "diagonal": None}
    assert found["original"]["correlation"] == undefined
    assert found["original"]["entropy"] == 0.0
    assert found["shares"]["a"]["entropy"] > 7.9


# --- refusals


def refused(place: Place, number: int, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert place.analyse(*words) == number // 100
    said = capsys.readouterr()
    lines = [line for line in said.err.splitlines() if not line.startswith("measuring")]
    assert len(lines) == 2 and lines[0].startswith(f"error {number}: "), said
    assert lines[1].startswith("hint: ") and said.out == ""
    return lines[0]


DAMAGED = jpegs.encode(3, 64, 64, quality=90)
TWO = ("--roi", "0,0,20,20", "--roi", "10,10,20,20")


@pytest.mark.parametrize(("content", "number"), [
    (b"", 338), (b"no picture at all", 338), (pgm.encode(SCAN)[:-1], 338), (DAMAGED[:200], 338),
    (b"\xff\xd8", 338), (saved("PNG")[:100], 338),
])
def test_what_is_no_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, number: int
) -> None:
    place = Place(tmp_path, content)
    refused(place, number, capsys)
    assert names(tmp_path) == ["scan.png"]


@pytest.mark.parametrize(("keys", "is_said"), [(1, False), (3, True)])
def test_how_long_it_takes_is_said_after_the_first_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    keys: int, is_said: bool,
) -> None:
    monkeypatch.setattr(command, "_LONG", 1e-9)
    assert Place(tmp_path, pgm.encode(SCAN)).analyse(keys=keys) == 0
    found = re.findall(r"^2 more keys take about \d+ s, fewer with --keys", capsys.readouterr().err,
                       re.MULTILINE)
    assert len(found) == is_said


def test_what_a_profile_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = Place(tmp_path, pgm.encode(Raster(2, 2, bytes([1, 20, 35, 70]))))
    assert "profile paper: the watermark needs" in refused(place, 404, capsys)
    damaged = saved("JPEG")
    place.image.write_bytes(damaged[:-200] + bytes(40) + damaged[-160:])
    assert picture.read(str(place.image)).raster.width == 64, "Pillow sees nothing wrong"
    assert "profile jpeg: the entropy-coded data ends early" in refused(place, 302, capsys)
    assert names(place.folder) == []


def test_missing_and_unreadable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = Place(tmp_path, b"")
    place.image.unlink()
    refused(place, 329, capsys)
    place.image.mkdir()
    refused(place, 329, capsys)
    assert main(["analyse", "shares", "-", "-o", str(place.folder)]) == 2
    assert not place.folder.exists()


@pytest.mark.parametrize("words", [("--roi", "0,0,65,10"), ("--roi", "a"), TWO])
def test_regions_that_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    place = Place(tmp_path, saved("PNG"))
    refused(place, 209, capsys, *words)
    assert not place.folder.exists()


def test_too_many_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "MAX_PIXELS", 64 * 48 - 1)
    for kind in ("png", "jpeg"):
        place = Place(tmp_path, saved(kind), f"scan.{kind}")
        with pytest.raises(OccultaError, match="64 x 48 pixels are too many") as caught:
            picture.read(str(place.image))
        assert caught.value.reason is Reason.LIMIT_DIMENSIONS


def test_outputs_that_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = Place(tmp_path, saved("PNG"))
    place.folder.write_text("a file")
    refused(place, 600, capsys)
    place.folder.unlink()
    place.folder.mkdir()
    (place.folder / "report.json").write_text("theirs")
    refused(place, 205, capsys)
    assert names(place.folder) == ["report.json"]
    assert (place.folder / "report.json").read_text() == "theirs"


def test_an_error_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = Place(tmp_path, b"no picture")
    assert place.analyse("--json") == 3
    assert json.loads(capsys.readouterr().out)["error"] == 338


@pytest.mark.parametrize("words", [["--keys", "0"], ["--keys", "1001"], ["--seed", "-1"], ["--x"]])
def test_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert main(["analyse", "shares", str(tmp_path / "a.png"), *words]) == 2
    assert capsys.readouterr().err.startswith("error 200: occulta-sim")
