"""`occulta-onboard capacity`: how many private bytes a picture can carry."""

from __future__ import annotations

import argparse
import json
from typing import BinaryIO

from occulta.program import cli, files
from occulta.schemes.reversible import PROFILES
from occulta.schemes.reversible.capacity import Capacity, CapacityMeter


def run(options: argparse.Namespace) -> int:
    """The command."""
    with files.open_input(options.image) as image:
        found = measure(image, options.image, options.profile)
    if options.json:
        said = {
            "scheme": options.scheme, "profile": options.profile,
            "private_bytes": found.private_bytes, "hidden_bits": found.hidden_bits,
            "fits": found.fits,
        }
        cli.say(json.dumps(said))
    else:
        cli.say(describe(found, options.profile))
    return 0


def describe(found: Capacity, profile: str) -> str:
    """One line."""
    if not found.fits:
        return f"nothing fits, not even an empty file (profile {profile})"
    return f"{found.private_bytes} private bytes fit, signed, for one recipient (profile {profile})"


def measure(image: BinaryIO, name: str, profile: str, recipients: int = 1) -> Capacity:
    """What the picture can carry, net of all overhead, signed; raises OccultaError."""
    meter = CapacityMeter(PROFILES[profile], recipients)
    progress = cli.Progress("measuring", files.size_of(image))
    try:
        for chunk in files.chunks_of(image, name):
            meter.feed(chunk)
            progress.add(len(chunk))
        return meter.finish()
    finally:
        progress.close()
