"""Pictures of a damaged frame: what verifies of it, and where the damage is.

`carrier.partial.jpg` shows every verified row and flat grey in place of the others (the last block
before a verified row shows the level of what is lost). `tamper.png` is that picture with every
damaged 16x16 cell outlined in red; a picture too large to draw on is scaled down by 2, 4 or 8.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from occulta.codec.jpeg.cells import SIDE, Grid
from occulta.codec.jpeg.headers import Frame
from occulta.codec.jpeg.patchwork import Patchwork
from occulta.errors import ExitCode, OccultaError, Reason
from occulta.limits import DEFAULT_LIMITS
from occulta.program import files
from occulta.schemes.shares.cellset import CellSet
from occulta.schemes.shares.damage import Damage, Rows

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer
    from PIL import Image

PARTIAL = "carrier.partial.jpg"
TAMPER = "tamper.png"
MAX_PIXELS = 100_000_000
"""A larger picture is scaled down before it is drawn on: 3 bytes of memory per pixel."""
_SCALES = (1, 2, 4, 8)
_RED = (255, 0, 0)
_GREY = (128, 128, 128)
_MOST_SKIPPED = 1 << 16
"""MCUs of grey written at a time."""


class Pictures(NamedTuple):
    """Files that are complete but not published, and why others are not there."""

    outputs: list[files.OutputFile]
    problems: list[OccultaError]


def write_pictures(
    folder: Path, head: bytes, rows: Iterable[Rows], damage: Damage, columns: int, stack: ExitStack
) -> Pictures:
    """Write `carrier.partial.jpg` and `tamper.png` under temporary names, which `stack` discards.

    `head`: the JPEG from SOI to the end of SOS; `rows` in the order of the scan, what they leave
    out is grey; `columns`: cells in a row of cells. Older files of these names are replaced when
    they are published. Without Pillow, or for a picture whose levels no JPEG can hold, what cannot
    be made is left out and said in `problems`. Raises OccultaError for a failure of the disk, and
    ValueError for a number of columns that is not the picture's.
    """
    try:
        work = Patchwork(head, DEFAULT_LIMITS)
        if columns != Grid.of(work.frame).columns:
            raise ValueError(f"{columns} cells in a row")
        partial = stack.enter_context(files.output(folder / PARTIAL, replace=True))
        _write_partial(work, rows, partial)
    except OccultaError as error:
        if error.reason.exit_code is ExitCode.MACHINE:
            raise
        return Pictures([], [error])
    try:
        image, scale = _decoded(partial, work.frame)
    except ImportError:
        hint = "install the extra: pip install 'occulta[raster]'"
        missing = OccultaError(Reason.PILLOW_MISSING, f"{TAMPER} is drawn with Pillow", hint)
        return Pictures([partial], [missing])
    _outline(image, damage.cells, columns, scale)
    tamper = stack.enter_context(files.output(folder / TAMPER, replace=True))
    with io.BufferedWriter(_Writer(tamper)) as stream:
        image.save(stream, "PNG")
    return Pictures([partial, tamper], [])


def _write_partial(work: Patchwork, rows: Iterable[Rows], partial: files.OutputFile) -> None:
    for row in rows:
        _skip(work, row.cut.mcu, partial)
        if row.data is not None and not row.damaged and work.takes(row.cut, row.mcus):
            partial.write(work.add(row.cut, row.mcus, row.data))
    _skip(work, work.mcus, partial)
    partial.write(work.finish())


def _skip(work: Patchwork, end: int, partial: files.OutputFile) -> None:
    """Grey up to the MCU `end`."""
    end = min(end, work.mcus)
    while work.position < end:
        partial.write(work.skip(min(end - work.position, _MOST_SKIPPED)))


def _decoded(partial: files.OutputFile, frame: Frame) -> tuple[Image.Image, int]:
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
        return image.convert("RGB"), scale
    except (SyntaxError, OSError, ValueError):  # 12 bits, two or five components, odd sampling
        return Image.new("RGB", (-(-width // scale), -(-height // scale)), _GREY), scale


def _outline(image: Image.Image, cells: CellSet, columns: int, scale: int) -> None:
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
                draw.rectangle(box, _RED if side <= 2 else None, _RED, width)


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
