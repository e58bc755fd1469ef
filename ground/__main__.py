"""`occulta-ground`: the commands of the ground side."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ground import command, console, provision, recover
from occulta.codec.crypto import PrivateKey
from occulta.errors import OccultaError, Reason
from occulta.program import cli, keyfiles
from occulta.schemes.robust.profiles import PROFILES


def build_parser() -> cli.Parser:
    """The command line of `occulta-ground`."""
    parser = cli.make_parser("occulta-ground", "Recover what a satellite protected.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_keygen(commands.add_parser("keygen", help="make a recipient's key pair"))
    provision.add(
        commands.add_parser("provision", help="make a mission's keys and configurations")
    )
    _add_recover(commands.add_parser("recover", help="get private data and original back"))
    _add_run(commands.add_parser("run", help="run the ground node"))
    command.add(commands.add_parser("command", help="send a telecommand through the node"))
    console.add_commands(commands)
    return parser


def _add_run(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", metavar="FILE", required=True)
    command.add_argument("--initialise", action="store_true",
                         help="make the state of links that have none; needed once per mission")
    command.set_defaults(handler=_run)


def _run(options: argparse.Namespace) -> int:
    # Sockets and databases are the node's alone: the one-shot commands start faster without.
    from ground import assembly

    return assembly.run(options)


def _add_keygen(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "folder", metavar="DIR", type=Path,
        help="made if it is missing; gets recipient.key (readable by you alone) and recipient.pub",
    )
    command.set_defaults(handler=_keygen)


def _add_recover(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "shares", metavar="FILE", nargs="+",
        help="a marked file, or - for stdin; or shares: files, folders of them, archives; robust: "
        "whatever picture the marked one became",
    )
    command.add_argument("--key", metavar="recipient.key", required=True)
    command.add_argument(
        "--satellite", metavar="satellite.pub", action="append", default=[],
        help="insist on this satellite's signature; may be given several times",
    )
    command.add_argument(
        "--scheme", choices=("reversible", "shares", "robust"),
        help="without it the files tell, but never of robust hiding",
    )
    command.add_argument(
        "--profile", choices=(*PROFILES, "paper"),
        help="robust: look for this one alone, which is faster; paper is only found so",
    )
    command.add_argument(
        "--size", metavar="WxH",
        help="robust: the picture was scaled; this is its size, in pixels, at the scale at which "
        "it was marked",
    )
    command.add_argument("-o", "--output", metavar="DIR", type=Path, required=True)
    command.add_argument("--json", action="store_true", help="print the report as JSON")
    command.set_defaults(handler=_recover)


def _recover(options: argparse.Namespace) -> int:
    if options.scheme == "robust":
        from ground import robust

        options.marked = _only(options)
        return robust.run(options)
    if options.profile is not None or options.size is not None:
        raise OccultaError(
            Reason.USAGE, "--profile and --size are for the scheme robust: else the files tell"
        )
    return _told_by_files(options)


def _only(options: argparse.Namespace) -> str:
    names: list[str] = options.shares
    if len(names) > 1:
        raise OccultaError(Reason.USAGE, f"the scheme {options.scheme} takes one marked file")
    return names[0]


def _told_by_files(options: argparse.Namespace) -> int:
    names: list[str] = options.shares
    if options.scheme != "reversible":
        # Shares and rasters take modules of their own, which a marked file does without.
        from ground import sharefiles

        if sharefiles.are_images(names):
            from ground import rasters

            return rasters.recover(options)
        if options.scheme == "shares" or len(names) > 1 or sharefiles.is_share(names[0]):
            from ground import gather

            return gather.run(options)
    options.marked = _only(options)
    return recover.run(options)


def _keygen(options: argparse.Namespace) -> int:
    private, public = keyfiles.write_pair(options.folder, "recipient", PrivateKey.generate())
    cli.say(f"{private}: keep it secret\n{public}: give it to the satellite")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    return cli.run(build_parser(), arguments)


if __name__ == "__main__":
    sys.exit(main())
