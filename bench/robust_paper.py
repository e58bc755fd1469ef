"""Robust hiding's profile `paper`: what the paper taken literally keeps, blind and with an oracle.

The oracle tells the receiver the ranking of the blocks before embedding, which no receiver has.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from operator import ne
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import numpy as np

from bench.data import missing, square_grays
from bench.report import Result, Table
from occulta.codec import crypto
from occulta.codec.fec.message import TurboCode
from occulta.codec.fec.turbo import Rate
from occulta.errors import OccultaError, Reason
from occulta.schemes.robust import message, paper, paper_extract
from occulta.schemes.robust.paper import Luminance
from sim.attacks import catalogue
from sim.attacks.picture import Picture, decoded, encoded, luminance
from sim.attacks.robust.literal import received
from sim.attacks.similarity import ssim
from sim.pixels import psnr

QUALITIES = (75, 90)
ATTACKS = ("none", "jpeg:90", "jpeg:75", "gaussian:0.5")
RATES = (Rate.THIRD, Rate.HALF)


class Sent(NamedTuple):
    """A marked picture, and what the oracle tells."""

    file: bytes
    coded: bytes
    private: bytes
    rate: Rate
    key: crypto.PrivateKey
    ranking: array[int]
    pixels: int


class Trial(NamedTuple):
    """One attack; error rates before decoding, of hard decisions."""

    blind: float
    oracle: float
    found_blind: bool
    found_oracle: bool


class Marked(NamedTuple):
    """One picture."""

    name: str
    quality: int
    rate: Rate
    bits: int
    bpp: float
    psnr: float
    ssim: float
    lost: float
    """Share of the carrying blocks that embedding alone moves out of the share."""
    moved: float
    """Share of the ranks that then hold another block."""
    trials: dict[str, Trial]


def run(data: Path, say: Callable[[str], None]) -> Result:
    """Mark and attack every picture of 512 x 512 at both qualities and both rates."""
    result = Result("robust-paper")
    paths = square_grays(data)
    if not paths:
        result.skipped.append(missing(data))
        return result
    found = []
    for path in paths:
        say(path.stem)
        pixels = luminance(decoded(path.read_bytes()))
        for quality in QUALITIES:
            plain = encoded(pixels, "JPEG", quality=quality)
            found += [marked(path.stem, plain, quality, rate) for rate in RATES]
    result.tables = [distortion(found), errors(found)]
    result.notes.append(
        f"{len(paths)} pictures; alpha {paper.ALPHA}, the largest message that fits, PSNR and SSIM "
        "against the same JPEG file without a message; SOVA, hard decisions; a receiver of another "
        "JPEG file or of pixels quantises again with the marked file's table"
    )
    result.details["marked"] = [
        {**each._asdict(), "rate": each.rate.name,
         "trials": {name: trial._asdict() for name, trial in each.trials.items()}}
        for each in found
    ]
    return result


def marked(name: str, plain: bytes, quality: int, rate: Rate) -> Marked:
    """The largest message that fits, then every attack."""
    sent = _send(plain, rate)
    before, after = decoded(plain), decoded(sent.file)
    share = len(sent.ranking) // 2
    again = paper.rank(paper_extract.from_jpeg(sent.file))
    lost = len({*sent.ranking[:share]} - {*again[:share]}) / share
    moved = fmean(map(ne, sent.ranking[:share], again))
    bits = len(sent.coded)
    return Marked(
        name, quality, rate, bits, bits / sent.pixels, psnr(before, after), ssim(before, after),
        lost, moved, dict(_trials(sent)),
    )


def _send(plain: bytes, rate: Rate) -> Sent:
    cover = paper_extract.from_jpeg(plain)
    key = crypto.PrivateKey(bytes(range(32)))
    height, width = decoded(plain).shape
    most = paper.most_bits(width, height, rate=rate)
    private = np.random.default_rng(1).bytes(message.room(most, signed=False))
    bits = message.to_bits(message.seal(private, most, key.public))
    coded = TurboCode(len(bits), rate).encode(bits)
    file = paper.mark_coded(plain, coded)
    return Sent(file, coded, private, rate, key, paper.rank(cover), height * width)


def _trials(sent: Sent) -> Iterator[tuple[str, Trial]]:
    table = paper_extract.from_jpeg(sent.file).table
    for attack in ATTACKS:
        texts = [] if attack == "none" else [attack]
        left = catalogue.apply(Picture(sent.file), map(catalogue.parse, texts), 1)
        found = received(left, table)
        yield attack, Trial(
            _wrong(sent, found, None), _wrong(sent, found, sent.ranking),
            _is_found(sent, found, None), _is_found(sent, found, sent.ranking),
        )


def _wrong(sent: Sent, left: Luminance, ranking: array[int] | None) -> float:
    wrong, compared = paper_extract.channel_errors(left, sent.coded, oracle_ranking=ranking)
    return wrong / compared


def _is_found(sent: Sent, left: Luminance, ranking: array[int] | None) -> bool:
    try:
        found = paper_extract.recover(left, sent.key, rate=sent.rate, oracle_ranking=ranking)
    except OccultaError as error:
        if error.reason is not Reason.NOT_RECOVERED:
            raise
        return False
    if found.opened.private != sent.private:
        raise AssertionError("a message that was never sent")
    return True


def distortion(found: list[Marked]) -> Table:
    """What marking costs."""
    rows = []
    for quality in QUALITIES:
        for rate in RATES:
            each = [one for one in found if (one.quality, one.rate) == (quality, rate)]
            rows.append([
                f"{quality}", f"1/{rate.value}", f"{fmean(one.bpp for one in each):.4f}",
                f"{fmean(one.psnr for one in each):.2f}", f"{fmean(one.ssim for one in each):.4f}",
                f"{100 * fmean(one.lost for one in each):.2f} %",
                f"{100 * fmean(one.moved for one in each):.0f} %",
            ])
    head = ["quality", "rate", "coded bpp", "PSNR", "SSIM", "blocks lost", "ranks changed"]
    return Table("Distortion", head, rows)


def errors(found: list[Marked]) -> Table:
    """What the receivers get."""
    rows = []
    for quality in QUALITIES:
        for rate in RATES:
            each = [one for one in found if (one.quality, one.rate) == (quality, rate)]
            for attack in ATTACKS:
                trials = [one.trials[attack] for one in each]
                rows.append([
                    f"{quality}", f"1/{rate.value}", attack,
                    f"{fmean(t.blind for t in trials):.3f}", _of(t.found_blind for t in trials),
                    f"{fmean(t.oracle for t in trials):.3f}", _of(t.found_oracle for t in trials),
                ])
    head = ["quality", "rate", "attack", "BER blind", "found", "BER oracle", "found "]
    return Table("Bit errors before decoding, messages found", head, rows)


def _of(flags: Iterator[bool]) -> str:
    known = list(flags)
    return f"{sum(known)} of {len(known)}"
