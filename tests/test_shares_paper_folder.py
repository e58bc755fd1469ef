"""Folders of the `paper` profile: two share images and their parameters, as `protect` has them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli import Outcome, assert_error, call, names
from tests.test_shares_paper_commands import AT, Place


def written(root: Path, kind: str = "pgm") -> Place:
    place = Place(root, kind)
    place.protect()
    return place


def recover(place: Place, *given: object) -> Outcome:
    return call("ground", "recover", *given, "--key", place.root / "recipient.key",
                "-o", place.folder)


@pytest.mark.parametrize("kind", ["pgm", "png"])
@pytest.mark.parametrize("options", [(), ("--scheme", "shares")])
def test_the_folder_that_protect_wrote(kind: str, options: tuple[str, ...], tmp_path: Path) -> None:
    place = written(tmp_path, kind)
    (place.shares / "notes.txt").write_bytes(b"no share")
    done = recover(place, place.shares, *options)
    assert (done.status, done.out) == (0, b"intact, unsigned: 64 x 48 pixels, paper\n"), done
    assert names(place.folder) == [f"carrier.{kind}", "report.json"]


@pytest.mark.parametrize("order", ["abp", "pba", "bpa"])
def test_folders_of_several_holders(order: str, tmp_path: Path) -> None:
    place = written(tmp_path)
    places = {}
    for name, path in zip("abp", [*place.pair, place.shares / "parameters.occ"], strict=True):
        (tmp_path / name).mkdir()
        places[name] = shutil.move(path, tmp_path / name) and tmp_path / name
    given = [places[name] for name in order]
    if order == "abp":
        assert recover(place, *given).status == 0
        assert names(place.folder) == ["carrier.pgm", "report.json"]
    else:  # share a comes first, as among files
        assert_error(recover(place, *given), 337)


def test_a_folder_and_a_file(tmp_path: Path) -> None:
    place = written(tmp_path)
    share = tmp_path / "b.pgm"
    place.pair[1].rename(share)
    assert_error(recover(place, place.shares), 336, "1 share images and 1 other files")
    assert recover(place, place.shares, share).status == 0


def test_an_altered_share_in_a_folder(tmp_path: Path) -> None:
    place = written(tmp_path)
    place.tamper(0, {AT: 0x80})
    assert_error(recover(place, place.shares), 507, "share a was altered")


def test_parameters_alone(tmp_path: Path) -> None:
    place = written(tmp_path)
    for path in place.pair:
        path.unlink()
    assert_error(recover(place, place.shares), 336, "0 share images")


def test_what_a_file_is_called_does_not_say_what_it_is(tmp_path: Path) -> None:
    """A share of the other profile tells by how it begins."""
    place = written(tmp_path)
    (place.shares / "share-a.occ").write_bytes(b"cut")
    assert recover(place, place.shares).status == 0


@pytest.mark.parametrize("as_files", [True, False])
def test_a_share_image_that_is_none_any_more_is_named(as_files: bool, tmp_path: Path) -> None:
    """Nor does the report of an earlier run stay beside the refusal."""
    place = written(tmp_path)
    place.folder.mkdir()
    (place.folder / "report.json").write_text("of an earlier run")
    broken = place.pair[0]
    broken.write_bytes(b"xx" + broken.read_bytes()[2:])
    given = place.pair if as_files else [place.shares]
    done = recover(place, *given, "--scheme", "shares")
    assert_error(done, 336, f"no image: {broken}")
    assert names(place.folder) == ["report.json"]
    assert place.report["error"]["number"] == 336
    assert place.report["error"]["hint"] == "fetch what is no image again"
    assert f"no image: {broken}" in place.report["verdict"]


@pytest.mark.parametrize(("count", "number"), [(3, 200), (0, 329)])
def test_an_early_refusal_leaves_a_report(count: int, number: int, tmp_path: Path) -> None:
    place = written(tmp_path)
    given = [place.image] * count or [*place.pair, tmp_path / "nothing"]
    assert_error(recover(place, *given), number)
    assert names(place.folder) == ["report.json"]
    assert place.report["error"]["number"] == number


def test_an_operator_is_told_what_to_give(tmp_path: Path) -> None:
    place = written(tmp_path)
    parameters = place.shares / "parameters.occ"
    parameters.write_bytes(parameters.read_bytes()[:-1] + b"\0")
    done = recover(place, place.shares)
    assert_error(done, 501)
    assert "parameters.occ" in done.err.splitlines()[1]
    (tmp_path / "empty").mkdir()
    done = recover(place, tmp_path / "empty")
    assert_error(done, 329, "holds no share")
    assert "share-*.occ, share images or an archive" in done.err.splitlines()[1]
