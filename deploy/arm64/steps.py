"""The steps from nothing to a proved image. Each takes its log and returns a line."""

from __future__ import annotations

import json
import tomllib

from deploy.arm64 import base as base_image
from deploy.arm64 import machine, mission
from deploy.arm64.engine import BASE, IMAGE, TEST_IMAGE, Engine
from deploy.arm64.log import ROOT, Failed, Log

KERNELS = ("compiled", "plain")
CAP_MIB = 160
MOST_MB = 268.0
"""Size of the image, all layers, millions of bytes."""
PACKAGES = "packages.txt"
"""Name of the list of everything in the image, beside the logs."""
_LIST = """
dpkg-query -W -f '${Package} ${Version}\\n'
python3 -c '
from importlib.metadata import distributions
for name, version in sorted((found.name, found.version) for found in distributions()):
    print(name, version, "(Python)")'
"""


def tools(log: Log) -> str:
    """Install what is missing and register the emulator, as far as the machine allows it."""
    machine.install(log)
    return f"ready, {machine.engine().name}"


def base(log: Log) -> str:
    """The image to begin with."""
    engine = machine.engine()
    if base_image.exists(log, engine):
        return f"{BASE}, there already"
    return f"{BASE}, {_make_base(log, engine)}"


def image(log: Log) -> str:
    """The flight image; refuses one that is too large."""
    return _build(log, machine.engine(), is_fresh=False)


def refresh(log: Log) -> str:
    """The base and the flight image anew, with the packages of today."""
    engine = machine.engine()
    how = _make_base(log, engine)
    return f"{BASE}, {how}; {_build(log, engine, is_fresh=True)}"


def answers(log: Log) -> str:
    """The known answers, inside, on both kernels."""
    engine = machine.engine()
    for kernel in KERNELS:
        command = engine.run(
            IMAGE, ["selftest", "--json"], memory_mib=CAP_MIB,
            environment={"OCCULTA_KERNEL": kernel},
        )
        found = json.loads(_contained(log, engine, command))
        wrong = [name for name, is_right in found["cases"].items() if not is_right]
        if wrong or set(found["kernels"].values()) != {kernel}:
            raise Failed(f"{kernel} kernel: wrong {wrong}, {found['kernels']}")
    return f"{len(found['cases'])} known answers right on both kernels"


def test(log: Log) -> str:
    """The tests marked `arm64`, inside."""
    engine = machine.engine()
    log.must(engine.build("test", TEST_IMAGE, _labels(log)))
    said = _contained(log, engine, engine.run(TEST_IMAGE, [])).splitlines()
    return next(line for line in reversed(said) if " passed" in line)


def demo(log: Log) -> str:
    """A mission whose flight daemon runs in the image under its cap, and the cap proved."""
    engine = machine.engine()
    mission.prove_cap(log, engine, CAP_MIB)
    return mission.fly(log, engine, CAP_MIB)


def _make_base(log: Log, engine: Engine) -> str:
    how = base_image.make(log, engine)
    try:
        status = log.status(engine.run(BASE, ["/bin/true"], memory_mib=CAP_MIB))
    finally:
        log.tidy(engine.remove())
    if status:
        raise machine.Unable(f"containers do not run here (status {status}): see {log.file}")
    return how


def _build(log: Log, engine: Engine, *, is_fresh: bool) -> str:
    labels = _labels(log)
    log.must(engine.build("flight", IMAGE, labels, is_fresh=is_fresh))
    size = _size_mb(log, engine)
    if size > MOST_MB:
        raise Failed(f"the image has {size:.0f} MB, more than {MOST_MB:.0f}")
    found = _contained(log, engine, engine.run(IMAGE, ["-c", _LIST], entrypoint="sh"))
    head = f"# {IMAGE}, version {labels['VERSION']}, revision {labels['REVISION']}"
    log.file.with_name(PACKAGES).write_text(f"{head}\n{found}\n", "utf-8")
    return f"{IMAGE}, {size:.0f} MB, {len(found.splitlines())} packages"


def _contained(log: Log, engine: Engine, command: list[str]) -> str:
    """What a container prints; it is gone afterwards, whatever happens."""
    try:
        return log.output(command)
    finally:
        log.tidy(engine.remove())


def _labels(log: Log) -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    version = str(project["project"]["version"])
    try:
        revision = log.output(["git", "describe", "--always", "--dirty", "--abbrev=40"])
    except Failed:
        revision = "unknown"
    return {"VERSION": version, "REVISION": revision}


def _size_mb(log: Log, engine: Engine) -> float:
    words = [engine.tool, "image", "inspect", "--format", "{{.Size}}", IMAGE]
    return int(log.output(words)) / 1e6
