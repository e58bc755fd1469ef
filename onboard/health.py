"""`occulta-onboard healthy`: whether the daemon works, by its file for watchdogs.

Asked every half minute for years, so it reads one option of the configuration and loads nothing of
the daemon, neither sockets nor cryptography.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import NamedTuple

from occulta.errors import OccultaError, Reason
from occulta.program import cli
from occulta.program.config import load_option

PATIENCE = 10.0
"""Seconds that the file may be older than its daemon says that it will be."""


class Sign(NamedTuple):
    """What a daemon says of itself, in seconds."""

    time: float
    """Since 1970: when it was written."""
    interval: float
    """After which it is written again."""


def run(options: argparse.Namespace) -> int:
    """The command: 0 if the daemon has written its health file lately."""
    file = load_option(options.config, "health_file", Path)
    if file is None:
        raise OccultaError(Reason.USAGE, "the configuration has no health_file")
    sign = read_sign(file)
    # A time to come counts like one past: the clock was set, and the next writing corrects it.
    age = abs(time.time() - sign.time)
    if not age <= sign.interval + PATIENCE:
        raise OccultaError(Reason.DAEMON_SILENT, f"{file} is {age:.0f} s old")
    cli.say(f"healthy, {age:.1f} s ago")
    return 0


def read_sign(file: Path) -> Sign:
    """What the daemon wrote last; raises OccultaError(DAEMON_SILENT)."""
    try:
        said = json.loads(file.read_bytes())
        return Sign(float(said["time"]), float(said["interval"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OccultaError(Reason.DAEMON_SILENT, f"cannot read {file}: {error}") from None
