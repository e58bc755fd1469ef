"""`python -m bench.limit [DATA]`: what tables fitted to half of a picture cost by themselves.

Per picture and in bits, with nothing hidden and nothing spare: what the lengths planned on the
first half cost on the whole above the best ones, and what listing every symbol of the original
table costs in the DHT segments. Divided by the hidden bits this is how far above 1.0 a marking
must lie that plans so; the first part alone, how far any choice of tables from half must.
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import fmean

from PIL import Image

from bench.data import DEFAULT_DATA, QUALITIES, gray_jpeg, square_grays
from bench.unequal import survey_of
from occulta.codec.jpeg.engine import NO_LIMIT
from occulta.codec.jpeg.survey import ScanSurvey
from occulta.schemes.reversible.plan import TableUse, plan_lengths

BITS = (8192, 16384, 30000)


def excess(whole: ScanSurvey, half: ScanSurvey) -> tuple[int, int]:
    """(bits lost to lengths of the half, bits of DHT segments for symbols never used)."""
    lost = listed = 0
    for destination in whole.scan.tables:
        table, counts = whole.tables[destination], whole.counts(destination)
        best = plan_lengths(TableUse(destination, table, counts, True)).lengths
        doubled = [2 * n for n in half.counts(destination)]
        guess = plan_lengths(TableUse(destination, table, doubled, False)).lengths
        lost += sum(counts[s] * (guess[s] - length) for s, length in best.items())
        listed += 8 * (len(guess) - len(best))
    return lost, listed


def main() -> None:
    """Print the mean over the pictures, per quality."""
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_DATA
    paths = square_grays(data)
    if not paths:
        sys.exit(f"no pictures in {data}")
    heads = "".join(f"  at {bits}: lengths, all" for bits in BITS)
    print(f"quality  lengths, bits  DHT, bits{heads}")
    for quality in QUALITIES:
        found = []
        for path in paths:
            jpeg = gray_jpeg(Image.open(path), quality)
            found.append(excess(survey_of(jpeg, NO_LIMIT), survey_of(jpeg, len(jpeg) // 2)))
        lost, listed = (fmean(column) for column in zip(*found, strict=True))
        shares = "".join(f"  {lost / b:14.3f}, {(lost + listed) / b:.3f}" for b in BITS)
        print(f"{quality:7}  {lost:13.0f}  {listed:9.0f}{shares}")


if __name__ == "__main__":
    main()
