"""CPU time of marking and recovery against `jpegtran -copy all`, side by side on large files."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from PIL import Image

from bench import data
from bench.drive import Marked, comes_back, entropy_bytes, is_compiled, mark, recover, timed_kernel
from bench.mosaic import columns_for, mosaic
from bench.noise import private_bytes
from bench.peers import MISSING_JPEGTRAN, Jpegtran
from bench.report import Figure, Result, Table
from bench.target import largest_private

QUALITIES = (50, 75, 90)
LEAST_BYTES = 15_000_000
REPEATS = 7
SAMPLE_COLUMNS = 4
FILLING = 0.9
"""Share of its capacity that `paper` carries."""
PRIVATE_SHARE = 0.02
"""Private bytes of `exact`, as a share of the entropy-coded bytes."""
FIXED_BYTES = 256
"""Header and conclusion, at most."""
STEPS = tuple((p, s) for p in ("paper", "exact") for s in ("marking", "recovery"))


def bound(profile: str, step: str, quality: int) -> float:
    """How many times as fast as jpegtran it shall be."""
    if step == "recovery":
        return 1.5
    usual, at_90 = {"paper": (2.0, 1.7), "exact": (1.5, 1.3)}[profile]
    return at_90 if quality == 90 else usual


@dataclass(slots=True)
class Case:
    """One file, one profile, one direction."""

    file: str
    quality: int
    profile: str
    step: str
    file_bytes: int
    private_bytes: int
    effort: int
    """More than 0 where the plan of a first run did not hold; the run timed is the last."""
    peer: list[float] = field(default_factory=list)
    """CPU seconds of jpegtran, user and system, right before and after each run, averaged."""
    peer_user: list[float] = field(default_factory=list)
    """Its user time alone."""
    kernel: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    """CPU seconds of the whole object, sealing and digests included."""

    @property
    def ratio(self) -> float:
        """How many times as fast the kernel is: median of the paired runs."""
        return median_ratio(self.peer, self.kernel)

    @property
    def best(self) -> float:
        """The same from the best run of each."""
        return min(self.peer) / min(self.kernel)

    @property
    def whole_ratio(self) -> float:
        """How many times as fast the whole object is."""
        return median_ratio(self.peer, self.whole)


def median_ratio(peer: list[float], ours: list[float]) -> float:
    """Median of peer / ours over paired runs."""
    return median(one / other for one, other in zip(peer, ours, strict=True))


def run(folder: Path, say: Callable[[str], None]) -> Result:
    """Measure every file."""
    result = Result("speed")
    jpegtran = Jpegtran.find()
    if jpegtran is None:
        result.skipped.append(MISSING_JPEGTRAN)
        return result
    if not is_compiled():
        result.skipped.append("the compiled kernel is not built: python3 dev.py setup")
        return result
    result.machine["jpegtran"] = jpegtran.version
    cases: list[Case] = []
    with tempfile.TemporaryDirectory() as name:
        for label, quality, jpeg in _files(folder):
            say(f"speed, {label}, quality {quality}, {len(jpeg) / 1e6:.1f} MB")
            cases += _measure(jpegtran, Path(name), label, quality, jpeg)
    _report(result, cases, folder)
    return result


def _files(folder: Path) -> Iterator[tuple[str, int, bytes]]:
    for label in ("gray", "4:2:0"):
        tiles = data.tiles(folder, label != "gray")
        for quality in QUALITIES:
            yield label, quality, large_jpeg(tiles, quality, LEAST_BYTES)


def large_jpeg(tiles: list[Image.Image], quality: int, least: int) -> bytes:
    """A square mosaic of at least that many bytes."""
    columns = SAMPLE_COLUMNS
    jpeg = _encoded(mosaic(tiles, columns, columns), quality)
    while len(jpeg) < least:
        columns = max(columns + 1, columns_for(least, len(jpeg), columns))
        jpeg = _encoded(mosaic(tiles, columns, columns), quality)
    return jpeg


def _encoded(picture: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality, subsampling="4:2:0", optimize=False)
    return out.getvalue()


def _measure(
    jpegtran: Jpegtran, work: Path, label: str, quality: int, jpeg: bytes
) -> list[Case]:
    source, target = work / "in.jpg", work / "out.jpg"
    source.write_bytes(jpeg)
    private = {"paper": _paper_private(jpeg), "exact": _exact_private(jpeg)}
    marked = {profile: mark(jpeg, hidden, profile) for profile, hidden in private.items()}
    for profile, hidden in private.items():
        if not comes_back(jpeg, hidden, marked[profile].data, profile):
            raise AssertionError(f"profile {profile}: the file did not come back")
    sizes = [len(private[profile]) for profile, _ in STEPS]
    cases = [
        Case(label, quality, profile, step, len(jpeg), size, marked[profile].effort)
        for (profile, step), size in zip(STEPS, sizes, strict=True)
    ]
    for _ in range(REPEATS):
        before = jpegtran.copy_time(source, target)
        for case in cases:
            _time(case, jpeg, private[case.profile], marked[case.profile])
            after = jpegtran.copy_time(source, target)
            case.peer.append((before.total + after.total) / 2)
            case.peer_user.append((before.user + after.user) / 2)
            before = after
    return cases


def _paper_private(jpeg: bytes) -> bytes:
    carriers = mark(jpeg, b"", "paper").carriers
    room = int(2 * carriers * FILLING) // 8
    return private_bytes(largest_private(room - FIXED_BYTES))


def _exact_private(jpeg: bytes) -> bytes:
    return private_bytes(int(PRIVATE_SHARE * entropy_bytes(jpeg)))


def _time(case: Case, jpeg: bytes, private: bytes, marked: Marked) -> None:
    with timed_kernel() as kernel:
        started = time.process_time()
        if case.step == "marking":
            mark(jpeg, private, case.profile, effort=marked.effort)
        else:
            recover(marked.data, case.profile)
        case.whole.append(time.process_time() - started)
    case.kernel.append(kernel.seconds)


def _report(result: Result, cases: list[Case], folder: Path) -> None:
    head = ["file", "profile", "step", "JPEG, MB", "private, kB", "jpegtran, s", "kernel, s",
            "kernel", "bound", "best of", "user only", "whole object"]
    result.tables.append(Table("Times as fast as jpegtran -copy all (CPU time, median of "
                               f"{REPEATS} paired runs)", head, [_row(case) for case in cases]))
    for case in cases:
        name = f"{case.profile} {case.step}, {case.file}, quality {case.quality}"
        limit = bound(case.profile, case.step, case.quality)
        result.figures.append(Figure(name, case.ratio, limit, True, "x", 2))
    kind = "real pictures" if folder.is_dir() else "synthesised scenes (no data folder)"
    result.notes.append(f"the files are mosaics of {kind}, varied tile by tile")
    again = {f"{case.file} quality {case.quality}" for case in cases if case.effort}
    result.notes += [f"{name}: exact needed another run (not timed)" for name in sorted(again)]
    result.details = {"cases": [asdict(case) for case in cases]}


def _row(case: Case) -> list[str]:
    limit = bound(case.profile, case.step, case.quality)
    user_only = median_ratio(case.peer_user, case.kernel)
    ratios = (case.ratio, limit, case.best, user_only, case.whole_ratio)
    return [
        f"{case.file} q{case.quality}", case.profile, case.step, f"{case.file_bytes / 1e6:.1f}",
        f"{case.private_bytes / 1e3:.0f}", f"{median(case.peer):.3f}",
        f"{median(case.kernel):.3f}", *(f"{ratio:.2f}" for ratio in ratios),
    ]
