"""`occulta-onboard`: the commands of the flight side."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from occulta.codec.crypto import SigningKey
from occulta.program import cli, keyfiles
from onboard import capacity, protect

SCHEMES = ("reversible",)
PROFILES = ("exact", "paper")


def build_parser() -> cli.Parser:
    """The command line of `occulta-onboard`."""
    parser = cli.make_parser("occulta-onboard", "Protect pictures and private data on board.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_keygen(commands.add_parser("keygen", help="make the satellite's signing key pair"))
    _add_protect(commands.add_parser("protect", help="hide a private file in a JPEG picture"))
    _add_capacity(commands.add_parser("capacity", help="say how many private bytes fit"))
    _add_run(commands.add_parser("run", help="run the flight daemon"))
    _add_selftest(commands.add_parser("selftest", help="check this machine by known answers"))
    _add_healthy(commands.add_parser("healthy", help="say whether the daemon works"))
    return parser


def _add_run(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", metavar="FILE", required=True)
    command.add_argument(
        "--initialise", action="store_true",
        help="make the state of links that have none; needed once per mission",
    )
    command.set_defaults(handler=_run)


def _add_healthy(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", metavar="FILE", required=True)
    command.set_defaults(handler=_healthy)


def _healthy(options: argparse.Namespace) -> int:
    from onboard import health

    return health.run(options)


def _add_selftest(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print the result as JSON")
    command.set_defaults(handler=_selftest)


def _selftest(options: argparse.Namespace) -> int:
    from onboard import selftest

    return selftest.run(options)


def _run(options: argparse.Namespace) -> int:
    # Sockets and a database are the daemon's alone: the one-shot commands start faster without.
    from onboard import assembly, selftest

    selftest.require()
    return assembly.run(options)


def _add_keygen(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "folder", metavar="DIR", type=Path,
        help="made if it is missing; gets satellite.key (readable by you alone) and satellite.pub",
    )
    command.set_defaults(handler=_keygen)


def _add_profile(command: argparse.ArgumentParser) -> None:
    command.add_argument("image", metavar="IMAGE.jpg", help="the original, or - for stdin")
    command.add_argument("--scheme", choices=SCHEMES, default="reversible")
    command.add_argument(
        "--profile", choices=PROFILES, default="exact",
        help="exact: pixels unchanged (default); paper: survives lossless transcoding",
    )
    command.add_argument("--json", action="store_true", help="print the result as JSON")


def _add_protect(command: argparse.ArgumentParser) -> None:
    _add_profile(command)
    command.add_argument("--private", metavar="FILE", required=True, help="or - for stdin")
    command.add_argument(
        "--to", metavar="recipient.pub", action="append", required=True,
        help="a recipient's public key; may be given several times",
    )
    command.add_argument("--sign", metavar="satellite.key", help="sign with this key")
    command.add_argument(
        "-o", "--output", metavar="MARKED.jpg", required=True, help="or - for stdout"
    )
    command.set_defaults(handler=protect.run)


def _add_capacity(command: argparse.ArgumentParser) -> None:
    _add_profile(command)
    command.set_defaults(handler=capacity.run)


def _keygen(options: argparse.Namespace) -> int:
    private, public = keyfiles.write_pair(options.folder, "satellite", SigningKey.generate())
    cli.say(f"{private}: keep it on the satellite alone\n{public}: give it to the ground")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    return cli.run(build_parser(), arguments)


if __name__ == "__main__":
    sys.exit(main())
