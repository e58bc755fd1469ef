"""A new mission in a folder of its own: keys, configurations, and what its programs run with."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import msgspec
import yaml

from sim.command import must
from sim.scenario.config import Scenario

GROUND, LINK, ONBOARD = "ground", "link", "onboard"
_WINDOW = 1 << 17
"""Credit of the camera: between two chunks the daemon serves the link, however slow its kernel."""
_PORTS = 1 << 14
"""How many ports are handed out, and the first: below those that systems give to who connects."""
_SPREAD = 10127
"""Puts processes whose numbers are near each other far apart (the golden ratio of _PORTS)."""
_ports = cycle(_PORTS + (os.getpid() * _SPREAD + count) % _PORTS for count in range(_PORTS))


@dataclass(frozen=True, slots=True)
class Mission:
    """Where a mission's files lie."""

    folder: Path
    archive: Path
    """Of the ground; those of other holders lie beside it."""
    others: tuple[str, ...] = field(default=(), kw_only=True)
    """Holders of shares besides the ground, by the names of their folders."""

    @property
    def archives(self) -> dict[str, Path]:
        """Of every ground node, by its name."""
        return {GROUND: self.archive} | {
            name: archive_of(self.archive, name) for name in self.others
        }

    @property
    def camera(self) -> str:
        """Where the daemon takes frames in."""
        return f"ipc://{self.folder / ONBOARD / 'camera.ipc'}"

    @property
    def payload(self) -> str:
        """Where the daemon takes private data in."""
        return f"ipc://{self.folder / ONBOARD / 'private.ipc'}"

    @property
    def console(self) -> str:
        """Where the ground node answers questions."""
        return f"ipc://{self.folder / GROUND / 'console.ipc'}"

    @property
    def health(self) -> Path:
        """What the daemon says of itself, once a second."""
        return self.folder / ONBOARD / "health.json"

    @property
    def statistics(self) -> Path:
        """What the relay counts, once a second."""
        return self.folder / "sim" / "statistics.json"

    def arguments(self, program: str) -> list[str]:
        """The program's module and its arguments."""
        if program == LINK:
            return ["sim", "link", "--config", str(self.folder / "sim" / "link.yaml")]
        module = GROUND if program in self.others else program
        file = self.folder / program / f"{module}.yaml"
        return [module, "run", "--config", str(file), "--initialise"]


def archive_of(archive: Path, name: str) -> Path:
    """Where another holder archives, beside the ground."""
    return archive.with_name(f"{archive.name}-{name}")


def others_of(scenario: Scenario) -> tuple[str, ...]:
    """The ground nodes of a scenario besides the ground itself."""
    count = scenario.holders.count if scenario.holders is not None else 1
    return tuple(f"holder-{letter}" for letter in ascii_lowercase[1:count])


def provision(scenario: Scenario, folder: Path, archive: Path) -> Mission:
    """Make a mission below `folder`; the ground archives in `archive`. Paths are absolute.

    Raises CommandFailed and OSError.
    """
    mission = Mission(folder, archive, others=others_of(scenario))
    must("ground", "provision", str(folder), *_wanted(mission), cwd=folder.parent)
    for name, place in mission.archives.items():
        with _edited(folder / name / "ground.yaml") as options:
            options["archive_dir"] = str(place)
            options["satellites"][0]["cfdp"] = _plain(scenario.cfdp)
    with _edited(folder / ONBOARD / "onboard.yaml") as options:
        flight = scenario.onboard
        options["health_file"] = "health.json"
        options["camera"]["window_bytes"] = _WINDOW
        options["rules"] = [*_plain(flight.rules), *_shared(scenario, options)]
        options["spool"] = _plain(flight.spool)
        options["private_share"] = flight.private_share
        for destination in options["destinations"]:
            destination |= {"cfdp": _plain(scenario.cfdp), "rate": scenario.rate}
    with _edited(folder / "sim" / "link.yaml") as options:
        options.update(_link(scenario))
    return mission


def _wanted(mission: Mission) -> list[str]:
    """What `provision` is asked for; the nodes' ports are to follow each other."""
    nodes = len(mission.archives)
    ports = free_ports(1 + nodes)
    while ports[-1] - ports[1] != nodes - 1:
        ports = free_ports(1 + nodes)
    words = ["--relay-port", str(ports[0]), "--ground-port", str(ports[1])]
    return words + (["--holders", str(nodes)] if mission.others else [])


def _shared(scenario: Scenario, options: dict[str, Any]) -> list[dict[str, Any]]:
    """The rule for sensitive frames that `provision` has made, with the scenario's threshold."""
    if scenario.holders is None:
        return []
    (rule,) = options["rules"]
    return [rule | {"threshold": scenario.holders.threshold}]


def free_ports(count: int) -> list[int]:
    """Different TCP ports of the loopback interface that nobody listens at just now.

    Each process begins at another place, or one could take what another was just given.
    """
    free = (port for port in _ports if _is_free(port))
    return [next(free) for _ in range(count)]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _link(scenario: Scenario) -> dict[str, Any]:
    options: dict[str, Any] = {
        "outages": _plain(scenario.outages), "seed": scenario.seed,
        "statistics": "statistics.json",
    }
    if scenario.preset is not None:
        options["preset"] = str(scenario.preset.file.absolute())
    if scenario.link is not None:
        options["link"] = _plain(scenario.link)
    return options


def _plain(section: object) -> Any:
    """What YAML can hold."""
    return msgspec.to_builtins(section)


@contextmanager
def _edited(file: Path) -> Iterator[dict[str, Any]]:
    """A configuration's options, written back with what is changed."""
    options = yaml.safe_load(file.read_bytes())
    yield options
    file.write_text(yaml.safe_dump(options, sort_keys=False), encoding="utf-8")
