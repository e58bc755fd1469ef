"""Structure-aware fuzzing of survey, marking and recovery, for a limited time.

    python -m tests.fuzz [--seconds 60] [--seed N] [--kernel compiled|plain]

What must hold for any input: the only exception is OccultaError; a file that was marked recovers
to the same bytes, however it is cut; both kernels agree. Work is done in a child process, so that
a hang or a dead process is caught too. Inputs that break a rule are kept in tests/crashes/, and
tests/test_crashes.py replays them ever after.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import multiprocessing
import os
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from occulta.codec.jpeg.engine import NO_LIMIT
from occulta.codec.jpeg.survey import Survey
from occulta.errors import OccultaError, Reason
from occulta.limits import Limits
from tests.jpegs import KINDS, sample
from tests.mutation import mutate
from tests.support import compiled_kernel, mark, pieces, private_bytes, recover

CRASHES = Path(__file__).with_name("crashes")
LIMITS = Limits(max_blocks=20_000, hold_back=8192, quantum=512, max_side_information=1 << 20)
HANG_SECONDS = 60
PROFILES = ("exact", "paper")
Outcome = bytes | Reason


class BrokenRuleError(Exception):
    """The library did something that it must never do."""


def survey(data: bytes, kernel: str | None) -> None:
    """Count a file."""
    counter = Survey(LIMITS, kernel)
    counter.buffer.append(data)
    counter.buffer.close()
    counter.advance(NO_LIMIT)


def marked_or_reason(data: bytes, profile: str, cuts: list[int], kernel: str | None) -> Outcome:
    """Mark a file; its refusal is a good answer too."""
    private = private_bytes(len(data) % 40)
    try:
        return mark(data, private, profile, limits=LIMITS, chunks=pieces(data, cuts), kernel=kernel)
    except OccultaError as error:
        return error.reason


def recovered_or_reason(
    data: bytes, profile: str, cuts: list[int], kernel: str | None
) -> Outcome:
    """Recover a file, damaged or not."""
    chunks = pieces(data, cuts)
    try:
        back = recover(data, profile, limits=LIMITS, chunks=chunks, kernel=kernel)
        back.remarked(LIMITS, kernel)
    except OccultaError as error:
        return error.reason
    return back.original + back.private


def _same(first: Outcome, second: Outcome, what: str) -> None:
    if first != second:
        names = [x.name if isinstance(x, Reason) else f"{len(x)} bytes" for x in (first, second)]
        raise BrokenRuleError(f"{what}: {names[0]} and {names[1]}")


def examine_original(data: bytes, cuts: list[int], kernel: str | None = None) -> list[Outcome]:
    """Everything that must hold when a file is taken for an original."""
    with contextlib.suppress(OccultaError):
        survey(data, kernel)
    outcomes = []
    for profile in PROFILES:
        outcome = marked_or_reason(data, profile, cuts, kernel)
        outcomes.append(outcome)
        if isinstance(outcome, Reason):
            # Cut otherwise a damaged file may be refused at another fault, but not be accepted.
            if not isinstance(marked_or_reason(data, profile, [], kernel), Reason):
                raise BrokenRuleError(f"{profile}: {outcome.name} only when cut at {cuts}")
            continue
        _same(outcome, marked_or_reason(data, profile, [], kernel), f"{profile}, cut at {cuts}")
        back = recovered_or_reason(outcome, profile, cuts, kernel)
        _same(data + private_bytes(len(data) % 40), back, f"{profile}, marked and recovered")
    return outcomes


def examine_marked(data: bytes, cuts: list[int], kernel: str | None = None) -> list[Outcome]:
    """Everything that must hold when a file is taken for a marked one."""
    return [recovered_or_reason(data, profile, cuts, kernel) for profile in PROFILES]


def examine(data: bytes, cuts: list[int], kernel: str | None = None) -> list[Outcome]:
    """Both."""
    return examine_original(data, cuts, kernel) + examine_marked(data, cuts, kernel)


def compare_kernels(data: bytes, cuts: list[int]) -> None:
    """Both kernels give the same bytes, or the same reason."""
    pairs = zip(examine(data, cuts, "plain"), examine(data, cuts, "compiled"), strict=True)
    for plain, compiled in pairs:
        _same(plain, compiled, "plain and compiled kernel")


def seeds() -> list[bytes]:
    """Small files of every kind, and marked ones of both profiles."""
    originals = [sample(kind, 7, 48, 40) for kind in KINDS] + [sample(kind) for kind in KINDS]
    roomy = [sample("gray_q30", 7, 264, 200), sample("ycc420", 7, 208, 200),
             sample("restart_rows", 7, 160, 160), sample("by_hand", 7, 160, 160)]
    outcomes = [marked_or_reason(o, p, [], None) for o in originals + roomy for p in PROFILES]
    return originals + [x for x in outcomes if isinstance(x, bytes)]


def save(data: bytes, what: str) -> Path:
    """Keep an input that broke a rule."""
    CRASHES.mkdir(exist_ok=True)
    path = CRASHES / f"{what}-{hashlib.sha256(data).hexdigest()[:12]}.bin"
    path.write_bytes(data)
    return path


def _one_input(rng: random.Random, corpus: list[bytes], current: Path) -> tuple[bytes, list[int]]:
    data = mutate(rng, rng.choice(corpus), rng.choice(corpus))
    current.write_bytes(data)
    cuts = [rng.randrange(len(data) + 1) for _ in range(rng.choice([1, 2, 5]))]
    return data, cuts


def _work(seed: int, seconds: float, kernel: str | None, current: Path) -> None:
    """The child: fuzz until time is up; its exit status is 1 if a rule was broken."""
    end = time.monotonic() + seconds
    rng = random.Random(seed)
    corpus = seeds()
    both = compiled_kernel() is not None
    seen: Counter[str] = Counter()
    found: set[str] = set()
    while time.monotonic() < end:
        data, cuts = _one_input(rng, corpus, current)
        try:
            for outcome in examine(data, cuts, kernel):
                seen[outcome.name if isinstance(outcome, Reason) else "bytes"] += 1
            if both and rng.random() < 0.05:
                compare_kernels(data, cuts)
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{type(error).__name__} {last.name} {str(error)[:50]}"
            if where not in found:
                found.add(where)
                print(f"{save(data, type(error).__name__)}: cut at {cuts}")
                traceback.print_exc()
    print(f"seed {seed}: {seen.total() // 4} inputs; {dict(seen.most_common())}", flush=True)
    sys.exit(1 if found else 0)


def _watch(child: multiprocessing.process.BaseProcess, current: Path) -> str | None:
    """Wait for the child; what went wrong with it, if anything."""
    while child.is_alive():
        child.join(1)
        idle = time.time() - current.stat().st_mtime
        if child.is_alive() and idle > HANG_SECONDS:
            child.kill()
            child.join()
            return "hang"
    return None if child.exitcode in (0, 1) else "died"


def run(seconds: float, seed: int, kernel: str | None) -> bool:
    """Fuzz; True if no rule was broken."""
    end = time.monotonic() + seconds
    clean = True
    with tempfile.TemporaryDirectory() as folder:
        current = Path(folder) / "current"
        while (left := end - time.monotonic()) > 0:
            current.write_bytes(b"")
            child = multiprocessing.get_context("spawn").Process(
                target=_work, args=(seed, left, kernel, current)
            )
            child.start()
            trouble = _watch(child, current)
            if trouble:
                print(f"{save(current.read_bytes(), trouble)}: the child process {trouble}")
            clean = clean and not trouble and child.exitcode == 0
            seed += 1
    return clean


def main(argv: list[str] | None = None) -> int:
    """Read the command line and fuzz."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=None, help="default: the time")
    parser.add_argument("--kernel", choices=("compiled", "plain"), default=None)
    options = parser.parse_args(argv)
    seed = options.seed if options.seed is not None else int(time.time())
    print(f"fuzzing for {options.seconds:g} s, seed {seed}, process {os.getpid()}", flush=True)
    clean = run(options.seconds, seed, options.kernel)
    print("no rule broken" if clean else f"rules broken: see {CRASHES.name}/")
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
