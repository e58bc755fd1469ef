"""The benchmarks' own arithmetic; nothing here is timed."""

import io
import json
import random
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench import capacity, data, docs, growth, memory, paper, speed
from bench.__main__ import main
from bench.drive import comes_back, entropy_bytes, mark, timed_kernel
from bench.mosaic import columns_for, mosaic
from bench.noise import private_bytes
from bench.peers import child_time
from bench.report import Figure, Result, Table, markdown_table, plain_table, read_json, write_json
from bench.strip import encode_strip, shuffled
from bench.target import largest_private, mark_with_bits
from occulta.codec.crypto import CHUNK_SIZE
from occulta.schemes.reversible.hidden import sealed_size


def texture(width: int, height: int, mode: str = "L", seed: int = 1) -> Image.Image:
    """A picture with some detail in every block."""
    rng = np.random.default_rng(seed)
    shape = (height, width) if mode == "L" else (height, width, 3)
    steps = rng.integers(-9, 10, shape).cumsum(axis=1)
    return Image.fromarray((128 + steps // 2).clip(0, 255).astype(np.uint8))


def luma(jpeg: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The luminance alone: chroma is interpolated across rows of MCUs."""
    picture = Image.open(io.BytesIO(jpeg))
    picture.draft("L", picture.size)
    return np.asarray(picture)


# --- figures and tables


@pytest.mark.parametrize(
    ("value", "at_least", "met"), [(2.0, True, True), (1.9, True, False), (2.1, False, False)]
)
def test_bounds_have_a_direction_and_include_their_end(
    value: float, at_least: bool, met: bool
) -> None:
    assert Figure("a", value, 2.0, at_least).met is met


def test_a_figure_without_bound_is_neither_met_nor_missed() -> None:
    figure = Figure("a", 1.0)
    assert figure.met is None
    assert figure.cells() == ["a", "1.000", "", ""]
    assert Result("r", [figure]).missed == []


def test_tables_line_up() -> None:
    table = Table("Title", ["what", "n"], [["long name", "1"], ["b", "100"]])
    assert plain_table(table).splitlines() == [
        "Title", "what         n", "---------  ---", "long name    1", "b          100",
    ]
    assert markdown_table(table).splitlines()[1:3] == ["| --- | ---: |", "| long name | 1 |"]


def test_results_survive_json(tmp_path: Path) -> None:
    result = Result("r", [Figure("a", 1.5, 2.0, unit="x")], [Table("t", ["h"], [["c"]])], ["note"])
    path = tmp_path / "new" / "r.json"
    write_json(path, [result])
    assert json.loads(path.read_text())["figures"][0]["met"] is True
    assert read_json(path) == result
    assert [entry.name for entry in path.parent.iterdir()] == ["r.json"]


# --- arithmetic


def test_paired_ratios_are_paired() -> None:
    assert speed.median_ratio([2.0, 8.0, 3.0], [1.0, 2.0, 1.0]) == 3.0


def test_speed_bounds() -> None:
    assert [speed.bound("paper", "marking", q) for q in speed.QUALITIES] == [2.0, 2.0, 1.7]
    assert [speed.bound("exact", "marking", q) for q in speed.QUALITIES] == [1.5, 1.5, 1.3]
    assert {speed.bound(p, "recovery", 90) for p in ("paper", "exact")} == {1.5}


def test_cost_is_bits_over_the_optimised_file_per_hidden_bit() -> None:
    assert growth.cost(marked=1100, optimised=1000, hidden_bits=800) == 1.0


def test_psnr_bound_is_that_of_the_facts() -> None:
    assert paper.psnr_bound(17) == pytest.approx(33.45, abs=0.01)
    assert paper.psnr_bound(17, blocks=2048) == pytest.approx(36.47, abs=0.01)


def test_table_5_is_complete() -> None:
    assert {len(column) for columns in paper.TABLE_5.values() for column in columns} == {10}


def test_least_step_leaves_dc_out() -> None:
    out = io.BytesIO()
    texture(16, 16).save(out, "JPEG", qtables=[[3] + [7] * 63])
    assert paper.least_ac_step(out.getvalue()) == 7


@pytest.mark.parametrize("room", [18, 19, 1000, CHUNK_SIZE + 18, CHUNK_SIZE + 36, 100_000])
def test_the_largest_private_size_fits_and_one_more_does_not(room: int) -> None:
    size = largest_private(room)
    assert sealed_size(size) <= room < sealed_size(size + 1)


def test_no_private_size_fits_into_nothing() -> None:
    assert largest_private(17) == -1


def test_shares_are_of_the_entropy_coded_bytes() -> None:
    case = capacity.Case("a", 2000, 1000, hidden_bits=1600, private_bytes=100)
    assert (case.hidden_share, case.private_share) == (20.0, 10.0)


# --- marking


@pytest.mark.parametrize(("profile", "bits"), [("exact", 8192), ("exact", 9001), ("paper", 2000)])
def test_exactly_the_bits_asked_for_are_carried(profile: str, bits: int) -> None:
    jpeg = data.gray_jpeg(texture(256, 256), 70)
    marked, private = mark_with_bits(jpeg, bits, profile)
    assert marked.carried_bits == bits - bits % 8
    assert comes_back(jpeg, private, marked.data, profile)
    assert not comes_back(jpeg, private + b"x", marked.data, profile)


def test_small_files_stream_past_half_of_themselves() -> None:
    jpeg = data.gray_jpeg(texture(512, 512), 90)
    limits = growth.half_limits(jpeg)
    assert limits.hold_back == entropy_bytes(jpeg) // 2
    assert mark(jpeg, b"private", "exact", limits).streamed
    assert not mark(jpeg, b"private", "exact").streamed


def test_kernel_time_is_counted_for_every_pass() -> None:
    jpeg = data.gray_jpeg(texture(256, 256), 80)
    with timed_kernel() as kernel:
        mark(jpeg, b"", "paper")
        assert kernel.seconds > 0


# --- pictures


@pytest.mark.parametrize(("mode", "row"), [("L", 8), ("RGB", 16)])
def test_a_repeated_strip_decodes_to_its_rows(mode: str, row: int) -> None:
    strip = encode_strip(texture(80, 64, mode), 75)
    once = luma(b"".join(strip.repeated(64, iter(range(64)))))
    tall = luma(b"".join(strip.repeated(300, shuffled(len(strip.rows)))))
    order = islice(shuffled(len(strip.rows)), -(-300 // row))
    expected = np.concatenate([once[i * row : (i + 1) * row] for i in order])[:300]
    assert strip.row_height == row
    assert np.array_equal(tall, expected)


def test_a_strip_is_whole_rows() -> None:
    with pytest.raises(ValueError, match="not whole rows"):
        encode_strip(texture(80, 60), 75)


def test_a_repeated_strip_can_be_marked_and_comes_back() -> None:
    strip = encode_strip(texture(400, 32), 75)
    jpeg = b"".join(strip.repeated(400, shuffled(len(strip.rows))))
    marked = mark(jpeg, b"private", "exact")
    assert comes_back(jpeg, b"private", marked.data, "exact")


def test_mosaics_are_repeatable_and_do_not_repeat_tiles_as_they_are() -> None:
    tile = texture(512, 512)
    one, again = (mosaic([tile], 3, 1) for _ in range(2))
    assert one.tobytes() == again.tobytes()
    tiles = {one.crop((x, 0, x + 512, 512)).tobytes() for x in (0, 512, 1024)}
    assert len(tiles) == 3


def test_enough_columns() -> None:
    assert columns_for(1600, sample=100, sample_columns=4) == 17


def test_strips_of_tiles_fill_any_width() -> None:
    strip = memory.strip_of([texture(512, 512)], 700)
    assert strip.size == (700, memory.STRIP_HEIGHT)
    assert strip.getbbox() == (0, 0, *strip.size)


def test_private_bytes_do_not_change() -> None:
    assert private_bytes(5) == random.Random(5).randbytes(5)


# --- without data


def test_a_missing_folder_is_named_and_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "g.json"
    assert main(["growth", "--data", str(tmp_path / "nothere"), "-o", str(out)]) == 0
    assert "skipped: the data folder nothere/ is not there" in capsys.readouterr().out
    assert json.loads(out.read_text())["tables"] == []


def test_a_missing_peer_is_named_and_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    result = speed.run(Path("nowhere"), lambda _: None)
    assert result.skipped == ["jpegtran is not installed (Debian package libjpeg-turbo-progs)"]


def test_pages_wait_for_all_their_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docs, "FOLDER", tmp_path)
    tables = [Table("t", ["a", "b"], [["1", "2"]])] * 2
    assert docs.write({"speed": Result("speed", tables=tables)}, ["speed"]) == []
    both = {name: Result(name, tables=tables) for name in ("speed", "memory")}
    assert docs.write(both, ["growth"]) == []
    assert docs.write(both, ["memory"]) == [tmp_path / "speed.md"]
    assert "| 1 | 2 |" in (tmp_path / "speed.md").read_text()


def test_child_time_is_that_of_the_child() -> None:
    assert child_time(["/bin/sh", "-c", "exit 0"]).total < 5
