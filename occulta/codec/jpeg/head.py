"""A picture's headers, without its coefficients."""

from __future__ import annotations

from typing import NoReturn

from occulta.codec.jpeg import markers
from occulta.codec.jpeg.coefficients import CoefficientEngine, CoefficientRun, Header
from occulta.codec.jpeg.engine import NO_LIMIT, ScanRun
from occulta.codec.jpeg.headers import Scan
from occulta.codec.jpeg.structure import Item
from occulta.errors import OccultaError, Reason
from occulta.limits import Limits


class HeadEngine(CoefficientEngine):
    """Reads the headers, then stops."""

    found: CoefficientRun | None = None

    def begin_scan(self, group: list[Item], scan: Scan) -> ScanRun:
        """As of every picture, but the scan that comes is not decoded."""
        run = super().begin_scan(group, scan)
        assert isinstance(run, CoefficientRun)
        self.found = run
        plain = ScanRun(scan, 0, self.mode, self.limits)
        plain.raw = True
        return plain


class HeaderReader:
    """Gives the header of a JPEG stream as soon as it is there, whatever the scan is like.

    The kind of file, and what is held, are those of `CoefficientReader`.
    """

    def __init__(self, limits: Limits) -> None:
        self._engine = HeadEngine(limits, None)

    def feed(self, chunk: bytes) -> Header | None:
        """Take more of the file; once it gives a header, no more. Raises OccultaError."""
        engine, refusal = self._engine, None
        try:
            engine.buffer.append(chunk)
        except OccultaError as error:  # perhaps of what lies behind the header
            refusal = error
        ends = (item.end for item in engine.buffer.items if item.marker == markers.SOS)
        engine.advance(next(ends, None) or engine.buffer.fed)
        if refusal is not None and engine.header is None:
            raise refusal
        return engine.header

    def finish(self) -> NoReturn:
        """The file has ended before its header was there; raises OccultaError, which says why."""
        self._engine.buffer.close()
        self._engine.advance(NO_LIMIT)
        raise OccultaError(Reason.NO_SCAN, "the file holds no picture")
