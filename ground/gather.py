"""`occulta-ground recover SHARE...`: a frame out of its shares, with a verdict.

Nothing gets the name of the carrier before every segment and the digest of the whole verified. If
something is wrong, what is left of the frame goes under another name, with a picture of the damage.
"""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack

from ground.product import CARRIER, REPORT
from ground.recovery import check_signature, given, publish, write_report
from ground.sharechoice import Choice, Selection
from ground.sharefiles import ShareFile
from ground.sharereport import COLOURS, NOT_VERIFIED, VERIFIED, Report, extent, who
from ground.tamper import PARTIAL, write_pictures
from occulta.codec.crypto import PrivateKey, VerifyingKey
from occulta.errors import OccultaError, Reason
from occulta.program import cli, files
from occulta.schemes.shares.gather import Gatherer
from occulta.schemes.shares.header import Form
from occulta.schemes.shares.locate import Source
from occulta.schemes.shares.opening import whole_sets


def run(options: argparse.Namespace) -> int:
    """The command."""
    key, known, folder = given(options)
    files.make_folder(folder)
    with ExitStack() as stack:
        carrier = stack.enter_context(files.output(folder / CARRIER))
        written = stack.enter_context(files.output(folder / REPORT, replace=True))
        report = Report()
        outputs: list[files.OutputFile] = []
        try:
            choice = Choice(options.shares, key, stack)
            gatherer, selection = _opened(choice, key, known, report)
            _restore(gatherer, carrier)
            report.enter(gatherer, _claimed(gatherer, selection))
            report.set_aside += selection.left_out
            report.unread = [source.failure for source in selection.shares if source.failure]
            _check_origin(gatherer, known, report)
            if not gatherer.is_intact:
                outputs = _pictures(gatherer, carrier, report, stack)
                raise _refusal(report)
            report.intact, report.carrier = True, CARRIER
        except OccultaError as error:
            report.error = error
            publish([*outputs, write_report(written, report.as_dict())], "")
            raise
        said = json.dumps(report.as_dict()) if options.json else report.verdict
        publish([carrier, write_report(written, report.as_dict())], said)
    return 0


def _opened(
    choice: Choice, key: PrivateKey, known: list[VerifyingKey], report: Report
) -> tuple[Gatherer, Selection]:
    """The first shares that restore a frame; raises the refusal of those tried first."""
    refusals = []
    for selection in choice.attempts():
        report.chosen = selection.reason
        try:
            return _gatherer(selection, key, known, report), selection
        except OccultaError as error:
            refusals.append(error)
    report.chosen = None
    raise choice.explained(refusals[0])


def _gatherer(
    selection: Selection, key: PrivateKey, known: list[VerifyingKey], report: Report
) -> Gatherer:
    """The shares among the files; what is none is set aside, unless shares are missing."""
    shares = [source for source in selection.shares if source.is_share]
    others = [source.name for source in selection.shares if not source.is_share]
    try:
        gatherer = _chosen(shares or selection.shares, selection.named, key, known, report)
    except OccultaError as error:
        if error.reason is not Reason.TOO_FEW_SHARES or not others:
            raise
        detail = f"{', '.join(others)}: not a share; {error.detail}"
        raise OccultaError(Reason.NOT_A_SHARE, detail) from None
    report.set_aside = others
    return gatherer


def _chosen(
    shares: list[ShareFile], named: list[ShareFile], key: PrivateKey, known: list[VerifyingKey],
    report: Report,
) -> Gatherer:
    """The one whole set; of several the only one that a known satellite signed.

    Else that which holds most of the shares that were named, if it is the only one.
    """
    try:
        return Gatherer(shares, key, named=named)
    except OccultaError as error:
        if error.reason not in (Reason.SHARES_MIXED, Reason.SHARES_OF_DIFFERENT_SETS):
            raise
        sets = whole_sets(shares, key)
        chosen = [each for each in sets if _is_signed(each, key, known)] if known else []
        reason = "a known satellite signed it"
        if len(chosen) != 1:
            chosen, reason = _most_named(sets, named), "most of the shares named are of it"
        if len(chosen) != 1:
            raise
        report.chosen = f"one of {len(sets)} whole frames: {reason}"
        return Gatherer(shares, key, named=chosen[0])


def _most_named(sets: list[list[Source]], named: list[ShareFile]) -> list[list[Source]]:
    """The sets with the most named shares; copies of a share count once."""
    counts = [
        len({source.clear.index for source in named
             if source.clear is not None and any(source is each for each in one)})
        for one in sets
    ]
    return [one for one, count in zip(sets, counts, strict=True) if count == max(counts)]


def _is_signed(shares: list[Source], key: PrivateKey, known: list[VerifyingKey]) -> bool:
    try:
        gatherer = Gatherer(shares, key)
    except OccultaError:  # one of two that is there twice
        return False
    for _ in gatherer.restore():
        pass
    return any(map(gatherer.is_authentic, known))


def _claimed(gatherer: Gatherer, selection: Selection) -> list[str]:
    """Inputs that say they are a share of this set which is not among those in use."""
    shares = gatherer.opened.shares
    used = {share.clear.index for share in shares}
    return [
        source.name for source in selection.shares
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


def _restore(gatherer: Gatherer, carrier: files.OutputFile) -> None:
    size = sum(share.source.size for share in gatherer.opened.shares)
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
            folder, gatherer.head, gatherer.rows(), damage, grid.columns, stack,
            has_regions=bool(gatherer.regions), colour=_colour(gatherer),
        )
        outputs = made.outputs
        report.problems = [problem.detail for problem in made.problems]
    if damage.digest_matches or grid is None:
        outputs = [file for file in outputs if file.path.name != PARTIAL]
        if gatherer.prefix:
            outputs.append(_front(carrier, gatherer.prefix, stack))
    report.pictures = [file.path.name for file in outputs]
    return outputs


def _colour(gatherer: Gatherer) -> str:
    """Of the outlines: of two shares it says which was altered."""
    damage = gatherer.damage
    touched = {*damage.altered, *damage.moved}
    if gatherer.opened.clear.form is Form.THRESHOLD or not touched:
        return COLOURS[True, False]
    return COLOURS[0 in touched, 1 in touched]


def _front(carrier: files.OutputFile, size: int, stack: ExitStack) -> files.OutputFile:
    """The frame up to the first byte that is lost; all of it where only its shares were altered."""
    partial = stack.enter_context(
        files.output(carrier.path.with_name(PARTIAL), replace=True)
    )
    for chunk in files.chunks_of(carrier.read_again(), CARRIER):
        partial.write(chunk[:size])
        size -= len(chunk[:size])
    return partial


def _refusal(report: Report) -> OccultaError:
    altered, found = who(report.altered_shares or []), extent(report)
    if not altered and not found:
        return OccultaError(Reason.DIGEST_MISMATCH, "the restored picture is not the original")
    said = ": ".join(filter(None, [altered, found or "the restored picture is not the original"]))
    if report.origin == NOT_VERIFIED:
        said += "; origin not verified: the signature is lost"
    said = "; ".join(filter(None, [said, report.chosen, *report.unread]))
    hint = f"see {', '.join([REPORT, *report.pictures])}; fetch the altered shares again"
    return OccultaError(Reason.FRAME_DAMAGED, said, hint)
