"""The demonstration: its measures, its table, its report, and the whole run."""

import io
import json
import math
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from sim import pixels
from sim.__main__ import main
from sim.camera import photograph
from sim.command import CommandFailed, must, run
from sim.files import OURS, same_bytes, workspace
from sim.private import customer_file
from sim.report import Page, render
from sim.results import HEADINGS, Measured, Refused, all_restored, cells, table

EXACT = Measured(
    profile="exact",
    hidden=12345,
    before=800_000,
    after=799_200,
    psnr=math.inf,
    restored=True,
    private_same=True,
    authentic=True,
    seconds=(1.234, 0.8),
    peak_mib=(44.6, 43.2),
)
PAPER = replace(EXACT, profile="paper", after=812_000, psnr=41.237)
REFUSED = Refused("paper", "E17: <progressive> JPEG")


# --- pixels


def test_psnr_of_identical_pictures_is_infinite():
    picture = np.arange(300, dtype=np.uint8).reshape(10, 10, 3)
    assert pixels.psnr(picture, picture.copy()) == math.inf


@pytest.mark.parametrize("rows", [1, 255, 256, 257, 600])
def test_psnr_of_one_step_everywhere(rows):
    black = np.zeros((rows, 7), dtype=np.uint8)
    assert pixels.psnr(black, black + 1) == pytest.approx(20 * math.log10(255))


def test_psnr_of_the_greatest_difference_is_zero():
    black = np.zeros((9, 9, 3), dtype=np.uint8)
    assert pixels.psnr(black, black + 255) == pytest.approx(0.0)


def test_psnr_of_different_shapes_is_misuse():
    with pytest.raises(ValueError, match="shape"):
        pixels.psnr(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8))


def test_difference_is_amplified_and_clipped():
    one = np.array([[0, 10, 200]], dtype=np.uint8)
    other = np.array([[1, 10, 100]], dtype=np.uint8)
    assert pixels.difference(one, other, 16).tolist() == [[16, 0, 255]]


def test_pooling_keeps_a_single_changed_pixel():
    changed = np.zeros((701, 903, 3), dtype=np.uint8)
    changed[433, 777, 1] = 80
    small = pixels.pooled(changed, 100)
    assert small.shape[1] <= 100 and small.max() == 80


def test_undecodable_pictures_are_none(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"not a picture")
    assert pixels.decoded(tmp_path / "a.jpg") is None
    assert pixels.decoded(tmp_path / "missing.jpg") is None


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_data_uri_of_every_kind_of_jpeg(mode, tmp_path):
    Image.new(mode, (30, 20)).save(tmp_path / "a.jpg")
    picture = pixels.decoded(tmp_path / "a.jpg")
    assert pixels.data_uri(pixels.shrunk(picture, 10), "PNG").startswith("data:image/png;base64,")


# --- private file


@pytest.mark.parametrize("size", [1, 10, 250, 251, 5000, 65536])
def test_customer_file_fits_and_repeats(size):
    content = customer_file(3, size)
    assert 1 <= len(content) <= size
    assert content == customer_file(3, size)
    if size > 1000:
        assert content != customer_file(4, size)
        assert len(content) > size - 300
        assert all("customer" in json.loads(line) for line in content.splitlines())


# --- table


def test_cells_match_the_headings():
    row = dict(zip(HEADINGS, cells(EXACT), strict=True))
    assert row["hidden bytes"] == "12,345"
    assert row["growth"] == "-800"
    assert row["growth %"] == "-0.100"
    assert row["PSNR dB"] == "infinite"
    assert row["restored"] == "bit for bit"
    assert row["seconds"] == "1.23 + 0.80"
    assert row["peak MiB"] == "45 + 43"


@pytest.mark.parametrize(
    ("change", "heading"),
    [
        ({"restored": False}, "restored"),
        ({"private_same": False}, "private data"),
        ({"authentic": False}, "signature"),
    ],
)
def test_a_failure_is_shown_and_fails_the_run(change, heading):
    broken = replace(EXACT, **change)
    assert dict(zip(HEADINGS, cells(broken), strict=True))[heading] == "NO"
    assert not all_restored([broken, PAPER], refusals_allowed=True)


def test_undecoded_pictures_say_so():
    assert "not decoded" in cells(replace(EXACT, psnr=None))


def test_table_is_aligned():
    lines = table([EXACT, PAPER]).splitlines()
    assert len(lines) == 4 and len({len(line) for line in lines}) == 1
    assert "41.24" in lines[3]


def test_a_refusal_takes_a_line_with_its_message():
    lines = table([EXACT, REFUSED]).splitlines()
    assert lines[3] == "paper    refused: E17: <progressive> JPEG"
    assert "failed: x" in table([Refused("exact", "x", failed=True)])


def test_a_note_follows_its_row():
    lines = table([replace(EXACT, note="wrong key"), PAPER]).splitlines()
    assert lines[3].strip() == "wrong key"


@pytest.mark.parametrize(
    ("outcomes", "allowed", "expected"),
    [
        ([EXACT, PAPER], False, True),
        ([EXACT, REFUSED], True, True),
        ([EXACT, REFUSED], False, False),
        ([REFUSED, REFUSED], True, False),
        ([EXACT, Refused("paper", "x", failed=True)], True, False),
        ([], True, False),
    ],
)
def test_success_means_everything_came_back(outcomes, allowed, expected):
    assert all_restored(outcomes, allowed) is expected


# --- report


class Html(HTMLParser):
    """Collects tags and checks that they nest."""

    VOID = ("meta", "img", "link", "br")

    def __init__(self, text):
        super().__init__()
        self.tags, self.images, self.text, self._open = [], [], [], []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in self.VOID:
            self._open.append(tag)
        self.images += [dict(attrs)["src"]] if tag == "img" else []
        assert "href" not in dict(attrs)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def pictures(tmp_path):
    original, changed = tmp_path / "picture.jpg", tmp_path / "marked-paper.jpg"
    noise = np.random.default_rng(1).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    Image.fromarray(noise).save(original)
    Image.fromarray(noise).save(changed, quality=60)
    return original, changed


def test_report_is_self_contained(pictures):
    original, changed = pictures
    marked = {"exact": original, "paper": changed}
    text = render(Page([EXACT, PAPER], original, marked, ["occulta-onboard protect <x>"], True))
    page = Html(text)
    assert len(page.images) == 3 + 3 + 2 + 2
    assert all(image.startswith("data:image/") for image in page.images)
    for outside in ("http:", "https:", "<script", "url("):
        assert outside not in text
    assert "prefers-color-scheme: dark" in text and "width=device-width" in text
    words = "".join(page.text)
    assert "Restored bit for bit" in words and "every pixel identical" in words
    assert "occulta-onboard protect <x>" in words
    for cell in cells(PAPER):
        assert cell in words


def test_report_of_a_refusal_escapes_the_message(pictures):
    original, _ = pictures
    text = render(Page([EXACT, REFUSED], original, {"exact": original}, [], True))
    assert "E17: &lt;progressive&gt; JPEG" in text
    assert len(Html(text).images) == 2 + 2 + 1 + 1


def test_report_without_pictures_still_stands(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"12 bits")
    text = render(Page([replace(EXACT, restored=False)], tmp_path / "a.jpg", {}, [], False))
    assert not Html(text).images
    assert "Not everything was restored" in text


# --- folders and files


def test_workspace_replaces_only_its_own(tmp_path):
    first = workspace(tmp_path / "out")
    (first / "old").write_text("x")
    assert workspace(tmp_path / "out") == first
    assert [p.name for p in first.iterdir()] == [OURS]


def test_workspace_leaves_others_alone(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("precious")
    (tmp_path / "out-2").write_text("a file")
    assert workspace(tmp_path / "out") == tmp_path / "out-3"
    assert (tmp_path / "out" / "thesis.txt").read_text() == "precious"
    assert workspace(tmp_path / "out") == tmp_path / "out-3"


def test_workspace_spares_the_callers_own_files(tmp_path):
    picture = workspace(tmp_path / "out") / "picture.jpg"
    picture.write_bytes(b"mine now")
    assert workspace(tmp_path / "out", keep=(picture, None)) == tmp_path / "out-2"
    assert picture.read_bytes() == b"mine now"


def test_workspace_never_follows_a_link(tmp_path):
    theirs = workspace(tmp_path / "theirs")
    (theirs / "kept").write_text("x")
    (tmp_path / "out").symlink_to(theirs)
    assert workspace(tmp_path / "out") == tmp_path / "out-2"
    assert (theirs / "kept").exists()


def test_same_bytes_reads_the_bytes(tmp_path):
    one, two = tmp_path / "1", tmp_path / "2"
    one.write_bytes(b"abc")
    two.write_bytes(b"abd")
    assert not same_bytes(one, two) and not same_bytes(one, tmp_path / "3")
    two.write_bytes(b"abc")
    assert same_bytes(one, two)


# --- commands


def test_a_run_is_measured_apart_from_its_parent(tmp_path):
    ballast = np.ones(60_000_000, dtype=np.uint8)
    (tmp_path / "light.py").write_text("print('done')")
    ran = run("light", cwd=tmp_path)
    assert ran.ok and ran.message == "done" and ballast[-1] == 1
    assert 3.0 < ran.peak_mib < 50.0 and 0.0 < ran.seconds < 60.0


def test_a_run_sees_the_childs_own_memory(tmp_path):
    (tmp_path / "heavy.py").write_text("x = b'x' * 90_000_000")
    assert run("heavy", cwd=tmp_path).peak_mib > 85.0


def test_status_and_message_come_through(tmp_path):
    (tmp_path / "wrong.py").write_text(
        "import sys; print('E4: too large\\nhint: less', file=sys.stderr); sys.exit(4)"
    )
    ran = run("wrong", "--x", cwd=tmp_path)
    assert (ran.status, ran.message, ran.shown) == (4, "E4: too large", "occulta-wrong --x")
    with pytest.raises(CommandFailed, match="too large"):
        must("wrong", cwd=tmp_path)


def test_a_traceback_is_told_by_its_last_line(tmp_path):
    (tmp_path / "crash.py").write_text("1 / 0")
    assert run("crash", cwd=tmp_path).message == "ZeroDivisionError: division by zero"


def test_a_killed_command_is_a_failure(tmp_path):
    (tmp_path / "killed.py").write_text("import os; os.kill(os.getpid(), 9)")
    assert run("killed", cwd=tmp_path).status == 128 + 9


# --- the whole


@pytest.mark.parametrize("option", ["--image", "--private"])
def test_a_missing_file_is_refused(option, tmp_path, capsys):
    status = main(["demo", option, str(tmp_path / "none"), "-o", str(tmp_path / "out")])
    assert status == 3
    line, hint = capsys.readouterr().err.splitlines()
    assert line == f"error 329: cannot read {tmp_path}/none: No such file or directory"
    assert hint.startswith("hint: ")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def small_picture(tmp_path):
    path = tmp_path / "small.jpg"
    path.write_bytes(photograph(4, 0.5))
    return path


def test_demo_restores_everything(small_picture, tmp_path, capsys):
    out = tmp_path / "out"
    status = main(["demo", "--image", str(small_picture), "-o", str(out)])
    printed = capsys.readouterr().out
    assert status == 0, printed
    exact, paper = printed.splitlines()[2:4]
    assert exact.startswith("exact") and "infinite" in exact and "bit for bit" in exact
    assert paper.startswith("paper") and "bit for bit" in paper and "refused" not in paper
    for profile in ("exact", "paper"):
        assert (out / f"recovered-{profile}" / "carrier.jpg").read_bytes() == (
            small_picture.read_bytes()
        )
    assert len(Html((out / "report.html").read_text(encoding="utf-8")).images) == 10


def test_demo_with_a_file_of_ones_own(small_picture, tmp_path):
    private, out = tmp_path / "mine.bin", tmp_path / "out"
    private.write_bytes(bytes(range(200)))
    arguments = ["--image", str(small_picture), "--private", str(private), "-o", str(out)]
    assert main(["demo", *arguments]) == 0
    assert (out / "recovered-exact" / "private.bin").read_bytes() == private.read_bytes()


def test_demo_carries_on_when_a_profile_refuses(tmp_path, capsys):
    progressive, out = io.BytesIO(), tmp_path / "out"
    with Image.open(io.BytesIO(photograph(4, 0.5))) as picture:
        picture.save(progressive, "JPEG", quality=85, progressive=True)
    (tmp_path / "p.jpg").write_bytes(progressive.getvalue())
    status = main(["demo", "--image", str(tmp_path / "p.jpg"), "-o", str(out)])
    printed = capsys.readouterr().out
    assert status == 0, printed
    exact, paper = printed.splitlines()[2:4]
    assert "bit for bit" in exact
    assert paper.startswith("paper    refused: ")
    assert "refused: " in (out / "report.html").read_text(encoding="utf-8")


def test_demo_refused_by_every_profile_is_no_success(tmp_path, capsys):
    (tmp_path / "x.jpg").write_bytes(b"this is no JPEG")
    status = main(["demo", "--image", str(tmp_path / "x.jpg"), "-o", str(tmp_path / "out")])
    assert status == 3
    assert capsys.readouterr().out.count("refused: ") == 2


def test_the_demo_runs_as_a_program(tmp_path):
    ran = run("sim", "demo", "--image", "missing.jpg", cwd=tmp_path)
    assert ran.status == 3 and "missing.jpg" in ran.message
    assert sys.executable not in ran.shown
