"""Where decoding of a damaged segment can go on: restart markers that begin a row of cells.

Which restart a marker is, its own number (modulo 8) and its place among the others say, counted
from the front of the segment and from its end. A wrong guess does no harm: the hashes tell.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from occulta.codec.jpeg.cells import CellDecoder, Cut
from occulta.schemes.shares.cellset import CellSet
from occulta.schemes.shares.segments import Segment

_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_AROUND = 8
"""Restart markers are numbered modulo 8."""
_MOST_MARKERS = 1 << 16


class Run(NamedTuple):
    """Rows of cells that begin at a byte of a segment and go on up to another.

    `right`: of rows that decode but have few hashes the cells that have theirs; None elsewhere.
    """

    cut: Cut
    start: int
    stop: int
    mcus: int
    right: CellSet | None = None


def restarts(decoder: CellDecoder, segment: Segment, cut: Cut) -> Iterator[Run]:
    """Rows of cells that begin behind a restart marker, up to the next such place."""
    interval = decoder.restart_interval
    if not interval or segment.mcus < cut.interval_left:
        return
    count = 1 + (segment.mcus - cut.interval_left) // interval
    found = _RESTART.finditer(segment.data)
    most = min(count + _AROUND, _MOST_MARKERS)
    first: list[re.Match[bytes]] = []
    last = deque[re.Match[bytes]](maxlen=most)
    for marker in found:
        if len(first) < most:
            first.append(marker)
        last.append(marker)
    for numbered in (_forward(first, cut, count), _backward(last, cut, count)):
        yield from _rows_behind(numbered, decoder, segment, cut)


def _forward(
    markers: Iterable[re.Match[bytes]], cut: Cut, count: int
) -> list[tuple[int, int]]:
    """The number of each restart, counted from the first, and where its marker ends."""
    numbered, expected = [], 0
    for marker in markers:
        number = expected + (marker[0][1] - cut.next_restart - expected) % _AROUND
        if number >= count:
            break
        numbered.append((number, marker.end()))
        expected = number + 1
    return numbered


def _backward(
    markers: deque[re.Match[bytes]], cut: Cut, count: int
) -> list[tuple[int, int]]:
    """The same, counted from the last."""
    numbered, expected = [], count - 1
    for marker in reversed(markers):
        number = expected - (cut.next_restart + expected - marker[0][1]) % _AROUND
        if number < 0:
            break
        numbered.append((number, marker.end()))
        expected = number - 1
    return numbered[::-1]


def _rows_behind(
    numbered: list[tuple[int, int]], decoder: CellDecoder, segment: Segment, cut: Cut
) -> Iterator[Run]:
    interval, end = decoder.restart_interval, cut.mcu + segment.mcus
    places = [
        (cut.mcu + cut.interval_left + number * interval, at, cut.next_restart + number + 1)
        for number, at in numbered
    ]
    begun = [each for each in places if decoder.geometry.begins_row(each[0]) and each[0] < end]
    begun.append((end, len(segment.data), 0))
    for (mcu, start, number), (following, stop, _) in pairwise(begun):
        behind = Cut(mcu, 0, 0, (0, 0, 0, 0), interval, number % _AROUND)
        yield Run(behind, start, stop, following - mcu)
