"""`occulta-onboard healthy`: whether the daemon works, by its file for watchdogs."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from occulta.errors import OccultaError, Reason
from occulta.program import cli
from occulta.program import config as configuration
from onboard.config import OnboardConfig

PATIENCE = 10.0
"""Seconds that the file may be older than its daemon says that it will be."""


def run(options: argparse.Namespace) -> int:
    """The command: 0 if the daemon has written its health file lately."""
    config = configuration.load(options.config, OnboardConfig)
    if config.health_file is None:
        raise OccultaError(Reason.USAGE, "the configuration has no health_file")
    age = health_age(config.health_file, time.time())
    if age > config.telemetry.interval + PATIENCE:
        raise OccultaError(Reason.DAEMON_SILENT, f"{config.health_file} is {age:.0f} s old")
    cli.say(f"healthy, {age:.1f} s ago")
    return 0


def health_age(file: Path, now: float) -> float:
    """Seconds since the daemon wrote its health file; raises OccultaError(DAEMON_SILENT).

    A time to come counts like one past: the clock was set, and the next writing corrects it.
    """
    try:
        written = float(json.loads(file.read_bytes())["time"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OccultaError(Reason.DAEMON_SILENT, f"cannot read {file}: {error}") from None
    return abs(now - written)
