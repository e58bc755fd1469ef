"""Embedding: a JPEG stream in, a marked JPEG stream out, one row of MCUs after the other.

The luminance is brought to the lattice of quality 90 and marked; other components, their tables
and the picture's metadata are kept. The output is baseline JPEG with the Huffman tables of T.81 K.3
and a restart marker before each row of MCUs, so that a damaged row takes no other one with it.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import replace

from occulta.codec import crypto, kernels
from occulta.codec.dct import ZIGZAG
from occulta.codec.fec.message import TurboCode
from occulta.codec.jpeg.coefficient_frame import BLOCK, CoefficientFrame, Row
from occulta.codec.jpeg.coefficients import CoefficientReader, Header
from occulta.codec.jpeg.writer import CoefficientWriter, clip
from occulta.errors import OccultaError, Reason
from occulta.limits import DEFAULT_LIMITS, Limits
from occulta.schemes.robust.layout import layout_of, permutation, stride, tiles_across
from occulta.schemes.robust.message import most_bits, seal, to_bits
from occulta.schemes.robust.profiles import GROUP, TABLE, Profile

KERNEL = "occulta.schemes.robust.marking_kernel"
_SIDE = 8
_ADOBE = b"\xff\xee"
_ADOBE_SIZE = 16
_JFIF = b"\xff\xe0"
_JFIF_SIZE = 18
_SCRATCH = 144
_WORK = 38
_TURNED = tuple(at % _SIDE * _SIDE + at // _SIDE for at in ZIGZAG)
"""Where in the transposed block each coefficient of the zigzag lies."""

Coder = Callable[[int, int], bytes]
"""From width and height in pixels to coded bits, a byte each; raises OccultaError."""


class RowMarker:
    """Embeds coded bits into the luminance of one picture, row of blocks by row of blocks."""

    def __init__(
        self, profile: Profile, fingerprint: bytes, width: int, coded: bytes,
        kernel: str | None = None,
    ) -> None:
        """`width` in pixels; `coded` one bit per byte, any number of them but none.

        Raises ValueError for no bits.
        """
        if not coded:
            raise ValueError("no bits to embed")
        self._kernel = kernels.load_kernel(KERNEL, kernel)
        self._profile = profile
        self._across = width // _SIDE
        self._tiles = tiles_across(self._across)
        self._layout = layout_of(fingerprint, profile.slots)
        self._sent = bytearray(len(coded))
        self._kernel.spread(
            memoryview(bytearray(coded)), stride(len(coded)), memoryview(self._sent)
        )
        self._plan, self._cosets = profile.plan(), _cosets()
        self._pattern = bytearray(self._layout.pattern)
        self._turned, self._table = array("i", _TURNED), array("i", TABLE)
        self._rough = array("d", bytes(8 * self._across))
        self._even = permutation(self._across, 0)
        """The order in which blocks of equal roughness are taken: all over the row."""
        self._scratch = array("d", bytes(8 * _SCRATCH))
        self._work = array("q", bytes(8 * _WORK))

    def mark(self, coefficients: memoryview, row: int) -> None:
        """Mark one row of blocks in place: shorts, quantised at quality 90, zigzag order."""
        if not self._across:
            return
        self._kernel.mark(
            coefficients, memoryview(self._chosen(coefficients)), self._across, row,
            memoryview(self._plan), len(self._profile.carriers), self._profile.grouped,
            memoryview(self._cosets), memoryview(self._layout.first),
            memoryview(self._layout.order), memoryview(self._layout.turns),
            memoryview(self._pattern),
            memoryview(self._sent), self._tiles, memoryview(self._work),
        )

    def _chosen(self, coefficients: memoryview) -> bytearray:
        """A byte per block; of a halved profile 1 for the rougher half of the row (SVD-IRM)."""
        if not self._profile.halved:
            return bytearray(b"\1") * self._across
        self._kernel.roughness(
            coefficients, memoryview(self._table), memoryview(self._turned), self._across,
            memoryview(self._scratch), memoryview(self._rough),
        )
        chosen = bytearray(self._across)
        for column in sorted(self._even, key=self._rough.__getitem__)[self._across // 2 :]:
            chosen[column] = 1
        return chosen


class CodedMarker:
    """The stream: `feed(chunk) -> bytes`, `finish() -> bytes`; holds one row of MCUs."""

    def __init__(
        self, profile: Profile, fingerprint: bytes, coder: Coder,
        limits: Limits = DEFAULT_LIMITS, kernel: str | None = None,
    ) -> None:
        """`coder` is asked once, when the picture's size is known."""
        self._profile, self._fingerprint, self._coder = profile, fingerprint, coder
        self._kernel_choice = kernel
        self._kernel = kernels.load_kernel(KERNEL, kernel)
        self._reader = CoefficientReader(limits, kernel)
        self._writer: CoefficientWriter | None = None

    def feed(self, chunk: bytes) -> bytes:
        """Take more of the picture; return what is marked by now; raises OccultaError."""
        out = bytearray()
        for row in self._reader.stream(chunk):
            out += self._row(row)
        return bytes(out)

    def finish(self) -> bytes:
        """The picture has ended: the rest; raises OccultaError."""
        out = b"".join(self._row(row) for row in self._reader.finish())
        assert self._writer is not None  # a picture has a row at least
        return out + self._writer.end()

    def _row(self, row: Row) -> bytes:
        head = b"" if self._writer else self._begin()
        assert self._writer is not None
        luminance = row.planes[0]
        self._kernel.requantise(
            memoryview(luminance), memoryview(self._source), memoryview(self._target)
        )
        for plane in row.planes:
            clip(plane, self._kernel_choice)
        self._mark(luminance, row.number)
        return head + self._writer.row(row.planes)

    def _begin(self) -> bytes:
        header = self._reader.header
        assert header is not None
        frame = header.frame
        check_luminance(header)
        coded = self._coder(frame.width, frame.height)
        self._rows = RowMarker(
            self._profile, self._fingerprint, frame.width, coded, self._kernel_choice
        )
        self._source = array("i", frame.components[0].table)
        self._target = array("i", TABLE)
        marked = replace(frame.components[0], table=TABLE)
        written = CoefficientFrame(
            frame.width, frame.height, (marked, *frame.components[1:])
        )
        self._frame = frame
        self._writer = CoefficientWriter(written, header.segments, self._kernel_choice)
        return self._writer.begin()

    def _mark(self, luminance: array[int], number: int) -> None:
        size = BLOCK * self._frame.across(0)
        rows = self._frame.components[0].vertical
        with memoryview(luminance) as view:
            for line in range(rows):
                row = number * rows + line
                if row < self._frame.height // _SIDE:
                    self._rows.mark(view[line * size : (line + 1) * size], row)


class Marker(CodedMarker):
    """Hides private data for one recipient."""

    def __init__(
        self, profile: Profile, recipient: crypto.PublicKey, private: bytes,
        signing_key: crypto.SigningKey | None = None, limits: Limits = DEFAULT_LIMITS,
        kernel: str | None = None,
    ) -> None:
        """`feed` raises OccultaError(DOES_NOT_FIT) when the picture turns out too small."""
        self.message_bits = 0
        """Of the message, once the picture's size is known; 0 before."""

        def code(width: int, height: int) -> bytes:
            most = most_bits(profile, width, height)
            bits = to_bits(seal(private, most, recipient, signing_key))
            self.message_bits = len(bits)
            return TurboCode(len(bits), kernel=kernel).encode(bits)

        super().__init__(profile, recipient.fingerprint, code, limits, kernel)


def mark_coded(jpeg: bytes, profile: Profile, fingerprint: bytes, coded: bytes) -> bytes:
    """A whole picture marked with coded bits of any code; raises OccultaError."""
    marker = CodedMarker(profile, fingerprint, lambda width, height: coded)
    return marker.feed(jpeg) + marker.finish()


def check_luminance(header: Header) -> None:
    """Raises OccultaError(NO_LUMINANCE) unless the first component is a full luminance."""
    components = header.frame.components
    largest = max(component.horizontal for component in components)
    tallest = max(component.vertical for component in components)
    first = components[0]
    if len(components) not in (1, 3) or (len(components) == 3 and _is_rgb(header)):
        raise OccultaError(Reason.NO_LUMINANCE, "the picture is neither gray nor YCbCr")
    if (first.horizontal, first.vertical) != (largest, tallest):
        raise OccultaError(Reason.NO_LUMINANCE, "the picture's luminance is subsampled")


def _is_rgb(header: Header) -> bool:
    """Of three components, as libjpeg guesses it (jdapimin.c, default_decompress_parms)."""
    segments = header.segments
    if any(s.startswith(_JFIF) and s[4:9] == b"JFIF\0" and len(s) >= _JFIF_SIZE for s in segments):
        return False
    adobe = [s for s in segments if s.startswith(_ADOBE) and s[4:9] == b"Adobe"]
    transforms = [s[_ADOBE_SIZE - 1] for s in adobe if len(s) >= _ADOBE_SIZE]
    if transforms:
        return transforms[-1] == 0
    return bytes(component.identifier for component in header.frame.components) == b"RGB"


def _cosets() -> array[int]:
    """For each syndrome the 16 sets of carriers that have it, a bit for each carrier."""
    found: list[list[int]] = [[] for _ in range(8)]
    for members in range(1 << GROUP):
        syndrome = 0
        for carrier in range(GROUP):
            if members >> carrier & 1:
                syndrome ^= carrier + 1
        found[syndrome].append(members)
    return array("i", (members for each in found for members in each))
