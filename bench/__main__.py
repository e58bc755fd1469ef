"""Measures speed, memory and size; prints tables and writes JSON."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from PIL import features

from bench import (
    capacity,
    daemon,
    docs,
    growth,
    link,
    memory,
    paper,
    report,
    robust,
    robust_matrix,
    robust_paper,
    robust_survival,
    shares,
    speed,
    turbo,
)
from bench.data import DEFAULT_DATA
from bench.report import Result

Benchmark = Callable[[Path, Callable[[str], None]], Result]
BENCHMARKS: dict[str, Benchmark] = {
    "speed": speed.run,
    "memory": memory.run,
    "growth": growth.run,
    "capacity": capacity.run,
    "paper": paper.run,
    "link": link.run,
    "daemon": daemon.run,
    "shares": shares.run,
    "turbo": turbo.run,
    "robust": robust.run,
    "robust-matrix": robust_matrix.run,
    "robust-paper": robust_paper.run,
    "robust-survival": robust_survival.run,
}
OUTPUT = Path("bench-output")
MACHINE_FAILURE = 6


def main(argv: list[str] | None = None) -> int:
    """Run the benchmarks asked for; a missed bound is said, not an error."""
    options = _parser().parse_args(argv)
    names = list(BENCHMARKS) if options.name == "all" else [options.name]
    try:
        results = [_run(name, options.data) for name in names]
        _save(results, options.output)
        if options.write_docs:
            _write_docs(results)
    except OSError as error:
        print(f"bench: {error}\nhint: check the path and free space", file=sys.stderr)
        return MACHINE_FAILURE
    if len(results) > 1:
        print("\n".join(report.summary(result) for result in results))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("name", nargs="?", default="all", choices=[*BENCHMARKS, "all"],
                        help="default: all (robust-survival takes some 10 minutes on two cores, "
                        "robust as long on one)")
    parser.add_argument("-o", dest="output", type=Path, metavar="FILE.json",
                        help="default: bench-output/NAME.json for each benchmark")
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, metavar="DIR",
                        help="folder of test pictures (default: ../shared/data)")
    parser.add_argument("--write-docs", action="store_true", help="also write docs/results")
    return parser


def _run(name: str, data: Path) -> Result:
    result = BENCHMARKS[name](data, _say)
    versions = f"Pillow's libjpeg-turbo {features.version('libjpeg_turbo')}"
    result.machine = {"kind": report.machine_kind(), **result.machine, "pillow": versions}
    print(report.plain(result), flush=True)
    return result


def _say(message: str) -> None:
    print(f"bench: {message}", file=sys.stderr, flush=True)


def _save(results: list[Result], output: Path | None) -> None:
    if output is not None:
        report.write_json(output, results)
        return
    for result in results:
        report.write_json(OUTPUT / f"{result.name}.json", [result])


def _write_docs(results: list[Result]) -> None:
    """Pages need more than one result: those not measured now are read from the last run."""
    known = {result.name: result for result in results}
    for name in BENCHMARKS:
        path = OUTPUT / f"{name}.json"
        if name not in known and path.is_file():
            known[name] = report.read_json(path)
    for path in docs.write(known, [result.name for result in results]):
        _say(f"wrote {path.name}")


if __name__ == "__main__":
    sys.exit(main())
