"""`python -m bench.limit [DATA]`: what tables fitted to half of a picture cost by themselves.

Per picture, with nothing hidden and nothing spare, in bits above the best tables:

- *oracle*: lengths planned on the counts of the first half for exactly the symbols that the whole
  picture has, were they known beforehand. No plan made on half can count on less.
- *reach*: the same for the symbols within reach of those seen (two zeros more, one size more). A
  picture that has another must be marked again; how many had is told.
- *all*: for every symbol of the original table, as marking in one pass must.

Each includes eight bits of DHT segment per symbol listed beyond those that the picture has.
Divided by the hidden bits this is how far above 1.0 such a marking lies.
"""

from __future__ import annotations

import sys
from collections.abc import Set
from pathlib import Path
from statistics import fmean

from PIL import Image

from bench.data import DEFAULT_DATA, QUALITIES, gray_jpeg, square_grays
from bench.unequal import survey_of
from occulta.codec.jpeg.engine import NO_LIMIT
from occulta.codec.jpeg.huffman import MAX_LENGTH, optimal_lengths
from occulta.codec.jpeg.survey import ScanSurvey

BITS = (8192, 16384, 30000)
WAYS = ("oracle", "reach", "all")
MORE_ZEROS, MORE_SIZE = 2, 1
_SCALE = 64


def reach(seen: Set[int]) -> set[int]:
    """Symbols (run << 4 | size) with little more of either than some seen symbol."""
    return {
        run << 4 | size
        for symbol in seen
        for run in range(min(15, (symbol >> 4) + MORE_ZEROS) + 1)
        for size in range((symbol & 15) + MORE_SIZE + 1)
    }


def _bits(counts: list[int], guess: list[int], listed: list[int]) -> int:
    """Bits of the scan's codes and of the segment when lengths are fitted to `guess`."""
    weights = [max(1, _SCALE * guess[symbol]) for symbol in listed]
    lengths = optimal_lengths([*weights, 1], MAX_LENGTH)
    return 8 * len(listed) + sum(
        counts[symbol] * length for symbol, length in zip(listed, lengths, strict=False)
    )


def excess(whole: ScanSurvey, half: ScanSurvey) -> tuple[list[int], bool]:
    """Bits above the best tables, per way; and whether a symbol was out of reach."""
    above, missed = [0] * len(WAYS), False
    for destination in whole.scan.tables:
        symbols = list(whole.tables[destination].symbols)
        counts, guess = whole.counts(destination), half.counts(destination)
        used = [symbol for symbol in symbols if counts[symbol]]
        near = reach({symbol for symbol in symbols if guess[symbol]})
        missed = missed or not near.issuperset(used)
        best = _bits(counts, counts, used)
        ways = (used, [s for s in symbols if s in near or counts[s]], symbols)
        for index, listed in enumerate(ways):
            above[index] += _bits(counts, guess, listed) - best
    return above, missed


def main() -> None:
    """Print the mean over the pictures, per quality."""
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_DATA
    paths = square_grays(data)
    if not paths:
        sys.exit(f"no pictures in {data}")
    print("per hidden bit above 1.0" + "".join(f"{bits:>22}" for bits in BITS))
    print(f"{'quality':8}{'out of reach':16}" + ("  " + "  ".join(WAYS).ljust(20)) * len(BITS))
    for quality in QUALITIES:
        jpegs = [gray_jpeg(Image.open(path), quality) for path in paths]
        found = [excess(survey_of(j, NO_LIMIT), survey_of(j, len(j) // 2)) for j in jpegs]
        means = [fmean(column) for column in zip(*(above for above, _ in found), strict=True)]
        missed = f"{sum(missed for _, missed in found)} of {len(found)}"
        shares = "".join("  " + "  ".join(f"{m / b:.3f}" for m in means).ljust(20) for b in BITS)
        print(f"{quality:<8}{missed:16}{shares}")


if __name__ == "__main__":
    main()
