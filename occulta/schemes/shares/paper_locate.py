"""Where the shares of the `paper` profile were altered (papers/003, section 3.2, step 5).

Every restored pixel depends on the two share pixels of its place alone, so damage stays where it
was done. It is located

1. by the hash list that the planes carry (paper_list.py);
2. by pixels that no plane can have;
3. where the restored image has the sealed digest all the same (only watermark bits were altered),
   by making the shares again and comparing pixels.

A watermark bit that was altered beside damage that changed the image is not located.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_, xor
from typing import NamedTuple

from occulta.errors import OccultaError, Reason
from occulta.schemes.shares import paper
from occulta.schemes.shares.paper_list import Carried, judge
from occulta.schemes.shares.paper_parameters import Parameters, digest_of
from occulta.schemes.shares.raster import Box, Raster, blocks_of, merged

_CLEAR = bytes(256)
_DIFFERS = bytes([0]) + bytes([1]) * 255


@dataclass(frozen=True, slots=True)
class Damage:
    """What was altered.

    `altered`: share A, share B. `blocks`: the blocks of the regions that are known to be altered,
    in order; `unverified`: those of which neither this nor the contrary is known. `restored`: every
    pixel of the image is right all the same. `outside`: whether something was altered outside the
    regions, None where that cannot be told; `outside_box` is around what is known of it.
    """

    altered: tuple[bool, bool]
    blocks: tuple[Box, ...]
    unverified: tuple[Box, ...]
    restored: bool
    outside: bool | None
    outside_box: Box | None


class Plane(NamedTuple):
    """A restored plane: pixels, watermark, and 1 for each pixel that no plane has, 0 for the
    others (no bytes at all: of a share that was not altered)."""

    pixels: bytes
    carried: Carried
    impossible: bytes


def locate(
    planes: tuple[Plane, Plane], raster: Raster, parameters: Parameters,
    altered: tuple[bool, bool],
) -> Damage:
    """The damage of a restored image that is not the original."""
    blocks = blocks_of(parameters.regions)
    hashes = paper.block_hashes(raster, blocks)
    right = judge(hashes, [plane.carried for plane in planes], parameters.check_key)
    marks = [plane.impossible for plane in planes if plane.impossible]
    impossible, around = _place(marks, blocks, parameters)
    wrong = impossible | {box for box, is_right in zip(blocks, right, strict=True)
                          if is_right is False}
    unverified = {box for box, is_right in zip(blocks, right, strict=True) if is_right is None}
    return Damage(
        altered, _ordered(wrong, blocks), _ordered(unverified - wrong, blocks), False,
        True if around or all(right) else None, around,
    )


def compare(
    shares: paper.Shares, raster: Raster, parameters: Parameters, altered: tuple[bool, bool],
    kernel: str | None = None,
) -> Damage:
    """The damage where the restored image is the original: the shares made again tell.

    Raises OccultaError(BAD_PARAMETERS) where they are not those of the parameters.
    """
    again = paper.make_again(raster, parameters, kernel)
    if (digest_of(again.a), digest_of(again.b)) != parameters.share_digests:
        raise OccultaError(
            Reason.BAD_PARAMETERS, "the sealed parameters make other shares than they tell of"
        )
    changed = [
        merged(one.pixels, other.pixels, xor).translate(_DIFFERS)
        for one, other, is_altered in zip(shares, again, altered, strict=True) if is_altered
    ]
    blocks = blocks_of(parameters.regions)
    wrong, around = _place(changed, blocks, parameters)
    return Damage(altered, _ordered(wrong, blocks), (), True, bool(around), around)


def _place(
    marks: Sequence[bytes], blocks: Sequence[Box], parameters: Parameters
) -> tuple[set[Box], Box | None]:
    """The blocks that hold a mark, and a rectangle around the marks outside the regions."""
    all_marks = reduce(lambda one, other: merged(one, other, or_), marks)
    marked = Raster(parameters.width, parameters.height, all_marks)
    outside = marked.mapped(parameters.regions, _CLEAR)
    return {box for box in blocks if 1 in marked.cut(box)}, _around(outside)


def _ordered(chosen: set[Box], blocks: Sequence[Box]) -> tuple[Box, ...]:
    return tuple(block for block in blocks if block in chosen)


def _around(marked: Raster) -> Box | None:
    """The smallest rectangle that holds all marks."""
    rows = Box(0, 0, marked.width, marked.height).rows(marked.width)
    found = [
        (y, line.find(1), line.rfind(1))
        for y, line in enumerate(marked.pixels[row] for row in rows) if 1 in line
    ]
    if not found:
        return None
    x, y = min(first for _, first, _ in found), found[0][0]
    width = max(last for *_, last in found) - x + 1
    return Box(x, y, width, found[-1][0] - y + 1)
