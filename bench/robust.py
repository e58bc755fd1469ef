"""Robust hiding: embedding speed and memory, recovery time, and no wrong bytes from anything."""

from __future__ import annotations

import io
import random
import tempfile
import time
import zlib
from array import array
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from bench import data
from bench.memory import strip_of, write
from bench.mosaic import mosaic
from bench.noise import private_bytes
from bench.peers import has_program
from bench.report import Figure, Result, Table
from bench.strip import encode_strip, shuffled
from occulta.codec import crypto
from occulta.codec.fec.message import TurboCode
from occulta.codec.kernels import is_compiled, load_kernel
from occulta.errors import OccultaError
from occulta.schemes.robust import message
from occulta.schemes.robust.extract import recover
from occulta.schemes.robust.mark import KERNEL, Marker
from occulta.schemes.robust.picture import from_jpeg
from occulta.schemes.robust.profiles import PROFILES
from sim.command import must

KEY = crypto.PrivateKey(bytes(range(1, 33)))
COLUMNS = 8
"""Of 512x512 pictures, in each direction: 16.8 megapixels."""
QUALITY = 90
REPEATS = 5
CHUNK = 1 << 16
SPEED_BOUND = 20.0
RECOVERY_BOUND = 1.0
PEAK_BOUND, GROWTH_BOUND = 64.0, 4.0
SIZES = {"1 megapixel": 1000, "121 megapixels": 11_000}
VECTORS = 100_000
BITS = 1024
PIECE = 2_000
FILES = 500
PRIVATE = 20
"""Bytes, where the size does not matter."""
DAMAGED_PROFILE = "default"


def run(folder: Path, say: Callable[[str], None]) -> Result:
    """Everything in turn."""
    result = Result("robust")
    if not is_compiled(load_kernel(KERNEL)):
        result.skipped.append("the compiled kernel is not built: python3 dev.py setup")
        return result
    _embedding(result, folder, say)
    _recovery(result, folder, say)
    if has_program("onboard"):
        _memory(result, folder, say)
    say(f"robust, {VECTORS} random vectors")
    wrong = random_llrs_accepted(BITS, VECTORS, KEY)
    result.figures.append(Figure(
        f"messages from {VECTORS} random LLR vectors of {BITS} bits", wrong, 0, digits=0))
    say(f"robust, {FILES} damaged and random files")
    _files(result, folder)
    return result


# --- speed


def _embedding(result: Result, folder: Path, say: Callable[[str], None]) -> None:
    rows = []
    for colour in ("gray", "4:2:0"):
        out = io.BytesIO()
        picture = mosaic(data.tiles(folder, colour != "gray"), COLUMNS, COLUMNS)
        picture.save(out, "JPEG", quality=QUALITY, subsampling="4:2:0")
        for name in PROFILES:
            say(f"robust, embedding, {colour}, {name}")
            rates = _rates(out.getvalue(), name, picture.width * picture.height / 1e6)
            rows.append([name, colour, f"{median(rates):.1f}", f"{max(rates):.1f}"])
            if colour == "gray":
                result.figures.append(Figure(
                    f"embedding, {name}, gray", median(rates), SPEED_BOUND, True,
                    "Mpixel/CPU-s", 1))
    result.tables.append(Table(
        f"Embedding: megapixels per CPU-second, quality {QUALITY}, "
        f"{(data.SIDE * COLUMNS) ** 2 / 1e6:.1f} megapixels",
        ["profile", "sampling", "median", "best"], rows))


def _rates(jpeg: bytes, name: str, megapixels: float) -> list[float]:
    """Of repeated runs, sealing and coding included."""
    rates = []
    for _ in range(REPEATS):
        started = time.process_time()
        mark(jpeg, name)
        rates.append(megapixels / (time.process_time() - started))
    return rates


def mark(jpeg: bytes, name: str, private: bytes = bytes(PRIVATE)) -> bytes:
    """The marked file; raises OccultaError."""
    marker = Marker(PROFILES[name], KEY.public, private)
    parts = [marker.feed(jpeg[at : at + CHUNK]) for at in range(0, len(jpeg), CHUNK)]
    return b"".join([*parts, marker.finish()])


def _recovery(result: Result, folder: Path, say: Callable[[str], None]) -> None:
    jpeg = _squares(folder)[0]
    rows = []
    for name in PROFILES:
        say(f"robust, recovery, {name}")
        file = mark(jpeg, name)
        whole = _seconds(file)
        moved = _seconds(_cropped(file))
        rows.append([name, f"{whole:.2f}", f"{moved:.2f}"])
        result.figures.append(Figure(
            f"recovery, {name}, {data.SIDE}x{data.SIDE}", whole, RECOVERY_BOUND, unit="CPU-s",
            digits=2))
    result.tables.append(Table(
        "Recovery in CPU-seconds, all profiles tried, median", ["profile", "whole", "cropped"],
        rows))


def _squares(folder: Path) -> list[bytes]:
    return [data.gray_jpeg(tile, QUALITY) for tile in data.tiles(folder, False)]


def _cropped(file: bytes) -> bytes:
    """The file without its first lines and columns, not a multiple of 8, encoded again."""
    with Image.open(io.BytesIO(file)) as image:
        return data.gray_jpeg(image.crop((61, 37, image.width - 20, image.height - 10)), 95)


def _seconds(file: bytes) -> float:
    """CPU seconds, the median; raises OccultaError where the message is lost."""
    taken = []
    for _ in range(REPEATS):
        started = time.process_time()
        recover(from_jpeg(file), KEY)
        taken.append(time.process_time() - started)
    return median(taken)


# --- memory


def _memory(result: Result, folder: Path, say: Callable[[str], None]) -> None:
    rows, peaks = [], {}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        must("ground", "keygen", "keys", cwd=work)
        (work / "private").write_bytes(private_bytes(PRIVATE))
        for colour in ("gray", "4:2:0"):
            tiles = data.tiles(folder, colour != "gray")
            for size, side in SIZES.items():
                say(f"robust, memory, {colour}, {size}")
                strip = encode_strip(strip_of(tiles, side), QUALITY)
                write(work / "image.jpg", strip.repeated(side, shuffled(len(strip.rows))))
                for profile in PROFILES:
                    peaks[colour, profile, size] = peak = _peak(work, profile)
                    rows.append([size, colour, profile, f"{peak:.1f}"])
    result.tables.append(Table(
        "Peak resident memory of occulta-onboard protect", ["picture", "sampling", "profile",
                                                            "MiB"], rows))
    small, large = SIZES
    grown = [peaks[c, p, large] - peaks[c, p, small] for c, p, s in peaks if s == large]
    result.figures += [
        Figure("peak of protect, greatest", max(peaks.values()), PEAK_BOUND, unit="MiB", digits=1),
        Figure("121 less 1 megapixel, greatest", max(grown), GROWTH_BOUND, unit="MiB", digits=1),
    ]


def _peak(work: Path, profile: str) -> float:
    (work / "marked.jpg").unlink(missing_ok=True)
    return must(
        "onboard", "protect", "image.jpg", "--scheme", "robust", "--profile", profile,
        "--private", "private", "--to", "keys/recipient.pub", "-o", "marked.jpg", cwd=work,
    ).peak_mib


# --- false acceptance


def random_llrs_accepted(bits: int, count: int, key: crypto.PrivateKey, seed: int = 1) -> int:
    """Of random LLR vectors at the decoder, those that give a message."""
    code, rng, accepted = TurboCode(bits), np.random.default_rng(seed), 0
    assert code.segmentation.blocks == 1
    for first in range(0, count, PIECE):
        frames = min(PIECE, count - first)
        scale = rng.choice([2.0, 8.0, 40.0, 200.0], (frames, 1))
        llrs = np.clip(np.rint(rng.normal(0, scale, (frames, code.coded_size))), -255, 255)
        decided = code.block.decode_many(
            array("h", llrs.astype(np.int16).tobytes()), frames)
        accepted += sum(is_accepted(each.bits[code.filler :], key) for each in decided)
    return accepted


def is_accepted(bits: bytes, key: crypto.PrivateKey) -> bool:
    """Whether a receiver takes it; where only the CRC is wrong, the seal alone is asked."""
    found = message.from_bits(bits)
    if not message.is_whole(found):
        found = found[:-4] + zlib.crc32(found[:-4]).to_bytes(4, "big")
    try:
        message.open_message(found, key)
    except OccultaError:
        return False
    return True


def _files(result: Result, folder: Path) -> None:
    outcomes = files_campaign(_squares(folder)[:8], FILES)
    result.figures += [
        Figure(f"wrong bytes from {FILES} damaged and random files", outcomes.count("wrong"), 0,
               digits=0),
        Figure("of them recovered exactly", outcomes.count("exact"), digits=0),
    ]


def files_campaign(jpegs: list[bytes], count: int, seed: int = 1) -> list[str]:
    """What became of each file: `exact`, `lost` or `wrong`."""
    private = private_bytes(PRIVATE)
    marked = [mark(jpeg, DAMAGED_PROFILE, private) for jpeg in jpegs]
    chance = random.Random(seed)
    return [_outcome(file, private) for file in _damaged(marked, jpegs, count, chance)]


def _damaged(
    marked: list[bytes], unmarked: list[bytes], count: int, chance: random.Random
) -> Iterator[bytes]:
    """Damage of every kind in turn; each fifth file is one that nothing was hidden in."""
    kinds = (_flipped, _cut, _zeroed, _noisy)
    for at in range(count):
        if at % 5 == 4:
            yield partial(chance.choice(kinds), chance)(chance.choice(unmarked))
        else:
            yield kinds[at % 5](chance, chance.choice(marked))


def _flipped(chance: random.Random, file: bytes) -> bytes:
    out = bytearray(file)
    for _ in range(chance.choice((1, 30, 1000))):
        out[chance.randrange(700, len(out))] ^= 1 << chance.randrange(8)
    return bytes(out)


def _cut(chance: random.Random, file: bytes) -> bytes:
    start = chance.randrange(700, len(file))
    return file[:start] + file[chance.randrange(start, len(file)) :]


def _zeroed(chance: random.Random, file: bytes) -> bytes:
    out = bytearray(file)
    for _ in range(chance.randrange(1, 40)):
        at = chance.randrange(700, len(out))
        out[at : at + 1024] = bytes(len(out[at : at + 1024]))
    return bytes(out)


def _noisy(chance: random.Random, file: bytes) -> bytes:
    rng = np.random.default_rng(chance.randrange(1 << 30))
    with Image.open(io.BytesIO(file)) as image:
        raster = np.asarray(image).astype(np.float64)
    raster += rng.normal(0, chance.choice((5.0, 15.0, 40.0)), raster.shape)
    noisy = Image.fromarray(np.clip(np.rint(raster), 0, 255).astype(np.uint8))
    return data.gray_jpeg(noisy, chance.choice((20, 60, 90)))


def _outcome(file: bytes, private: bytes) -> str:
    """Without the search of the grid, which takes the same decisions and most of the time."""
    try:
        found = recover(from_jpeg(file), KEY, search=False)
    except OccultaError:
        return "lost"
    return "exact" if found.opened.private == private else "wrong"
