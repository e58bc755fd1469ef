"""`occulta-sim evaluate robust`: marking, attacking and reading real pictures; the command."""

import json
import os
import signal
from collections.abc import Iterator
from multiprocessing import active_children
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from PIL import Image

from occulta.errors import OccultaError, Reason
from occulta.schemes.robust import message
from occulta.schemes.robust.profiles import PROFILES
from sim.__main__ import main
from sim.attacks import picture as pictures
from sim.attacks.catalogue import apply, parse
from sim.attacks.picture import Picture
from sim.attacks.robust import choice, codes, command, study
from sim.attacks.robust.schemes import Sent
from tests import jpegs
from tests.cli import names

SIDE = 288
SCENE = jpegs.picture(11, SIDE, SIDE)
GRAY = pictures.luminance(SCENE)
pytestmark = pytest.mark.slow
KEPT = ["none", "gaussian:5", "jpeg:90", "crop:0.9"]
"""Of the attacks, to make tests short."""


@pytest.fixture(scope="module", autouse=True)
def few_attacks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for listed in (study.ATTACKS, study.BEYOND):
            for attack in set(listed) - set(KEPT):
                patch.delitem(listed, attack)
        yield


def sent(name: str, seed: int = 0) -> Sent:
    plain = pictures.encoded(GRAY, "JPEG", quality=90)
    return choice.by_name(name).send(plain, (SIDE, SIDE), seed)


def after(given: Sent, text: str) -> Picture:
    return apply(Picture(given.file), [parse(text)], 0)


# --- schemes


def test_the_largest_message_is_sent_and_recovered() -> None:
    given = sent("default")
    most = message.most_bits(PROFILES["default"], SIDE, SIDE)
    assert len(given.message) == most == 640
    assert len(given.private) == message.room(most, signed=False)
    found = choice.by_name("default").receive(given, Picture(given.file), False)
    assert found.recovered
    assert found.after == 0.0
    assert 0.0 <= found.before < 0.2
    assert found.margin is not None and found.margin > 2.0


def test_seeds_have_keys_and_data_of_their_own() -> None:
    one, again, other = sent("default", 0), sent("default", 0), sent("default", 1)
    assert (one.private, one.key) == (again.private, again.key)
    assert one.private != other.private
    assert one.key != other.key


def test_a_lost_message_is_measured_all_the_same() -> None:
    given = sent("default")
    found = choice.by_name("default").receive(given, after(given, "gaussian:100"), False)
    assert not found.recovered
    assert found.before == pytest.approx(0.5, abs=0.06)
    assert found.after == pytest.approx(0.5, abs=0.1)
    assert found.margin is None or found.margin < 0.0


def test_what_has_moved_is_searched_for_if_told() -> None:
    given, scheme = sent("default"), choice.by_name("default")
    moved = after(given, "shift:3,5")
    assert scheme.receive(given, moved, True).recovered
    assert not scheme.receive(given, moved, False).recovered


def test_paper_is_measured_and_lost() -> None:
    given, scheme = sent("paper"), choice.by_name("paper")
    found = scheme.receive(given, after(given, "gaussian:5"), False)
    assert not found.recovered
    assert 0.2 < found.before < 0.6
    assert 0.2 < found.after < 0.7
    assert found.margin is None or found.margin < 0.0


@pytest.mark.parametrize("code", [*codes.CODES])
def test_rivals_on_the_same_lattice(code: str) -> None:
    if code not in codes.available():
        pytest.skip("the extra `attacks` is not installed")
    scheme = choice.by_name(f"default + {code}")
    given = sent(scheme.name)
    assert given.coded == codes.CODES[code]().encode(given.message)
    assert given.message != sent("default").message
    assert given.private == sent("default").private
    weak = scheme.receive(given, after(given, "gaussian:100"), False)
    assert not weak.recovered
    assert weak.before == pytest.approx(0.5, abs=0.06)
    assert weak.margin is None
    clean = scheme.receive(given, Picture(given.file), False)
    assert 0.0 < clean.before < 0.15
    assert clean.recovered is (clean.after == 0.0)


# --- one picture


def test_a_study_of_one_picture() -> None:
    found = study.study("a.png", GRAY, choice.by_name("default"), 0)
    assert isinstance(found, study.Marked)
    assert [trial.attack for trial in found.trials] == [*study.ATTACKS, *study.BEYOND]
    assert set(KEPT) == {trial.attack for trial in found.trials}
    assert (found.picture, found.scheme, found.seed) == ("a.png", "default", 0)
    assert (found.pixels, found.bits, found.coded) == (SIDE**2, 640, 3 * 640 + 12)
    assert found.bpp == 640 / SIDE**2
    assert 30 < found.psnr < 60
    assert 0.9 < found.ssim < 1
    by_attack = {trial.attack: trial for trial in found.trials}
    assert by_attack["none"].recovered
    assert by_attack["crop:0.9"].recovered


def test_only_the_first_seed_searches() -> None:
    found = study.study("a.png", GRAY, choice.by_name("default"), 1)
    assert isinstance(found, study.Marked)
    assert "crop:0.9" not in {trial.attack for trial in found.trials}


@pytest.mark.parametrize(("shape", "number"), [
    ((64, 64), 400), ((16, 70000), 316), ((20600, 10), 316),
])
def test_a_picture_of_the_wrong_size_is_refused(shape: tuple[int, int], number: int) -> None:
    with pytest.raises(OccultaError) as refused:
        study.study("a.png", np.full(shape, 90, np.uint8), choice.by_name("max"), 0)
    assert refused.value.reason == number


def test_a_message_that_was_never_sent_is_false_and_not_lost() -> None:
    given = sent("default")
    claimed = given._replace(private=given.private + b"!")
    found = choice.by_name("default").receive(claimed, Picture(given.file), False)
    assert (found.recovered, found.false) == (False, True)


# --- the command


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("evaluate")
    folder = root / "pictures"
    folder.mkdir()
    deep = GRAY.astype(np.uint16) * 257
    Image.fromarray(deep).save(folder / "a.png")
    Image.fromarray(SCENE[:64, :64]).save(folder / "b.jpg")
    Image.fromarray(np.zeros((16, 70000), np.uint8)).save(folder / "c.png")
    (folder / "notes.txt").write_text("no picture")
    return root


def evaluate(place: Path, *words: object) -> int:
    line = ["evaluate", "robust", place / "pictures", "--seeds", 2, "-o", place / "out", *words]
    return main([str(word) for word in line])


@pytest.fixture(scope="module")
def report(place: Path) -> Any:
    assert evaluate(place, "--profile", "default") == 0
    return json.loads((place / "out" / "report.json").read_text())


def test_the_command_measures_a_folder(place: Path, report: Any) -> None:
    assert names(place / "out") == ["report.html", "report.json"]
    assert (report["folder"], report["seeds"]) == ("pictures", 2)
    assert report["pictures"] == ["a.png", "b.jpg", "c.png"]
    assert report["skipped"] == [
        {"name": "notes.txt", "why": "error 338: no picture that Pillow knows"}
    ]
    assert report["profiles"] == ["default"]
    assert report["schemes"] == choice.names(["default"], codes.available())
    own = [each for each in report["marked"] if each["scheme"] == "default"]
    assert [(each["picture"], each["seed"]) for each in own] == [("a.png", 0), ("a.png", 1)]
    rivals = [each["seed"] for each in report["marked"] if each["scheme"] != "default"]
    assert rivals == [0] * len(codes.available())
    assert {(each["picture"], each["scheme"], each["why"][:9]) for each in report["refused"]} == {
        (name, scheme, why) for scheme in report["schemes"]
        for name, why in (("b.jpg", "error 400"), ("c.png", "error 316"))
    }
    assert (report["checked"], report["wrong"]) == (2 * len(KEPT) - 1, [])
    assert report["summary"]["default"]["recovery_rate"]["none"] == 1.0


def test_the_page_says_what_was_typed(place: Path, report: Any) -> None:
    page = (place / "out" / "report.html").read_text()
    assert "evaluate robust" in page
    assert "--profile default --seeds 2" in page
    assert "<h2>Table 5: recovery rate, %</h2>" in page


def test_what_is_refused(
    place: Path, report: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    out = ["-o", str(tmp_path / "out")]
    tried = {
        205: ["evaluate", "robust", str(place / "pictures"), "-o", str(place / "out")],
        329: ["evaluate", "robust", str(tmp_path), *out],
        200: ["evaluate", "robust", str(place / "pictures"), "--profile", "best", *out],
    }
    for number, line in tried.items():
        assert main(line) == number // 100
        assert capsys.readouterr().err.startswith(f"error {number}: ")
    for words in (["--seeds", "0"], ["--seeds", "1001"], ["--seeds", "x"]):
        assert main(["evaluate", "robust", str(tmp_path), *words, *out]) == 2
    assert main(["evaluate", "robust", str(tmp_path / "none"), *out]) == 3
    assert names(tmp_path) == ["notes.txt"]


def test_where_nothing_can_be_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.fromarray(SCENE[:64, :64]).save(folder / "small.png")
    assert evaluate(tmp_path, "--profile", "max") == 3
    said = capsys.readouterr()
    assert said.out.startswith("Nothing was measured.\n\nNot measured:\nmax, small.png: refused, ")
    assert "error 345: nothing was measured\nhint: " in said.err
    assert names(tmp_path / "out") == ["report.html", "report.json"]


def test_a_picture_that_is_gone_by_now_is_not_measured(tmp_path: Path) -> None:
    found = command._work(command._Task(tmp_path / "gone.png", "max", 0))
    assert isinstance(found, study.Refused)
    assert (found.picture, found.scheme, found.why[:10]) == ("gone.png", "max", "error 329:")


def _claims_more(task: Any) -> study.Result:
    """As if another message had been sent."""
    scheme = choice.by_name(task.scheme)

    class Other:
        name, follows = scheme.name, scheme.follows

        def send(self, *given: Any) -> Sent:
            found = scheme.send(*given)
            return found._replace(private=found.private + b"!")

        receive = staticmethod(scheme.receive)

    return study.study(task.path.name, GRAY, Other(), task.seed)


def test_wrong_messages_end_in_status_5(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    monkeypatch.setattr(command, "_work", _claims_more)
    monkeypatch.setattr(codes, "available", list)
    (tmp_path / "pictures").mkdir()
    Image.fromarray(GRAY).save(tmp_path / "pictures" / "a.png")
    assert evaluate(tmp_path, "--profile", "default", "--seeds", 1, "--json") == 5
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert len(found["wrong"]) == found["checked"] == len(KEPT)
    assert found["lost"] == 0
    assert f"error 508: {len(KEPT)} of {len(KEPT)} messages came back wrong" in said.err
    assert "WRONG" in (tmp_path / "out" / "report.html").read_text()


def _die(task: object) -> None:
    os._exit(9)


def test_a_killed_process_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr(command, "_work", _die)
    with pytest.raises(OccultaError, match="a process that measures died") as refused:
        list(command._done([tmp_path / "one", tmp_path / "other"]))
    assert refused.value.reason is Reason.PROGRAM_FAILED


class Interrupted(Exception):
    pass


def _interrupt(number: int, frame: object) -> None:
    raise Interrupted


def _wait(marker: Path) -> None:
    Event().wait(30)
    marker.touch()


def test_who_ends_it_does_not_wait_for_what_was_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr(command, "_work", _wait)
    before = signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        with pytest.raises(Interrupted):
            next(command._done([tmp_path / "one", tmp_path / "other"]))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert active_children() == []
    assert names(tmp_path) == []
