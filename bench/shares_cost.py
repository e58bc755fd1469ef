"""What shares cost: CPU time against `jpegtran -copy all`, and peak resident memory."""

from __future__ import annotations

import filecmp
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from bench import data
from bench.cells import read_time
from bench.drive import KEY, chunks
from bench.memory import DIFFERENCE_BOUND, PEAK_BOUND, SIZES, strip_of, write
from bench.memory import QUALITY as STRIP_QUALITY
from bench.peers import Jpegtran
from bench.report import Figure, Result, Table
from bench.shares_drive import Memory, create, split
from bench.speed import LEAST_BYTES, QUALITIES, large_jpeg, median_ratio
from bench.strip import encode_strip, shuffled
from occulta.limits import DEFAULT_LIMITS
from occulta.schemes.shares.gather import Gatherer
from occulta.schemes.shares.split import Splitter
from sim.command import must

SPEED_BOUND = 0.4
REPEATS = 5
COLOURS = ("gray", "4:2:0")
STEPS = ("splitting", "cells alone", "recovery")
"""The whole object that writes share B; the part of it that reads and hashes; the way back."""


@dataclass(slots=True)
class Timed:
    """One step on one file: CPU seconds of paired runs."""

    file: str
    quality: int
    step: str
    file_bytes: int
    peer: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """How many times as fast as jpegtran."""
        return median_ratio(self.peer, self.ours)


@dataclass(frozen=True, slots=True)
class Peak:
    """One picture through the programs."""

    size: str
    colour: str
    file_bytes: int
    peak_mib: float
    seconds: float
    recovery_peak_mib: float
    recovery_seconds: float


def measure_speed(
    result: Result, jpegtran: Jpegtran, folder: Path, say: Callable[[str], None]
) -> None:
    """Every file and step, in turn with jpegtran."""
    timed: list[Timed] = []
    with tempfile.TemporaryDirectory() as name:
        for colour in COLOURS:
            tiles = data.tiles(folder, colour != "gray")
            for quality in QUALITIES:
                jpeg = large_jpeg(tiles, quality, LEAST_BYTES)
                say(f"shares, speed, {colour}, quality {quality}, {len(jpeg) / 1e6:.1f} MB")
                cases = [Timed(colour, quality, step, len(jpeg)) for step in STEPS]
                _run_in_turn(jpegtran, Path(name), jpeg, cases)
                timed += cases
    head = ["file", "step", "JPEG, MB", "jpegtran, s", "ours, s", "times as fast", "best of"]
    rows = [
        [f"{each.file} q{each.quality}", each.step, f"{each.file_bytes / 1e6:.1f}",
         f"{median(each.peer):.3f}", f"{median(each.ours):.3f}", f"{each.ratio:.2f}",
         f"{min(each.peer) / min(each.ours):.2f}"]
        for each in timed
    ]
    title = f"Times as fast as jpegtran -copy all (CPU time, median of {REPEATS} paired runs)"
    result.tables.append(Table(title, head, rows))
    result.figures += [
        Figure(f"{each.step}, {each.file}, quality {each.quality}", each.ratio,
               SPEED_BOUND if each.step == "splitting" else None, True, "x", 2)
        for each in timed if each.step != "cells alone"
    ]
    result.details["speed"] = [asdict(each) for each in timed]


def _run_in_turn(jpegtran: Jpegtran, work: Path, jpeg: bytes, cases: list[Timed]) -> None:
    source, target = work / "in.jpg", work / "out.jpg"
    source.write_bytes(jpeg)
    shares = split(jpeg, create("seed", "speed")).shares
    before = jpegtran.copy_time(source, target)
    for _ in range(REPEATS):
        for case in cases:
            case.ours.append(_step_time(case.step, jpeg, shares))
            after = jpegtran.copy_time(source, target)
            case.peer.append((before.total + after.total) / 2)
            before = after


def _step_time(step: str, jpeg: bytes, shares: tuple[bytes, ...]) -> float:
    if step == "cells alone":
        return read_time(jpeg)
    return split_time(jpeg) if step == "splitting" else gather_time(jpeg, shares)


def split_time(jpeg: bytes) -> float:
    """CPU seconds of splitting in two, share B in full, keys made before."""
    made = create("seed", "speed")
    started = time.process_time()
    splitter = Splitter(made)
    for chunk in chunks(jpeg):
        splitter.feed(chunk)
    splitter.finish()
    return time.process_time() - started


def gather_time(jpeg: bytes, shares: tuple[bytes, ...]) -> float:
    """CPU seconds of finding, checking and decrypting; raises AssertionError if bytes differ."""
    sources = [Memory(name, share) for name, share in zip("ab", shares, strict=True)]
    started = time.process_time()
    gatherer = Gatherer(sources, KEY, DEFAULT_LIMITS)
    restored = [*gatherer.restore()]
    seconds = time.process_time() - started
    if not gatherer.is_intact or b"".join(restored) != jpeg:
        raise AssertionError("the picture did not come back")
    return seconds


def measure_memory(result: Result, folder: Path, say: Callable[[str], None]) -> None:
    """Each picture through both programs, each in a process of its own."""
    peaks: list[Peak] = []
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        must("ground", "keygen", "keys", cwd=work)
        for colour in COLOURS:
            tiles = data.tiles(folder, colour != "gray")
            for size, side in SIZES.items():
                say(f"shares, memory, {colour}, {size}")
                strip = encode_strip(strip_of(tiles, side), STRIP_QUALITY)
                write(work / "image.jpg", strip.repeated(side, shuffled(len(strip.rows))))
                peaks.append(_peak(work, size, colour))
    head = ["picture", "sampling", "JPEG, MB", "protect, MiB", "seconds", "recover, MiB",
            "recover, s"]
    rows = [
        [each.size, each.colour, f"{each.file_bytes / 1e6:.1f}", f"{each.peak_mib:.1f}",
         f"{each.seconds:.1f}", f"{each.recovery_peak_mib:.1f}", f"{each.recovery_seconds:.1f}"]
        for each in peaks
    ]
    result.tables.append(Table("Peak resident memory of the programs", head, rows))
    for colour in COLOURS:
        small, large = (each for each in peaks if each.colour == colour)
        result.figures += _memory_figures(colour, small, large)
    result.details["memory"] = [asdict(each) for each in peaks]


def _peak(work: Path, size: str, colour: str) -> Peak:
    ran = must(
        "onboard", "protect", "image.jpg", "--scheme", "shares", "--to", "keys/recipient.pub",
        "-o", "shares", cwd=work,
    )
    names = sorted(f"shares/{path.name}" for path in (work / "shares").iterdir())
    back = must(
        "ground", "recover", *names, "--key", "keys/recipient.key", "-o", "back", cwd=work
    )
    if not filecmp.cmp(work / "back" / "carrier.jpg", work / "image.jpg", shallow=False):
        raise AssertionError("the picture did not come back")
    for folder in ("shares", "back"):
        shutil.rmtree(work / folder)
    file_bytes = (work / "image.jpg").stat().st_size
    return Peak(
        size, colour, file_bytes, ran.peak_mib, ran.seconds, back.peak_mib, back.seconds
    )


def _memory_figures(colour: str, small: Peak, large: Peak) -> list[Figure]:
    peak = max(small.peak_mib, large.peak_mib)
    back = max(small.recovery_peak_mib, large.recovery_peak_mib)
    return [
        Figure(f"peak of protect, {colour}", peak, PEAK_BOUND, unit="MiB", digits=1),
        Figure(f"400 less 1 megapixel, protect, {colour}", large.peak_mib - small.peak_mib,
               DIFFERENCE_BOUND, unit="MiB", digits=1),
        Figure(f"peak of recover, {colour}", back, unit="MiB", digits=1),
        Figure(f"400 less 1 megapixel, recover, {colour}",
               large.recovery_peak_mib - small.recovery_peak_mib, unit="MiB", digits=1),
    ]
