"""The profile `paper`: papers/002 taken literally, the baseline beside the other profiles.

Section 3, as it stands: of all 8x8 blocks the share alpha of the roughest (SVD-IRM, Algorithm 3.1)
carries; the turbo-coded payload goes in rank order, three bits to seven coefficients of a block;
the receiver ranks the blocks of what it got again, reads parities and decodes hard decisions with
SOVA. A block that changes its rank shifts all that follow: most pictures lose their message to the
embedding alone (docs/robust.md).

Where the text leaves a choice:

- The carrier here is a JPEG file, so the DCT and the quantisation have been done; its table is
  kept. Roughness is that of the dequantised block, of samples less 128 as the DCT has them: the
  rank-1 residual, since Algorithm 3.1 itself is lost. It is found by power iteration; an exact SVD
  ranks a few blocks otherwise and loses as many bits. Equal blocks go in raster order. Blocks that
  the picture does not fill are left out.
- The "7 DCT coefficients" are places 1 to 7 of the zigzag, one group for each block.
- Equations 11 to 13 are lost; cases 2 to 8 leave only P1 = C1+C3+C5+C7, P2 = C2+C3+C6+C7 and
  P3 = C4+C5+C6+C7 modulo 2. Case 7's "C6 = Q_C + 1" is read as C6 = C6 + 1.
- "If |C| = C_max, |C| = |C - 1|": the magnitude falls by one. C_max is 1023, baseline's largest.
- The code is occulta.codec.fec's, whose interleaver is the QPP's, not a pseudo-random one. A last
  group that is not full is filled with zeros.
- What is hidden is the message of the other profiles, in one of its sizes. Receiver and sender know
  alpha, the rate and the table; the receiver tries the sizes.

Ranking needs the whole picture in memory, hence the limits below. The receiver is paper_extract.py.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from occulta.codec import crypto, dct, kernels
from occulta.codec.fec.message import TurboCode
from occulta.codec.fec.turbo import Rate, checked_bits
from occulta.codec.jpeg.coefficient_frame import BLOCK, CoefficientFrame, Row
from occulta.codec.jpeg.coefficients import CoefficientReader, Header
from occulta.codec.jpeg.quantisation import Table
from occulta.codec.jpeg.writer import LARGEST_AC, CoefficientWriter, clip
from occulta.errors import OccultaError, Reason
from occulta.limits import Limits
from occulta.schemes.robust import message
from occulta.schemes.robust.mark import KERNEL, Coder, check_luminance
from occulta.schemes.robust.profiles import Profile

ALPHA = 0.5
PAPER_LIMITS = Limits(max_blocks=400_000)
"""Blocks of all components: 25 megapixels of gray, 17 of colour 4:2:0. They are 51 MB; luminance is
held three times."""
GROUP = 7
CHECKS = 3
PAPER = Profile("paper", 1, tuple(range(1, 8)), (1,) * GROUP, (0,) * GROUP, True, True, 2)
"""What reports name; the modules of the other profiles do not take it."""
_SIDE = 8
_SCRATCH = 144


@dataclass(frozen=True, slots=True)
class Luminance:
    """The whole 8x8 blocks of a picture in raster order: an array('h'), quantised by `table`."""

    coefficients: array[int]
    table: Table

    @property
    def blocks(self) -> int:
        """How many."""
        return len(self.coefficients) // BLOCK


class CodedMarker:
    """The stream: `feed(chunk) -> bytes`, `finish() -> bytes`; holds the whole picture."""

    def __init__(
        self, coder: Coder, alpha: float = ALPHA, limits: Limits = PAPER_LIMITS,
        kernel: str | None = None,
    ) -> None:
        """`alpha`: the share of blocks that carries, above 0, at most 1; otherwise ValueError."""
        share(0, alpha)
        self._coder, self._alpha, self._kernel = coder, alpha, kernel
        self._reader = CoefficientReader(limits, kernel)
        self._rows: list[Row] = []

    def feed(self, chunk: bytes) -> bytes:
        """Take more of the picture: nothing comes out yet; raises OccultaError."""
        self._rows += self._reader.stream(chunk)
        return b""

    def finish(self) -> bytes:
        """The marked picture; raises OccultaError, DOES_NOT_FIT and NO_LUMINANCE among others."""
        self._rows += self._reader.finish()
        header = self._reader.header
        assert header is not None  # the reader has given rows
        check_luminance(header)
        luminance = self._luminance(header.frame)
        self._embed(luminance, self._coder(header.frame.width, header.frame.height))
        return self._written(header, luminance.coefficients)

    def _luminance(self, frame: CoefficientFrame) -> Luminance:
        planes = array("h")
        for row in self._rows:
            for plane in row.planes:
                clip(plane, self._kernel)
            planes.extend(row.planes[0])
        whole = whole_blocks(planes, frame.across(0), frame.width, frame.height)
        return Luminance(whole, frame.components[0].table)

    def _embed(self, luminance: Luminance, coded: bytes) -> None:
        """Bits in rank order, d1 of the roughest block first."""
        blocks = luminance.coefficients
        ranking = rank(luminance, self._kernel)[: share(luminance.blocks, self._alpha)]
        if len(coded) > CHECKS * len(ranking):
            raise OccultaError(
                Reason.DOES_NOT_FIT,
                f"{len(coded)} coded bits in {len(ranking)} blocks of {CHECKS}",
            )
        padded = coded + bytes(-len(coded) % CHECKS)
        for at, block in zip(range(0, len(padded), CHECKS), ranking, strict=False):
            first = BLOCK * block + 1
            group = blocks[first : first + GROUP]
            embed(group, padded[at : at + CHECKS])
            blocks[first : first + GROUP] = group

    def _written(self, header: Header, blocks: array[int]) -> bytes:
        frame = header.frame
        writer = CoefficientWriter(frame, header.segments, self._kernel)
        out = bytearray(writer.begin())
        padded, across = BLOCK * frame.across(0), BLOCK * (frame.width // _SIDE)
        tall, lines = frame.height // _SIDE, frame.components[0].vertical
        for row in self._rows:
            for line in range(max(0, min(lines, tall - row.number * lines))):
                start = (row.number * lines + line) * across
                row.planes[0][line * padded : line * padded + across] = (
                    blocks[start : start + across]
                )
            out += writer.row(row.planes)
        return bytes(out + writer.end())


class Marker(CodedMarker):
    """Hides private data for one recipient; as mark.Marker, but that nothing streams."""

    def __init__(
        self, recipient: crypto.PublicKey, private: bytes,
        signing_key: crypto.SigningKey | None = None, alpha: float = ALPHA,
        rate: Rate = Rate.THIRD, *, limits: Limits = PAPER_LIMITS, kernel: str | None = None,
    ) -> None:
        """`finish` raises OccultaError(DOES_NOT_FIT) when the picture turns out too small."""
        self.message_bits = 0
        """Of the message, once the picture has ended; 0 before."""

        def code(width: int, height: int) -> bytes:
            most = most_bits(width, height, alpha, rate)
            bits = message.to_bits(message.seal(private, most, recipient, signing_key))
            self.message_bits = len(bits)
            return TurboCode(len(bits), rate, kernel).encode(bits)

        super().__init__(code, alpha, limits, kernel)


def mark(
    jpeg: bytes, recipient: crypto.PublicKey, private: bytes, alpha: float = ALPHA,
    rate: Rate = Rate.THIRD, *, signing_key: crypto.SigningKey | None = None,
    limits: Limits = PAPER_LIMITS, kernel: str | None = None,
) -> bytes:
    """A whole picture marked by `Marker`."""
    marker = Marker(
        recipient, private, signing_key, alpha, rate, limits=limits, kernel=kernel
    )
    return marker.feed(jpeg) + marker.finish()


def mark_coded(
    jpeg: bytes, coded: bytes, alpha: float = ALPHA, limits: Limits = PAPER_LIMITS,
    kernel: str | None = None,
) -> bytes:
    """A whole picture marked with coded bits of any code; ValueError for others than 0 and 1."""
    bits = bytes(checked_bits(coded))
    marker = CodedMarker(lambda width, height: bits, alpha, limits, kernel)
    return marker.feed(jpeg) + marker.finish()


def gross_bits(width: int, height: int, alpha: float = ALPHA, rate: Rate = Rate.THIRD) -> int:
    """Of what a picture of so many pixels carries, what the code leaves; tail bits among them."""
    return CHECKS * share((width // _SIDE) * (height // _SIDE), alpha) // rate.value


def most_bits(width: int, height: int, alpha: float = ALPHA, rate: Rate = Rate.THIRD) -> int:
    """Bits of the largest message that a picture of so many pixels carries; 0: none."""
    return fitting_bits((width // _SIDE) * (height // _SIDE), alpha, rate)


def embed(group: array[int], bits: bytes) -> None:
    """Three bits into seven coefficients, in place: cases 1 to 8."""
    wanted = sum(bit << at for at, bit in enumerate(bits))
    index = syndrome_of(group) ^ wanted
    if index:
        value = group[index - 1]
        group[index - 1] = value + 1 if value < LARGEST_AC else value - 1


def rank(luminance: Luminance, kernel: str | None = None) -> array[int]:
    """The numbers of all blocks, the roughest first."""
    rough = array("d", bytes(8 * luminance.blocks))
    kernels.load_kernel(KERNEL, kernel).roughness(
        memoryview(luminance.coefficients), memoryview(array("i", luminance.table)),
        memoryview(array("i", dct.ZIGZAG)), luminance.blocks,
        memoryview(array("d", bytes(8 * _SCRATCH))), memoryview(rough),
    )
    return array("i", sorted(range(luminance.blocks), key=lambda block: -rough[block]))


def share(blocks: int, alpha: float) -> int:
    """How many blocks carry; raises ValueError for a share that is not above 0 and at most 1."""
    if not 0.0 < alpha <= 1.0:
        raise ValueError(f"a share of {alpha} of the blocks")
    return int(alpha * blocks)


def fitting_bits(blocks: int, alpha: float, rate: Rate) -> int:
    """Bits of the largest message for so many blocks; 0: none. Raises ValueError as `share`."""
    room = CHECKS * share(blocks, alpha)
    fitting = (
        bits for bits in reversed(message.sizes_within(room))
        if TurboCode(bits, rate).coded_size <= room
    )
    return next(fitting, 0)


def syndrome_of(group: array[int]) -> int:
    """P1 + 2 P2 + 4 P3 of seven coefficients: each odd one adds its index, 1 to 7."""
    syndrome = 0
    for index, value in enumerate(group, 1):
        if value & 1:
            syndrome ^= index
    return syndrome


def whole_blocks(planes: array[int], across: int, width: int, height: int) -> array[int]:
    """Without the blocks that the picture does not fill."""
    whole = array("h")
    for row in range(height // _SIDE):
        start = BLOCK * across * row
        whole.extend(planes[start : start + BLOCK * (width // _SIDE)])
    return whole
