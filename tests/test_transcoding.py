"""Lossless transcoding on the way: `paper` keeps the private data, `exact` refuses.

Proves with jpegtran (skipped where it is not installed) what README says of the two profiles: the
paper's marks are coefficients and survive another entropy coding; those of `exact` are the entropy
coding, and recovery then says that nothing is hidden. Neither hands out a wrong picture.
"""

from __future__ import annotations

import shutil
import subprocess

import pytest

from occulta.errors import OccultaError, Reason
from occulta.schemes.reversible.recover import PaperRestorer
from tests.jpegs import sample
from tests.support import KEY, mark, recover

JPEGTRAN = shutil.which("jpegtran")
SECRET = b"on the way"
pytestmark = pytest.mark.skipif(JPEGTRAN is None, reason="jpegtran is not installed")
each_option = pytest.mark.parametrize("options", [[], ["-optimize"], ["-restart", "5"]])


def transcoded(data: bytes, options: list[str]) -> bytes:
    command = [str(JPEGTRAN), "-copy", "all", *options]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


@each_option
@pytest.mark.parametrize("kind", ["gray", "ycc444", "ycc422", "odd_size", "restart_rows"])
def test_private_data_survives_with_paper(kind: str, options: list[str]) -> None:
    received = transcoded(mark(sample(kind, 7, 488, 400), SECRET, "paper"), options)
    pieces: list[bytes] = []
    restorer = PaperRestorer(KEY, pieces.append, bytes)
    restorer.feed(received)
    restorer.finish()
    assert b"".join(pieces) == SECRET


@pytest.mark.parametrize("kind", ["gray", "ycc444", "odd_size"])
@pytest.mark.parametrize("way", [[[]], [["-progressive"], []]], ids=["once", "there and back"])
def test_all_comes_back_where_the_codes_do(kind: str, way: list[list[str]]) -> None:
    """Of an original as jpegtran writes it, with the standard tables."""
    original = transcoded(sample(kind, 7, 488, 400), [])
    received = mark(original, SECRET, "paper")
    for options in way:
        received = transcoded(received, options)
    back = recover(received, "paper")
    assert (back.original, back.private) == (original, SECRET)


@pytest.mark.parametrize("options", [["-optimize"], ["-restart", "5"]])
def test_a_picture_that_was_coded_otherwise_does_not_verify(options: list[str]) -> None:
    marked = mark(sample("ycc444", 7, 488, 400), SECRET, "paper")
    with pytest.raises(OccultaError) as caught:
        recover(transcoded(marked, options), "paper")
    assert caught.value.reason is Reason.DIGEST_MISMATCH


@each_option
@pytest.mark.parametrize("kind", ["gray", "ycc420", "optimised", "progressive"])
def test_exact_says_that_nothing_is_hidden(kind: str, options: list[str]) -> None:
    marked = mark(sample(kind, 7, 264, 200), SECRET)
    with pytest.raises(OccultaError) as caught:
        recover(transcoded(marked, options))
    assert caught.value.reason is Reason.NOTHING_HIDDEN
