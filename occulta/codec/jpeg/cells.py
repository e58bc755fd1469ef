"""Rows of cells: a JPEG stream cut where rows of 16x16 pixels begin, and a hash per cell.

`CellReader` passes a file on unchanged, as stretches: each row of cells of a sequential
Huffman-coded file in one interleaved scan by itself, with what decoding from there on needs;
everything else (headers, progressive files, several scans, a height given by DNL, what follows the
scan) as plain bytes. `CellDecoder` decodes rows of cells by themselves, damaged or not.

The hash of a cell is the upper half of the sum, modulo 2^64, of its quantised coefficients, each
times a secret 64-bit key of its place. Two contents of a cell have the same hash with probability
2^-32 over the keys: a difference of coefficients is below 2^17, hence the lowest bits, where
multiplication mixes least, are cut off (multilinear hashing: Lemire and Kaser, "Strongly universal
string hashing is fast", The Computer Journal 57(11), 2014). It says where, not whether: who learns
hashes and contents can solve for the keys.
"""

from __future__ import annotations

from typing import NamedTuple

from occulta.codec.jpeg import cell_kernel as cells_layout
from occulta.codec.jpeg import entropy_kernel as layout
from occulta.codec.jpeg.cell_engine import HASH_SIZE, CellEngine, CellKeys, CellRun
from occulta.codec.jpeg.cell_grid import SIDE, Cut, Geometry, Grid
from occulta.codec.jpeg.engine import MARGIN, NO_LIMIT, ScanRun
from occulta.codec.jpeg.headers import Scan
from occulta.codec.jpeg.structure import Item
from occulta.errors import OccultaError, Reason
from occulta.limits import Limits

__all__ = [
    "HASH_SIZE", "SIDE", "CellDecoder", "CellKeys", "CellReader", "Cut", "Decoded", "Geometry",
    "Grid", "Stretch",
]

_PIECE = 1 << 16
_NO_PREDICTORS = (0, 0, 0, 0)


class Stretch(NamedTuple):
    """A part of the file; all of them joined are the file."""

    data: bytes
    cut: Cut | None
    """Where it begins; None: bytes that cannot be decoded by themselves."""
    mcus: int
    """MCUs it holds; 0 where `cut` is None."""
    hashes: bytes
    """4 bytes, big endian, per cell of its row, left to right (rows: top to bottom)."""


class Decoded(NamedTuple):
    """What came out of rows of cells."""

    hashes: bytes
    """4 bytes of each cell, row by row, up to the first one that was not decoded whole."""
    mcus: int
    """MCUs decoded before decoding failed; all of those asked for if it did not."""
    ended_well: bool
    """True if all MCUs were decoded and the data ended with the last of them."""
    predictors: tuple[int, int, int, int]
    """DC predictors behind the last MCU decoded."""
    bands: list[tuple[int, Cut]]
    """Where each row of cells (or band of them, see cell_grid.py) began, up to the one in which
    decoding failed: the byte behind the cut, and the state there, right or not."""


class _Rows(CellEngine):
    """Collects stretches."""

    def __init__(self, limits: Limits, keys: CellKeys, kernel: str | None) -> None:
        super().__init__(limits, keys, kernel)
        self._stretches: list[Stretch] = []
        self._row = bytearray()
        self._cut: Cut | None = None

    def run_kernel(self, run: ScanRun, src: memoryview, out: memoryview) -> int:
        assert isinstance(run, CellRun)
        if self._cut is None:
            self._end_plain()
            self._cut = run.at_cut()
        status = self.fold(run, src)
        self._row += src[: run.state[layout.POS]]
        if status in (layout.NEED_OUTPUT, layout.SCAN_DONE):
            self._end_row(run, self._cut)
        return status

    def _end_row(self, run: CellRun, cut: Cut) -> None:
        following = run.at_cut()
        mcus = following.mcu - cut.mcu
        geometry = run.geometry
        hashes = self.take_hashes(run, geometry.first_cell(cut), geometry.cells_in(cut, mcus))
        self._stretches.append(Stretch(bytes(self._row), cut, mcus, hashes))
        self._row.clear()
        self._cut = following if run.state[layout.MCUS_LEFT] else None
        run.state[cells_layout.ROW_LEFT] = geometry.band_mcus(following.mcu)

    def _end_plain(self) -> None:
        data = self.take_output()
        if data:
            self._stretches.append(Stretch(data, None, 0, b""))

    def take_stretches(self) -> list[Stretch]:
        """What was put out since the last call."""
        self._end_plain()
        taken, self._stretches = self._stretches, []
        return taken


class CellReader:
    """Cuts a JPEG stream at its rows of cells and hashes the cells.

    Stretches with a cut do not depend on how the input is cut into chunks; plain ones may be
    pieced together differently. Held back are at most one row of cells and a few kilobytes, the
    headers under way (`Limits.max_header_bytes`) and, where the height comes behind the scan,
    `Limits.hold_back`. The plain bytes before the first cut, joined, are what `CellDecoder` calls
    the head. Sequential scans that are cut are decoded, so that damage in them is refused; what
    passes as plain bytes is not looked into.
    """

    def __init__(self, limits: Limits, keys: CellKeys, kernel: str | None = None) -> None:
        """`kernel`: see kernels.load_kernel."""
        self._engine = _Rows(limits, keys, kernel)

    @property
    def grid(self) -> Grid | None:
        """The cells of the whole picture; None until its size is known."""
        frame = self._engine.frame
        return Grid.of(frame) if frame is not None and frame.height else None

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the picture in pixels; None until both are known."""
        frame = self._engine.frame
        return (frame.width, frame.height) if frame is not None and frame.height else None

    @property
    def geometry(self) -> Geometry | None:
        """Where the cells lie in the scan; None before it begins, and where it cannot be cut."""
        run = self._engine.cut_run
        return None if run is None else run.geometry

    def feed(self, chunk: bytes) -> list[Stretch]:
        """Take more of the file; raises OccultaError for a damaged one."""
        found: list[Stretch] = []
        for at in range(0, len(chunk), _PIECE):
            self._engine.buffer.append(chunk[at : at + _PIECE])
            self._engine.advance(max(0, self._engine.buffer.fed - MARGIN))
            found += self._engine.take_stretches()
        return found

    def finish(self) -> list[Stretch]:
        """The file has ended; raises OccultaError for a damaged one."""
        self._engine.buffer.close()
        self._engine.advance(NO_LIMIT)
        if not self._engine.scans_begun:
            raise OccultaError(Reason.NO_SCAN, "the file holds no picture")
        return self._engine.take_stretches()


class _Head(CellEngine):
    """Reads the headers, then stops."""

    def begin_scan(self, group: list[Item], scan: Scan) -> ScanRun:
        super().begin_scan(group, scan)
        plain = ScanRun(scan, 0, self.mode, self.limits)
        plain.raw = True
        return plain


class CellDecoder:
    """Decodes rows of cells by themselves, from a cut, possibly damaged."""

    def __init__(
        self, head: bytes, keys: CellKeys, limits: Limits, kernel: str | None = None
    ) -> None:
        """`head`: the file's bytes from SOI up to the end of the SOS segment.

        Raises OccultaError if it is damaged or not that of a file that can be cut.
        """
        self._engine = _Head(limits, keys, kernel)
        self._engine.buffer.append(head)
        if self._engine.buffer.fed:
            self._engine.advance(NO_LIMIT)
        run = self._engine.cut_run
        if run is None:
            raise OccultaError(Reason.BAD_SCAN, "the headers of no scan that can be cut")
        self._run = run
        self.geometry = run.geometry
        """Where the cells lie in the scan."""
        self.restart_interval = run.params[layout.INTERVAL]
        """MCUs between restart markers; 0 without."""

    def decode(self, cut: Cut, data: bytes, mcus: int) -> Decoded:
        """Decode `mcus` MCUs, usually whole rows, of the data behind a cut.

        Nothing is raised for damage; a cut that this scan cannot have decodes to nothing. Raises
        ValueError for a number of MCUs below 0.
        """
        if mcus < 0:
            raise ValueError(f"{mcus} MCUs")
        run = self._run
        if not run.resume(cut) or cut.mcu + mcus > run.scan.mcus:
            return Decoded(b"", 0, False, _NO_PREDICTORS, [])
        run.params[layout.LIMIT] = NO_LIMIT
        hashes = bytearray()
        bands: list[tuple[int, Cut]] = []
        at, end, status = cut.mcu, cut.mcu + mcus, layout.NEED_OUTPUT
        with memoryview(bytearray(data)) as src:  # the kernel takes writable memory only
            while at < end and status == layout.NEED_OUTPUT:
                bands.append((run.state[layout.POS], run.at_cut()))
                status = self._decode_band(src, at, end, hashes)
                at = run.scan.mcus - run.state[layout.MCUS_LEFT]
        ended = status in (layout.NEED_OUTPUT, layout.SCAN_DONE)
        well = ended and at == end and run.state[layout.POS] == len(data)
        return Decoded(bytes(hashes), at - cut.mcu, well, run.predictors(), bands)

    def _decode_band(self, src: memoryview, mcu: int, end: int, hashes: bytearray) -> int:
        run, geometry = self._run, self.geometry
        wanted = min(geometry.band_mcus(mcu), end - mcu)
        run.state[cells_layout.ROW_LEFT] = wanted
        status = self._engine.fold(run, src)
        done = wanted - run.state[cells_layout.ROW_LEFT]
        first = geometry.row_of(mcu) * geometry.grid.columns
        hashes += self._engine.take_hashes(run, first, geometry.complete_cells(mcu, done))
        return status
