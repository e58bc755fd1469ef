"""Damaged files: what can still be read is read, in its place, and nothing is raised.

Proves that a whole file is read whole, that each kind of damage costs the rows it hits and no other
ones, that bits turned over in markers cost nothing, and that no bytes behind the headers make it
fail or take more memory than the limits say.
"""

from __future__ import annotations

import tracemalloc
from array import array
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.codec.jpeg.coefficients import Header
from occulta.codec.jpeg.raster import encode_gray
from occulta.codec.jpeg.salvage import DECODED, DOUBTFUL, LOST, Salvaged, salvage
from occulta.codec.jpeg.writer import CoefficientWriter
from occulta.errors import OccultaError, Reason
from occulta.limits import Limits
from tests.coefficient_pictures import FACTORS, frame_of, gray, plane, random_rows, read, write
from tests.encoder import segment
from tests.jpegs import PLAIN, find, sample, with_fill_bytes
from tests.support import by_kernel

ROWS, ACROSS = 24, 12
SMALL = Limits(max_blocks=20_000)


@cache
def made() -> bytes:
    """A restart interval per row of blocks."""
    pixels = gray(6, 8 * ACROSS, 8 * ROWS, noise=20)
    return encode_gray(pixels.tobytes(), 8 * ACROSS, 8 * ROWS, 85)


@cache
def whole() -> np.ndarray:
    return np.array(plane(*read(made()))).reshape(ROWS, 64 * ACROSS)


def scan_start(data: bytes) -> int:
    return find(data, 0xDA)[1]


def row_starts(data: bytes) -> list[int]:
    """Where the data of each row begins, and EOI."""
    first = scan_start(data)
    marks = [at + 2 for at in range(first, len(data) - 2)
             if data[at] == 0xFF and 0xD0 <= data[at + 1] <= 0xD7]
    return [first, *marks, len(data) - 2]


def states(found: Salvaged) -> list[set[int]]:
    """The flags that occur in each row."""
    return [set(found.flags[at : at + found.across]) for at in range(0, len(found.flags), ACROSS)]


def assert_right(found: Salvaged, rows: list[int]) -> None:
    """These rows are decoded, with the right coefficients."""
    values = np.array(found.coefficients).reshape(ROWS, -1)
    for row in rows:
        assert states(found)[row] == {DECODED}
        assert np.array_equal(values[row], whole()[row])


def others(*hit: int) -> list[int]:
    return [row for row in range(ROWS) if row not in hit]


def lost_is_zero(found: Salvaged) -> bool:
    blocks = np.array(found.coefficients).reshape(-1, 64)
    return not blocks[np.frombuffer(found.flags, np.uint8) == LOST].any()


@pytest.mark.parametrize("kind", [k for k in PLAIN if k not in ("not_interleaved", "redeclared")])
def test_whole_files(kind: str) -> None:
    header, rows = read(sample(kind))
    for data in (sample(kind), write(header, rows)):
        found = salvage(data)
        assert found.header.frame == header.frame
        assert found.coefficients == plane(header, rows)
        assert set(found.flags) == {DECODED}
        assert (found.across, found.down) == (header.frame.across(0), header.frame.down(0))
        assert found.table == header.frame.components[0].table


@pytest.mark.parametrize("factors", FACTORS)
def test_any_sampling(factors: tuple[tuple[int, int], ...]) -> None:
    frame = frame_of(factors, 41, 70)
    rows = random_rows(frame)
    data = write(Header(frame, ()), rows)
    found = salvage(data)
    assert found.coefficients == plane(Header(frame, ()), rows)
    middle = row_starts(data)[1]
    cut = salvage(data[: middle + 3])
    size = frame.row_sizes()[0]
    assert cut.coefficients[:size] == rows[0].planes[0]
    assert cut.flags[: size // 64] == bytes([DECODED]) * (size // 64)
    assert DECODED not in cut.flags[size // 64 :]


@pytest.mark.parametrize("row", [0, 11, ROWS - 1])
def test_zeros_within_a_row(row: int) -> None:
    starts = row_starts(made())
    at = (starts[row] + starts[row + 1]) // 2
    data = made()[: at - 10] + bytes(20) + made()[at + 10 :]
    found = salvage(data)
    assert_right(found, others(row))
    flags = found.flags[row * ACROSS : (row + 1) * ACROSS]
    kept = flags.count(DOUBTFUL)
    assert flags == bytes([DOUBTFUL]) * kept + bytes(ACROSS - kept)
    values = np.array(found.coefficients).reshape(ROWS, -1)[row]
    assert kept > 3 and lost_is_zero(found)
    assert np.array_equal(values[: 64 * 3], whole()[row][: 64 * 3])


@pytest.mark.parametrize(("first", "last", "zeroed"), [
    (0, 2, True), (0, 2, False), (3, 9, True), (3, 9, False), (5, 14, True), (2, 20, True),
    (15, ROWS, True), (15, ROWS, False),
])
def test_lost_rows(first: int, last: int, zeroed: bool) -> None:
    """Of rows gone without a trace eight and more in the middle cannot be told from none."""
    starts = row_starts(made())
    a, b = starts[first] + 1, starts[last] - 3
    data = made()[:a] + bytes(b - a) * zeroed + made()[b:]
    found = salvage(data)
    assert_right(found, others(*range(first, last)))
    assert lost_is_zero(found)


def test_a_cut_file() -> None:
    data = made()
    for row in (1, 9, ROWS - 1):
        found = salvage(data[: row_starts(data)[row] + 5])
        assert_right(found, list(range(row)))
        assert set().union(*states(found)[row:]) <= {LOST, DOUBTFUL}


def test_nothing_but_headers() -> None:
    found = salvage(made()[: scan_start(made())])
    assert set(found.flags) == {LOST} and not any(found.coefficients)


@pytest.mark.parametrize("byte", [0, 1])
@pytest.mark.parametrize("bit", range(8))
def test_a_bit_of_a_marker_costs_nothing(byte: int, bit: int) -> None:
    data = bytearray(made())
    data[row_starts(made())[7] - 2 + byte] ^= 1 << bit
    assert_right(salvage(bytes(data)), others())


def test_an_invented_marker_costs_nothing() -> None:
    tried = 0
    starts = row_starts(made())
    for at in range(scan_start(made()), len(made()) - 3):
        byte, code = made()[at : at + 2]
        if byte ^ 0xFF and not (byte ^ 0xFF) & ((byte ^ 0xFF) - 1) and code and code != 0xD9:
            data = bytearray(made())
            data[at] = 0xFF
            tried += 1
            hit = max(row for row in range(ROWS) if starts[row] <= at)
            assert_right(salvage(bytes(data)), others(hit))
        if tried == by_kernel(60, 6):
            break
    assert tried > 3


def test_altered_stuffing_costs_nothing() -> None:
    at = made().index(b"\xff\x00", scan_start(made())) + 1
    for value in (0x01, 0x40, 0x80):
        assert_right(salvage(made()[:at] + bytes([value]) + made()[at + 1 :]), others())


def test_a_flipped_bit_costs_one_row() -> None:
    starts = row_starts(made())
    for at in range(starts[5] + 4, starts[6] - 4, by_kernel(9, 60)):
        data = bytearray(made())
        data[at] ^= 0x10
        assert_right(salvage(bytes(data)), others(5))


def test_a_row_with_a_wrong_number_between_right_ones() -> None:
    data = bytearray(made())
    data[row_starts(made())[4] - 1] = 0xD0
    assert_right(salvage(bytes(data)), others(3, 4))


def test_without_markers_up_to_the_first_error() -> None:
    header, rows = read(sample("gray"))
    data = sample("gray")
    at = scan_start(data) + (len(data) - scan_start(data)) // 2
    found = salvage(data[:at] + bytes(40) + data[at + 40 :])
    kept = found.flags.count(DOUBTFUL)
    assert 0 < kept < len(found.flags)
    assert found.flags == bytes([DOUBTFUL]) * kept + bytes(len(found.flags) - kept)
    assert found.coefficients[: 64 * (kept - 1)] == plane(header, rows)[: 64 * (kept - 1)]


def test_intervals_that_are_no_rows() -> None:
    data = sample("restart_blocks")
    header, rows = read(data)
    starts = row_starts(data)
    at = starts[7] + 10
    found = salvage(data[:at] + data[at + 20 :])
    flags = [set(found.flags[at : at + 3]) for at in range(0, len(found.flags), 3)]
    assert DECODED not in flags[7] and all(f == {DECODED} for f in flags[:7] + flags[8:])
    expected, values = plane(header, rows), found.coefficients
    assert values[: 21 * 64] == expected[: 21 * 64] and values[24 * 64 :] == expected[24 * 64 :]


def test_markers_behind_the_last_row() -> None:
    for extra in (b"\xff\xd7", b"\xff\xd7\xff\xd0", b"\xff\xd3\x55\xff\xd1"):
        assert_right(salvage(made()[:-2] + extra + b"\xff\xd9"), others())


def test_fill_bytes_and_what_follows_the_picture() -> None:
    data = with_fill_bytes(made()) + made()
    found = salvage(data)
    assert sum(flags == {DECODED} for flags in states(found)) >= ROWS - 1


@pytest.mark.parametrize(("make", "reason"), [
    (lambda: b"", Reason.EMPTY_INPUT),
    (lambda: b"\xff\xd8", Reason.TRUNCATED),
    (lambda: made()[:100], Reason.TRUNCATED),
    (lambda: b"P5 8 8 255", Reason.NOT_JPEG),
    (lambda: made()[:20] + b"x" + made()[21:], Reason.EXTRANEOUS_DATA),
    (lambda: b"\xff\xd8" + segment(0xDA, b"\x01\x01\x00\x00\x3f\x00"), Reason.BAD_SCAN),
    (lambda: sample("progressive"), Reason.PROGRESSIVE),
    (lambda: sample("deep"), Reason.DEEP_SAMPLES),
    (lambda: sample("not_interleaved"), Reason.SEVERAL_SCANS),
    (lambda: sample("dnl"), Reason.DNL_TOO_FAR),
])
def test_headers_that_cannot_be_read(make, reason: Reason) -> None:
    with pytest.raises(OccultaError) as caught:
        salvage(make())
    assert caught.value.reason is reason


def test_headers_that_are_known() -> None:
    end = scan_start(made())
    head = CoefficientWriter(read(made())[0].frame).begin()
    assert head == made()[:end]
    damaged = bytes(end) + made()[end:]
    assert_right(salvage(damaged, head=head), others())
    with pytest.raises(OccultaError) as caught:
        salvage(damaged)
    assert caught.value.reason is Reason.NOT_JPEG


def test_memory_is_bounded() -> None:
    data = bytearray(made())
    at = find(bytes(data), 0xC0)[0] + 5
    data[at : at + 4] = b"\xff\xf8\xff\xf8"
    with pytest.raises(OccultaError) as caught:
        salvage(bytes(data))
    assert caught.value.reason is Reason.LIMIT_BLOCKS
    data[at : at + 4] = (8 * 100).to_bytes(2, "big") * 2
    tracemalloc.start()
    try:
        found = salvage(bytes(data))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found.flags) == 10_000 and peak < 10_000 * 128 + 1_000_000


def hostile(draw, data: bytes, first: int) -> bytes:
    damaged = bytearray(data)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(first, len(damaged)))
        kind = draw(st.integers(0, 3))
        size = draw(st.integers(1, 400))
        if kind == 0:
            del damaged[at : at + size]
        elif kind == 1:
            damaged[at:at] = bytes([0xFF, 0xD0 + size % 8]) * (size % 40)
        elif kind == 2:
            damaged[at : at + 1] = bytes([size % 256])
        else:
            damaged[at : at + size] = bytes(min(size, len(damaged) - at))
    return bytes(damaged)


@settings(max_examples=by_kernel(200, 8), deadline=None)
@given(data=st.data())
def test_damage_behind_the_headers_raises_nothing(data) -> None:
    kind = data.draw(st.sampled_from(["gray", "ycc420", "restart_blocks", "restart_rows"]))
    whole_file = sample(kind, 7, 40, 32)
    found = salvage(hostile(data.draw, whole_file, scan_start(whole_file)), SMALL)
    assert len(found.flags) == found.across * found.down
    assert len(found.coefficients) == 64 * len(found.flags)
    assert set(found.flags) <= {LOST, DOUBTFUL, DECODED} and lost_is_zero(found)
    assert isinstance(found.coefficients, array)


@settings(max_examples=by_kernel(200, 8), deadline=None)
@given(data=st.data())
def test_damage_anywhere_raises_reasons_only(data) -> None:
    try:
        salvage(hostile(data.draw, sample("restart_rows", 7, 40, 32), 0), SMALL)
    except OccultaError as error:
        assert error.reason.value // 100 == 3
