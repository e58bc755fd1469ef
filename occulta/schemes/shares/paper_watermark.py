"""Reversible watermark by histogram shifting (papers/003, section 2.1, equations 1 to 3).

A round takes the fullest value as peak and the nearest empty value as zero point: values between
move one step towards the zero point, peak pixels one step for a 1 and none for a 0. The paper
shows a zero point below the peak; one above is the same mirrored. Of several rounds each works on
what the one before left, until all bits are in: the MSB plane has empty values beside every used
one (nothing moves), the LSB plane has them above 15.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, islice
from typing import NamedTuple

from occulta.errors import OccultaError, Reason

MAX_ROUNDS = 64
_VALUES = range(256)
_CHUNK = 1 << 14
"""Pixels that are split at their peaks at a time: such a list takes many bytes a pixel."""


class Round(NamedTuple):
    """Side information of one round: the peak, the zero point and the number of peak pixels."""

    peak: int
    zero: int
    carriers: int

    @property
    def moved(self) -> int:
        """The value of a peak pixel with a 1."""
        return self.peak + (1 if self.zero > self.peak else -1)


def embed(plane: bytes, bits: bytes) -> tuple[bytes, tuple[Round, ...]]:
    """Hide `bits` (bytes 0 and 1) in a plane; the marked plane and its side information.

    Raises OccultaError(NO_WATERMARK_ROOM) when MAX_ROUNDS rounds cannot take them.
    """
    rounds: list[Round] = []
    done = 0
    while done < len(bits):
        following = _next_round(plane) if len(rounds) < MAX_ROUNDS else None
        if following is None:
            raise OccultaError(
                Reason.NO_WATERMARK_ROOM,
                f"the watermark needs {len(bits)} bits and the picture has room for {done}",
            )
        plane = _mark(plane, following, bits[done : done + following.carriers])
        rounds.append(following)
        done += following.carriers
    return plane, tuple(rounds)


def _next_round(plane: bytes) -> Round | None:
    counts = {value: plane.count(value) for value in sorted(set(plane))}
    empty = [value for value in _VALUES if value not in counts]
    if not empty or not plane:
        return None
    peak = max(counts, key=counts.__getitem__)
    return Round(peak, min(empty, key=lambda value: abs(value - peak)), counts[peak])


def _mark(plane: bytes, found: Round, bits: bytes) -> bytes:
    step = found.moved - found.peak
    between = range(found.moved, found.zero, step)
    marked = bytearray(plane.translate(_table({value: value + step for value in between})))
    peak, moved = bytes([found.peak]), bytes([found.moved])
    rest = iter(bits)
    for start in range(0, len(marked), _CHUNK):
        runs = marked[start : start + _CHUNK].split(peak)
        carried = [moved if bit else peak for bit in islice(rest, len(runs) - 1)]
        carried += [peak] * (len(runs) - 1 - len(carried))
        marked[start : start + _CHUNK] = runs[0] + b"".join(
            chain.from_iterable(zip(carried, runs[1:], strict=True))
        )
    return bytes(marked)


def extract(marked: bytes, rounds: Sequence[Round], size: int) -> tuple[bytes, bytes]:
    """The plane as it was, and the first `size` bits (bytes 0 and 1) that it carried.

    Any bytes are accepted, as by `separate` and `joined`.
    """
    plane, parts = separate(marked, rounds)
    return plane, joined(rounds, parts)[:size]


def separate(marked: bytes, rounds: Sequence[Round]) -> tuple[bytes, list[bytes]]:
    """The plane as it was, each pixel restored from itself alone, and the bits of each round.

    A round has as many bits as there are carriers now.
    """
    parts = []
    for found in reversed(rounds):
        used = (found.peak, found.moved)
        others = bytes(value for value in _VALUES if value not in used)
        parts.append(marked.translate(_table({found.peak: 0, found.moved: 1}), others))
        marked = marked.translate(_restoring(found))
    return marked, parts[::-1]


def joined(rounds: Sequence[Round], parts: Sequence[bytes]) -> bytes:
    """The bits of all rounds: each cut or filled up to its carriers, so that others keep place."""
    return b"".join(
        part[: each.carriers].ljust(each.carriers, b"\0")
        for each, part in zip(rounds, parts, strict=True)
    )


def possible_values(values: Sequence[int], rounds: Sequence[Round]) -> set[int]:
    """What the pixels of a marked plane can be, from those of the plane."""
    found = set(values)
    for each in rounds:
        step = each.moved - each.peak
        between = range(each.moved, each.zero, step)
        found = {value + step if value in between else value for value in found} | {each.moved}
    return found


def _restoring(found: Round) -> bytes:
    step = found.moved - found.peak
    return _table({value + step: value for value in range(found.peak, found.zero, step)})


def _table(changes: dict[int, int]) -> bytes:
    return bytes(changes.get(value, value) for value in _VALUES)
