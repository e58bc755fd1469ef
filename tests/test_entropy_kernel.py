"""The compiled kernel and the plain one: the same bytes, the same counts, the same stops.

Proves on pictures of every kind, whole and past the look-ahead, with little room for output, on
damaged files and at every place where the input may end, that both kernels agree to the last bit.
Skipped where the compiled kernel is not built: then there is only one.
"""

from __future__ import annotations

import random
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occulta.codec.jpeg import engine as engine_module
from occulta.codec.jpeg import entropy_kernel as layout
from occulta.codec.jpeg.engine import KERNEL, NO_LIMIT, ScanRun
from occulta.codec.jpeg.headers import Scan
from occulta.codec.jpeg.huffman import ANNEX_K
from occulta.codec.jpeg.survey import Survey, new_histogram, survey_tables
from occulta.codec.jpeg.tables import TailTables
from occulta.codec.kernels import load_kernel
from occulta.limits import DEFAULT_LIMITS, Limits
from occulta.schemes.reversible.codes import identity_tables
from tests.encoder import WIDE_AC, WIDE_DC, Picture, Tables, random_blocks, wide_tables
from tests.fuzz import compare_kernels
from tests.jpegs import KINDS, SEQUENTIAL, sample
from tests.mutation import mutate
from tests.support import SMALL, compiled_kernel, mark, private_bytes, recover

pytestmark = pytest.mark.skipif(
    compiled_kernel() is None, reason="the compiled kernel is not built: nothing to compare"
)
KERNELS = ("plain", "compiled")
EXAMPLES = settings(deadline=None, derandomize=True, database=None, max_examples=40)


def surveyed(data: bytes, kernel: str) -> list[Any]:
    """Everything a survey counts."""
    survey = Survey(DEFAULT_LIMITS, kernel)
    survey.buffer.append(data)
    survey.buffer.close()
    survey.advance(NO_LIMIT)
    counted = [(s.scan, s.blocks, s.histogram.tolist()) for s in survey.scans]
    return [counted, survey.paddings]


@pytest.mark.parametrize("kind", KINDS)
def test_surveys(kind: str) -> None:
    plain, compiled = (surveyed(sample(kind), kernel) for kernel in KERNELS)
    assert plain == compiled
    assert sum(sum(counts) for _, _, counts in plain[0]) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_marking_and_recovery_of_small_files(kind: str) -> None:
    original = sample(kind)
    plain, compiled = (mark(original, b"secret", kernel=kernel) for kernel in KERNELS)
    assert plain == compiled
    for kernel in KERNELS:
        assert recover(plain, kernel=kernel).original == original


@pytest.mark.parametrize("profile", ["exact", "paper"])
@pytest.mark.parametrize("kind", ["gray", "ycc420", "optimised", "restart_rows", "not_interleaved"])
def test_marking_and_recovery_past_the_look_ahead(kind: str, profile: str) -> None:
    original = sample(kind, 7, *((640, 480) if profile == "paper" else (264, 200)))
    limits = Limits(hold_back=16384, quantum=1024) if profile == "paper" else SMALL
    plain, compiled = (
        mark(original, b"secret", profile, limits=limits, declared=False, kernel=kernel)
        for kernel in KERNELS
    )
    assert plain == compiled
    for kernel in KERNELS:
        assert recover(plain, profile, limits=limits, kernel=kernel).original == original


@pytest.mark.parametrize("room", [1201, 1300, 2400])
def test_little_room_for_output(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels stop for output at the same block, and the bytes do not depend on it."""
    exact, paper = sample("ycc444"), sample("ycc444", 7, 264, 200)
    expected = mark(exact, b"secret"), mark(paper, b"", "paper")
    monkeypatch.setattr(engine_module, "OUTPUT_SIZE", room)
    for kernel in KERNELS:
        assert mark(exact, b"secret", kernel=kernel) == expected[0]
        assert mark(paper, b"", "paper", kernel=kernel) == expected[1]
        assert recover(expected[0], kernel=kernel).original == exact
        assert recover(expected[1], "paper", kernel=kernel).original == paper


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files(kind: str) -> None:
    rng = random.Random(kind)
    original = sample(kind, 7, 48, 40)
    for _ in range(3):
        data = mutate(rng, original, original)
        compare_kernels(data, [len(data) // 2])


@pytest.mark.parametrize("kind", sorted(set(SEQUENTIAL) - {"deep"}))
def test_damaged_marked_files(kind: str) -> None:
    rng = random.Random(kind)
    marked = mark(sample(kind), b"secret")
    for _ in range(3):
        compare_kernels(mutate(rng, marked, marked), [])


# The kernels called directly, with the input cut at every place.

BLOCKS_ACROSS = 4


def scan_of(count: int) -> Scan:
    """Two blocks an MCU, two MCUs a row; the second block often lies beyond the picture."""
    return Scan(
        ((0, 4), (0, 4)), count // 2, 0, 63, False, False, ((0, 0), (1, 0)), 2, (0, 3)
    )


def entropy_of(seed: int, count: int, last: int, spread: int, tables: Tables) -> bytes:
    blocks = random_blocks(seed, count, last, spread)
    data = Picture([blocks], BLOCKS_ACROSS, tables=tables).to_jpeg()
    return data[data.index(b"\xff\xda") + 10 : -2]


def called(kernel: ModuleType, loop: str, mode: int, scan: Scan, source: bytes, tables: Tables,
           hidden: bytes) -> list[Any]:
    """Status and everything the kernel has written."""
    run = ScanRun(scan, 0, mode, DEFAULT_LIMITS)
    run.params[layout.LIMIT] = max(1, len(source) - 40)
    run.params[layout.HIDDEN_LIMIT] = 8 * len(hidden) - 600
    src, out, bits = bytearray(source), bytearray(6000), bytearray(hidden)
    counts = new_histogram()
    common = [memoryview(run.state), memoryview(run.params), memoryview(src), memoryview(out),
              memoryview(bits), memoryview(run.ends), memoryview(run.blocks)]
    chosen = {(kind, 0): tables[kind, 0] for kind in (0, 1)}
    if loop == "mark_tails":
        tails = TailTables()
        for (kind, slot), table in chosen.items():
            tails.set_slot(kind, slot, table)
        built = (tails.fast, tails.entries, tails.bounds, tails.tails, run.edges)
    else:
        make = survey_tables if mode == layout.SURVEY else identity_tables
        made = make(chosen, scan)
        built = (made.fast, made.entries, made.bounds, made.alternatives, counts)
    status = getattr(kernel, loop)(*common, *map(memoryview, built))
    written = bytes(out[: run.state[layout.OUT_POS]])
    state = run.state.tolist()
    on = state[layout.OUT_BITS]
    state[layout.OUT_ACC] &= (1 << on) - 1  # above the valid bits there may be anything
    return [status, state, written, bytes(bits), counts.tolist(), run.ends[:4].tolist()]


@EXAMPLES
@given(
    seed=st.integers(0, 99), count=st.integers(1, 24), last=st.integers(0, 62),
    wide=st.booleans(), spread=st.sampled_from([1, 6, 100, 3000]),
    loop=st.sampled_from(["transcode", "mark_tails"]),
    mode=st.sampled_from([layout.MARK, layout.UNMARK, layout.SURVEY]),
)
def test_the_same_stops_wherever_the_input_ends(
    seed: int, count: int, last: int, wide: bool, spread: int, loop: str, mode: int
) -> None:
    tables = wide_tables() if wide or spread > 6 else dict(ANNEX_K)
    count = max(BLOCKS_ACROSS, count - count % BLOCKS_ACROSS)
    data = entropy_of(seed, count, last, spread, tables)
    hidden = private_bytes(400, seed)
    plain, compiled = (load_kernel(KERNEL, kernel) for kernel in KERNELS)
    for end in range(1, len(data) + 1, max(1, len(data) // 40)):
        arguments = (loop, mode, scan_of(count), data[:end], tables, hidden)
        assert called(plain, *arguments) == called(compiled, *arguments)


@EXAMPLES
@given(st.binary(min_size=1, max_size=300), st.sampled_from(["transcode", "mark_tails"]),
       st.sampled_from([layout.MARK, layout.UNMARK, layout.SURVEY]), st.booleans())
def test_the_same_end_on_noise(data: bytes, loop: str, mode: int, wide: bool) -> None:
    tables: Tables = {(0, 0): WIDE_DC, (1, 0): WIDE_AC} if wide else dict(ANNEX_K)
    arguments = (loop, mode, scan_of(20), data, tables, private_bytes(400))
    results = [called(load_kernel(KERNEL, kernel), *arguments) for kernel in KERNELS]
    assert results[0][0] == results[1][0]
    if results[0][0] < layout.BAD_CODE:  # after a failure nobody looks at the rest
        assert results[0] == results[1]
