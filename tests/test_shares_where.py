"""Where shares lie: pipes, folders, archives and their copies; strays; a second run; regions."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import jpegs
from tests.cli import Place, assert_error, call, names, run
from tests.holders import DAMAGED, UNSIGNED, Holders, assert_restored
from tests.shares_support import flipped, frame

SET_ID = 9
"""Where the set's id begins in a share."""


@pytest.fixture
def place(tmp_path: Path) -> Holders:
    return Holders(tmp_path, frame())


def archive_of(root: Path, *shares: bytes) -> Path:
    for number, share in enumerate(shares):
        product = root / "products" / f"{number:032x}"
        product.mkdir(parents=True)
        (product / "received.occ").write_bytes(share)
    return root


def strangers(share: bytes, count: int) -> list[bytes]:
    """Shares of so many other sets, as far as one can see in the clear."""
    return [
        share[:SET_ID] + number.to_bytes(16, "big") + share[SET_ID + 16 : 400]
        for number in range(count)
    ]


@contextmanager
def few_open_files(spare: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/dev/fd")) + spare, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# --- pipes


def test_a_marked_file_through_a_pipe(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.protect()
    done = run("ground", *place.to_recover(marked="/dev/stdin"), input=place.marked.read_bytes())
    assert (done.status, done.err) == (0, "")
    place.assert_recovered()


def test_a_marked_file_through_a_named_pipe(tmp_path: Path) -> None:
    """It is opened once: a writer that sees a reader go has nobody to write to."""
    place = Place(tmp_path)
    place.protect()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(place.marked.read_bytes()))
    writer.start()
    assert place.recover(marked=pipe).status == 0
    writer.join()
    place.assert_recovered()


@pytest.mark.parametrize("where", ["named", "in a product", "in an archive", "in a folder"])
def test_a_pipe_is_no_share(where: str, place: Holders) -> None:
    place.split()
    root = archive_of(place.root / "archive", b"")
    product = root / "products" / f"{0:032x}"
    folders = {"in a product": product, "in an archive": root, "in a folder": product}
    pipe = product / ("share-b.occ" if where == "in a folder" else "received.occ")
    (product / "received.occ").unlink()
    os.mkfifo(pipe)
    share = place.share("a")
    done = run("ground", "recover", share, folders.get(where, pipe), "--key",
               place.key("recipient.key"), "-o", place.folder)
    assert_error(done, 329, f"{pipe} is not a file")
    place.assert_report_only(329)


def test_a_pipe_is_no_share_image(place: Holders) -> None:
    pipe = place.root / "pipe"
    os.mkfifo(pipe)
    image = place.root / "a.pgm"
    image.write_bytes(b"P5 1 1 255\n0")
    done = run("ground", "recover", image, image, pipe, "--key", place.key("recipient.key"),
               "-o", place.folder)
    assert_error(done, 329, f"{pipe} is not a file")
    place.assert_report_only(329)


def test_standard_input_is_no_share(place: Holders) -> None:
    place.split()
    assert_error(place.join(place.share("a"), "-"), 200, "name files")
    place.assert_report_only(200)


@pytest.mark.parametrize("length", [256, 5000])
def test_a_name_that_is_too_long(length: int, place: Holders) -> None:
    place.split()
    name = "x" * length
    assert_error(place.join(name), 329, "File name too long")
    assert_error(place.join(name, extra=("--scheme", "shares")), 329, "File name too long")
    assert_error(place.join(place.share("a"), name), 329, "File name too long")


# --- folders and archives


def test_the_folder_that_protect_wrote(place: Holders) -> None:
    place.split()
    (place.work / "notes.txt").write_bytes(b"no share")
    assert_restored(place, place.join(place.work), "intact, unsigned:")


def test_a_share_and_its_folder(place: Holders) -> None:
    place.split()
    assert_restored(place, place.join(place.share("a"), place.work), "intact")


def test_a_folder_says_which_header_is_bad(place: Holders) -> None:
    place.split()
    place.spoil("a", 3)  # the scheme, in the clear
    assert_error(place.join(place.work), 506, "share-a.occ")


def test_copies_in_several_archives_are_one_share(place: Holders) -> None:
    place.split("--holders", "2/3")
    data = [place.share(letter).read_bytes() for letter in "ab"]
    first = archive_of(place.root / "first", *data)
    second = archive_of(place.root / "second", *data[::-1])
    products = [root / "products" / f"{0:032x}" for root in (first, second, first)]
    report = assert_restored(place, place.join(first, second), "intact, unsigned:")
    assert report["shares"] == ["share a", "share b"]
    there = place.root / "there"
    done = call("ground", "recover", *products, place.work, "--key",
                place.key("recipient.key"), "-o", there)
    assert done.status == 0, done
    assert names(there) == ["carrier.jpg", "report.json"]


def test_a_copy_with_a_bad_header_does_no_harm(place: Holders) -> None:
    place.split("--holders", "2/3")
    data = place.share("a").read_bytes()
    first = archive_of(place.root / "first", flipped(data, 60))
    second = archive_of(place.root / "second", data, place.share("b").read_bytes())
    report = assert_restored(place, place.join(first, second), "intact")
    assert report["shares"] == ["share a", "share b"]


def test_copies_that_differ_are_named(place: Holders) -> None:
    place.split()
    a, b = (place.share(letter).read_bytes() for letter in "ab")
    first = archive_of(place.root / "first", a, flipped(b, 45_000))
    second = archive_of(place.root / "second", b)
    assert_error(place.join(first, second), 335, "share b is given twice")


def test_an_archive_of_more_shares_than_files_can_be_open(place: Holders) -> None:
    place.split()
    a, b = (place.share(letter).read_bytes() for letter in "ab")
    root = archive_of(place.root / "archive", *strangers(a, 100), b)
    with few_open_files(20):
        done = place.join(place.share("a"), root)
    assert_restored(place, done, "intact")


def test_an_archive_of_many_frames_alone(place: Holders) -> None:
    place.split()
    root = archive_of(place.root / "archive", *strangers(place.share("a").read_bytes(), 65))
    with few_open_files(20):
        assert_error(place.join(root), 334, "shares of 65 frames")


def test_an_archive_of_many_versions_of_one_share(place: Holders) -> None:
    place.split()
    share = place.share("b").read_bytes()[:400]
    root = archive_of(place.root / "archive", *(share + bytes([n]) for n in range(65)))
    with few_open_files(20):
        done = place.join(place.share("a"), root)
    assert_error(done, 335, "share b is given twice")
    assert " and 56 more" in done.err


def test_an_archive_without_shares(place: Holders) -> None:
    place.split()
    root = place.root / "archive"
    (root / "products").mkdir(parents=True)
    assert_error(place.join(root), 329, "no share")
    assert_restored(place, place.join(root, place.work), "intact")


# --- strays


def test_a_stray_file_is_set_aside_by_name(place: Holders) -> None:
    place.split()
    stray = place.root / "notes.txt"
    stray.write_bytes(b"not a share")
    done = place.join(place.share("a"), stray, place.share("b"))
    report = assert_restored(place, done, UNSIGNED, f"set aside: {stray}")
    assert report["set_aside"] == [str(stray)]
    assert report["altered_shares"] == []


def test_a_stray_file_in_place_of_a_share(place: Holders) -> None:
    place.split("--holders", "2/3")
    stray = place.root / "notes.txt"
    stray.write_bytes(b"")
    done = place.join(stray, place.share("c"))
    assert_error(done, 332, f"{stray}: not a share; 2 of 3 shares are needed")
    assert_error(place.join(stray, stray), 332, str(stray))


def test_a_share_of_another_frame_is_not_called_altered(place: Holders) -> None:
    place.split("--holders", "2/3")
    stranger = place.root / "stranger.occ"
    stranger.write_bytes(place.share("c").read_bytes())
    for letter in "abc":
        place.share(letter).unlink()
    place.split()
    done = place.join(place.share("a"), place.share("b"), stranger)
    report = assert_restored(place, done, UNSIGNED, f"set aside: {stranger}")
    assert (report["set_aside"], report["altered_shares"]) == ([str(stranger)], [])


def test_a_second_copy_is_not_called_altered(place: Holders) -> None:
    place.split("--holders", "2/3")
    copy = place.root / "copy.occ"
    copy.write_bytes(place.share("b").read_bytes())
    done = place.join(place.share("a"), place.share("b"), copy)
    report = assert_restored(place, done, UNSIGNED, f"set aside: {copy}")
    assert (report["set_aside"], report["altered_shares"]) == ([str(copy)], [])


# --- a second run, and what is named


@pytest.mark.parametrize("times", [1, 2])
def test_the_share_is_fetched_again(times: int, place: Holders) -> None:
    place.split()
    good = place.share("b").read_bytes()
    for at in range(times):
        place.spoil("b", 45_000 + 20_000 * at)
        done = place.join(place.work)
        assert_error(done, 507, "share b was altered")
        assert "see report.json, carrier.partial.jpg, tamper.png;" in done.err
        assert names(place.folder) == DAMAGED
    place.share("b").write_bytes(good)
    assert_restored(place, place.join(place.work), "intact")
    before = (place.folder / "carrier.jpg").stat().st_mtime_ns
    assert_error(place.join(place.work), 205, "carrier.jpg")
    assert (place.folder / "carrier.jpg").stat().st_mtime_ns == before


def test_the_original_under_another_name_is_replaced_too(place: Holders) -> None:
    place.split()
    size = place.share("b").stat().st_size
    for at in (200, 199):
        place.spoil("b", size - at)
        assert_error(place.join(place.work), 507, "the picture itself could be restored")
        assert (place.folder / "carrier.partial.jpg").read_bytes() == frame()


def test_no_hint_names_what_is_not_there(place: Holders) -> None:
    place.split()
    share = place.share("b")
    share.write_bytes(share.read_bytes()[:-1024 * (share.stat().st_size // 1024)])
    done = place.join(place.work)
    assert "tamper.png" not in done.err
    assert "carrier" not in done.err
    assert names(place.folder) == ["report.json"]


# --- regions of interest


@pytest.mark.parametrize("text", ["60000,0,16,16", "0,60000,16,16", "433,0,16,16", "0,0,1,321"])
def test_a_region_outside_of_the_picture(text: str, place: Holders) -> None:
    assert_error(place.split("--roi", "0,0,9,9", "--roi", text), 209,
                 f"{text} is not within 448 x 320 pixels")
    assert names(place.work) == []


def test_regions_up_to_the_border(place: Holders) -> None:
    done = place.split("--roi", "432,304,16,16", "--roi", "0,0,448,320", "--json")
    assert (done.status, done.json["located_to"]) == (0, "cells")


def test_regions_in_a_file_without_cells(tmp_path: Path) -> None:
    place = Holders(tmp_path, jpegs.encode(3, 320, 240, progressive=True))
    done = place.split("--roi", "0,0,9,9")
    assert done.status == 0
    assert b"segments of 32 KiB only, regions of interest have no effect" in done.out
    for letter in "ab":
        place.share(letter).unlink()
    done = place.split("--json")
    assert done.json["located_to"] == "segments"
    for letter in "ab":
        place.share(letter).unlink()
    assert_error(place.split("--roi", "305,0,16,16"), 209, "320 x 240 pixels")
