"""The machine that runs a scan through the cell kernel, with what the kernel needs to know."""

from __future__ import annotations

import hashlib
import struct
from array import array

from occulta.codec import kernels
from occulta.codec.jpeg import cell_kernel as cells_layout
from occulta.codec.jpeg import entropy_kernel as layout
from occulta.codec.jpeg import markers
from occulta.codec.jpeg.cell_grid import Cut, Geometry, geometry_of, sampling, spans
from occulta.codec.jpeg.engine import NO_LIMIT, ScanRun, StreamEngine, item_end
from occulta.codec.jpeg.headers import Component, Frame, Scan
from occulta.codec.jpeg.structure import Item
from occulta.codec.jpeg.survey import survey_tables
from occulta.codec.jpeg.tables import TranscodeTables
from occulta.limits import Limits

CELL_KERNEL = "occulta.codec.jpeg.cell_kernel"
SECRET_SIZES = (16, 32)
HASH_SIZE = 4
_KEY_COUNT = cells_layout.CELL_KEY + 1
_KEY_LABEL = b"occulta cell keys 1"


class CellKeys:
    """The 64-bit keys of the cell hash, expanded from a secret by SHAKE256.

    `words[component << 10 | place << 6 | zigzag index]`; `place` (y << 2 | x) numbers a
    component's blocks within a cell. The last word is multiplied by the number of the cell, from 1.
    """

    def __init__(self, secret: bytes) -> None:
        """From 16 or 32 secret bytes; raises ValueError for any other size."""
        if len(secret) not in SECRET_SIZES:
            raise ValueError(f"a secret of {len(secret)} bytes: 16 or 32 are needed")
        expanded = hashlib.shake_256(_KEY_LABEL + secret).digest(8 * _KEY_COUNT)
        self.words = array("Q", struct.unpack(f"<{_KEY_COUNT}Q", expanded))


class CellRun(ScanRun):
    """The kernel's arrays for the only scan of a file."""

    def __init__(
        self, scan: Scan, interval: int, limits: Limits, frame: Frame,
        components: list[Component], tables: TranscodeTables,
    ) -> None:
        super().__init__(scan, interval, layout.SURVEY, limits)
        self.geometry = geometry_of(frame, components)
        self.tables = tables
        self.state.extend([0] * (cells_layout.STATE_SIZE - len(self.state)))
        self.params.extend([0] * (cells_layout.PARAMS_SIZE - len(self.params)))
        self.params[cells_layout.COLUMNS] = self.geometry.grid.columns
        self.state[cells_layout.ROW_LEFT] = self.geometry.band_mcus(0)
        factors = sampling(components)
        self.blocks = _block_rows(scan, factors, self.geometry)
        grid, lines = self.geometry.grid, self.geometry.lines
        across = [h for h, _ in factors]
        down = [v for _, v in factors]
        self.wide = spans(across, self.geometry.across, grid.columns, NO_LIMIT, 0)
        self.high = spans(down, self.geometry.down, grid.rows, lines, self.geometry.band_rows)
        self.cells = array("Q", bytes(8 * grid.columns * self.geometry.band_rows))

    def at_cut(self) -> Cut:
        """Where the kernel stands; for the start of a row of cells."""
        state = self.state
        left = -state[layout.NBITS] % 8
        return Cut(
            self.scan.mcus - state[layout.MCUS_LEFT], left,
            state[cells_layout.BYTE] if left else 0, self.predictors(),
            state[layout.INTERVAL_LEFT], state[layout.NEXT_RESTART],
        )

    def predictors(self) -> tuple[int, int, int, int]:
        """The DC predictors, as signed 16-bit values."""
        first = cells_layout.PREDICTORS
        a, b, c, d = ((word ^ 0x8000) - 0x8000 for word in self.state[first : first + 4])
        return a, b, c, d

    def resume(self, cut: Cut) -> bool:
        """Stand where a cut says; False if no row of this scan can begin so."""
        interval = self.params[layout.INTERVAL]
        if not self.geometry.begins_row(cut.mcu) or not 0 <= cut.bit <= 7:
            return False
        if not min(interval, 1) <= cut.interval_left <= interval or not 0 <= cut.byte <= 255:
            return False
        if not 0 <= cut.next_restart <= 7:
            return False
        state = self.state
        state[layout.POS] = state[layout.BLOCK] = state[layout.COLUMN] = 0
        state[layout.NBITS] = -cut.bit % 8
        state[layout.ACC] = (cut.byte << cut.bit & 255) << 56 if cut.bit else 0
        state[layout.MCUS_LEFT] = self.scan.mcus - cut.mcu
        state[layout.INTERVAL_LEFT] = cut.interval_left
        state[layout.NEXT_RESTART] = cut.next_restart
        state[cells_layout.LINE] = cut.mcu // self.geometry.across
        state[cells_layout.BYTE] = cut.byte
        for index, value in enumerate(cut.predictors):
            state[cells_layout.PREDICTORS + index] = value & 0xFFFF
        self.cells = array("Q", bytes(8 * len(self.cells)))
        return True


def _block_rows(scan: Scan, factors: list[tuple[int, int]], geometry: Geometry) -> array[int]:
    """What the kernel knows of each block of an MCU, see cell_kernel.BLOCK_STRIDE."""
    rows = array("i")
    slots = iter(scan.blocks)
    wide = high = 0
    for component, (h, v) in enumerate(factors):
        for y in range(v):
            for x in range(h):
                rows.extend([*next(slots), component, wide + x, h, high + y, v])
        wide += geometry.across * h
        high += geometry.down * v
    return rows


class CellEngine(StreamEngine):
    """Headers and scans; a scan that can be cut runs through the cell kernel."""

    def __init__(self, limits: Limits, keys: CellKeys, kernel: str | None) -> None:
        super().__init__(limits, kernel)
        self.kernel = kernels.load_kernel(CELL_KERNEL, kernel)
        self.keys = keys
        self.cut_run: CellRun | None = None
        """The scan that is cut into rows, if there is one."""

    def begin_scan(self, group: list[Item], scan: Scan) -> ScanRun:
        """Put out the headers; prepare the kernel, or let the scan pass as it is."""
        self.put_items(group)
        run = self._cell_run(group, scan) if self.scans_begun == 0 else None
        if run is not None:
            self.cut_run = run
            return run
        plain = ScanRun(scan, self.interval, self.mode, self.limits)
        plain.raw = True
        return plain

    def _cell_run(self, group: list[Item], scan: Scan) -> CellRun | None:
        frame = self.frame
        if frame is None or frame.progressive or self._lacks_height(group):
            return None
        sos = self.buffer.copy(group[-1].body, item_end(group[-1]))
        by_identifier = {component.identifier: component for component in frame.components}
        components = [by_identifier[sos[1 + 2 * index]] for index in range(sos[0])]
        if len(components) != len(frame.components):
            return None
        tables = survey_tables(self.tables, scan)
        return CellRun(scan, self.interval, self.limits, frame, components, tables)

    def _lacks_height(self, group: list[Item]) -> bool:
        frames = [item for item in group if item.marker in markers.HUFFMAN_FRAMES]
        return any(self.buffer.copy(i.body + 1, i.body + 3) == b"\0\0" for i in frames)

    def fold(self, run: CellRun, src: memoryview) -> int:
        """Call the kernel once."""
        tables = run.tables
        return int(self.kernel.fold(
            memoryview(run.state), memoryview(run.params), src, memoryview(run.blocks),
            memoryview(run.wide), memoryview(run.high), memoryview(tables.fast),
            memoryview(tables.entries), memoryview(tables.bounds), memoryview(self.keys.words),
            memoryview(run.cells),
        ))

    def take_hashes(self, run: CellRun, first: int, count: int) -> bytes:
        """The hashes of the first cells of the rows under way; their sums begin anew."""
        out = bytearray(HASH_SIZE * count)
        self.kernel.take_hashes(
            memoryview(run.cells), memoryview(self.keys.words), first, count, memoryview(out)
        )
        return bytes(out)
