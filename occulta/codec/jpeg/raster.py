"""8-bit gray rasters to baseline JPEG, one row of blocks after the other."""

from __future__ import annotations

from collections.abc import Iterable

from occulta.codec import dct
from occulta.codec.jpeg.coefficient_frame import CoefficientFrame
from occulta.codec.jpeg.quantisation import standard_tables
from occulta.codec.jpeg.writer import JFIF, CoefficientWriter


class RasterEncoder:
    """Takes pixels line by line, in chunks of any size, and gives a JPEG file.

    The tables are those of `standard_tables(quality)`. Edges are continued by their last pixel up
    to whole blocks. Held are eight lines. The output does not depend on how the input is cut.
    """

    def __init__(
        self, width: int, height: int, quality: int, segments: Iterable[bytes] = (JFIF,),
        kernel: str | None = None,
    ) -> None:
        """Sizes in pixels, 1..65535; quality 1..100; anything else raises ValueError."""
        self._table = standard_tables(quality)[0]
        frame = CoefficientFrame.gray(width, height, self._table)
        self._writer = CoefficientWriter(frame, segments, kernel)
        self._width = width
        self._left = width * height
        self._kernel = kernel
        self._lines = bytearray()
        self._begun = False

    def feed(self, pixels: bytes | bytearray | memoryview) -> bytes:
        """The next pixels, row by row; raises ValueError for more than the picture has."""
        if len(pixels) > self._left:
            raise ValueError("more pixels than the picture has")
        out = self._begin()
        band = dct.SIDE * self._width
        with memoryview(pixels) as given:
            at = 0
            while at < len(given):
                taken = min(band - len(self._lines), len(given) - at)
                self._lines += given[at : at + taken]
                at += taken
                self._left -= taken
                if len(self._lines) == band or not self._left:
                    out.append(self._row())
        return b"".join(out)

    def finish(self) -> bytes:
        """The end of the file; raises ValueError if pixels are missing."""
        if self._left:
            raise ValueError(f"{self._left} pixels are missing")
        return self._writer.end()

    def _begin(self) -> list[bytes]:
        if self._begun:
            return []
        self._begun = True
        return [self._writer.begin()]

    def _row(self) -> bytes:
        lines = [self._lines[at : at + self._width]
                 for at in range(0, len(self._lines), self._width)]
        self._lines.clear()
        spare = -self._width % dct.SIDE
        padded = bytearray().join(line + line[-1:] * spare for line in lines)
        padded += padded[-(self._width + spare):] * (dct.SIDE - len(lines))
        found = dct.forward(padded, self._width + spare, kernel=self._kernel)
        return self._writer.row([dct.quantise(found, self._table, self._kernel)])


def encode_gray(
    pixels: bytes | bytearray | memoryview, width: int, height: int, quality: int,
    kernel: str | None = None,
) -> bytes:
    """A whole raster as a JPEG file; raises ValueError as RasterEncoder does."""
    encoder = RasterEncoder(width, height, quality, kernel=kernel)
    return encoder.feed(pixels) + encoder.finish()
