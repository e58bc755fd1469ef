"""A JPEG of the full size from verified runs of MCUs, with flat grey in all other places.

Every symbol of a run is written anew through Huffman tables that can also say what grey needs:
any DC difference and the end of a block, which optimised tables may lack. Quantised coefficients
stay as they are. Differences of DC values go on across the filling (T.81 F.1.1.5.1): its first MCU
goes to level 0, the middle of the sample range, and its last one to the predictors that the next
run counts from, so the last block of each component there shows the level of the lost picture.
"""

from __future__ import annotations

import re
from array import array

from occulta.codec.jpeg import entropy_kernel as layout
from occulta.codec.jpeg import markers
from occulta.codec.jpeg.cells import CellDecoder, CellKeys, Cut, Geometry
from occulta.codec.jpeg.engine import (
    NO_LIMIT,
    OUTPUT_SIZE,
    Destination,
    ScanRun,
    StreamEngine,
    item_end,
)
from occulta.codec.jpeg.grey import LEVEL, Grey, complete_tables
from occulta.codec.jpeg.headers import Frame, Scan
from occulta.codec.jpeg.huffman import HuffmanTable, dht_segment
from occulta.codec.jpeg.structure import Item, ItemKind
from occulta.codec.jpeg.tables import CodeWord, TranscodeTables
from occulta.errors import OccultaError, Reason
from occulta.limits import Limits

_EOI = bytes([0xFF, markers.EOI])
_RESTART = re.compile(rb"\xff+[\xd0-\xd7]")
_ANY_KEYS = CellKeys(bytes(16))  # hashes of cells are not asked for
_MOST_GREY = 4096
"""Grey MCUs that are put together at a time."""
_AROUND = 8
"""Restart markers are numbered modulo 8: so many intervals of grey are the next ones too."""
_FAILURES = {
    layout.BAD_CODE: (Reason.BAD_CODE, "a run of MCUs has a code that no Huffman table has"),
    layout.OVERRUN: (Reason.COEFFICIENT_OVERRUN, "a run has a block of over 64 coefficients"),
    layout.TRUNCATED: (Reason.TRUNCATED, "a run of MCUs ends early"),
}


class _Head(StreamEngine):
    """Reads the headers and puts them out again with complete tables."""

    mode = layout.MARK

    def __init__(self, head: bytes, limits: Limits, kernel: str | None) -> None:
        super().__init__(limits, kernel)
        self.complete: dict[Destination, HuffmanTable] = {}
        self.components: list[int] = []
        """Index of the component within the scan, per block of an MCU."""
        self.buffer.append(head)
        scans = [item.start for item in self.buffer.items if item.kind is ItemKind.SCAN]
        if scans == [len(head)]:
            self.advance(len(head))
        if self.run is None:
            raise OccultaError(Reason.BAD_SCAN, "the headers do not end where a scan begins")

    def begin_scan(self, group: list[Item], scan: Scan) -> ScanRun:
        sos = self.buffer.copy(group[-1].body, item_end(group[-1]))
        if self.frame is None or scan.progressive or sos[0] != len(self.frame.components):
            raise OccultaError(Reason.BAD_SCAN, "the picture is not in one sequential scan")
        sampled = {c.identifier: c.horizontal * c.vertical for c in self.frame.components}
        for index, identifier in enumerate(sos[1:-3:2]):
            self.components += [index] * (sampled[identifier] if sos[0] > 1 else 1)
        self.complete = complete_tables(self.tables, scan, self.frame.precision)
        self.put_items([item for item in group[:-1] if item.marker != markers.DHT])
        self.put(dht_segment([(*at, table) for at, table in self.complete.items()]))
        self.put_items(group[-1:])
        return ScanRun(scan, 0, self.mode, self.limits)

    def tables_between(self, scan: Scan) -> TranscodeTables:
        """Kernel tables from the file's codes to the complete ones."""
        built = TranscodeTables()
        for at in scan.tables:
            out = self.complete[at].by_symbol
            words = [CodeWord(s, code, n, *out[s]) for s, code, n in self.tables[at].codes]
            built.set_slot(*at, self.tables[at], words, scan.progressive)
        return built


class Patchwork:
    """Writes a JPEG from verified runs of MCUs and grey filling, in the order of the scan."""

    def __init__(self, head: bytes, limits: Limits, kernel: str | None = None) -> None:
        """`head`: the original from SOI to the end of the SOS segment.

        Raises OccultaError for headers that are damaged or not of a sequential picture in one
        scan of all its components.
        """
        read = _Head(head, limits, kernel)
        assert read.run is not None and read.frame is not None
        self.frame: Frame = read.frame
        self._run = read.run
        self._run.params[layout.LIMIT] = NO_LIMIT
        self._run.ends = array("Q", [0])  # no room: the kernel stops before it ends a segment
        self._interval = read.interval
        self._kernel = read.kernel
        self._tables = read.tables_between(read.run.scan)
        self._grey = Grey(read.components, read.run.scan, read.complete)
        self._decoder = CellDecoder(head, _ANY_KEYS, limits, kernel)
        self._scratch = bytearray(OUTPUT_SIZE)
        self._out = bytearray(read.take_output())
        self._written = 0
        self._held = 0
        """Grey MCUs not written yet: the last one depends on what follows."""
        self._last: tuple[Cut, bytes, int] | None = None
        """The run that was written last, while the level behind it is not known."""

    @property
    def mcus(self) -> int:
        """MCUs of the whole picture."""
        return self._run.scan.mcus

    @property
    def geometry(self) -> Geometry:
        """Where the cells lie in the scan."""
        return self._decoder.geometry

    @property
    def position(self) -> int:
        """MCUs added and skipped so far."""
        return self._written + self._held

    def takes(self, cut: Cut, mcus: int) -> bool:
        """Whether a run of `mcus` MCUs, at least one, from `cut` on can be added now.

        It must begin at `position` and where a row of cells does, and not pass the last MCU.
        """
        here = cut.mcu == self.position and self.geometry.begins_row(cut.mcu)
        return here and 0 < mcus <= self.mcus - cut.mcu

    def add(self, cut: Cut, mcus: int, data: bytes) -> bytes:
        """A verified run of `mcus` MCUs that begins at `cut`; returns bytes of the JPEG.

        `cut` and `data` are as `CellReader` gives them, of one row of cells or several joined;
        what `data` holds behind the run is left alone. Raises ValueError where `takes` is false,
        and OccultaError for a run that cannot be decoded or whose DC values no JPEG can hold; this
        object is of no use then.
        """
        if not self.takes(cut, mcus):
            raise ValueError(f"a run of {mcus} MCUs from {cut.mcu}, at {self.position}")
        self._fill(self._held, None if self._restart_due(cut.mcu) else cut.predictors)
        self._held = 0
        end, bits = cut.mcu + mcus, cut.bit
        for piece in _RESTART.split(data):
            if self._written < end:
                self._restart_if_due()
                count = min(end - self._written, self._until_restart())
                self._transcode(piece, count, cut.byte, bits)
                self._written += count
                bits = 0
        if self._written < end:
            raise OccultaError(Reason.TRUNCATED, "a run of MCUs ends early")
        self._last = cut, data, mcus
        return self._take()

    def skip(self, mcus: int) -> bytes:
        """Grey for `mcus` MCUs; returns bytes of the JPEG, a few per MCU.

        Raises ValueError for more than are left.
        """
        if not 0 <= mcus <= self.mcus - self.position:
            raise ValueError(f"{mcus} MCUs, of which {self.mcus - self.position} are left")
        if mcus:
            self._fill(self._held + mcus - 1, None)
            self._held = 1
        return self._take()

    def finish(self) -> bytes:
        """Grey for the rest and the end of the file; returns the last bytes of the JPEG."""
        self._fill(self.mcus - self._written, None)
        self._held = 0
        self._pad()
        self._out += _EOI
        return self._take()

    def _take(self) -> bytes:
        out = bytes(self._out)
        self._out.clear()
        return out

    def _transcode(self, piece: bytes, mcus: int, byte: int, bits: int) -> None:
        """Write MCUs up to a restart marker; `bits` leading bits of `byte` are not theirs."""
        state, tables = self._run.state, self._tables
        state[layout.POS] = state[layout.BLOCK] = 0
        state[layout.NBITS] = -bits % 8
        state[layout.ACC] = (byte << bits & 0xFF) << 56 if bits else 0
        state[layout.MCUS_LEFT] = mcus
        src, out = memoryview(bytearray(piece)), memoryview(self._scratch)
        unused = memoryview(tables.alternatives)
        while state[layout.MCUS_LEFT]:
            state[layout.OUT_POS] = 0
            status = self._kernel.transcode(
                memoryview(state), memoryview(self._run.params), src, out, out,
                memoryview(self._run.ends), memoryview(self._run.blocks), memoryview(tables.fast),
                memoryview(tables.entries), memoryview(tables.bounds), unused, unused,
            )
            self._out += self._scratch[: state[layout.OUT_POS]]
            if status != layout.NEED_OUTPUT:
                raise OccultaError(*_FAILURES[status])

    def _fill(self, mcus: int, target: tuple[int, ...] | None) -> None:
        """Write grey MCUs; behind the last one the predictors are `target`, where it matters."""
        while mcus:
            mcus -= self._repeat_intervals(mcus - 1)
            self._restart_if_due()
            if self._last is not None:
                self._grey.level = self._level_behind(*self._last)
                self._last = None
            count = min(mcus, self._until_restart(), _MOST_GREY)
            mcus -= count
            self._put_bits(self._grey.bits(count, None if mcus else target))
            self._written += count

    def _repeat_intervals(self, most: int) -> int:
        """Write grey intervals, where they are short, as copies of eight; returns the MCUs."""
        size = _AROUND * self._interval
        count = most // size if 0 < size <= _MOST_GREY else 0
        if not count or not self._restart_due(self._written):
            return 0
        self._pad()
        begin = len(self._out)
        for _ in range(_AROUND):
            self._restart_if_due()
            self._put_bits(self._grey.bits(self._interval, None))
            self._pad()
            self._written += self._interval
        self._out += (count - 1) * self._out[begin:]
        self._written += (count - 1) * size
        return count * size

    def _level_behind(self, cut: Cut, data: bytes, mcus: int) -> list[int]:
        """The DC predictors behind a run."""
        decoded = self._decoder.decode(cut, data, mcus)
        if decoded.mcus < mcus:
            raise OccultaError(Reason.BAD_RESTART, "a run of MCUs has lost step")
        return list(decoded.predictors)

    def _restart_due(self, mcu: int) -> bool:
        """True if a restart marker stands before this MCU."""
        return self._interval > 0 and 0 < mcu < self.mcus and mcu % self._interval == 0

    def _until_restart(self) -> int:
        left = self.mcus - self._written
        if not self._interval:
            return left
        return min(left, self._interval - self._written % self._interval)

    def _restart_if_due(self) -> None:
        if self._restart_due(self._written):
            self._pad()
            number = (self._written // self._interval - 1) % 8
            self._out += bytes([0xFF, markers.RST0 + number])
            self._grey.level = list(LEVEL)
            self._last = None

    def _pad(self) -> None:
        self._put_bits("1" * (-self._run.state[layout.OUT_BITS] % 8))

    def _put_bits(self, text: str) -> None:
        """Append bits, '0' and '1', to what the kernel has written."""
        state = self._run.state
        count = state[layout.OUT_BITS] + len(text)
        rest = count % 8
        value = state[layout.OUT_ACC] & ((1 << state[layout.OUT_BITS]) - 1)
        value = value << len(text) | int(text or "0", 2)
        self._out += (value >> rest).to_bytes(count // 8, "big").replace(b"\xff", b"\xff\x00")
        state[layout.OUT_ACC] = value & ((1 << rest) - 1)
        state[layout.OUT_BITS] = rest
