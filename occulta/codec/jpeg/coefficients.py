"""Quantised DCT coefficients of a JPEG stream, one row of MCUs after the other.

Sequential Huffman-coded files of 8 bits in one interleaved scan (ITU-T T.81 SOF0, SOF1), of any
number of components and any sampling factors. The order is zigzag throughout.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import NamedTuple

from occulta.codec import kernels
from occulta.codec.jpeg import coefficient_kernel as rows_layout
from occulta.codec.jpeg import entropy_kernel as layout
from occulta.codec.jpeg import markers
from occulta.codec.jpeg.cell_grid import sampling
from occulta.codec.jpeg.coefficient_frame import CodedComponent, CoefficientFrame, Row
from occulta.codec.jpeg.engine import MARGIN, NO_LIMIT, ScanRun, StreamEngine, item_end
from occulta.codec.jpeg.headers import Frame, Scan
from occulta.codec.jpeg.quantisation import Table, parse_dqt
from occulta.codec.jpeg.structure import Item
from occulta.codec.jpeg.survey import survey_tables
from occulta.errors import OccultaError, Reason
from occulta.limits import Limits

KERNEL = "occulta.codec.jpeg.coefficient_kernel"
_PIECE = 1 << 13
"""Bytes processed at once: they hold 4 blocks each at most."""
_COMMENT = 0xFE
_APPLICATION = range(0xE0, 0xF0)


class Header(NamedTuple):
    """What stands before the scan."""

    frame: CoefficientFrame
    segments: tuple[bytes, ...]
    """APPn and COM segments in the file's order, markers included, without fill bytes."""


class CoefficientRun(ScanRun):
    """The kernel's arrays for the only scan of a file."""

    def __init__(
        self, scan: Scan, interval: int, limits: Limits, frame: CoefficientFrame
    ) -> None:
        super().__init__(scan, interval, layout.SURVEY, limits)
        self.state.extend([0] * (rows_layout.STATE_SIZE - len(self.state)))
        self.frame = frame
        self.blocks = array("i")
        components = (
            at for at, c in enumerate(frame.components) for _ in range(c.horizontal * c.vertical)
        )
        for (dc, ac), component in zip(scan.blocks, components, strict=True):
            self.blocks.extend([dc, ac, component])
        self.places = frame.places()


class CoefficientEngine(StreamEngine):
    """Reads the headers and prepares the scan; subclasses say what becomes of it."""

    def __init__(self, limits: Limits, kernel: str | None) -> None:
        super().__init__(limits, kernel)
        self.kernel = kernels.load_kernel(KERNEL, kernel)
        self.height_reach = 0  # a picture whose height comes behind its scan is refused
        self.header: Header | None = None

    def put(self, data: bytes | bytearray | memoryview) -> None:
        """Nothing is put out."""

    def begin_scan(self, group: list[Item], scan: Scan) -> ScanRun:
        """Prepare the scan; raises OccultaError for what is not sequential, 8-bit and one scan."""
        source = self.frame
        assert source is not None  # the engine has seen to it
        _check_kind(source)
        sos = self.buffer.copy(group[-1].body, item_end(group[-1]))
        if self.scans_begun or sos[0] != len(source.components):
            raise OccultaError(Reason.SEVERAL_SCANS, "the picture has several scans")
        if [sos[1 + 2 * at] for at in range(sos[0])] != [c.identifier for c in source.components]:
            raise OccultaError(Reason.BAD_SCAN, "the scan has its components in another order")
        frame = self._describe(group, source)
        self.header = Header(frame, self._carried(group))
        self.scan_tables = survey_tables(self.tables, scan)
        return CoefficientRun(scan, self.interval, self.limits, frame)

    def _describe(self, group: list[Item], source: Frame) -> CoefficientFrame:
        tables: dict[int, Table] = {}
        for body in self._bodies(group, markers.DQT):
            tables |= parse_dqt(body)
        (sof,) = (body for code in markers.HUFFMAN_FRAMES for body in self._bodies(group, code))
        coded = []
        for at, (h, v) in enumerate(sampling(list(source.components))):
            table = tables.get(sof[8 + 3 * at])
            if table is None:
                raise OccultaError(Reason.NO_QUANTISATION_TABLE, "a quantisation table is missing")
            coded.append(CodedComponent(source.components[at].identifier, h, v, table))
        return CoefficientFrame(source.width, source.height, tuple(coded))

    def _bodies(self, group: list[Item], code: int) -> Iterator[bytes]:
        for item in group:
            if item.marker == code:
                yield self.buffer.copy(item.body, item_end(item))

    def _carried(self, group: list[Item]) -> tuple[bytes, ...]:
        return tuple(
            bytes([0xFF, item.marker]) + self.buffer.copy(item.body - 2, item_end(item))
            for item in group if item.marker == _COMMENT or item.marker in _APPLICATION
        )

    def decode(self, run: CoefficientRun, src: memoryview, coefficients: array[int]) -> int:
        """Call the kernel once."""
        tables = self.scan_tables
        return int(self.kernel.decode(
            memoryview(run.state), memoryview(run.params), src, memoryview(run.blocks),
            memoryview(run.places), memoryview(tables.fast), memoryview(tables.entries),
            memoryview(tables.bounds), memoryview(coefficients),
        ))


def _check_kind(frame: Frame) -> None:
    if frame.progressive:
        raise OccultaError(
            Reason.PROGRESSIVE, "the picture is a progressive JPEG", "convert with jpegtran"
        )
    if frame.precision != 8:
        raise OccultaError(Reason.DEEP_SAMPLES, f"samples of {frame.precision} bits")


class _Rows(CoefficientEngine):
    """Collects rows of MCUs."""

    def __init__(self, limits: Limits, kernel: str | None) -> None:
        super().__init__(limits, kernel)
        self._found: list[Row] = []
        self._next = 0
        self._coefficients = array("h")

    def begin_scan(self, group: list[Item], scan: Scan) -> ScanRun:
        run = super().begin_scan(group, scan)
        assert isinstance(run, CoefficientRun)
        self._begin_row(run)
        return run

    def _begin_row(self, run: CoefficientRun) -> None:
        run.state[rows_layout.ROW_LEFT] = run.scan.mcus_per_row
        run.state[rows_layout.LINE] = 0
        self._coefficients = array("h", [0]) * sum(run.frame.row_sizes())

    def run_kernel(self, run: ScanRun, src: memoryview, out: memoryview) -> int:
        assert isinstance(run, CoefficientRun)
        status = self.decode(run, src, self._coefficients)
        if status in (layout.NEED_OUTPUT, layout.SCAN_DONE):
            self._end_row(run)
        return status

    def _end_row(self, run: CoefficientRun) -> None:
        planes = [self._coefficients]
        sizes = run.frame.row_sizes()
        if len(sizes) > 1:
            ends = [sum(sizes[: at + 1]) for at in range(len(sizes))]
            planes = [
                self._coefficients[end - size : end] for size, end in zip(sizes, ends, strict=True)
            ]
        self._found.append(Row(self._next, tuple(planes)))
        self._next += 1
        self._coefficients = array("h")
        if run.state[layout.MCUS_LEFT]:
            self._begin_row(run)

    def take_rows(self) -> list[Row]:
        """The rows completed since the last call."""
        taken, self._found = self._found, []
        return taken


class CoefficientReader:
    """Gives the coefficients of a JPEG stream row by row.

    What comes out does not depend on how the input is cut into chunks. Held are one row of MCUs, a
    few kilobytes, and the headers under way (`Limits.max_header_bytes`). Segments behind the scan
    and bytes behind EOI are read over.

    Values are those of the file: any sequential file's DC lies in -32768..32767, its AC in
    -32767..32767, its divisors in 1..65535, hence their products within 32 bits. A whole file's
    rows may be written by `CoefficientWriter` as they are unless its values are beyond baseline's.
    """

    def __init__(self, limits: Limits, kernel: str | None = None) -> None:
        """`kernel`: see kernels.load_kernel."""
        self._engine = _Rows(limits, kernel)

    @property
    def header(self) -> Header | None:
        """Description and segments to carry along; None until the scan begins."""
        return self._engine.header

    @property
    def frame(self) -> CoefficientFrame | None:
        """Size, components and quantisation tables; None until the scan begins."""
        header = self._engine.header
        return None if header is None else header.frame

    def feed(self, chunk: bytes) -> list[Row]:
        """Take more of the file; raises OccultaError for one that is damaged or of another kind.

        A byte can hold four blocks of 128 bytes: see `stream` for large chunks.
        """
        return list(self.stream(chunk))

    def stream(self, chunk: bytes) -> Iterator[Row]:
        """As `feed`, without holding more rows than 8 KiB of the file give; use it up."""
        engine = self._engine
        for at in range(0, len(chunk), _PIECE):
            engine.buffer.append(chunk[at : at + _PIECE])
            engine.advance(max(0, engine.buffer.fed - MARGIN))
            yield from engine.take_rows()

    def finish(self) -> list[Row]:
        """The file has ended: the rows that are left; raises OccultaError as `feed` does."""
        self._engine.buffer.close()
        self._engine.advance(NO_LIMIT)
        if self._engine.header is None:
            raise OccultaError(Reason.NO_SCAN, "the file holds no picture")
        return self._engine.take_rows()
