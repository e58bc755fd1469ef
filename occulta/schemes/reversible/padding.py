"""Padding bits of the original that the marked file cannot keep.

An entropy-coded segment is padded to a byte, normally with ones. Marking changes the segment's
length and so the number of padding bits; what they were is part of the notes sealed with the
conclusion whenever it was not the default of the file (all ones, or all zeros).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field

from occulta.errors import OccultaError, Reason


@dataclass
class PaddingLog:
    """Segments whose padding is not all ones, and those whose padding is not all zeros."""

    most: int
    segments: int = 0
    not_ones: array[int] = field(default_factory=lambda: array("Q"))
    """Ordinal << 8 | value."""
    not_zeros: array[int] = field(default_factory=lambda: array("Q"))

    def add(self, bits: int, value: int) -> None:
        """The next segment ended with `bits` padding bits of this value."""
        ordinal = self.segments
        self.segments += 1
        for listed, default in ((self.not_ones, (1 << bits) - 1), (self.not_zeros, 0)):
            if value != default and len(listed) <= self.most:
                listed.append(ordinal << 8 | value)

    def notes(self) -> bytes:
        """The default and its exceptions; raises OccultaError(ODD_PADDING)."""
        zeros = len(self.not_zeros) < len(self.not_ones)
        listed = self.not_zeros if zeros else self.not_ones
        if len(listed) > self.most:
            raise OccultaError(Reason.ODD_PADDING, "too many segments with irregular padding")
        if zeros or listed:
            return bytes([0 if zeros else 1]) + _encode(listed)
        return b""


def _encode(listed: Iterable[int]) -> bytes:
    out = bytearray()
    previous = 0
    for entry in listed:
        ordinal, value = entry >> 8, entry & 255
        gap = ordinal - previous
        previous = ordinal
        while gap > 127:
            out.append(gap & 127 | 128)
            gap >>= 7
        out += bytes([gap, value])
    return bytes(out)


@dataclass(frozen=True)
class PaddingNotes:
    """The original's padding: a default and the exceptions by segment."""

    ones: bool
    exceptions: dict[int, int]

    def value(self, ordinal: int, bits: int) -> int:
        """The padding value of a segment that ends with `bits` padding bits."""
        default = (1 << bits) - 1 if self.ones else 0
        return self.exceptions.get(ordinal, default) & ((1 << bits) - 1)

    @classmethod
    def parse(cls, notes: bytes) -> PaddingNotes:
        """Read what `PaddingLog.notes` wrote; raises OccultaError(SEAL_BROKEN)."""
        if not notes:
            return cls(True, {})
        exceptions: dict[int, int] = {}
        ordinal = at = 0
        data = notes[1:]
        while at < len(data):
            gap = shift = 0
            while at < len(data) and data[at] & 128:
                gap |= (data[at] & 127) << shift
                shift += 7
                at += 1
            if at + 1 >= len(data) or shift > 56:
                raise OccultaError(Reason.SEAL_BROKEN, "the sealed notes are malformed")
            ordinal += gap | data[at] << shift
            exceptions[ordinal] = data[at + 1]
            at += 2
        return cls(notes[0] == 1, exceptions)
