"""Runs a program of the project with a clock of its own: `FILE MODULE ARGUMENTS`.

What the clock says is off by the seconds that FILE holds, which may change while the program runs;
timers go on as they do.
"""

import runpy
import sys
import time
from pathlib import Path

REAL = time.time


def main():
    offset = Path(sys.argv[1])

    def stepped():
        try:
            return REAL() + float(offset.read_text())
        except (OSError, ValueError):  # not there yet, or being written
            return REAL()

    time.time = stepped
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


main()
