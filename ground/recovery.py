"""What the recoveries of all schemes have in common: what is given, whose it is, the report."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ground.product import CARRIER, PRIVATE, REPORT
from occulta.codec.crypto import PrivateKey, VerifyingKey
from occulta.errors import OccultaError, Reason
from occulta.program import cli, files, keyfiles

_FINAL = (CARRIER, "carrier.pgm", "carrier.png", PRIVATE)
"""Names of what was verified, of all schemes: none may stand beside another run's verdict."""
_UNSIGNED = (
    "it is unsigned, so anyone can have made it and no key changes that: without --satellite it is "
    "read all the same"
)
_PERHAPS_ROBUST = (Reason.NOTHING_HIDDEN, Reason.NOT_JPEG, Reason.TOO_FEW_SHARES)
"""Why a picture that is marked robustly is refused by the other schemes."""
PICTURES = tuple(f"carrier.partial.{kind}" for kind in ("jpg", "pgm", "png")) + (
    "tamper.pgm", "tamper.png")
"""Names of what a damaged frame leaves."""


class Given(NamedTuple):
    """The recipient's key, the known satellites, where everything goes."""

    key: PrivateKey
    known: list[VerifyingKey]
    folder: Path


def given(options: argparse.Namespace) -> Given:
    """Read `key`, `satellite` (paths) and `output`; `shares` are the names of the inputs.

    Raises OccultaError, USAGE for no folder, OUTPUT_EXISTS where a recovery that succeeded left
    its files, or one of `shares` is named as what is to be written.
    """
    key = keyfiles.read_key(options.key, PrivateKey)
    known = [keyfiles.read_key(path, VerifyingKey) for path in options.satellite]
    if str(options.output) == files.STANDARD:
        raise OccultaError(Reason.USAGE, "recover writes several files: name a folder")
    folder = Path(options.output)
    for name in _FINAL:
        files.refuse_existing(folder / name)
    _refuse_to_replace(options.shares, folder)
    return Given(key, known, folder)


def _refuse_to_replace(names: list[str], folder: Path) -> None:
    """Of an earlier run's files the folder loses some, which no input may be."""
    for name in names:
        path = Path(name)
        is_one = path.name in (REPORT, *PICTURES) and os.path.exists(path)
        if is_one and os.path.exists(folder) and os.path.samefile(path.parent, folder):
            detail = f"{name} is given, and would be replaced"
            raise OccultaError(Reason.OUTPUT_EXISTS, detail, "move it, or name another folder")


def check_signature(
    known: list[VerifyingKey], verifies: Callable[[VerifyingKey], bool], is_signed: bool | None
) -> bool:
    """Whether a known satellite signed; False where none is known.

    Raises OccultaError(SIGNATURE_BROKEN): with known ones, the signature of one must verify.
    """
    if known and not any(verifies(key) for key in known):
        what = "is not that of a satellite given" if is_signed else "is missing"
        hint = _UNSIGNED if is_signed is False else None
        raise OccultaError(Reason.SIGNATURE_BROKEN, f"the signature {what}", hint)
    return bool(known)


def perhaps_robust(error: OccultaError, options: argparse.Namespace) -> OccultaError:
    """A refusal by another scheme, which was not asked for, of what may be marked robustly.

    `options`: scheme (or None), shares (names). The hint then says so, for no file tells.
    """
    if error.reason not in _PERHAPS_ROBUST or options.scheme or len(options.shares) > 1:
        return error
    if Path(options.shares[0]).is_dir():
        return error
    hint = f"{error.hint}; of robust hiding no file tells: give --scheme robust"
    return OccultaError(error.reason, error.detail, hint)


def write_report(file: files.OutputFile, said: dict[str, object]) -> files.OutputFile:
    """Fill `report.json`, which it returns; raises OccultaError for a failure of the disk."""
    file.write((json.dumps(said, indent=2) + "\n").encode())
    return file


def publish(outputs: Sequence[files.OutputFile], said: str) -> None:
    """All or none, then say the verdict, unless it is empty; `outputs` lie in one folder.

    Of an earlier run into the folder no picture of damage stays beside the new report.
    """
    folder = outputs[-1].path.parent
    stale = set(PICTURES) - {file.path.name for file in outputs}

    def conclude() -> None:
        for name in sorted(stale):
            files.remove(folder / name)
        if said:
            cli.say(said)

    files.publish_together(outputs, conclude)
