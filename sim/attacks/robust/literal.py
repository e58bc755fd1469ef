"""The profile `paper` among the schemes that are compared."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from occulta.codec.fec.message import TurboCode
from occulta.codec.jpeg.quantisation import Table
from occulta.schemes.robust import paper, paper_extract
from occulta.schemes.robust.picture import Floats
from sim.attacks import picture as pictures
from sim.attacks.picture import Picture
from sim.attacks.robust import schemes
from sim.attacks.robust.schemes import Outcome, Sent

_LEAST = 1e-3
"""How far the share of wrong bits is taken to be from none, and from half."""


class Literal:
    """Blind: the receiver ranks the blocks of what it got."""

    follows: ClassVar[bool] = False
    name = paper.PAPER.name

    def send(self, jpeg: bytes, size: tuple[int, int], seed: int) -> Sent:
        """The largest message at rate 1/3 that fits."""
        sealed, private, key = schemes.make_message(paper.PAPER, paper.most_bits(*size), seed)
        coded = TurboCode(len(sealed)).encode(sealed)
        return Sent(paper.mark_coded(jpeg, coded), sealed, coded, private, key)

    def receive(self, sent: Sent, left: Picture, moved: bool) -> Outcome:
        """The marked file's quantisation table is taken as known."""
        luminance = received(left, paper_extract.from_jpeg(sent.file).table)
        return schemes.judged(
            sent, lambda: paper_extract.recover(luminance, sent.key),
            lambda: _llrs(sent, luminance), "sova",
        )


def received(left: Picture, table: Table) -> paper.Luminance:
    """What an attack left, quantised by the marked file's table; raises OccultaError."""
    if left.pixels is None:
        return paper_extract.from_jpeg(left.file, table)
    pixels = pictures.luminance(left.pixels)
    return paper_extract.from_pixels(pixels.tobytes(), pixels.shape[1], table)


def _llrs(sent: Sent, luminance: paper.Luminance) -> Floats:
    """Hard decisions, as sure as the share of wrong ones lets them be; 0 where none came."""
    wrong, compared = paper_extract.channel_errors(luminance, sent.coded)
    share = min(max(wrong / max(1, compared), _LEAST), 0.5 - _LEAST)
    bits = np.frombuffer(paper_extract.read_bits(luminance)[:compared], np.uint8)
    found = np.zeros(len(sent.coded))
    found[:compared] = math.log((1.0 - share) / share) * (1.0 - 2.0 * bits)
    return found
