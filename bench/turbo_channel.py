"""Random blocks of the turbo code over a binary symmetric channel."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from occulta.codec.fec.turbo import Turbo

K = 1024
ITERATIONS = 8
TWICE = "maxlog, then logmap"
"""As `decode_twice`: log-MAP for the blocks that did not settle."""
_PIECE = 1_000

Bits = NDArray[np.uint8]


def noisy(code: Turbo, frames: int, crossover: float, rng: np.random.Generator) -> Iterator[
    tuple[Bits, NDArray[np.int16]]
]:
    """(messages, LLRs), a row for each block, some at a time."""
    llr = round(8 * math.log((1 - crossover) / crossover))
    for at in range(0, frames, _PIECE):
        sent = rng.integers(0, 2, (min(_PIECE, frames - at), code.k), dtype=np.uint8)
        coded = b"".join(code.encode(bits.tobytes()) for bits in sent)
        received = np.frombuffer(coded, np.uint8).reshape(len(sent), -1).astype(bool)
        received ^= rng.random(received.shape) < crossover
        yield sent, np.where(received, -llr, llr).astype(np.int16)
