"""Configuration of the flight daemon. `configs/onboard.yaml` shows every option.

Paths are relative to the configuration's folder; sizes are bytes, times seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from occulta.codec.crypto import MAX_RECIPIENTS
from occulta.link import messages
from occulta.program.sections import (
    Address,
    Apids,
    Cfdp,
    Entity,
    Listener,
    LogLevel,
    Name,
    Seconds,
)
from occulta.program.typed import Fault, Section
from occulta.schemes.shares import header as shares

FOLDER = "folder"
"""The peer that a watched folder is, and the camera of its frames: no client has that name."""
_FEWEST_HOLDERS = 2
_Items = Annotated[int, Meta(ge=1, le=1_000_000)]


class Intake(Listener, frozen=True, kw_only=True):
    """Where something comes in: over ZeroMQ, from a watched folder, or both."""

    folder: Path | None = None
    """A folder whose files are taken in; None watches none."""
    poll_interval: Seconds = 1.0
    """How often the folder is looked at."""

    def faults(self) -> Iterator[Fault]:
        """Those of a listener, and a client that would pass for the folder."""
        yield from super().faults()
        for index, client in enumerate(self.clients):
            if client.name == FOLDER:
                yield Fault(f"clients[{index}].name", "is the watched folder's")


class Camera(Intake, frozen=True, kw_only=True):
    """Intake of frames."""

    window_bytes: Annotated[int, Meta(ge=1 << 16, le=1 << 28)] = 1 << 20
    """Credit: what a camera may send ahead of what was consumed."""
    frame_timeout: Seconds = 10.0
    """A frame whose camera is silent for so long is discarded."""
    max_frames_open: Annotated[int, Meta(ge=1, le=64)] = 4


class Private(Intake, frozen=True, kw_only=True):
    """Intake of private data."""

    max_items: _Items = 1000
    """Items queued at most; more are refused, to be tried again later."""


class Rule(Section, frozen=True, kw_only=True):
    """What is done with a frame that has this camera, sensitivity and these labels."""

    scheme: Literal["reversible", "sealed", "plain", "shares"]
    """Private data hidden in the frame, the whole frame sealed, nothing done to it, or the frame
    split among `holders`.
    """
    camera: Annotated[str, Meta(
        pattern=r"\A[A-Za-z0-9._*?!\[\]-]{1,64}\Z",
        description="camera's name, or a pattern of *, ? and [...]",
    )] = "*"
    """Of its client in the allow-list; `folder` for files of the watched folder."""
    sensitive: bool | None = None
    """What the camera says of the frame; None is either, but for a sensitive frame `sealed` and
    `shares` alone.

    So only a rule with True leaves the picture of a sensitive frame in view.
    """
    labels: Annotated[dict[Name, messages.Label], Meta(max_length=16)] = {}
    """Labels that the frame must have, with these values."""
    profile: Literal["exact", "paper"] = "exact"
    """Of the scheme `reversible`; the others have none."""
    fallback: Literal["sealed", "none"] = "sealed"
    """Of `reversible`: frames that it can never take are sealed whole, or refused for good."""
    holders: Annotated[tuple[Name, ...], Meta(max_length=shares.MAX_HOLDERS)] = ()
    """Of `shares`: destinations, by their names, each of which gets a share of its own."""
    threshold: Annotated[int, Meta(ge=2, le=shares.MAX_HOLDERS)] | None = None
    """Of `shares`: how many holders restore a frame. Of two both, whose first gets the key, sealed,
    and whose second the ciphertext.
    """
    priority: Annotated[int, Meta(ge=0, le=255)] = 128
    """0 is the most important and sent first."""
    name: Name | None = None
    """What telecommands call the rule; its number, from 1, does too."""

    def faults(self) -> Iterator[Fault]:
        """A rule under which a sensitive frame would stay in clear, and holders that cannot be."""
        if self.scheme == "plain" and self.sensitive is not False:
            yield Fault("scheme", "plain is for frames with `sensitive: false` alone")
        if self.scheme == "shares" or self.holders or self.threshold:
            yield from self._faults_of_holders()

    def _faults_of_holders(self) -> Iterator[Fault]:
        count = len(self.holders)
        if count < _FEWEST_HOLDERS:
            yield Fault("holders", "shares need at least two destinations")
        for index, name in enumerate(self.holders):
            if name in self.holders[:index]:
                yield Fault(f"holders[{index}]", "is named twice")
        if self.threshold is None and count > _FEWEST_HOLDERS:
            yield Fault("threshold", f"missing: how many of the {count} holders restore a frame")
        if self.threshold is not None and _FEWEST_HOLDERS <= count < self.threshold:
            yield Fault("threshold", f"is more than the {count} holders")


LAST_RULES = (
    Rule(name="last-sensitive", sensitive=True, scheme="sealed"),
    Rule(name="last", scheme="reversible"),
)
"""What holds for frames that no configured rule matches."""


class Spool(Section, frozen=True, kw_only=True):
    """What waits on disk to be sent."""

    max_bytes: Annotated[int, Meta(ge=1 << 20, le=1 << 50)] = 1 << 30
    max_items: _Items = 10_000
    """Products."""
    when_full: Literal["refuse", "drop-lowest"] = "refuse"
    """Tell cameras to try again later, or remove the least important product not being sent."""


class Contact(NamedTuple):
    """From `start` up to `end`, in seconds since 1970-01-01 UTC."""

    start: float
    end: float

    @classmethod
    def from_config(cls, value: object, folder: Path) -> Contact:
        """Check a list of two times; raises ValueError."""
        try:
            start, end = msgspec.convert(value, tuple[messages.Time, messages.Time])
        except ValueError:
            raise ValueError("expected [start, end] in seconds since 1970") from None
        if not start < end:
            raise ValueError("expected an end after the start")
        return cls(start, end)


class Destination(Section, frozen=True, kw_only=True):
    """A ground entity that products are sent to."""

    entity: Entity
    name: Name
    address: Address
    """Where to connect to."""
    secret_key: Path
    """This satellite's CURVE secret key file."""
    server_key: Path
    """CURVE public key file of what listens at `address`."""
    link_keys: Path
    """Link keys shared with the ground, which name who may command."""
    contacts: (
        Literal["always", "connected"] | Annotated[tuple[Contact, ...], Meta(max_length=10_000)]
    ) = "connected"
    """When there is contact: always, while connected, or in these windows."""
    rate: Annotated[int, Meta(ge=1, le=10**12)] | None = None
    """Bit/s at most, whole link packets counted; None is without limit."""
    cfdp: Cfdp = Cfdp()

    def faults(self) -> Iterator[Fault]:
        """An address one cannot connect to, and windows out of order."""
        if not self.address.is_definite:
            yield Fault("address", "needs a host and a port to connect to")
        windows = () if isinstance(self.contacts, str) else self.contacts
        for index, (before, window) in enumerate(zip(windows, windows[1:], strict=False), 1):
            if window.start < before.end:
                yield Fault(f"contacts[{index}]", "starts before the one above has ended")


class Telemetry(Section, frozen=True, kw_only=True):
    """Housekeeping reports, TM[3,25]."""

    interval: Seconds = 1.0


class OnboardConfig(Section, frozen=True, kw_only=True):
    """Everything that the flight daemon is told."""

    state_dir: Path
    """The database and the state of the links; it holds secrets."""
    spool_dir: Path
    """Products that wait to be sent."""
    signing_key: Path
    """The satellite's private key file (satellite.key)."""
    recipients: Annotated[tuple[Path, ...], Meta(min_length=1, max_length=MAX_RECIPIENTS)]
    """Public key files (recipient.pub) of those who may open what is sealed."""
    destinations: Annotated[tuple[Destination, ...], Meta(min_length=1, max_length=16)]
    entity: Entity = 1
    """This satellite's CFDP entity id."""
    health_file: Path | None = None
    """Rewritten while the daemon works; None writes none."""
    camera: Camera = Camera()
    private: Private = Private()
    rules: Annotated[tuple[Rule, ...], Meta(max_length=256)] = ()
    """The first that matches a frame holds, then `LAST_RULES`."""
    private_share: Annotated[float, Meta(ge=0, le=0.5)] = 0.05
    """Private data that a frame takes along, as a share of its size."""
    private_when_size_unknown: Annotated[int, Meta(ge=0, le=1 << 24)] = 1 << 14
    """The same for a frame whose camera does not know its size, in bytes."""
    spool: Spool = Spool()
    telemetry: Telemetry = Telemetry()
    apids: Apids = Apids()
    log_level: LogLevel = "info"

    def faults(self) -> Iterator[Fault]:
        """What destinations, the satellite and rules may not have in common with each other."""
        names = [rule.name for rule in self.ordered_rules if rule.name is not None]
        for index, rule in enumerate(self.rules):
            if names.count(rule.name or "") > 1:
                yield Fault(f"rules[{index}].name", "is another rule's")
        for index, destination in enumerate(self.destinations):
            place, others = f"destinations[{index}]", self.destinations[:index]
            if destination.entity == self.entity:
                yield Fault(f"{place}.entity", "is the satellite's own")
            for name in ("entity", "name", "link_keys"):
                if getattr(destination, name) in [getattr(other, name) for other in others]:
                    yield Fault(f"{place}.{name}", "is another destination's")
        yield from self._faults_of_shares()

    def _faults_of_shares(self) -> Iterator[Fault]:
        destinations = [destination.name for destination in self.destinations]
        for number, rule in enumerate(self.rules):
            for index, holder in enumerate(rule.holders):
                if holder not in destinations:
                    yield Fault(f"rules[{number}].holders[{index}]", "is no destination's name")
            if len(rule.holders) > self.spool.max_items:
                yield Fault(f"rules[{number}].holders", "are more than the spool's max_items")
        most = shares.MAX_RECIPIENTS
        if len(self.recipients) > most and any(rule.holders for rule in self.rules):
            yield Fault("recipients", f"at most {most} where a rule has holders")

    @property
    def ordered_rules(self) -> tuple[Rule, ...]:
        """The rules to try in turn; the last one matches every frame."""
        return self.rules + LAST_RULES
