"""What marking has in common in both profiles: hold back, carry, conclude."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from occulta.codec.jpeg import entropy_kernel as layout
from occulta.codec.jpeg.engine import MARGIN, NO_LIMIT, ScanRun, StreamEngine
from occulta.codec.jpeg.huffman import HuffmanTable
from occulta.codec.jpeg.structure import Item
from occulta.codec.jpeg.survey import Survey
from occulta.errors import OccultaError, Reason
from occulta.limits import DEFAULT_LIMITS, Limits
from occulta.schemes.reversible.bits import BitQueue
from occulta.schemes.reversible.hidden import HiddenSource
from occulta.schemes.reversible.padding import PaddingLog

EXACT = 1
PAPER = 2
_MAX_DRAINED = 4 << 20
"""More than a last stretch can carry: a block of some bytes takes two symbols, 14 bits."""


class Marker(StreamEngine):
    """Hides a source's bytes in a JPEG stream: `feed` chunks, then `finish`.

    Output does not depend on how the input was cut. The last stretch (`Limits.hold_back` bytes)
    is kept until the digest of the whole is known, then marked with the conclusion in it.
    """

    mode = layout.MARK
    profile = 0

    def __init__(
        self, source: HiddenSource, limits: Limits = DEFAULT_LIMITS, kernel: str | None = None
    ) -> None:
        if limits.hold_back < 2 * MARGIN:
            raise ValueError(f"hold_back must be at least {2 * MARGIN} bytes")
        super().__init__(limits, kernel)
        self.hidden_bits = 0
        """Bits carried so far."""
        self.side_bits = 0
        """Bits among them that tell a recovery what the original tables were."""
        self.notes_size = 0
        """Bytes of notes in the conclusion, once the whole file is in view."""
        self._source = source
        self._queue = BitQueue()
        self._digest = hashlib.sha256()
        self._paddings = PaddingLog(limits.max_padding_exceptions)
        self._notes: bytes | None = None
        """The notes to conclude with; None until the whole file is in view."""
        self._concluded_at: int | None = None
        self._starved = False
        """All private data was carried before the whole file was in view."""

    def feed(self, chunk: bytes) -> bytes:
        """Take a chunk of the original; return marked bytes; raises OccultaError."""
        self._digest.update(chunk)
        self.buffer.append(chunk)
        ready = self.buffer.fed - self.limits.hold_back
        if ready >= self.limits.quantum:
            self.advance(ready - ready % self.limits.quantum)
        return self.take_output()

    def finish(self) -> bytes:
        """The original has ended; return the last marked bytes.

        Raises OccultaError: DOES_NOT_FIT or NO_CARRIERS_AT_END when not everything was carried.
        """
        return b"".join(self.finish_in_pieces())

    def finish_in_pieces(self) -> Iterator[bytes]:
        """`finish`, without ever holding the whole last stretch twice; some pieces are empty.

        Each takes about as long as `Limits.quantum` bytes do. What was yielded counts only if the
        end is reached without an error.
        """
        self.buffer.close()
        survey = Survey.of_rest(self)
        for limit in self._quanta_of_rest():
            survey.advance(limit)
            yield b""
        survey.advance(NO_LIMIT)
        if self.run is None and not self.scans_begun and not survey.scans:
            raise OccultaError(Reason.NO_SCAN, "the file holds no picture")
        self._notes = self._padding_notes(survey)
        self.notes_size = len(self._notes)
        self._prepare_rest(survey)
        del survey
        for limit in self._quanta_of_rest():
            self.advance(limit)
            yield self.take_output()
        self.advance(NO_LIMIT)
        self._check_all_carried()
        yield self.take_output()

    def _quanta_of_rest(self) -> range:
        return range(self.buffer.base, self.buffer.fed - MARGIN, self.limits.quantum)

    # What profiles decide.

    def _prepare_rest(self, survey: Survey) -> None:
        """Everything that is left of the file is in view."""

    # What they use.

    def _refill(self) -> bool:
        """Queue the next frame; False once all frames (and the conclusion) are queued."""
        frame = self._source.next_frame()
        if frame is None and self._may_conclude() and self._concluded_at is None:
            frame = self._source.conclude(self._digest.digest(), self._notes or b"")
            self._concluded_at = self._queue.end + 8 * len(frame)
        if frame is None:
            self._starved = self._starved or self._notes is None
            return False
        self._queue.append(frame)
        return True

    def _may_conclude(self) -> bool:
        """With the whole file in view, or at once where there is nothing to conclude with."""
        return self._notes is not None or self._source.conclusion_size(0) == 0

    def _queue_everything(self) -> None:
        """Queue all frames and the conclusion, as far as they can possibly fit."""
        while self._queue.available < 8 * _MAX_DRAINED and self._refill():
            pass

    def table_defined(self, item: Item, tables: list[tuple[int, int, HuffmanTable]]) -> None:
        if any(table.has_repeats for _, _, table in tables):
            raise OccultaError(Reason.ALREADY_MARKED, "the picture's tables repeat symbols")

    def segment_ended(self, record: int, base: int) -> None:
        self._paddings.add(record >> 8 & 255, record & 255)

    def _take_hidden(self, run: ScanRun) -> None:
        """The kernel has read hidden bits: move on in the queue."""
        before = self._queue.taken
        self._queue.advance(run.state[layout.HIDDEN_POS])
        self.hidden_bits += self._queue.taken - before
        run.state[layout.HIDDEN_POS] = self._queue.position

    def _padding_notes(self, survey: Survey) -> bytes:
        for bits, value in survey.paddings:
            self._paddings.add(bits, value)
        notes = self._paddings.notes()
        # From here on segments end a second time: what they say is known.
        self._paddings = PaddingLog(0)
        return notes

    def _check_all_carried(self) -> None:
        done = self._concluded_at is not None and self._queue.taken >= self._concluded_at
        if done:
            return
        if self.hidden_bits == 0:
            raise OccultaError(Reason.NO_CARRIERS, "the picture cannot carry anything")
        if self._starved:
            raise OccultaError(
                Reason.NO_CARRIERS_AT_END, "the end of the file cannot carry the conclusion"
            )
        raise OccultaError(Reason.DOES_NOT_FIT, "the private data does not fit the picture")
