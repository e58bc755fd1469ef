"""`occulta-ground recover share-a.png share-b.png [parameters.occ]`: the `paper` profile."""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ground.product import REPORT
from ground.recovery import PICTURES, check_signature, given, perhaps_robust, publish
from ground.sharefiles import images_in
from ground.sharereport import COLOURS, NOT_CHECKED, NOT_VERIFIED, VERIFIED, listed, one_line
from occulta.codec import crypto
from occulta.errors import OccultaError, Reason
from occulta.program import files, rasters
from occulta.schemes.sealed import OpeningStream
from occulta.schemes.shares import paper, paper_parameters
from occulta.schemes.shares.header import share_name
from occulta.schemes.shares.paper_locate import Damage
from occulta.schemes.shares.paper_parameters import Parameters, digest_of
from occulta.schemes.shares.paper_recover import Recovered
from occulta.schemes.shares.paper_recover import recover as restore

MAX_SEALED = 2 * paper_parameters.MAX_SIZE
_UNVERIFIED = "yellow"


def is_share_image(name: str) -> bool:
    """Whether a file is a raster, and so a share of the `paper` profile; raises OccultaError."""
    with files.open_regular(name) as stream:
        return rasters.kind_of(files.read_some(stream, rasters.MAGIC_SIZE, name)) is not None


def recover(options: argparse.Namespace) -> int:
    """The command.

    `options`: shares (two images, share A first, and the parameters, which are otherwise looked
    for beside share A), scheme (or None), key, satellite (paths), output (a folder), json.
    """
    key, known, folder = given(options)
    files.make_folder(folder)
    said: dict[str, Any] = {
        "scheme": "shares", "profile": "paper", "intact": False, "authentic": None,
        "origin": NOT_CHECKED, "signed": None, "raster_sha256": None, "altered_shares": None,
        "pictures": [],
    }
    contents: dict[str, bytes] = {}
    error: OccultaError | None = None
    try:
        images, sealed = _sort(options.shares)
        contents = _recover(images, sealed, key, known, said)
    except OccultaError as refusal:
        error = perhaps_robust(refusal, options)
    said["pictures"] = [name for name in contents if name in PICTURES]
    error = _conclude(said, error)
    text = json.dumps(said) if options.json else str(said["verdict"])
    contents[REPORT] = (json.dumps(said, indent=2) + "\n").encode()
    _publish(folder, contents, None if error else text)
    if error is not None:
        raise error
    return 0


def _sort(names: list[str]) -> tuple[list[str], str]:
    """The share images in their order, and the parameters; folders give what they hold of both."""
    if files.STANDARD in names:
        raise OccultaError(Reason.USAGE, "shares are told apart by their content: name files")
    held = [images_in(name) for name in names]
    broken = [path for each in held for path in each.broken]
    names = [path for name, each in zip(names, held, strict=True) for path in each.used or [name]]
    images = [name for name in names if is_share_image(name)]
    others = [name for name in names if name not in images]
    if len(images) != 2 or len(others) > 1:
        raise _not_two(images, others, broken)
    if others:
        return images, others[0]
    beside = Path(images[0]).parent / rasters.PARAMETERS
    if not beside.is_file():
        raise OccultaError(Reason.PARAMETERS_MISSING, f"no parameters given, and no {beside}")
    return images, str(beside)


def _not_two(images: list[str], others: list[str], broken: list[str]) -> OccultaError:
    """The refusal of what is not two share images and their parameters."""
    too_few = len(images) < 2 and len(others) < 2
    detail = (f"{len(images)} share images and {len(others)} other files: "
              "give two share images and their parameters")
    broken = broken + [name for name in others if not _is_sealed(name)]
    if broken:
        detail += f"; no image: {listed(broken)}"
    hint = "fetch what is no image again" if broken else None
    return OccultaError(Reason.TOO_FEW_SHARES if too_few else Reason.USAGE, detail, hint)


def _is_sealed(name: str) -> bool:
    """Whether a file begins like parameters."""
    return files.head_of(name, len(crypto.MAGIC)) == crypto.MAGIC


def _recover(
    images: list[str], sealed: str, key: crypto.PrivateKey, known: list[crypto.VerifyingKey],
    said: dict[str, Any],
) -> dict[str, bytes]:
    """The files to write; fills the report."""
    with files.open_input(sealed) as stream:
        data = files.read_some(stream, MAX_SEALED, sealed)
    parameters, opened = paper_parameters.open_sealed(data, key)
    said |= _facts(parameters, opened)
    _check_origin(opened, known, said)
    shares = paper.Shares(*(rasters.read(name)[0] for name in images))
    found = restore(shares, parameters)
    kind, damage = rasters.written_kind(parameters.kind), found.damage
    _enter(found, said)
    if damage is None:
        said |= {"intact": True, "carrier": f"carrier.{kind}"}
        return {f"carrier.{kind}": rasters.encode(found.raster, kind)}
    said["damage"] = _damage_said(found, damage)
    return _damaged(found, damage, kind)


def _check_origin(
    opened: OpeningStream, known: list[crypto.VerifyingKey], said: dict[str, Any]
) -> None:
    """Raises OccultaError(SIGNATURE_BROKEN)."""
    if known:
        said |= {"origin": NOT_VERIFIED, "authentic": False}
        check_signature(known, opened.is_authentic, said["signed"])
        said["origin"] = VERIFIED


def _enter(found: Recovered, said: dict[str, Any]) -> None:
    """What is known of picture and shares; the signature covers the picture's digest."""
    altered = (False, False) if found.damage is None else found.damage.altered
    said["altered_shares"] = [share_name(at) for at, is_altered in enumerate(altered) if is_altered]
    if found.damage is None or found.damage.restored:
        said["raster_sha256"] = digest_of(found.raster).hex()
        said["authentic"] = said["authentic"] if said["origin"] == NOT_CHECKED else True


def _facts(parameters: Parameters, opened: OpeningStream) -> dict[str, Any]:
    conclusion = opened.conclusion
    return {
        "set_id": parameters.set_id.hex(), "width": parameters.width,
        "height": parameters.height, "regions": [list(region) for region in parameters.regions],
        "signed": conclusion is not None and bool(conclusion.signature),
    }


def _damaged(found: Recovered, damage: Damage, kind: str) -> dict[str, bytes]:
    outside = [damage.outside_box] if damage.outside_box else []
    outlines = [(box, COLOURS[damage.altered]) for box in (*damage.blocks, *outside)]
    outlines += [(box, _UNVERIFIED) for box in damage.unverified]
    outlined, drawn = rasters.encode_outlined(found.raster, outlines)
    return {
        f"carrier.partial.{kind}": rasters.encode(found.verified(), kind),
        f"tamper.{drawn}": outlined,
    }


def _damage_said(found: Recovered, damage: Damage) -> dict[str, Any]:
    return {
        "digest_matches": damage.restored, "blocks_in_regions": len(found.blocks),
        "blocks": [list(block) for block in damage.blocks],
        "blocks_not_verified": [list(block) for block in damage.unverified],
        "outside_altered": damage.outside,
        "outside_box": list(damage.outside_box) if damage.outside_box else None,
        "strangers": list(found.strangers),
    }


def _conclude(said: dict[str, Any], error: OccultaError | None) -> OccultaError | None:
    """Enter verdict and error; the error that the command ends with."""
    if error is None and "damage" in said:
        hint = f"see {', '.join([REPORT, *said['pictures']])}; fetch the altered shares again"
        if strangers := said["damage"]["strangers"]:
            hint += f"; {' and '.join(strangers)} may be of another picture"
        error = OccultaError(Reason.FRAME_DAMAGED, _sentence(said), hint)
    if error is not None:
        said["intact"] = False
        said["error"] = error.as_dict()
        said["verdict"] = one_line(f"not verified: {error.detail}")
        return error
    trust = "unsigned"
    if said["signed"]:
        trust = "authentic" if said["authentic"] else "signature not checked"
    said["verdict"] = f"intact, {trust}: {said['width']} x {said['height']} pixels, paper"
    return None


def _sentence(said: dict[str, Any]) -> str:
    names, damage = said["altered_shares"], said["damage"]
    who = f"{', '.join(names)} {'was' if len(names) == 1 else 'were'} altered"
    found = []
    if damage["digest_matches"]:
        signed = ", as the satellite signed it" if said["authentic"] else ""
        found.append(f"the picture itself could be restored{signed}")
    found.append(f"{len(damage['blocks'])} of {damage['blocks_in_regions']} blocks of the regions")
    if damage["blocks_not_verified"]:
        found.append(f"{len(damage['blocks_not_verified'])} more cannot be verified")
    if damage["outside_altered"]:
        found.append("pixels outside the regions")
    return f"{who}: {', '.join(found)}"


def _publish(folder: Path, contents: dict[str, bytes], text: str | None) -> None:
    """Everything or nothing; of an earlier run only the carrier is never replaced."""
    with ExitStack() as stack:
        outputs = []
        for name, content in contents.items():
            is_final = name.startswith("carrier.") and "partial" not in name
            output = stack.enter_context(files.output(folder / name, replace=not is_final))
            output.write(content)
            outputs.append(output)
        publish(outputs, text or "")
