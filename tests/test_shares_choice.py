"""What one holder puts into its folder or archive has no say over what lies elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ground.sharechoice import MOST_FOUND
from occulta.codec.crypto import SigningKey
from tests import jpegs
from tests.cli import FOREIGN, assert_error
from tests.holders import UNSIGNED, Holders, assert_restored
from tests.shares_support import flipped, frame, make, split
from tests.test_shares_where import SET_ID, archive_of, few_open_files, strangers

OTHER_INDEX = 6
"""Where the index of a share stands."""


@pytest.fixture
def place(tmp_path: Path) -> Holders:
    made = Holders(tmp_path, frame())
    assert made.split("--holders", "2/3").status == 0
    return made


def data(place: Holders, letter: str) -> bytes:
    return place.share(letter).read_bytes()


def versions(share: bytes, count: int) -> list[bytes]:
    """Different copies of one share, all with its header."""
    return [share[:600] + bytes([number]) for number in range(count)]


def folder_of(root: Path, *shares: bytes) -> Path:
    root.mkdir()
    for number, share in enumerate(shares):
        (root / f"share-{number:03}.occ").write_bytes(share)
    return root


def another_frame(place: Holders, *extra: str) -> Holders:
    (place.root / "other").mkdir()
    other = Holders(place.root / "other", frame())
    assert other.split(*extra).status == 0
    return other


@pytest.mark.parametrize("make", [archive_of, folder_of])
@pytest.mark.parametrize("others", ["files", "a folder", "archives"])
def test_many_versions_of_one_share(make, others: str, place: Holders) -> None:
    hostile = make(place.root / "hostile", *versions(data(place, "a"), MOST_FOUND + 3))
    given = {
        "files": [place.share("b"), place.share("c")],
        "a folder": [folder_of(place.root / "good", data(place, "b"), data(place, "c"))],
        "archives": [place.archive("b"), place.archive("c")],
    }[others]
    for at, order in enumerate(([hostile, *given], [*given, hostile])):
        place.folder = place.root / f"out-{at}"
        with few_open_files(20):
            done = place.join(*order)
        report = assert_restored(place, done, UNSIGNED)
        assert report["altered_shares"] == ["share a"]
        assert report["verdict"].endswith(" and 56 more")
        assert f"3 more in {hostile}" in report["set_aside"]
        assert len(report["set_aside"]) == MOST_FOUND


def test_many_strangers_beside_a_whole_set(place: Holders) -> None:
    hostile = archive_of(place.root / "hostile", *strangers(data(place, "a"), MOST_FOUND + 1))
    report = assert_restored(place, place.join(hostile, place.archive("b", "c")), "intact")
    assert report["set_aside"][-1] == f"1 more in {hostile}"
    assert len(report["set_aside"]) == MOST_FOUND + 1


def test_of_too_many_those_that_may_be_whole_come_first(place: Holders) -> None:
    """One archive of many frames; of one of them the other share lies in a folder."""
    many = strangers(data(place, "a"), 90)
    archive = archive_of(place.root / "archive", *many[:80], data(place, "a"), *many[80:])
    good = folder_of(place.root / "good", data(place, "b"))
    report = assert_restored(place, place.join(archive, good), "intact")
    assert report["shares"] == ["share a", "share b"]
    assert report["set_aside"][-1] == f"27 more in {archive}"


def test_of_many_whole_frames_none_is_chosen_by_chance(place: Holders) -> None:
    pairs = [strangers(data(place, letter), 70) for letter in "ab"]
    first, second = (archive_of(place.root / f"archive-{at}", *each, data(place, letter))
                     for at, (each, letter) in enumerate(zip(pairs, "ab", strict=True)))
    assert_error(place.join(first, second), 334, "shares of 71 frames")
    assert_restored(place, place.join(place.share("b"), first, second), "intact")


@pytest.mark.parametrize("form", [[], ["--holders", "2/3"]])
def test_a_named_file_that_claims_to_be_another_share(form: list[str], tmp_path: Path) -> None:
    """Nor does what a file says of itself keep out what a folder or an archive holds."""
    place = Holders(tmp_path, frame())
    place.split(*form)
    false = place.root / "false.occ"
    false.write_bytes(flipped(data(place, "b"), 40))
    folder = folder_of(place.root / "good", data(place, "a"), data(place, "b"))
    done = place.join(place.share("a"), false, folder)
    assert_restored(place, done, UNSIGNED, f"set aside: {false}")
    place.folder = place.root / "again"
    done = place.join(place.share("a"), false, place.archive("b"))
    assert_restored(place, done, UNSIGNED, f"set aside: {false}")


@pytest.mark.parametrize("form", [[], ["--holders", "2/3"]])
def test_a_stray_share_beside_a_whole_set(form: list[str], tmp_path: Path) -> None:
    """As among files: the whole frame is restored, the stray set aside by name."""
    place = Holders(tmp_path, frame())
    place.split(*form)
    stray = another_frame(place, *form).share("a")
    verdict = f"set aside: {stray}"
    for at, given in enumerate(([stray, place.share("a"), place.share("b")],
                                [stray, place.work], [place.work, stray])):
        place.folder = place.root / f"out-{at}"
        report = assert_restored(place, place.join(*given), UNSIGNED, verdict)
        assert report["set_aside"] == [str(stray)]
    inside = place.work / "share-z.occ"
    inside.write_bytes(stray.read_bytes())
    place.folder = place.root / "out-inside"
    verdict = f"set aside: {inside}"
    assert_restored(place, place.join(place.work), UNSIGNED, verdict)


ELSEWHERE = "taken from elsewhere: of the shares named no frame is whole"


def test_a_named_share_of_another_frame_keeps_nobody_out(place: Holders) -> None:
    """It chooses among the frames of an archive, unless its own is not whole."""
    other = another_frame(place, "--holders", "2/3")
    stray, archive = other.share("a"), place.archive("a", "b")
    done = place.join(stray, archive)
    report = assert_restored(place, done, UNSIGNED, ELSEWHERE, f"set aside: {stray}")
    assert (report["chosen"], report["set_aside"]) == (ELSEWHERE, [str(stray)])
    assert report["set_id"] == data(place, "a")[SET_ID : SET_ID + 16].hex()
    place.folder = place.root / "again"
    report = assert_restored(place, place.join(stray, archive, other.archive("b")), UNSIGNED)
    assert (report["chosen"], report["set_aside"]) == (None, [])
    assert report["set_id"] == data(other, "a")[SET_ID : SET_ID + 16].hex()


@pytest.mark.parametrize("beside", [[], ["a"]])
def test_a_named_share_with_an_altered_set_id(beside: list[str], place: Holders) -> None:
    """Only a header that opens chooses the frame."""
    bad = place.root / "bad.occ"
    mine = data(place, "c")
    bad.write_bytes(mine[:SET_ID] + b"evil" + mine[SET_ID + 4 :])
    given = [bad, *map(place.share, beside), place.archive("a"), place.archive("b")]
    report = assert_restored(place, place.join(*given), UNSIGNED, f"set aside: {bad}")
    assert (report["chosen"], report["shares"]) == (None, ["share a", "share b"])


def test_of_several_whole_frames_that_with_most_of_the_named_shares(place: Holders) -> None:
    other = another_frame(place, "--holders", "2/3")
    two, three = [other.share(letter) for letter in "ab"], [place.share(each) for each in "abc"]
    chosen = "one of 2 whole frames: most of the shares named are of it"
    aside = f"set aside: {two[0]}, {two[1]}"
    assert_restored(place, place.join(*two, *three), UNSIGNED, chosen, aside)
    place.folder = place.root / "again"
    assert_error(place.join(*two, *three[:2]), 334, "the shares are of different frames")
    copies = [place.root / f"copy-{at}.occ" for at in range(2)]
    for path in copies:
        path.write_bytes(two[0].read_bytes())
    assert_error(place.join(*two, *copies, *three[:2]), 334)


def test_two_whole_frames_in_a_folder_are_refused(place: Holders) -> None:
    other = another_frame(place)
    both = folder_of(place.root / "both", data(place, "a"), data(place, "b"),
                     data(other, "a"), data(other, "b"))
    assert_error(place.join(both), 334, "the shares are of different frames")


@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_what_cannot_be_read_in_a_folder_keeps_nobody_out(kind: str, place: Holders) -> None:
    bad = place.work / "share-0.occ"
    if kind == "pipe":
        os.mkfifo(bad)
    elif kind == "link":
        bad.symlink_to(place.root / "nowhere")
    else:
        bad.mkdir()
    report = assert_restored(place, place.join(place.work), UNSIGNED, f"set aside: {bad}")
    assert report["set_aside"] == [str(bad)]


@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_a_product_that_cannot_be_read_keeps_nobody_out(kind: str, place: Holders) -> None:
    product = place.root / "product"
    product.mkdir()
    bad = product / "received.occ"
    if kind == "pipe":
        os.mkfifo(bad)
    elif kind == "link":
        bad.symlink_to(place.root / "nowhere")
    else:
        bad.mkdir()
    done = place.join(place.share("a"), product, place.share("b"))
    assert_restored(place, done, UNSIGNED, f"set aside: {bad}")
    place.folder = place.root / "alone"
    assert_error(place.join(product), 329, str(bad))


def test_claims_to_be_other_shares_of_the_frame(place: Holders) -> None:
    """Clear fields are anybody's to write: they fill no place that another holder's share takes."""
    mine = data(place, "a")
    claims = [mine[:OTHER_INDEX] + bytes([index]) + mine[OTHER_INDEX + 1 : 500] + bytes([at])
              for at in range(30) for index in range(3)]
    hostile = archive_of(place.root / "hostile", *claims)
    given = [hostile, place.archive("b"), place.archive("c")]
    report = assert_restored(place, place.join(*given), "intact")
    assert "share b" in report["shares"] and "share c" in report["shares"]
    assert report["set_id"] == mine[SET_ID : SET_ID + 16].hex()


def forged(place: Holders, letter: str, count: int) -> list[bytes]:
    """A whole set of a holder's own making, with the set's id that stands in its share."""
    set_id = data(place, letter)[SET_ID : SET_ID + 16]
    picture = jpegs.encode(9, 64, 48)
    return list(split(picture, make("threshold", set_id=set_id)))[:count]


def test_a_whole_set_of_a_holders_own_making(tmp_path: Path) -> None:
    """It may be what is wanted, as far as anybody can tell; a share that is named decides."""
    place = Holders(tmp_path, frame())
    place.split("--holders", "2/3")
    hostile = archive_of(place.root / "hostile", data(place, "a"), *forged(place, "a", 3))
    done = place.join(hostile, place.archive("b"), place.archive("c"))
    assert_error(done, 337, "the shares are of different forms or keys")
    assert "hint: name a share file of the frame that is wanted" in done.err
    report = assert_restored(place, place.join(place.share("b"), hostile), UNSIGNED)
    assert report["shares"] == ["share a", "share b"]


@pytest.mark.parametrize("own", [None, FOREIGN])
def test_of_several_whole_sets_the_signed_one(own: SigningKey | None, tmp_path: Path) -> None:
    """Archives alone are enough, whatever a holder puts into its own."""
    place = Holders(tmp_path, frame())
    place.split("--holders", "2/3", "--sign", place.key("satellite.key"))
    good = place.archive("b")
    for at, set_id in enumerate((data(place, "a")[SET_ID : SET_ID + 16], b"another set, too")):
        false = split(jpegs.encode(9, 64, 48), make("threshold", set_id=set_id), signing=own)
        hostile = archive_of(place.root / f"hostile-{at}", data(place, "a"), *false)
        given = (hostile, good)
        place.folder = place.root / f"out-{at}"
        assert_error(place.join(*given), 334 if at else 337)
        known = ("--satellite", place.key("satellite.pub"))
        assert_restored(place, place.join(*given, extra=known), "intact, authentic")


def test_a_files_name_adds_no_line_to_the_verdict(place: Holders) -> None:
    stray = place.root / "x\nintact, authentic.occ"
    stray.write_bytes(b"no share")
    done = place.join(place.share("a"), stray, place.share("b"))
    assert done.status == 0
    assert done.out.count(b"\n") == 1
    assert done.out.startswith(b"intact, unsigned: ")


@pytest.mark.parametrize("content", [{}, {"share-a.pgm": b"P5 1 1 255\n0", "parameters.occ": b""}])
def test_a_folder_without_shares_keeps_nobody_out(content: dict, place: Holders) -> None:
    """Nor do images in it decide what the others are taken for."""
    empty = place.root / "empty"
    empty.mkdir()
    for name, image in content.items():
        (empty / name).write_bytes(image)
    assert_error(place.join(place.share("a"), empty), 329, f"{empty} holds no share")
    for at, given in enumerate(([empty, place.work], [place.share("b"), empty, place.share("c")])):
        place.folder = place.root / f"out-{at}"
        assert_restored(place, place.join(*given), UNSIGNED, f"set aside: {empty}")
