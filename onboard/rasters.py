"""`occulta-onboard protect --scheme shares --profile paper`: a raster into two share images.

On the ground and in the simulator; the flight daemon never loads this module.
"""

from __future__ import annotations

import argparse
import json
import os
from contextlib import ExitStack
from pathlib import Path

from occulta.codec import crypto
from occulta.errors import OccultaError, Reason
from occulta.program import cli, files, keyfiles, rasters
from occulta.schemes.shares import paper, paper_parameters
from occulta.schemes.shares.paper_parameters import Parameters
from occulta.schemes.shares.raster import Box
from onboard.regions import parse_regions


def protect(options: argparse.Namespace) -> int:
    """The command: share-a, share-b (PGM for PGM, else PNG) and parameters.occ in a folder.

    `options`: image, roi (texts `x,y,w,h`), to, sign (or None), output (a folder), json.
    """
    folder = Path(options.output)
    if str(folder) == files.STANDARD:
        raise OccultaError(Reason.USAGE, "the shares are several files: name a folder")
    recipients, signing = keyfiles.read_sealing_keys(
        options.to, options.sign, crypto.MAX_RECIPIENTS
    )
    regions = [Box(*region) for region in parse_regions(options.roi or [])]
    raster, kind = rasters.read(options.image)
    shares, parameters = paper.protect(raster, regions, kind, os.urandom)
    sealer = crypto.Sealer.create(
        paper_parameters.context(parameters.set_id), recipients, signing
    )
    written = rasters.written_kind(kind)
    contents = {
        f"share-{name}.{written}": rasters.encode(share, written)
        for name, share in zip("ab", shares, strict=True)
    } | {rasters.PARAMETERS: paper_parameters.seal(parameters, sealer)}
    _publish(folder, contents, _said(options, parameters, list(contents), signing is not None))
    return 0


def _publish(folder: Path, contents: dict[str, bytes], said: str) -> None:
    files.make_folder(folder)
    with ExitStack() as stack:
        outputs = []
        for name, content in contents.items():
            output = stack.enter_context(files.output(folder / name))
            output.write(content)
            outputs.append(output)
        files.publish_together(outputs, lambda: cli.say(said))


def _said(
    options: argparse.Namespace, parameters: Parameters, names: list[str], is_signed: bool
) -> str:
    if options.json:
        return json.dumps({
            "output": str(options.output), "scheme": "shares", "profile": "paper", "files": names,
            "set_id": parameters.set_id.hex(), "width": parameters.width,
            "height": parameters.height, "regions": parameters.regions,
            "rounds": [len(rounds) for rounds in parameters.rounds],
            "recipients": len(options.to), "signed": is_signed,
        })
    size = f"{parameters.width} x {parameters.height} pixels"
    signed = "signed" if is_signed else "not signed"
    return f"{options.output}: {', '.join(names)}: {size}, paper, {signed}"
