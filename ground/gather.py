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
from ground.recovery import check_signature, given
from ground.sharereport import Report
from ground.tamper import PARTIAL, TAMPER, write_pictures
from occulta.errors import OccultaError, Reason
from occulta.program import cli, files
from occulta.schemes.shares.damage import Damage
from occulta.schemes.shares.gather import Gatherer


def run(options: argparse.Namespace) -> int:
    """The command."""
    key, known, folder = given(options)
    for name in (CARRIER, PARTIAL, TAMPER):
        files.refuse_existing(folder / name)
    with ExitStack() as stack:
        sources = sharefiles.open_all(options.shares, stack)
        files.make_folder(folder)
        carrier = stack.enter_context(files.output(folder / CARRIER))
        written = stack.enter_context(files.output(folder / REPORT, replace=True))
        report = Report()
        outputs = [carrier]
        try:
            gatherer = Gatherer(sources, key)
            _restore(gatherer, carrier, sum(source.size for source in sources))
            report.enter(gatherer)
            if not gatherer.is_intact:
                outputs = _pictures(gatherer, carrier, report, stack)
                raise _refusal(gatherer, report)
            report.authentic = check_signature(known, gatherer.is_authentic, report.signed)
        except OccultaError as error:
            report.error = error
            kept = [file for file in outputs if file is not carrier]
            files.publish_together([*kept, _filled(written, report)], lambda: None)
            raise
        said = json.dumps(report.as_dict()) if options.json else report.verdict
        files.publish_together([carrier, _filled(written, report)], lambda: cli.say(said))
    return 0


def _restore(gatherer: Gatherer, carrier: files.OutputFile, size: int) -> None:
    progress = cli.Progress("recovering", size)
    try:
        for data in gatherer.restore():
            carrier.write(data)
            progress.add(len(data))
    finally:
        progress.close()


def _filled(written: files.OutputFile, report: Report) -> files.OutputFile:
    written.write((json.dumps(report.as_dict(), indent=2) + "\n").encode())
    return written


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
    partial = stack.enter_context(files.output(carrier.path.with_name(PARTIAL)))
    for chunk in files.chunks_of(carrier.read_again(), CARRIER):
        partial.write(chunk[:size])
        size -= len(chunk[:size])
    return partial


def _refusal(gatherer: Gatherer, report: Report) -> OccultaError:
    damage = gatherer.damage
    if not damage.altered_shares:
        return OccultaError(Reason.DIGEST_MISMATCH, "the restored picture is not the original")
    names = ", ".join(damage.altered_shares)
    were = "was" if len(damage.altered_shares) == 1 else "were"
    return OccultaError(Reason.FRAME_DAMAGED, f"{names} {were} altered: {_extent(damage, report)}")


def _extent(damage: Damage, report: Report) -> str:
    if damage.digest_matches:
        return "the picture itself could be restored"
    if report.cells is None:
        lost = sorted(damage.missing | damage.coarse | damage.located)
        return f"damaged segments {_listed(lost)}" if lost else "the end of the frame is lost"
    columns, rows = report.cells
    return f"{len(damage.cells)} of {columns * rows} cells of the picture are damaged"


def _listed(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:8]))
    return shown if len(numbers) <= 8 else f"{shown} and {len(numbers) - 8} more"
