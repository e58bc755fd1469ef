"""`bench robust` and `bench robust-survival` count what they should; nothing here is timed."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from PIL import Image

from bench import docs, robust, robust_files, robust_recovery, robust_survival, robust_vectors
from bench.data import gray_jpeg
from bench.report import Result
from bench.robust_files import FLIPPED, KINDS
from bench.robust_mark import KEY, largest, mark
from bench.robust_survival import Case
from bench.robust_vectors import Count
from occulta.errors import OccultaError, Reason
from occulta.schemes.robust import message
from sim.attacks.robust.study import ATTACKS, BEYOND, Marked, Trial
from tests.robust_support import compiled_only, scene
from tests.support import by_kernel

BITS = 640
LOST = ("random bytes", "random bytes behind a header", "nothing hidden", "for another key")


# --- soft bits


def sealed(wrong: int | None = None) -> bytes:
    """A message in bits, one of them turned over."""
    bits = bytearray(message.to_bits(message.seal(b"private", BITS, KEY.public)))
    if wrong is not None:
        bits[wrong] ^= 1
    return bytes(bits)


def test_messages_are_counted_where_crc_and_seal_are_right() -> None:
    right, crc_wrong, seal_wrong = sealed(), sealed(-1), sealed(300)
    assert robust_vectors.counted(iter([[right, right], [crc_wrong], [seal_wrong]]), 1) == Count(
        3, 4, whole=2, taken=1, asked=4, opened=3)
    assert robust_vectors.counted(iter([[seal_wrong], [right], [crc_wrong]]), 2) == Count(
        3, 3, whole=1, taken=1, asked=2, opened=1)


def test_many_at_a_time_are_decided_as_the_receiver_does() -> None:
    count = by_kernel(8, 1)
    many = robust_vectors.by_maxlog(robust_vectors.random_vectors(BITS, count), BITS)
    each = [*robust_vectors.by_receiver(robust_vectors.random_vectors(BITS, count), BITS)]
    assert [*many] == [decided[:1] for decided in each]
    assert all(len(decided) == 4 for decided in each)


def test_vectors_are_of_four_kinds() -> None:
    plain, erased, alike, heavy = robust_vectors.random_vectors(BITS, 4)
    assert plain.all() and 0 < np.count_nonzero(erased == 0.0) < erased.size
    assert set(np.abs(alike)) == {1.0}
    assert np.abs(heavy).max() / np.abs(heavy).mean() > 2 * np.abs(plain).max() / np.abs(
        plain).mean()


@compiled_only
def test_noise_gives_no_message_and_messages_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, count in (("VECTORS", 40), ("THOROUGH", 4), ("MESSAGES", 3)):
        monkeypatch.setattr(robust_vectors, name, count)
    result = Result("robust")
    robust_vectors.measure(result, lambda _: None)
    assert [(figure.value, figure.bound) for figure in result.figures] == [
        (0, 0), (0, 0), (0, 0), (3, 3)]
    assert [row[1:3] for row in result.tables[0].rows] == [["40", "40"], ["4", "16"], ["3", "12"]]


# --- files


@cache
def samples() -> list[robust_files.Sample]:
    return robust_files.samples([Image.fromarray(scene(seed, 512, 512)) for seed in (1, 2)])[:1]


@compiled_only
def test_every_kind_of_file_is_read() -> None:
    found = robust_files.campaign(samples(), 10)
    assert {kind for kind, _ in found} == set(KINDS) and found.total() == len(set(KINDS)) == 10
    assert found[FLIPPED, "exact"] == 1
    assert all(found[kind, "lost"] == 1 for kind in LOST)
    assert not any(outcome == "wrong" for _, outcome in found)


@compiled_only
def test_what_was_not_sent_is_wrong() -> None:
    (sample,) = samples()
    assert robust_recovery.received(sample.marked, sample.private) == "exact"
    assert robust_recovery.received(sample.marked, sample.private[1:]) == "wrong"


def test_the_shares_of_the_kinds() -> None:
    count = Counter(KINDS)
    assert count.total() == 20 and count[FLIPPED] == 3
    assert all(count[kind] == 1 for kind in LOST)


@compiled_only
def test_damage_begins_with_the_first_byte_but_for_the_flipped_bit() -> None:
    (sample,) = samples()
    assert sample.marked[: sample.scan].endswith(b"\x00\x3f\x00")
    chance = random.Random(1)
    for kind in KINDS[5:9]:
        ends = [robust_files.DAMAGES[kind](chance, sample) for _ in range(60)]
        assert any(end[:100] != sample.marked[:100] for end in ends), kind
    for _ in range(60):
        flipped = robust_files.DAMAGES[FLIPPED](chance, sample)
        apart = [a ^ b for a, b in zip(flipped, sample.marked, strict=True)]
        assert sum(map(int.bit_count, apart)) == 1 and not any(apart[: sample.scan])


@compiled_only
def test_a_wrong_message_and_a_lost_bit_are_missed_bounds(monkeypatch) -> None:
    said = Counter({(kind, "exact"): 1 for kind in KINDS} | {(FLIPPED, "lost"): 1})
    said["packets zeroed", "wrong"] = 1
    monkeypatch.setattr(robust_files, "campaign", lambda *_: said)
    monkeypatch.setattr(robust_files, "samples", lambda *_: [])
    result = Result("robust")
    robust_files.measure(result, docs.FOLDER, lambda _: None)
    wrong, flipped, exact = result.figures
    assert (wrong.value, wrong.met, flipped.value, flipped.bound, flipped.met, exact.value) == (
        1, False, 1, 2, False, 10)


# --- speed and memory


def test_no_time_is_good_where_the_message_is_lost() -> None:
    assert robust_recovery._figure("max", 0.3, "exact").met
    assert not robust_recovery._figure("max", 1.1, "exact").met
    assert not robust_recovery._figure("max", 0.3, "lost").met


def test_largest_messages_fill_the_picture() -> None:
    assert len(largest("default", 512, 512)) == 2048 // 8 - 55
    assert robust._private("largest", "max", 512, 512) == largest("max", 512, 512)
    assert len(robust._private("small", "max", 512, 512)) == 20
    plain = gray_jpeg(Image.fromarray(scene(1, 288, 288)), 90)
    with pytest.raises(OccultaError) as refused:
        mark(plain, "default", largest("default", 288, 288) + b"x")
    assert refused.value.reason is Reason.DOES_NOT_FIT


def test_memory_is_bounded_with_either_message() -> None:
    small, large = robust.SIZES
    result = Result("robust")
    robust._figure_memory(result, {
        ("gray", "max", "small", small): 20.0, ("gray", "max", "small", large): 25.0,
        ("gray", "max", "largest", small): 22.0, ("gray", "max", "largest", large): 65.0})
    assert [(figure.value, figure.met) for figure in result.figures] == [
        (25.0, True), (65.0, False), (5.0, False)]


# --- survival


def marked(name: str, lost: tuple[str, ...] = (), psnr: float = 43.5, seed: int = 0) -> Marked:
    trials = tuple(
        Trial(attack, attack not in lost, False, 0.1, 0.0, 0.2 if attack in lost else 2.0)
        for attack in (*ATTACKS, *BEYOND)
    )
    return Marked(name, "max", seed, 512 * 512, 73, 1024, 3084, 1, 1, psnr, 0.98, trials)


def case(folder: str, pictures: dict[str, tuple[str, ...]], psnr: float = 43.5) -> Case:
    return Case(folder, "max", 2, {
        name: [marked(name, (), psnr), marked(name, lost, psnr, 1)]
        for name, lost in pictures.items()})


def figures(*cases: Case) -> dict[str, tuple[float, float | None, bool | None]]:
    result = Result("robust-survival")
    robust_survival.report(result, cases)
    return {figure.name: (figure.value, figure.bound, figure.met) for figure in result.figures}


def test_only_baboon_may_lose_to_the_median() -> None:
    kept = figures(case("sipi", {"lena.png": (), "baboon.png": ("median:3",)}))
    assert all(met for _, _, met in kept.values())
    assert kept["max, sipi: of 1 pictures but baboon.png, survived median:3"] == (1, 1, True)
    lost = figures(case("sipi", {"lena.png": ("median:3",), "baboon.png": ()}))
    assert [name for name, (*_, met) in lost.items() if not met] == [
        "max, sipi: of 1 pictures but baboon.png, survived median:3"]


def test_one_lost_seed_is_a_lost_picture() -> None:
    found = figures(case("sipi", {"lena.png": ("jpeg:50", "jpeg:20"), "baboon.png": ()}))
    assert found["max, sipi: of 2 pictures, survived whichever of 15 attacks is worst"] == (
        1, 2, False)
    assert found["max, sipi: of 2 pictures, survived jpeg:20"] == (1, 2, False)


def test_three_scenes_may_be_lost_to_each_attack() -> None:
    scenes = {f"{at}.png": ("sharpen", "median:3") if at < 3 else () for at in range(15)}
    found = figures(case("remote_sensing", scenes))
    name = "max, remote_sensing: of 15 pictures, survived whichever of 15 attacks is worst"
    assert found[name] == (12, 12, True)
    assert found["max, remote_sensing: of 15 pictures, survived median:3"] == (12, None, None)
    assert figures(case("remote_sensing", {**scenes, "3.png": ("sharpen",)}))[name] == (
        11, 12, False)


def test_quality_has_a_bound_for_each_folder() -> None:
    found = figures(case("sipi", {"a.png": ()}), case("remote_sensing", {"b.png": ()}, 43.0))
    assert found["max, sipi, mean PSNR"] == (43.5, 43.1, True)
    assert found["max, remote_sensing, mean PSNR"] == (43.0, 43.1, False)
    assert found["max, sipi, mean SSIM"] == (0.98, 0.974, True)


def test_a_trial_that_is_missing_counts_as_lost() -> None:
    given = case("sipi", {"lena.png": ()})
    fewer = given.pictures["lena.png"][1]
    without = tuple(each for each in fewer.trials if each.attack not in ("jpeg:90", "crop:0.9"))
    given.pictures["lena.png"][1] = replace(fewer, trials=without)
    assert not robust_survival.is_kept(given, "lena.png", "jpeg:90")
    assert robust_survival.is_kept(given, "lena.png", "crop:0.9")


def test_losses_are_listed_with_their_margins() -> None:
    result = Result("robust-survival")
    robust_survival.report(result, [case("sipi", {"lena.png": ("sharpen", "gaussian:10")})])
    per_attack, losses = result.tables
    assert losses.rows == [["lena.png", "max", "sharpen", "1 of 2", "0.20"]]
    shown = {row[0]: row[1:] for row in per_attack.rows}
    assert shown["gaussian:10"] == ["0 of 1", "1 of 2", "0.20"]
    assert shown["none"] == ["1 of 1", "2 of 2", "2.00"]


def test_without_data_it_is_skipped_and_said(tmp_path) -> None:
    result = robust_survival.run(tmp_path, lambda _: None)
    assert not result.figures and result.skipped[0] == (
        "the data folder sipi/ is not there: give it with --data DIR")


def test_the_page_of_survival(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docs, "FOLDER", tmp_path)
    result = Result("robust-survival")
    robust_survival.report(result, [case("sipi", {"lena.png": ("sharpen",)})])
    assert docs.write({result.name: result}, [result.name]) == [tmp_path / "robust-survival.md"]
    page = (tmp_path / "robust-survival.md").read_text("utf-8")
    assert page.startswith("# Robust hiding: quality and survival\n")
    assert "| lena.png | max | sharpen | 1 of 2 | 0.20 |" in page
