"""Turbo-coded messages of any length: equal blocks whose coded bits are interleaved one by one."""

from __future__ import annotations

from array import array
from typing import NamedTuple

from occulta.codec.fec import qpp
from occulta.codec.fec.turbo import (
    ITERATIONS,
    STRONGEST,
    Algorithm,
    Decoded,
    Llrs,
    Rate,
    Turbo,
    checked_bits,
    checked_llrs,
)


class Segmentation(NamedTuple):
    """How a message is cut."""

    blocks: int
    size: int
    """Bits of each block, filler included."""


def segment(bits: int) -> Segmentation:
    """The fewest blocks, and then the smallest ones, that hold a message of so many bits.

    Raises ValueError for less than one bit.
    """
    if bits < 1:
        raise ValueError(f"a message of {bits} bits")
    blocks = -(-bits // qpp.SIZES[-1])
    return Segmentation(blocks, next(size for size in qpp.SIZES if blocks * size >= bits))


class TurboCode:
    """The turbo code for messages of `bits` bits.

    Filler bits, zeros, stand before the message. Bit i of both, and bit i of the coded message,
    belong to block i mod n, n the number of blocks: damage in one place is shared by all. Within a
    block it still strikes consecutive steps of the trellis: where it is longer than some tens of
    bits for each block, send the coded bits in a permuted order. Bits and LLRs are those of
    turbo.py; a decoder takes filler bits as known, whatever was received.
    `kernel` is a choice of `load_kernel`. Raises ValueError for less than one bit.
    """

    def __init__(self, bits: int, rate: Rate = Rate.THIRD, kernel: str | None = None) -> None:
        self.bits = bits
        self.segmentation = segment(bits)
        self.block = Turbo(self.segmentation.size, rate, kernel)

    @property
    def coded_size(self) -> int:
        """Coded bits of a message."""
        return self.segmentation.blocks * self.block.coded_size

    @property
    def filler(self) -> int:
        """Filler bits."""
        return self.segmentation.blocks * self.segmentation.size - self.bits

    def encode(self, bits: bytes) -> bytes:
        """Code one message; raises ValueError unless it is as many bits as the code is for."""
        message = checked_bits(bits)
        if len(message) != self.bits:
            raise ValueError(f"{len(message)} bits for a message of {self.bits}")
        message[:0] = bytes(self.filler)
        blocks, coded = self.segmentation.blocks, bytearray(self.coded_size)
        for first in range(blocks):
            coded[first::blocks] = self.block.encode(bytes(message[first::blocks]))
        return bytes(coded)

    def decode(
        self, llrs: Llrs, algorithm: Algorithm = "maxlog", iterations: int = ITERATIONS,
        again: bool = False,
    ) -> Decoded:
        """Decide on one message from `coded_size` LLRs.

        `again`: of `maxlog`, blocks that did not settle are decoded by `logmap` too, which is slow.
        Iterations are those of the block that took most; `agreed` speaks for all blocks. Raises
        ValueError as `Turbo.decode` does.
        """
        blocks = self.segmentation.blocks
        values = array("h", checked_llrs(llrs, self.coded_size).tobytes())
        self._know_filler(values)
        cut = [values[first::blocks] for first in range(blocks)]
        if algorithm == "maxlog" and (blocks > 1 or again):
            joined = array("h", b"".join(part.tobytes() for part in cut))
            decode = self.block.decode_twice if again else self.block.decode_many
            found = decode(joined, blocks, iterations)
        else:
            found = [self.block.decode(part, algorithm, iterations) for part in cut]
        message = bytearray(blocks * self.segmentation.size)
        for first, part in enumerate(found):
            message[first::blocks] = part.bits
        return Decoded(
            bytes(message[self.filler :]),
            max(part.iterations for part in found),
            all(part.agreed for part in found),
        )

    def _know_filler(self, values: array[int]) -> None:
        blocks, step = self.segmentation.blocks, self.block.rate.value
        for bit in range(self.filler):
            place, block = divmod(bit, blocks)
            values[place * step * blocks + block] = STRONGEST
