"""The flight daemon and the ground node as processes: goodput, memory, time to a frame's answer."""

from __future__ import annotations

import io
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import yaml
import zmq

from bench.noise import noise_jpeg
from bench.report import Figure, Result, Table
from ground.command import ask
from occulta.codec import kernels
from occulta.codec.jpeg.engine import KERNEL
from occulta.link.endpoint import Client, Settings
from occulta.link.messages import (
    MAX_MESSAGE,
    CommandReply,
    CommandRequest,
    FrameBegin,
    FrameEnd,
    Message,
)
from occulta.program.channel import OVERHEAD
from occulta.program.sections import Cfdp
from onboard.config import Spool
from sim.feed import FrameFeeder, Offer
from sim.link.config import Preset
from sim.scenario.check import products_in
from sim.scenario.config import Flight, Scenario
from sim.scenario.mission import GROUND, LINK, ONBOARD, Mission, provision
from sim.scenario.processes import Processes
from sim.transfer import DAEMON, Connection

PACKET = 8192
RATE, LOSS = 150e6, 0.01
GOODPUT_BYTES = 200_000_000
FRAME_BYTES = 4_000_000
FRAMES_TIMED = 15
MANY, VERY_MANY = 500, 5_000
GOODPUT_BOUND, LATENCY_BOUND, GROWTH_BOUND = 0.9, 50.0, 1.0
IDLE_BOUND, RESIDENT_BOUND = 40.0, 64.0
_TIMEOUT = 600.0
_PDU_OVERHEAD = 16
"""Header of a File Data PDU with ids of 2 octets and numbers of 4, and its offset."""
Say = Callable[[str], None]


def run(_: Path, say: Say) -> Result:
    """Measure everything; the folder of pictures is not needed."""
    result = Result("daemon")
    is_compiled = kernels.is_compiled(kernels.load_kernel(KERNEL))
    result.machine["kernel"] = "compiled kernel" if is_compiled else "plain-Python kernel"
    result.machine["libzmq"] = f"libzmq {zmq.zmq_version()}"
    large, small = noise_jpeg(FRAME_BYTES), noise_jpeg(20_000)
    say("daemon, time until a frame is durable")
    _latency(result, large)
    say(f"daemon, {VERY_MANY} products waiting")
    _memory(result, small)
    say("daemon, goodput at 150 Mbit/s")
    _goodput(result, large)
    return result


@contextmanager
def _mission() -> Iterator[tuple[Mission, Processes]]:
    """A mission whose link is the preset x-band; the ground is a plain receiving station."""
    cfdp = Cfdp(
        max_pdu=PACKET - OVERHEAD, ack_interval=0.5, nak_interval=0.5, reorder_window=0.05
    )
    flight = Flight(rate=int(RATE), spool=Spool(max_bytes=1 << 30))
    preset = Preset.from_config("x-band", Path())
    scenario = Scenario(cfdp=cfdp, onboard=flight, preset=preset)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="occulta-bench-")))
        mission = provision(scenario, folder / "m", folder / "archive")
        ground = mission.folder / GROUND / "ground.yaml"
        options = yaml.safe_load(ground.read_bytes())
        ground.write_text(yaml.safe_dump({**options, "keys": []}))
        (folder / "logs").mkdir()
        processes = stack.enter_context(Processes(folder / "logs"))
        yield mission, processes


def _start(mission: Mission, processes: Processes, name: str, words: str) -> None:
    processes.start(name, mission.arguments(name))
    _until(lambda: processes.has_said(name, words), processes)


def _until(is_so: Callable[[], bool], processes: Processes) -> None:
    end = time.monotonic() + _TIMEOUT
    while not is_so():
        processes.watch()
        if time.monotonic() > end:
            raise OSError("the daemon does not get on")
        time.sleep(0.02)


def _store(mission: Mission, jpeg: bytes, names: Iterable[str]) -> list[float]:
    """Offer frames one after another; the seconds from the last byte sent to each one's answer."""
    times: list[float] = []
    with ExitStack() as stack:
        context = stack.enter_context(zmq.Context[zmq.Socket[bytes]]())
        client = Client(context, mission.camera, DAEMON, Settings(MAX_MESSAGE), b"camera")
        stack.callback(client.close)
        connection = Connection(client)
        poller = zmq.Poller()
        for socket, events in client.sockets():
            poller.register(socket, events)
        for name in names:
            begin = FrameBegin(name, "camera", len(jpeg), 0.0, False, {})
            offer = Offer(begin, lambda: io.BytesIO(jpeg))
            feeder = _TimedFeeder([offer], patience=_TIMEOUT)
            times.append(_offer(connection, poller, feeder))
    return times


def _names(first: int, end: int) -> list[str]:
    return [f"frame-{number}" for number in range(first, end)]


class _TimedFeeder(FrameFeeder):
    """Knows when it last gave a frame's end away."""

    ended = 0.0

    def next_message(self, now: float) -> Message | None:
        message = super().next_message(now)
        if isinstance(message, FrameEnd):
            self.ended = time.monotonic()
        return message


def _offer(connection: Connection, poller: zmq.Poller, feeder: _TimedFeeder) -> float:
    while True:
        connection.exchange(feeder, time.monotonic())
        if feeder.is_done:
            return time.monotonic() - feeder.ended
        poller.poll(20)


def _health(mission: Mission) -> dict[str, Any]:
    try:
        return dict(json.loads(mission.health.read_bytes()))
    except (OSError, ValueError):
        return {}


def _resident_mib(mission: Mission, processes: Processes, products: int) -> float:
    _until(lambda: _health(mission).get("frames_protected", -1) >= products, processes)
    return float(_health(mission)["resident_kib"]) / 1024


def _latency(result: Result, jpeg: bytes) -> None:
    with _mission() as (mission, processes):
        _start(mission, processes, ONBOARD, "running, entity")
        idle = _resident_mib(mission, processes, 0)
        times = _store(mission, jpeg, _names(0, FRAMES_TIMED))
        resident = _resident_mib(mission, processes, FRAMES_TIMED)
        processes.watch()
        peak = max(processes.all[ONBOARD].peaks.values())
    name = f"from the last byte of a {len(jpeg) / 1e6:.1f} MB frame to its answer, median"
    result.figures.append(Figure(name, 1000 * median(times), LATENCY_BOUND, unit="ms", digits=1))
    result.figures += [
        Figure("resident, idle", idle, IDLE_BOUND, unit="MiB", digits=1),
        Figure("resident, with such frames", resident, RESIDENT_BOUND, unit="MiB", digits=1),
        Figure("the most it was until then", peak, RESIDENT_BOUND, unit="MiB", digits=1),
    ]


def _memory(result: Result, jpeg: bytes) -> None:
    with _mission() as (mission, processes):
        _start(mission, processes, ONBOARD, "running, entity")
        _store(mission, jpeg, _names(0, MANY))
        many = _resident_mib(mission, processes, MANY)
        _store(mission, jpeg, _names(MANY, VERY_MANY))
        very_many = _resident_mib(mission, processes, VERY_MANY)
    result.figures += [
        Figure(f"resident, {MANY} products waiting", many, RESIDENT_BOUND, unit="MiB", digits=1),
        Figure(f"growth from frame {MANY} to {VERY_MANY}", very_many - many, GROWTH_BOUND,
               unit="MiB", digits=1),
    ]


def _goodput(result: Result, jpeg: bytes) -> None:
    count = -(-GOODPUT_BYTES // len(jpeg))
    with _mission() as (mission, processes):
        for name, words in (
            (GROUND, "running, entity"), (LINK, "listening:"), (ONBOARD, "running, entity")
        ):
            _start(mission, processes, name, words)
        _command(mission, "hold")
        _store(mission, jpeg, _names(0, count))
        _until(lambda: _health(mission).get("frames_protected", 0) >= count, processes)
        size = int(_health(mission)["spool_bytes"])
        before, stolen = _cpu(processes), _stolen()
        began = time.monotonic()
        _command(mission, "resume")
        _until(lambda: len(products_in(mission.archive)) >= count, processes)
        seconds = time.monotonic() - began
        after, stolen = _cpu(processes), _stolen() - stolen
    share = (PACKET - OVERHEAD - _PDU_OVERHEAD) / PACKET
    best = RATE / 8 * (1 - LOSS) * share
    cores = {name: (after[name] - before.get(name, 0.0)) / seconds for name in after}
    rows = [[name, f"{share:.2f}"] for name, share in cores.items()]
    result.tables.append(Table("CPU share of each process", ["process", "cores"], rows))
    result.figures.append(Figure(
        f"goodput, {size / 1e6:.0f} MB of products, of rate x (1 - loss) x payload share",
        size / seconds / best, GOODPUT_BOUND, at_least=True, digits=2,
    ))
    result.figures.append(Figure(
        "CPU of the flight daemon meanwhile", cores[ONBOARD], unit="cores", digits=2,
    ))
    result.notes.append(
        f"{size / seconds / 1e6:.1f} MB/s from the command to begin until the last product is in"
        " the archive; the ground is a station without keys, so that no recovery competes"
    )
    result.notes.append(
        f"{stolen / seconds:.2f} cores went to other machines of the same host meanwhile; goodput"
        " falls with what they take"
    )


def _command(mission: Mission, name: str) -> None:
    reply = ask(mission.console, CommandRequest(name, {}))
    if not isinstance(reply, CommandReply) or not reply.accepted:
        raise OSError(f"the satellite does not {name}: {reply}")


def _stolen() -> float:
    """Seconds so far, of all cores together, that this machine wanted and its host gave others."""
    fields = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()
    return int(fields[8]) / os.sysconf("SC_CLK_TCK")


def _cpu(processes: Processes) -> dict[str, float]:
    """Seconds of user and system time so far."""
    found = {}
    for name, process in processes.all.items():
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        found[name] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return found
