"""What an evaluation is made of: SSIM, the rival codes, tables, plots."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from occulta.codec.fec.message import TurboCode
from occulta.errors import OccultaError, Reason
from occulta.schemes.robust.extract import Found
from occulta.schemes.robust.profiles import PROFILES
from sim.attacks.robust import choice, codes, plots, report, results, schemes, tables
from sim.attacks.robust.results import Evaluation, Skipped
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
    return rival(request.param)


def rival(name: str) -> codes.Code:
    if name not in codes.available():
        pytest.skip("the extra `attacks` is not installed")
    return codes.CODES[name]()


def soft(coded: bytes) -> np.ndarray:
    """LLRs of a good channel."""
    return 4.0 - 8.0 * np.frombuffer(coded, np.uint8)


def random_bits(size: int, seed: int = 1) -> bytes:
    return np.random.default_rng(seed).integers(0, 2, size, np.uint8).tobytes()


@pytest.mark.parametrize("size", [640, 1024, 2048, 4096])
def test_codes_have_about_the_rate_of_the_turbo_code(code: codes.Code, size: int) -> None:
    coded = code.encode(random_bits(size))
    assert set(coded) == {0, 1}
    assert size / len(coded) == pytest.approx(1 / 3, rel=0.04)
    assert code.decode(soft(coded), random_bits(size)) == random_bits(size)


@pytest.mark.parametrize(("share", "decodes"), [(0.03, True), (0.12, False)])
def test_codes_correct_what_they_can(code: codes.Code, share: float, decodes: bool) -> None:
    bits = random_bits(1024)
    llrs = soft(code.encode(bits))
    llrs[np.random.default_rng(2).random(len(llrs)) < share] *= -1.0
    assert (code.decode(llrs, bits) == bits) is decodes


@pytest.mark.parametrize(("errors", "decodes"), [(45, True), (46, False)])
def test_bch_corrects_45_bits_of_a_word(errors: int, decodes: bool) -> None:
    code, bits = rival("BCH"), random_bits(8 * codes.BCH_DATA)
    llrs = soft(code.encode(bits))
    assert len(llrs) == 503
    at = np.random.default_rng(3).choice(503, errors, replace=False)
    llrs[at] *= -1.5  # stronger than the right ones: no erasure takes them first
    decoded = code.decode(llrs, bits)
    assert (decoded == bits) is decodes
    assert decodes or decoded == (llrs[: len(bits)] < 0).tobytes()


@pytest.mark.parametrize(("ones", "zeros", "decodes"), [
    (45, 60, True), (60, 45, True), (46, 46, False),
])
def test_bch_fills_what_never_came_with_zeros_or_ones(
    ones: int, zeros: int, decodes: bool
) -> None:
    code, bits = rival("BCH"), random_bits(8 * codes.BCH_DATA)
    llrs = soft(code.encode(bits))
    places = [np.flatnonzero(llrs > 0)[:zeros], np.flatnonzero(llrs < 0)[:ones]]
    for first, lost in enumerate(places):  # in turns of a zero and a one
        llrs[lost] = 1e-9 * (2 * np.arange(len(lost)) + first)
    assert (code.decode(llrs, bits) == bits) is decodes


@pytest.mark.parametrize("strength", [0.0, 0.1])
@pytest.mark.parametrize(("erased", "errors", "decodes"), [
    (44, 0, True), (45, 0, False), (20, 12, True), (20, 13, False), (0, 22, True), (0, 23, False),
])
def test_reed_solomon_erases_the_weakest_bytes(
    erased: int, errors: int, decodes: bool, strength: float
) -> None:
    """22 bytes of data and 44 of checks: an error takes two of these, an erasure one."""
    code, bits = rival("RS"), random_bits(8 * 22)
    llrs = soft(code.encode(bits)).reshape(-1, 8)
    assert len(llrs) == 66
    places = np.random.default_rng(4).permutation(66)[: erased + errors]
    llrs[places] *= 2.0  # surer than the right ones: no erasure takes them first
    llrs[places] *= np.where(np.arange(8) % 2, -1.0, 1.0)
    llrs[places[:erased]] *= strength
    assert (code.decode(llrs.ravel(), bits) == bits) is decodes


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


# --- what is counted


MESSAGE, PRIVATE, KEY = schemes.make_message(PROFILES["max"], 640, 0)


def partial(coded: bytes) -> np.ndarray:
    """Of 40 bits something came, of ten of them the wrong thing."""
    llrs = soft(coded)
    llrs[:10] *= -1.0
    llrs[40:] = 0.0
    return llrs


def lost(llrs: np.ndarray, coded: bytes) -> schemes.Outcome:
    """What is made of it where the receiver found nothing."""
    def recover() -> Found:
        raise OccultaError(Reason.NOT_RECOVERED, "nothing")

    given = schemes.Sent(b"", MESSAGE, coded, PRIVATE, KEY)
    return schemes.judged(given, recover, lambda: llrs, "maxlog")


def test_only_coded_bits_of_which_anything_came_count() -> None:
    coded = TurboCode(640).encode(MESSAGE)
    found = lost(partial(coded), coded)
    assert (found.recovered, found.false, found.before) == (False, False, 0.25)
    nothing = lost(np.zeros(len(coded)), coded)
    assert (nothing.before, nothing.margin) == (None, None)


def test_a_rival_counts_as_a_profile_does(code: codes.Code) -> None:
    coded = code.encode(MESSAGE)
    scheme = schemes.Rival(PROFILES["max"], code)
    found = scheme._decoded(schemes.Sent(b"", MESSAGE, coded, PRIVATE, KEY), partial(coded))
    assert (found.recovered, found.before) == (False, 0.25)


# --- tables


LISTED = (*ATTACKS, *BEYOND)


def marked(picture: str, scheme: str, seed: int, lost: dict[str, float | None]) -> Marked:
    trials = [
        Trial(a, a not in lost, False, 0.1, 0.25 if a in lost else 0.0, lost.get(a, 3.0))
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
        marked("b.png", "max", 0, {"median:3": -0.25, "jpeg:10": None}),
        marked("b.png", "max", 1, {"median:3": -1.75}),
        Refused("b.png", "max + BCH", "error 400: too much"),
    ),
    (Skipped("notes.txt", "error 338: no picture"),),
)
TRIALS = 4 * len(LISTED)


def with_false(found: Evaluation, picture: str, attack: str) -> Evaluation:
    """The same, the first message of the picture wrong after the attack."""
    changed = list(found.results)
    at = next(n for n, each in enumerate(changed) if each.picture == picture)
    trials = tuple(
        replace(t, recovered=False, false=True) if t.attack == attack else t
        for t in changed[at].trials
    )
    changed[at] = replace(changed[at], trials=trials)
    return replace(found, results=tuple(changed))


def table_of(found: Evaluation, title: str) -> tables.Table:
    return next(each for each in tables.tables(found) if each.title.startswith(title))


def table(title: str) -> tables.Table:
    return table_of(FOUND, title)


def test_the_first_table() -> None:
    found = table("Recovered")
    one, other = (dict(zip(found.headings, row, strict=True)) for row in found.rows)
    assert list(one)[:6] == ["scheme", "bits", "coded", "PSNR", "SSIM", "bpp"]
    assert list(one)[6:] == [*ATTACKS.values()]
    assert [*one.values()][:6] == ["max", "1024", "3084", "40.50", "0.9000", "0.0039"]
    assert (one["none"], one["med3"], one["J90"]) == ("ok", "1/4", "ok")
    assert (other["scheme"], other["med3"], other["J90"]) == ("max + BCH", "ok", "0/1")


def test_rows_that_are_so_by_construction_are_said_to_be() -> None:
    assert "so by construction; with max and strong like is compared" in table("Recovered").note
    assert "of which anything came" in table("Bit error rates").note


def test_the_second_table() -> None:
    found = table("Recovered, further")
    assert found.headings[6:] == tuple(BEYOND.values())
    assert dict(zip(found.headings, found.rows[0], strict=True))["J10"] == "3/4"


def test_tables_of_the_paper() -> None:
    assert [each.title[:7] for each in tables.tables(FOUND)[2:7]] == [
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
    said = tables.text(FOUND)
    assert "Failures: 4\nmax, median:3, a.png" in said
    assert f"4 of {TRIALS} messages were lost. None of {TRIALS} came back wrong." in said
    assert said.endswith(
        "Not measured:\nmax + BCH, b.png: refused, error 400: too much\n"
        "notes.txt: skipped, error 338: no picture"
    )


def test_error_rates_leave_out_what_has_none() -> None:
    changed = FOUND.results[0]
    trials = tuple(replace(t, before=None) for t in changed.trials)
    found = replace(FOUND, results=(replace(changed, trials=trials), *FOUND.results[1:]))
    row = table_of(found, "Bit error rates").rows[0]
    assert row == ("none", "0.1000 0.0000", "0.1000 0.0000")
    alone = replace(FOUND, results=(replace(changed, trials=trials),))
    assert table_of(alone, "Bit error rates").rows[0] == ("none", "- 0.0000", "-")


def test_wrong_messages_are_loud() -> None:
    found = with_false(FOUND, "b.png", "median:3")
    line = "max, median:3, b.png, seed 0: came back WRONG"
    assert results.false_ones(found) == [line]
    assert results.failures(found)[1] == (
        "max, median:3, b.png: 1 of 2 lost, margin -1.75 dB"
    )
    said = tables.text(found)
    assert f"1 of {TRIALS} messages CAME BACK WRONG.\n{line}\n" in said
    assert "Failures: 3" in said
    first = table_of(found, "Recovered")
    assert dict(zip(first.headings, first.rows[0], strict=True))["med3"] == "1/4, 1 WRONG"
    page = report.render(found, "occulta-sim")
    assert "1 WRONG messages" in page
    assert line in page
    assert "None of" not in said + page
    values = results.values(found)
    assert (values["checked"], values["lost"], values["wrong"]) == (TRIALS, 3, [line])


def test_nothing_measured_is_no_success() -> None:
    nothing = replace(FOUND, results=(Refused("b.png", "max", "error 400: too much"),))
    said, page = tables.text(nothing), report.render(nothing, "occulta-sim")
    assert said.startswith("Nothing was measured.\n\nNot measured:\nmax, b.png: refused, error")
    assert "Nothing was measured" in page
    assert "Every message came back" not in page
    assert "Recovered" not in said + page


def test_a_headline_of_success_says_what_was_checked() -> None:
    whole = replace(FOUND, results=FOUND.results[:1])
    page = report.render(whole, "occulta-sim")
    assert "Every message came back" in page
    assert f"None of {len(LISTED)} messages were lost. None of {len(LISTED)} came" in page


def test_values() -> None:
    found = json.loads(json.dumps(results.values(FOUND)))
    assert found["pictures"] == ["a.png", "b.png"]
    assert found["skipped"] == [{"name": "notes.txt", "why": "error 338: no picture"}]
    assert found["summary"]["max"]["recovery_rate"]["median:3"] == 0.25
    assert found["refused"] == [
        {"picture": "b.png", "scheme": "max + BCH", "why": "error 400: too much"}
    ]
    trial = next(t for t in found["marked"][1]["trials"] if t["attack"] == "median:3")
    assert trial == {
        "attack": "median:3", "recovered": False, "false": False, "before": 0.1, "after": 0.25,
        "margin": -0.5,
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
    for each in tables.tables(FOUND):
        assert f"<h2>{each.title}</h2>" in page
    assert page.count("<svg") == 3
    assert "4 messages lost" in page
    assert "median:3, b.png: 2 of 2 lost" in page
    assert "notes.txt: skipped" in page
    assert "pictures, 2 messages each" in page
