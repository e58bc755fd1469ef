"""Robust hiding: one message in (7,3,1) syndromes and in parities of single coefficients.

The syndromes are those of the paper, in the cells that suited them best: 1.5 times the divisors of
quality 50, carriers 1 to 7 of the zigzag, every block.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import fmean

from bench.data import missing, square_grays
from bench.report import Result, Table
from occulta.codec import crypto
from occulta.codec.jpeg.quantisation import LUMINANCE
from occulta.errors import OccultaError
from occulta.schemes.robust import message
from occulta.schemes.robust.extract import recover
from occulta.schemes.robust.mark import Marker
from occulta.schemes.robust.picture import from_luminance
from occulta.schemes.robust.profiles import GROUP, MAX, TABLE, Profile
from sim.attacks import catalogue
from sim.attacks.picture import Picture, decoded, encoded, luminance
from sim.attacks.similarity import ssim
from sim.pixels import psnr

ATTACKS = (
    "none", "gaussian:5", "gaussian:7", "jpeg:50", "jpeg:30", "jpeg:20", "sharpen", "median:3",
)
KEY = crypto.PrivateKey(bytes(range(1, 33)))
QUALITY = 90
_CARRIERS = tuple(range(1, 1 + GROUP))
_CELLS = tuple(-(-3 * LUMINANCE[at] // (2 * TABLE[at])) for at in _CARRIERS)
MATRIX = Profile(
    "matrix", 0, _CARRIERS, _CELLS, tuple(15 * cells // 100 for cells in _CELLS), False, True,
    MAX.blocks_per_bit,
)


def run(data: Path, say: Callable[[str], None]) -> Result:
    """Every picture of 512 x 512 with either, through every attack, without any search."""
    result = Result("robust-matrix")
    paths = square_grays(data)
    if not paths:
        result.skipped.append(missing(data))
        return result
    rows = []
    for profile in (MATRIX, MAX):
        say(f"robust-matrix, {profile.name}")
        measured = [_measure(path, profile) for path in paths]
        found = [sum(kept[at] for *_, kept in measured) for at in range(len(ATTACKS))]
        rows.append([
            profile.name, f"{fmean(each[0] for each in measured):.2f}",
            f"{fmean(each[1] for each in measured):.4f}", *map(str, found),
        ])
    result.tables.append(Table(
        f"Messages of {message.most_bits(MAX, 512, 512)} bits recovered of {len(paths)}",
        ["carried by", "PSNR", "SSIM", *ATTACKS], rows,
    ))
    return result


def _measure(path: Path, profile: Profile) -> tuple[float, float, list[bool]]:
    """PSNR and SSIM against the plain JPEG file, and whether each attack was survived."""
    plain = encoded(luminance(decoded(path.read_bytes())), "JPEG", quality=QUALITY)
    private = bytes(message.room(message.most_bits(profile, 512, 512), False))
    marker = Marker(profile, KEY.public, private)
    marked = marker.feed(plain) + marker.finish()
    before, after = luminance(decoded(plain)), luminance(decoded(marked))
    return psnr(before, after), ssim(before, after), [
        _is_kept(marked, attack, profile, private) for attack in ATTACKS
    ]


def _is_kept(marked: bytes, attack: str, profile: Profile, private: bytes) -> bool:
    attacks = [] if attack == "none" else [catalogue.parse(attack)]
    spoiled = catalogue.apply(Picture(marked), attacks, 1)
    try:
        found = recover(from_luminance(luminance(spoiled.raster())), KEY, (profile,), search=False)
    except OccultaError:
        return False
    return found.opened.private == private
