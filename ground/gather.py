"""`occulta-ground recover SHARE...`: a frame out of its shares, with a verdict.

Nothing gets the name of the carrier before every segment and the digest of the whole verified. If
something is wrong, what is left of the frame goes under another name, with a picture of the damage.
"""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack

from ground import sharefiles
from ground.product import CARRIER, REPORT
from ground.recovery import check_signature, given, publish, write_report
from ground.sharereport import NOT_VERIFIED, VERIFIED, Report
from ground.tamper import PARTIAL, TAMPER, write_pictures
from occulta.codec.crypto import PrivateKey, VerifyingKey
from occulta.errors import OccultaError, Reason
from occulta.program import cli, files
from occulta.schemes.shares.damage import Damage
from occulta.schemes.shares.gather import Gatherer

_PICTURES = (PARTIAL, TAMPER)


def run(options: argparse.Namespace) -> int:
    """The command."""
    key, known, folder = given(options)
    files.refuse_existing(folder / CARRIER)
    with ExitStack() as stack:
        sources = sharefiles.open_all(options.shares, stack)
        files.make_folder(folder)
        carrier = stack.enter_context(files.output(folder / CARRIER))
        written = stack.enter_context(files.output(folder / REPORT, replace=True))
        report = Report()
        outputs: list[files.OutputFile] = []
        try:
            gatherer = _opened(sources, key, report)
            _restore(gatherer, carrier, sum(source.size for source in sources))
            report.enter(gatherer, _claimed(gatherer, sources))
            _check_origin(gatherer, known, report)
            if not gatherer.is_intact:
                outputs = _pictures(gatherer, carrier, report, stack)
                raise _refusal(gatherer, report)
            report.intact = True
        except OccultaError as error:
            report.error = error
            publish([*outputs, write_report(written, report.as_dict())], "", _PICTURES)
            raise
        said = json.dumps(report.as_dict()) if options.json else report.verdict
        publish([carrier, write_report(written, report.as_dict())], said, _PICTURES)
    return 0


def _opened(
    sources: list[sharefiles.ShareFile], key: PrivateKey, report: Report
) -> Gatherer:
    """The shares among the sources; what is none is set aside, unless shares are missing."""
    shares = [source for source in sources if source.is_share]
    others = [source.name for source in sources if not source.is_share]
    try:
        gatherer = Gatherer(shares or sources, key)
    except OccultaError as error:
        if error.reason is not Reason.TOO_FEW_SHARES or not others:
            raise
        detail = f"{', '.join(others)}: not a share; {error.detail}"
        raise OccultaError(Reason.NOT_A_SHARE, detail) from None
    report.set_aside = others
    return gatherer


def _claimed(gatherer: Gatherer, sources: list[sharefiles.ShareFile]) -> list[str]:
    """Inputs that say they are a share of this set which is not among those in use."""
    shares = gatherer.opened.shares
    used = {share.clear.index for share in shares}
    return [
        source.name for source in sources
        if source.clear is not None and source.clear.set_id == shares[0].clear.set_id
        and source.clear.index not in used
    ]


def _check_origin(gatherer: Gatherer, known: list[VerifyingKey], report: Report) -> None:
    """Whatever else is wrong; only a signature that is lost is not the sender's fault.

    Raises OccultaError(SIGNATURE_BROKEN).
    """
    if not known:
        return
    report.origin, report.authentic = NOT_VERIFIED, False
    if gatherer.conclusion is not None:
        check_signature(known, gatherer.is_authentic, report.signed)
        report.origin, report.authentic = VERIFIED, gatherer.damage.digest_matches is True


def _restore(gatherer: Gatherer, carrier: files.OutputFile, size: int) -> None:
    progress = cli.Progress("recovering", size)
    try:
        for data in gatherer.restore():
            carrier.write(data)
            progress.add(len(data))
    finally:
        progress.close()


# Damage.


def _pictures(
    gatherer: Gatherer, carrier: files.OutputFile, report: Report, stack: ExitStack
) -> list[files.OutputFile]:
    """What is left of the frame, and where it is damaged, as far as these can be drawn."""
    damage, grid = gatherer.damage, gatherer.grid
    outputs: list[files.OutputFile] = []
    if grid is not None:
        folder = carrier.path.parent
        made = write_pictures(
            folder, gatherer.head, gatherer.rows(), damage, grid.columns, stack
        )
        outputs = made.outputs
        report.problems = [problem.detail for problem in made.problems]
    if damage.digest_matches or grid is None:
        outputs = [file for file in outputs if file.path.name != PARTIAL]
        if gatherer.prefix:
            outputs.append(_front(carrier, gatherer.prefix, stack))
    report.pictures = [file.path.name for file in outputs]
    return outputs


def _front(carrier: files.OutputFile, size: int, stack: ExitStack) -> files.OutputFile:
    """The frame up to the first byte that is lost; all of it where only its shares were altered."""
    partial = stack.enter_context(
        files.output(carrier.path.with_name(PARTIAL), replace=True)
    )
    for chunk in files.chunks_of(carrier.read_again(), CARRIER):
        partial.write(chunk[:size])
        size -= len(chunk[:size])
    return partial


def _refusal(gatherer: Gatherer, report: Report) -> OccultaError:
    damage = gatherer.damage
    who, extent = _who(report.altered_shares or []), _extent(damage, report)
    if not who and not extent:
        return OccultaError(Reason.DIGEST_MISMATCH, "the restored picture is not the original")
    said = ": ".join(filter(None, [who, extent or "the restored picture is not the original"]))
    if report.origin == NOT_VERIFIED:
        said += "; origin not verified, the signature is lost"
    hint = f"see {', '.join([REPORT, *report.pictures])}; fetch the altered shares again"
    return OccultaError(Reason.FRAME_DAMAGED, said, hint)


def _who(altered: list[str]) -> str:
    if not altered:
        return ""
    return f"{', '.join(altered)} {'was' if len(altered) == 1 else 'were'} altered"


def _extent(damage: Damage, report: Report) -> str:
    if damage.digest_matches:
        signed = ", as the satellite signed it" if report.authentic else ""
        return f"the picture itself could be restored{signed}"
    found = []
    lost = sorted(damage.missing | damage.coarse | damage.located)
    if report.grid is not None and (cells := len(damage.cells)):
        total = report.grid.columns * report.grid.rows
        found.append(f"{cells} of {total} cells of the picture are damaged")
    elif lost:
        where = " outside the regions of interest" if damage.outside.issuperset(lost) else ""
        found.append(f"damaged segments {_listed(lost)}{where}")
    if damage.end_lost:
        found.append("the end of the frame is lost")
    return ", ".join(found)


def _listed(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:8]))
    return shown if len(numbers) <= 8 else f"{shown} and {len(numbers) - 8} more"
