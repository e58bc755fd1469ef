"""The `paper` profile: papers/003 for 8-bit grayscale rasters, two share images of the same size.

Protection follows section 3.1: folded hashes of the blocks (step 3, equation 4), S-box in the
region (step 4), MSB and LSB planes (step 5), the hashes as reversible watermark in both (step 6),
diffusion with chaotic sequences (step 7, equations 5 to 10, see occulta/codec/chaos.py).

Choices where the text is ambiguous:

- Step 2: SHA-256 of a block's original pixels, row by row; blocks of each region in turn.
- Step 6: each plane carries the whole list (16 bytes a block) and behind it a check value of 8
  bytes, an HMAC-SHA256 under a key of the sealed parameters, so that either plane alone locates.
- Step 7, "H_1..t": t = half of the blocks. The 128 bits of share A are the folded SHA-256 (as in
  equation 4) of a name, a fresh salt, the digest of the whole image and H_1 to H_t; of share B the
  same with H_t+1 to H_m. Any change of the image, inside the region or not, changes both keys, and
  the salt keeps two protections of one image apart.
- Peaks, lengths, region and keys are the "secret key" of section 3.2: sealed, not in the image.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import NamedTuple

from occulta.codec import chaos
from occulta.schemes.shares.paper_parameters import VERSION, Parameters, digest_of
from occulta.schemes.shares.paper_watermark import Round, embed
from occulta.schemes.shares.raster import Box, Raster, blocks_of, check_regions, check_size

HASH_SIZE = 16
CHECK_SIZE = 8
HIGH = bytes(value & 0xF0 for value in range(256))
LOW = bytes(value & 0x0F for value in range(256))
SUBSTITUTE = bytes.fromhex(
    "637c777bf26b6fc53001672bfed7ab76ca82c97dfa5947f0add4a2af9ca472c0"
    "b7fd9326363ff7cc34a5e5f171d8311504c723c31896059a071280e2eb27b275"
    "09832c1a1b6e5aa0523bd6b329e32f8453d100ed20fcb15b6acbbe394a4c58cf"
    "d0efaafb434d338545f9027f503c9fa851a3408f929d38f5bcb6da2110fff3d2"
    "cd0c13ec5f974417c4a77e3d645d197360814fdc222a908846eeb814de5e0bdb"
    "e0323a0a4906245cc2d3ac629195e479e7c8376d8dd54ea96c56f4ea657aae08"
    "ba78252e1ca6b4c6e8dd741f4bbd8b8a703eb5664803f60e613557b986c11d9e"
    "e1f8981169d98e949b1e87e9ce5528df8ca1890dbfe6426841992d0fb054bb16"
)
"""The S-box of AES (FIPS 197, table 1 of the paper)."""
RESTORE = bytes(SUBSTITUTE.index(value) for value in range(256))


class Shares(NamedTuple):
    """The two share images: from the MSB plane and from the LSB plane."""

    a: Raster
    b: Raster


class Marked(NamedTuple):
    """The two planes with the watermark, and its side information."""

    planes: tuple[bytes, bytes]
    rounds: tuple[tuple[Round, ...], tuple[Round, ...]]


def protect(
    raster: Raster, regions: Sequence[Box], kind: str, random: Callable[[int], bytes],
    kernel: str | None = None,
) -> tuple[Shares, Parameters]:
    """Share images and parameters; no regions: the whole image is one.

    Raises OccultaError: LIMIT_DIMENSIONS, BAD_REGION, NO_WATERMARK_ROOM.
    """
    check_size(raster.width, raster.height)
    chosen = tuple(regions) or (Box(0, 0, raster.width, raster.height),)
    check_regions(chosen, raster.width, raster.height)
    set_id, salt, check_key = random(16), random(16), random(16)
    hashes, digest = block_hashes(raster, blocks_of(chosen)), digest_of(raster)
    keys = share_keys(hashes, salt + digest)
    marked = mark(raster, chosen, hashes, check_key)
    shares = diffuse(raster, marked, keys, kernel)
    parameters = Parameters(
        VERSION, set_id, kind, raster.width, raster.height, chosen, keys, check_key,
        marked.rounds, digest, (digest_of(shares.a), digest_of(shares.b)),
    )
    return shares, parameters


def make_again(raster: Raster, parameters: Parameters, kernel: str | None = None) -> Shares:
    """The share images of a raster under known parameters; raises OccultaError as `protect`."""
    hashes = block_hashes(raster, blocks_of(parameters.regions))
    marked = mark(raster, parameters.regions, hashes, parameters.check_key)
    return diffuse(raster, marked, parameters.keys, kernel)


def block_hashes(raster: Raster, blocks: Sequence[Box]) -> list[bytes]:
    """Steps 2 and 3: SHA-256 of each block's pixels, folded to HASH_SIZE bytes."""
    return [fold(hashlib.sha256(raster.cut(block)).digest()) for block in blocks]


def fold(digest: bytes) -> bytes:
    """Equation 4: the first 128 bits XOR the last."""
    return bytes(a ^ b for a, b in zip(digest[:HASH_SIZE], digest[HASH_SIZE:], strict=True))


def share_keys(hashes: Sequence[bytes], binding: bytes) -> tuple[bytes, bytes]:
    """Step 7: the 128 bits of share A and of share B; `binding` is salt and digest."""
    half = len(hashes) // 2
    lists = b"".join(hashes[:half]), b"".join(hashes[half:])
    names = b"occulta share a", b"occulta share b"
    a, b = (
        fold(hashlib.sha256(name + binding + listed).digest())
        for name, listed in zip(names, lists, strict=True)
    )
    return a, b


def watermark(hashes: Sequence[bytes], check_key: bytes) -> bytes:
    """What each plane carries: hash list and check value."""
    listed = b"".join(hashes)
    return listed + hmac.digest(check_key, listed, "sha256")[:CHECK_SIZE]


def mark(
    raster: Raster, regions: Sequence[Box], hashes: Sequence[bytes], check_key: bytes
) -> Marked:
    """Steps 4 to 6; raises OccultaError(NO_WATERMARK_ROOM)."""
    substituted = raster.mapped(regions, SUBSTITUTE).pixels
    bits = to_bits(watermark(hashes, check_key))
    high, high_rounds = embed(substituted.translate(HIGH), bits)
    low, low_rounds = embed(substituted.translate(LOW), bits)
    return Marked((high, low), (high_rounds, low_rounds))


def diffuse(
    raster: Raster, marked: Marked, keys: tuple[bytes, bytes], kernel: str | None = None
) -> Shares:
    """Step 7: the marked planes under the sequences of their keys."""
    a, b = (
        chaos.diffuse(plane, *chaos.key_matrices(key, len(plane), kernel=kernel), kernel)
        for plane, key in zip(marked.planes, keys, strict=True)
    )
    return Shares(
        Raster(raster.width, raster.height, a), Raster(raster.width, raster.height, b)
    )


def to_bits(data: bytes) -> bytes:
    """One byte, 0 or 1, for each bit, the highest first."""
    text = f"{int.from_bytes(data, 'big'):0{8 * len(data)}b}"
    return bytes(text, "ascii").translate(_DIGITS)


def from_bits(bits: bytes) -> bytes:
    """The opposite of `to_bits`; a multiple of eight bits."""
    text = bits.translate(_AS_TEXT).decode("ascii")
    return int(text, 2).to_bytes(len(bits) // 8, "big")


_DIGITS = bytes.maketrans(b"01", b"\0\1")
_AS_TEXT = bytes.maketrans(b"\0\1", b"01")
