"""Configuration of the ground node. `configs/ground.yaml` shows every option.

Paths are relative to the configuration's folder; times are seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from occulta.program.sections import Address, Apids, Cfdp, Client, Entity, Listener, LogLevel, Name
from occulta.program.typed import Fault, Section


class Satellite(Listener, frozen=True, kw_only=True):
    """A satellite, and where it, its radio or the simulator's relay connects; always with CURVE."""

    entity: Entity
    """Its CFDP entity id."""
    name: Name
    bind: Address
    secret_key: Path
    """This node's CURVE secret key file."""
    clients: Annotated[tuple[Client, ...], Meta(min_length=1, max_length=64)]
    """Who may connect: the satellite, or what passes its packets on."""
    link_keys: Path
    """Link keys shared with the satellite; they say whose packets are, whoever passes them on."""
    cfdp: Cfdp = Cfdp()
    apids: Apids = Apids()


class Metrics(Section, frozen=True, kw_only=True):
    """Counters for Prometheus over HTTP."""

    host: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9.:-]{1,253}\Z")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=0xFFFF)] = 9464


class GroundConfig(Section, frozen=True, kw_only=True):
    """Everything that the ground node is told."""

    state_dir: Path
    """The state of the links; it holds secrets."""
    archive_dir: Path
    """Received products, and what was recovered from them."""
    satellites: Annotated[tuple[Satellite, ...], Meta(min_length=1, max_length=64)]
    entity: Entity = 2
    """This ground's CFDP entity id."""
    keys: Annotated[tuple[Path, ...], Meta(max_length=64)] = ()
    """Private key files (recipient.key); without any the node archives what it can verify."""
    known_satellites: Annotated[tuple[Path, ...], Meta(max_length=1024)] = ()
    """Public key files (satellite.pub) whose signatures count as authentic."""
    revocations: Path | None = None
    """Satellite keys that count no longer; None is for none."""
    console: Address | None = None
    """Where the console connects, ipc only; None has no console."""
    metrics: Metrics | None = None
    """None serves none."""
    log_level: LogLevel = "info"

    def faults(self) -> Iterator[Fault]:
        """A console for the network, and what satellites may not have in common."""
        if self.console is not None and not self.console.is_ipc:
            yield Fault("console", "expected ipc://PATH")
        for index, satellite in enumerate(self.satellites):
            place, others = f"satellites[{index}]", self.satellites[:index]
            if satellite.entity == self.entity:
                yield Fault(f"{place}.entity", "is the ground's own")
            for name in ("entity", "name", "link_keys"):
                if getattr(satellite, name) in [getattr(other, name) for other in others]:
                    yield Fault(f"{place}.{name}", "is another satellite's")
