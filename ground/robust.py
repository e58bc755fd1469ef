"""`occulta-ground recover --scheme robust`: a short message out of what is left of a picture."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ground.product import PRIVATE, REPORT
from ground.recovery import check_signature, given, publish, write_report
from ground.sharereport import NOT_CHECKED, NOT_VERIFIED, VERIFIED
from occulta.codec import crypto
from occulta.errors import ExitCode, OccultaError, Reason
from occulta.program import cli, files, rasters
from occulta.schemes.robust.paper import PAPER
from occulta.schemes.robust.profiles import PROFILES
from occulta.schemes.shares.raster import check_size

if TYPE_CHECKING:
    from occulta.schemes.robust.extract import Found

_SEARCHING = "searching for the message: a large picture takes a minute or more"


@dataclass
class Report:
    """Filled in as a recovery goes on; nothing is true that was not checked.

    `intact`: the message is the one that was sealed, bit for bit; of the picture nothing is said.
    """

    intact: bool = False
    authentic: bool = False
    origin: str = NOT_CHECKED
    found: Found | None = None
    error: OccultaError | None = None

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        said: dict[str, object] = {
            "scheme": "robust", "intact": self.intact, "authentic": self.authentic,
            "origin": self.origin, **_facts(self.found),
        }
        if self.error is not None:
            said["error"] = self.error.as_dict()
        return said | {"verdict": _verdict(self)}


def _facts(found: Found | None) -> dict[str, object]:
    if found is None:
        return dict.fromkeys((
            "signed", "profile", "private_bytes", "private_sha256", "message_bits",
            "corrected_bits", "compared_bits", "margin_db", "gain", "filter_undone",
            "grid_offset", "first_block",
        ))
    private = found.opened.private
    return {
        "signed": bool(found.opened.signature), "profile": found.profile.name,
        "private_bytes": len(private), "private_sha256": hashlib.sha256(private).hexdigest(),
        "message_bits": found.message_bits, "corrected_bits": found.corrected,
        "compared_bits": found.compared, "margin_db": round(found.margin, 2), "gain": found.gain,
        "filter_undone": found.undone, "grid_offset": list(found.offset),
        "first_block": list(found.origin),
    }


def _verdict(report: Report) -> str:
    """One line."""
    if report.error is not None or report.found is None:
        return f"not verified: {report.error.detail if report.error else 'nothing was found'}"
    found = report.found
    trust = "unsigned"
    if found.opened.signature:
        trust = "authentic" if report.authentic else "signature not checked"
    return (
        f"intact, {trust}: {len(found.opened.private)} private bytes, {found.profile.name}, "
        f"{found.corrected} of {found.compared} bits corrected, margin {found.margin:.1f} dB"
    )


def run(options: argparse.Namespace) -> int:
    """The command: private.bin and report.json in a folder, or report.json alone."""
    key, known, folder = given(options)
    _require_numpy()
    size = None if options.size is None else _size(options.size)
    if size is not None and options.profile == PAPER.name:
        raise OccultaError(Reason.USAGE, "--size is not for the profile paper")
    data = _read(options.marked)
    files.make_folder(folder)
    with ExitStack() as stack:
        private = stack.enter_context(files.output(folder / PRIVATE, 0o600))
        written = stack.enter_context(files.output(folder / REPORT, replace=True))
        report = Report()
        try:
            with cli.waiting(_SEARCHING, quiet=options.json):
                found = _recover(data, key, known, options.profile, size, report)
            private.write(found)
        except OccultaError as error:
            report.error = _named(error, options.marked)
            publish([write_report(written, report.as_dict())], "")
            raise report.error from None
        said = report.as_dict()
        text = json.dumps(said) if options.json else str(said["verdict"])
        publish([private, write_report(written, said)], text)
    return 0


def _named(error: OccultaError, name: str) -> OccultaError:
    """What is wrong with the input says with which."""
    if error.reason.exit_code is not ExitCode.REFUSED:
        return error
    return OccultaError(error.reason, f"{name}: {error.detail}", error.hint)


def _require_numpy() -> None:
    try:
        import numpy  # noqa: F401
    except ImportError:
        raise OccultaError(
            Reason.NUMPY_MISSING, "robust hiding is recovered with numpy, which is not installed"
        ) from None


def _size(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT; raises OccultaError: USAGE, LIMIT_DIMENSIONS."""
    match = re.fullmatch(r"([1-9][0-9]{0,8})x([1-9][0-9]{0,8})", text)
    if match is None:
        raise OccultaError(Reason.USAGE, f"{text!a} is no size: write it as 512x384")
    width, height = int(match[1]), int(match[2])
    check_size(width, height)
    return width, height


def _read(name: str) -> bytes:
    with files.open_input(name) as stream:
        data = files.read_some(stream, rasters.MAX_FILE + 1, name)
    if len(data) > rasters.MAX_FILE:
        raise OccultaError(
            Reason.BAD_RASTER, f"{name}: a file of more than {rasters.MAX_FILE} bytes",
            "give a part of the picture",
        )
    return data


def _recover(
    data: bytes, key: crypto.PrivateKey, known: list[crypto.VerifyingKey],
    profile: str | None, size: tuple[int, int] | None, report: Report,
) -> bytes:
    """The private data; fills `report`; raises OccultaError."""
    from ground import robustpicture

    profiles = [PROFILES[profile]] if profile in PROFILES else PROFILES.values()
    if profile == PAPER.name:
        report.found = robustpicture.find_literally(data, key)
    elif size is not None:
        report.found = robustpicture.find_scaled(data, key, profiles, size)
    else:
        report.found = robustpicture.find(data, key, profiles)
    report.intact = True
    opened = report.found.opened
    if known:
        report.origin = NOT_VERIFIED
    report.authentic = check_signature(
        known, lambda satellite: opened.is_authentic(satellite, key.public), bool(opened.signature)
    )
    if report.authentic:
        report.origin = VERIFIED
    return opened.private
