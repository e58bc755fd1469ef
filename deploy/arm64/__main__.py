"""`python3 dev.py arm64 [STEP ...]`: the flight image for ARM64, built and proved here.

Without a step base, image, answers, test and demo. `tools` installs what the others need, `refresh`
makes base and image anew, and `smoke` is what CI does: tools, base, image, and the known answers.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from deploy.arm64 import machine, steps
from deploy.arm64.log import Failed, Log


class Step(NamedTuple):
    """What is done, and the seconds after which it is taken to hang."""

    run: Callable[[Log], str]
    limit: float


STEPS = {
    "tools": Step(steps.tools, 600),
    "refresh": Step(steps.refresh, 1800),
    "base": Step(steps.base, 900),
    "image": Step(steps.image, 1200),
    "answers": Step(steps.answers, 300),
    "test": Step(steps.test, 1500),
    "demo": Step(steps.demo, 1500),
}
ALL = ("base", "image", "answers", "test", "demo")
SMOKE = ("tools", "base", "image", "answers")
OUTPUT = Path("arm64-output")
SHOWN = 20
"""Lines of a log that are shown when its step fails."""


def main(arguments: list[str] | None = None) -> int:
    """Run the steps named, in their order; 0 if all went well."""
    parser = argparse.ArgumentParser(prog="dev.py arm64", description=__doc__)
    parser.add_argument("steps", metavar="STEP", nargs="*", choices=[*STEPS, "smoke", []],
                        help=f"of {', '.join(STEPS)}, smoke; default {', '.join(ALL)}")
    named = parser.parse_args(arguments).steps
    # Temporary folders and containers are taken away whatever ends this.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    is_smoke = "smoke" in named
    wanted = SMOKE if is_smoke else tuple(named) or ALL
    try:
        for name in (step for step in STEPS if step in wanted):
            _do(name)
    except machine.Unable as reason:
        print(f"arm64: SKIPPED: {reason}")
        return 0 if is_smoke else 1
    except Failed as failure:
        print(f"arm64: {failure}")
        return 1
    return 0


def _show_end(log: Log) -> None:
    """Where the log's file is out of reach afterwards, as in CI, its end still says why."""
    print("\n".join(log.text().splitlines()[-SHOWN:]), file=sys.stderr, flush=True)


def _do(name: str) -> None:
    began = time.monotonic()
    step = STEPS[name]
    with Log(OUTPUT / f"{name}.log", step.limit) as log:
        try:
            result = step.run(log)
        except Failed:
            _show_end(log)
            raise
    print(f"arm64: {name}: {result} ({time.monotonic() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    sys.exit(main())
