"""occulta-sim: the camera, the link, the demonstration and the analysis."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import suppress
from pathlib import Path

from occulta.errors import ExitCode, OccultaError, Reason
from occulta.program import cli, files
from occulta.schemes.robust.paper import PAPER
from occulta.schemes.robust.profiles import PROFILES
from sim import send
from sim.attacks import catalogue
from sim.camera import DEFAULT_SEED, MEGAPIXELS, photograph
from sim.command import CommandFailed
from sim.demo import Options, demonstrate
from sim.link.relay import relay

MAX_KEYS = 1000
"""Of an analysis."""
MAX_SEEDS = 1000
"""Of an evaluation."""
_OUTCOMES: dict[int, Reason] = {
    ExitCode.USAGE: Reason.USAGE, ExitCode.REFUSED: Reason.NOT_TAKEN,
    ExitCode.DOES_NOT_FIT: Reason.DOES_NOT_FIT, ExitCode.NOT_VERIFIED: Reason.NOT_AS_SENT,
}
"""What the exit status of a run, or of a program in it, stands for; any other is a failure."""


def main(argv: list[str] | None = None) -> int:
    """Run a sub-command; returns the exit status."""
    return cli.run(_parser(), argv)


def _handle(arguments: argparse.Namespace) -> int:
    """Every failure as a numbered one; raises OccultaError."""
    try:
        return int(arguments.run(arguments))
    except CommandFailed as failure:
        hint = "the command's own output: " + failure.ran.errors.strip().replace("\n", " / ")
        raise OccultaError(_reason(failure.ran.status), str(failure), hint) from None
    except OSError as error:
        raise files.write_failure(error, error.filename or "what was asked for") from None


def _reason(status: int) -> Reason:
    return _OUTCOMES.get(status, Reason.PROGRAM_FAILED)


def _parser() -> cli.Parser:
    parser = cli.make_parser("occulta-sim", __doc__ or "")
    parser.set_defaults(handler=_handle)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    demo = commands.add_parser("demo", help="protect and recover a picture, with a report")
    demo.add_argument("--image", type=Path, help="your JPEG (default: a synthetic scene)")
    demo.add_argument("--private", type=Path, help="your file to hide (default: synthetic)")
    place = Path("demo-out-picture")
    demo.add_argument("-o", dest="folder", type=Path, default=place, metavar="DIR")
    demo.add_argument("--seed", type=_seed, default=DEFAULT_SEED)
    demo.set_defaults(run=_demo)
    camera = commands.add_parser("camera", help="synthesise a satellite picture, or send some")
    camera.add_argument("--seed", type=_seed, default=DEFAULT_SEED)
    camera.add_argument("--megapixels", type=_megapixels, default=4.0, metavar="N")
    camera.add_argument("--quality", type=int, choices=range(1, 101), default=85, metavar="1..100")
    where = camera.add_mutually_exclusive_group(required=True)
    where.add_argument("-o", dest="output", metavar="OUT.jpg", help="or - for stdout")
    send.add_arguments(camera, where)
    camera.set_defaults(run=_camera)
    link = commands.add_parser("link", help="stand between satellites and ground, with faults")
    link.add_argument("--config", type=Path, required=True, metavar="FILE")
    link.set_defaults(run=_link)
    _add_run(commands.add_parser("run", help="run a whole mission and check what arrives"))
    _add_analyse(commands.add_parser("analyse", help="measure what shares of a picture tell"))
    _add_attack(commands.add_parser(
        "attack", help="spoil a picture: noise, filters, recompression, losses",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"attacks, done in the order given:\n{catalogue.listing()}",
    ))
    _add_evaluate(commands.add_parser("evaluate", help="measure a scheme under attacks"))
    return parser


def _add_run(command: argparse.ArgumentParser) -> None:
    command.add_argument("scenario", type=Path, metavar="SCENARIO.yaml")
    frames = command.add_mutually_exclusive_group()
    frames.add_argument("--frames", type=Path, metavar="DIR", help="JPEG files to send")
    frames.add_argument("--image", type=Path, metavar="FILE", help="your JPEG, the one frame")
    command.add_argument("--archive", type=Path, metavar="DIR", help="keep the ground's archive")
    command.add_argument("-o", dest="report", type=Path, default=Path("demo-out"), metavar="DIR")
    command.set_defaults(run=_run)


def _add_analyse(command: argparse.ArgumentParser) -> None:
    subjects = command.add_subparsers(required=True, metavar="WHAT")
    shares = subjects.add_parser("shares", help="both profiles of shares, beside papers/003")
    shares.add_argument("image", metavar="IMAGE", help="8-bit grayscale PGM, PNG, TIFF; or a JPEG")
    place = Path("analysis-out")
    shares.add_argument("-o", dest="folder", type=Path, default=place, metavar="DIR")
    shares.add_argument("--json", action="store_true", help="print the values instead of a table")
    shares.add_argument(
        "--keys", type=_keys, default=20, metavar="N",
        help="20 if not given; a large picture takes seconds for each, minutes in all",
    )
    shares.add_argument("--seed", type=_seed, default=DEFAULT_SEED)
    shares.add_argument(
        "--roi", metavar="X,Y,W,H", action="append", default=[],
        help="a region of interest, in pixels; may be given several times (default: the whole)",
    )
    shares.set_defaults(run=_analyse)


def _add_attack(command: argparse.ArgumentParser) -> None:
    command.add_argument("image", metavar="IMAGE", help="any picture that Pillow reads")
    command.add_argument("attacks", nargs="+", metavar="NAME[:PARAM]", help="as listed below")
    command.add_argument(
        "-o", dest="output", type=Path, required=True, metavar="OUT",
        help="its suffix names the format: png, pgm, jpg, webp, tiff, ...",
    )
    command.add_argument("--seed", type=_seed, default=0)
    command.set_defaults(run=_attack)


def _add_evaluate(command: argparse.ArgumentParser) -> None:
    subjects = command.add_subparsers(required=True, metavar="WHAT")
    robust = subjects.add_parser("robust", help="robust hiding, beside papers/002 and its rivals")
    robust.add_argument("pictures", type=Path, metavar="DIR", help="a folder of pictures")
    robust.add_argument(
        "--profile", action="append", default=[], choices=(PAPER.name, *PROFILES),
        help="may be given several times (default: all)",
    )
    robust.add_argument(
        "--seeds", type=_seeds, default=3, metavar="N",
        help="messages, and noises, per picture and profile: 3 if not given",
    )
    robust.add_argument("--json", action="store_true", help="print the values instead of tables")
    place = Path("evaluation-out")
    robust.add_argument("-o", dest="folder", type=Path, default=place, metavar="OUTDIR")
    robust.set_defaults(run=_evaluate)


def _seeds(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:5]) <= MAX_SEEDS):
        raise argparse.ArgumentTypeError(f"1 to {MAX_SEEDS} seeds")
    return int(text)


def _keys(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:5]) <= MAX_KEYS):
        raise argparse.ArgumentTypeError(f"1 to {MAX_KEYS} keys")
    return int(text)


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError("a seed is a whole number from 0")
    return int(text)


def _megapixels(text: str) -> float:
    with suppress(ValueError):
        if MEGAPIXELS[0] <= float(text) <= MEGAPIXELS[1]:
            return float(text)
    raise argparse.ArgumentTypeError(f"between {MEGAPIXELS[0]:g} and {MEGAPIXELS[1]:g}")


def _demo(arguments: argparse.Namespace) -> int:
    for path in (arguments.image, arguments.private):
        _require_readable(path)
    folder = Path(os.path.abspath(arguments.folder))
    options = Options(arguments.image, arguments.private, folder, arguments.seed)
    status = demonstrate(options)
    if status != 0:
        hint = "the table and the report say which profile, and why"
        raise OccultaError(_reason(status), "not everything came back bit for bit", hint)
    return 0


def _require_readable(path: Path | None) -> None:
    if path is not None:
        with files.open_input(str(path)):
            pass


def _camera(arguments: argparse.Namespace) -> int:
    if arguments.connect is not None:
        return send.send(arguments)
    if arguments.frames or arguments.synthetic or arguments.private:
        hint = "name the daemon's ADDRESS: --connect"
        raise OccultaError(Reason.USAGE, "there is nobody to send to", hint)
    picture = photograph(arguments.seed, arguments.megapixels, arguments.quality)
    if arguments.output == "-":
        sys.stdout.buffer.write(picture)
    else:
        with files.output(Path(arguments.output), replace=True) as file:
            file.write(picture)
            file.publish()
    return 0


def _link(arguments: argparse.Namespace) -> int:
    relay(arguments.config)
    return 0


def _run(arguments: argparse.Namespace) -> int:
    from sim.scenario import run as scenario

    _require_readable(arguments.image)
    options = scenario.Options(
        arguments.scenario, arguments.frames, arguments.image,
        archive=arguments.archive and arguments.archive.absolute(),
        report=Path(os.path.abspath(arguments.report)),
    )
    status = scenario.run(options)
    if status in set(ExitCode) - {ExitCode.DONE}:
        hint = "the lines above say what; the report's logs hold what each program said"
        raise OccultaError(_reason(status), "not everything arrived as it was sent", hint)
    return status


def _analyse(arguments: argparse.Namespace) -> int:
    from sim.analysis import command

    return command.run(command.Options(
        arguments.image, arguments.folder, arguments.roi, arguments.keys, arguments.seed,
        arguments.json,
    ))


def _attack(arguments: argparse.Namespace) -> int:
    from sim.attacks import command

    return command.run(arguments.image, arguments.attacks, arguments.output, arguments.seed)


def _evaluate(arguments: argparse.Namespace) -> int:
    from sim.attacks.robust import command

    return command.run(command.Options(
        arguments.pictures, arguments.folder, arguments.profile, arguments.seeds, arguments.json,
    ))


if __name__ == "__main__":
    sys.exit(main())
