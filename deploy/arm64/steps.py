"""The steps from nothing to a proved image. Each takes its log and returns a line."""

from __future__ import annotations

import json
import tomllib

from deploy.arm64 import base as base_image
from deploy.arm64 import machine, mission
from deploy.arm64.engine import IMAGE, TEST_IMAGE, Engine
from deploy.arm64.log import ROOT, Failed, Log

KERNELS = ("compiled", "plain")
CAP_MIB = 160
MOST_MB = 268.0
"""Size of the image, all layers, millions of bytes."""


def tools(log: Log) -> str:
    """Install what is missing and register the emulator, as far as the machine allows it."""
    machine.install()
    return f"ready, {machine.engine().name}"


def base(log: Log) -> str:
    """The image to begin with."""
    engine = machine.engine()
    if engine.has_base:
        return f"{engine.base}, from its registry"
    if base_image.exists(log):
        return f"{engine.base}, there already"
    base_image.make(log)
    return f"{engine.base}, made"


def image(log: Log) -> str:
    """The flight image; refuses one that is too large."""
    engine = machine.engine()
    log.must(engine.build("flight", IMAGE, _labels(log)))
    size = _size_mb(log, engine)
    if size > MOST_MB:
        raise Failed(f"the image has {size:.0f} MB, more than {MOST_MB:.0f}")
    return f"{IMAGE}, {size:.0f} MB"


def answers(log: Log) -> str:
    """The known answers, inside, on both kernels."""
    engine = machine.engine()
    for kernel in KERNELS:
        command = engine.run(
            IMAGE, ["selftest", "--json"], memory_mib=CAP_MIB,
            environment={"OCCULTA_KERNEL": kernel},
        )
        found = json.loads(log.output(command))
        wrong = [name for name, is_right in found["cases"].items() if not is_right]
        if wrong or set(found["kernels"].values()) != {kernel}:
            raise Failed(f"{kernel} kernel: wrong {wrong}, {found['kernels']}")
    return f"{len(found['cases'])} known answers right on both kernels"


def test(log: Log) -> str:
    """The tests marked `arm64`, inside."""
    engine = machine.engine()
    log.must(engine.build("test", TEST_IMAGE, _labels(log)))
    log.must(engine.run(TEST_IMAGE, []))
    last = log.file.read_text("utf-8", "replace").splitlines()
    return next(line for line in reversed(last) if " passed" in line)


def demo(log: Log) -> str:
    """A mission whose flight daemon runs in the image under its cap, and the cap proved."""
    engine = machine.engine()
    mission.prove_cap(log, engine, CAP_MIB)
    return mission.fly(log, engine, CAP_MIB)


def _labels(log: Log) -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    version = str(project["project"]["version"])
    try:
        revision = log.output(["git", "describe", "--always", "--dirty", "--abbrev=40"])
    except (Failed, OSError):
        revision = "unknown"
    return {"VERSION": version, "REVISION": revision}


def _size_mb(log: Log, engine: Engine) -> float:
    words = [engine.tool, "image", "inspect", "--format", "{{.Size}}", IMAGE]
    return int(log.output(words)) / 1e6


