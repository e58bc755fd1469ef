"""A scenario's configuration: what is photographed, what happens on the way, how long it may take.

`configs/scenarios/demo.yaml` shows every option. Paths are relative to the file's folder; sizes are
bytes, times seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from msgspec import Meta

from occulta.errors import OccultaError, Reason
from occulta.program import config
from occulta.program.sections import Cfdp, Seconds
from occulta.program.typed import Fault, Section
from occulta.schemes.shares.header import MAX_HOLDERS
from onboard.config import Rule, Spool
from sim.camera import DEFAULT_SEED
from sim.link.config import Link, Preset, Spans

MAX_FRAMES = 64
_SHARE = 0.95
"""Of a link's rate, for files: what more is sent only fills its queue and is lost."""


class Synthetic(Section, frozen=True, kw_only=True):
    """Frames of one pass over a synthetic scene: each overlaps the one before."""

    count: Annotated[int, Meta(ge=1, le=MAX_FRAMES)] = 1
    megapixels: Annotated[float, Meta(ge=0.01, le=16)] = 4.0
    quality: Annotated[int, Meta(ge=1, le=100)] = 85
    seed: Annotated[int, Meta(ge=0, lt=1 << 32)] = DEFAULT_SEED


@dataclass(frozen=True, slots=True)
class Holders:
    """Ground nodes that sensitive frames go to in shares, and how many of them restore one."""

    threshold: int
    count: int
    expected: ClassVar = f"K/N with 2 <= K <= N <= {MAX_HOLDERS}, 2/2 of two"

    @classmethod
    def from_config(cls, value: object, folder: Path) -> Holders:
        """From `K/N`; raises ValueError."""
        found = re.fullmatch(r"([0-9]{1,2})/([0-9]{1,2})", str(value), re.ASCII)
        if found is None:
            raise ValueError(f"expected {cls.expected}")
        threshold, count = map(int, found.groups())
        if not 2 <= threshold <= count <= MAX_HOLDERS:
            raise ValueError(f"expected {cls.expected}")
        return cls(threshold, count)


class Flight(Section, frozen=True, kw_only=True):
    """What the flight daemon is told beside what a new mission's configuration says."""

    rate: Annotated[int, Meta(ge=1, le=10**12)] | None = None
    """Bit/s at most; None for a little less than the link's, if that has a rate."""
    rules: Annotated[tuple[Rule, ...], Meta(max_length=256)] = ()
    spool: Spool = Spool()
    private_share: Annotated[float, Meta(ge=0, le=0.5)] = 0.05
    """Room for private data in a frame, as a share of its size."""


class TimeLimit(Section, frozen=True, kw_only=True):
    """How long all may take, from the first program's start to the last frame's recovery."""

    base: Seconds = 60.0
    per_megabyte: Annotated[float, Meta(ge=0, le=86_400)] = 0.0
    """For each million bytes of frames."""
    plain_kernel: Annotated[float, Meta(ge=1, le=100)] = 5.0
    """Times so much where the plain-Python kernel is in use."""

    def seconds(self, size: int, is_plain: bool) -> float:
        """The limit for frames of `size` bytes in all."""
        limit = self.base + self.per_megabyte * size / 1e6
        return limit * (self.plain_kernel if is_plain else 1.0)


class Scenario(Section, frozen=True, kw_only=True):
    """Everything that `occulta-sim run` is told."""

    frames: Synthetic = Synthetic()
    private_share: Annotated[float, Meta(ge=0, le=0.5)] = 0.03
    """Size of the private file that goes with each frame, as a share of the frame's."""
    sensitive: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=MAX_FRAMES)], ...], Meta(max_length=MAX_FRAMES)
    ] = ()
    """Numbers, from 1, of frames that the camera calls sensitive; no private file goes with them.

    Unless a rule says otherwise they are sealed whole, or split among holders, and carry nothing.
    """
    holders: Holders | None = None
    """Sensitive frames go in shares to so many ground nodes; None for one ground node."""
    preset: Preset | None = None
    """The link, by the name of one of configs/links or a path."""
    link: Link | None = None
    """Instead of `preset`; without either the link has no faults."""
    outages: Spans = ()
    """Besides those of the link; from the beginning of the pass."""
    seed: Annotated[int, Meta(ge=0, lt=1 << 32)] = 1
    """Decides what happens on the link."""
    pass_after: Annotated[int, Meta(ge=0, le=MAX_FRAMES)] = 0
    """The pass begins, and the link with it, once so many frames wait on board."""
    cfdp: Cfdp = Cfdp()
    """At both ends."""
    onboard: Flight = Flight()
    time_limit: TimeLimit = TimeLimit()

    def faults(self) -> Iterator[Fault]:
        """Two links, one that needs an orbit, and holders of nothing."""
        if self.preset is not None and self.link is not None:
            yield Fault("link", "give preset or link, not both")
        if self.link is not None and self.link.needs_orbit:
            yield Fault("link", "signal_to_noise needs an orbit, which a scenario has not")
        if self.holders is not None and not self.sensitive:
            yield Fault("holders", "sensitive frames are for them, and `sensitive` names none")

    @property
    def rate(self) -> int | None:
        """Bit/s that the satellite sends at most, None for no limit.

        Raises OccultaError(CONFIG_INVALID) for a preset that cannot be read.
        """
        link = self.link or Link()
        if self.preset is not None:
            link = config.load(self.preset.file, Link)
        if self.onboard.rate is not None or link.down.rate is None:
            return self.onboard.rate
        return max(1, int(_SHARE * link.down.rate))

    def check(self, frames: int) -> None:
        """Raises OccultaError(CONFIG_INVALID) unless `frames`, or `count`, are enough of them."""
        count = max(frames, self.frames.count)
        for index, number in enumerate(self.sensitive):
            if number > count:
                what = f"sensitive[{index}]: there is no frame {number} among {count}"
                raise OccultaError(Reason.CONFIG_INVALID, what)

    def check_time(self, size: int, limit: float) -> None:
        """Raises OccultaError(CONFIG_INVALID) where frames of so many bytes must take longer."""
        seconds = 8 * size / self.rate if self.rate else 0.0
        if seconds > limit:
            raise OccultaError(
                Reason.CONFIG_INVALID,
                f"{size} bytes of frames take {seconds:.0f} s or more at {self.rate} bit/s, and the"
                f" time limit is {limit:.0f} s", "take smaller frames, or set time_limit",
            )


def load(path: Path) -> Scenario:
    """A scenario whose preset can be read too; raises OccultaError(CONFIG_INVALID)."""
    scenario = config.load(path, Scenario)
    if scenario.preset is not None:
        config.load(scenario.preset.file, Link)
    return scenario
