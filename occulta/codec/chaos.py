"""Chaotic sequences and diffusion of papers/003, section 3.1, step 7 (equations 5 to 10).

A paper's mechanism, not a cipher: whatever must stay secret is sealed besides (docs/security.md).

Choices where the text is ambiguous:

- Equation 5 takes 3 + 4 + 12 + 45 = 64 bits, first bit first, so a 128-bit hash has one section for
  each of the two maps and no bit to spare: more key bits would need a longer hash.
- Equation 6: k of 0 to 7 becomes 12 to 19, k of 8 to 15 stays; u = 0 becomes 0.5212882.
- Equation 8: the parenthesis closes before the product, and the remainder is that of the whole
  part: floor((|x| - floor(|x|)) * 10^14) mod 256. Only terms behind the first N_0 are kept.
- Equation 9 as printed lacks a closing parenthesis. The `literal` form puts it before the minus
  sign: x' = c - floor(c), c = cos((u + 1) * acos(x) * 2^k). It reaches 0 or 1 in time and stays
  there: 18 of 200 random keys within 512 x 512 terms, 45 within 2^20.
- The `closed` form, which the profile uses, takes 2^k out of the cosine, where equation 7 has it
  outside the sine: x' = C - floor(C), C = cos((u + 1) * acos(x)) * 2^k.
- Both maps in closed form add a Weyl sequence: x'' = x' + w_n mod 1, w_n = x_0 + n g mod 1, n the
  number of the term, g = (sqrt(5) - 1) / 2. It moves fixed points (x = 0) away; no sequence runs
  into a cycle (equation 7 as printed does for 17 of 200 keys within 65,536 terms, since its steep
  settings leave about 2^31 different doubles); and two first terms never give the same tail, where
  a flat place of the map would swallow their last bit (without it: one of 280 shares measured).
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from occulta.codec.kernels import load_kernel

KERNEL = "occulta.codec.chaos_kernel"
SECTION_SIZE = 8
"""Bytes of a key that one map takes."""


class Map(IntEnum):
    """The two maps, by the kernel's numbers."""

    SINE_SINE = 0
    """Equation 7."""
    CHEBYSHEV = 1
    """Equation 9."""


class Seed(NamedTuple):
    """What equations 5 and 6 make of 64 bits: factor, exponent, terms to skip, first term."""

    u: float
    k: int
    skip: int
    start: float


def seed(section: bytes) -> Seed:
    """Equations 5 and 6 for a section of SECTION_SIZE bytes; raises ValueError."""
    if len(section) != SECTION_SIZE:
        raise ValueError(f"a section of a key has {SECTION_SIZE} bytes")
    bits = int.from_bytes(section, "big")
    u, k, skip = bits >> 61, bits >> 57 & 0xF, bits >> 45 & 0xFFF
    start = (bits & (1 << 45) - 1) * 1e-14
    return Seed(
        float(u) or 0.5212882, k if k >= 8 else k + 12, skip if skip >= 3000 else skip + 1000, start
    )


def sequence(
    which: Map, begin: Seed, size: int, *, literal: bool = False, kernel: str | None = None
) -> bytes:
    """`size` terms as bytes (equation 8), of the profile's form or as printed."""
    out = bytearray(size)
    module = load_kernel(KERNEL, kernel)
    module.iterate(int(which), begin.u, begin.k, begin.start, begin.skip, not literal, out)
    return bytes(out)


def key_matrices(
    key: bytes, size: int, *, literal: bool = False, kernel: str | None = None
) -> tuple[bytes, bytes]:
    """A and B of section 3.1, step 7: `size` bytes each, row-major, of a 16-byte key.

    The first half drives the Sine-Sine map, the second the Chebyshev map.
    """
    sections = key[:SECTION_SIZE], key[SECTION_SIZE:]
    a, b = (
        sequence(which, seed(section), size, literal=literal, kernel=kernel)
        for which, section in zip(Map, sections, strict=True)
    )
    return a, b


def diffuse(plane: bytes, a: bytes, b: bytes, kernel: str | None = None) -> bytes:
    """Equation 10: (plane + a mod 256) XOR b, byte by byte; the three of one length."""
    out = bytearray(_same_size(plane, a, b))
    load_kernel(KERNEL, kernel).diffuse(plane, a, b, out)
    return bytes(out)


def gather(share: bytes, a: bytes, b: bytes, kernel: str | None = None) -> bytes:
    """Equation 10 backwards."""
    out = bytearray(_same_size(share, a, b))
    load_kernel(KERNEL, kernel).gather(share, a, b, out)
    return bytes(out)


def _same_size(one: bytes, *others: bytes) -> int:
    if any(len(other) != len(one) for other in others):
        raise ValueError("plane and matrices differ in size")
    return len(one)
