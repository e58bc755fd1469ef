"""`bench turbo`: its campaigns count what they should, and its page is written."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from bench import docs, turbo
from bench.report import Figure, Result, Table
from occulta.codec.fec.turbo import Rate, Turbo
from tests.support import by_kernel

FRAMES = by_kernel(40, 2)


@pytest.mark.parametrize("algorithm", ["maxlog", "logmap", "sova"])
def test_campaigns_count_lost_blocks(algorithm: str) -> None:
    code = Turbo(64)
    assert turbo.campaign(code, algorithm, 0.001, FRAMES, 1) == (FRAMES, 0, 0)
    lost = turbo.campaign(code, algorithm, 0.35, FRAMES, 1)
    assert lost.frames == FRAMES and lost.errors > FRAMES // 2 and 0 <= lost.deceived <= lost.errors
    assert lost.rate == lost.errors / FRAMES


def test_the_channel_flips_what_it_says() -> None:
    code, flips = Turbo(1024, Rate.HALF), 0
    for sent, llrs in turbo.noisy(code, 20, 0.1, np.random.default_rng(1)):
        for bits, row in zip(sent, llrs, strict=True):
            coded = np.frombuffer(code.encode(bits.tobytes()), np.uint8)
            flips += int(((row < 0) != coded).sum())
            assert set(np.abs(row)) == {18}
    assert 0.08 < flips / (20 * code.coded_size) < 0.12


def test_a_peer_that_is_absent_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    result = Result("turbo")
    assert turbo._peer_rate(result) is None
    assert result.skipped == [turbo.MISSING_PEER]


def test_the_page(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docs, "FOLDER", tmp_path)
    result = Result("turbo", [Figure("errors", 0, 0)], [Table("Rates", ["BSC"], [["0.12"]])])
    assert docs.write({"turbo": result}, ["turbo"]) == [tmp_path / "turbo.md"]
    page = (tmp_path / "turbo.md").read_text("utf-8")
    assert page.startswith("# The turbo code\n") and "## Rates" in page and "| errors |" in page
