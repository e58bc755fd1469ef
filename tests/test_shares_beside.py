"""Shares beside what is none, or none any more: images, files that cannot be read, older results.

Proves that an image among shares is set aside by name, whatever it is called; that a disk which
fails behind a share's header costs that share and nobody else's; that nothing verified ever stands
beside the verdict of another run; and the colours of tamper.png.
"""

from __future__ import annotations

import errno
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from occulta.program import files, pgm
from tests.cli import Outcome, assert_error, names
from tests.holders import DAMAGED, UNSIGNED, Holders, assert_restored
from tests.paper_world import picture
from tests.shares_support import frame

IMAGE = pgm.encode(picture())
FRONT = 12_000
"""Bytes that can be read of a file on a disk that fails."""


@pytest.fixture
def place(tmp_path: Path) -> Holders:
    made = Holders(tmp_path, frame())
    assert made.split("--holders", "2/3").status == 0
    return made


# --- images


@pytest.mark.parametrize("content", [IMAGE, b"P5", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*"])
@pytest.mark.parametrize("options", [(), ("--scheme", "shares")])
def test_an_image_among_shares_is_no_share(
    content: bytes, options: tuple[str, ...], place: Holders
) -> None:
    bad = place.share("c")
    bad.write_bytes(content)
    given = map(place.share, "cab")
    assert_restored(place, place.join(*given, extra=options), UNSIGNED, f"set aside: {bad}")
    place.folder = place.root / "again"
    report = assert_restored(place, place.join(place.work, extra=options), UNSIGNED)
    assert report["set_aside"] == [str(bad)]


def test_a_folder_of_images_beside_shares(place: Holders) -> None:
    folder = place.root / "images"
    folder.mkdir()
    for name in ("share-a.pgm", "share-b.pgm", "parameters.occ"):
        (folder / name).write_bytes(IMAGE)
    done = place.join(folder, place.archive("a"), place.share("b"))
    assert_restored(place, done, UNSIGNED, f"set aside: {folder}")


@pytest.mark.parametrize("letter", ["a", "b"])
def test_of_two_the_share_that_begins_like_an_image_is_named(letter: str, tmp_path: Path) -> None:
    place = Holders(tmp_path, frame())
    place.split()
    bad = place.share(letter)
    bad.write_bytes(b"P5" + bad.read_bytes()[2:])
    for given in ([place.work], [place.share("a"), place.share("b")]):
        assert_error(place.join(*given), 332, f"{bad}: not a share; 2 of 2 shares are needed")
        place.assert_report_only(332)


# --- disks that fail


class Failing(io.BufferedReader):
    """A file of which no sector behind FRONT can be read."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0 or self.tell() + size > FRONT:
            raise OSError(errno.EIO, "Input/output error")
        return super().read(size)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of files on a disk that fails."""
    bad: set[str] = set()
    real = files.open_regular

    @contextmanager
    def opened(name: str) -> Iterator[io.BufferedReader]:
        with real(name) as stream:
            yield Failing(stream.raw) if name in bad else stream

    monkeypatch.setattr(files, "open_regular", opened)
    return bad


def test_a_share_that_cannot_be_read_to_its_end(place: Holders, failing: set[str]) -> None:
    """As if it had been cut there."""
    bad = place.share("a")
    failing.add(str(bad))
    done = place.join(*map(place.share, "abc"))
    report = assert_restored(place, done, UNSIGNED)
    assert report["altered_shares"] == ["share a"]
    (said,) = report["unread"]
    assert said.startswith(f"{bad} cannot be read from byte ")
    assert said.endswith(" on: Input/output error")
    assert 0 <= FRONT - int(said.split()[-4]) < 4096
    assert report["verdict"].endswith(f"made good: share a; {said}")


def test_a_copy_that_cannot_be_read_keeps_no_other_out(place: Holders, failing: set[str]) -> None:
    """Of two copies of a share in archives neither is compared with what cannot be read."""
    archive, bad = place.archive("a", "b"), place.archive("b")
    failing.update(map(str, bad.rglob("received.occ")))
    report = assert_restored(place, place.join(bad, archive), UNSIGNED)
    assert report["shares"] == ["share a", "share b"]


@pytest.mark.parametrize("letter", ["a", "b"])
def test_of_two_a_share_that_cannot_be_read(
    letter: str, tmp_path: Path, failing: set[str]
) -> None:
    place = Holders(tmp_path, frame())
    place.split("--key-stream")
    failing.add(str(place.share(letter)))
    done = place.join(place.work)
    assert_error(done, 507, f"share {letter} was altered: ")
    assert f"; {place.share(letter)} cannot be read from byte " in done.err
    assert place.report()["damage"]["end_lost"]


# --- older results


SCHEMES = {"reversible": 327, "shares": 333, "paper": 336, "robust": 338}
"""And how each refuses its inputs."""


def recovered(place: Holders, scheme: str) -> Outcome:
    """Of a file that the scheme refuses."""
    share, image = place.root / "cut.occ", place.root / "one.pgm"
    share.write_bytes(b"\x0c\xc2")
    image.write_bytes(IMAGE)
    given = {"reversible": place.image, "paper": image}.get(scheme, share)
    return place.join(given, extra=("--scheme", scheme) if scheme == "robust" else ())


@pytest.mark.parametrize("name", ["carrier.jpg", "carrier.pgm", "carrier.png", "private.bin"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_nothing_verified_stands_beside_another_verdict(
    scheme: str, name: str, tmp_path: Path
) -> None:
    place = Holders(tmp_path)
    place.folder.mkdir()
    (place.folder / name).write_bytes(b"of an earlier run")
    assert_error(recovered(place, scheme), 205, name)
    assert names(place.folder) == [name]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_picture_of_damage_stands_beside_another_verdict(scheme: str, tmp_path: Path) -> None:
    place = Holders(tmp_path)
    place.folder.mkdir()
    for name in ("carrier.partial.jpg", "carrier.partial.pgm", "carrier.partial.png",
                 "tamper.pgm", "tamper.png"):
        (place.folder / name).write_bytes(b"of an earlier run")
    assert_error(recovered(place, scheme), SCHEMES[scheme])
    place.assert_report_only(SCHEMES[scheme])


# --- colours


RED, BLUE, MAGENTA = (255, 0, 0), (0, 0, 255), (255, 0, 255)


@pytest.mark.parametrize(("letters", "colour"), [("a", RED), ("b", BLUE), ("ab", MAGENTA)])
def test_the_outline_tells_which_of_two_was_altered(
    letters: str, colour: tuple[int, int, int], tmp_path: Path
) -> None:
    place = Holders(tmp_path, frame())
    place.split("--key-stream")
    for letter in letters:
        place.spoil(letter, 45_000 if letter == "a" else 85_000)
    assert_error(place.join(place.work), 507, "altered")
    assert colours(place) == {colour}


def test_of_k_of_n_there_is_one_colour(place: Holders) -> None:
    for letter in "bc":
        place.spoil(letter, 45_000)
    assert_error(place.join(place.share("b"), place.share("c")), 507, "share b, share c were")
    assert colours(place) == {RED}


def colours(place: Holders) -> set[tuple[int, int, int]]:
    """Of the upper left pixel of every damaged cell."""
    assert names(place.folder) == DAMAGED
    runs = place.report()["damage"]["runs"]
    with Image.open(place.folder / "tamper.png") as image:
        return {image.getpixel((16 * (x + at), 16 * y)) for x, y, n in runs for at in range(n)}
