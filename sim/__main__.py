"""occulta-sim: the camera, the link, the demonstration and the analysis."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from occulta.errors import ExitCode, OccultaError
from sim import send
from sim.camera import DEFAULT_SEED, MEGAPIXELS, photograph
from sim.command import CommandFailed
from sim.demo import Options, demonstrate
from sim.link.relay import relay

USAGE, REFUSED, MACHINE = 2, 3, 6
"""Exit statuses, as in the other programs; a failed step of the demo passes on its own."""
MAX_KEYS = 1000
"""Of an analysis."""


def main(argv: list[str] | None = None) -> int:
    """Run a sub-command; returns the exit status."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except CommandFailed as failure:
        hint = "the command's own output: " + failure.ran.errors.strip().replace("\n", " / ")
        return _fail(str(failure), hint, failure.ran.status)
    except OccultaError as error:
        return _fail(error.detail.replace("\n", "\n  "), error.hint, error.reason.exit_code)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", "check the path and free space", MACHINE)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 128 + signal.SIGINT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="occulta-sim", description=__doc__)
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
    shares.add_argument("--keys", type=_keys, default=20, metavar="N", help="20 if not given")
    shares.add_argument("--seed", type=_seed, default=DEFAULT_SEED)
    shares.add_argument(
        "--roi", metavar="X,Y,W,H", action="append", default=[],
        help="a region of interest, in pixels; may be given several times (default: the whole)",
    )
    shares.set_defaults(run=_analyse)


def _keys(text: str) -> int:
    keys = int(text)
    if not 1 <= keys <= MAX_KEYS:
        raise argparse.ArgumentTypeError(f"1 to {MAX_KEYS} keys")
    return keys


def _seed(text: str) -> int:
    seed = int(text)
    if seed < 0:
        raise argparse.ArgumentTypeError("a seed is a whole number from 0")
    return seed


def _megapixels(text: str) -> float:
    megapixels = float(text)
    if not MEGAPIXELS[0] <= megapixels <= MEGAPIXELS[1]:
        raise argparse.ArgumentTypeError(f"between {MEGAPIXELS[0]:g} and {MEGAPIXELS[1]:g}")
    return megapixels


def _demo(arguments: argparse.Namespace) -> int:
    for path in (arguments.image, arguments.private):
        if path is not None and not path.is_file():
            return _fail(f"{path}: no such file", "give the path of a file to read", USAGE)
    folder = Path(os.path.abspath(arguments.folder))
    options = Options(arguments.image, arguments.private, folder, arguments.seed)
    status = demonstrate(options)
    if status != 0:
        hint = "the table and the report say which profile, and why"
        return _fail("not everything came back bit for bit", hint, status)
    return 0


def _camera(arguments: argparse.Namespace) -> int:
    if arguments.connect is not None:
        return send.send(arguments)
    if arguments.frames or arguments.synthetic or arguments.private:
        return _fail("there is nobody to send to", "name the daemon's ADDRESS: --connect", USAGE)
    picture = photograph(arguments.seed, arguments.megapixels, arguments.quality)
    if arguments.output == "-":
        sys.stdout.buffer.write(picture)
    else:
        publish(Path(arguments.output), picture)
    return 0


def _link(arguments: argparse.Namespace) -> int:
    relay(arguments.config)
    return 0


def _run(arguments: argparse.Namespace) -> int:
    from sim.scenario import run as scenario

    if arguments.image is not None and not arguments.image.is_file():
        return _fail(f"{arguments.image}: no such file", "give the path of a file to read", USAGE)
    options = scenario.Options(
        arguments.scenario, arguments.frames, arguments.image,
        archive=arguments.archive and arguments.archive.absolute(),
        report=Path(os.path.abspath(arguments.report)),
    )
    status = scenario.run(options)
    if status in set(ExitCode) - {ExitCode.DONE}:
        hint = "the lines above say what; the report's logs hold what each program said"
        return _fail("not everything arrived as it was sent", hint, status)
    return status


def _analyse(arguments: argparse.Namespace) -> int:
    from sim.analysis import command

    return command.run(command.Options(
        arguments.image, arguments.folder, arguments.roi, arguments.keys, arguments.seed,
        arguments.json,
    ))


def publish(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: a temporary name, synchronised, then renamed."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _fail(message: str, hint: str, status: int) -> int:
    print(f"occulta-sim: {message}\nhint: {hint}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
