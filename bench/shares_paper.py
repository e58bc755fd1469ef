"""The `paper` profile on medical images: papers/003, tables 3 and 4, and random tampering."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean

from PIL import Image

from bench.report import Figure, Result, Table
from occulta.schemes.shares import paper
from occulta.schemes.shares.paper_parameters import Parameters
from occulta.schemes.shares.paper_recover import recover
from occulta.schemes.shares.raster import Box, Raster, blocks_of
from sim.analysis.paper_tables import Measured, literal_collapses, measure, scaled_regions

FOLDER = "medical"
KEYS = 20
TAMPERS = 1000
BOTH_TAMPERS, CHANGES = 100, (1, 2, 8, 64)
"""Tampers with both shares of each image, and the pixels changed in each."""
NPCR, NPCR_GAP = 99.609, 0.02
UACI, UACI_GAP = 33.46, 0.15
LARGEST_CORRELATION = 0.03
LEAST_ENTROPY, ENTROPY_PIXELS = 7.99, 512 * 512
LITERAL_KEYS, LITERAL_TERMS = 200, 512 * 512


def rasters(folder: Path) -> Iterator[tuple[str, Raster]]:
    """The medical images by name."""
    for path in sorted((folder / FOLDER).glob("*.png")):
        with Image.open(path) as opened:
            gray = opened.convert("L")
            yield path.stem, Raster(*gray.size, gray.tobytes())


def run(result: Result, folder: Path, say: Callable[[str], None]) -> None:
    """Statistics of the shares, losslessness, tampering, and equation 9 as printed."""
    images = dict(rasters(folder))
    if not images:
        result.skipped.append(f"the medical images are not there ({FOLDER}/)")
        return
    say(f"shares, paper, {len(images)} images, {KEYS} keys")
    _statistics(result, images)
    say(f"shares, paper, {TAMPERS} tampers")
    located, false, named = tamper([*images.values()], range(TAMPERS))
    result.figures += [
        Figure(f"one-pixel tampers of {TAMPERS} located to exactly their block", located, TAMPERS,
               True, digits=0),
        Figure("blocks told that were not tampered with", false, 0, digits=0),
        Figure(f"one-pixel tampers of {TAMPERS} told in the right share", named, TAMPERS, True,
               digits=0),
    ]
    result.figures += _both([*images.values()])
    keys = [random.Random(f"key {number}").randbytes(8) for number in range(LITERAL_KEYS)]
    collapsed = literal_collapses(keys, LITERAL_TERMS)
    name = f"equation 9 as printed: keys of {LITERAL_KEYS} for which 512x512 terms end constant"
    result.figures.append(Figure(name, collapsed, digits=0))


def _statistics(result: Result, images: dict[str, Raster]) -> None:
    measured: list[Measured] = []
    large: list[Measured] = []
    rows, lost = [], 0
    for name, raster in images.items():
        found: list[Measured] = []
        for key in range(KEYS):
            region = region_of(raster, key)
            found += measure(raster, region, random.Random(f"{name} {key}").randbytes)
            lost += not comes_back(raster, region, key)
        measured += found
        large += found if raster.width * raster.height >= ENTROPY_PIXELS else []
        rows.append([f"{name}, {raster.width} x {raster.height}", *_means(found)])
    head = ["image", "NPCR, %", "UACI, %", "horizontal", "vertical", "diagonal", "entropy"]
    title = f"Profile `paper`: means over both shares of {KEYS} keys each"
    result.tables.append(Table(title, head, [*rows, ["all", *_means(measured)]]))
    result.figures += [
        Figure("mean NPCR, distance from 99.609",
               abs(fmean(m.npcr for m in measured) - NPCR), NPCR_GAP, unit="%"),
        Figure("mean UACI, distance from 33.46",
               abs(fmean(m.uaci for m in measured) - UACI), UACI_GAP, unit="%"),
        Figure("greatest |correlation| of adjacent pixels, any share and direction",
               max(abs(value) for m in measured for value in m.correlation), LARGEST_CORRELATION,
               digits=4),
        Figure("least entropy, 512x512", min(m.entropy for m in large), LEAST_ENTROPY, True,
               "bits", 4),
        Figure("images not restored pixel for pixel", lost, 0, digits=0),
    ]


def _means(found: list[Measured]) -> list[str]:
    """The columns of a row; of correlations the mean of their size."""
    sides = [fmean(abs(m.correlation[side]) for m in found) for side in range(3)]
    return [f"{fmean(m.npcr for m in found):.4f}", f"{fmean(m.uaci for m in found):.4f}",
            *(f"{side:.5f}" for side in sides), f"{fmean(m.entropy for m in found):.5f}"]


def region_of(raster: Raster, number: int) -> Box:
    """The paper's regions in turn, scaled."""
    regions = scaled_regions(raster.width, raster.height)
    return regions[number % len(regions)]


def comes_back(raster: Raster, region: Box, key: int) -> bool:
    """Whether the shares give the image, pixel for pixel."""
    shares, parameters = paper.protect(raster, [region], "png", random.Random(key).randbytes)
    found = recover(shares, parameters)
    return found.damage is None and found.raster == raster


def tamper(images: list[Raster], numbers: range) -> tuple[int, int, int]:
    """Change one pixel of one share inside the region, once for each number.

    Returns how many were located to exactly their block, how many other blocks were told in all,
    and how often the right share was.
    """
    made: dict[int, tuple[paper.Shares, Parameters]] = {}
    located = false = named = 0
    for number in numbers:
        chance = random.Random(number)
        at = number % len(images)
        if at not in made:
            region = region_of(images[at], at)
            made[at] = paper.protect(images[at], [region], "png", chance.randbytes)
        shares, parameters = made[at]
        (region,) = parameters.regions
        x = chance.randrange(region.x, region.x + region.width)
        y = chance.randrange(region.y, region.y + region.height)
        side = chance.randrange(2)
        altered = [*shares]
        altered[side] = _changed(shares[side], x, y, chance.randrange(1, 256))
        damage = recover(paper.Shares(*altered), parameters).damage
        blocks = () if damage is None else damage.blocks
        block = block_of(parameters, x, y)
        located += blocks == (block,)
        false += len([other for other in blocks if other != block])
        named += damage is not None and damage.altered == (side == 0, side == 1)
    return located, false, named


def block_of(parameters: Parameters, x: int, y: int) -> Box | None:
    """The block that holds a pixel; None outside the regions."""
    return next(
        (box for box in blocks_of(parameters.regions)
         if 0 <= x - box.x < box.width and 0 <= y - box.y < box.height), None,
    )


def _both(images: list[Raster]) -> list[Figure]:
    """Pixels changed in both shares: nothing false, nothing missed; the rest as found."""
    made = [
        (raster, paper.protect(raster, [region_of(raster, number)], "png",
                               random.Random(number).randbytes))
        for number, raster in enumerate(images)
    ]
    figures = []
    for changes in CHANGES:
        found = [
            tamper_both(*made[number % len(made)], changes, random.Random(f"{changes} {number}"))
            for number in range(BOTH_TAMPERS)
        ]
        wrong, located, unverified, false, missed = map(sum, zip(*found, strict=True))
        where = f"{changes} pixels of each share changed, {len(found)} times: "
        figures += [
            Figure(f"{where}blocks told that were not altered", false, 0, digits=0),
            Figure(f"{where}wrong blocks shown as right", missed, 0, digits=0),
            Figure(f"{where}of {wrong} wrong blocks located", located, digits=0),
            Figure(f"{where}blocks told to be not verified", unverified, digits=0),
        ]
    return figures


def tamper_both(
    raster: Raster, made: tuple[paper.Shares, Parameters], changes: int, chance: random.Random
) -> tuple[int, int, int, int, int]:
    """Change pixels of both shares, one at least in the region, the others anywhere.

    Returns the numbers of blocks that are wrong, wrong and told, not verified, told though no pixel
    of theirs was changed, and wrong but neither told nor not verified.
    """
    shares, parameters = made
    (region,) = parameters.regions
    touched, altered = set(), []
    for now in shares:
        x, y = chance.randrange(region.width) + region.x, chance.randrange(region.height) + region.y
        places = {(x, y), *(_anywhere(raster, chance) for _ in range(changes - 1))}
        pixels = bytearray(now.pixels)
        for x, y in sorted(places):
            pixels[y * now.width + x] ^= chance.randrange(1, 256)
            touched.add(block_of(parameters, x, y))
        altered.append(Raster(now.width, now.height, bytes(pixels)))
    found = recover(paper.Shares(*altered), parameters)
    told: set[Box] = set() if found.damage is None else {*found.damage.blocks}
    unverified: set[Box] = set() if found.damage is None else {*found.damage.unverified}
    wrong = {box for box in found.blocks if found.raster.cut(box) != raster.cut(box)}
    return (
        len(wrong), len(wrong & told), len(unverified), len(told - touched),
        len(wrong - told - unverified),
    )


def _anywhere(raster: Raster, chance: random.Random) -> tuple[int, int]:
    return chance.randrange(raster.width), chance.randrange(raster.height)


def _changed(share: Raster, x: int, y: int, mask: int) -> Raster:
    pixels = bytearray(share.pixels)
    pixels[y * share.width + x] ^= mask
    return Raster(share.width, share.height, bytes(pixels))
