"""What an evaluation is made of: SSIM, the rival codes, tables, plots."""

import json
import math

import numpy as np
import pytest

from occulta.errors import OccultaError, Reason
from sim.attacks.robust import choice, codes, plots, report, results
from sim.attacks.robust.results import Evaluation
from sim.attacks.robust.study import ATTACKS, BEYOND, Marked, Refused, Trial
from sim.attacks.similarity import WINDOW, ssim
from tests import jpegs

GRAY = jpegs.picture(3, 40, 32)[..., 0]

# --- SSIM


def slow_ssim(one: np.ndarray, other: np.ndarray) -> float:
    """Window by window, straight from the paper."""
    weights = np.array([
        [math.exp(-((y - 5) ** 2 + (x - 5) ** 2) / (2 * 1.5**2)) for x in range(WINDOW)]
        for y in range(WINDOW)
    ])
    weights /= weights.sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    found = []
    for top in range(one.shape[0] - 10):
        for left in range(one.shape[1] - 10):
            x, y = (a[top : top + 11, left : left + 11].astype(float) for a in (one, other))
            mx, my = (weights * x).sum(), (weights * y).sum()
            vx, vy = (weights * (x - mx) ** 2).sum(), (weights * (y - my) ** 2).sum()
            xy = (weights * (x - mx) * (y - my)).sum()
            found.append(
                (2 * mx * my + c1) * (2 * xy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
            )
    return float(np.mean(found))


@pytest.mark.parametrize("other", [255 - GRAY, GRAY // 2, np.roll(GRAY, 1, axis=1)])
def test_ssim_against_a_slow_one(other: np.ndarray) -> None:
    assert ssim(GRAY, other) == pytest.approx(slow_ssim(GRAY, other), abs=1e-9)
    assert ssim(other, GRAY) == pytest.approx(ssim(GRAY, other))


def test_ssim_of_the_same_and_of_flat_pictures() -> None:
    assert ssim(GRAY, GRAY) == pytest.approx(1.0)
    one, other = (np.full((20, 20), value, np.uint8) for value in (100, 110))
    c1 = 2.55**2
    assert ssim(one, other) == pytest.approx((22000 + c1) / (100**2 + 110**2 + c1))


def test_ssim_is_of_two_gray_pictures_of_one_size() -> None:
    for other in (GRAY[:-1], np.dstack([GRAY] * 3), GRAY[:10, :10]):
        with pytest.raises(ValueError, match="no SSIM"):
            ssim(other if other.size < 200 else GRAY, other)


# --- rival codes


@pytest.fixture(params=list(codes.CODES))
def code(request: pytest.FixtureRequest) -> codes.Code:
    if request.param not in codes.available():
        pytest.skip("the extra `attacks` is not installed")
    return codes.CODES[request.param]()


def random_bits(size: int, seed: int = 1) -> bytes:
    return np.random.default_rng(seed).integers(0, 2, size, np.uint8).tobytes()


@pytest.mark.parametrize("size", [640, 1024, 2048, 4096])
def test_codes_have_about_the_rate_of_the_turbo_code(code: codes.Code, size: int) -> None:
    coded = code.encode(random_bits(size))
    assert set(coded) == {0, 1}
    assert size / len(coded) == pytest.approx(1 / 3, rel=0.04)
    assert code.decode(coded, size) == random_bits(size)


@pytest.mark.parametrize(("share", "decodes"), [(0.03, True), (0.12, False)])
def test_codes_correct_what_they_can(code: codes.Code, share: float, decodes: bool) -> None:
    bits = random_bits(1024)
    coded = np.frombuffer(code.encode(bits), np.uint8)
    flips = np.random.default_rng(2).random(len(coded)) < share
    assert (code.decode((coded ^ flips).tobytes(), 1024) == bits) is decodes


def test_bch_corrects_45_bits_of_a_word() -> None:
    if "BCH" not in codes.available():
        pytest.skip("the extra `attacks` is not installed")
    code, bits = codes.Bch(), random_bits(8 * codes.BCH_DATA)
    coded = np.frombuffer(code.encode(bits), np.uint8)
    assert len(coded) == 503
    for errors, decodes in ((45, True), (46, False)):
        flips = np.zeros(503, np.uint8)
        flips[np.random.default_rng(3).choice(503, errors, replace=False)] = 1
        assert (code.decode((coded ^ flips).tobytes(), len(bits)) == bits) is decodes


def test_a_missing_package_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("bchlib", "reedsolo"):
        monkeypatch.setitem(__import__("sys").modules, package, None)
    assert codes.available() == []
    for make in codes.CODES.values():
        with pytest.raises(OccultaError, match="is not installed") as refused:
            make()
        assert refused.value.reason is Reason.USAGE
        assert "occulta[attacks]" in refused.value.hint


def test_names_of_schemes() -> None:
    listed = choice.names(["paper", "light", "max"], ["BCH"])
    assert listed == ["paper", "light", "light + BCH", "max", "max + BCH"]
    assert [choice.is_rival(name) for name in listed] == [False, False, True, False, True]
    assert [choice.by_name(name).name for name in choice.NAMES] == [*choice.NAMES]


# --- tables


LISTED = (*ATTACKS, *BEYOND)


def marked(picture: str, scheme: str, seed: int, lost: dict[str, float | None]) -> Marked:
    trials = [
        Trial(a, a not in lost, 0.1, 0.25 if a in lost else 0.0, lost.get(a, 3.0))
        for a in LISTED
    ]
    return Marked(
        picture, scheme, seed, 2**18, 73, 1024, 3084, 1000, 1100, 40.0 + seed, 0.9, tuple(trials)
    )


FOUND = Evaluation(
    "pictures", ("max", "max + BCH"), ("max",), 2,
    (
        marked("a.png", "max", 0, {}), marked("a.png", "max", 1, {"median:3": -0.5}),
        marked("a.png", "max + BCH", 0, {"jpeg:90": None}),
        marked("b.png", "max", 0, {"median:3": -0.25, "jpeg:10": -99.0}),
        marked("b.png", "max", 1, {"median:3": -1.75}),
        Refused("b.png", "max + BCH", "error 400: too much"),
    ),
    ("notes.txt",),
)


def table(title: str) -> results.Table:
    return next(each for each in results.tables(FOUND) if each.title.startswith(title))


def test_the_first_table() -> None:
    found = table("Recovered")
    one, other = (dict(zip(found.headings, row, strict=True)) for row in found.rows)
    assert list(one)[:6] == ["scheme", "bits", "coded", "PSNR", "SSIM", "bpp"]
    assert list(one)[6:] == [*ATTACKS.values()]
    assert [*one.values()][:6] == ["max", "1024", "3084", "40.50", "0.9000", "0.0039"]
    assert (one["none"], one["med3"], one["J90"]) == ("ok", "1/4", "ok")
    assert (other["scheme"], other["med3"], other["J90"]) == ("max + BCH", "ok", "0/1")


def test_the_second_table() -> None:
    found = table("Recovered, further")
    assert found.headings[6:] == tuple(BEYOND.values())
    assert dict(zip(found.headings, found.rows[0], strict=True))["J10"] == "3/4"


def test_tables_of_the_paper() -> None:
    assert [each.title[:7] for each in results.tables(FOUND)[2:7]] == [
        f"Table {n}" for n in range(2, 7)
    ]
    assert table("Table 2").rows == [("a.png", "40.50"), ("b.png", "40.50"), ("all", "40.50")]
    assert table("Table 4").headings == ("picture", "max")
    assert table("Table 5").rows == [
        ("a.png", "100 100 50", "100 100 100"), ("b.png", "100 100 0", "-"),
        ("all", "100 100 25", "100 100 100"),
    ]
    assert table("Table 6").rows[0] == (
        "a.png", "0.0000 0.0000 0.0000", "0.2500 0.0000 0.0000"
    )


def test_every_failure_is_a_line_with_its_margin() -> None:
    assert results.failures(FOUND) == [
        "max, median:3, a.png: 1 of 2 lost, margin -0.50 dB",
        "max, median:3, b.png: 2 of 2 lost, margin -1.75 dB to -0.25 dB",
        "max, jpeg:10, b.png: 1 of 2 lost, margin nothing",
    ]
    said = results.text(FOUND)
    assert "Failures: 3\nmax, median:3, a.png" in said
    assert "max + BCH, b.png: refused, error 400: too much\nnotes.txt: skipped" in said


def test_values() -> None:
    found = json.loads(json.dumps(results.values(FOUND)))
    assert found["pictures"] == ["a.png", "b.png"]
    assert found["skipped"] == ["notes.txt"]
    assert found["summary"]["max"]["recovery_rate"]["median:3"] == 0.25
    assert found["refused"] == [
        {"picture": "b.png", "scheme": "max + BCH", "why": "error 400: too much"}
    ]
    trial = next(t for t in found["marked"][1]["trials"] if t["attack"] == "median:3")
    assert trial == {
        "attack": "median:3", "recovered": False, "before": 0.1, "after": 0.25, "margin": -0.5,
    }


# --- report


def test_a_plot_draws_each_share_at_its_place() -> None:
    drawn = plots.recovery("Noise <x>", ["1", "5"], {"max": [1.0, 0.5], "max + RS": [1.0, 0.0]})
    assert 'points="102.5,8.0 247.5,83.0"' in drawn
    assert 'points="102.5,8.0 247.5,158.0"' in drawn
    assert "Noise &lt;x&gt;" in drawn
    assert drawn.count('stroke="hsl(210') == 4  # one colour: a profile and its rival
    assert drawn.count('stroke-dasharray="6 3"') == 2


def test_the_report_shows_everything() -> None:
    page = report.render(FOUND, "occulta-sim evaluate robust pictures")
    for each in results.tables(FOUND):
        assert f"<h2>{each.title}</h2>" in page
    assert page.count("<svg") == 3
    assert "3 failures" in page
    assert "median:3, b.png: 2 of 2 lost" in page
    assert "notes.txt: skipped" in page
    assert "pictures, 2 messages each" in page
