"""`occulta-sim run`: a whole mission from the camera to the archive, checked byte for byte."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from occulta.codec.jpeg.engine import KERNEL
from occulta.codec.kernels import is_compiled, load_kernel
from occulta.errors import ExitCode, OccultaError, Reason
from occulta.link.drops import PacketError
from sim.files import workspace
from sim.link.config import load as load_link
from sim.scenario import config
from sim.scenario.check import Joined, check
from sim.scenario.config import Scenario
from sim.scenario.driver import Driver, TimeLimitPassed, read_json, say
from sim.scenario.feed import Refused
from sim.scenario.frames import Frame, pictures_in, take_frames
from sim.scenario.holders import join
from sim.scenario.mission import GROUND, Mission, archive_of, others_of, provision
from sim.scenario.processes import Interrupted, Processes, ProcessFailed
from sim.scenario.report import render
from sim.scenario.results import Result, Usage, table


@dataclass(frozen=True, slots=True)
class Options:
    """What the caller chose; of `frames`, a folder of JPEG files, and `image` at most one."""

    scenario: Path
    frames: Path | None
    image: Path | None
    archive: Path | None
    report: Path


def run(options: Options) -> int:
    """Run a scenario, print its table, write its report; returns the exit status.

    Raises OccultaError, CommandFailed and OSError.
    """
    scenario = config.load(options.scenario)
    pictures = _pictures(options)
    scenario.check(len(pictures))
    if options.archive is not None:
        names = others_of(scenario)
        for archive in (options.archive, *(archive_of(options.archive, name) for name in names)):
            _check_archive(archive)
    report = workspace(options.report, keep=(options.scenario, options.archive, *pictures))
    with tempfile.TemporaryDirectory(prefix="occulta-") as temporary:
        folder = Path(temporary).resolve()
        say("taking the frames")
        frames = take_frames(scenario, pictures, folder / "frames")
        scenario.check_time(sum(frame.size for frame in frames), _limit(scenario, frames))
        mission = provision(scenario, folder / "mission", options.archive or folder / "archive")
        (report / "logs").mkdir()
        try:
            name = options.scenario.stem
            status, result = play(name, scenario, frames, mission, report / "logs")
        except Interrupted as interrupt:
            say(str(interrupt))
            return 128 + interrupt.number
        (report / "report.html").write_text(render(result), encoding="utf-8")
    text = json.dumps(result.as_dict(), indent=2) + "\n"
    (report / "report.json").write_text(text, encoding="utf-8")
    print(table(result))
    print(f"report: {report / 'report.html'}")
    return status


def play(
    name: str, scenario: Scenario, frames: Sequence[Frame], mission: Mission, logs: Path
) -> tuple[int, Result]:
    """Run the programs and check what came of it; the exit status and everything measured.

    Raises Interrupted, OccultaError and OSError.
    """
    limit = _limit(scenario, frames)
    with Processes(logs) as processes:
        driver = Driver(mission, frames, processes, limit)
        status, faults = _drive(driver, min(scenario.pass_after, len(frames)))
        seconds = driver.seconds
    faults += processes.failures()
    joined: dict[str, Joined] = {}
    if scenario.holders is not None:
        joined, found = join(mission, frames, scenario.holders.threshold)
        faults += found
    arrivals, found = check(mission.archive, frames, joined)
    faults = list(dict.fromkeys(faults + found))
    pairs = {
        pair["ground"]: pair for pair in read_json(mission.statistics).get("pairs", ())
    }
    relay, link = load_link(mission.folder / "sim" / "link.yaml")
    result = Result(
        scenario=name, arrivals=arrivals, faults=faults, seconds=seconds, limit=limit,
        pass_began=driver.pass_began, stored=driver.stored, recovered=driver.recovered,
        link=pairs.pop(GROUND, {}), others=pairs,
        outages=[*link.outages, *relay.outages], ground=driver.counters,
        programs=[
            Usage(each.name, each.cpu_seconds, tuple(each.peaks.values()))
            for each in processes.all.values()
        ],
        commands=[_shown(mission, program) for program in processes.all],
    )
    return status or (ExitCode.NOT_VERIFIED if faults else 0), result


def _limit(scenario: Scenario, frames: Sequence[Frame]) -> float:
    """Seconds that all may take."""
    size = sum(frame.size for frame in frames)
    return scenario.time_limit.seconds(size, not is_compiled(load_kernel(KERNEL)))


def _drive(driver: Driver, pass_after: int) -> tuple[int, list[str]]:
    """The exit status that a failure asks for, and the failure in words."""
    try:
        driver.run(pass_after)
    except TimeLimitPassed as late:
        return ExitCode.NOT_VERIFIED, [str(late)]
    except Refused as refused:
        return ExitCode.REFUSED, [str(refused)]
    except ProcessFailed as failed:
        return ExitCode.MACHINE, [str(failed)]
    except PacketError as error:
        return ExitCode.NOT_VERIFIED, [f"an answer that cannot be understood: {error}"]
    except OccultaError as error:
        return error.reason.exit_code, [str(error)]
    return 0, []


def _pictures(options: Options) -> list[Path]:
    """The caller's own pictures; none where the frames are synthetic."""
    if options.image is not None:
        return [options.image]
    return [] if options.frames is None else pictures_in(options.frames)


def _check_archive(archive: Path) -> None:
    if os.path.lexists(archive) and any(archive.iterdir()):
        raise OccultaError(Reason.OUTPUT_EXISTS, f"{archive} is not empty")


def _shown(mission: Mission, program: str) -> str:
    """A program's command as typed in the mission's folder."""
    module, *arguments = mission.arguments(program)
    words = [word.removeprefix(f"{mission.folder}{os.sep}") for word in arguments]
    return " ".join([f"occulta-{module}", *words])
