"""Pictures of a damaged frame: what verifies of it, and where the damage is.

`carrier.partial.jpg` shows every verified row and flat grey in place of the others (the last block
before a verified row shows the level of what is lost). `tamper.png` is that picture with every
damaged 16x16 cell outlined in a colour, and with those cells of regions of interest that verify in
rows which do not; a picture too large to draw on is scaled down by 2, 4 or 8.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from occulta.codec.jpeg.cells import SIDE, Grid
from occulta.codec.jpeg.headers import Frame
from occulta.codec.jpeg.patchwork import Patchwork
from occulta.errors import ExitCode, OccultaError, Reason
from occulta.limits import DEFAULT_LIMITS
from occulta.program import files
from occulta.schemes.shares.cellset import MAX_RUNS, CellSet
from occulta.schemes.shares.damage import Damage, Rows

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer
    from PIL import Image

PARTIAL = "carrier.partial.jpg"
TAMPER = "tamper.png"
MAX_PIXELS = 25_000_000
"""A larger picture is scaled down before it is drawn on: 3 bytes of memory per pixel."""
_SCALES = (1, 2, 4, 8)
_GREY = (128, 128, 128)
_MOST_SKIPPED = 1 << 16
"""MCUs of grey written at a time."""
_GREY_MCUS = 1 << 22
_GREY_PER_BYTE = 16
"""MCUs of grey that are written at most: so many, and for each byte of the rows shown."""


class Pictures(NamedTuple):
    """Files that are complete but not published, and why others are not there."""

    outputs: list[files.OutputFile]
    problems: list[OccultaError]


class _Canvas:
    """A JPEG at work; `is_whole`: of rows that verify as a whole alone."""

    def __init__(self, head: bytes, out: files.Spool, is_whole: bool) -> None:
        """Raises OccultaError for headers that no picture can be drawn from."""
        self.out = out
        self._work = Patchwork(head, DEFAULT_LIMITS)
        self._is_whole = is_whole
        self._grey_left = _GREY_MCUS
        self.unverified: list[range] = []
        """Cells that are shown and that nothing vouches for."""

    @property
    def frame(self) -> Frame:
        """The picture's header."""
        return self._work.frame

    def add(self, row: Rows, columns: int) -> None:
        """A row, where it can be shown; raises OccultaError."""
        is_shown = row.verified is None and not row.damaged or not self._is_whole
        if row.data is None or not is_shown:
            return
        self._grey_left += _GREY_PER_BYTE * len(row.data)
        self._skip(row.cut.mcu)
        if self._work.takes(row.cut, row.mcus):
            self.out.write(self._work.add(row.cut, row.mcus, row.data))
            if row.verified is not None:
                self._note(row, row.verified, columns)

    def finish(self) -> None:
        """Grey for the rest; raises OccultaError."""
        self._skip(self._work.mcus)
        self.out.write(self._work.finish())

    def _skip(self, end: int) -> None:
        """Grey up to the MCU `end`."""
        end = min(end, self._work.mcus)
        self._grey_left -= max(0, end - self._work.position)
        if self._grey_left < 0:
            detail = "too little of so large a picture verifies: it is not drawn"
            raise OccultaError(Reason.FRAME_DAMAGED, detail)
        while self._work.position < end:
            self.out.write(self._work.skip(min(end - self._work.position, _MOST_SKIPPED)))

    def _note(self, row: Rows, verified: CellSet, columns: int) -> None:
        geometry = self._work.geometry
        at = geometry.row_of(row.cut.mcu) * columns
        for run in verified.runs:
            self.unverified.append(range(at, run.start))
            at = run.stop
        self.unverified.append(range(at, geometry.row_of(row.cut.mcu + row.mcus) * columns))
        if len(self.unverified) > 2 * MAX_RUNS:
            self.unverified = CellSet(self.unverified).runs


def write_pictures(
    folder: Path, head: bytes, rows: Iterable[Rows], damage: Damage, columns: int,
    stack: ExitStack, *, has_regions: bool = False, colour: str = "red",
) -> Pictures:
    """Write `carrier.partial.jpg` and `tamper.png` under temporary names, which `stack` discards.

    `head`: the JPEG from SOI to the end of SOS; `rows` in the order of the scan, what they leave
    out is grey; `columns`: cells in a row of cells. With regions of interest cells that verify in
    rows which do not are drawn in `tamper.png`. `colour` is that of the outlines. Older files of
    these names are replaced when they are published. Without Pillow, for a picture whose levels
    no JPEG can hold, and where no row or too little for the size of the picture verifies, what
    cannot be made is left out and said in `problems`. Raises OccultaError for a failure of the
    disk, and ValueError for a number of columns that is not the picture's.
    """
    try:
        partial = stack.enter_context(files.output(folder / PARTIAL, replace=True))
        canvas = _Canvas(head, partial, is_whole=True)
        if columns != Grid.of(canvas.frame).columns:
            raise ValueError(f"{columns} cells in a row")
        more = None
        if has_regions:
            more = _Canvas(head, stack.enter_context(files.spool(folder)), is_whole=False)
        shown = _draw(rows, columns, canvas, more)
    except OccultaError as error:
        if error.reason.exit_code is ExitCode.MACHINE:
            raise
        return Pictures([], [error])
    try:
        image, scale = _decoded(shown.out, shown.frame)
    except ImportError:
        hint = "install the extra: pip install 'occulta[raster]'"
        missing = OccultaError(Reason.PILLOW_MISSING, f"{TAMPER} is drawn with Pillow", hint)
        return Pictures([partial], [missing])
    _fill(image, CellSet(shown.unverified), columns, scale)
    _outline(image, damage.cells, columns, scale, colour)
    tamper = stack.enter_context(files.output(folder / TAMPER, replace=True))
    with io.BufferedWriter(_Writer(tamper)) as stream:
        image.save(stream, "PNG")
    return Pictures([partial, tamper], [])


def _draw(
    rows: Iterable[Rows], columns: int, canvas: _Canvas, more: _Canvas | None
) -> _Canvas:
    """Draw on both; returns that of which `tamper.png` is made. Raises OccultaError."""
    is_empty = True
    for row in rows:
        is_empty = is_empty and row.data is None
        canvas.add(row, columns)
        add = functools.partial(_Canvas.add, row=row, columns=columns)
        more = None if more is None else _attempted(more, add)
    if is_empty:
        raise OccultaError(Reason.FRAME_DAMAGED, "no row of the picture verifies: it is not drawn")
    canvas.finish()
    more = None if more is None else _attempted(more, _Canvas.finish)
    return more or canvas


def _attempted(canvas: _Canvas, action: Callable[[_Canvas], None]) -> _Canvas | None:
    """None where altered rows hold levels that no picture has; raises OccultaError for a disk."""
    try:
        action(canvas)
    except OccultaError as error:
        if error.reason.exit_code is ExitCode.MACHINE:
            raise
        return None
    return canvas


def _decoded(partial: files.Spool, frame: Frame) -> tuple[Image.Image, int]:
    """The picture, RGB, and by what it is scaled down; all grey if Pillow cannot decode it.

    Pillow's guard against decompression bombs, which `Image.open` applies, would refuse large
    pictures; here they are scaled down before anything is decoded. Raises ImportError.
    """
    from PIL import Image, JpegImagePlugin

    width, height = frame.width, frame.height
    scale = next((s for s in _SCALES if width * height <= MAX_PIXELS * s * s), _SCALES[-1])
    try:
        image = JpegImagePlugin.JpegImageFile(partial.read_again())
        if scale > 1:
            image.draft(image.mode, (width // scale, height // scale))
        image.load()
        return image if image.mode == "RGB" else image.convert("RGB"), scale
    except (SyntaxError, OSError, ValueError):  # 12 bits, two or five components, odd sampling
        return Image.new("RGB", (-(-width // scale), -(-height // scale)), _GREY), scale


def _fill(image: Image.Image, cells: CellSet, columns: int, scale: int) -> None:
    """Grey in place of what nothing vouches for."""
    from PIL import ImageDraw

    draw, side = ImageDraw.Draw(image), SIDE // scale
    for row, first, last in cells.rows(columns):
        right, bottom = side * (last + 1) - 1, side * (row + 1) - 1
        draw.rectangle((side * first, side * row, right, bottom), _GREY)


def _outline(
    image: Image.Image, cells: CellSet, columns: int, scale: int, colour: str
) -> None:
    """Draw the border of every cell inside it: 2 pixels, 1 in a picture that is scaled down."""
    from PIL import ImageDraw

    draw = ImageDraw.Draw(image)
    side = SIDE // scale
    for row, first, last in cells.rows(columns):
        # A cell of 2 pixels is all border: the run is one box.
        step = last - first + 1 if side <= 2 else 1
        for column in range(first, last + 1, step):
            left, top = side * column, side * row
            right = min(left + side * step, image.width) - 1
            bottom = min(top + side, image.height) - 1
            if left <= right and top <= bottom:
                box, width = (left, top, right, bottom), 2 if scale == 1 else 1
                draw.rectangle(box, colour if side <= 2 else None, colour, width)


class _Writer(io.RawIOBase):
    """An output file as a stream."""

    def __init__(self, file: files.OutputFile) -> None:
        super().__init__()
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer) -> int:
        """Raises OccultaError: DISK_FULL or OUTPUT_UNWRITABLE."""
        taken = bytes(data)
        self._file.write(taken)
        return len(taken)
