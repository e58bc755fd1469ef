"""Recovery: the hidden stream out, the original back, from a marked file of either profile."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from occulta.codec import crypto
from occulta.codec.jpeg import entropy_kernel as layout
from occulta.codec.jpeg.engine import MARGIN, NO_LIMIT, ScanRun, StreamEngine
from occulta.codec.jpeg.headers import Scan
from occulta.codec.jpeg.structure import Item
from occulta.codec.jpeg.tables import TailTables
from occulta.errors import OccultaError, Reason
from occulta.limits import DEFAULT_LIMITS, Limits
from occulta.schemes.reversible.bits import PullParser
from occulta.schemes.reversible.hidden import HiddenReader, Opened
from occulta.schemes.reversible.mark import PAPER
from occulta.schemes.reversible.padding import PaddingNotes
from occulta.schemes.reversible.paper import IDLE_CARRIERS, LEAVE_ALONE, run_tails, tail_tables

_HIDDEN_SIZE = 1 << 16
_MOST_GROWTH = 8
"""No scan grows to more than this many times its size: codes have 16 bits at most."""


@dataclass(frozen=True, slots=True)
class Patch:
    """Clear bits of the byte at an offset of the restored file: padding that was not ones.

    If that byte was FF the 00 stuffed behind it goes with it.
    """

    offset: int
    clear: int


class Patches:
    """The patches of a restored file, in order; false if there are none for sure."""

    def __init__(self, notes: PaddingNotes, ends: array[int]) -> None:
        self._notes = notes
        self._ends = ends

    def __bool__(self) -> bool:
        return not self._notes.ones or bool(self._notes.exceptions)

    def __iter__(self) -> Iterator[Patch]:
        """Where padding of ones was written and something else belongs."""
        for ordinal, end in enumerate(self._ends):
            offset, bits = end >> 8, end & 255
            ones = (1 << bits) - 1
            value = self._notes.value(ordinal, bits)
            if value != ones:
                yield Patch(offset, ones ^ value)


class Patcher:
    """Applies patches to a file in chunks."""

    def __init__(self, patches: Iterable[Patch]) -> None:
        self._patches = iter(patches)
        self._next = next(self._patches, None)
        self._offset = 0
        self._drop = False

    def feed(self, chunk: bytes) -> bytes:
        """Take the next chunk; return it patched."""
        out = bytearray(chunk)
        end = self._offset + len(chunk)
        drops = [0] if self._drop and chunk else []
        self._drop = self._drop and not chunk
        while self._next is not None and self._next.offset < end:
            at = self._next.offset - self._offset
            if out[at] == 0xFF:
                drops.append(at + 1)
            out[at] &= ~self._next.clear
            self._next = next(self._patches, None)
        self._offset = end
        for at in reversed(drops):
            if at < len(out):
                del out[at]
            else:
                self._drop = True
        return bytes(out)


@dataclass(slots=True)
class Recovered:
    """What a recovery found. Nothing is verified but the seal itself."""

    profile: int
    opened: Opened
    conclusion: crypto.Conclusion
    patches: Patches


class Restorer(StreamEngine):
    """Base of both profiles: `feed` a marked file, get the original; `finish` for the rest.

    `write` gets private data as it is opened, `record` the sealed bytes. The restored bytes are
    right up to the padding of some segments: `recovered.patches` (ordered) says what to replace.
    """

    mode = layout.UNMARK
    profile = 0

    def __init__(
        self, key: crypto.PrivateKey, write: Callable[[bytes], object],
        record: Callable[[bytes], object], limits: Limits = DEFAULT_LIMITS,
        kernel: str | None = None,
    ) -> None:
        super().__init__(limits, kernel)
        self.height_reach *= _MOST_GROWTH
        self.recovered: Recovered | None = None
        self._reader = HiddenReader(key, self.profile, write, record)
        self._parser: PullParser[Any] = PullParser(self._reader.parse())
        self._hidden = bytearray(_HIDDEN_SIZE)
        self._ends = array("Q")
        """Per segment: offset of the byte that holds its padding << 8 | padding bits."""

    def feed(self, chunk: bytes) -> bytes:
        """Take a chunk of the marked file; return restored bytes; raises OccultaError."""
        self.buffer.append(chunk)
        ready = self.buffer.fed - 2 * MARGIN
        if ready - self.buffer.base >= self.limits.quantum:
            self._restore(ready)
        return self.take_output()

    def finish(self) -> bytes:
        """The marked file has ended; return the last bytes; sets `recovered`."""
        rest = self.end_of_file()
        opened = self._reader.opened
        if opened is None:
            raise OccultaError(Reason.NOTHING_HIDDEN, "the picture carries no hidden data")
        if opened.conclusion is None:
            raise OccultaError(Reason.PRIVATE_DATA_INCOMPLETE, "the hidden data ends early")
        patches = Patches(PaddingNotes.parse(opened.conclusion.notes), self._ends)
        self.recovered = Recovered(self.profile, opened, opened.conclusion, patches)
        return rest

    def end_of_file(self) -> bytes:
        """Restore what is left; return it."""
        self.buffer.close()
        self._restore(NO_LIMIT)
        if not self.scans_begun:
            raise OccultaError(Reason.NO_SCAN, "the file holds no picture")
        return self.take_output()

    def _restore(self, limit: int) -> None:
        """Advance; what contradicts marking before its first bytes were seen means: not marked."""
        try:
            self.advance(limit)
        except OccultaError as error:
            if error.reason is Reason.BAD_HIDDEN_DATA and not self._reader.recognised:
                raise OccultaError(
                    Reason.NOTHING_HIDDEN, "the picture carries no hidden data"
                ) from None
            raise

    def segment_ended(self, record: int, base: int) -> None:
        self._ends.append((base + (record >> 24)) << 8 | record >> 16 & 255)


class PaperRestorer(Restorer):
    """Takes the paper's coefficients out again."""

    profile = PAPER
    _tables: TailTables
    _skip = 0
    _bit = 0
    _idle = 0

    def begin_scan(self, group: list[Item], scan: Scan) -> ScanRun:
        self._tables = tail_tables(self, scan)
        self.put_items(group)
        run = ScanRun(scan, self.interval, self.mode, self.limits)
        run.state[layout.SKIP] = self._skip
        run.state[layout.HIDDEN_POS] = self._bit
        return run

    def run_kernel(self, run: ScanRun, src: memoryview, out: memoryview) -> int:
        run.params[layout.HIDDEN_LIMIT] = 8 * self._wanted() - 2
        return run_tails(self, self._tables, run, src, out, self._hidden)

    def _wanted(self) -> int:
        return min(self._parser.wanted, len(self._hidden))

    def need_hidden(self, run: ScanRun) -> None:
        size = self._wanted()
        self._parser.feed(bytes(self._hidden[:size]))
        self._hidden[:size] = bytes(size)
        run.state[layout.HIDDEN_POS] = 0
        opened = self._reader.opened
        if self._parser.done:
            run.state[layout.SKIP] = LEAVE_ALONE
        elif opened is not None and opened.idle > self._idle:
            self._idle = opened.idle
            run.state[layout.SKIP] = IDLE_CARRIERS

    def end_scan(self, run: ScanRun) -> None:
        if 0 < 8 * self._wanted() <= run.state[layout.HIDDEN_POS]:
            self.need_hidden(run)  # the last carrier completed what was wanted
        self._skip = run.state[layout.SKIP]
        self._bit = run.state[layout.HIDDEN_POS]
