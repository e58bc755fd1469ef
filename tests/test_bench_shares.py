"""The benchmark of shares: its second opinion can tell, and a short campaign finds no fault."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import pytest
from PIL import Image

from bench import shares, shares_paper, shares_random
from bench.report import Figure, Result
from bench.shares_alter import KINDS
from bench.shares_drive import comes_back, create, joined, layout, split
from bench.shares_tamper import COUNTED, Built, campaign
from bench.shares_truth import Decoder
from occulta.schemes.shares.gather import Gatherer
from occulta.schemes.shares.raster import Box, Raster
from occulta.schemes.shares.segments import Kind
from tests.decoder import decode
from tests.paper_world import picture as raster
from tests.support import by_kernel


def texture(mode: str, width: int = 320, height: int = 208) -> Image.Image:
    rng = np.random.default_rng(9)
    shape = (height, width) if mode == "L" else (height, width, 3)
    values = 128 + rng.integers(-40, 41, shape) + 60 * np.sin(np.arange(width) / 30).reshape(
        (1, width, 1)[: len(shape)])
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


@cache
def pictures() -> dict[str, bytes]:
    kinds = {"gray": ("L", {"restart_marker_blocks": 13}), "4:2:0": ("RGB", {}),
             "progressive": ("L", {"progressive": True})}
    made = {}
    for name, (mode, options) in kinds.items():
        out = io.BytesIO()
        texture(mode).save(out, "JPEG", quality=90, **options)
        made[name] = out.getvalue()
    return made


# --- the second opinion


@pytest.mark.parametrize("name", ["gray", "4:2:0"])
def test_coefficients_are_those_of_another_decoder(name: str) -> None:
    jpeg = pictures()[name]
    laid = [each for each in layout(split(jpeg, create("seed", name)))
            if each.segment.kind is Kind.CELLS]
    decoder = Decoder(jpeg[: jpeg.index(joined(laid))])
    expected = decode(jpeg).mcus
    for each in laid:
        cut = each.segment.cut
        found = decoder.read(cut, each.segment.data, each.segment.mcus)
        assert found.ended_well
        for values, blocks in zip(found.mcus, expected[cut.mcu :], strict=False):
            assert values == [pair for block in blocks for at, value in enumerate(block)
                              if value or not at for pair in (at or -1, value)]


def test_a_changed_value_is_in_one_cell_and_a_lost_step_in_the_rest() -> None:
    built = Built.of("gray", pictures()["gray"], "seed")
    laid = next(each for each in built.laid if each.number in built.readings)
    cut, data = laid.segment.cut, laid.segment.data
    reading = built.readings[laid.number]
    truth = [
        built.decoder.compare(reading, cut, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        for at in range(100, 4000, 130)
    ]
    cells = built.cells_of(laid)
    assert all(each.differing | each.rest <= cells for each in truth)
    assert any(len(each.differing) == 1 and not each.rest for each in truth)
    assert any(each.rest for each in truth)
    cut_off = built.decoder.compare(reading, cut, data[:1000])
    assert len(cut_off.differing) == 0
    assert max(cells) in cut_off.rest
    assert built.decoder.compare(reading, cut, data) == (frozenset(), frozenset())


# --- tampering


def test_a_short_campaign_finds_no_fault() -> None:
    count = by_kernel(60, 12)
    found = campaign(pictures(), range(count))
    assert found.total("tampers") == found.total("detected") == count
    assert found.total("wrong") == 0
    assert found.total("undamaged lost") == 0, found.faults
    assert found.total("flips in JPEG bytes") == found.total("of them located")
    assert campaign(pictures(), range(5)).counts == campaign(pictures(), range(5)).counts


def test_a_campaign_notices_a_wrong_place(monkeypatch: pytest.MonkeyPatch) -> None:
    class Shifted(Gatherer):
        def restore(self):
            yield from super().restore()
            self.damage.cells = {cell + 1 for cell in self.damage.cells}

    monkeypatch.setattr("bench.shares_drive.Gatherer", Shifted)
    found = campaign(pictures(), range(by_kernel(30, 8)))
    assert found.total("wrong") > 0
    assert found.faults


def test_a_campaign_notices_damage_that_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    class Blind(Gatherer):
        is_intact = True

    monkeypatch.setattr("bench.shares_drive.Gatherer", Blind)
    found = campaign(pictures(), range(10))
    assert found.total("detected") < found.total("tampers")


def test_the_report_of_a_campaign_holds_its_bounds() -> None:
    found = campaign(pictures(), range(6))
    result = Result("shares")
    shares.report_tampers(result, found, 6)
    assert result.figures[0] == Figure("tampers detected", 6, 6, True, digits=0)
    assert result.missed == []
    assert [row[0] for row in result.tables[0].rows] == [*KINDS, "all"]
    assert result.tables[0].head == ["tamper", *COUNTED]


# --- the other figures


@pytest.mark.parametrize("form", ["seed", "stream", "threshold"])
def test_a_file_comes_back_from_enough_shares(form: str) -> None:
    done = split(pictures()["gray"], create(form, "a"))
    assert comes_back(done, done.shares)
    assert shares.round_trip(pictures()["gray"], form)
    spoilt = [*done.shares[:-1], done.shares[-1][:-1]]
    assert not comes_back(done, spoilt)


def test_sizes_are_within_their_bound() -> None:
    size = shares.size_of("a", pictures()["4:2:0"])
    assert size.hashed == 20 * 13
    assert size.seed <= shares.SEED_BOUND
    assert size.over <= 0
    header, conclusion = len(create("seed", "a").shares[1].header), 58
    parts = size.jpeg + 4 * size.hashed + 64 * size.segments + size.padding
    assert size.share == header + parts + conclusion


def test_p_values_of_a_share(monkeypatch: pytest.MonkeyPatch) -> None:
    jpeg = pictures()["4:2:0"]
    monkeypatch.setattr(shares_random, "BITS", 1 << 18)
    monkeypatch.setattr(shares_random, "PATTERN", 10)
    values = shares_random.p_values(jpeg, "noise")
    assert len(values) == len(shares_random.TESTS)
    assert min(values) > 1e-4
    monkeypatch.setattr(shares_random, "BITS", 1 << 30)
    with pytest.raises(AssertionError, match="too few"):
        shares_random.p_values(jpeg, "noise")


def test_one_pixel_tampers_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def region_of(image: Raster, number: int) -> Box:
        return Box(8, 8, 32, 32)

    monkeypatch.setattr(shares_paper, "region_of", region_of)
    assert shares_paper.tamper([raster(64, 64)], range(8)) == (8, 0, 8)
    assert shares_paper.comes_back(raster(64, 64), Box(8, 8, 32, 32), 1)
