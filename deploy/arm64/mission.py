"""A mission whose flight daemon runs in the image, under its cap; the rest runs natively."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from bench.strip import encode_strip, shuffled
from deploy.arm64.engine import BOX, IMAGE, Engine
from deploy.arm64.log import KILLED, Failed, Log
from deploy.arm64.machine import Unable
from sim.camera import DEFAULT_SEED, scene
from sim.scenario.check import check
from sim.scenario.config import load
from sim.scenario.driver import Driver
from sim.scenario.frames import Frame, take_frames
from sim.scenario.mission import ONBOARD, Mission, provision
from sim.scenario.processes import Processes
from sim.scene.frame import frame_of

SCENARIO = """
frames: {count: 3, megapixels: 2.0}
sensitive: [2]
link:
  down: {rate: 20000000, delay: 0.004, bursts: {mean: 0.02, length: 8}, bit_error_rate: 1.0e-8}
  up: {rate: 1000000, delay: 0.004, bursts: {mean: 0.01, length: 2}}
cfdp: {max_pdu: 8192, ack_interval: 2.0, nak_interval: 2.0}
onboard: {rate: 18000000}
time_limit: {base: 600}
"""
LARGE_SIDE = 10_000
"""Pixels: the large frame has 100 megapixels."""
USER = 10_001
LIMIT = 900.0
"""Seconds for everything, in the worst case."""
OVERRUN = "held = bytearray({mib} << 20)\nfor at in range(0, len(held), 4096): held[at] = 1"


@dataclass(frozen=True, slots=True)
class BoxedMission(Mission):
    """A mission whose flight daemon is a container."""

    command: tuple[str, ...]
    """What runs the container, up to the daemon's own arguments."""

    def arguments(self, program: str) -> list[str]:
        """As of Mission, for a process that becomes the container's command."""
        words = Mission.arguments(self, program)
        return ["deploy.arm64.become", *self.command, *words[1:]] if program == ONBOARD else words


def prove_cap(log: Log, engine: Engine, cap_mib: int) -> None:
    """A container that takes more than the cap has to be killed; raises Failed if it lives."""
    words = ["-c", OVERRUN.format(mib=2 * cap_mib)]
    try:
        status = log.status(engine.run(IMAGE, words, memory_mib=cap_mib, entrypoint="python3"))
    finally:
        log.tidy(engine.remove())
    if status != KILLED:
        raise Failed(f"a container ended with {status} beyond its {cap_mib} MiB, not {KILLED}")


def fly(log: Log, engine: Engine, cap_mib: int) -> str:
    """Frames from the camera through the container to the ground; raises Failed and Unable."""
    if os.geteuid() != 0:
        raise Unable(f"the daemon's folder is to belong to user {USER}: run this step as root")
    with tempfile.TemporaryDirectory(prefix="occulta-arm64-") as name:
        folder = Path(name).resolve()
        (folder / "scenario.yaml").write_text(SCENARIO, "utf-8")
        scenario = load(folder / "scenario.yaml")
        frames = [*take_frames(scenario, [], folder / "frames"), _large_frame(folder / "frames")]
        plain = provision(scenario, folder / "mission", folder / "archive")
        mission = _boxed(plain, engine, cap_mib)
        try:
            return _play(log, engine, mission, frames)
        finally:
            log.tidy(engine.remove())


def _boxed(plain: Mission, engine: Engine, cap_mib: int) -> BoxedMission:
    """The container sees the daemon's own folder alone, and owns it."""
    onboard = plain.folder / ONBOARD
    for path in (onboard, *onboard.rglob("*")):
        os.chown(path, USER, USER)
    command = engine.run(IMAGE, [], memory_mib=cap_mib, volumes=[onboard])
    return BoxedMission(plain.folder, plain.archive, tuple(command))


def _play(log: Log, engine: Engine, mission: BoxedMission, frames: Sequence[Frame]) -> str:
    logs = log.file.with_name("demo-logs")
    logs.mkdir(exist_ok=True)
    with Processes(logs) as processes:
        driver = Driver(mission, frames, processes, LIMIT)
        driver.run(0)
        peak = _peak(log, engine)
        seconds = driver.seconds
    faults = [*processes.failures(), *check(mission.archive, frames)[1]]
    if faults:
        raise Failed("; ".join(faults))
    size = sum(frame.size for frame in frames) / 1e6
    return (f"{len(frames)} frames, {size:.1f} MB, one of 100 megapixels, restored bit for bit; "
            f"the container's peak {peak}; {seconds:.0f} s")


def _peak(log: Log, engine: Engine) -> str:
    """The container's greatest memory so far, its emulator and its /tmp included, in words."""
    try:
        process = log.output([engine.tool, "inspect", "--format", "{{.State.Pid}}", BOX])
        groups = Path("/proc", process, "cgroup").read_text("ascii")
        file = next(file for file in peak_files(groups) if file.exists())
        return f"{int(file.read_text('ascii')) / (1 << 20):.0f} MiB"
    except (Failed, OSError, ValueError, StopIteration):
        return "not told by this system"


def peak_files(groups: str) -> Iterator[Path]:
    """Where a process's peak may stand, by its /proc/PID/cgroup (cgroups(7)): version 1 or 2."""
    for line in groups.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield Path(f"/sys/fs/cgroup{path}/memory.peak")
        elif "memory" in controllers.split(","):
            yield Path(f"/sys/fs/cgroup/memory{path}/memory.max_usage_in_bytes")


def _large_frame(folder: Path) -> Frame:
    """A frame of 100 megapixels: the rows of a wide strip, again and again."""
    picture = scene(DEFAULT_SEED, frame_of(4.0))
    strip = Image.new("RGB", (LARGE_SIDE, picture.height))
    for left in range(0, LARGE_SIDE, picture.width):
        strip.paste(picture, (left, 0))
    rows = encode_strip(strip, 75)
    path = folder / "large.jpg"
    with path.open("wb") as file:
        file.writelines(rows.repeated(LARGE_SIDE, shuffled(len(rows.rows))))
    return Frame("frame-large", path, None, "private-large", False, path.stat().st_size)
