"""A frame in, its shares out: segments of whole rows of cells, each under its own key stream."""

from __future__ import annotations

import hashlib

from occulta.codec.crypto import SigningKey
from occulta.codec.jpeg.cells import CellKeys, CellReader, Cut, Stretch
from occulta.limits import DEFAULT_LIMITS, Limits
from occulta.schemes.shares.conclusion import Conclusion
from occulta.schemes.shares.header import Form
from occulta.schemes.shares.keys import ShareSet
from occulta.schemes.shares.segments import (
    MAX_DATA,
    TARGET,
    Kind,
    Segment,
    SetKeys,
    ShareMac,
    encrypt,
    key_stream,
)


class _PlainReader:
    """In a CellReader's place: nothing is looked into."""

    geometry = None
    size = None

    def feed(self, chunk: bytes) -> list[Stretch]:
        return [Stretch(chunk, None, 0, b"")]

    def finish(self) -> list[Stretch]:
        return []


class Splitter:
    """Splits one JPEG; every call returns the next bytes of each share, in order of index.

    Holds one segment: 32 KiB and a row of cells. Output does not depend on how the input was cut.
    """

    def __init__(
        self, made: ShareSet, signing_key: SigningKey | None = None,
        limits: Limits = DEFAULT_LIMITS, kernel: str | None = None, *, cells: bool = True,
    ) -> None:
        """`made` comes from keys.create_set; `kernel`: see kernels.load_kernel.

        `cells` false takes any bytes, as segments that are located as a whole: for what is no JPEG
        or a damaged one.
        """
        first = made.shares[0].clear
        self.segments = 0
        """Segments written so far."""
        self.padding = 0
        """Bytes of padding so far, in each share with a body."""
        self._made = made
        self._signing_key = signing_key
        self._keys = SetKeys(made.set_key, first.set_id)
        self._macs = [ShareMac(share.mac_key, share.header) for share in made.shares]
        self._reader = (
            CellReader(limits, CellKeys(self._keys.cells), kernel) if cells else _PlainReader()
        )
        self._digest = hashlib.sha256()
        self._length = 0
        self._data = bytearray()
        self._hashes = bytearray()
        self._cut: Cut | None = None
        self._mcus = 0
        self._out = [bytearray(share.header) for share in made.shares]

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the picture in pixels; None until known, and without cells."""
        return self._reader.size

    @property
    def has_cells(self) -> bool:
        """Whether damage can be located to cells; False before the scan, and where it cannot."""
        return self._reader.geometry is not None

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take more of the file; raises OccultaError for a damaged one."""
        self._digest.update(chunk)
        self._length += len(chunk)
        for stretch in self._reader.feed(chunk):
            self._add(stretch)
        return self._take()

    def finish(self) -> list[bytes]:
        """The file has ended; raises OccultaError for a damaged one."""
        for stretch in self._reader.finish():
            self._add(stretch)
        self._flush()
        made = self._made
        conclusion = Conclusion(self._length, self._digest.digest(), made.fingerprints)
        if self._signing_key is not None:
            conclusion = conclusion.signed(self._signing_key, made.shares[0].clear)
        self._put(Segment(Kind.CONCLUSION, conclusion.encode()))
        return self._take()

    def _take(self) -> list[bytes]:
        taken = [bytes(out) for out in self._out]
        for out in self._out:
            out.clear()
        return taken

    def _add(self, stretch: Stretch) -> None:
        geometry = self._reader.geometry
        if stretch.cut is None or geometry is None or len(stretch.data) > MAX_DATA - TARGET:
            self._add_plain(stretch.data)
            return
        if self._cut is None:
            self._flush()
            self._cut = stretch.cut
        columns, row = geometry.grid.columns, geometry.row_of(stretch.cut.mcu)
        self._data += stretch.data
        self._hashes += self._made.regions.chosen(stretch.hashes, row, columns)
        self._mcus += stretch.mcus
        if len(self._data) >= TARGET:
            self._flush()

    def _add_plain(self, data: bytes) -> None:
        if self._cut is not None:
            self._flush()
        self._data += data
        while len(self._data) >= TARGET:
            self._put(Segment(Kind.PLAIN, bytes(self._data[:TARGET])))
            del self._data[:TARGET]

    def _flush(self) -> None:
        """End the segment under way."""
        if not self._data and self._cut is None:
            return  # a row may lie wholly in the byte before it: it has no data, and its hashes
        kind = Kind.PLAIN if self._cut is None else Kind.CELLS
        self._put(Segment(kind, bytes(self._data), self._cut, self._mcus, bytes(self._hashes)))
        self._data.clear()
        self._hashes.clear()
        self._cut, self._mcus = None, 0

    def _put(self, segment: Segment) -> None:
        number = self.segments
        body = self._keys.pack(number, segment)
        cipher = encrypt(self._made.frame_key, number, body)
        digest = hashlib.sha256(cipher).digest()
        for share, mac, out in zip(self._made.shares, self._macs, self._out, strict=True):
            mark = self._keys.mark(share.clear.index, number)
            if share.clear.form is Form.STREAM:
                stream = key_stream(self._made.frame_key, number, len(body))
                found = mac.of(number, mark, hashlib.sha256(stream).digest())
                out.extend(mark + stream + found)
            elif share.clear.form is not Form.SEED:
                out.extend(mark + cipher + mac.of(number, mark, digest))
        self.segments += 1
        self.padding += segment.padding
