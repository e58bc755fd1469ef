"""Known answers of the turbo code, for `onboard/selftest.py`: coding, and every decoder."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from occulta.codec.fec.message import TurboCode
from occulta.codec.fec.turbo import Algorithm, Decoded, Rate, Turbo

_BITS = bytes(at * at % 251 & 1 for at in range(4099)) * 2
"""Of several blocks with filler."""
_BLOCK, _FRAMES, _ITERATIONS = 136, 2, 2
"""More steps than a decoder's window of 128, fewer frames than go abreast."""


def turbo_code(_: Mapping[str, Any]) -> bytes:
    """A message coded at both rates."""
    return b"".join(TurboCode(len(_BITS), rate).encode(_BITS) for rate in Rate)


def turbo_decoding(_: Mapping[str, Any]) -> bytes:
    """Noise decided on at both rates, block by block with each algorithm and all abreast.

    Of noise alone, and before anything settles: so decisions hang on metrics, windows and tables.
    When decoding may end, and what is clamped, hardly shows here.
    """
    decided = (each for rate in Rate for each in _decided(Turbo(_BLOCK, rate)))
    return b"".join(each.bits + bytes([each.iterations, each.agreed]) for each in decided)


def _decided(code: Turbo) -> Iterator[Decoded]:
    size = code.coded_size
    noise = array("h", map(_noise, range(_FRAMES * size)))
    for algorithm in get_args(Algorithm):
        for at in range(0, len(noise), size):
            yield code.decode(noise[at : at + size], algorithm, _ITERATIONS)
    yield from code.decode_many(noise, _FRAMES, _ITERATIONS)


def _noise(at: int) -> int:
    """An LLR of up to 15 either way; one in 64 is of up to 300."""
    return (at * at * at * 7 % 31 - 15) * (1 if at % 64 else 20)
