"""Which restart intervals the pieces of damaged entropy-coded data belong to.

Restart markers say their interval modulo 8 only (ITU-T T.81 E.1.4), and damage invents markers,
alters and destroys them, and removes whole stretches. Markers that count on are taken as runs; the
cheapest way to place the runs, or to drop them as invented, is found by dynamic programming. What
costs are markers dropped, breaks, and intervals lost that the bytes between do not speak for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

ZEROS = bytes(16)
"""What stands where a packet was lost."""
_MARKER = re.compile(rb"\xff[\xd0-\xd7]")
_COUNT = 8
_DROPPED = 2.5
"""Cost of a marker taken as invented."""
_BREAK = 1.5
"""Cost of intervals lost, however many."""
_MISSING = 0.5
"""Per lost interval whose bytes are not there: packets were lost."""
_SURPLUS = 1.0
"""Per interval that the bytes between have room for, and that is not assumed."""
_END_LIMIT = 3.0
"""Greatest cost of what is missing at the end: a file may have been cut."""
_LOOK_BACK = 8
_STATES = 8
_MOST_RUNS = 4096
_NEAR = 8


class Piece(NamedTuple):
    """Entropy-coded data from the beginning of restart interval `interval` on."""

    interval: int
    start: int
    end: int
    """Up to the next marker that was kept: there may be lost intervals in it."""


class _Marker(NamedTuple):
    number: int
    start: int
    end: int


@dataclass(slots=True)
class _State:
    """A run, placed."""

    cost: float
    first: int
    """The interval behind its first marker."""
    before: _State | None
    run: int


def place(data: bytes, intervals: int) -> list[Piece]:
    """Split entropy-coded data at its restart markers and number the pieces, 0..intervals-1.

    The numbers rise; the first piece is always number 0. Takes any bytes.
    """
    markers = [_Marker(_COUNT - 1, 0, 0)]
    for match in _MARKER.finditer(data):
        if len(markers) > 2 * intervals + _MOST_RUNS:
            break
        markers.append(_Marker(match[0][1] & 7, match.start(), match.end()))
    runs = _runs(data, markers)[:_MOST_RUNS]
    kept = _chain(markers, runs, intervals, len(data))
    numbered = [
        (first + at, markers[member])
        for first, run in kept for at, member in enumerate(runs[run]) if first + at < intervals
    ]
    ends = [marker.start for _, marker in numbered[1:]] + [len(data)]
    return [
        Piece(number, marker.end, end) for (number, marker), end in zip(numbered, ends, strict=True)
    ]


def _runs(data: bytes, markers: list[_Marker]) -> list[range]:
    """Stretches of markers that count on; those beside a break by themselves.

    Where zeros stand for a lost packet eight intervals may be gone and markers count on.
    """
    breaks = [
        at for at in range(1, len(markers))
        if markers[at].number != (markers[at - 1].number + 1) % _COUNT
        or data.find(ZEROS, markers[at - 1].end, markers[at].start) >= 0
    ]
    cuts = {at + beside for at in breaks for beside in (-1, 0, 1)} | {1}
    edges = [0, *sorted(at for at in cuts if 0 < at < len(markers)), len(markers)]
    return [range(a, b) for a, b in zip(edges, edges[1:], strict=False)]


def _chain(
    markers: list[_Marker], runs: list[range], intervals: int, size: int
) -> list[tuple[int, int]]:
    """The (first interval, run) of the runs that are kept."""
    states: list[list[_State]] = [[_State(0.0, 0, None, 0)]]
    for run in range(1, len(runs)):
        found: dict[int, _State] = {}
        dropped = 0.0
        for earlier in range(run - 1, max(-1, run - 1 - _LOOK_BACK), -1):
            for first, state in _steps(markers, runs, states[earlier], run, dropped):
                old = found.get(first)
                beyond = max(0, first + len(runs[run]) - intervals)
                state.cost += _DROPPED * beyond
                if beyond < len(runs[run]) and (old is None or state.cost < old.cost):
                    found[first] = state
            dropped += _DROPPED * len(runs[earlier])
        states.append(sorted(found.values(), key=lambda state: state.cost)[:_STATES])
    return _back(_best_end(markers, runs, states, intervals, size))


def _steps(
    markers: list[_Marker], runs: list[range], states: list[_State], run: int, dropped: float
) -> list[tuple[int, _State]]:
    """Ways to go on from placed runs to `run`."""
    if not states:
        return []
    last, new = runs[states[0].run][-1], runs[run][0]
    delta = (markers[new].number - markers[last].number - 1) % _COUNT
    room = (markers[new].start - markers[last].end) / _usual(markers, last, new) - 1
    near = delta + _COUNT * max(0, int((room - delta) // _COUNT))
    steps = []
    for lost in {delta, near, near + _COUNT}:
        cost = dropped + _gap_cost(lost, room)
        for state in states:
            first = state.first + len(runs[state.run]) + lost
            steps.append((first, _State(state.cost + cost, first, state, run)))
    return steps


def _gap_cost(lost: int, room: float) -> float:
    cost = _BREAK if lost else 0.0
    return cost + (_MISSING * (lost - room) if lost > room else _SURPLUS * (room - lost))


def _usual(markers: list[_Marker], last: int, new: int) -> float:
    """The usual size of an interval around two markers."""
    near = range(max(1, last - _NEAR), min(len(markers), new + _NEAR + 1))
    sizes = [
        markers[at].start - markers[at - 1].end for at in near
        if markers[at].number == (markers[at - 1].number + 1) % _COUNT
    ]
    return max(1.0, median(sizes)) if sizes else float(max(1, markers[new].start // max(1, new)))


def _best_end(
    markers: list[_Marker], runs: list[range], states: list[list[_State]], intervals: int, size: int
) -> _State:
    best: tuple[float, _State] | None = None
    dropped = 0.0
    for run in range(len(runs) - 1, -1, -1):
        last = runs[run][-1]
        room = (size - markers[last].end) / _usual(markers, last, last) - 1
        for state in states[run]:
            lost = max(0, intervals - state.first - len(runs[run]))
            cost = state.cost + dropped + min(_END_LIMIT, _gap_cost(lost, room))
            if best is None or cost < best[0]:
                best = cost, state
        dropped += _DROPPED * len(runs[run])
    assert best is not None  # the beginning of the data is always placed
    return best[1]


def _back(state: _State | None) -> list[tuple[int, int]]:
    kept = []
    while state is not None:
        kept.append((state.first, state.run))
        state = state.before
    return kept[::-1]
