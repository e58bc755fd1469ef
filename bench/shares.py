"""Verifiable shares: lossless, located, small, light, fast, and noise to whoever holds one."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from PIL import Image

from bench import data, shares_cost, shares_paper, shares_random
from bench.drive import is_compiled
from bench.peers import MISSING_JPEGTRAN, Jpegtran, has_program
from bench.report import Figure, Result, Table
from bench.shares_alter import KINDS
from bench.shares_drive import FORMS, comes_back, create, layout, split
from bench.shares_tamper import COUNTED, Found, parallel_campaign
from occulta.errors import OccultaError, Reason

TAMPERS = 10_000
SEED_BOUND = 1023
"""Share A as a seed is under 1 KiB."""
FIXED, PER_CELL, PER_SEGMENT = 1024, 4, 64
SHOWN_FAULTS = 10
_UNSUPPORTED = (Reason.LOSSLESS, Reason.ARITHMETIC)
"""Files that are no DCT pictures under Huffman codes."""


@dataclass(frozen=True, slots=True)
class Size:
    """What the shares of one file take."""

    file: str
    jpeg: int
    seed: int
    share: int
    hashed: int
    segments: int
    padding: int

    @property
    def over(self) -> int:
        """Bytes over the bound; none where 0 or less."""
        bound = self.jpeg + PER_CELL * self.hashed + PER_SEGMENT * self.segments + FIXED
        return self.share - bound - self.padding


def run(folder: Path, say: Callable[[str], None]) -> Result:
    """Everything in turn."""
    result = Result("shares")
    if not folder.is_dir():
        result.skipped.append(data.missing(folder))
        return result
    if not is_compiled():
        result.skipped.append("the compiled kernel is not built: python3 dev.py setup")
        return result
    say("shares, the collection of JPEG files")
    _corpus(result, folder)
    say(f"shares, {TAMPERS} tampers")
    report_tampers(result, parallel_campaign(tampered_pictures(folder), TAMPERS), TAMPERS)
    shares_random.run(result, folder, say)
    _cost(result, folder, say)
    shares_paper.run(result, folder, say)
    return result


def _cost(result: Result, folder: Path, say: Callable[[str], None]) -> None:
    jpegtran = Jpegtran.find()
    if jpegtran is None:
        result.skipped.append(MISSING_JPEGTRAN)
    else:
        result.machine["jpegtran"] = jpegtran.version
        shares_cost.measure_speed(result, jpegtran, folder, say)
    if has_program("onboard") and has_program("ground"):
        shares_cost.measure_memory(result, folder, say)


# The collection.


def _corpus(result: Result, folder: Path) -> None:
    sizes: list[Size] = []
    lost = tried = 0
    for path in data.clean_jpegs(folder):
        jpeg = path.read_bytes()
        try:
            lost += sum(not round_trip(jpeg, form) for form in FORMS)
            sizes.append(size_of(path.name, jpeg))
            tried += 1
        except OccultaError as error:
            result.notes.append(f"refused: {path.name}: {error}")
            lost += error.reason not in _UNSUPPORTED
    result.tables.append(_size_table(sizes))
    result.figures += [
        Figure("clean Huffman files split in all three forms", tried, digits=0),
        Figure("files and forms not restored bit for bit", lost, 0, digits=0),
        Figure("share B over JPEG + 4 per cell + 64 per segment + 1 KiB + padding, worst file",
               max(size.over for size in sizes), 0, unit="bytes", digits=0),
        Figure("share A as a seed, greatest", max(size.seed for size in sizes), SEED_BOUND,
               unit="bytes", digits=0),
    ]
    result.details["sizes"] = [asdict(size) for size in sizes]


def round_trip(jpeg: bytes, form: str) -> bool:
    """Whether every choice of shares that suffices gives the file; raises OccultaError."""
    done = split(jpeg, create(form, "collection"))
    threshold = done.made.shares[0].clear.threshold
    return all(comes_back(done, chosen) for chosen in combinations(done.shares, threshold))


def size_of(name: str, jpeg: bytes) -> Size:
    """The sizes of a file's shares, as seed and ciphertext; raises OccultaError."""
    done = split(jpeg, create("seed", name))
    seed, share = map(len, done.shares)
    hashed = sum(len(each.segment.hashes) // PER_CELL for each in layout(done))
    return Size(name, len(jpeg), seed, share, hashed, done.segments, done.padding)


def _size_table(sizes: list[Size]) -> Table:
    groups = {
        "up to 32 KiB": [s for s in sizes if s.jpeg <= 32 << 10],
        "to 256 KiB": [s for s in sizes if 32 << 10 < s.jpeg <= 256 << 10],
        "larger": [s for s in sizes if s.jpeg > 256 << 10],
    }
    head = ["files", "number", "share B over the JPEG, %", "hashes, %", "framing, %", "padding, %"]
    rows = [_size_row(name, group) for name, group in groups.items() if group]
    return Table("Size of share B, in % of the JPEG bytes of each group", head, rows)


def _size_row(name: str, sizes: list[Size]) -> list[str]:
    jpeg = sum(s.jpeg for s in sizes)
    hashes = PER_CELL * sum(s.hashed for s in sizes)
    padding = sum(s.padding for s in sizes)
    over = sum(s.share for s in sizes) - jpeg
    parts = (over, hashes, over - hashes - padding, padding)
    return [name, str(len(sizes)), *(f"{100 * part / jpeg:.2f}" for part in parts)]


# Tampering.


def tampered_pictures(folder: Path) -> dict[str, bytes]:
    """512x512 pictures of every kind that segments are cut from."""
    gray, colour = data.tiles(folder, False)[0], data.tiles(folder, True)[0]
    kinds: dict[str, tuple[Image.Image, dict[str, Any]]] = {
        "gray": (gray, {}), "4:2:0": (colour, {"subsampling": "4:2:0"}),
        "4:4:4": (colour, {"subsampling": "4:4:4", "optimize": True}),
        "gray, restarts": (gray, {"restart_marker_blocks": 13}),
        "4:2:0, restarts": (colour, {"subsampling": "4:2:0", "restart_marker_rows": 1}),
        "progressive": (colour, {"progressive": True}),
    }
    made = {}
    for name, (picture, options) in kinds.items():
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=92, **options)
        made[name] = out.getvalue()
    return made


def report_tampers(result: Result, found: Found, count: int) -> None:
    """Table and figures of a campaign."""
    rows = [[kind, *(str(found.counts[kind, what]) for what in COUNTED)] for kind in KINDS]
    rows.append(["all", *(str(found.total(what)) for what in COUNTED)])
    result.tables.append(Table("Random tampering with one share", ["tamper", *COUNTED], rows))
    flips, located = found.total("flips in JPEG bytes"), found.total("of them located")
    result.figures += [
        Figure("tampers detected", found.total("detected"), count, True, digits=0),
        Figure("tampers told in the right share", found.total("share named"), digits=0),
        Figure("places told wrong, or a wrong image", found.total("wrong"), 0, digits=0),
        Figure("undamaged segments not restored", found.total("undamaged lost"), 0, digits=0),
        Figure("flips in JPEG bytes located no closer than the segment", flips - located, 0,
               digits=0),
    ]
    for faults in (found.faults, found.unnamed):
        result.notes += faults[:SHOWN_FAULTS]
    result.details["faults"] = found.faults + found.unnamed
