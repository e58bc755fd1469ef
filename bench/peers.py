"""The tools we are measured against, as child processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "libjpeg-turbo-progs"


@dataclass(frozen=True, slots=True)
class CpuTime:
    """CPU seconds of a process."""

    user: float
    system: float

    @property
    def total(self) -> float:
        """Both together."""
        return self.user + self.system


class Jpegtran:
    """jpegtran of libjpeg-turbo."""

    def __init__(self, path: str) -> None:
        self.path = path

    @classmethod
    def find(cls) -> Jpegtran | None:
        """The installed one, if there is one."""
        path = shutil.which("jpegtran")
        return None if path is None else cls(path)

    @property
    def version(self) -> str:
        """Such as "libjpeg-turbo version 2.1.5 (build 20230203)"."""
        done = subprocess.run([self.path, "-version"], capture_output=True, text=True, check=False)
        lines = (done.stderr + done.stdout).splitlines()
        return lines[0] if lines else "unknown version"

    def copy_time(self, source: Path, target: Path) -> CpuTime:
        """CPU time of a lossless copy, file in and file out."""
        return child_time([self.path, "-copy", "all", "-outfile", str(target), str(source)])

    def optimised(self, jpeg: bytes) -> bytes:
        """The same picture with the best Huffman tables for it."""
        command = [self.path, "-copy", "all", "-optimize"]
        return subprocess.run(command, input=jpeg, capture_output=True, check=True).stdout


MISSING_JPEGTRAN = f"jpegtran is not installed (Debian package {PACKAGE})"


def child_time(command: list[str]) -> CpuTime:
    """CPU time of one command, start-up included; raises CalledProcessError."""
    child = os.posix_spawn(command[0], command, os.environ)
    _, status, usage = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code:
        raise subprocess.CalledProcessError(code, command)
    return CpuTime(usage.ru_utime, usage.ru_stime)


def has_program(name: str) -> bool:
    """Whether `python -m name` exists, without importing it here."""
    module = f"{name}.__main__"
    probe = f"import importlib.util, sys; sys.exit(not importlib.util.find_spec({module!r}))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, check=False)
    return done.returncode == 0
