"""A baseline JPEG encoder for quantised coefficients, one row of MCUs after the other.

The Huffman tables are those of ITU-T T.81 K.3, and each row of MCUs is one restart interval: a
damaged row takes no other one with it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

from occulta.codec import kernels
from occulta.codec.jpeg import coefficient_kernel as rows_layout
from occulta.codec.jpeg import entropy_kernel as layout
from occulta.codec.jpeg import markers
from occulta.codec.jpeg.coefficient_frame import BLOCK, CoefficientFrame
from occulta.codec.jpeg.coefficients import KERNEL
from occulta.codec.jpeg.huffman import AC, ANNEX_K, DC, HuffmanTable, dht_segment
from occulta.codec.jpeg.quantisation import Table, dqt_segment

LARGEST_AC = rows_layout.LARGEST_AC
"""AC coefficients lie in -1023..1023: 10 bits (T.81 F.1.2.2.1)."""
LARGEST_DIFFERENCE = rows_layout.LARGEST_DIFFERENCE
"""DC coefficients of a component differ by at most this from block to block: 11 bits."""
JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
"""An APP0 segment without density (ITU-T T.871), for pictures without segments of their own."""
_OUTPUT = 1 << 16
_SIZES = bytes(value.bit_length() for value in range(LARGEST_DIFFERENCE + 1))
_ORDINALS = bytes(
    at for _, at in sorted(
        ((rows_layout.DE_BRUIJN << at) % (1 << 64) >> 58, at) for at in range(64)
    )
)
_EOI = b"\xff\xd9"


class CoefficientWriter:
    """Writes a sequential 8-bit JPEG file: `begin`, `row` for each row of MCUs, `end`.

    Baseline (SOF0); SOF1 if a divisor is above 255, which baseline has no room for. The first
    component is coded with the tables for luminance, the others with those for chrominance.
    """

    def __init__(
        self, frame: CoefficientFrame, segments: Iterable[bytes] = (JFIF,),
        kernel: str | None = None,
    ) -> None:
        """`segments`: whole APPn and COM segments to write behind SOI.

        Raises ValueError for a frame that cannot be written.
        """
        frame.check()
        self.frame = frame
        self._segments = tuple(segments)
        self._kernel = kernels.load_kernel(KERNEL, kernel)
        self._state = array("Q", bytes(8 * rows_layout.STATE_SIZE))
        self._params = array("q", bytes(8 * rows_layout.PARAMS_SIZE))
        self._params[layout.BLOCKS_PER_MCU] = frame.blocks_per_mcu
        self._blocks = array("i")
        for at, component in enumerate(frame.components):
            codes = 2 * 256 * min(at, 1)
            for _ in range(component.horizontal * component.vertical):
                self._blocks.extend([codes, codes + 256, at])
        self._places = frame.places()
        self._codes = array("Q", [
            code for slot in (0, 1) for kind in (DC, AC) for code in _codes(ANNEX_K[kind, slot])
        ])
        self._sizes, self._ordinals = bytearray(_SIZES), bytearray(_ORDINALS)
        self._out = bytearray(_OUTPUT)
        self._done = 0

    def begin(self) -> bytes:
        """Everything up to the end of the SOS segment."""
        components = self.frame.components
        tables = _distinct(component.table for component in components)
        slots = range(min(2, len(components)))
        return b"".join([
            b"\xff\xd8", *self._segments, dqt_segment(tables), self._sof(tables),
            dht_segment([(kind, slot, ANNEX_K[kind, slot]) for slot in slots for kind in (DC, AC)]),
            _segment(markers.DRI, self.frame.mcus_across.to_bytes(2, "big")), self._sos(),
        ])

    def row(self, planes: Sequence[array[int]]) -> bytes:
        """The next row of MCUs, a restart marker before it unless it is the first.

        `planes` as in `Row.planes`. Raises ValueError for a row too many, sizes that do not fit the
        frame, or a value beyond LARGEST_AC or LARGEST_DIFFERENCE (nothing is written then).
        """
        if self._done == self.frame.rows:
            raise ValueError("the picture is complete")
        if [len(plane) for plane in planes] != self.frame.row_sizes():
            raise ValueError("a row of MCUs of the wrong size")
        coefficients = planes[0] if len(planes) == 1 else array("h", b"".join(planes))
        if coefficients.typecode != "h":
            raise ValueError("coefficients must be an array('h')")
        found = [] if not self._done else [bytes([0xFF, markers.RST0 + (self._done - 1) % 8])]
        self._encode(coefficients, found)
        self._done += 1
        return b"".join(found)

    def end(self) -> bytes:
        """EOI; raises ValueError while rows are missing."""
        if self._done != self.frame.rows:
            raise ValueError(f"{self._done} rows of {self.frame.rows} have been written")
        return _EOI

    def _encode(self, coefficients: array[int], found: list[bytes]) -> None:
        self._state[:] = array("Q", bytes(8 * rows_layout.STATE_SIZE))
        self._state[rows_layout.ROW_LEFT] = self.frame.mcus_across
        status = layout.NEED_OUTPUT
        while status == layout.NEED_OUTPUT:
            status = self._kernel.encode(
                memoryview(self._state), memoryview(self._params), memoryview(coefficients),
                memoryview(self._blocks), memoryview(self._places), memoryview(self._codes),
                memoryview(self._sizes), memoryview(self._ordinals), memoryview(self._out),
            )
            found.append(bytes(memoryview(self._out)[: self._state[layout.OUT_POS]]))
        if status == rows_layout.OUT_OF_RANGE:
            column = self._state[layout.COLUMN]
            raise ValueError(f"a coefficient beyond baseline in MCU {column} of row {self._done}")

    def _sof(self, tables: list[Table]) -> bytes:
        frame = self.frame
        deep = any(max(table) > 255 for table in tables)
        body = bytes([8]) + frame.height.to_bytes(2, "big") + frame.width.to_bytes(2, "big")
        body += bytes([len(frame.components)])
        for c in frame.components:
            body += bytes([c.identifier, c.horizontal << 4 | c.vertical, tables.index(c.table)])
        return _segment(markers.SOF1 if deep else markers.SOF0, body)

    def _sos(self) -> bytes:
        components = self.frame.components
        chosen = [(c.identifier, 0x11 * min(at, 1)) for at, c in enumerate(components)]
        body = bytes([len(chosen)]) + b"".join(bytes(pair) for pair in chosen)
        return _segment(markers.SOS, body + b"\x00\x3f\x00")


def clip(coefficients: array[int], kernel: str | None = None) -> int:
    """Bring an array('h') of blocks to what can always be written, in place.

    DC to -1024..1023 (then no difference is too large), AC to -1023..1023. Returns how many values
    were beyond. Raises ValueError for anything but whole blocks.
    """
    if coefficients.typecode != "h" or len(coefficients) % BLOCK:
        raise ValueError("coefficients must be whole blocks in an array('h')")
    return int(kernels.load_kernel(KERNEL, kernel).clip(memoryview(coefficients)))


def _codes(table: HuffmanTable) -> list[int]:
    """What `encode` looks up, by symbol: code << extra bits << 8 | bits of both."""
    found = [0] * 256
    for symbol, (code, length) in table.by_symbol.items():
        extra = symbol & 15
        found[symbol] = code << extra << 8 | length + extra
    return found


def _distinct(tables: Iterable[Table]) -> list[Table]:
    return list(dict.fromkeys(tables))


def _segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body
