"""CPU time of cutting a JPEG at its rows of cells against `jpegtran -copy all`."""

from __future__ import annotations

import time
from pathlib import Path

from bench.drive import CHUNK
from bench.peers import Jpegtran
from bench.speed import median_ratio
from occulta.codec.jpeg.cells import CellKeys, CellReader
from occulta.limits import DEFAULT_LIMITS

REPEATS = 7


def read_time(jpeg: bytes) -> float:
    """CPU seconds of one pass, whole objects included; raises AssertionError if bytes differ."""
    started = time.process_time()
    reader = CellReader(DEFAULT_LIMITS, CellKeys(bytes(16)))
    parts = [reader.feed(jpeg[at : at + CHUNK]) for at in range(0, len(jpeg), CHUNK)]
    parts.append(reader.finish())
    seconds = time.process_time() - started
    if b"".join(stretch.data for part in parts for stretch in part) != jpeg:
        raise AssertionError("the stretches are not the file")
    return seconds


def ratio(jpegtran: Jpegtran, work: Path, jpeg: bytes, repeats: int = REPEATS) -> float:
    """How many times as fast as jpegtran: median of paired runs; files go into `work`."""
    source, target = work / "in.jpg", work / "out.jpg"
    source.write_bytes(jpeg)
    peer: list[float] = []
    ours: list[float] = []
    before = jpegtran.copy_time(source, target)
    for _ in range(repeats):
        ours.append(read_time(jpeg))
        after = jpegtran.copy_time(source, target)
        peer.append((before.total + after.total) / 2)
        before = after
    return median_ratio(peer, ours)
