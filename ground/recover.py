"""`occulta-ground recover`: private data and original out of a marked file, with a verdict.

Three passes over files on disk: which profile; restore and open; mark the restored original again
and compare with what came. Nothing gets its final name before the digest has been verified.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ground.product import CARRIER, PRIVATE, REPORT
from ground.recovery import check_signature, given, perhaps_robust, publish, write_report
from ground.report import Report, verdict
from occulta.codec import crypto
from occulta.errors import OccultaError, Reason
from occulta.program import cli, files
from occulta.schemes.reversible import open_marker, open_restorer, profile_name
from occulta.schemes.reversible.hidden import ReplaySource, declared
from occulta.schemes.reversible.recover import Patcher, Recovered
from occulta.schemes.reversible.sniff import ProfileSniffer


@dataclass
class Work:
    """The files a recovery works on; all but `marked` are temporary."""

    marked: BinaryIO
    name: str
    carrier: files.OutputFile
    private: files.OutputFile
    report: files.OutputFile
    sealed: files.Spool


def run(options: argparse.Namespace) -> int:
    """The command."""
    key, known, folder = given(options)
    with ExitStack() as stack:
        image = stack.enter_context(files.open_input(options.marked))
        files.make_folder(folder)
        work = _work(image, options.marked, folder, stack)
        report = Report()
        try:
            recover(work, key, known, report)
        except OccultaError as error:
            report.error = perhaps_robust(error, options)
            publish([write_report(work.report, report.as_dict())], "")
            raise report.error from None
        said = json.dumps(report.as_dict()) if options.json else verdict(report)
        written = write_report(work.report, report.as_dict())
        publish([work.private, work.carrier, written], said)
    return 0


def _work(image: BinaryIO, name: str, folder: Path, stack: ExitStack) -> Work:
    """Open the temporary files; a pipe is copied to one first."""
    if files.size_of(image) is None:
        spool = stack.enter_context(files.spool(folder))
        for chunk in files.chunks_of(image, name):
            spool.write(chunk)
        image = spool.read_again()
    carrier = stack.enter_context(files.output(folder / CARRIER))
    private = stack.enter_context(files.output(folder / PRIVATE, 0o600))
    report = stack.enter_context(files.output(folder / REPORT, replace=True))
    sealed = stack.enter_context(files.spool(folder))
    return Work(image, name, carrier, private, report, sealed)


def recover(
    work: Work, key: crypto.PrivateKey, known: list[crypto.VerifyingKey], report: Report
) -> None:
    """Restore, open, verify; fills `report`; raises OccultaError when anything fails."""
    profile = _sniff(work)
    report.profile = profile_name(profile)
    found, received = _restore(work, profile, key)
    report.enter(found)
    _apply_patches(work, found)
    carrier_size, digest = _digest(work.carrier)
    report.carrier_bytes, report.carrier_sha256 = carrier_size, digest.hex()
    if digest != found.conclusion.digest:
        raise OccultaError(Reason.DIGEST_MISMATCH, "the restored picture is not the original")
    report.intact = True
    _check_signature(found, known, report)
    report.altered = _mark_again(work, profile, found) != received


def _sniff(work: Work) -> int:
    sniffer = ProfileSniffer()
    for chunk in files.chunks_of(work.marked, work.name):
        sniffer.feed(chunk)
    work.marked.seek(0)
    return sniffer.finish()


def _restore(work: Work, profile: int, key: crypto.PrivateKey) -> tuple[Recovered, bytes]:
    """Write carrier, private data and sealed bytes; return what was found, the file's digest."""
    restorer = open_restorer(profile, key, work.private.write, work.sealed.write)
    received = hashlib.sha256()
    progress = cli.Progress("recovering", files.size_of(work.marked))
    try:
        for chunk in files.chunks_of(work.marked, work.name):
            received.update(chunk)
            work.carrier.write(restorer.feed(chunk))
            progress.add(len(chunk))
        work.carrier.write(restorer.finish())
    finally:
        progress.close()
    if restorer.recovered is None:
        raise OccultaError(Reason.PRIVATE_DATA_INCOMPLETE, "the hidden data ends early")
    return restorer.recovered, received.digest()


def _apply_patches(work: Work, found: Recovered) -> None:
    """Rewrite the carrier where padding bits were not ones."""
    if not found.patches:
        return
    patcher = Patcher(found.patches)
    with files.spool(work.carrier.path.parent) as patched:
        for chunk in files.chunks_of(work.carrier.read_again(), CARRIER):
            patched.write(patcher.feed(chunk))
        work.carrier.restart()
        for chunk in files.chunks_of(patched.read_again(), CARRIER):
            work.carrier.write(chunk)


def _digest(carrier: files.OutputFile) -> tuple[int, bytes]:
    digest = hashlib.sha256()
    size = 0
    for chunk in files.chunks_of(carrier.read_again(), CARRIER):
        digest.update(chunk)
        size += len(chunk)
    return size, digest.digest()


def _check_signature(
    found: Recovered, known: list[crypto.VerifyingKey], report: Report
) -> None:
    unsealer, conclusion = found.opened.unsealer, found.conclusion
    report.authentic = check_signature(
        known, lambda key: unsealer.is_authentic(conclusion, key), bool(conclusion.signature)
    )


def _mark_again(work: Work, profile: int, found: Recovered) -> bytes:
    """The digest of what marking the restored original with the same sealed data gives."""
    sealed = work.sealed.read_again()
    size = files.size_of(sealed) or 0
    known, effort = declared(found.opened.unsealer.declared_size)
    source = ReplaySource(
        sealed.read, size, found.opened.conclusion_frame, known, effort,
        len(found.conclusion.notes),
    )
    marker = open_marker(profile, source)
    digest = hashlib.sha256()
    try:
        for chunk in files.chunks_of(work.carrier.read_again(), CARRIER):
            digest.update(marker.feed(chunk))
        digest.update(marker.finish())
    except OccultaError:
        return b""  # what came cannot be the outcome of marking: it was altered
    return digest.digest()
