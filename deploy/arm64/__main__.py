"""`python3 dev.py arm64 [STEP ...]`: the flight image for ARM64, built and proved here.

Without a step all of them; `smoke` is what CI does: tools, base, image, and the known answers.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from deploy.arm64 import machine, steps
from deploy.arm64.log import Failed, Log

STEPS: dict[str, Callable[[Log], str]] = {
    "tools": steps.tools, "base": steps.base, "image": steps.image, "answers": steps.answers,
    "test": steps.test, "demo": steps.demo,
}
SMOKE = ("tools", "base", "image", "answers")
OUTPUT = Path("arm64-output")


def main(arguments: list[str] | None = None) -> int:
    """Run the steps named, in their order; 0 if all went well."""
    parser = argparse.ArgumentParser(prog="dev.py arm64", description=__doc__)
    parser.add_argument("steps", metavar="STEP", nargs="*", choices=[*STEPS, "smoke", []],
                        help=f"of {', '.join(STEPS)}, smoke; default all but tools")
    named = parser.parse_args(arguments).steps
    # Temporary folders and containers are taken away whatever ends this.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    is_smoke = "smoke" in named
    wanted = SMOKE if is_smoke else tuple(named) or tuple(STEPS)[1:]
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


def _do(name: str) -> None:
    began = time.monotonic()
    with Log(OUTPUT / f"{name}.log") as log:
        result = STEPS[name](log)
    print(f"arm64: {name}: {result} ({time.monotonic() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    sys.exit(main())
