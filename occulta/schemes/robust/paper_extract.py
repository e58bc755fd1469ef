"""The receiver of the profile `paper`: ranks blindly, decides hard. See paper.py."""

from __future__ import annotations

import math
from array import array

from occulta.codec import crypto, dct, kernels
from occulta.codec.fec.message import TurboCode
from occulta.codec.fec.turbo import Rate
from occulta.codec.jpeg.coefficient_frame import BLOCK
from occulta.codec.jpeg.quantisation import Table, check_table
from occulta.codec.jpeg.salvage import salvage
from occulta.errors import OccultaError, Reason
from occulta.limits import Limits
from occulta.schemes.robust import message
from occulta.schemes.robust.extract import Found
from occulta.schemes.robust.mark import KERNEL, check_luminance
from occulta.schemes.robust.message import Opened
from occulta.schemes.robust.paper import (
    ALPHA,
    GROUP,
    PAPER,
    PAPER_LIMITS,
    Luminance,
    fitting_bits,
    rank,
    share,
    syndrome_of,
    whole_blocks,
)

_SIDE = 8
_STRIP = 64
"""Block rows transformed at once."""
_HARD = 16
"""The LLR of a hard decision, in 1/8 nat: that of a channel with 12 % of errors."""


def from_jpeg(
    data: bytes, table: Table | None = None, limits: Limits = PAPER_LIMITS,
    kernel: str | None = None,
) -> Luminance:
    """What a file holds, lost blocks zero; raises OccultaError as `salvage`, and NO_LUMINANCE.

    `table`: that of the marked file, if this one may have another: the paper is silent on it, but
    no parity would be left without it.
    """
    found = salvage(data, limits, kernel)
    frame = found.header.frame
    check_luminance(found.header)
    whole = whole_blocks(found.coefficients, found.across, frame.width, frame.height)
    if table is not None and table != found.table:
        kernels.load_kernel(KERNEL, kernel).requantise(
            memoryview(whole), memoryview(array("i", found.table)),
            memoryview(array("i", check_table(table))),
        )
        return Luminance(whole, table)
    return Luminance(whole, found.table)


def from_pixels(
    pixels: bytes, width: int, table: Table, limits: Limits = PAPER_LIMITS,
    kernel: str | None = None,
) -> Luminance:
    """A raster, a byte for each pixel, quantised again with the marked file's table.

    Raises OccultaError(LIMIT_BLOCKS), and ValueError for pixels that are no lines of `width`.
    """
    if width < 1 or len(pixels) % width:
        raise ValueError(f"{len(pixels)} bytes are no lines of {width}")
    if (width // _SIDE) * (len(pixels) // width // _SIDE) > limits.max_blocks:
        raise OccultaError(Reason.LIMIT_BLOCKS, f"more than {limits.max_blocks} blocks")
    whole, strip = array("h"), _STRIP * _SIDE * width
    for first in range(0, len(pixels), strip):
        values = dct.forward(pixels[first : first + strip], width, kernel=kernel)
        whole.extend(dct.quantise(values, table, kernel))
    return Luminance(whole, table)


def read_bits(
    luminance: Luminance, alpha: float = ALPHA, oracle_ranking: array[int] | None = None,
    kernel: str | None = None,
) -> bytes:
    """Every coded bit that the picture can carry, a byte each.

    `oracle_ranking`: what `rank` gave before embedding. No receiver has it: it shows what ranking
    blindly costs. Raises ValueError where it is of another number of blocks.
    """
    ranking = rank(luminance, kernel) if oracle_ranking is None else oracle_ranking
    if len(ranking) != luminance.blocks:
        raise ValueError(f"a ranking of {len(ranking)} blocks for {luminance.blocks}")
    found = bytearray()
    for block in ranking[: share(luminance.blocks, alpha)]:
        first = BLOCK * block + 1
        syndrome = syndrome_of(luminance.coefficients[first : first + GROUP])
        found += bytes((syndrome & 1, syndrome >> 1 & 1, syndrome >> 2))
    return bytes(found)


def channel_errors(
    luminance: Luminance, coded: bytes, alpha: float = ALPHA,
    oracle_ranking: array[int] | None = None, kernel: str | None = None,
) -> tuple[int, int]:
    """Coded bits that are received wrong, before any decoding, and how many were compared."""
    found = read_bits(luminance, alpha, oracle_ranking, kernel)
    return _wrong(found, coded), min(len(found), len(coded))


def recover(
    luminance: Luminance, key: crypto.PrivateKey, alpha: float = ALPHA, rate: Rate = Rate.THIRD,
    oracle_ranking: array[int] | None = None, kernel: str | None = None,
) -> Found:
    """The message for this key; raises OccultaError(NOT_RECOVERED), and ValueError as above."""
    found = read_bits(luminance, alpha, oracle_ranking, kernel)
    for bits in message.sizes_within(fitting_bits(luminance.blocks, alpha, rate)):
        code = TurboCode(bits, rate, kernel)
        used = found[: code.coded_size]
        hard = array("h", (_HARD - 2 * _HARD * bit for bit in used))
        decided = code.decode(hard, "sova").bits
        whole = message.from_bits(decided)
        opened = _opened(whole, key) if message.is_whole(whole) else None
        if opened is not None:
            wrong = _wrong(used, code.encode(decided))
            margin = _margin(wrong, len(used), bits)
            return Found(
                opened, PAPER, bits, wrong, len(used), margin, 1.0, 0.0, (0, 0), (0, 0)
            )
    raise OccultaError(
        Reason.NOT_RECOVERED, "no message for this key can be read (profile tried: paper)"
    )


def _opened(whole: bytes, key: crypto.PrivateKey) -> Opened | None:
    try:
        return message.open_message(whole, key)
    except OccultaError:
        return None


def _margin(wrong: int, compared: int, bits: int) -> float:
    """Information that hard decisions hold over information needed, in dB."""
    rates = (wrong / compared, 1.0 - wrong / compared)
    held = compared * (1.0 + sum(p * math.log2(p) for p in rates if p))
    return 10.0 * math.log10(held / bits) if held > 0.0 else -99.0


def _wrong(found: bytes, coded: bytes) -> int:
    return sum(one != other for one, other in zip(found, coded, strict=False))
