"""A turbo code for blocks of one size (3GPP TS 36.212, clause 5.1.3.2), and its decoders.

Two recursive systematic encoders (1, 15/13) of eight states, in octal, the second behind an
interleaver; each is driven back to state 0 by three tail bits.

Bits are bytes of 0 or 1, one for each bit. A soft bit is a log-likelihood ratio ln(P(0) / P(1)) as
a 16-bit integer in units of 1/8 nat: positive means 0. `maxlog` and `sova` know no unit: any
positive multiple of all LLRs serves, as long as it is neither lost in rounding nor clamped. LLRs
beyond +-255 count as +-255.
"""

from __future__ import annotations

from array import array
from enum import Enum
from typing import Literal, NamedTuple, TypeAlias

from occulta.codec.fec import qpp
from occulta.codec.kernels import load_kernel

Llrs: TypeAlias = "array[int] | memoryview"
"""Anything with the buffer of a row of 16-bit integers; numpy's int16 arrays too."""
Algorithm = Literal["maxlog", "logmap", "sova"]
STRONGEST = 255
"""The greatest magnitude of an LLR that makes a difference, in 1/8 nat."""
ITERATIONS = 8
MOST_ITERATIONS = 255

_TAIL = 12
# Half-iterations in turn without a change that end the decoding. After one or two, a block in some
# thousands at the edge of what can be corrected still has a bit wrong that would come right.
_CALM = 4
# 8 ln(1 + e^(-d/8)), rounded.
_JACOBIAN = array("i", (6, 5, 5, 4, 4, 3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1))
_NONE = array("i")


class Rate(Enum):
    """Message bits to coded bits, the twelve tail bits apart."""

    THIRD = 3
    """For each message bit: itself, then a parity bit of either encoder."""
    HALF = 2
    """For each message bit: itself, then the first encoder's parity bit if its index is even,
    otherwise the second's."""


class Decoded(NamedTuple):
    """What a decoder decided about one block."""

    bits: bytes
    iterations: int
    """Iterations begun; at most those asked for."""
    agreed: bool
    """Whether the last two iterations changed no decision, which ends the decoding.

    It is a sign of success, and no proof of it.
    """


class Turbo:
    """The turbo code for blocks of `k` bits, one of `qpp.SIZES`.

    `kernel` is a choice of `load_kernel`. Raises ValueError for another size.
    """

    def __init__(self, k: int, rate: Rate = Rate.THIRD, kernel: str | None = None) -> None:
        self._plain, self._permuted = qpp.identity(k), qpp.interleaver(k)
        self.k = k
        self.rate = rate
        self._kernel = load_kernel("occulta.codec.fec.turbo_kernel", kernel)
        self._batch = load_kernel("occulta.codec.fec.batch_kernel", kernel)

    @property
    def coded_size(self) -> int:
        """Coded bits of a block: 3 k + 12, or 2 k + 12."""
        return self.rate.value * self.k + _TAIL

    def encode(self, bits: bytes) -> bytes:
        """Code one block; raises ValueError unless it is `k` bits.

        The order is that of clause 5.1.3.2.2, its three streams in turn: for each message bit what
        `Rate` says, then the tail bits of the first encoder, message and parity bit in turn, then
        those of the second.
        """
        message = checked_bits(bits)
        if len(message) != self.k:
            raise ValueError(f"{len(message)} bits for a block of {self.k}")
        first, second, tail = bytearray(self.k), bytearray(self.k), bytearray(_TAIL)
        self._kernel.encode(message, self._plain, self._permuted, first, second, tail)
        body = bytearray(self.rate.value * self.k)
        body[:: self.rate.value] = message
        if self.rate is Rate.THIRD:
            body[1::3], body[2::3] = first, second
        else:
            body[1::4], body[3::4] = first[::2], second[1::2]
        return bytes(body + tail)

    def decode(
        self, llrs: Llrs, algorithm: Algorithm = "maxlog", iterations: int = ITERATIONS
    ) -> Decoded:
        """Decide on one block from `coded_size` LLRs (see the module).

        `maxlog` takes maxima for sums of exponentials (extrinsic LLRs times 3/4), `logmap`
        corrects them by a table, `sova` is the soft-output Viterbi algorithm (times 5/8). Raises
        ValueError for another number of LLRs, another algorithm, or iterations not in 1 to 255.
        """
        if algorithm not in ("maxlog", "logmap", "sova"):
            raise ValueError(f"unknown algorithm {algorithm!r}: maxlog, logmap or sova")
        _check_iterations(iterations)
        return _Scalar(self, checked_llrs(llrs, self.coded_size)).run(algorithm, iterations)

    def decode_many(
        self, llrs: Llrs, frames: int, iterations: int = ITERATIONS
    ) -> list[Decoded]:
        """Decide on blocks whose LLRs follow one another, many abreast.

        The same as `decode(..., "maxlog")` of each, bit for bit. Raises ValueError as it does.
        """
        _check_iterations(iterations)
        if frames < 0:
            raise ValueError(f"{frames} blocks")
        values = checked_llrs(llrs, frames * self.coded_size)
        work = memoryview(bytearray(2 * self._batch.work_size(self.k))).cast("h")
        decoded: list[Decoded] = []
        lanes: int = self._batch.LANES
        for first in range(0, frames, lanes):
            used = min(lanes, frames - first)
            decoded += self._decode_lanes(values, first, used, iterations, work)
        return decoded

    def decode_twice(
        self, llrs: Llrs, frames: int, iterations: int = ITERATIONS
    ) -> list[Decoded]:
        """As `decode_many`, then log-MAP for the blocks that did not settle.

        Some of these max-log never gets right, however many iterations it has. Raises ValueError
        as `decode_many` does.
        """
        found = self.decode_many(llrs, frames, iterations)
        values, size = checked_llrs(llrs, frames * self.coded_size), self.coded_size
        return [
            each if each.agreed
            else self.decode(values[size * at : size * (at + 1)], "logmap", iterations)
            for at, each in enumerate(found)
        ]

    def _decode_lanes(
        self, llrs: memoryview, first: int, used: int, iterations: int, work: memoryview
    ) -> list[Decoded]:
        k, out, taken = self.k, bytearray(used * self.k), array("i", bytes(8 * used))
        self._batch.decode(
            llrs, first * self.coded_size, used, self.rate is Rate.HALF, iterations,
            self._plain, self._permuted, work, out, taken,
        )
        bits = bytes(out)
        return [
            Decoded(bits[k * i : k * (i + 1)], taken[2 * i], taken[2 * i + 1] == _CALM)
            for i in range(used)
        ]


class _Scalar:
    """One block under decoding."""

    def __init__(self, code: Turbo, llrs: memoryview) -> None:
        values = array("i", [max(-STRONGEST, min(STRONGEST, value)) for value in llrs])
        k, step = code.k, code.rate.value
        body, self._tail = values[:-_TAIL], values[-_TAIL:]
        self._rows = body[::step]
        if code.rate is Rate.THIRD:
            self._parity = body[1::3], body[2::3]
        else:
            self._parity = _zeros(k), _zeros(k)
            self._parity[0][::2], self._parity[1][1::2] = body[1::4], body[3::4]
        self._orders = code._plain, code._permuted
        self._kernel = code._kernel
        self._ext, self._app = _zeros(k), _zeros(k)
        self._stakes = [memoryview(_zeros(8 * (-(-k // 128) + 1))) for _ in range(2)]
        self._lead, self._path, self._trust = _zeros(8 * k), bytearray(k + 1), _zeros(k)

    def run(self, algorithm: Algorithm, iterations: int) -> Decoded:
        """Half-iterations in turn until they change nothing any more."""
        calm, half = 0, 0
        for half in range(2 * iterations):
            changed = self._half(half & 1, algorithm)
            calm = calm + 1 if half and not changed else 0
            if calm == _CALM:
                break
        return Decoded(bytes([value < 0 for value in self._app]), half // 2 + 1, calm == _CALM)

    def _half(self, which: int, algorithm: Algorithm) -> int:
        given = self._orders[which], self._rows, self._parity[which], self._tail, 6 * which
        changed: int
        if algorithm == "sova":
            changed = self._kernel.sova(
                *given, self._ext, self._app, self._lead, self._path, self._trust
            )
        else:
            exact = algorithm == "logmap"
            changed = self._kernel.bcjr(
                *given, _JACOBIAN if exact else _NONE, 0 if exact else 2, self._ext, self._app,
                self._stakes[which],
            )
        return changed


def checked_bits(bits: bytes) -> bytearray:
    """A copy of `bits`; raises ValueError if any is not 0 or 1."""
    message = bytearray(bits)
    if message.translate(None, b"\0\1"):
        raise ValueError("a bit is a byte of 0 or 1")
    return message


def checked_llrs(llrs: Llrs, count: int) -> memoryview:
    """`llrs` as one contiguous row; raises ValueError unless they are `count` 16-bit integers."""
    view = memoryview(llrs)
    if view.format != "h" or view.ndim != 1 or len(view) != count:
        raise ValueError(f"needed: {count} LLRs as one row of 16-bit integers")
    return view if view.c_contiguous else memoryview(view.tobytes()).cast("h")


def _zeros(count: int) -> array[int]:
    return array("i", bytes(4 * count))


def _check_iterations(iterations: int) -> None:
    if not 1 <= iterations <= MOST_ITERATIONS:
        raise ValueError(f"{iterations} iterations: 1 to {MOST_ITERATIONS}")
