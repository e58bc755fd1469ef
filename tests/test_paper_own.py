"""The paper's own protection of the secret: mixed in, taken out, the original restored."""

from __future__ import annotations

import pytest

from occulta.limits import Limits
from occulta.schemes.reversible.paper import PaperMarker
from occulta.schemes.reversible.paper_own import XorRestorer, XorSource, xor_sequence
from tests.encoder import Picture, random_blocks

SECRET = bytes(range(256))
STREAMING = Limits(hold_back=8192, quantum=1024)


def picture() -> bytes:
    return Picture([random_blocks(1, 4000, last=20)], 50).to_jpeg()


def test_the_sequence_is_its_own_inverse() -> None:
    mixed = xor_sequence(SECRET, b"seed")
    assert mixed != SECRET
    assert xor_sequence(mixed, b"seed") == SECRET
    assert xor_sequence(mixed, b"other") != SECRET


@pytest.mark.parametrize("limits", [Limits(), STREAMING])
def test_secret_and_original_come_back(limits: Limits) -> None:
    original = picture()
    marker = PaperMarker(XorSource(SECRET, b"seed"), limits)
    marked = marker.feed(original) + marker.finish()
    restorer = XorRestorer(len(SECRET), b"seed", limits)
    restored = restorer.feed(marked) + restorer.finish()
    assert restored == original
    assert restorer.secret == SECRET
    assert marker.hidden_bits == 8 * len(SECRET)
