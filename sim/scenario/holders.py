"""Frames in shares: what each holder got, and whether enough of them give the frame back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ground.product import SHARES, Product, product_folder, received_name
from occulta.errors import OccultaError
from occulta.schemes.shares.header import parse_clear
from sim.command import run
from sim.scenario.check import Joined, products_in
from sim.scenario.frames import Frame
from sim.scenario.mission import GROUND, Mission

_TAIL = 48
"""Bytes at the end of a share, authentication code and ciphertext: no other file has them."""
Found = Mapping[str, Mapping[str, Sequence[Product]]]
"""Products by the node's name and the frame's."""


def join(
    mission: Mission, frames: Sequence[Frame], threshold: int
) -> tuple[dict[str, Joined], list[str]]:
    """Restore what came in shares, by the frames' names, from no more than suffice; all faults.

    Every node must have each frame once, shares of its own, and nothing of another's.
    """
    found: dict[str, dict[str, list[Product]]] = {}
    joined: dict[str, Joined] = {}
    faults = []
    for node, archive in mission.archives.items():
        found[node] = {frame.name: [] for frame in frames}
        try:
            for product in products_in(archive):
                found[node].setdefault(product.frame_id, []).append(product)
        except OccultaError as error:
            faults.append(f"{node}: {error.detail}")
    for frame in frames:
        faults += _copies(found, frame.name)
        shares = {
            node: product_folder(mission.archives[node], product.id.hex()) / received_name(SHARES)
            for node, of in found.items() for product in of[frame.name] if product.scheme == SHARES
        }
        try:
            faults += _strange(mission, shares, frame.name)
            size = sum(path.stat().st_size for path in shares.values())
        except (OSError, OccultaError) as error:
            faults.append(f"{frame.name}: {error}")
            continue
        if shares:
            joined[frame.name] = Joined(mission.folder / "restored" / frame.name, size)
            enough = list(shares.values())[-threshold:]
            faults += _restore(mission, enough, joined[frame.name].folder)
    return joined, faults


def _copies(found: Found, frame: str) -> Iterator[str]:
    """Every node has one product of a frame: all of them the same, or each a share of its own."""
    first = found[GROUND][frame]
    for node, of in found.items():
        if len(of[frame]) != 1:
            yield f"{frame}: {node} has {len(of[frame])} products of it"
        elif first and of[frame][0].scheme != first[0].scheme:
            yield f"{frame}: {node} has it by the scheme {of[frame][0].scheme}"
        elif first and first[0].scheme != SHARES and of[frame][0].sha256 != first[0].sha256:
            yield f"{frame}: {node} has another product than the ground"


def _strange(mission: Mission, shares: Mapping[str, Path], frame: str) -> Iterator[str]:
    """Shares that are not one of each number, and a node that has anything of another's."""
    contents = {node: path.read_bytes() for node, path in shares.items()}
    headers = [parse_clear(content) for content in contents.values()]
    if sorted(header.index for header in headers) != [*range(headers[0].holders if headers else 0)]:
        yield f"{frame}: the nodes do not have one share of each number"
    for node in shares:
        places = (mission.folder / node, mission.archives[node])
        files = [path.read_bytes() for place in places for path in place.rglob("*")
                 if path.is_file()]
        for other in shares.keys() - {node}:
            if any(contents[other][-_TAIL:] in file for file in files):
                yield f"{frame}: {node} has the share of {other}"


def _restore(mission: Mission, shares: Sequence[Path], out: Path) -> Iterator[str]:
    ground = mission.folder / GROUND
    ran = run(
        "ground", "recover", *map(str, shares), "--key", str(ground / "recipient.key"),
        "--satellite", str(ground / "satellite.pub"), "-o", str(out), cwd=mission.folder,
    )
    if not ran.ok:
        yield f"{out.name}: {len(shares)} shares do not restore it: {ran.message}"
