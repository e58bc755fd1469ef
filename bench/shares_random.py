"""One share of the `jpeg` profile as noise: NIST SP 800-22, and nothing of the picture in it."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from bench import data
from bench.mosaic import mosaic
from bench.randomness import (
    LEAST_UNIFORMITY,
    Verdict,
    bits_of,
    block_frequency,
    chi_square,
    frequency,
    runs,
    serial,
    uncorrelated,
    verdict,
)
from bench.report import Figure, Result, Table
from bench.shares_drive import create, split
from sim.camera import scene
from sim.scene.frame import frame_of

SEQUENCES = 250
"""Shares B of each picture, each under fresh keys."""
BITS = 1 << 20
"""Of each share, behind the header."""
BLOCK = 20_000
"""2.2.7: more than a hundredth of the sequence, fewer than 100 of them."""
PATTERN = 16
"""2.11.7: less than log2(n) - 2."""
TESTS = ("frequency", "block frequency", "runs", "serial 1", "serial 2", "histogram of bytes",
         "correlation with the JPEG")


def pictures(folder: Path) -> dict[str, bytes]:
    """A black one, a synthesised one, one repeated, and a real one; 1 Mbit of share and more."""
    tiles = data.tiles(folder, False)
    repeated = Image.new("L", (4 * data.SIDE, 2 * data.SIDE))
    for number in range(8):
        repeated.paste(tiles[0], (number % 4 * data.SIDE, number // 4 * data.SIDE))
    synthesised = scene(4, frame_of(4.0)).convert("L").resize((1024, 1024))
    return {
        "black": encoded(Image.new("L", (2560, 2560))),
        "synthesised": encoded(synthesised, 95),
        "repeated": encoded(repeated),
        "mosaic of real ones" if folder.is_dir() else "mosaic": encoded(mosaic(tiles, 2, 2), 90),
    }


def encoded(picture: Image.Image, quality: int = 75) -> bytes:
    """As JPEG."""
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return out.getvalue()


def run(result: Result, folder: Path, say: Callable[[str], None]) -> None:
    """All tests on all pictures."""
    found: dict[str, list[tuple[float, ...]]] = {}
    for name, jpeg in pictures(folder).items():
        say(f"shares, randomness, {name}")
        found[name] = [p_values(jpeg, f"{name} {number}") for number in range(SEQUENCES)]
    pooled = [values for each in found.values() for values in each]
    head = ["test", *found, "all", "at least", "uniformity of P", "met"]
    title = f"Noise: share of P-values of 0.01 and more, {SEQUENCES} shares B of each picture"
    judged = [verdict(values) for values in zip(*pooled, strict=True)]
    rows = [
        _row(test, at, judged[at], [*found.values()]) for at, test in enumerate(TESTS)
    ]
    result.tables.append(Table(title, head, rows))
    result.figures += [
        Figure("tests that share B does not pass (4.2.1 and 4.2.2)",
               sum(not each.passes for each in judged), 0, digits=0),
        Figure("equal files' sizes, greatest difference of shares' sizes", unequal_sizes(folder),
               0, unit="bytes", digits=0),
    ]
    result.notes.append(f"{BITS} bits of each share are tested, all of it is in the histogram; "
                        f"uniformity of P shall be at least {LEAST_UNIFORMITY}")


def _row(
    test: str, at: int, judged: Verdict, found: Sequence[Sequence[tuple[float, ...]]]
) -> list[str]:
    each = [verdict([values[at] for values in sequences]).proportion for sequences in found]
    return [test, *(f"{proportion:.3f}" for proportion in each), f"{judged.proportion:.4f}",
            f"{judged.least:.4f}", f"{judged.uniformity:.4f}", "yes" if judged.passes else "NO"]


def p_values(jpeg: bytes, seed: str) -> tuple[float, ...]:
    """Of one share B, in the order of TESTS; raises AssertionError where it is too short."""
    done = split(jpeg, create("seed", seed))
    body = done.shares[1][done.headers[1] :]
    if 8 * len(body) < BITS:
        raise AssertionError(f"{len(body)} bytes are too few")
    bits = bits_of(body[: BITS // 8])
    both = min(len(body), len(jpeg))
    noise, plain = (np.frombuffer(side[:both], np.uint8) for side in (body, jpeg))
    return (
        frequency(bits), block_frequency(bits, BLOCK), runs(bits), *serial(bits, PATTERN),
        chi_square(np.bincount(np.frombuffer(body, np.uint8), minlength=256)),
        uncorrelated(noise, plain),
    )


def unequal_sizes(folder: Path) -> int:
    """Bytes by which shares of other pictures of the same sizes differ from the first's.

    Two kinds: another picture with codes of the same lengths (other quantisation tables), and
    progressive ones filled up to one size by a comment.
    """
    tile, other = data.tiles(folder, False)[:2]
    plain = encoded(tile, 90)
    scaled = plain.replace(b"\xff\xdb\0\x43\0\x03", b"\xff\xdb\0\x43\0\x3f")
    if scaled == plain:
        raise AssertionError("the quantisation table is not where it was expected")
    progressive = [io.BytesIO(), io.BytesIO()]
    for picture, out in zip((tile, other), progressive, strict=True):
        picture.save(out, "JPEG", quality=85, progressive=True)
    size = max(len(out.getvalue()) for out in progressive) + 4
    filled = [_filled(out.getvalue(), size) for out in progressive]
    gaps: list[int] = []
    for one, two in ((plain, scaled), (filled[0], filled[1])):
        sizes = [[len(share) for share in split(jpeg, create("seed", "size")).shares]
                 for jpeg in (one, two)]
        gaps += [abs(a - b) for a, b in zip(*sizes, strict=True)]
    return max(gaps)


def _filled(jpeg: bytes, size: int) -> bytes:
    comment = size - len(jpeg) - 4
    return jpeg[:2] + b"\xff\xfe" + (comment + 2).to_bytes(2, "big") + bytes(comment) + jpeg[2:]
