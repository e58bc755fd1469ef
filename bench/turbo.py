"""The turbo code: frame errors over a binary symmetric channel, and the decoders' speed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from bench import turbo_speed
from bench.report import Figure, Result, Table
from bench.turbo_channel import ITERATIONS, TWICE, K, noisy
from occulta.codec.fec.turbo import Algorithm, Rate, Turbo
from occulta.codec.kernels import is_compiled, load_kernel

CROSSOVERS = (0.10, 0.11, 0.12, 0.13, 0.14, 0.15, 0.16)
MAXLOG_BOUND = (0.14, 0.10)
"""A crossover probability, and the most of the blocks that max-log alone may lose there."""
CLEAN = (
    (K, Rate.THIRD, 0.12), (2048, Rate.THIRD, 0.12), (6144, Rate.THIRD, 0.12), (K, Rate.HALF, 0.06),
)
"""K, rate and crossover probability of channels that no block may be lost on."""
FRAMES = 10_000
SCALAR_FRAMES = 1_000

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
    if not is_compiled(load_kernel(turbo_speed.BATCH)):
        result.skipped.append("the compiled kernel is not built: python3 dev.py setup")
        return result
    _errors(result, say)
    turbo_speed.measure(result, say)
    return result


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
    code, rows, lost = Turbo(K), [], []
    at_bound = None
    for crossover in CROSSOVERS:
        say(f"turbo, crossover probability {crossover:.2f}")
        found = [
            campaign(code, "maxlog", crossover, FRAMES, 1),
            campaign(code, "logmap", crossover, SCALAR_FRAMES, 1),
            campaign(code, "sova", crossover, SCALAR_FRAMES, 1),
        ]
        rows.append([f"{crossover:.2f}", *map(_share, found)])
        lost += found
        at_bound = found[0] if crossover == MAXLOG_BOUND[0] else at_bound
    result.tables.append(Table(
        f"Frame error rate, K = {K}, rate 1/3, {ITERATIONS} iterations",
        ["BSC", "maxlog", "logmap", "sova"], rows,
    ))
    lost += _clean(result, say)
    assert at_bound is not None
    result.figures.append(Figure(
        f"maxlog frame error rate, K = {K}, rate 1/3, BSC {MAXLOG_BOUND[0]}", at_bound.rate,
        MAXLOG_BOUND[1]))
    result.notes.append(
        f"of {sum(count.errors for count in lost)} blocks decoded wrongly, the decoder took "
        f"{sum(count.deceived for count in lost)} for settled"
    )


def _clean(result: Result, say: Callable[[str], None]) -> list[Count]:
    """Channels that leave no error, by either decoder; the bound is for the second."""
    rows, counts = [], []
    for k, rate, crossover in CLEAN:
        say(f"turbo, K = {k}, rate 1/{rate.value}, {crossover}")
        alone = campaign(Turbo(k, rate), "maxlog", crossover, FRAMES, 1)
        twice = campaign(Turbo(k, rate), "twice", crossover, FRAMES, 1)
        rows.append([f"{k}", f"1/{rate.value}", f"{crossover:.2f}", _share(alone), _share(twice)])
        result.figures.append(Figure(
            f"frame errors in {FRAMES}, {TWICE}, K = {k}, rate 1/{rate.value}, BSC {crossover}",
            twice.errors, 0, digits=0))
        counts += [alone, twice]
    result.tables.append(Table(
        f"Frame error rate where there should be none, {ITERATIONS} iterations",
        ["K", "rate", "BSC", "maxlog", TWICE], rows))
    return counts


def _share(count: Count) -> str:
    return f"{count.rate:.4f} ({count.errors} of {count.frames})"
