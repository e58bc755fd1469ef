"""Frame and scan headers: what they mean, and every way in which they can be wrong.

Proves the numbers of blocks (T.81 A.2) on known cases, that malformed headers have their reasons,
and that limits are checked before anything depends on the sizes declared.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.codec.jpeg.headers import Frame, parse_frame, parse_scan, refuse_frame_type
from occulta.errors import OccultaError, Reason
from occulta.limits import DEFAULT_LIMITS, Limits
from tests.encoder import Picture, random_blocks
from tests.support import PROFILES, mark

EXAMPLES = settings(deadline=None, derandomize=True, database=None, max_examples=200)


def frame_body(width: int, height: int, *samplings: int, precision: int = 8) -> bytes:
    head = bytes([precision]) + height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return head + bytes([len(samplings)]) + b"".join(
        bytes([at + 1, sampling, 0]) for at, sampling in enumerate(samplings)
    )


def frame(width: int, height: int, *samplings: int, marker: int = 0xC0) -> Frame:
    return parse_frame(marker, frame_body(width, height, *samplings), DEFAULT_LIMITS)


def scan_body(*components: int, start: int = 0, end: int = 63, bits: int = 0) -> bytes:
    listed = b"".join(bytes([c, 0x11 * (c > 1)]) for c in components)
    return bytes([len(components)]) + listed + bytes([start, end, bits])


@pytest.mark.parametrize(("size", "samplings", "chosen", "mcus", "blocks"), [
    ((8, 8), (0x11,), (1,), 1, 1),
    ((9, 17), (0x11,), (1,), 6, 1),
    ((16, 16), (0x22,), (1,), 4, 1),  # one component: sampling does not matter (A.2.2)
    ((17, 16), (0x22, 0x11, 0x11), (1, 2, 3), 2, 6),
    ((17, 16), (0x22, 0x11, 0x11), (1,), 6, 1),
    ((17, 16), (0x22, 0x11, 0x11), (2,), 2, 1),
    ((33, 9), (0x21, 0x11, 0x11), (1, 2, 3), 6, 4),
    ((33, 33), (0x41, 0x11, 0x11), (1, 2, 3), 10, 6),
    ((40, 8), (0x11, 0x11, 0x11, 0x11), (1, 2, 3, 4), 5, 4),
    ((65535, 65535), (0x44, 0x11), (2,), 2048 * 2048, 1),
])
def test_blocks_of_a_scan(
    size: tuple[int, int], samplings: tuple[int, ...], chosen: tuple[int, ...], mcus: int,
    blocks: int,
) -> None:
    scan = parse_scan(scan_body(*chosen), frame(*size, *samplings), DEFAULT_LIMITS)
    assert (scan.mcus, len(scan.blocks)) == (mcus, blocks)
    assert scan.total_blocks == mcus * blocks


@pytest.mark.parametrize(("size", "samplings", "edges"), [
    ((16, 16), (0x22, 0x11, 0x11), (0, 0, 0, 0, 0, 0)),
    ((17, 16), (0x22, 0x11, 0x11), (0, 1, 0, 1, 0, 0)),
    ((16, 24), (0x22, 0x11, 0x11), (0, 0, 2, 2, 0, 0)),
    ((8, 8), (0x22, 0x11, 0x11), (0, 1, 2, 3, 0, 0)),
    ((33, 8), (0x41, 0x21), (0, 1, 1, 1, 0, 1)),
    ((49, 8), (0x41, 0x31), (0, 0, 0, 1, 0, 0, 1)),
])
def test_blocks_beyond_the_picture(
    size: tuple[int, int], samplings: tuple[int, ...], edges: tuple[int, ...]
) -> None:
    """Blocks that only fill up the last MCU of a row (1) or the last row of MCUs (2)."""
    chosen = range(1, len(samplings) + 1)
    scan = parse_scan(scan_body(*chosen), frame(*size, *samplings), DEFAULT_LIMITS)
    assert scan.edges == edges
    assert scan.mcus_per_row == -(-size[0] // (8 * max(s >> 4 for s in samplings)))
    alone = parse_scan(scan_body(1), frame(*size, *samplings), DEFAULT_LIMITS)
    assert alone.edges == (0,)


def test_tables_of_a_scan() -> None:
    colour = frame(8, 8, 0x11, 0x11, 0x11)
    scan = parse_scan(scan_body(1, 2, 3), colour, DEFAULT_LIMITS)
    assert scan.tables == ((0, 0), (0, 1), (1, 0), (1, 1))
    assert scan.blocks == ((0, 4), (1, 5), (1, 5))


@pytest.mark.parametrize(("start", "end", "bits", "tables", "refinement"), [
    (0, 0, 0x01, ((0, 0),), False), (0, 0, 0x10, (), True),
    (1, 63, 0x00, ((1, 0),), False), (1, 5, 0x21, ((1, 0),), True),
])
def test_progressive_scans(
    start: int, end: int, bits: int, tables: tuple[tuple[int, int], ...], refinement: bool
) -> None:
    gray = frame(8, 8, 0x11, marker=0xC2)
    scan = parse_scan(scan_body(1, start=start, end=end, bits=bits), gray, DEFAULT_LIMITS)
    assert (scan.tables, scan.refinement, scan.progressive) == (tables, refinement, True)


@pytest.mark.parametrize(("start", "end"), [(5, 4), (0, 5), (1, 64), (64, 64), (63, 0)])
def test_impossible_progressions(start: int, end: int) -> None:
    gray = frame(8, 8, 0x11, marker=0xC2)
    with pytest.raises(OccultaError) as caught:
        parse_scan(scan_body(1, start=start, end=end), gray, DEFAULT_LIMITS)
    assert caught.value.reason is Reason.BAD_SCAN


@pytest.mark.parametrize(("marker", "body"), [
    (0xC0, b""), (0xC0, frame_body(8, 8)), (0xC0, frame_body(8, 8, 0x11) + b"x"),
    (0xC0, frame_body(8, 8, 0x11)[:-1]), (0xC0, frame_body(0, 8, 0x11)),
    (0xC0, frame_body(8, 8, 0x01)), (0xC0, frame_body(8, 8, 0x10)), (0xC0, frame_body(8, 8, 0x51)),
    (0xC0, frame_body(8, 8, 0x11, 0x11, 0x11, 0x11, 0x11)),
    (0xC0, frame_body(8, 8, 0x11, precision=12)), (0xC1, frame_body(8, 8, 0x11, precision=16)),
    (0xC0, frame_body(8, 8, 0x11, 0x11)[:-3] + b"\x01\x11\x00"),
])
def test_malformed_frames(marker: int, body: bytes) -> None:
    with pytest.raises(OccultaError) as caught:
        parse_frame(marker, body, DEFAULT_LIMITS)
    assert caught.value.reason is Reason.BAD_FRAME


@pytest.mark.parametrize("body", [
    b"", scan_body(), scan_body(1)[:-1], scan_body(1) + b"x", scan_body(4), scan_body(1, 1),
    scan_body(1, 2, 3, 4, 5), b"\x01\x01\x40\x00\x3f\x00", b"\x01\x01\x04\x00\x3f\x00",
])
def test_malformed_scans(body: bytes) -> None:
    with pytest.raises(OccultaError) as caught:
        parse_scan(body, frame(8, 8, 0x11, 0x11, 0x11), DEFAULT_LIMITS)
    assert caught.value.reason is Reason.BAD_SCAN


def test_too_many_blocks_in_an_mcu() -> None:
    with pytest.raises(OccultaError) as caught:
        parse_scan(scan_body(1, 2, 3), frame(8, 8, 0x42, 0x21, 0x11), DEFAULT_LIMITS)
    assert caught.value.reason is Reason.BAD_SCAN


@pytest.mark.parametrize("marker", range(0xC0, 0xE0))
def test_frame_types(marker: int) -> None:
    expected = {0xC3: Reason.LOSSLESS} | dict.fromkeys((0xC9, 0xCA, 0xCB, 0xCC), Reason.ARITHMETIC)
    expected |= dict.fromkeys(
        (0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF, 0xDE, 0xDF), Reason.HIERARCHICAL
    )
    if marker not in expected:
        refuse_frame_type(marker)
        return
    with pytest.raises(OccultaError) as caught:
        refuse_frame_type(marker)
    assert caught.value.reason is expected[marker]


@EXAMPLES
@given(st.sampled_from([0xC0, 0xC1, 0xC2]), st.binary(max_size=20), st.binary(max_size=12))
def test_any_headers_parse_or_are_refused(marker: int, body: bytes, scan: bytes) -> None:
    try:
        parsed = parse_scan(scan, parse_frame(marker, body, DEFAULT_LIMITS), DEFAULT_LIMITS)
    except OccultaError as error:
        assert error.reason.value // 100 == 3
        return
    assert 0 < parsed.total_blocks <= DEFAULT_LIMITS.max_blocks


def test_dimensions_are_limited() -> None:
    limits = Limits(max_dimension=4096)
    assert parse_frame(0xC0, frame_body(4096, 4096, 0x11), limits).width == 4096
    for size in ((4097, 8), (8, 4097)):
        with pytest.raises(OccultaError) as caught:
            parse_frame(0xC0, frame_body(*size, 0x11), limits)
        assert caught.value.reason is Reason.LIMIT_DIMENSIONS


@pytest.mark.parametrize("profile", PROFILES)
def test_a_decompression_bomb_is_refused_before_anything_is_made(profile: str) -> None:
    """A few bytes that declare the largest picture there can be."""
    small = Picture([random_blocks(1, 4)] * 3, 2).to_jpeg()
    at = small.index(b"\xff\xc0") + 5
    bomb = small[:at] + b"\xff\xff\xff\xff" + small[at + 4 :]
    with pytest.raises(OccultaError) as caught:
        mark(bomb, b"", profile)
    assert caught.value.reason is Reason.LIMIT_BLOCKS
