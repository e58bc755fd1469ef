"""The profile `paper` of robust hiding by its commands, and its benchmark."""

import json

import numpy as np
import pytest
from PIL import Image

from bench import robust_paper
from occulta.codec.fec.turbo import Rate
from tests import jpegs
from tests.cli import Place, assert_error, call
from tests.ranked_pictures import spread

SECRET = b"a note of 20 bytes.."


@pytest.fixture
def place(tmp_path) -> Place:
    """With a picture whose rougher half is ranked beyond doubt."""
    numbers = np.random.default_rng(3).permutation(36 * 36)
    return Place(tmp_path, spread([max(0, int(n) - 300) for n in numbers]), SECRET)


ROBUST = ("--scheme", "robust", "--profile", "paper")


def test_the_commands_there_and_back(place) -> None:
    done = place.protect(*ROBUST)
    assert (done.status, done.err) == (0, "")
    assert done.out.endswith(
        b" bytes, paper, a message of 640 bits, not signed\n"
        b"paper is a baseline: such a message is hardly ever read\n"
    )
    done = place.recover(*ROBUST)
    assert (done.status, done.err) == (0, "")
    assert (place.folder / "private.bin").read_bytes() == SECRET
    report = place.report()
    assert (report["profile"], report["corrected_bits"], report["compared_bits"]) == (
        "paper", 0, 1932
    )


def test_the_command_reports_what_blind_ranking_lost(place) -> None:
    place.image.write_bytes(jpegs.encode(4, 288, 288, "L", noise=9.0))
    assert place.protect(*ROBUST).status == 0
    assert_error(place.recover(*ROBUST), 509, "profile tried: paper")
    assert not (place.folder / "private.bin").exists()


def test_of_pixels_it_is_tried_too(place) -> None:
    Image.frombytes("L", (288, 288), bytes(288 * 288)).save(place.marked, "PNG")
    assert_error(place.recover(*ROBUST), 509, "profile tried: paper")


def test_the_command_says_how_much_fits(place) -> None:
    done = call("onboard", "capacity", place.image, *ROBUST, "--json")
    assert json.loads(done.out) == {
        "scheme": "robust", "profile": "paper", "gross_bits": 648, "message_bits": 640,
        "private_bytes": 0, "private_bytes_unsigned": 25, "fits": False, "fits_unsigned": True,
    }


@pytest.mark.slow
def test_the_measurement_tells_blind_from_oracle(monkeypatch) -> None:
    monkeypatch.setattr(robust_paper, "ATTACKS", ("none", "gaussian:2"))
    jpeg = jpegs.encode(4, 256, 256, "L", noise=9.0)
    found = robust_paper.marked("texture", jpeg, 75, Rate.HALF)
    assert found.bits == 1420
    assert found.bpp == 1420 / 256**2
    assert 45 < found.psnr < 60
    assert found.moved > 0.5
    none = found.trials["none"]
    assert (none.oracle, none.found_oracle, none.found_blind) == (0, True, False)
    assert none.blind > 0.1
    noisy = found.trials["gaussian:2"]
    assert 0 < noisy.oracle < noisy.blind
