"""Becomes the command that it is given: a container's runner, as a child that is watched."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    os.execvp(sys.argv[1], sys.argv[1:])
