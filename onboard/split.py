"""`occulta-onboard protect --scheme shares`: split a JPEG picture among holders."""

from __future__ import annotations

import argparse
import json
import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from occulta.errors import OccultaError, Reason
from occulta.program import cli, files, keyfiles
from occulta.schemes.shares.header import MAX_HOLDERS, MAX_RECIPIENTS, SET_ID_SIZE
from occulta.schemes.shares.keys import ShareSet, create_set
from occulta.schemes.shares.regions import Regions
from occulta.schemes.shares.split import Splitter
from onboard.regions import parse_regions


@dataclass
class _Done:
    """What one run wrote."""

    made: ShareSet
    outputs: list[files.OutputFile]
    splitter: Splitter
    sizes: list[int]
    original: int


def run(options: argparse.Namespace) -> int:
    """The command: `share-a.occ`, `share-b.occ`, ... in a folder, all or none."""
    _refuse_others(options)
    if options.profile == "paper":
        from onboard import rasters  # no part of the flight daemon

        return rasters.protect(options)
    folder = Path(options.output)
    recipients, signing = keyfiles.read_sealing_keys(options.to, options.sign, MAX_RECIPIENTS)
    made = create_set(
        os.urandom(SET_ID_SIZE), recipients, os.urandom,
        holders=parse_holders(options.holders) if options.holders else None,
        key_stream=options.key_stream, regions=_regions(options.roi),
    )
    paths = [folder / f"{share.clear.name.replace(' ', '-')}.occ" for share in made.shares]
    for path in paths:
        files.refuse_existing(path)
    with ExitStack() as stack:
        image = stack.enter_context(files.open_input(options.image))
        files.make_folder(folder)
        outputs = [stack.enter_context(files.output(path)) for path in paths]
        splitter = Splitter(made, signing)
        done = _Done(made, outputs, splitter, [0] * len(paths), 0)
        _split(image, options.image, done)
        files.publish_together(outputs, lambda: cli.say(_said(options, done)))
    return 0


def _refuse_others(options: argparse.Namespace) -> None:
    """Options of other schemes, of the other profile, and what cannot go together."""
    if options.private is not None:
        raise OccultaError(Reason.USAGE, "--private is for the schemes reversible and robust")
    if options.profile == "paper" and (options.holders or options.key_stream):
        raise OccultaError(Reason.USAGE, "--holders and --key-stream are for the profile jpeg")
    if options.holders and options.key_stream:
        raise OccultaError(Reason.USAGE, "--key-stream is for two holders, of whom both are needed")
    if options.output == files.STANDARD:
        raise OccultaError(Reason.USAGE, "the shares are several files: name a folder")


def parse_holders(text: str) -> tuple[int, int]:
    """(k, n) from `k/n`, 2 <= k <= n <= 16; raises OccultaError(USAGE)."""
    words = text.split("/")
    if len(words) == 2 and all(word.isascii() and word.isdigit() for word in words):
        threshold, holders = (int(word[:3]) for word in words)
        if 2 <= threshold <= holders <= MAX_HOLDERS:
            return threshold, holders
    raise OccultaError(Reason.USAGE, f"--holders {text}: K/N with 2 <= K <= N <= {MAX_HOLDERS}")


def _regions(texts: list[str]) -> Regions:
    try:
        return Regions(tuple(parse_regions(texts)))
    except ValueError as error:
        raise OccultaError(Reason.BAD_REGION, str(error)) from None


def _split(image: BinaryIO, name: str, done: _Done) -> None:
    progress = cli.Progress("protecting", files.size_of(image))
    try:
        for chunk in files.chunks_of(image, name):
            _write(done, done.splitter.feed(chunk))
            done.original += len(chunk)
            progress.add(len(chunk))
        _write(done, done.splitter.finish())
    finally:
        progress.close()
    _refuse_outside(done.made.regions, done.splitter.size)


def _refuse_outside(regions: Regions, size: tuple[int, int] | None) -> None:
    for x, y, width, height in regions.rectangles:
        if size is not None and (x + width > size[0] or y + height > size[1]):
            detail = f"{x},{y},{width},{height} is not within {size[0]} x {size[1]} pixels"
            raise OccultaError(Reason.BAD_REGION, detail)


def _write(done: _Done, pieces: list[bytes]) -> None:
    for index, piece in enumerate(pieces):
        done.outputs[index].write(piece)
        done.sizes[index] += len(piece)


def _said(options: argparse.Namespace, done: _Done) -> str:
    clear = done.made.shares[0].clear
    if options.json:
        shares = [
            {"output": str(out.path), "form": share.clear.form.name.lower(), "bytes": size}
            for out, share, size in zip(done.outputs, done.made.shares, done.sizes, strict=True)
        ]
        return json.dumps({
            "output": str(options.output), "scheme": "shares", "profile": "jpeg",
            "set_id": clear.set_id.hex(), "threshold": clear.threshold, "holders": clear.holders,
            "shares": shares, "segments": done.splitter.segments,
            "padding_bytes": done.splitter.padding, "original_bytes": done.original,
            "located_to": "cells" if done.splitter.has_cells else "segments",
            "recipients": clear.recipients, "signed": bool(options.sign),
        })
    pairs = zip(done.outputs, done.sizes, strict=True)
    lines = [f"{out.path}: {size} bytes" for out, size in pairs]
    signed = "signed" if options.sign else "not signed"
    lines.append(
        f"{clear.threshold} of {clear.holders} shares restore {done.original} bytes; "
        f"{done.splitter.padding} bytes of padding in each with a body, {signed}"
    )
    if clear.threshold == clear.holders:
        lines.append("all shares are needed: lose one, and the picture is lost")
    if not done.splitter.has_cells:
        aside = ", regions of interest have no effect" if options.roi else ""
        lines.append(f"damage can be located to segments of 32 KiB only{aside}")
    return "\n".join(lines)
