"""Speed of the turbo decoders on one core, and of another project's."""

from __future__ import annotations

import importlib
import importlib.util
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from bench.data import ROOT
from bench.report import Figure, Result, Table
from bench.turbo_channel import ITERATIONS, TWICE, K, noisy
from occulta.codec.fec.turbo import Algorithm, Decoded, Turbo
from occulta.codec.kernels import load_kernel

SIZES = (K, 2048, 6144)
REPEATS = 51
TIMED_BITS = 1 << 18
SLOW_REPEATS, SLOW_BITS = 5, 1 << 16
"""Where most blocks come to log-MAP."""
CLEAN, HOPELESS = 0.12, 0.25
"""Crossover probabilities: no block may be lost, every block takes all iterations."""
BOUNDS = {"baseline": 30.0, "AVX2": 60.0}
"""Mbit/s."""
BATCH = "occulta.codec.fec.batch_kernel"
# Those of setup.py, and the one that is the matter here.
AVX2_ARGS = ["-O3", "-ffp-contract=off", "-fno-fast-math", "-mavx2"]
PEER = "scikit-commpy"
MISSING_PEER = f"{PEER} is not installed: .venv/bin/pip install -e '.[bench]'"
PEER_BOUND = 1000

Rates = list[float]
"""Mbit/s, one for each run."""


class Blocks(NamedTuple):
    """Received blocks of one code, one after the other."""

    code: Turbo
    llrs: memoryview
    frames: int

    @property
    def megabits(self) -> float:
        return self.frames * self.code.k / 1e6


def measure(result: Result, say: Callable[[str], None]) -> None:
    """Each decoder that decides for the receiver, the scalar ones, the peer."""
    with tempfile.TemporaryDirectory() as folder:
        builds = {"baseline": load_kernel(BATCH)}
        if _has_avx2():
            say("turbo, building the batch kernel with -mavx2")
            builds["AVX2"] = _wide_kernel(Path(folder))
        else:
            result.skipped.append("this processor has no AVX2")
        say(f"turbo, speed, K = {', '.join(map(str, SIZES))}")
        found = _timed([_received(k, HOPELESS, TIMED_BITS) for k in SIZES], builds)
    rows = []
    for k in SIZES:
        rows += [_row(f"maxlog, batch, {name}", k, HOPELESS, found[k, name]) for name in builds]
        rows += _twice_rows(k)
    rows += _scalar_rows()
    for k in SIZES:
        for name in builds:
            result.figures += bounded(name, k, found[k, name])
    say("turbo, the peer")
    peer = _peer_rate(result)
    if peer:
        rows.append([f"{PEER}, turbo_decode", f"{K}", "0.00", "1", f"{peer:.6f}", f"{peer:.6f}"])
        result.figures.append(Figure(
            f"times as fast as {PEER}, K = {K}, baseline build, median of {REPEATS} runs",
            median(found[K, "baseline"]) / peer, PEER_BOUND, True, "x", 0))
    result.tables.append(Table(
        f"Speed on one core: Mbit/s, message bits over CPU time, rate 1/3, at most {ITERATIONS} "
        "iterations",
        ["decoder", "K", "BSC", "runs", "median", "best"], rows))


def _row(name: str, k: int, crossover: float, rates: Rates) -> list[str]:
    speeds = f"{median(rates):.2f}", f"{max(rates):.2f}"
    return [name, f"{k}", f"{crossover:.2f}", f"{len(rates)}", *speeds]


def bounded(name: str, k: int, rates: Rates) -> list[Figure]:
    """The best run under its bound, the median beside it."""
    build = f"{name} build, {platform.machine()}"
    what = f"maxlog, batch, K = {k}, {build}, BSC {HOPELESS}"
    return [
        Figure(f"{what}, best of {len(rates)} runs", max(rates), BOUNDS[name], True, "Mbit/s", 1),
        Figure(f"{what}, median", median(rates), unit="Mbit/s", digits=1),
    ]


def _received(k: int, crossover: float, bits: int) -> Blocks:
    code, frames = Turbo(k), max(16, bits // k // 16 * 16)
    pieces = noisy(code, frames, crossover, np.random.default_rng(2))
    llrs = b"".join(piece.tobytes() for _, piece in pieces)
    return Blocks(code, memoryview(llrs).cast("h"), frames)


def _timed(
    sizes: list[Blocks], kernels: dict[str, ModuleType]
) -> dict[tuple[int, str], Rates]:
    """Of each K and build, in turn, so that what else the machine does strikes all of them.

    All builds decide the same, with all iterations.
    """
    rates = {(blocks.code.k, name): Rates() for blocks in sizes for name in kernels}
    expected = [_decided(blocks) for blocks in sizes]
    if any(one.iterations != ITERATIONS for found in expected for one in found):
        raise AssertionError("blocks that take fewer iterations are decoded faster")
    for _ in range(REPEATS):
        for blocks, right in zip(sizes, expected, strict=True):
            for name, kernel in kernels.items():
                blocks.code._batch = kernel
                started = time.process_time()
                found = _decided(blocks)
                seconds = time.process_time() - started
                rates[blocks.code.k, name].append(blocks.megabits / seconds)
                if found != right:
                    raise AssertionError(f"the build {name} decides otherwise")
    return rates


def _decided(blocks: Blocks) -> list[Decoded]:
    return blocks.code.decode_many(blocks.llrs, blocks.frames, ITERATIONS)


def _twice_rows(k: int) -> list[list[str]]:
    """The decoder that is to leave no frame error, there and where every block needs it."""
    cases = ((CLEAN, TIMED_BITS, REPEATS), (HOPELESS, SLOW_BITS, SLOW_REPEATS))
    return [
        _row(f"{TWICE}, baseline", k, crossover,
             _timed_twice(_received(k, crossover, bits), repeats))
        for crossover, bits, repeats in cases
    ]


def _timed_twice(blocks: Blocks, repeats: int) -> Rates:
    rates = []
    for _ in range(repeats):
        started = time.process_time()
        blocks.code.decode_twice(blocks.llrs, blocks.frames, ITERATIONS)
        rates.append(blocks.megabits / (time.process_time() - started))
    return rates


def _scalar_rows() -> list[list[str]]:
    code, rows = Turbo(K), []
    ((_, llrs),) = noisy(code, 40, HOPELESS, np.random.default_rng(2))
    algorithms: tuple[Algorithm, ...] = ("maxlog", "logmap", "sova")
    for algorithm in algorithms:
        rates = []
        for row in llrs:
            started = time.process_time()
            code.decode(memoryview(row), algorithm, ITERATIONS)
            rates.append(K / (time.process_time() - started) / 1e6)
        rows.append(_row(f"{algorithm}, one block", K, HOPELESS, rates))
    return rows


def _has_avx2() -> bool:
    flags = Path("/proc/cpuinfo")
    return flags.is_file() and " avx2 " in flags.read_text()


def _wide_kernel(folder: Path) -> ModuleType:
    """The batch kernel built for AVX2."""
    cython, tools = importlib.import_module("Cython.Build"), importlib.import_module("setuptools")
    source = str(ROOT / (BATCH.replace(".", "/") + ".py"))
    extension = tools.Extension(BATCH, [source], extra_compile_args=AVX2_ARGS)
    modules = cython.cythonize([extension], build_dir=str(folder), quiet=True)
    command = tools.Distribution({"ext_modules": modules}).get_command_obj("build_ext")
    command.build_lib = command.build_temp = str(folder)
    command.ensure_finalized()
    command.run()
    (path,) = folder.rglob("*.so")
    spec = importlib.util.spec_from_file_location(BATCH, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _peer_rate(result: Result) -> float | None:
    """Mbit/s of CommPy's turbo decoder (log-MAP, in Python) on one block of the same code."""
    try:
        peer = importlib.import_module("commpy.channelcoding")
    except ImportError:
        result.skipped.append(MISSING_PEER)
        return None
    trellis = peer.Trellis(np.array([3]), np.array([[1, 0o15]]), feedback=0o13, code_type="rsc")
    order = peer.RandInterlv(K, 1)
    sent = np.random.default_rng(3).integers(0, 2, K)
    streams: list[Any] = [2.0 * stream[:K] - 1 for stream in peer.turbo_encode(
        sent, trellis, trellis, order)]
    started = time.process_time()
    found = peer.turbo_decode(*streams, trellis, 0.5, ITERATIONS, order)
    rate: float = K / (time.process_time() - started) / 1e6
    result.notes.append(f"{PEER} decoded its noiseless block with {int((found != sent).sum())} "
                        "wrong bits")
    return rate
