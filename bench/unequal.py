"""`python -m bench.unequal [DATA]`: what unequal sets of codes could save, by model.

The plan of `exact` takes optimal lengths first and splits symbols afterwards: one bit per hidden
bit, whatever Huffman coding wastes on whole symbols remains. Here the most frequent symbols are
split first, into leaves of dyadic odds (halves, quarters; equal and unequal), and the code is built
over the leaves, so that the split may take up that waste. What the leaves do not carry is charged
at one bit each. A model: codes are counted, no file is written; stuffing is left out on both sides.

The last column is what no set of codes can go below, whatever its odds: the entropy of the symbols,
as if every split took up all the waste and no code had to be listed.
"""

from __future__ import annotations

import heapq
import sys
from itertools import product
from math import log2
from pathlib import Path
from statistics import fmean

from PIL import Image

from bench.data import DEFAULT_DATA, QUALITIES, gray_jpeg, square_grays
from occulta.codec.jpeg.engine import NO_LIMIT
from occulta.codec.jpeg.survey import ScanSurvey, Survey
from occulta.limits import DEFAULT_LIMITS

NEEDED = 8192
SPLITS: dict[str, tuple[int, ...]] = {
    "none": (0,),
    "2 equal": (1, 1),
    "4 equal": (2, 2, 2, 2),
    "8 equal": (3,) * 8,
    "3 unequal": (1, 2, 2),
    "5 unequal": (1, 3, 3, 3, 3),
    "4 unequal": (1, 2, 3, 3),
}
"""Leaves of a symbol, as powers: odds 2**-power. Power p carries p bits."""
_EQUAL = [name for name in SPLITS if "unequal" not in name]
_SYMBOLS = 3


def code_bits(weights: list[float]) -> float:
    """Least total bits of a prefix code for these weights, one more code left unused."""
    heap = [*weights, 0.0]
    heapq.heapify(heap)
    total = 0.0
    while len(heap) > 1:
        merged = heapq.heappop(heap) + heapq.heappop(heap)
        total += merged
        heapq.heappush(heap, merged)
    return total


def waste(tables: list[list[int]]) -> float:
    """Bits that the optimised file spends above the entropy of its symbols."""
    entropy = 0.0
    for row in tables:
        total = sum(row)
        entropy -= sum(n * log2(n / total) for n in row if n)
    return sum(code_bits([float(n) for n in row if n]) for row in tables) - entropy


def survey_of(jpeg: bytes, limit: int) -> ScanSurvey:
    """Symbol counts of a picture of one scan, as far as the byte `limit`."""
    survey = Survey(DEFAULT_LIMITS)
    survey.buffer.append(jpeg)
    survey.buffer.close()
    survey.advance(limit)
    return survey.scans[0]


def best(tables: list[list[int]], names: list[str]) -> float:
    """Least bits above the optimised file for NEEDED hidden bits, over all splits named."""
    frequent = sorted((n, t, s) for t, row in enumerate(tables) for s, n in enumerate(row))
    chosen = [(t, s) for _, t, s in frequent[: -_SYMBOLS - 1 : -1]]
    base = sum(code_bits([float(n) for n in row if n]) for row in tables)
    costs = []
    for splits in product(names, repeat=len(chosen)):
        cost = _cost(tables, dict(zip(chosen, (SPLITS[name] for name in splits), strict=True)))
        if cost is not None:
            costs.append(cost - base)
    return min(costs)


def _cost(
    tables: list[list[int]], splits: dict[tuple[int, int], tuple[int, ...]]
) -> float | None:
    carried: float = sum(
        tables[t][s] * p / (1 << p) for (t, s), leaves in splits.items() for p in leaves
    )
    if carried > NEEDED:
        return None
    codes = sum(len(leaves) - 1 for leaves in splits.values())
    total: float = NEEDED - carried + 8 * codes
    for t, row in enumerate(tables):
        leaves = [n / (1 << p) for s, n in enumerate(row) if n for p in splits.get((t, s), (0,))]
        total += code_bits(leaves)
    return total


def main() -> None:
    """Print the mean over the pictures, per quality."""
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_DATA
    paths = square_grays(data)
    if not paths:
        sys.exit(f"no pictures in {data}")
    print(f"bits per hidden bit over the optimised file, {NEEDED} hidden bits, mean (model)")
    print("quality  equal sets  unequal sets  entropy")
    for quality in QUALITIES:
        found = []
        for path in paths:
            survey = survey_of(gray_jpeg(Image.open(path), quality), NO_LIMIT)
            tables = [survey.counts(destination) for destination in survey.scan.tables]
            least = 1 - waste(tables) / NEEDED
            costs = [best(tables, names) / NEEDED for names in (_EQUAL, list(SPLITS))]
            found.append((*costs, least))
        equal, unequal, least = (fmean(column) for column in zip(*found, strict=True))
        print(f"{quality:7}  {equal:10.3f}  {unequal:12.3f}  {least:7.3f}", flush=True)


if __name__ == "__main__":
    main()
