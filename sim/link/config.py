"""The relay's configuration: YAML, checked as a whole; times in seconds from the relay's start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from occulta.errors import OccultaError, Reason
from occulta.program import config
from occulta.program.sections import Address, Listener, Name
from occulta.program.typed import Fault, Section
from sim.link.orbit import Orbit, Passes, Station
from sim.link.settings import Settings
from sim.link.windows import Window, Windows

PRESETS = Path(__file__).resolve().parents[2] / "configs" / "links"
Spans = Annotated[tuple[Window, ...], Meta(max_length=10_000)]


@dataclass(frozen=True, slots=True)
class Preset:
    """A file that holds a `Link`: one of configs/links by name, or any by its path."""

    file: Path
    expected: ClassVar = "the name of a preset, or a path that ends in .yaml"

    @classmethod
    def from_config(cls, value: object, folder: Path) -> Preset:
        """A name, or a path below `folder`; raises ValueError."""
        if isinstance(value, str) and value.endswith(".yaml"):
            return cls(folder / value)
        file = PRESETS / f"{value}.yaml"
        if not isinstance(value, str) or "/" in value or not file.is_file():
            raise ValueError(f"expected {cls.expected}")
        return cls(file)


class Link(Section, frozen=True, kw_only=True):
    """Both directions of a link; a preset file holds one of these."""

    down: Settings = Settings()
    """From space to ground."""
    up: Settings = Settings()
    outages: Spans = ()
    """When nothing gets through in either direction, in contact or not."""

    @property
    def needs_orbit(self) -> bool:
        """Whether bit errors depend on the elevation."""
        return bool(self.down.signal_to_noise or self.up.signal_to_noise)


class Node(Section, frozen=True, kw_only=True):
    """A ground node that listens, and that the relay connects to in a satellite's place."""

    name: Name
    address: Address
    secret_key: Path
    """This client's CURVE secret key file."""
    server_key: Path
    """The node's CURVE public key file."""

    def faults(self) -> Iterator[Fault]:
        """An address one cannot connect to."""
        if not self.address.is_definite:
            yield Fault("address", "needs a host and a port to connect to")


class Pair(Section, frozen=True, kw_only=True):
    """Names of two peers whose packets go to each other."""

    space: Name
    ground: Name


class Overhead(Section, frozen=True, kw_only=True):
    """Contacts by the geometry of an orbit and a station."""

    orbit: Orbit
    station: Station


class Relay(Section, frozen=True, kw_only=True):
    """Everything that `occulta-sim link` is told."""

    space: Listener
    """Where satellites connect."""
    pairs: Annotated[tuple[Pair, ...], Meta(min_length=1, max_length=64)]
    """Every peer of both sides stands in exactly one."""
    ground: Listener = Listener()
    """Where ground nodes connect, if any do."""
    nodes: Annotated[tuple[Node, ...], Meta(max_length=64)] = ()
    """Ground nodes that the relay connects to."""
    preset: Preset | None = None
    link: Link | None = None
    """Instead of `preset`; without either the link has no faults."""
    contacts: Literal["always"] | Spans = "always"
    overhead: Overhead | None = None
    """Instead of `contacts`."""
    outages: Spans = ()
    """Besides those of the link."""
    seed: Annotated[int, Meta(ge=0, lt=1 << 32)] = 1
    """Decides all that is random."""
    statistics: Path | None = None
    """A JSON file, replaced once a second and at the end."""

    def faults(self) -> Iterator[Fault]:
        """Sides that do not fit the pairs, and what is given twice."""
        if self.space.bind is None:
            yield Fault("space.bind", "missing")
        space = [client.name for client in self.space.clients]
        ground = [client.name for client in self.ground.clients]
        ground += [node.name for node in self.nodes]
        yield from _unpaired("space", space, [pair.space for pair in self.pairs])
        yield from _unpaired("ground", ground, [pair.ground for pair in self.pairs])
        if self.preset is not None and self.link is not None:
            yield Fault("link", "give preset or link, not both")
        if self.overhead is not None and self.contacts != "always":
            yield Fault("overhead", "give contacts or overhead, not both")


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a link carries, and how high the satellite stands then in degrees, if that is known."""

    in_contact: Callable[[float], bool]
    elevation: Callable[[float], float] | None


def load(path: Path) -> tuple[Relay, Link]:
    """A configuration and its link; raises OccultaError(CONFIG_INVALID)."""
    relay = config.load(path, Relay)
    link = relay.link or Link()
    if relay.preset is not None:
        link = config.load(relay.preset.file, Link)
    if link.needs_orbit and relay.overhead is None:
        what = "overhead: missing: signal_to_noise depends on the elevation"
        raise OccultaError(
            Reason.CONFIG_INVALID, f"the configuration {path} cannot be used\n{what}"
        )
    return relay, link


def schedule(relay: Relay, link: Link) -> Schedule:
    """Contacts less outages."""
    outages = Windows((*link.outages, *relay.outages))
    if relay.overhead is not None:
        passes = Passes(relay.overhead.orbit, relay.overhead.station)
        return Schedule(
            lambda time: time not in outages and passes.in_contact(time), passes.elevation
        )
    if relay.contacts == "always":
        return Schedule(lambda time: time not in outages, None)
    windows = Windows(relay.contacts)
    return Schedule(lambda time: time in windows and time not in outages, None)


def _unpaired(side: str, peers: list[str], paired: list[str]) -> Iterator[Fault]:
    """Every name stands once on each list, and on both."""
    for name, times in Counter(peers).items():
        if times > 1:
            yield Fault(side, f"{times} peers are called {name}")
        if paired.count(name) != 1:
            stands = f"stands in {paired.count(name)} pairs, not in one"
            yield Fault("pairs", f"{name} of {side} {stands}")
    for name in sorted(set(paired).difference(peers)):
        yield Fault("pairs", f"{name} is no peer on {side}")
