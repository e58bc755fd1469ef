"""Real files: cameras, scanners, encoders, fuzzers' finds, and a satellite's own pictures.

Proves over a collection beside the project (skipped where it is absent) that every clean
Huffman-coded DCT file round-trips, decodes without a warning and with `exact` to the same pixels;
that 12-bit files round-trip; that arithmetic and lossless coding have their own reasons; and that
every other file is refused with a number or comes back exactly.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import warnings
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image

from occulta.errors import OccultaError, Reason
from tests.jpegs import segments_and_trailer
from tests.support import assert_recovers, mark, refusal, runs_compiled

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
MANIFEST = DATA / "MANIFEST.tsv"
DJPEG = shutil.which("djpeg")
SECRET = b"6bytes"
LARGE, SMALL = 200_000, 20_000
"""The plain kernel takes only smaller files."""
ROOM_PROMISED = 8192
"""Clean files above this size never lack room for six private bytes."""
DOES_NOT_FIT = {Reason.DOES_NOT_FIT, Reason.NO_CARRIERS, Reason.NO_CARRIERS_AT_END}
PAPER_CANNOT = DOES_NOT_FIT | {Reason.PROGRESSIVE, Reason.NO_ESCAPE_CODE}


class Entry(NamedTuple):
    """One file of the collection and what it exercises."""

    path: str
    features: tuple[str, ...]

    @property
    def process(self) -> str:
        """Such as "SOF0 baseline"; satellite pictures have words before it."""
        return self.features[0].rpartition("; ")[2]

    @property
    def clean(self) -> bool:
        return "valid" in self.features and "djpeg=clean" in self.features

    @property
    def huffman(self) -> bool:
        return self.process.startswith(("SOF0", "SOF1 ", "SOF2"))

    @property
    def arithmetic(self) -> bool:
        return "arith" in self.process

    @property
    def lossless(self) -> bool:
        return self.process.startswith("SOF3")

    @property
    def deep(self) -> bool:
        return self.huffman and "12bit" in self.features


def manifest() -> list[Entry]:
    """Files of the two folders; none where the collection is absent."""
    if not MANIFEST.is_file():
        return []
    rows = [line.split("\t") for line in MANIFEST.read_text("utf-8").splitlines()[1:]]
    folders = ("jpeg_corpus/", "remote_sensing/opssat_jpeg/")
    return [Entry(row[0], tuple(row[5].split(", "))) for row in rows if row[0].startswith(folders)]


ENTRIES = manifest()
CLEAN = [entry for entry in ENTRIES if entry.clean and entry.huffman]
DEEP = [entry for entry in ENTRIES if entry.deep]
CODED_OTHERWISE = [entry for entry in ENTRIES if entry.arithmetic or entry.lossless]
OTHERS = [e for e in ENTRIES if e not in CLEAN and e not in DEEP and e not in CODED_OTHERWISE]


def each(entries: list[Entry]) -> pytest.MarkDecorator:
    """Parametrise; where there are no files one skipped test says so."""
    absent = pytest.param(None, marks=pytest.mark.skip(f"no collection at {MANIFEST.name}"))
    return pytest.mark.parametrize(
        "entry", entries or [absent], ids=lambda entry: Path(entry.path).name if entry else "absent"
    )


def load(entry: Entry, most: int = LARGE) -> bytes:
    data = (DATA / entry.path).read_bytes()
    if len(data) > most and not runs_compiled():
        pytest.skip(f"the plain kernel takes only files up to {most} bytes")
    return data


def load_small(entry: Entry) -> bytes:
    """For tests that read each file several times."""
    return load(entry, SMALL)


def pillow(data: bytes) -> bytes:
    """What Pillow decodes; a warning fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Image.open(io.BytesIO(data)) as image:
            return image.tobytes()


def djpeg(data: bytes) -> bytes | None:
    """What djpeg decodes, None where it is not installed; a warning fails the test."""
    if DJPEG is None:
        return None
    done = subprocess.run([DJPEG, "-pnm"], input=data, capture_output=True, check=False)
    assert done.returncode == 0
    assert not done.stderr
    return done.stdout


@cache
def _decoded(path: str) -> tuple[bytes, bytes | None]:
    data = (DATA / path).read_bytes()
    return pillow(data), djpeg(data)


def check_decodes(entry: Entry, marked: bytes, same: bool) -> None:
    """No decoder warns about the marked file; with `same`, the pixels are the original's."""
    shown = pillow(marked), djpeg(marked)
    expected = _decoded(entry.path)
    assert [part and len(part) for part in shown] == [part and len(part) for part in expected]
    if same:
        assert shown == expected


@each(CLEAN)
def test_clean_file_with_exact(entry: Entry) -> None:
    original = load(entry)
    try:
        marked = mark(original, SECRET)
    except OccultaError as error:
        assert error.reason in DOES_NOT_FIT
        assert len(original) <= ROOM_PROMISED
        return
    assert segments_and_trailer(marked) == segments_and_trailer(original)
    check_decodes(entry, marked, same=True)
    assert_recovers(marked, original, SECRET, "exact")


@each(CLEAN)
def test_clean_file_with_paper(entry: Entry) -> None:
    original = load(entry)
    try:
        marked = mark(original, SECRET, "paper")
    except OccultaError as error:
        assert error.reason in PAPER_CANNOT
        assert (error.reason is Reason.PROGRESSIVE) == entry.process.startswith("SOF2")
        return
    assert segments_and_trailer(marked) == segments_and_trailer(original)
    check_decodes(entry, marked, same=False)
    assert_recovers(marked, original, SECRET, "paper")


@each(DEEP)
def test_twelve_bit_file(entry: Entry) -> None:
    original = load(entry)
    assert refusal(original, "exact", SECRET) is None
    assert refusal(original, "paper", SECRET) in {None, *DOES_NOT_FIT}


@each(CODED_OTHERWISE)
@pytest.mark.parametrize("profile", ["exact", "paper"])
def test_other_coding_has_its_own_reason(entry: Entry, profile: str) -> None:
    expected = Reason.ARITHMETIC if entry.arithmetic else Reason.LOSSLESS
    assert refusal(load(entry), profile, SECRET) is expected


@each(OTHERS)
@pytest.mark.parametrize("profile", ["exact", "paper"])
def test_other_file_is_refused_or_comes_back(entry: Entry, profile: str) -> None:
    reason = refusal(load(entry), profile, b"")
    assert reason is None or reason.value // 100 in (3, 4)


def test_the_collection_is_the_one_expected() -> None:
    """A manifest that is read wrongly must not make the tests above say nothing."""
    if not ENTRIES:
        pytest.skip(f"no collection at {MANIFEST.name}")
    assert len(CLEAN) > 100
    assert len(DEEP) >= 2 and len(CODED_OTHERWISE) >= 4 and len(OTHERS) > 30
    assert sum("opssat" in entry.path for entry in CLEAN) >= 10
    assert sum(entry.process.startswith("SOF2") for entry in CLEAN) >= 10
