"""Where the shares of the `paper` profile were altered (papers/003, section 3.2, step 5).

Every restored pixel depends on the two share pixels of its place alone, so damage stays where it
was done. It is located

1. by the hash list of a plane whose check value holds;
2. where neither holds, both shares being altered, by looking for half of each block's hash (64
   bits) in what the planes carry, near its place: a changed pixel displaces the bits behind it;
3. by pixels that no plane can have;
4. where the restored image has the sealed digest all the same (only watermark bits were altered),
   by making the shares again and comparing pixels.

A watermark bit that was altered beside damage that changed the image is not located.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from occulta.errors import OccultaError, Reason
from occulta.schemes.shares import paper
from occulta.schemes.shares.paper_parameters import Parameters, digest_of
from occulta.schemes.shares.raster import Box, Raster, block_at, blocks_of

_NEAR = 1024
"""Bits that a block's hash may be displaced by."""


@dataclass(frozen=True, slots=True)
class Damage:
    """What was altered.

    `altered`: share A, share B. `blocks`: the damaged blocks of the regions, in order.
    `restored`: every pixel of the image is right all the same. `outside`: whether something was
    altered outside the regions, None where that cannot be told; `outside_box` is around what is
    known of it.
    """

    altered: tuple[bool, bool]
    blocks: tuple[Box, ...]
    restored: bool
    outside: bool | None
    outside_box: Box | None


class Plane(NamedTuple):
    """A restored plane: pixels, watermark bits, and the places of pixels that no plane has."""

    pixels: bytes
    bits: bytes
    impossible: list[int]


def locate(
    planes: tuple[Plane, Plane], raster: Raster, parameters: Parameters,
    altered: tuple[bool, bool],
) -> Damage:
    """The damage of a restored image that is not the original."""
    blocks = blocks_of(parameters.regions)
    hashes = paper.block_hashes(raster, blocks)
    listed = _listed(planes, parameters.check_key)
    if listed is None:
        good = [_is_carried(found, at, planes) for at, found in enumerate(hashes)]
    else:
        good = [found == known for found, known in zip(hashes, listed, strict=True)]
    wrong = {block for block, is_good in zip(blocks, good, strict=True) if not is_good}
    impossible, outside = _place(planes[0].impossible + planes[1].impossible, parameters)
    wrong |= impossible
    return Damage(
        altered, _ordered(wrong, blocks), False, True if outside or not wrong else None,
        _around(outside, parameters.width),
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
        at for one, other in zip(shares, again, strict=True)
        for at, (x, y) in enumerate(zip(one.pixels, other.pixels, strict=True)) if x != y
    ]
    wrong, outside = _place(changed, parameters)
    ordered = _ordered(wrong, blocks_of(parameters.regions))
    return Damage(altered, ordered, True, bool(outside), _around(outside, parameters.width))


def _listed(planes: Iterable[Plane], check_key: bytes) -> list[bytes] | None:
    """The hash list of a plane whose check value holds; None if neither does."""
    for plane in planes:
        data = paper.from_bits(plane.bits)
        end = len(data) - paper.CHECK_SIZE
        size = paper.HASH_SIZE
        hashes = [data[at : at + size] for at in range(0, end, size)]
        if hmac.compare_digest(paper.watermark(hashes, check_key), data):
            return hashes
    return None


def _is_carried(found: bytes, number: int, planes: Iterable[Plane]) -> bool:
    """Whether a plane carries either half of a hash: one changed bit spoils one half alone."""
    wanted = paper.to_bits(found)
    half, start = len(wanted) // 2, number * len(wanted)
    low, high = max(0, start - _NEAR), start + len(wanted) + _NEAR
    return any(
        plane.bits.find(part, low, high) >= 0
        for plane in planes for part in (wanted[:half], wanted[half:])
    )


def _place(pixels: Iterable[int], parameters: Parameters) -> tuple[set[Box], list[int]]:
    """The blocks that hold these pixels, and the pixels outside the regions."""
    blocks: set[Box] = set()
    outside = []
    for at in pixels:
        block = block_at(parameters.regions, at % parameters.width, at // parameters.width)
        if block is None:
            outside.append(at)
        else:
            blocks.add(block)
    return blocks, outside


def _ordered(chosen: set[Box], blocks: Sequence[Box]) -> tuple[Box, ...]:
    return tuple(block for block in blocks if block in chosen)


def _around(places: Sequence[int], width: int) -> Box | None:
    """The smallest rectangle that holds these pixels."""
    if not places:
        return None
    rows, columns = [at // width for at in places], [at % width for at in places]
    x, y = min(columns), min(rows)
    return Box(x, y, max(columns) - x + 1, max(rows) - y + 1)
