"""`occulta-onboard`: the commands of the flight side.

Each command imports what it needs when it is run: a watchdog asks `healthy` again and again, and
must not load all of the daemon for it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from occulta.errors import OccultaError, Reason
from occulta.program import cli
from onboard import preflight

PROFILES = {
    "reversible": ("exact", "paper"), "shares": ("jpeg", "paper"),
    "robust": ("default", "light", "max", "strong", "paper"),
}
"""Of each scheme, the default first."""
_JPEG_FIRST = "a PNG, TIFF, WebP or other picture must be saved as JPEG first"
_ALL_PROFILES = tuple(dict.fromkeys(name for names in PROFILES.values() for name in names))


def build_parser() -> cli.Parser:
    """The command line of `occulta-onboard`."""
    parser = cli.make_parser("occulta-onboard", "Protect pictures and private data on board.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_keygen(commands.add_parser("keygen", help="make the satellite's signing key pair"))
    _add_protect(
        commands.add_parser("protect", help="hide data in a picture, or split one among holders")
    )
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
    status: int = preflight.known_answers().run(options)
    return status


def _run(options: argparse.Namespace) -> int:
    preflight.require()
    from onboard import assembly

    return assembly.run(options)


def _add_keygen(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "folder", metavar="DIR", type=Path,
        help="made if it is missing; gets satellite.key (readable by you alone) and satellite.pub",
    )
    command.set_defaults(handler=_keygen)


def _add_image(command: argparse.ArgumentParser) -> None:
    command.add_argument("image", metavar="IMAGE.jpg", help="the original, or - for stdin")
    command.add_argument("--json", action="store_true", help="print the result as JSON")


def _add_protect(command: argparse.ArgumentParser) -> None:
    _add_image(command)
    command.add_argument(
        "--scheme", choices=PROFILES, default="reversible",
        help="reversible: a private file hidden in the picture; shares: the picture split; robust: "
        "a short private file that survives recompression",
    )
    command.add_argument(
        "--profile", choices=_ALL_PROFILES,
        help="reversible: exact (default; pixels unchanged) or paper (survives lossless "
        "transcoding); shares: jpeg (default) or paper (8-bit grayscale rasters); robust: default, "
        "light (more room), max or strong (survive more), paper (a baseline whose "
        "message is hardly ever read)",
    )
    command.add_argument("--private", metavar="FILE", help="reversible, robust: or - for stdin")
    command.add_argument(
        "--roi", metavar="X,Y,W,H", action="append", default=[],
        help="shares: a region of interest, in pixels; may be given several times",
    )
    command.add_argument(
        "--holders", metavar="K/N",
        help="shares: any K of N restore, each share as large as the picture; without it there are "
        "two, a sealed key and the rest, of which both are needed. Of 2/2 too: losing one share "
        "loses the picture, K below N survives the loss of N - K",
    )
    command.add_argument(
        "--key-stream", action="store_true",
        help="shares: share a is the key stream in full, not a sealed key",
    )
    command.add_argument(
        "--to", metavar="recipient.pub", action="append", required=True,
        help="a recipient's public key; may be given several times, but for robust",
    )
    command.add_argument("--sign", metavar="satellite.key", help="sign with this key")
    command.add_argument(
        "-o", "--output", metavar="OUT", required=True,
        help="reversible, robust: the marked file, or - for stdout; shares: a folder",
    )
    command.set_defaults(handler=_protect)


def _protect(options: argparse.Namespace) -> int:
    with _of_jpeg_alone():
        return _protect_by_scheme(options)


@contextmanager
def _of_jpeg_alone() -> Iterator[None]:
    """On board nothing decodes other pictures: the hint says who does."""
    try:
        yield
    except OccultaError as error:
        if error.reason is not Reason.NOT_JPEG:
            raise
        raise OccultaError(error.reason, error.detail, _JPEG_FIRST) from None


def _protect_by_scheme(options: argparse.Namespace) -> int:
    _choose_profile(options)
    if options.scheme == "shares":
        from onboard import split

        return split.run(options)
    from onboard import hiding

    hiding.refuse_wrong_use(options)
    if options.scheme == "robust":
        from onboard import robust

        return robust.protect(options)
    from onboard import protect

    return protect.run(options)


def _choose_profile(options: argparse.Namespace) -> None:
    """The scheme's own; raises OccultaError(USAGE) for one of another scheme."""
    profiles = PROFILES[options.scheme]
    options.profile = options.profile or profiles[0]
    if options.profile not in profiles:
        raise OccultaError(
            Reason.USAGE, f"the scheme {options.scheme} has no profile {options.profile}"
        )


def _add_capacity(command: argparse.ArgumentParser) -> None:
    _add_image(command)
    command.add_argument("--scheme", choices=("reversible", "robust"), default="reversible")
    command.add_argument(
        "--profile", choices=_ALL_PROFILES, help="as for protect, with the same defaults"
    )
    command.set_defaults(handler=_capacity)


def _capacity(options: argparse.Namespace) -> int:
    _choose_profile(options)
    with _of_jpeg_alone():
        if options.scheme == "robust":
            from onboard import robust

            return robust.capacity(options)
        from onboard import capacity

        return capacity.run(options)


def _keygen(options: argparse.Namespace) -> int:
    from occulta.codec.crypto import SigningKey
    from occulta.program import keyfiles

    private, public = keyfiles.write_pair(options.folder, "satellite", SigningKey.generate())
    cli.say(f"{private}: keep it on the satellite alone\n{public}: give it to the ground")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    return cli.run(build_parser(), arguments)


if __name__ == "__main__":
    sys.exit(main())
