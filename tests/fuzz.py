"""Structure-aware fuzzing of all that reads JPEG files, and of the link, for a limited time.

    python -m tests.fuzz [--seconds 60] [--seed N] [--kernel compiled|plain] [--target jpeg|link]

What must hold for any JPEG file: the only exception is OccultaError; a file that was marked
recovers to the same bytes, however it is cut; both kernels agree. For the link see
tests/fuzz_link.py. Each target has an equal share of the time. Work is done in a child process, so
that a hang or a dead process is caught too. Inputs that break a rule are kept in tests/crashes/,
the link's in tests/crashes/link/; tests/test_crashes.py and tests/test_fuzz_link.py replay them
ever after.
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
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from occulta.codec.jpeg.coefficients import CoefficientReader
from occulta.codec.jpeg.engine import NO_LIMIT
from occulta.codec.jpeg.salvage import salvage
from occulta.codec.jpeg.survey import Survey
from occulta.errors import OccultaError, Reason
from occulta.limits import Limits
from tests.fuzz_link import examine_session, invent_session
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


def read_or_reason(data: bytes, cuts: list[int], kernel: str | None) -> Outcome:
    """The coefficients of a file."""
    reader = CoefficientReader(LIMITS, kernel)
    try:
        rows = [row for piece in pieces(data, cuts) for row in reader.feed(piece)]
        rows += reader.finish()
    except OccultaError as error:
        return error.reason
    return b"".join(plane.tobytes() for row in rows for plane in row.planes)


def salvaged_or_reason(data: bytes, kernel: str | None) -> Outcome:
    """What can still be read of a file."""
    try:
        found = salvage(data, LIMITS, kernel)
    except OccultaError as error:
        return error.reason
    return bytes(found.flags) + found.coefficients.tobytes()


def _same(first: Outcome, second: Outcome, what: str) -> None:
    if first != second:
        names = [x.name if isinstance(x, Reason) else f"{len(x)} bytes" for x in (first, second)]
        raise BrokenRuleError(f"{what}: {names[0]} and {names[1]}")


def examine_original(data: bytes, cuts: list[int], kernel: str | None = None) -> list[Outcome]:
    """Everything that must hold when a file is taken for an original."""
    with contextlib.suppress(OccultaError):
        survey(data, kernel)
    outcomes = [read_or_reason(data, cuts, kernel), salvaged_or_reason(data, kernel)]
    if isinstance(outcomes[0], bytes):
        _same(outcomes[0], read_or_reason(data, [], kernel), f"coefficients, cut at {cuts}")
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


class Trial(NamedTuple):
    """An input, how it is given, and what must hold of it; `check` counts what became of it."""

    data: bytes
    how: str
    check: Callable[[], Counter[str]]


def jpeg_trials(rng: random.Random, kernel: str | None) -> Iterator[Trial]:
    """Damaged files, cut anywhere."""
    corpus = seeds()
    both = compiled_kernel() is not None
    while True:
        data = mutate(rng, rng.choice(corpus), rng.choice(corpus))
        cuts = [rng.randrange(len(data) + 1) for _ in range(rng.choice([1, 2, 5]))]
        compare = both and rng.random() < 0.05
        yield Trial(data, f"cut at {cuts}", partial(_check_jpeg, data, cuts, kernel, compare))


def _check_jpeg(data: bytes, cuts: list[int], kernel: str | None, compare: bool) -> Counter[str]:
    outcomes = examine(data, cuts, kernel)
    if compare:
        compare_kernels(data, cuts)
    return Counter(o.name if isinstance(o, Reason) else "bytes" for o in outcomes)


def link_trials(rng: random.Random, kernel: str | None) -> Iterator[Trial]:
    """Sessions on the link."""
    while True:
        session = invent_session(rng)
        yield Trial(session, "a session", partial(examine_session, session))


TARGETS = {"jpeg": jpeg_trials, "link": link_trials}


def save(data: bytes, what: str, target: str = "jpeg") -> Path:
    """Keep an input that broke a rule."""
    folder = CRASHES if target == "jpeg" else CRASHES / target
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{what}-{hashlib.sha256(data).hexdigest()[:12]}.bin"
    path.write_bytes(data)
    return path


def _work(target: str, seed: int, seconds: float, kernel: str | None, current: Path) -> None:
    """The child: fuzz until time is up; its exit status is 1 if a rule was broken."""
    end = time.monotonic() + seconds
    seen: Counter[str] = Counter()
    found: set[str] = set()
    inputs = 0
    for trial in TARGETS[target](random.Random(seed), kernel):
        if time.monotonic() >= end:
            break
        current.write_bytes(trial.data)
        inputs += 1
        try:
            seen += trial.check()
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{type(error).__name__} {last.name} {str(error)[:50]}"
            if where not in found:
                found.add(where)
                print(f"{save(trial.data, type(error).__name__, target)}: {trial.how}")
                traceback.print_exc()
    print(f"{target}, seed {seed}: {inputs} inputs; {dict(seen.most_common())}", flush=True)
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


def run(target: str, seconds: float, seed: int, kernel: str | None) -> bool:
    """Fuzz; True if no rule was broken."""
    end = time.monotonic() + seconds
    clean = True
    with tempfile.TemporaryDirectory() as folder:
        current = Path(folder) / "current"
        while (left := end - time.monotonic()) > 0:
            current.write_bytes(b"")
            child = multiprocessing.get_context("spawn").Process(
                target=_work, args=(target, seed, left, kernel, current)
            )
            child.start()
            trouble = _watch(child, current)
            if trouble:
                path = save(current.read_bytes(), trouble, target)
                print(f"{path}: the child process {trouble}")
            clean = clean and not trouble and child.exitcode == 0
            seed += 1
    return clean


def main(argv: list[str] | None = None) -> int:
    """Read the command line and fuzz."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=None, help="default: the time")
    parser.add_argument("--kernel", choices=("compiled", "plain"), default=None)
    parser.add_argument("--target", choices=TARGETS, default=None, help="default: each in turn")
    options = parser.parse_args(argv)
    seed = options.seed if options.seed is not None else int(time.time())
    targets = [options.target] if options.target else list(TARGETS)
    print(f"fuzzing for {options.seconds:g} s, seed {seed}, process {os.getpid()}", flush=True)
    share = options.seconds / len(targets)
    results = [run(target, share, seed, options.kernel) for target in targets]
    clean = all(results)
    print("no rule broken" if clean else f"rules broken: see {CRASHES.name}/")
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
