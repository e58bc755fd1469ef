"""Robust hiding: embedding speed and memory, recovery time, and no wrong bytes from anything."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from PIL import Image

from bench import data, robust_files, robust_recovery, robust_vectors
from bench.memory import strip_of, write
from bench.mosaic import mosaic
from bench.noise import private_bytes
from bench.peers import has_program
from bench.report import Figure, Result, Table
from bench.robust_mark import QUALITY, SMALL, largest, mark
from bench.strip import encode_strip, shuffled
from occulta.codec.kernels import is_compiled, load_kernel
from occulta.schemes.robust.mark import KERNEL
from occulta.schemes.robust.profiles import PROFILES
from sim.command import must

COLUMNS = 8
"""Of 512x512 pictures, in each direction: 16.8 megapixels."""
REPEATS = 5
SPEED_BOUND = 20.0
OTHER_QUALITY = 95
"""Of a file that has to be quantised anew."""
PEAK_BOUND, GROWTH_BOUND = 64.0, 4.0
SIZES = {"1 megapixel": 1000, "121 megapixels": 11_000}
MESSAGES = ("small", "largest")


def run(folder: Path, say: Callable[[str], None]) -> Result:
    """Everything in turn."""
    result = Result("robust")
    if not is_compiled(load_kernel(KERNEL)):
        result.skipped.append("the compiled kernel is not built: python3 dev.py setup")
        return result
    embedding(result, folder, say)
    if has_program("ground"):
        robust_recovery.measure(result, folder, say)
    else:
        result.skipped.append("the program `ground` is not there yet")
    if has_program("onboard"):
        memory(result, folder, say)
    else:
        result.skipped.append("the program `onboard` is not there yet")
    robust_vectors.measure(result, say)
    robust_files.measure(result, folder, say)
    return result


def _private(which: str, name: str, width: int, height: int) -> bytes:
    return private_bytes(SMALL) if which == "small" else largest(name, width, height)


# --- speed


def embedding(result: Result, folder: Path, say: Callable[[str], None]) -> None:
    """Small and largest message, gray and colour; bounds on gray."""
    rows = []
    for colour, quality in (("gray", QUALITY), ("4:2:0", QUALITY), ("gray", OTHER_QUALITY)):
        picture = mosaic(data.tiles(folder, colour != "gray"), COLUMNS, COLUMNS)
        jpeg = _encoded(picture, quality)
        for name in PROFILES:
            say(f"robust, embedding, {colour}, quality {quality}, {name}")
            for which in MESSAGES:
                private = _private(which, name, *picture.size)
                rates = _rates(jpeg, name, private, picture.width * picture.height / 1e6)
                rows.append([name, colour, f"{quality}", f"{len(private)}",
                             f"{median(rates):.1f}", f"{max(rates):.1f}"])
                if (colour, quality) == ("gray", QUALITY):
                    result.figures.append(Figure(
                        f"embedding, {name}, gray, {which} message, median of {REPEATS} runs",
                        median(rates), SPEED_BOUND, True, "Mpixel/CPU-s", 1))
    result.tables.append(Table(
        f"Embedding: megapixels per CPU-second, {(data.SIDE * COLUMNS) ** 2 / 1e6:.1f} megapixels, "
        f"{REPEATS} runs",
        ["profile", "sampling", "file's quality", "private bytes", "median", "best"], rows))


def _encoded(picture: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality, subsampling="4:2:0")
    return out.getvalue()


def _rates(jpeg: bytes, name: str, private: bytes, megapixels: float) -> list[float]:
    """Of repeated runs, sealing and coding included."""
    rates = []
    for _ in range(REPEATS):
        started = time.process_time()
        mark(jpeg, name, private)
        rates.append(megapixels / (time.process_time() - started))
    return rates


# --- memory


def memory(result: Result, folder: Path, say: Callable[[str], None]) -> None:
    """Small and largest message, a small and a large picture."""
    rows, peaks = [], {}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        must("ground", "keygen", "keys", cwd=work)
        for colour in ("gray", "4:2:0"):
            tiles = data.tiles(folder, colour != "gray")
            for size, side in SIZES.items():
                say(f"robust, memory, {colour}, {size}")
                strip = encode_strip(strip_of(tiles, side), QUALITY)
                write(work / "image.jpg", strip.repeated(side, shuffled(len(strip.rows))))
                for profile in PROFILES:
                    for which in MESSAGES:
                        private = _private(which, profile, side, side)
                        peaks[colour, profile, which, size] = peak = _peak(work, profile, private)
                        rows.append([size, colour, profile, f"{len(private)}", f"{peak:.1f}"])
    result.tables.append(Table(
        "Peak resident memory of occulta-onboard protect",
        ["picture", "sampling", "profile", "private bytes", "MiB"], rows))
    _figure_memory(result, peaks)


def _figure_memory(result: Result, peaks: dict[tuple[str, str, str, str], float]) -> None:
    for which in MESSAGES:
        greatest = max(peak for key, peak in peaks.items() if key[2] == which)
        result.figures.append(Figure(
            f"peak of protect, {which} message, greatest", greatest, PEAK_BOUND, unit="MiB",
            digits=1))
    small, large = SIZES
    grown = max(
        peak - peaks[colour, profile, which, small]
        for (colour, profile, which, size), peak in peaks.items()
        if (which, size) == ("small", large)
    )
    result.figures.append(Figure(
        "121 less 1 megapixel, small message, greatest", grown, GROWTH_BOUND, unit="MiB", digits=1))


def _peak(work: Path, profile: str, private: bytes) -> float:
    (work / "marked.jpg").unlink(missing_ok=True)
    (work / "private").write_bytes(private)
    return must(
        "onboard", "protect", "image.jpg", "--scheme", "robust", "--profile", profile,
        "--private", "private", "--to", "keys/recipient.pub", "-o", "marked.jpg", cwd=work,
    ).peak_mib
