"""`occulta-ground provision`: a mission's keys, and configurations that use them.

Three folders come out, each with only the secrets that its side needs: `onboard` for the satellite,
`ground` for the ground node, `sim` for the simulator's relay between them. All are there, or
nothing is.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
import zmq
from zmq.utils import z85

from occulta.codec.crypto import PrivateKey, SigningKey
from occulta.errors import OccultaError, Reason
from occulta.link.endpoint import public_key
from occulta.link.security import LinkKey, Role
from occulta.link.security.keys import KEY_SIZE
from occulta.program import cli
from occulta.program.files import make_folder, output, sync_folder, write_failure
from occulta.program.keyfiles import encode_key
from occulta.program.linkkeys import encode_curve_public, encode_curve_secret, encode_link_keys

RELAY_PORT = 7301
GROUND_PORT = 7302
_LINK_KEYS = {1: Role.COMMANDER, 2: Role.COMMANDER}
"""One in use and a spare, both for the mission's own ground."""

Content = Mapping[str, bytes]
"""Files of a folder, by name."""


@dataclass(frozen=True, slots=True, repr=False)
class Mission:
    """Fresh keys for one satellite, its ground and a relay between them."""

    recipient: PrivateKey
    signing: SigningKey
    link: tuple[LinkKey, ...]
    satellite: bytes
    """CURVE secret keys, 32 bytes each."""
    ground: bytes
    relay: bytes

    @classmethod
    def generate(cls) -> Mission:
        """New keys from the system's randomness."""
        link = (LinkKey(key_id, role, os.urandom(KEY_SIZE)) for key_id, role in _LINK_KEYS.items())
        curve = (z85.decode(zmq.curve_keypair()[1]) for _ in range(3))
        return cls(PrivateKey.generate(), SigningKey.generate(), tuple(link), *curve)


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
    command.set_defaults(handler=run)


def run(options: argparse.Namespace) -> int:
    """Make the folders; returns the exit status."""
    ports = {options.relay_port, options.ground_port}
    if len(ports) < 2 or not ports < set(range(1, 1 << 16)):
        raise OccultaError(Reason.USAGE, "the ports must be two different ones of 1 to 65535")
    provision(options.folder, Mission.generate(), options.relay_port, options.ground_port)
    cli.say(
        f"{options.folder / 'onboard'}: move it to the satellite and keep no copy\n"
        f"{options.folder / 'ground'}: keep it secret on the ground\n"
        f"{options.folder / 'sim'}: for the simulator's relay"
    )
    return 0


def provision(folder: Path, mission: Mission, relay_port: int, ground_port: int) -> None:
    """Write all folders below `folder`, which is new or empty.

    Raises OccultaError: OUTPUT_EXISTS, OUTPUT_UNWRITABLE, DISK_FULL.
    """
    relay, ground = f"tcp://127.0.0.1:{relay_port}", f"tcp://127.0.0.1:{ground_port}"
    with _new_folder(folder) as temporary:
        _write(temporary / "onboard", _onboard(mission, relay))
        _write(temporary / "ground", _ground(mission, ground))
        _write(temporary / "sim", _sim(mission, relay, ground))


def _onboard(mission: Mission, relay: str) -> Content:
    return {
        "satellite.key": encode_key(mission.signing),
        "recipient.pub": encode_key(mission.recipient.public),
        "satellite-curve.key": encode_curve_secret(mission.satellite),
        "relay-curve.pub": encode_curve_public(public_key(mission.relay)),
        "ground-curve.pub": encode_curve_public(public_key(mission.ground)),
        "link.keys": encode_link_keys(mission.link),
        "onboard.yaml": _yaml("configs/onboard.yaml", {
            "state_dir": "state",
            "spool_dir": "spool",
            "signing_key": "satellite.key",
            "recipients": ["recipient.pub"],
            "camera": {"bind": "ipc://camera.ipc", "clients": [{"name": "camera"}]},
            "private": {"bind": "ipc://private.ipc", "clients": [{"name": "payload"}]},
            "destinations": [{
                "entity": 2, "name": "ground", "address": relay,
                "secret_key": "satellite-curve.key", "server_key": "relay-curve.pub",
                "link_keys": "link.keys",
            }],
        }),
    }


def _ground(mission: Mission, ground: str) -> Content:
    return {
        "recipient.key": encode_key(mission.recipient),
        "recipient.pub": encode_key(mission.recipient.public),
        "satellite.pub": encode_key(mission.signing.public),
        "ground-curve.key": encode_curve_secret(mission.ground),
        "relay-curve.pub": encode_curve_public(public_key(mission.relay)),
        "satellite-curve.pub": encode_curve_public(public_key(mission.satellite)),
        "link.keys": encode_link_keys(mission.link),
        "revocations": b"",
        "ground.yaml": _yaml("configs/ground.yaml", {
            "state_dir": "state",
            "archive_dir": "archive",
            "keys": ["recipient.key"],
            "known_satellites": ["satellite.pub"],
            "revocations": "revocations",
            "console": "ipc://console.ipc",
            "satellites": [{
                "entity": 1, "name": "satellite", "bind": ground,
                "secret_key": "ground-curve.key", "link_keys": "link.keys",
                "clients": [
                    {"name": "relay", "public_key": "relay-curve.pub"},
                    {"name": "satellite", "public_key": "satellite-curve.pub"},
                ],
            }],
        }),
    }


def _sim(mission: Mission, relay: str, ground: str) -> Content:
    return {
        "relay-curve.key": encode_curve_secret(mission.relay),
        "satellite-curve.pub": encode_curve_public(public_key(mission.satellite)),
        "ground-curve.pub": encode_curve_public(public_key(mission.ground)),
        "link.yaml": _yaml("configs/link.yaml", {
            "space": {
                "bind": relay, "secret_key": "relay-curve.key",
                "clients": [{"name": "satellite", "public_key": "satellite-curve.pub"}],
            },
            "nodes": [{
                "name": "ground", "address": ground, "secret_key": "relay-curve.key",
                "server_key": "ground-curve.pub",
            }],
            "pairs": [{"space": "satellite", "ground": "ground"}],
        }),
    }


def _yaml(reference: str, options: dict[str, Any]) -> bytes:
    head = f"# Made by occulta-ground provision. {reference} has every other option.\n"
    return (head + yaml.safe_dump(options, sort_keys=False)).encode()


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
