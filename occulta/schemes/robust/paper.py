"""The profile `paper`: papers/002 taken literally, the baseline beside the other profiles.

Section 3, as it stands: of all 8x8 blocks the share alpha of the roughest (SVD-IRM, Algorithm 3.1)
carries; the turbo-coded payload goes in rank order, three bits to seven coefficients of a block;
the receiver ranks the blocks of what it got again, reads parities and decodes hard decisions with
SOVA. A block that changes its rank shifts all that follow: most pictures lose their message to the
embedding alone (docs/robust.md).

Where the text leaves a choice:

- The carrier here is a JPEG file, so the DCT and the quantisation have been done; its table is
  kept. Roughness is that of the dequantised block, of samples less 128 as the DCT has them: the
  rank-1 residual, since Algorithm 3.1 itself is lost. Equal blocks go in raster order. Blocks that
  the picture does not fill are left out.
- The "7 DCT coefficients" are places 1 to 7 of the zigzag, one group for each block.
- Equations 11 to 13 are lost; cases 2 to 8 leave only P1 = C1+C3+C5+C7, P2 = C2+C3+C6+C7 and
  P3 = C4+C5+C6+C7 modulo 2. Case 7's "C6 = Q_C + 1" is read as C6 = C6 + 1.
- "If |C| = C_max, |C| = |C - 1|": the magnitude falls by one. C_max is 1023, baseline's largest.
- The code is occulta.codec.fec's, whose interleaver is the QPP's, not a pseudo-random one. A last
  group that is not full is filled with zeros.
- What is hidden is the message of the other profiles, in one of its sizes. Receiver and sender know
  alpha, the rate and the table; the receiver tries the sizes.

Ranking needs the whole picture in memory, hence the limits below.
"""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from typing import NamedTuple

from occulta.codec import crypto, dct, kernels
from occulta.codec.fec.message import TurboCode
from occulta.codec.fec.turbo import Rate
from occulta.codec.jpeg.coefficient_frame import BLOCK, Row
from occulta.codec.jpeg.coefficients import CoefficientReader
from occulta.codec.jpeg.quantisation import Table, check_table
from occulta.codec.jpeg.salvage import salvage
from occulta.codec.jpeg.writer import LARGEST_AC, CoefficientWriter, clip
from occulta.errors import OccultaError, Reason
from occulta.limits import Limits
from occulta.schemes.robust import message
from occulta.schemes.robust.mark import KERNEL, check_luminance
from occulta.schemes.robust.message import Opened

ALPHA = 0.5
PAPER_LIMITS = Limits(max_blocks=400_000)
"""Blocks of all components: 25 megapixels of gray, 17 of colour 4:2:0; 51 MB of coefficients,
their luminance twice more while it is marked."""
GROUP = 7
_CHECKS = 3
_SIDE = 8
_SCRATCH = 144
_STRIP = 64
_HARD = 16
"""The LLR of a hard decision, in 1/8 nat: that of a channel with 12 % of errors."""


@dataclass(frozen=True, slots=True)
class Luminance:
    """The whole 8x8 blocks of a picture in raster order: an array('h'), quantised by `table`."""

    coefficients: array[int]
    table: Table

    @property
    def blocks(self) -> int:
        """How many."""
        return len(self.coefficients) // BLOCK


class Found(NamedTuple):
    """A message, and what it took; fields as those of extract.Found."""

    opened: Opened
    message_bits: int
    corrected: int
    compared: int
    margin: float


# --- embedding


def mark(
    jpeg: bytes, recipient: crypto.PublicKey, private: bytes, alpha: float = ALPHA,
    rate: Rate = Rate.THIRD, signing_key: crypto.SigningKey | None = None,
    limits: Limits = PAPER_LIMITS, kernel: str | None = None,
) -> bytes:
    """The picture with private data for one recipient.

    `alpha`: the share of blocks that carries, above 0, at most 1; otherwise ValueError. Raises
    OccultaError for what `CoefficientReader` refuses, NO_LUMINANCE, and DOES_NOT_FIT.
    """
    picture = _Whole(jpeg, limits, kernel)
    most = _most_bits(picture.luminance.blocks, alpha, rate)
    bits = message.to_bits(message.seal(private, most, recipient, signing_key))
    return picture.marked(TurboCode(len(bits), rate, kernel).encode(bits), alpha)


def mark_coded(
    jpeg: bytes, coded: bytes, alpha: float = ALPHA, limits: Limits = PAPER_LIMITS,
    kernel: str | None = None,
) -> bytes:
    """As `mark`, with coded bits of any code, a byte each."""
    return _Whole(jpeg, limits, kernel).marked(coded, alpha)


def most_bits(width: int, height: int, alpha: float = ALPHA, rate: Rate = Rate.THIRD) -> int:
    """Bits of the largest message that a picture of so many pixels carries; 0: none."""
    return _most_bits((width // _SIDE) * (height // _SIDE), alpha, rate)


def embed(group: array[int], bits: bytes) -> None:
    """Three bits into seven coefficients, in place: cases 1 to 8."""
    syndrome = _syndrome(group)
    wanted = sum(bit << at for at, bit in enumerate(bits))
    index = syndrome ^ wanted
    if index:
        value = group[index - 1]
        group[index - 1] = value + 1 if value < LARGEST_AC else value - 1


class _Whole:
    """A picture held whole."""

    def __init__(self, jpeg: bytes, limits: Limits, kernel: str | None) -> None:
        self._kernel = kernel
        reader = CoefficientReader(limits, kernel)
        self._rows: list[Row] = [*reader.stream(jpeg), *reader.finish()]
        header = reader.header
        assert header is not None  # the reader has given rows
        check_luminance(header)
        self._header, frame = header, header.frame
        planes = array("h")
        for row in self._rows:
            for plane in row.planes:
                clip(plane, kernel)
            planes.extend(row.planes[0])
        whole = _cut(planes, frame.across(0), frame.width, frame.height)
        self.luminance = Luminance(whole, frame.components[0].table)

    def marked(self, coded: bytes, alpha: float) -> bytes:
        """The file with these bits; the object is used up by that."""
        blocks = self.luminance.coefficients
        ranking = rank(self.luminance, self._kernel)[: _share(self.luminance.blocks, alpha)]
        if len(coded) > _CHECKS * len(ranking):
            raise OccultaError(
                Reason.DOES_NOT_FIT,
                f"{len(coded)} coded bits in {len(ranking)} blocks of {_CHECKS}",
            )
        padded = coded + bytes(-len(coded) % _CHECKS)
        for at, block in zip(range(0, len(padded), _CHECKS), ranking, strict=False):
            first = BLOCK * block + 1
            group = blocks[first : first + GROUP]
            embed(group, padded[at : at + _CHECKS])
            blocks[first : first + GROUP] = group
        return self._written()

    def _written(self) -> bytes:
        frame = self._header.frame
        writer = CoefficientWriter(frame, self._header.segments, self._kernel)
        out = bytearray(writer.begin())
        padded, across = BLOCK * frame.across(0), BLOCK * (frame.width // _SIDE)
        tall, lines = frame.height // _SIDE, frame.components[0].vertical
        for row in self._rows:
            for line in range(max(0, min(lines, tall - row.number * lines))):
                start = (row.number * lines + line) * across
                row.planes[0][line * padded : line * padded + across] = (
                    self.luminance.coefficients[start : start + across]
                )
            out += writer.row(row.planes)
        return bytes(out + writer.end())


# --- receiving


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
    whole = _cut(found.coefficients, found.across, frame.width, frame.height)
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


def rank(luminance: Luminance, kernel: str | None = None) -> array[int]:
    """The numbers of all blocks, the roughest first."""
    rough = array("d", bytes(8 * luminance.blocks))
    kernels.load_kernel(KERNEL, kernel).roughness(
        memoryview(luminance.coefficients), memoryview(array("i", luminance.table)),
        memoryview(array("i", dct.ZIGZAG)), luminance.blocks,
        memoryview(array("d", bytes(8 * _SCRATCH))), memoryview(rough),
    )
    return array("i", sorted(range(luminance.blocks), key=lambda block: -rough[block]))


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
    for block in ranking[: _share(luminance.blocks, alpha)]:
        first = BLOCK * block + 1
        syndrome = _syndrome(luminance.coefficients[first : first + GROUP])
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
    for bits in message.sizes_within(_most_bits(luminance.blocks, alpha, rate)):
        code = TurboCode(bits, rate, kernel)
        used = found[: code.coded_size]
        hard = array("h", (_HARD - 2 * _HARD * bit for bit in used))
        decided = code.decode(hard, "sova").bits
        whole = message.from_bits(decided)
        opened = _opened(whole, key) if message.is_whole(whole) else None
        if opened is not None:
            wrong = _wrong(used, code.encode(decided))
            return Found(opened, bits, wrong, len(used), _margin(wrong, len(used), bits))
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


# --- both


def _share(blocks: int, alpha: float) -> int:
    """How many blocks carry."""
    if not 0.0 < alpha <= 1.0:
        raise ValueError(f"a share of {alpha} of the blocks")
    return int(alpha * blocks)


def _most_bits(blocks: int, alpha: float, rate: Rate) -> int:
    room = _CHECKS * _share(blocks, alpha)
    fitting = (
        bits for bits in reversed(message.sizes_within(room))
        if TurboCode(bits, rate).coded_size <= room
    )
    return next(fitting, 0)


def _syndrome(group: array[int]) -> int:
    """P1 + 2 P2 + 4 P3 of seven coefficients: each odd one adds its index, 1 to 7."""
    syndrome = 0
    for index, value in enumerate(group, 1):
        if value & 1:
            syndrome ^= index
    return syndrome


def _cut(planes: array[int], across: int, width: int, height: int) -> array[int]:
    """Without the blocks that the picture does not fill."""
    whole = array("h")
    for row in range(height // _SIDE):
        start = BLOCK * across * row
        whole.extend(planes[start : start + BLOCK * (width // _SIDE)])
    return whole


def _wrong(found: bytes, coded: bytes) -> int:
    return sum(one != other for one, other in zip(found, coded, strict=False))
