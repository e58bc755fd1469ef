"""`occulta-ground provision`: a mission's keys, and configurations that use them.

Three folders come out, each with only the secrets that its side needs: `onboard` for the satellite,
`ground` for the ground node, `sim` for the simulator's relay between them. With several holders of
shares there is one more for each but the first, who is the ground: `holder-b`, `holder-c` and so
on. All are there, or nothing is.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ground.mission import (
    Content,
    Mission,
    address_of,
    ground_files,
    nodes_of,
    onboard_files,
    sim_files,
)
from occulta.errors import OccultaError, Reason
from occulta.program import cli
from occulta.program.files import make_folder, output, sync_folder, write_failure

RELAY_PORT = 7301
GROUND_PORT = 7302
MAX_HOLDERS = 16


def add(command: argparse.ArgumentParser) -> None:
    """Describe the command."""
    command.add_argument(
        "folder", metavar="DIR", type=Path,
        help="made if it is missing; gets the folders onboard, ground and sim",
    )
    for name, default in (("relay", RELAY_PORT), ("ground", GROUND_PORT)):
        command.add_argument(
            f"--{name}-port", metavar="PORT", type=int, default=default,
            help=f"TCP port on this machine where the {name} listens ({default})",
        )
    command.add_argument(
        "--holders", metavar="N", type=int,
        help=f"2 to {MAX_HOLDERS} holders of shares, the ground and others, who get the folders"
        " holder-b, holder-c, ... and listen at the ports behind the ground's. Sensitive frames"
        " leave the satellite split among them, so that none sees the picture; two of 2 holders"
        " together restore it, 2 of 3, 3 of 4, 3 of 5 and so on (`threshold` in onboard.yaml), with"
        " recipient.key, which only the folder ground has",
    )
    command.set_defaults(handler=run)


def run(options: argparse.Namespace) -> int:
    """Make the folders; returns the exit status."""
    if options.holders is not None and not 2 <= options.holders <= MAX_HOLDERS:
        raise OccultaError(Reason.USAGE, f"--holders must be 2 to {MAX_HOLDERS}")
    others = (options.holders or 1) - 1
    listening = range(options.ground_port, options.ground_port + others + 1)
    ports = {options.relay_port, *listening}
    if len(ports) < len(listening) + 1 or not ports < set(range(1, 1 << 16)):
        raise OccultaError(
            Reason.USAGE, f"the ports must be {len(listening) + 1} different ones of 1 to 65535"
        )
    mission = Mission.generate(others)
    provision(options.folder, mission, options.relay_port, options.ground_port)
    lines = [
        f"{options.folder / 'onboard'}: move it to the satellite and keep no copy",
        f"{options.folder / 'ground'}: keep it secret on the ground",
    ]
    for node in nodes_of(mission, options.ground_port)[1:]:
        lines.append(f"{options.folder / node.name}: move it to that holder and keep no copy")
    cli.say("\n".join([*lines, f"{options.folder / 'sim'}: for the simulator's relay"]))
    return 0


def provision(folder: Path, mission: Mission, relay_port: int, ground_port: int) -> None:
    """Write all folders below `folder`, which is new or empty.

    The ground listens at its port, other holders at those behind it.

    Raises OccultaError: OUTPUT_EXISTS, OUTPUT_UNWRITABLE, DISK_FULL.
    """
    relay, nodes = address_of(relay_port), nodes_of(mission, ground_port)
    with _new_folder(folder) as temporary:
        _write(temporary / "onboard", onboard_files(mission, relay, nodes))
        for node in nodes:
            _write(temporary / node.name, ground_files(mission, node))
        _write(temporary / "sim", sim_files(mission, relay, nodes))


def _write(folder: Path, content: Content) -> None:
    make_folder(folder, 0o700)
    for name, data in content.items():
        is_secret = name.endswith((".key", ".keys"))
        with output(folder / name, 0o600 if is_secret else 0o666) as file:
            file.write(data)
            file.publish()


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder whose content moves to `folder` in the end; failing leaves nothing."""
    is_new = not os.path.exists(folder)
    make_folder(folder, 0o700)
    temporary = folder / f".{os.urandom(4).hex()}.partial"
    moved: list[Path] = []
    try:
        if any(folder.iterdir()):
            raise OccultaError(Reason.OUTPUT_EXISTS, f"{folder} is not empty")
        make_folder(temporary, 0o700)
        yield temporary
        for part in list(temporary.iterdir()):
            moved.append(part.rename(folder / part.name))
        sync_folder(folder)
    except BaseException as error:
        for part in moved:
            shutil.rmtree(part, ignore_errors=True)
        if isinstance(error, OSError):
            raise write_failure(error, folder) from None
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if is_new:
            with suppress(OSError):  # it is not empty: what was asked for is there
                folder.rmdir()
