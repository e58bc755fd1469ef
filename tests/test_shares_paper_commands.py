"""The commands for the `paper` profile: what they write, say and refuse."""

import argparse
import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import ground.rasters
import onboard.rasters
from occulta.codec.crypto import SigningKey
from occulta.errors import OccultaError, Reason
from occulta.program import pgm, rasters
from occulta.program.keyfiles import encode_key
from occulta.schemes.shares import paper, paper_parameters
from occulta.schemes.shares.paper_parameters import digest_of
from occulta.schemes.shares.paper_recover import recover as restore
from occulta.schemes.shares.raster import Box, Raster
from tests.cli import FOREIGN, assert_error, call, names
from tests.paper_world import altered, picture, refuses, with_share
from tests.support import KEY, OTHER_KEY, SATELLITE

PICTURE = picture()
AT = 20 * 64 + 20
WRITTEN = ["parameters.occ", "share-a.png", "share-b.png"]
ROIS = ["8,8,40,32"]


class Place:
    """A folder with keys and an image, and the two commands."""

    def __init__(self, root: Path, kind: str = "png") -> None:
        self.root, self.shares, self.folder = root, root / "shares", root / "recovered"
        self.image = root / f"scan.{kind}"
        self.kind = rasters.written_kind(kind)
        content = pgm.encode(PICTURE) if kind == "pgm" else _saved(kind)
        self.image.write_bytes(content)
        pairs = {"recipient": KEY, "other": OTHER_KEY, "satellite": SATELLITE, "foreign": FOREIGN}
        for name, key in pairs.items():
            (root / f"{name}.key").write_bytes(encode_key(key))
            (root / f"{name}.key").chmod(0o600)
            (root / f"{name}.pub").write_bytes(encode_key(key.public))

    def protect(self, **other: Any) -> str:
        options = {
            "image": str(self.image), "roi": ROIS, "to": [str(self.root / "recipient.pub")],
            "sign": None, "output": self.shares, "json": False,
        }
        return _said(onboard.rasters.protect, options | other)

    def recover(self, *files: Path, **other: Any) -> str:
        options = {
            "shares": [str(each) for each in files or self.pair], "satellite": [], "scheme": None,
            "key": str(self.root / "recipient.key"), "output": self.folder, "json": False,
        }
        return _said(ground.rasters.recover, options | other)

    @property
    def pair(self) -> list[Path]:
        return [self.shares / f"share-{name}.{self.kind}" for name in "ab"]

    @property
    def report(self) -> Any:
        return json.loads((self.folder / "report.json").read_text())

    def tamper(self, index: int, changes: dict[int, int]) -> None:
        path = self.pair[index]
        raster, kind = rasters.read(str(path))
        path.write_bytes(rasters.encode(altered(raster, changes), kind))


def _saved(kind: str) -> bytes:
    out = io.BytesIO()
    Image.frombytes("L", (64, 48), PICTURE.pixels).save(out, kind)
    return out.getvalue()


def _said(command: Any, options: dict[str, Any]) -> str:
    with redirect_stdout(io.StringIO()) as out:
        assert command(argparse.Namespace(**options)) == 0
    return out.getvalue()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.protect()
    return made


@pytest.mark.parametrize("kind", ["pgm", "png", "tiff"])
def test_there_and_back(tmp_path: Path, kind: str) -> None:
    place = Place(tmp_path, kind)
    said = place.protect()
    written = sorted([*(path.name for path in place.pair), "parameters.occ"])
    assert names(place.shares) == written
    assert "64 x 48 pixels, paper, not signed" in said
    assert place.recover() == "intact, unsigned: 64 x 48 pixels, paper\n"
    assert names(place.folder) == [f"carrier.{place.kind}", "report.json"]
    assert rasters.read(str(place.folder / f"carrier.{place.kind}"))[0] == PICTURE
    report = place.report
    assert report["intact"] and report["authentic"] is None and "error" not in report
    assert (report["origin"], report["signed"]) == ("not checked", False)
    assert (report["altered_shares"], report["pictures"]) == ([], [])
    assert report["raster_sha256"] == digest_of(PICTURE).hex()
    assert (report["scheme"], report["profile"]) == ("shares", "paper")
    assert report["regions"] == [[8, 8, 40, 32]]


def test_the_command_lines(tmp_path: Path) -> None:
    place = Place(tmp_path)
    done = call(
        "onboard", "protect", place.image, "--scheme", "shares", "--profile", "paper",
        "--roi", "8,8,40,32", "--to", tmp_path / "recipient.pub", "-o", place.shares,
    )
    assert (done.status, names(place.shares)) == (0, WRITTEN), done
    to_recover = (*place.pair, "--key", tmp_path / "recipient.key")
    done = call("ground", "recover", *to_recover, "-o", place.folder)
    assert (done.status, names(place.folder)) == (0, ["carrier.png", "report.json"]), done
    place.tamper(0, {AT: 0x80})
    done = call("ground", "recover", *to_recover, "-o", tmp_path / "again")
    assert_error(done, 507, "share a was altered")


def test_the_pgm_comes_back_byte_for_byte(tmp_path: Path) -> None:
    place = Place(tmp_path, "pgm")
    place.protect(roi=None)
    place.recover()
    assert (place.folder / "carrier.pgm").read_bytes() == place.image.read_bytes()


def test_json(tmp_path: Path) -> None:
    place = Place(tmp_path)
    said = json.loads(place.protect(json=True, roi=["0,0,16,16", "16,0,10,10"]))
    assert (said["profile"], sorted(said["files"])) == ("paper", WRITTEN)
    assert said["regions"] == [[0, 0, 16, 16], [16, 0, 10, 10]]
    assert json.loads(place.recover(json=True)) == place.report


def test_parameters_given_in_any_place(place: Place, tmp_path: Path) -> None:
    elsewhere = tmp_path / "held.bin"
    (place.shares / "parameters.occ").rename(elsewhere)
    place.recover(elsewhere, *place.pair)
    assert place.report["intact"]


def test_signed_and_known(tmp_path: Path) -> None:
    place = Place(tmp_path)
    assert ", signed" in place.protect(sign=str(tmp_path / "satellite.key"))
    known = [str(tmp_path / "foreign.pub"), str(tmp_path / "satellite.pub")]
    assert place.recover(satellite=known).startswith("intact, authentic:")
    assert place.report["authentic"]
    again = tmp_path / "again"
    assert place.recover(output=again).startswith("intact, signature not checked:")


@pytest.mark.parametrize("sign", [None, "satellite.key"])
def test_a_signature_that_is_not_there(tmp_path: Path, sign: str | None) -> None:
    place = Place(tmp_path)
    place.protect(sign=sign and str(tmp_path / sign))
    known = [str(tmp_path / "foreign.pub")]
    refuses(Reason.SIGNATURE_BROKEN, lambda: place.recover(satellite=known))
    assert names(place.folder) == ["report.json"]
    assert place.report["error"]["number"] == 503


def test_pictures_of_damage_go_once_the_right_share_came(place: Place) -> None:
    place.tamper(0, {AT: 0x80})
    refuses(Reason.FRAME_DAMAGED, place.recover)
    place.tamper(0, {AT: 0x80})
    assert place.recover().startswith("intact")
    assert names(place.folder) == ["carrier.png", "report.json"]


@pytest.mark.parametrize(("index", "name"), [(0, "a"), (1, "b")])
def test_an_altered_share(place: Place, index: int, name: str) -> None:
    place.tamper(index, {AT: 0x80})
    refuses(
        Reason.FRAME_DAMAGED, place.recover, f"share {name} was altered: 1 of 6 blocks"
    )
    assert names(place.folder) == ["carrier.partial.png", "report.json", "tamper.png"]
    report = place.report
    assert not report["intact"] and report["authentic"] is report["raster_sha256"] is None
    assert report["error"]["number"] == 507
    assert "carrier.partial.png, tamper.png; fetch the altered" in report["error"]["hint"]
    assert report["altered_shares"] == [f"share {name}"]
    assert report["pictures"] == ["carrier.partial.png", "tamper.png"]
    assert report["damage"] == {
        "digest_matches": False, "blocks_in_regions": 6, "blocks": [[8, 8, 16, 16]],
        "blocks_not_verified": [], "outside_altered": None, "outside_box": None,
        "strangers": [],
    }
    colour = {"a": (255, 0, 0), "b": (0, 0, 255)}[name]
    with Image.open(place.folder / "tamper.png") as image:
        assert image.getpixel((8, 8)) == image.getpixel((23, 23)) == colour
    partial, _ = rasters.read(str(place.folder / "carrier.partial.png"))
    assert set(partial.cut(Box(8, 8, 16, 16))) == {128}
    assert partial.cut(Box(24, 8, 16, 16)) == PICTURE.cut(Box(24, 8, 16, 16))
    assert set(partial.cut(Box(0, 0, 64, 8))) == {128}


def test_a_signed_image_is_not_authentic_once_altered(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.protect(sign=str(tmp_path / "satellite.key"))
    place.tamper(0, {AT: 0x80})
    known = [str(tmp_path / "satellite.pub")]
    refuses(Reason.FRAME_DAMAGED, lambda: place.recover(satellite=known))
    assert place.report["authentic"] is False
    assert place.report["origin"] == "verified"


def a_watermark_bit(place: Place) -> dict[int, int]:
    """A change of share b that leaves the picture as it is."""
    shares = paper.Shares(*(rasters.read(str(path))[0] for path in place.pair))
    data = (place.shares / "parameters.occ").read_bytes()
    parameters, _ = paper_parameters.open_sealed(data, KEY)
    for at in range(10 * 64, 64 * 48):
        found = restore(with_share(shares, 1, {at: 1}), parameters).damage
        if found is not None and found.restored:
            return {at: 1}
    raise AssertionError("no watermark bit found")


@pytest.mark.parametrize("is_known", [True, False])
def test_a_picture_that_is_right_is_authentic_though_a_share_was_altered(
    tmp_path: Path, is_known: bool
) -> None:
    place = Place(tmp_path)
    place.protect(sign=str(tmp_path / "satellite.key"))
    place.tamper(1, a_watermark_bit(place))
    known = [str(tmp_path / "satellite.pub")] if is_known else []
    signed = ", as the satellite signed it" if is_known else ""
    refuses(
        Reason.FRAME_DAMAGED, lambda: place.recover(satellite=known),
        f"share b was altered: the picture itself could be restored{signed}, ",
    )
    report = place.report
    assert report["intact"] is False and report["error"]["number"] == 507
    assert report["altered_shares"] == ["share b"] and report["damage"]["digest_matches"]
    assert report["raster_sha256"] == digest_of(PICTURE).hex()
    said = (True, "verified") if is_known else (None, "not checked")
    assert (report["authentic"], report["origin"]) == said
    assert rasters.read(str(place.folder / "carrier.partial.png"))[0] == PICTURE


def test_shares_that_do_not_belong_together_are_not_authentic(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.protect(sign=str(tmp_path / "satellite.key"))
    a, b = place.pair
    refuses(
        Reason.SHARES_MIXED,
        lambda: place.recover(b, a, satellite=[str(tmp_path / "satellite.pub")]),
    )
    assert (place.report["authentic"], place.report["origin"]) == (False, "verified")


def test_both_shares_altered_and_outside(place: Place) -> None:
    place.tamper(0, {AT: 0x80})
    place.tamper(1, {AT: 0x80, 0: 0x80})
    refuses(Reason.FRAME_DAMAGED, place.recover, "share a, share b were altered: 1 of 6 blocks")
    assert place.report["altered_shares"] == ["share a", "share b"]


def test_blocks_that_cannot_be_verified_are_said_and_outlined_in_yellow(place: Place) -> None:
    """The lower halves of both shares, by changes that leave many pixels possible."""
    for index in (0, 1):
        place.tamper(index, dict.fromkeys(range(24 * 64, 48 * 64), 1 + index))
    refuses(Reason.FRAME_DAMAGED, place.recover, "share a, share b were altered: ")
    report = place.report
    (x, y, width, height), *more = report["damage"]["blocks_not_verified"]
    assert f"{1 + len(more)} more cannot be verified" in report["error"]["detail"]
    with Image.open(place.folder / "tamper.png") as image:
        assert image.getpixel((x, y)) == (255, 255, 0)
    partial, _ = rasters.read(str(place.folder / "carrier.partial.png"))
    assert set(partial.cut(Box(x, y, width, height))) == {128}


def test_an_altered_pgm_share_without_pillow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path, "pgm")
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    place.protect()
    place.tamper(1, {AT: 0x80})
    refuses(Reason.FRAME_DAMAGED, place.recover)
    assert names(place.folder) == ["carrier.partial.pgm", "report.json", "tamper.pgm"]


# --- refusals


def refused(place: Place, reason: Reason, *files: Path, **other: Any) -> None:
    """Nothing but the report, which says why."""
    refuses(reason, lambda: place.recover(*files, **other))
    assert names(place.folder) == ["report.json"]
    assert place.report["error"]["number"] == reason.value
    assert not place.report["intact"]


def test_swapped_and_repeated_shares(place: Place) -> None:
    a, b = place.pair
    refused(place, Reason.SHARES_MIXED, b, a)
    refuses(Reason.USAGE, lambda: place.recover(a, b, b))
    copy = place.root / "copy.png"
    copy.write_bytes(a.read_bytes())
    refused(place, Reason.SHARE_TWICE, a, copy, place.shares / "parameters.occ")


def test_one_share_is_too_few(place: Place) -> None:
    refuses(Reason.TOO_FEW_SHARES, lambda: place.recover(place.pair[0]))
    refuses(
        Reason.TOO_FEW_SHARES,
        lambda: place.recover(place.pair[1], place.shares / "parameters.occ"),
    )


def test_shares_of_two_images(place: Place) -> None:
    second = place.root / "second"
    place.protect(output=second)
    refused(place, Reason.SHARES_OF_DIFFERENT_SETS, *place.pair, second / "parameters.occ")
    refuses(
        Reason.FRAME_DAMAGED, lambda: place.recover(place.pair[0], second / "share-b.png"),
        "share b was altered: 6 of 6 blocks",
    )
    assert place.report["error"]["hint"].endswith("; share b may be of another picture")
    assert place.report["damage"]["strangers"] == ["share b"]


def test_a_share_of_another_size(place: Place) -> None:
    place.pair[1].write_bytes(rasters.encode(Raster(64, 47, bytes(64 * 47)), "png"))
    refused(place, Reason.SHARE_SIZE)


def test_a_wrong_key(place: Place) -> None:
    refused(place, Reason.WRONG_KEY, key=str(place.root / "other.key"))


def test_parameters_that_are_none(place: Place) -> None:
    (place.shares / "parameters.occ").unlink()
    refuses(Reason.PARAMETERS_MISSING, place.recover)
    refuses(Reason.TOO_FEW_SHARES, lambda: place.recover(place.image))
    broken = place.root / "broken.occ"
    broken.write_bytes(b"\x0c\xc1\x06\x01" + bytes(200))
    refused(place, Reason.SEAL_BROKEN, *place.pair, broken)


def test_a_share_that_is_no_image_any_more(place: Place) -> None:
    data = place.pair[0].read_bytes()
    place.pair[0].write_bytes(data[: len(data) // 2])
    refused(place, Reason.BAD_RASTER)


def test_nothing_is_overwritten(place: Place) -> None:
    refuses(Reason.OUTPUT_EXISTS, place.protect)
    place.recover()
    refuses(Reason.OUTPUT_EXISTS, place.recover)


@pytest.mark.parametrize(
    "roi", ["", "1,2,3", "1,2,3,4,5", "a,2,3,4", "-1,0,4,4", "1.5,0,4,4", "0,0,99999999999,4"]
)
def test_regions_that_are_none(place: Place, roi: str) -> None:
    output = place.root / "other"
    refuses(Reason.BAD_REGION, lambda: place.protect(roi=[roi], output=output))
    assert not output.exists()


def test_an_image_that_does_not_fit(place: Place) -> None:
    place.image.write_bytes(pgm.encode(Raster(1, 1, b"\0")))
    output = place.root / "other"
    with pytest.raises(OccultaError) as caught:
        place.protect(roi=None, output=output)
    assert caught.value.reason.exit_code == 4
    assert not output.exists()


@pytest.mark.parametrize("command", ["protect", "recover"])
def test_several_files_do_not_go_to_standard_output(place: Place, command: str) -> None:
    refuses(Reason.USAGE, lambda: getattr(place, command)(output="-"))


def test_shares_do_not_come_from_standard_input(place: Place) -> None:
    refuses(Reason.USAGE, lambda: place.recover(place.pair[0], Path("-")))


def test_a_signing_key_is_made_for_this(place: Place) -> None:
    assert isinstance(SATELLITE, SigningKey)
    wrong = str(place.root / "recipient.key")
    refuses(Reason.KEY_KIND, lambda: place.protect(sign=wrong, output=place.root / "other"))
