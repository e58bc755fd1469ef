"""A push machine over one JPEG stream: headers and scans in order, through the entropy kernel.

Subclasses decide what is done with each group of headers and each scan. The machine holds bytes
back until `limit` says that they may be processed, works in whole blocks, and stops at places
that depend on the bytes alone, never on how they were cut into chunks.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from occulta.codec import kernels
from occulta.codec.jpeg import entropy_kernel as layout
from occulta.codec.jpeg import markers
from occulta.codec.jpeg.headers import Frame, Scan, parse_frame, parse_scan, refuse_frame_type
from occulta.codec.jpeg.huffman import ANNEX_K, HuffmanTable, parse_dht
from occulta.codec.jpeg.structure import Item, ItemKind, JpegBuffer
from occulta.errors import OccultaError, Reason
from occulta.limits import Limits

KERNEL = "occulta.codec.jpeg.entropy_kernel"
NO_LIMIT = 1 << 62
OUTPUT_SIZE = 1 << 17
MARGIN = 4096
"""Bytes beyond a limit that must be there: a block, a restart marker, the kernel's read-ahead."""
_ENDS_SIZE = 4096
_MAX_TAIL = 512
"""Bytes of restart markers that may stand behind the last MCU of a scan."""

Destination = tuple[int, int]
"""(class, destination) of a Huffman table."""

_FAILURES = {
    layout.BAD_CODE: (Reason.BAD_CODE, "a code that no Huffman table has"),
    layout.OVERRUN: (Reason.COEFFICIENT_OVERRUN, "a block of more than 64 coefficients"),
    layout.TRUNCATED: (Reason.TRUNCATED, "the entropy-coded data ends early"),
    layout.BAD_RESTART: (Reason.BAD_RESTART, "a restart marker is missing or out of order"),
    layout.EXTRANEOUS: (Reason.EXTRANEOUS_DATA, "extraneous bytes in the entropy-coded data"),
    layout.NO_ESCAPE: (Reason.NO_ESCAPE_CODE, "a block needs a code that its table lacks"),
    layout.BAD_HIDDEN: (Reason.BAD_HIDDEN_DATA, "a block does not end as a marked one must"),
}


class ScanRun:
    """The kernel's arrays for the scan under way, and where in the file it stands."""

    def __init__(self, scan: Scan, interval: int, mode: int, limits: Limits) -> None:
        self.scan = scan
        self.raw = False
        self.state = array("Q", bytes(8 * layout.STATE_SIZE))
        self.state[layout.MCUS_LEFT] = scan.mcus
        self.state[layout.INTERVAL_LEFT] = interval
        self.params = array("q", bytes(8 * layout.PARAMS_SIZE))
        self.params[layout.MODE] = mode
        self.params[layout.INTERVAL] = interval
        self.params[layout.BLOCKS_PER_MCU] = len(scan.blocks)
        self.params[layout.SPECTRAL_START] = scan.spectral_start
        self.params[layout.SPECTRAL_END] = scan.spectral_end
        self.params[layout.MAX_FILL] = limits.max_fill_bytes
        self.params[layout.HIDDEN_LIMIT] = NO_LIMIT
        self.params[layout.MCUS_PER_ROW] = scan.mcus_per_row
        self.edges = array("i", scan.edges)
        self.blocks = array("i", [slot for pair in scan.blocks for slot in pair])
        self.ends = array("Q", bytes(8 * _ENDS_SIZE))

    @property
    def blocks_done(self) -> int:
        """Blocks of the scan that have been processed."""
        left = self.state[layout.MCUS_LEFT] * len(self.scan.blocks)
        return self.scan.total_blocks - left + self.state[layout.BLOCK]

    def segment_ends(self) -> Sequence[int]:
        """Records of the segments that ended since the last call."""
        records = self.ends[: self.state[layout.SEGMENTS]]
        self.state[layout.SEGMENTS] = 0
        return records


class StreamEngine:
    """Base of every pass over a JPEG stream."""

    mode = layout.SURVEY

    def __init__(self, limits: Limits, kernel: str | None = None) -> None:
        self.limits = limits
        self.height_reach = limits.hold_back
        """How far behind the first SOS a DNL segment may end."""
        self.buffer = JpegBuffer(limits)
        self.frame: Frame | None = None
        self.interval = 0
        self.tables: dict[Destination, HuffmanTable] = dict(ANNEX_K)
        self.run: ScanRun | None = None
        self.scans_begun = 0
        self.blocks = 0
        """8x8 blocks of the scans that have ended."""
        self.emitted = 0
        """Bytes put out so far, in all."""
        self.kernel = kernels.load_kernel(KERNEL, kernel)
        self.kernel_choice = kernel
        self._out = bytearray()
        self._scratch = bytearray(OUTPUT_SIZE)

    # What subclasses decide.

    def begin_scan(self, group: list[Item], scan: Scan) -> ScanRun:
        """A scan begins: put out its group of headers, prepare the kernel."""
        raise NotImplementedError

    def run_kernel(self, run: ScanRun, src: memoryview, out: memoryview) -> int:
        """Call the kernel once."""
        raise NotImplementedError

    def end_scan(self, run: ScanRun) -> None:
        """A scan has ended."""

    def need_hidden(self, run: ScanRun) -> None:
        """The kernel has no hidden bits left, or no room for more."""

    def segment_ended(self, record: int, base: int) -> None:
        """An entropy-coded segment has ended; see the kernel's `ends`."""

    def table_defined(self, item: Item, tables: list[tuple[int, int, HuffmanTable]]) -> None:
        """A DHT segment defines tables."""

    # What they use.

    def put(self, data: bytes | bytearray | memoryview) -> None:
        """Put out bytes."""
        self._out += data
        self.emitted += len(data)

    def put_items(self, items: list[Item]) -> None:
        """Put out header items as they are."""
        for item in items:
            self.put(self.buffer.copy(item.start, item_end(item)))

    def take_output(self) -> bytes:
        """What was put out since the last call."""
        out = bytes(self._out)
        self._out.clear()
        return out

    def advance(self, limit: int) -> None:
        """Process what lies before the absolute offset `limit`; raises OccultaError."""
        while self.buffer.items:
            item = self.buffer.items[0]
            if self.run is not None:
                if not self._run_scan(self.run, item, limit):
                    return
            elif item.kind is ItemKind.TRAILER:
                self._copy(item, limit)
                return
            elif not self._take_group(limit):
                return

    # The machine.

    def _take_group(self, limit: int) -> bool:
        """Process the headers up to and including SOS or EOI, if they are all there."""
        group: list[Item] = []
        for item in self.buffer.items:
            if item.kind is not ItemKind.SEGMENT:
                break
            group.append(item)
            if item.marker in (markers.SOS, markers.EOI):
                break
        last = group[-1]
        if last.marker not in (markers.SOS, markers.EOI) and limit < NO_LIMIT:
            self._check_header_size(last.end or 0)
            return False
        if (last.end or 0) > limit or (limit < NO_LIMIT and self._awaits_height(group)):
            self._check_header_size(min(limit, last.end or 0))
            return False
        self._process_group(group)
        return True

    def _check_header_size(self, end: int) -> None:
        if end - self.buffer.base > self.limits.max_header_bytes:
            raise OccultaError(Reason.LIMIT_SEGMENT, "too many bytes of header segments")

    def _process_group(self, group: list[Item]) -> None:
        for item in group[:-1]:
            self._read_segment(item)
        last = group[-1]
        if last.marker == markers.SOS:
            if self.frame is None:
                raise OccultaError(Reason.BAD_SCAN, "a scan comes before the frame header")
            self._settle_height(last)
            scan = parse_scan(self.buffer.copy(last.body, item_end(last)), self.frame, self.limits)
            for destination in scan.tables:
                if destination not in self.tables:
                    raise OccultaError(Reason.MISSING_TABLE, "a scan uses an undefined table")
            self.run = self.begin_scan(group, scan)
            self.scans_begun += 1
        else:
            if last.marker != markers.EOI:
                self._read_segment(last)
            self.put_items(group)
        for _ in group:
            self.buffer.items.popleft()
        self.buffer.discard(item_end(last))

    def _read_segment(self, item: Item) -> None:
        code = item.marker
        refuse_frame_type(code)
        body = self.buffer.copy(item.body, item_end(item))
        if code in markers.HUFFMAN_FRAMES:
            if self.frame is not None:
                raise OccultaError(Reason.BAD_FRAME, "the file has two frame headers")
            self.frame = parse_frame(code, body, self.limits)
        elif code == markers.DHT:
            tables = parse_dht(body)
            self.tables.update({(kind, slot): table for kind, slot, table in tables})
            self.table_defined(item, tables)
        elif code == markers.DRI:
            if len(body) != 2:
                raise OccultaError(Reason.BAD_SEGMENT, "a DRI segment of the wrong length")
            self.interval = int.from_bytes(body, "big")

    def _awaits_height(self, group: list[Item]) -> bool:
        """True while a DNL segment may still come that gives the height."""
        if self.frame is not None or self.buffer.fed >= item_end(group[-1]) + self.height_reach:
            return False
        frames = [item for item in group if item.marker in markers.HUFFMAN_FRAMES]
        return any(self.buffer.copy(i.body + 1, i.body + 3) == b"\0\0" for i in frames)

    def _settle_height(self, sos: Item) -> None:
        """A height of 0 is given by a DNL segment behind the first scan (T.81 B.2.5)."""
        frame = self.frame
        if frame is None or frame.height:
            return
        items = self.buffer.items
        at = items.index(sos) + 2
        dnl = items[at] if at < len(items) else None
        reach = item_end(sos) + self.height_reach
        if dnl is None or dnl.marker != markers.DNL or item_end(dnl) > reach:
            raise OccultaError(Reason.DNL_TOO_FAR, "the picture has no height")
        height = int.from_bytes(self.buffer.copy(dnl.body, item_end(dnl)), "big")
        if not 0 < height <= self.limits.max_dimension or item_end(dnl) - dnl.body != 2:
            raise OccultaError(Reason.LIMIT_DIMENSIONS, f"the picture is {height} lines high")
        self.frame = Frame(
            frame.marker, frame.precision, height, frame.width, frame.components
        )

    def _copy(self, item: Item, limit: int) -> bool:
        """Put out bytes of an item as they are, up to `limit`; True once the item is through."""
        end = min(self.buffer.fed if item.end is None else item.end, limit)
        if end > self.buffer.base:
            self.put(self.buffer.view(self.buffer.base, end))
            self.buffer.discard(end)
        if item.end is None or self.buffer.base < item.end:
            return False
        self.buffer.items.popleft()
        return True

    def _run_scan(self, run: ScanRun, item: Item, limit: int) -> bool:
        """Run the kernel as far as it goes; True once the scan is through."""
        done = self._copy(item, limit) if run.raw else self._transcode(run, item, limit)
        if done:
            self.run = None
            self.blocks += run.scan.total_blocks
            self.end_scan(run)
        return done

    def _transcode(self, run: ScanRun, item: Item, limit: int) -> bool:
        whole = item.end is not None and item.end <= limit
        while True:
            base = self.buffer.base
            if not whole and limit <= base:
                return False
            end = self.buffer.fed if item.end is None else item.end
            run.params[layout.LIMIT] = NO_LIMIT if whole else limit - base
            status = self._call(run, base, end)
            if status == layout.SCAN_DONE:
                self._copy_tail(item)
                return True
            if status == layout.NEED_INPUT:
                return False
            if status == layout.NEED_HIDDEN:
                self.need_hidden(run)
            elif status != layout.NEED_OUTPUT:
                raise OccultaError(*_FAILURES[status])

    def _call(self, run: ScanRun, base: int, end: int) -> int:
        with self.buffer.view(base, end) as src, memoryview(self._scratch) as out:
            status = self.run_kernel(run, src, out)
            size = run.state[layout.OUT_POS]
            start = self.emitted
            self.put(out[:size])
        for record in run.segment_ends():
            self.segment_ended(record, start)
        self.buffer.discard(base + run.state[layout.POS])
        run.state[layout.POS] = run.state[layout.OUT_POS] = 0
        return status

    def _copy_tail(self, item: Item) -> None:
        """Behind the last MCU only restart markers may stand; keep them."""
        end = self.buffer.fed if item.end is None else item.end
        if end - self.buffer.base > _MAX_TAIL:
            raise OccultaError(Reason.EXTRANEOUS_DATA, "extraneous bytes behind the last block")
        rest = self.buffer.copy(self.buffer.base, end)
        stray = bytes(rest).replace(b"\xff", b"")
        if rest and (rest[0] != 0xFF or not all(markers.is_restart(code) for code in stray)):
            raise OccultaError(Reason.EXTRANEOUS_DATA, "extraneous bytes behind the last block")
        self.put(rest)
        self.buffer.discard(end)
        self.buffer.items.popleft()


def item_end(item: Item) -> int:
    """The end of an item that is known to be complete."""
    if item.end is None:
        raise ValueError("an item without end")
    return item.end

