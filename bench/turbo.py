"""The turbo code: frame errors over a binary symmetric channel, and the decoders' speed."""

from __future__ import annotations

import importlib
import importlib.util
import math
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.data import ROOT
from bench.report import Figure, Result, Table
from occulta.codec.fec.turbo import Algorithm, Rate, Turbo
from occulta.codec.kernels import is_compiled, load_kernel

K = 1024
CROSSOVERS = (0.10, 0.11, 0.12, 0.13, 0.14, 0.15, 0.16)
FRAMES = 10_000
SCALAR_FRAMES = 1_000
PIECE = 1_000
ITERATIONS = 8
REPEATS = 21
TIMED_BITS = 1 << 18
SPEED_SIZES = (K, 6144)
LONGER = (2048, 6144)
HOPELESS = 0.25
"""A crossover probability at which every block takes all iterations."""
BATCH = "occulta.codec.fec.batch_kernel"
# Those of setup.py, and the one that is the matter here.
AVX2_ARGS = ["-O3", "-ffp-contract=off", "-fno-fast-math", "-mavx2"]
PEER = "scikit-commpy"
MISSING_PEER = f"{PEER} is not installed: .venv/bin/pip install -e '.[bench]'"

Bits = NDArray[np.uint8]


class Count(NamedTuple):
    """What became of the blocks of one campaign."""

    frames: int
    errors: int
    """Blocks with a wrong bit."""
    deceived: int
    """Those of them of which the decoder said that its decisions agree."""

    @property
    def rate(self) -> float:
        return self.errors / self.frames


def run(_: Path, say: Callable[[str], None]) -> Result:
    """Measure everything; the folder of pictures is not needed."""
    result = Result("turbo")
    if not is_compiled(load_kernel(BATCH)):
        result.skipped.append("the compiled kernel is not built: python3 dev.py setup")
        return result
    _errors(result, say)
    _speeds(result, say)
    return result


# --- frame errors


def noisy(code: Turbo, frames: int, crossover: float, rng: np.random.Generator) -> Iterator[
    tuple[Bits, NDArray[np.int16]]
]:
    """(messages, LLRs), a row for each block, some at a time."""
    llr = round(8 * math.log((1 - crossover) / crossover))
    for at in range(0, frames, PIECE):
        sent = rng.integers(0, 2, (min(PIECE, frames - at), code.k), dtype=np.uint8)
        coded = b"".join(code.encode(bits.tobytes()) for bits in sent)
        received = np.frombuffer(coded, np.uint8).reshape(len(sent), -1).astype(bool)
        received ^= rng.random(received.shape) < crossover
        yield sent, np.where(received, -llr, llr).astype(np.int16)


def campaign(
    code: Turbo, algorithm: Algorithm | Literal["twice"], crossover: float, frames: int, seed: int
) -> Count:
    """Blocks of random bits over a binary symmetric channel; all algorithms get the same ones."""
    errors = deceived = 0
    for sent, llrs in noisy(code, frames, crossover, np.random.default_rng(seed)):
        joined = memoryview(llrs.tobytes()).cast("h")
        if algorithm == "twice":
            found = code.decode_twice(joined, len(sent), ITERATIONS)
        elif algorithm == "maxlog":
            found = code.decode_many(joined, len(sent), ITERATIONS)
        else:
            found = [code.decode(memoryview(row), algorithm, ITERATIONS) for row in llrs]
        wrong = [one for one, bits in zip(found, sent, strict=True) if one.bits != bits.tobytes()]
        errors += len(wrong)
        deceived += sum(one.agreed for one in wrong)
    return Count(frames, errors, deceived)


def _errors(result: Result, say: Callable[[str], None]) -> None:
    code, rows, counts = Turbo(K), [], {}
    for crossover in CROSSOVERS:
        say(f"turbo, crossover probability {crossover:.2f}")
        counts[crossover] = found = [
            campaign(code, "maxlog", crossover, FRAMES, 1),
            campaign(code, "logmap", crossover, SCALAR_FRAMES, 1),
            campaign(code, "sova", crossover, SCALAR_FRAMES, 1),
        ]
        rows.append([f"{crossover:.2f}", *(_share(count) for count in found)])
    half = campaign(Turbo(K, Rate.HALF), "twice", 0.06, FRAMES, 1)
    long = {k: campaign(Turbo(k), "maxlog", 0.12, FRAMES, 1) for k in LONGER}
    twice = {k: campaign(Turbo(k), "twice", 0.12, FRAMES, 1) for k in (K, *LONGER)}
    result.tables.append(Table(
        f"Frame error rate, K = {K}, rate 1/3, {ITERATIONS} iterations",
        ["BSC", "maxlog", "logmap", "sova"], rows,
    ))
    result.figures += [
        *(_none_lost(f"K = {k}, rate 1/3, BSC 0.12", count) for k, count in twice.items()),
        _none_lost(f"K = {K}, rate 1/2, BSC 0.06", half),
        Figure(f"max-log frame error rate, K = {K}, rate 1/3, BSC 0.14",
               counts[0.14][0].rate, 0.10),
    ]
    every = [half, *long.values(), *(count for found in counts.values() for count in found)]
    alone = ", ".join(f"{count.errors} at K = {k}" for k, count in long.items())
    result.notes.append(
        "frame errors are those of max-log, with log-MAP for blocks that did not settle; at 0.12 "
        f"max-log alone lost {counts[0.12][0].errors} at K = {K}, {alone}"
    )
    result.notes.append(
        f"of {sum(count.errors for count in every)} blocks decoded wrongly, the decoder took "
        f"{sum(count.deceived for count in every)} for settled"
    )


def _none_lost(what: str, count: Count) -> Figure:
    return Figure(f"frame errors in {count.frames}, {what}", count.errors, 0, digits=0)


def _share(count: Count) -> str:
    return f"{count.rate:.4f} ({count.errors} of {count.frames})"


# --- speed


def _speeds(result: Result, say: Callable[[str], None]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        builds = {"baseline": load_kernel(BATCH)}
        if _has_avx2():
            say("turbo, building the batch kernel with -mavx2")
            builds["AVX2"] = _wide_kernel(Path(folder))
        else:
            result.skipped.append("this processor has no AVX2")
        rows, at_k = [], {}
        for k in SPEED_SIZES:
            say(f"turbo, speed, K = {k}")
            found = _timed(k, builds)
            for name, rates in found.items():
                rows.append([f"batch max-log, {name}", f"{k}", f"{median(rates):.1f}",
                             f"{max(rates):.1f}"])
            if k == K:
                at_k = {name: max(rates) for name, rates in found.items()}
    rows += _scalar_rows()
    say("turbo, the peer")
    peer = _peer_rate(result)
    if peer:
        rows.append([f"{PEER}, turbo_decode", f"{K}", f"{peer:.6f}", ""])
    result.tables.append(Table(
        f"Speed on one core: message bits over CPU time, rate 1/3, {ITERATIONS} whole iterations, "
        f"{REPEATS} runs",
        ["decoder", "K", "Mbit/s, median", "best"], rows,
    ))
    _figure_speeds(result, at_k, peer)


def _figure_speeds(result: Result, rates: dict[str, float], peer: float | None) -> None:
    baseline = f"batch max-log, K = {K}, baseline build ({platform.machine()}), best run"
    result.figures.append(Figure(baseline, rates["baseline"], 30, True, "Mbit/s", 1))
    if "AVX2" in rates:
        wide = f"batch max-log, K = {K}, built with -mavx2, best run"
        result.figures.append(Figure(wide, rates["AVX2"], 60, True, "Mbit/s", 1))
    if peer:
        ratio = rates["baseline"] / peer
        result.figures.append(Figure(f"times as fast as {PEER}", ratio, 1000, True, "x", 0))


def _timed(k: int, kernels: dict[str, ModuleType]) -> dict[str, list[float]]:
    """Mbit/s of each build, in turn, on the same blocks; all decide the same."""
    code, frames = Turbo(k), TIMED_BITS // k // 16 * 16
    pieces = noisy(code, frames, HOPELESS, np.random.default_rng(2))
    llrs = memoryview(b"".join(row.tobytes() for _, row in pieces)).cast("h")
    rates: dict[str, list[float]] = {name: [] for name in kernels}
    expected = code.decode_many(llrs, frames, ITERATIONS)
    assert all(found.iterations == ITERATIONS for found in expected)
    for _ in range(REPEATS):
        for name, kernel in kernels.items():
            code._batch = kernel
            started = time.process_time()
            found = code.decode_many(llrs, frames, ITERATIONS)
            rates[name].append(frames * k / (time.process_time() - started) / 1e6)
            assert found == expected
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
        cells = [f"{median(rates):.2f}", f"{max(rates):.2f}"]
        rows.append([f"one block, {algorithm}", f"{K}", *cells])
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


# --- the peer


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
