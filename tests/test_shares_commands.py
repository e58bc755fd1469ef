"""The commands of shares: protect, recover; files, folders, archives, verdicts, pictures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import jpegs
from tests.cli import Place, assert_error, call, names, run
from tests.holders import DAMAGED, UNSIGNED, Holders, assert_restored
from tests.shares_support import frame


@pytest.fixture
def place(tmp_path: Path) -> Holders:
    return Holders(tmp_path, frame())


def test_two_of_two(place: Holders) -> None:
    done = place.split()
    assert (done.status, done.err) == (0, "")
    assert names(place.work) == ["share-a.occ", "share-b.occ"]
    assert b"padding" in done.out
    assert place.share("a").stat().st_size < 1024
    report = assert_restored(
        place, place.join(place.share("b"), place.share("a")), "intact, unsigned")
    assert (report["scheme"], report["profile"]) == ("shares", "jpeg")
    assert report["altered_shares"] == []


def test_as_a_key_stream_in_real_processes(place: Holders) -> None:
    done = run("onboard", "protect", "-", "--scheme", "shares", "--key-stream", "--to",
               place.key("recipient.pub"), "-o", place.work, "--json", input=frame())
    assert (done.status, done.err) == (0, "")
    sizes = [share["bytes"] for share in done.json["shares"]]
    assert sizes[0] == sizes[1] == place.share("a").stat().st_size
    assert [share["form"] for share in done.json["shares"]] == ["stream", "cipher"]
    done = run("ground", "recover", place.work / "share-a.occ", place.work / "share-b.occ",
               "--key", place.key("recipient.key"), "-o", place.folder)
    assert_restored(place, done, "intact, unsigned")


def test_what_protect_says_for_machines(place: Holders) -> None:
    said = place.split("--json", "--holders", "2/3", "--sign", place.key("satellite.key")).json
    assert names(place.work) == ["share-a.occ", "share-b.occ", "share-c.occ"]
    assert (said["scheme"], said["profile"]) == ("shares", "jpeg")
    assert (said["threshold"], said["holders"], said["signed"]) == (2, 3, True)
    assert said["original_bytes"] == len(frame())
    for share in said["shares"]:
        assert Path(share["output"]).stat().st_size == share["bytes"]
        overhead = share["bytes"] - len(frame()) - said["padding_bytes"]
        assert 0 < overhead < 4 * 28 * 20 + 64 * said["segments"] + 1024


@pytest.mark.parametrize(("options", "is_said"), [
    ([], True), (["--holders", "2/2"], True), (["--holders", "2/3"], False),
])
def test_that_no_share_may_be_lost_is_said(
    place: Holders, options: list[str], is_said: bool
) -> None:
    line = b"all shares are needed: lose one, and the picture is lost\n"
    assert (line in place.split(*options).out) is is_said


@pytest.mark.parametrize("pair", ["ab", "ca", "bc", "abc"])
def test_k_of_n_and_authentic(pair: str, place: Holders) -> None:
    place.split("--holders", "2/3", "--sign", place.key("satellite.key"))
    satellite = ("--satellite", place.key("satellite.pub"))
    done = place.join(*map(place.share, pair), extra=satellite)
    assert assert_restored(place, done, "intact, authentic")["authentic"]


def test_a_signature_that_is_asked_for_must_be_there(place: Holders) -> None:
    place.split()
    done = place.join(
        place.share("a"), place.share("b"), extra=("--satellite", place.key("satellite.pub")))
    assert_error(done, 503, "missing")
    assert names(place.folder) == ["report.json"]
    assert not place.report()["authentic"]


def test_a_foreign_signature(place: Holders) -> None:
    place.split("--sign", place.key("foreign.key"))
    done = place.join(
        place.share("a"), place.share("b"), extra=("--satellite", place.key("satellite.pub")))
    assert_error(done, 503, "not that of a satellite given")
    assert names(place.folder) == ["report.json"]


# --- damage


@pytest.mark.parametrize("form", [[], ["--key-stream"]])
def test_damage_is_located_and_drawn(form: list[str], place: Holders) -> None:
    place.split(*form, "--sign", place.key("satellite.key"))
    letter = "a" if form else "b"
    place.spoil(letter, 45_000)
    done = place.join(place.share("a"), place.share("b"))
    assert_error(done, 507, f"share {letter} was altered")
    assert names(place.folder) == DAMAGED
    report = place.report()
    assert report["error"]["number"] == 507
    assert (report["intact"], report["authentic"]) == (False, None)
    assert report["altered_shares"] == [f"share {letter}"]
    damage = report["damage"]
    assert damage["grid"] == [28, 20]
    assert 0 < damage["cells"] == sum(length for _, _, length in damage["runs"]) < 28 * 20 / 2
    assert damage["runs_left_out"] == 0
    assert damage["located"] == damage["altered"][f"share {letter}"]
    assert report["pictures"] == ["carrier.partial.jpg", "tamper.png"]


def test_padding_altered_leaves_the_whole_picture_under_another_name(place: Holders) -> None:
    place.split()
    place.spoil("b", place.share("b").stat().st_size - 200)
    done = place.join(place.share("a"), place.share("b"))
    assert_error(done, 507, "the picture itself could be restored")
    assert names(place.folder) == DAMAGED
    assert (place.folder / "carrier.partial.jpg").read_bytes() == frame()
    assert place.report()["damage"]["digest_matches"]


def test_no_picture_without_its_headers(place: Holders) -> None:
    place.split()
    data = place.share("b").read_bytes()
    place.share("b").write_bytes(data[:-(len(data) // 1024 * 1024)] + data[1024 * 2 :])
    done = place.join(place.share("a"), place.share("b"))
    said = "segments 0, 1 are damaged; no place in the picture can be told"
    assert_error(done, 507, f"share b was altered: {said}")
    assert names(place.folder) == ["report.json"]
    assert place.report()["damage"]["head_lost"]


def test_one_share_makes_good_another(place: Holders) -> None:
    place.split("--holders", "2/3")
    place.spoil("a", 40_000)
    place.spoil("c", 75_000)
    done = place.join(*map(place.share, "abc"))
    report = assert_restored(place, done, UNSIGNED, "made good: share a, share c")
    assert report["altered_shares"] == ["share a", "share c"]


def test_a_spoilt_header_is_left_out(place: Holders) -> None:
    place.split("--holders", "2/3")
    place.spoil("b", 60)
    report = assert_restored(place, place.join(*map(place.share, "abc")), "intact")
    assert report["altered_shares"] == [str(place.share("b"))]
    assert_error(place.join(place.share("b"), place.share("a")), 205, "carrier.jpg")


# --- refusals


def test_refused_by_number(place: Holders, tmp_path: Path) -> None:
    place.split()
    a, b = place.share("a"), place.share("b")
    assert_error(place.join(a), 336, "2 of 2")
    assert_error(place.join(a, a, b), 335, "share a is given twice")
    assert_error(place.join(a, b, key="other.key"), 500)
    assert_error(place.join(a, place.image), 332, "scene.jpg")
    other = Holders(tmp_path / "other", frame()) if (tmp_path / "other").mkdir() is None else place
    other.split()
    assert_error(place.join(a, other.share("b")), 334)
    assert_error(place.join(a, tmp_path / "nothing.occ"), 329)
    assert_error(place.join(place.root / "keys"), 329, "holds no share")
    assert names(place.folder) == ["report.json"]
    assert place.report()["error"]["number"] == 329


WRONG = {
    "private data": ["--private", "x"],
    "a profile of another scheme": ["--profile", "exact"],
    "one holder": ["--holders", "1/1"],
    "too many": ["--holders", "2/17"],
    "no fraction": ["--holders", "3"],
    "more than all": ["--holders", "4/3"],
    "a key stream for many": ["--holders", "2/3", "--key-stream"],
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_use(case: str, place: Holders) -> None:
    assert_error(place.split(*WRONG[case]), 200)
    assert names(place.work) == []


@pytest.mark.parametrize("text", ["1,2,3", "a,b,c,d", "1,2,0,4", "1,2,3,70000", "-1,2,3,4", ""])
def test_wrong_regions(text: str, place: Holders) -> None:
    assert_error(place.split(f"--roi={text}"), 209)
    assert_error(place.split(*["--roi=0,0,9,9"] * 17), 209, "at most 16")
    assert names(place.work) == []


def test_options_of_shares_for_another_scheme(place: Holders) -> None:
    assert_error(place.protect("--holders", "2/3"), 200, "shares")
    assert_error(place.protect("--profile", "jpeg"), 200, "jpeg")
    place.assert_nothing_marked()


def test_standard_output_is_no_folder(place: Holders) -> None:
    place.split()
    assert_error(place.split("-o", "-"), 200, "folder")
    done = call("ground", "recover", place.share("a"), place.share("b"), "--key",
                place.key("recipient.key"), "-o", "-")
    assert_error(done, 200, "folder")


def test_nothing_is_left_of_a_failed_split(place: Holders) -> None:
    place.image.write_bytes(frame()[:-2000])
    done = place.split()
    assert done.status == 3
    assert names(place.work) == []


def test_shares_that_exist_are_kept(place: Holders) -> None:
    place.split()
    before = place.share("b").read_bytes()
    place.share("a").unlink()
    assert_error(place.split(), 205, "share-b.occ")
    assert names(place.work) == ["share-b.occ"]
    assert place.share("b").read_bytes() == before


def test_regions_of_interest(place: Holders) -> None:
    place.split()
    whole = place.share("b").stat().st_size
    for letter in "ab":
        place.share(letter).unlink()
    place.split("--roi", "0,0,64,64", "--roi", "100,100,20,20")
    assert place.share("b").stat().st_size < whole
    assert_restored(place, place.join(place.share("a"), place.share("b")), "intact")


# --- where shares lie


def test_archives_and_folders_in_any_mixture(place: Holders) -> None:
    place.split("--holders", "3/4")
    first = place.archive("a", "d")
    second = place.archive("b", "a")
    product = second / "products" / f"{0:032x}"
    foreign = first / "products" / "f"
    foreign.mkdir()
    (foreign / "received.occ").write_bytes(b"something else")
    report = assert_restored(place, place.join(place.share("c"), product, first), "intact")
    assert report["shares"] == ["share a", "share b", "share c", "share d"]


def test_an_archive_alone(place: Holders) -> None:
    place.split()
    assert_restored(place, place.join(place.archive("a", "b")), "intact")


def test_an_archive_gives_only_what_belongs_to_the_others(place: Holders) -> None:
    place.split()
    archive = place.archive("b")
    for letter in "ab":
        place.share(letter).unlink()
    place.split()
    other = archive / "products" / "0f"
    other.mkdir()
    (other / "received.occ").write_bytes(place.share("b").read_bytes())
    assert_restored(place, place.join(place.share("a"), archive), "intact")
    assert_error(call("ground", "recover", archive, "--key", place.key("recipient.key"),
                      "-o", place.root / "there"), 334)


def test_a_marked_file_still_recovers(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.protect()
    assert place.recover().status == 0
    place.assert_recovered()
    assert_error(place.recover("--scheme", "shares", output=tmp_path / "there"), 332)
    done = call("ground", "recover", place.marked, place.marked, "--scheme", "reversible",
                "--key", place.key("recipient.key"), "-o", tmp_path / "other")
    assert_error(done, 200, "one marked file")


def test_a_progressive_picture(tmp_path: Path) -> None:
    place = Holders(tmp_path, jpegs.encode(3, 320, 240, quality=95, progressive=True))
    place.split()
    place.spoil("b", 40_000)
    done = place.join(place.share("a"), place.share("b"), extra=("--json",))
    assert done.status == 5
    assert json.loads(done.out)["error"] == 507
    assert names(place.folder) == ["carrier.partial.jpg", "report.json"]
    kept = (place.folder / "carrier.partial.jpg").read_bytes()
    assert kept == place.image.read_bytes()[: 32 << 10]
    assert place.report()["damage"]["coarse"] == [1]
