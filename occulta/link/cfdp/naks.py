"""What a receiver asks for, and when (CCSDS 727.0-B-5, 4.6.4)."""

from __future__ import annotations

from collections.abc import Iterator

from occulta.link.cfdp.constants import Directive
from occulta.link.cfdp.intervals import Intervals
from occulta.link.cfdp.pdu import CRC_SIZE, Header, Nak, encode
from occulta.link.cfdp.settings import Remote

Range = tuple[int, int]
METADATA: Range = (0, 0)


class NakQueue:
    """Ranges that are to be asked for, told apart from what was asked and is on its way."""

    def __init__(self, header: Header, remote: Remote) -> None:
        self._header = header
        self._segments = max(1, min(remote.nak_segments, _most_requests(header, remote.max_pdu)))
        self._due = Intervals()
        self._on_the_way = Intervals()
        self._metadata = False
        self._metadata_asked = False

    def __bool__(self) -> bool:
        return bool(self._due) or self._metadata

    def want_metadata(self) -> None:
        """Ask for the metadata, unless that was done in this round."""
        self._metadata = not self._metadata_asked

    def want(self, received: Intervals, horizon: int) -> None:
        """Ask for what is missing below `horizon` and was not asked for in this round."""
        self._on_the_way.remove(0, received.front)  # it has come
        for start, end in received.gaps(0, horizon):
            for part in self._on_the_way.gaps(start, end):
                self._due.add(*part)

    def new_round(self) -> None:
        """What was asked for and has not come counts as lost."""
        self._on_the_way = Intervals()
        self._metadata_asked = False

    def pdus(self, received: Intervals, has_metadata: bool, scope_end: int) -> Iterator[bytes]:
        """NAK PDUs for all that is due and still missing; what a PDU asks for is marked so.

        A caller may stop at any PDU: a PDU that was not taken is due again. Adjoining scopes cover
        the file from 0 to `scope_end` (4.6.4.3).
        """
        start, requests = 0, self._requests(received, has_metadata)
        batch = _take(requests, self._segments)
        while batch:
            following = _take(requests, self._segments)
            end = max(start, batch[-1][1]) if following else max(scope_end, batch[-1][1])
            pdu = encode(self._header, Nak(start, end, tuple(batch)))
            yield pdu
            self._asked(batch)
            start, batch = end, following
        self._due = Intervals()
        self._metadata = False

    def _requests(self, received: Intervals, has_metadata: bool) -> Iterator[Range]:
        if self._metadata and not has_metadata:
            yield METADATA
        for start, end in list(self._due):
            yield from received.gaps(start, end)

    def _asked(self, batch: list[Range]) -> None:
        for start, end in batch:
            if (start, end) == METADATA:
                self._metadata, self._metadata_asked = False, True
            self._due.remove(start, end)
            self._on_the_way.add(start, end)


def _take(requests: Iterator[Range], count: int) -> list[Range]:
    return [request for _, request in zip(range(count), requests, strict=False)]


def _most_requests(header: Header, max_pdu: int) -> int:
    width = 8 if header.large else 4
    fixed = header.size + len(bytes([Directive.NAK])) + 2 * width + CRC_SIZE * header.crc
    return (max_pdu - fixed) // (2 * width)
