"""Which profile marked a file."""

from __future__ import annotations

from occulta.codec.jpeg import markers
from occulta.codec.jpeg.huffman import parse_dht
from occulta.codec.jpeg.structure import Item, JpegBuffer
from occulta.limits import DEFAULT_LIMITS, Limits
from occulta.schemes.reversible.mark import EXACT, PAPER


class ProfileSniffer:
    """Looks at the Huffman tables: only `exact` repeats symbols."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.profile = PAPER
        self._buffer = JpegBuffer(limits)

    def feed(self, chunk: bytes) -> None:
        """Take a chunk of the file; raises OccultaError."""
        if self.profile == PAPER:
            self._buffer.append(chunk)
            self._look()

    def finish(self) -> int:
        """The profile; raises OccultaError for a file that is no JPEG."""
        if self.profile == PAPER:
            self._buffer.close()
        return self.profile

    def _look(self) -> None:
        buffer = self._buffer
        while buffer.items and buffer.items[0].end is not None:
            item = buffer.items.popleft()
            if item.marker == markers.DHT and self._repeats(item):
                self.profile = EXACT
        buffer.forget_scanned()

    def _repeats(self, item: Item) -> bool:
        body = self._buffer.copy(item.body, item.end or 0)
        return any(table.has_repeats for _, _, table in parse_dht(body))
