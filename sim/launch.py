"""Runs one command and measures it: seconds and peak memory, apart from whoever asked.

Linux counts into a child's peak memory what its parent held when it started the child. So the
command is started by a bare interpreter that runs this very file, imports next to nothing, and
passes on what the kernel says about the command alone. Standard library only.
"""

from __future__ import annotations

import os
import sys
import time


def main(argv: list[str]) -> int:
    """`argv`: a file descriptor for the measures, then the command. Returns its exit status."""
    started = time.perf_counter()
    child = os.posix_spawn(argv[1], argv[1:], os.environ)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - started
    kib = usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    os.write(int(argv[0]), f"{seconds:.6f} {kib / 1024:.3f}".encode())
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
