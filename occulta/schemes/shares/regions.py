"""Regions of interest: the rectangles whose cells get a hash."""

from __future__ import annotations

from dataclasses import dataclass

from occulta.codec.jpeg.cells import HASH_SIZE, SIDE

MAX_REGIONS = 16
_RECTANGLE_SIZE = 8
REGIONS_SIZE = 1 + MAX_REGIONS * _RECTANGLE_SIZE

Rectangle = tuple[int, int, int, int]
"""x, y, width, height in samples, 0 to 65535."""


@dataclass(frozen=True, slots=True)
class Regions:
    """At most 16 rectangles; none means the whole picture."""

    rectangles: tuple[Rectangle, ...] = ()

    def __post_init__(self) -> None:
        if len(self.rectangles) > MAX_REGIONS:
            raise ValueError(f"{len(self.rectangles)} regions: at most {MAX_REGIONS}")
        for x, y, width, height in self.rectangles:
            if min(x, y) < 0 or min(width, height) < 1 or max(x, y, width, height) > 0xFFFF:
                raise ValueError("a region is x,y,width,height in samples, each below 65536")

    def encode(self) -> bytes:
        """REGIONS_SIZE bytes, whatever their number."""
        words = [value for rectangle in self.rectangles for value in rectangle]
        packed = b"".join(value.to_bytes(2, "big") for value in words)
        return bytes([len(self.rectangles)]) + packed.ljust(REGIONS_SIZE - 1, b"\0")

    @classmethod
    def decode(cls, data: bytes) -> Regions:
        """Read what `encode` wrote, and what was verified; raises ValueError for anything else."""
        words = [int.from_bytes(data[at : at + 2], "big") for at in range(1, len(data) - 1, 2)]
        corners = [words[4 * n : 4 * n + 4] for n in range(data[0])]
        return cls(tuple((x, y, width, height) for x, y, width, height in corners))

    def columns(self, row: int, columns: int) -> list[range]:
        """The runs of columns with a hash in a row of cells, in order and apart from each other."""
        if not self.rectangles:
            return [range(columns)]
        touched = sorted(
            (x // SIDE, min((x + width - 1) // SIDE + 1, columns))
            for x, y, width, height in self.rectangles
            if y < SIDE * (row + 1) and y + height > SIDE * row and x < SIDE * columns
        )
        runs: list[range] = []
        for start, stop in touched:
            if runs and start <= runs[-1].stop:
                runs[-1] = range(runs[-1].start, max(stop, runs[-1].stop))
            else:
                runs.append(range(start, stop))
        return runs

    def chosen(self, hashes: bytes, first_row: int, columns: int) -> bytes:
        """Of the hashes (4 bytes each) of whole rows of cells those of the regions."""
        if not self.rectangles:
            return hashes
        kept, width = [], HASH_SIZE * columns
        for at in range(0, len(hashes), width):
            row = hashes[at : at + width]
            runs = self.columns(first_row + at // width, columns)
            kept += [row[HASH_SIZE * run.start : HASH_SIZE * run.stop] for run in runs]
        return b"".join(kept)

    def cells(self, first_row: int, rows: int, columns: int) -> list[int]:
        """Numbers (row * columns + column) of the cells with a hash in some rows, in order."""
        return [
            row * columns + column
            for row in range(first_row, first_row + rows)
            for run in self.columns(row, columns)
            for column in run
        ]
