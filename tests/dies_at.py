"""`python -m tests.dies_at STEP onboard run ...`: the daemon, killed once its spool is that far."""

import os
import runpy
import signal
import sys
from functools import partial

from onboard import assembly


def main():
    step, module = sys.argv[1:3]

    def checkpoint(reached):
        if reached == step:
            os.kill(os.getpid(), signal.SIGKILL)

    assembly.Spool = partial(assembly.Spool, checkpoint=checkpoint)
    sys.argv = sys.argv[2:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


main()
