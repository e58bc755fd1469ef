"""What can still be read of a damaged or cut JPEG file: the first component's coefficients.

For the ground: the whole file lies in memory. The kind of file is that of `CoefficientReader`.
Restart intervals (ITU-T T.81 E.1.4) are decoded each by itself, so that damage in one leaves the
others whole; a file without them is read up to the first error.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import NamedTuple

from occulta.codec.jpeg import coefficient_kernel as rows_layout
from occulta.codec.jpeg import entropy_kernel as layout
from occulta.codec.jpeg import markers
from occulta.codec.jpeg.coefficient_frame import BLOCK
from occulta.codec.jpeg.coefficients import CoefficientEngine, CoefficientRun, Header
from occulta.codec.jpeg.engine import NO_LIMIT
from occulta.codec.jpeg.head import HeadEngine
from occulta.codec.jpeg.quantisation import Table
from occulta.codec.jpeg.restarts import ZEROS, Piece, place
from occulta.errors import OccultaError, Reason
from occulta.limits import Limits

LOST = 0
"""Nothing is known of the block: its coefficients are 0."""
DOUBTFUL = 1
"""Decoded, but from a restart interval that does not decode as a whole."""
DECODED = 2
"""From a restart interval that decodes as a whole; single values may be wrong all the same."""
SALVAGE_LIMITS = Limits(max_blocks=4_000_000)
"""256 megapixels of gray: half a gigabyte."""
_MOST_TRIALS = 32
_MOST_MERGED = 64
"""Intervals looked for in data between two markers: bounds the time that a hostile file takes."""
_EOI = b"\xff\xd9"
_STRAY = re.compile(rb"\xff[^\x00]", re.DOTALL)


class Salvaged(NamedTuple):
    """What was read. Blocks are in raster order, padding included."""

    header: Header
    coefficients: array[int]
    """Of the first component, array('h'): 64 in zigzag order for each block."""
    table: Table
    """Its divisors, in zigzag order."""
    across: int
    down: int
    flags: bytearray
    """LOST, DOUBTFUL or DECODED for each block."""


def salvage(
    data: bytes, limits: Limits = SALVAGE_LIMITS, kernel: str | None = None,
    head: bytes | None = None,
) -> Salvaged:
    """Read what can be read of a file.

    `head`: what is known to have stood before the entropy-coded data, in place of as many of the
    file's bytes: for files with damaged headers, see `CoefficientWriter.begin`.

    Nothing is raised for damage behind the headers. Headers that cannot be read, a file of another
    kind, or more blocks than `limits.max_blocks` raise OccultaError. Takes 128 bytes of memory for
    each block of the first component, and the file's size a few times.
    """
    head = data[: _head_end(data)] if head is None else head
    end = len(head)
    engine = HeadEngine(limits, kernel)
    engine.buffer.append(head)
    engine.advance(NO_LIMIT)
    run, header = engine.found, engine.header
    if run is None or header is None:
        raise OccultaError(Reason.NO_SCAN, "the file holds no picture")
    stop = data.rfind(_EOI, end)
    work = _Salvage(engine, run)
    work.read(data[end : stop if stop >= 0 else len(data)])
    frame = header.frame
    return Salvaged(
        header, work.luma(), frame.components[0].table, frame.across(0), frame.down(0), work.flags
    )


def _head_end(data: bytes) -> int:
    """Where the first SOS segment ends."""
    if not data:
        raise OccultaError(Reason.EMPTY_INPUT, "the input is empty")
    if data[:2] != b"\xff\xd8":
        raise OccultaError(Reason.NOT_JPEG, "the input is not a JPEG file")
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            raise OccultaError(Reason.EXTRANEOUS_DATA, "no marker where one must stand")
        code = data[at + 1]
        if code in (0xFF, markers.TEM):
            at += 1 if code == 0xFF else 2
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if code == markers.SOS and end <= len(data):
            return end
        at = end
    raise OccultaError(Reason.TRUNCATED, "the file ends within its headers")


class _Salvage:
    """Decodes pieces into one array, the other components into the room of one MCU behind it."""

    def __init__(self, engine: CoefficientEngine, run: CoefficientRun) -> None:
        self._engine = engine
        self._run = run
        frame = run.frame
        self._across = frame.across(0)
        self._h, self._v = frame.components[0].horizontal, frame.components[0].vertical
        self._mcus = run.scan.mcus
        self._per_row = run.scan.mcus_per_row
        self._interval = run.params[layout.INTERVAL] or self._mcus
        run.params[layout.INTERVAL] = 0
        run.params[layout.LIMIT] = NO_LIMIT
        blocks = self._across * frame.down(0)
        self._size = BLOCK * blocks
        run.places = self._places(frame.blocks_per_mcu)
        self._all = array("h", [0]) * (self._size + BLOCK * frame.blocks_per_mcu)
        self.flags = bytearray(blocks)

    def luma(self) -> array[int]:
        """The first component's coefficients; nothing can be read after that."""
        del self._all[self._size :]
        return self._all

    def read(self, data: bytes) -> None:
        """Decode entropy-coded data up to, not including, EOI."""
        intervals = -(-self._mcus // self._interval)
        whole = [Piece(0, 0, len(data))]
        pieces = place(data, intervals) if intervals > 1 else whole
        following = [piece.interval for piece in pieces[1:]] + [intervals]
        for piece, behind in zip(pieces, following, strict=True):
            self._read_piece(bytearray(data[piece.start : piece.end]), piece.interval, behind)

    def _read_piece(self, data: bytearray, interval: int, behind: int) -> None:
        """Decode one interval and, where a marker was destroyed, those that follow it."""
        for current in range(interval, min(behind, interval + _MOST_MERGED)):
            if not data:
                return
            rest = self._decode_whole(data, current, current + 1 < behind)
            if rest is None:
                self._keep_some(data, current)
                return
            has_zeros = data.find(ZEROS, 0, len(data) - len(rest)) >= 0
            self._flag(current, self._count(current), DOUBTFUL if has_zeros else DECODED)
            data = rest

    def _decode_whole(self, data: bytearray, interval: int, more: bool) -> bytearray | None:
        """Decode an interval if that can be done without remainder; what comes behind it."""
        if self._decode(data, interval) == layout.SCAN_DONE:
            return _behind_marker(data, self._run.state[layout.POS])
        for part, rest in islice(_repairs(data, interval, more), _MOST_TRIALS):
            if self._decode(part, interval) == layout.SCAN_DONE:
                return rest or _behind_marker(part, self._run.state[layout.POS])
        return None

    def _keep_some(self, data: bytearray, interval: int) -> None:
        """Decode up to the first error, or to a stretch of zeros where a packet was."""
        zeros = data.find(ZEROS)
        self._decode(data if zeros < 0 else data[:zeros], interval)
        left = self._run.state[layout.MCUS_LEFT]
        done = self._count(interval) - left
        self._flag(interval, done, DOUBTFUL)
        if left:
            self._clear(interval * self._interval + done, 1)

    def _decode(self, data: bytearray, interval: int) -> int:
        run = self._run
        first, count = interval * self._interval, self._count(interval)
        self._clear(first, count)
        run.state[:] = array("Q", bytes(8 * len(run.state)))
        run.state[layout.MCUS_LEFT] = run.state[rows_layout.ROW_LEFT] = count
        run.state[rows_layout.LINE], run.state[layout.COLUMN] = divmod(first, self._per_row)
        with memoryview(data) as src:
            return self._engine.decode(run, src, self._all)

    def _count(self, interval: int) -> int:
        """MCUs in an interval; the last one may be shorter."""
        return min(self._interval, self._mcus - interval * self._interval)

    def _spans(self, mcu: int, count: int) -> Iterator[tuple[int, int]]:
        """The first component's blocks in a stretch of MCUs, as [start, end) in raster order."""
        while count:
            line, column = divmod(mcu, self._per_row)
            taken = min(count, self._per_row - column)
            for y in range(self._v):
                start = (line * self._v + y) * self._across + column * self._h
                yield start, start + taken * self._h
            mcu += taken
            count -= taken

    def _flag(self, interval: int, mcus: int, flag: int) -> None:
        for start, end in self._spans(interval * self._interval, mcus):
            self.flags[start:end] = bytes([flag]) * (end - start)

    def _clear(self, mcu: int, count: int) -> None:
        for start, end in self._spans(mcu, count):
            self._all[BLOCK * start : BLOCK * end] = array("h", bytes(2 * BLOCK * (end - start)))

    def _places(self, blocks_per_mcu: int) -> array[int]:
        """Where the kernel puts each block of an MCU, see coefficient_kernel.BLOCK_STRIDE."""
        places = array("q")
        for y in range(self._v):
            for x in range(self._h):
                first = BLOCK * (y * self._across + x)
                places.extend([first, BLOCK * self._h, BLOCK * self._v * self._across])
        for spare in range(blocks_per_mcu - self._h * self._v):
            places.extend([self._size + BLOCK * spare, 0, 0])
        return places


def _behind_marker(data: bytearray, at: int) -> bytearray:
    """What follows the marker at an index, whichever it has become; nothing if there is none."""
    while data[at : at + 1] == b"\xff":
        at += 1
    return data[at + 1 :]


def _repairs(data: bytearray, interval: int, more: bool) -> Iterator[tuple[bytearray, bytearray]]:
    """What the interval's data may have been before one bit was turned over, and what is behind.

    Either a byte became FF, or the 00 behind one was altered; or, if `more` intervals may follow,
    the restart marker was.
    """
    stray = [match.start() for match in islice(_STRAY.finditer(data), 2)]
    if len(stray) == 1:
        (at,) = stray
        for place_of, bit in [(at + 1, bit) for bit in range(8)] + [(at, bit) for bit in range(8)]:
            mended = bytearray(data)
            mended[place_of] ^= 1 << bit
            if mended[at] != 0xFF or not mended[at + 1]:
                yield mended, bytearray()
    for match in _near_marker(interval % 8).finditer(data) if more else ():
        yield data[: match.start()], data[match.end() :]


@cache
def _near_marker(number: int) -> re.Pattern[bytes]:
    """A restart marker of which one bit was turned over."""
    code = markers.RST0 + number
    firsts = b"".join(re.escape(bytes([0xFF ^ 1 << bit])) for bit in range(8))
    seconds = b"".join(re.escape(bytes([code ^ 1 << bit])) for bit in range(8))
    return re.compile(b"[%b]%b|\xff[%b]" % (firsts, bytes([code]), seconds), re.DOTALL)
