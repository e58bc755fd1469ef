"""Marking pictures by every scheme, attacking them, and reading what is left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from occulta.errors import OccultaError, Reason
from sim import pixels
from sim.attacks import catalogue
from sim.attacks import picture as pictures
from sim.attacks.picture import Picture
from sim.attacks.robust.schemes import Outcome, Scheme, Sent
from sim.attacks.similarity import WINDOW, ssim
from sim.pixels import Pixels

NONE = "none"
"""The file as it was marked."""
ATTACKS = {
    NONE: "none", "gaussian:0.5": "g.5", "gaussian:1": "g1", "gaussian:2": "g2",
    "gaussian:5": "g5", "jpegratio:5": "J5:1", "jpeg:90": "J90", "jpeg:75": "J75",
    "jpeg:60": "J60", "jpeg:50": "J50", "jpeg:30": "J30", "median:3": "med3",
    "saltpepper:0.01": "s&p.01", "saltpepper:0.05": "s&p.05", "saltpepper:0.1": "s&p.1",
    "sharpen": "sharp",
}
"""Attacks of the first table, and what they are called there."""
BEYOND = {
    "gaussian:7": "g7", "gaussian:10": "g10", "jpeg:20": "J20", "jpeg:10": "J10",
    "saltpepper:0.2": "s&p.2", "median:5": "med5", "blur:0.5": "blur.5", "brightness:10": "+10",
    "contrast:1.1": "x1.1", "jpeg:75 jpeg:85 jpeg:70": "J75-85-70", "webp:80": "webp80",
    "scale:0.75,back": "scale.75", "crop:0.9": "crop.9", "shift:3,5": "shift",
    "bitflips:0.0001": "flips", "packets:0.02,256": "packets",
}
"""Of the second: harder ones and others. Several attacks are done one after the other."""
_MOVING = ("crop", "shift")


@dataclass(frozen=True, slots=True)
class Trial:
    """One attack on one marked picture; the figures are those of `schemes.Outcome`."""

    attack: str
    recovered: bool
    false: bool
    before: float | None
    after: float
    margin: float | None


@dataclass(frozen=True, slots=True)
class Marked:
    """One picture marked by one scheme with the message of one seed, and all its trials."""

    picture: str
    scheme: str
    seed: int
    pixels: int
    private: int
    """Bytes."""
    bits: int
    """Of the message: gross, seal included."""
    coded: int
    """Bits."""
    before: int
    """Bytes of the picture as plain JPEG of quality 90."""
    after: int
    """Bytes of the marked file."""
    psnr: float
    """dB, against the plain JPEG."""
    ssim: float
    trials: tuple[Trial, ...]

    @property
    def bpp(self) -> float:
        """Message bits per pixel."""
        return self.bits / self.pixels


@dataclass(frozen=True, slots=True)
class Refused:
    """A picture that a scheme could not be measured on."""

    picture: str
    scheme: str
    why: str


Result = Marked | Refused


def study(name: str, luminance: Pixels, scheme: Scheme, seed: int) -> Marked:
    """Mark a gray picture and try every attack; raises OccultaError where it cannot be had."""
    height, width = luminance.shape
    if min(height, width) < WINDOW:
        detail = f"{width} x {height} pixels are too few on a side for SSIM"
        hint = f"give pictures of at least {WINDOW} x {WINDOW}"
        raise OccultaError(Reason.LIMIT_DIMENSIONS, detail, hint)
    plain = pictures.encoded(luminance, "JPEG", quality=pictures.QUALITY)
    sent = scheme.send(plain, (width, height), seed)
    before, after = pictures.decoded(plain), pictures.decoded(sent.file)
    return Marked(
        name, scheme.name, seed, luminance.size, len(sent.private), len(sent.message),
        len(sent.coded), len(plain), len(sent.file), pixels.psnr(before, after),
        ssim(before, after), tuple(_trials(scheme, sent, seed)),
    )


def _attacks(scheme: Scheme, seed: int) -> list[str]:
    """The search for what has moved takes long: only with the first seed."""
    follows = scheme.follows and seed == 0
    return [attack for attack in (*ATTACKS, *BEYOND) if follows or not _moves(attack)]


def _moves(attack: str) -> bool:
    return attack.partition(":")[0] in _MOVING


def _trials(scheme: Scheme, sent: Sent, seed: int) -> Iterator[Trial]:
    """Without attacks that cannot be had of this picture."""
    for attack in _attacks(scheme, seed):
        texts = [] if attack == NONE else attack.split()
        with suppress(OccultaError):
            left = catalogue.apply(Picture(sent.file), map(catalogue.parse, texts), seed)
            yield Trial(attack, *_outcome(scheme, sent, left, _moves(attack)))


def _outcome(scheme: Scheme, sent: Sent, left: Picture, moved: bool) -> Outcome:
    try:
        return scheme.receive(sent, left, moved)
    except OccultaError:  # damaged beyond any reading
        return Outcome(False, False, None, 0.5, None)
