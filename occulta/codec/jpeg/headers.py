"""Frame and scan headers (ITU-T T.81 B.2.2, B.2.3) and what a scan is made of (A.2)."""

from __future__ import annotations

from dataclasses import dataclass

from occulta.codec.jpeg import markers
from occulta.codec.jpeg.huffman import AC, DC
from occulta.codec.jpeg.tables import slot_of
from occulta.errors import OccultaError, Reason
from occulta.limits import Limits

MAX_BLOCKS_IN_MCU = 10


@dataclass(frozen=True, slots=True)
class Component:
    """One colour component: identifier, sampling factors (1..4)."""

    identifier: int
    horizontal: int
    vertical: int


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame header. `height` is 0 while a DNL segment still has to give it."""

    marker: int
    precision: int
    height: int
    width: int
    components: tuple[Component, ...]

    @property
    def progressive(self) -> bool:
        """True for SOF2."""
        return self.marker == markers.SOF2

    @property
    def max_horizontal(self) -> int:
        """Largest horizontal sampling factor."""
        return max(c.horizontal for c in self.components)

    @property
    def max_vertical(self) -> int:
        """Largest vertical sampling factor."""
        return max(c.vertical for c in self.components)


def refuse_frame_type(marker: int) -> None:
    """Raise the numbered reason of a frame type that is not Huffman-coded DCT."""
    if marker in markers.ARITHMETIC_FRAMES:
        raise OccultaError(Reason.ARITHMETIC, "the picture is arithmetic-coded")
    if marker in markers.LOSSLESS_FRAMES:
        raise OccultaError(Reason.LOSSLESS, "the picture is a lossless JPEG")
    if marker in markers.HIERARCHICAL:
        raise OccultaError(Reason.HIERARCHICAL, "the picture is a hierarchical JPEG")


def parse_frame(marker: int, body: bytes, limits: Limits) -> Frame:
    """Parse a SOF0, SOF1 or SOF2 segment's body; raises OccultaError."""
    if len(body) < 6 or len(body) != 6 + 3 * body[5]:
        raise OccultaError(Reason.BAD_FRAME, "the frame header has the wrong length")
    precision, height, width = body[0], _word(body, 1), _word(body, 3)
    _check_frame_values(marker, precision, height, width, limits)
    components = tuple(
        Component(body[at], body[at + 1] >> 4, body[at + 1] & 15) for at in range(6, len(body), 3)
    )
    identifiers = {c.identifier for c in components}
    if not 1 <= len(components) <= 4 or len(identifiers) != len(components):
        raise OccultaError(Reason.BAD_FRAME, "the frame header has impossible components")
    if any(not (1 <= c.horizontal <= 4 and 1 <= c.vertical <= 4) for c in components):
        raise OccultaError(Reason.BAD_FRAME, "the frame header has impossible sampling factors")
    return Frame(marker, precision, height, width, components)


def _check_frame_values(
    marker: int, precision: int, height: int, width: int, limits: Limits
) -> None:
    if precision != 8 and (precision != 12 or marker == markers.SOF0):
        raise OccultaError(Reason.BAD_FRAME, f"a sample precision of {precision} bits")
    if width == 0:
        raise OccultaError(Reason.BAD_FRAME, "the picture has no width")
    if max(width, height) > limits.max_dimension:
        raise OccultaError(Reason.LIMIT_DIMENSIONS, f"the picture is {width}x{height} samples")


def _word(body: bytes, at: int) -> int:
    return body[at] << 8 | body[at + 1]


@dataclass(frozen=True, slots=True)
class Scan:
    """What the kernel needs to know of one scan.

    `blocks` lists (DC slot, AC slot) per block of an MCU; `mcus` is the number of MCUs;
    `tables` are the (class, destination) pairs that its codes come from.
    """

    blocks: tuple[tuple[int, int], ...]
    mcus: int
    spectral_start: int
    spectral_end: int
    progressive: bool
    refinement: bool
    tables: tuple[tuple[int, int], ...]
    mcus_per_row: int
    edges: tuple[int, ...]
    """Per block of an MCU: 1 if it lies beyond the picture in a row's last MCU, 2 if it does in
    the last row of MCUs (T.81 A.2.4)."""

    @property
    def total_blocks(self) -> int:
        """Blocks in the scan, padding blocks included."""
        return self.mcus * len(self.blocks)


def parse_scan(body: bytes, frame: Frame, limits: Limits) -> Scan:
    """Parse a SOS segment's body against its frame; raises OccultaError."""
    if len(body) < 4 or len(body) != 4 + 2 * body[0] or not 1 <= body[0] <= 4:
        raise OccultaError(Reason.BAD_SCAN, "the scan header has the wrong length")
    chosen = [
        (_component(frame, body[at]), body[at + 1] >> 4, body[at + 1] & 15)
        for at in range(1, 1 + 2 * body[0], 2)
    ]
    if len({c.identifier for c, _, _ in chosen}) != len(chosen):
        raise OccultaError(Reason.BAD_SCAN, "a scan names a component twice")
    if any(dc > 3 or ac > 3 for _, dc, ac in chosen):
        raise OccultaError(Reason.BAD_SCAN, "a scan names an impossible table")
    start, end, approximation = body[-3:]
    if frame.progressive:
        _check_progression(start, end, len(chosen))
    else:
        start, end, approximation = 0, 63, 0
    return _build_scan(chosen, frame, start, end, approximation >> 4, limits)


def _component(frame: Frame, identifier: int) -> Component:
    for component in frame.components:
        if component.identifier == identifier:
            return component
    raise OccultaError(Reason.BAD_SCAN, f"a scan names component {identifier}, which is not there")


def _check_progression(start: int, end: int, components: int) -> None:
    if start > end or end > 63 or (start == 0) != (end == 0) or (start and components > 1):
        raise OccultaError(Reason.BAD_SCAN, f"a progressive scan of coefficients {start} to {end}")


def _build_scan(
    chosen: list[tuple[Component, int, int]], frame: Frame, start: int, end: int, high: int,
    limits: Limits,
) -> Scan:
    blocks: list[tuple[int, int]] = []
    edges: list[int] = []
    for component, dc, ac in chosen:
        beyond = _edges(component, frame) if len(chosen) > 1 else [0]
        blocks += [(slot_of(DC, dc), slot_of(AC, ac))] * len(beyond)
        edges += beyond
    if len(blocks) > MAX_BLOCKS_IN_MCU:
        raise OccultaError(Reason.BAD_SCAN, f"{len(blocks)} blocks in an MCU")
    across, down = _mcu_grid([c for c, _, _ in chosen], frame)
    mcus = across * down
    if mcus * len(blocks) > limits.max_blocks:
        raise OccultaError(Reason.LIMIT_BLOCKS, f"{mcus * len(blocks)} blocks in one scan")
    tables = {(DC, dc) for _, dc, _ in chosen if start == 0}
    tables |= {(AC, ac) for _, _, ac in chosen if end > 0}
    if high and start == 0:
        tables = set()  # a DC refinement scan is raw bits
    return Scan(
        tuple(blocks), mcus, start, end, frame.progressive, high > 0, tuple(sorted(tables)),
        across, tuple(edges),
    )


def _edges(component: Component, frame: Frame) -> list[int]:
    """Which of a component's blocks in an MCU lie beyond the picture at its right and bottom."""
    wide = _ceil(_ceil(frame.width * component.horizontal, frame.max_horizontal), 8)
    high = _ceil(_ceil(frame.height * component.vertical, frame.max_vertical), 8)
    right = (wide - 1) % component.horizontal
    bottom = (high - 1) % component.vertical
    return [
        (x > right) | (y > bottom) << 1
        for y in range(component.vertical)
        for x in range(component.horizontal)
    ]


def _mcu_grid(components: list[Component], frame: Frame) -> tuple[int, int]:
    """MCUs of a scan across and down: T.81 A.2.2 (one component), A.2.3 (several)."""
    if len(components) > 1:
        across = _ceil(frame.width, 8 * frame.max_horizontal)
        return across, _ceil(frame.height, 8 * frame.max_vertical)
    only = components[0]
    width = _ceil(frame.width * only.horizontal, frame.max_horizontal)
    height = _ceil(frame.height * only.vertical, frame.max_vertical)
    return _ceil(width, 8), _ceil(height, 8)


def _ceil(value: int, divisor: int) -> int:
    return -(-value // divisor)
