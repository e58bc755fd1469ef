"""What a mission is made of: fresh keys, and the files of each of its folders."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
import zmq
from zmq.utils import z85

from occulta.codec.crypto import PrivateKey, SigningKey
from occulta.link.endpoint import public_key
from occulta.link.security import LinkKey, Role
from occulta.link.security.keys import KEY_SIZE
from occulta.program.keyfiles import encode_key
from occulta.program.linkkeys import encode_curve_public, encode_curve_secret, encode_link_keys

_LINK_KEYS = {1: Role.COMMANDER, 2: Role.COMMANDER}
"""One in use and a spare, both for the mission's own ground."""
_GROUND_ENTITY = 2

Content = Mapping[str, bytes]
"""Files of a folder, by name."""


@dataclass(frozen=True, slots=True, repr=False)
class Holder:
    """Fresh keys for one more holder of shares: link keys, and CURVE secret keys of both ends."""

    link: tuple[LinkKey, ...]
    satellite: bytes
    ground: bytes

    @classmethod
    def generate(cls) -> Holder:
        """New keys; a holder's packets may not command the satellite."""
        return cls(_link(dict.fromkeys(_LINK_KEYS, Role.HOLDER)), _curve(), _curve())


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
    others: tuple[Holder, ...] = ()
    """Holders of shares besides the ground."""

    @classmethod
    def generate(cls, others: int = 0) -> Mission:
        """New keys from the system's randomness."""
        return cls(
            PrivateKey.generate(), SigningKey.generate(), _link(_LINK_KEYS), _curve(), _curve(),
            _curve(), tuple(Holder.generate() for _ in range(others)),
        )


def _link(roles: Mapping[int, Role]) -> tuple[LinkKey, ...]:
    return tuple(LinkKey(key_id, role, os.urandom(KEY_SIZE)) for key_id, role in roles.items())


def _curve() -> bytes:
    return z85.decode(zmq.curve_keypair()[1])


@dataclass(frozen=True, slots=True, repr=False)
class Node:
    """A ground node. `suffix` tells its files from those of the others, where they lie together."""

    name: str
    suffix: str
    entity: int
    address: str
    keys: Mission | Holder

    @property
    def peer(self) -> str:
        """What the satellite is called on its way to this node."""
        return f"satellite{self.suffix}"


def nodes_of(mission: Mission, port: int) -> list[Node]:
    """The ground, which listens at a port, and further holders at those behind it."""
    nodes = [Node("ground", "", _GROUND_ENTITY, address_of(port), mission)]
    for index, holder in enumerate(mission.others, 1):
        suffix = f"-{chr(ord('a') + index)}"
        entity, address = _GROUND_ENTITY + index, address_of(port + index)
        nodes.append(Node(f"holder{suffix}", suffix, entity, address, holder))
    return nodes


def address_of(port: int) -> str:
    """A TCP port of this machine."""
    return f"tcp://127.0.0.1:{port}"


def onboard_files(mission: Mission, relay: str, nodes: Sequence[Node]) -> Content:
    """The satellite's folder; it reaches every node through the relay at that address."""
    content = {
        "satellite.key": encode_key(mission.signing),
        "recipient.pub": encode_key(mission.recipient.public),
        "relay-curve.pub": encode_curve_public(public_key(mission.relay)),
    }
    for node in nodes:
        content |= {
            f"satellite-curve{node.suffix}.key": encode_curve_secret(node.keys.satellite),
            f"{node.name}-curve.pub": encode_curve_public(public_key(node.keys.ground)),
            f"link{node.suffix}.keys": encode_link_keys(node.keys.link),
        }
    return content | {
        "onboard.yaml": _yaml("configs/onboard.yaml", {
            "state_dir": "state",
            "spool_dir": "spool",
            "health_file": "health.json",
            "signing_key": "satellite.key",
            "recipients": ["recipient.pub"],
            "camera": {"bind": "ipc://camera.ipc", "clients": [{"name": "camera"}]},
            "private": {"bind": "ipc://private.ipc", "clients": [{"name": "payload"}]},
            **_rules(nodes),
            "destinations": [{
                "entity": node.entity, "name": node.name, "address": relay,
                "secret_key": f"satellite-curve{node.suffix}.key", "server_key": "relay-curve.pub",
                "link_keys": f"link{node.suffix}.keys",
            } for node in nodes],
        }),
    }


def _rules(nodes: Sequence[Node]) -> dict[str, Any]:
    if len(nodes) < 2:
        return {}
    rule: dict[str, Any] = {
        "name": "shared", "sensitive": True, "scheme": "shares",
        "holders": [node.name for node in nodes],
    }
    threshold = {} if len(nodes) == 2 else {"threshold": len(nodes) // 2 + 1}
    return {"rules": [rule | threshold]}


def ground_files(mission: Mission, node: Node) -> Content:
    """A ground node's folder."""
    is_ground = node.keys is mission
    recipient = {"recipient.pub": encode_key(mission.recipient.public)}
    if is_ground:  # no other holder needs what opens frames
        recipient["recipient.key"] = encode_key(mission.recipient)
    return recipient | {
        "satellite.pub": encode_key(mission.signing.public),
        "ground-curve.key": encode_curve_secret(node.keys.ground),
        "relay-curve.pub": encode_curve_public(public_key(mission.relay)),
        "satellite-curve.pub": encode_curve_public(public_key(node.keys.satellite)),
        "link.keys": encode_link_keys(node.keys.link),
        "revocations": b"",
        "ground.yaml": _yaml("configs/ground.yaml", {
            "entity": node.entity,
            "state_dir": "state",
            "archive_dir": "archive",
            "keys": ["recipient.key"] if is_ground else [],
            "known_satellites": ["satellite.pub"],
            "revocations": "revocations",
            "console": "ipc://console.ipc",
            "satellites": [{
                "entity": 1, "name": "satellite", "bind": node.address,
                "secret_key": "ground-curve.key", "link_keys": "link.keys",
                "clients": [
                    {"name": "relay", "public_key": "relay-curve.pub"},
                    {"name": "satellite", "public_key": "satellite-curve.pub"},
                ],
            }],
        }),
    }


def sim_files(mission: Mission, relay: str, nodes: Sequence[Node]) -> Content:
    """The folder of the relay between satellite and ground nodes."""
    content = {"relay-curve.key": encode_curve_secret(mission.relay)}
    for node in nodes:
        content |= {
            f"satellite-curve{node.suffix}.pub":
                encode_curve_public(public_key(node.keys.satellite)),
            f"{node.name}-curve.pub": encode_curve_public(public_key(node.keys.ground)),
        }
    return content | {
        "link.yaml": _yaml("configs/link.yaml", {
            "space": {
                "bind": relay, "secret_key": "relay-curve.key",
                "clients": [
                    {"name": node.peer, "public_key": f"satellite-curve{node.suffix}.pub"}
                    for node in nodes
                ],
            },
            "nodes": [{
                "name": node.name, "address": node.address, "secret_key": "relay-curve.key",
                "server_key": f"{node.name}-curve.pub",
            } for node in nodes],
            "pairs": [{"space": node.peer, "ground": node.name} for node in nodes],
        }),
    }


def _yaml(reference: str, options: dict[str, Any]) -> bytes:
    head = f"# Made by occulta-ground provision. {reference} has every other option.\n"
    return (head + yaml.safe_dump(options, sort_keys=False)).encode()
