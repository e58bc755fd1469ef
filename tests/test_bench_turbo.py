"""`bench turbo`: its campaigns count what they should, and its page is written."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from bench import docs, turbo, turbo_channel, turbo_speed
from bench.report import Figure, Result, Table
from occulta.codec.fec.turbo import Rate, Turbo
from occulta.codec.kernels import load_kernel
from tests.robust_support import compiled_only
from tests.support import by_kernel

FRAMES = by_kernel(40, 2)


@pytest.mark.parametrize("algorithm", ["maxlog", "logmap", "sova", "twice"])
def test_campaigns_count_lost_blocks(algorithm: str) -> None:
    code = Turbo(64)
    assert turbo.campaign(code, algorithm, 0.001, FRAMES, 1) == (FRAMES, 0, 0)
    lost = turbo.campaign(code, algorithm, 0.35, FRAMES, 1)
    assert lost.frames == FRAMES and lost.errors > FRAMES // 2 and 0 <= lost.deceived <= lost.errors
    assert lost.rate == lost.errors / FRAMES


def test_the_channel_flips_what_it_says() -> None:
    code, flips = Turbo(1024, Rate.HALF), 0
    for sent, llrs in turbo_channel.noisy(code, 20, 0.1, np.random.default_rng(1)):
        for bits, row in zip(sent, llrs, strict=True):
            coded = np.frombuffer(code.encode(bits.tobytes()), np.uint8)
            flips += int(((row < 0) != coded).sum())
            assert set(np.abs(row)) == {18}
    assert 0.08 < flips / (20 * code.coded_size) < 0.12


@compiled_only
def test_clean_channels_are_counted_with_both_decoders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turbo, "CLEAN", ((64, Rate.THIRD, 0.01), (64, Rate.HALF, 0.35)))
    monkeypatch.setattr(turbo, "FRAMES", 40)
    result = Result("turbo")
    alone, twice, noisy, noisy_twice = turbo._clean(result, lambda _: None)
    assert (alone, twice) == ((40, 0, 0), (40, 0, 0)) and noisy.errors and noisy_twice.errors
    assert [figure.met for figure in result.figures] == [True, False]
    assert result.figures[0].name == (
        "frame errors in 40, maxlog, then logmap, K = 64, rate 1/3, BSC 0.01")
    assert result.tables[0].rows[1][:3] == ["64", "1/2", "0.35"]
    assert result.tables[0].rows[1][4] == f"{noisy_twice.rate:.4f} ({noisy_twice.errors} of 40)"


@compiled_only
def test_speeds_are_of_every_size_and_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turbo_speed, "REPEATS", 2)
    kernels = {"one": load_kernel(turbo_speed.BATCH), "other": load_kernel(turbo_speed.BATCH)}
    sizes = [turbo_speed._received(k, turbo_speed.HOPELESS, 0) for k in (64, 128)]
    assert [blocks.frames for blocks in sizes] == [16, 16]
    found = turbo_speed._timed(sizes, kernels)
    assert {key: len(rates) for key, rates in found.items()} == {
        (64, "one"): 2, (64, "other"): 2, (128, "one"): 2, (128, "other"): 2}
    with pytest.raises(AssertionError):
        turbo_speed._timed([turbo_speed._received(64, 0.01, 0)], kernels)


@pytest.mark.parametrize(("name", "met"), [("baseline", True), ("AVX2", False)])
def test_the_best_run_is_bounded_and_the_median_shown(name: str, met: bool) -> None:
    best, middle = turbo_speed.bounded(name, 2048, [20.0, 40.0, 21.0])
    assert best.name.endswith("best of 3 runs") and "K = 2048" in best.name
    assert (best.value, best.met, middle.value, middle.met) == (40.0, met, 21.0, None)


def test_a_peer_that_is_absent_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    result = Result("turbo")
    assert turbo_speed._peer_rate(result) is None
    assert result.skipped == [turbo_speed.MISSING_PEER]


def test_the_page(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docs, "FOLDER", tmp_path)
    result = Result("turbo", [Figure("errors", 0, 0)], [Table("Rates", ["BSC"], [["0.12"]])])
    assert docs.write({"turbo": result}, ["turbo"]) == [tmp_path / "turbo.md"]
    page = (tmp_path / "turbo.md").read_text("utf-8")
    assert page.startswith("# The turbo code\n") and "## Rates" in page and "| errors |" in page
