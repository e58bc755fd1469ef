"""The profiles of robust hiding: which coefficients carry, how far apart their cells lie."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from occulta.codec.jpeg.quantisation import LUMINANCE, standard_tables

SCHEME = 2
QUALITY = 90
"""Of the marked picture's luminance (libjpeg's scale)."""
TABLE = standard_tables(QUALITY)[0]
"""Divisors of the marked luminance, in zigzag order."""
GROUP = 7
"""Carriers whose parities make one syndrome of 3 bits (papers/002, equations 11 to 13)."""
_CHECKS = 3


@dataclass(frozen=True, slots=True)
class Profile:
    """How a message lies in the luminance.

    `carriers`: places in the zigzag, 1..63. `cells`: the width of each carrier's cells in units of
    its divisor. `slack`: how far from a cell's centre a coefficient may stay, in the same units.
    `halved`: only the rougher half of each row of blocks carries. `grouped`: 3 bits are the
    syndrome of 7 carriers; otherwise each carrier holds a bit, its cell's parity. `blocks_per_bit`:
    blocks that the picture must have for each gross bit.
    """

    name: str
    number: int
    carriers: tuple[int, ...]
    cells: tuple[int, ...]
    slack: tuple[int, ...]
    halved: bool
    grouped: bool
    blocks_per_bit: int

    @property
    def slots(self) -> int:
        """Bits of a block."""
        return len(self.carriers) // GROUP * _CHECKS if self.grouped else len(self.carriers)

    @property
    def steps(self) -> tuple[int, ...]:
        """The width of each carrier's cells, D, in units of the DCT."""
        return tuple(c * TABLE[at] for at, c in zip(self.carriers, self.cells, strict=True))

    def plan(self) -> array[int]:
        """What the kernel needs of each carrier: place, cells, slack, divisor."""
        plan = array("i")
        for at, cells, slack in zip(self.carriers, self.cells, self.slack, strict=True):
            plan.extend([at, cells, slack, TABLE[at]])
        return plan


def _wide(
    name: str, number: int, carriers: tuple[int, ...], factor: float, margin: float,
    halved: bool, blocks_per_bit: int,
) -> Profile:
    """Cells of at least `factor` times the divisor at quality 50; `margin` from their border."""
    cells = tuple(-(-int(100 * factor * LUMINANCE[at]) // (100 * TABLE[at])) for at in carriers)
    slack = tuple(int((0.5 - margin) * count) for count in cells)
    return Profile(name, number, carriers, cells, slack, halved, False, blocks_per_bit)


LIGHT = Profile(
    "light", 2, tuple(range(1, 22)), (1,) * 21, (0,) * 21, True, True, 1,
)
DEFAULT = _wide("default", 3, (1, 2, 4, 5), 2.0, 0.35, True, 2)
MAX = _wide("max", 4, (1,), 3.0, 0.26, False, 4)
STRONG = _wide("strong", 5, (1,), 4.3, 0.28, False, 4)
PROFILES = {profile.name: profile for profile in (LIGHT, DEFAULT, MAX, STRONG)}
"""Those that stream; `paper` is in paper.py."""
