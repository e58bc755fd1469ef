"""What one direction of a link does to its packets: every number, its unit and its range."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from occulta.program.typed import Fault, Faults, Section, describe

Probability = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0, le=3600)]
Bytes = Annotated[int, Meta(ge=1, le=1 << 32)]
Rate = Annotated[float, Meta(ge=1, le=10**12)]
Decibels = Annotated[float, Meta(ge=-50, le=100)]
ErrorRate = Annotated[float, Meta(ge=0, le=0.5)]
_ZENITH = 90.0


class Checked(Section, frozen=True, kw_only=True):
    """A section whose ranges hold however it was made; raises Faults, a ValueError."""

    def __post_init__(self) -> None:
        if found := tuple(self._out_of_range()):
            raise Faults(found)
        super().__post_init__()

    def _out_of_range(self) -> Iterator[Fault]:
        for field in msgspec.structs.fields(self):
            value = getattr(self, field.name)
            try:
                msgspec.convert(value, field.type)
            except msgspec.ValidationError:
                yield Fault(field.name, f"expected {describe(field.type)}, got {value!r}")


class Loss(Checked, frozen=True, kw_only=True):
    """Packet loss by two states, good and bad (Gilbert 1960, Elliott 1963).

    Before each packet the state changes with the probability given; the packet is then lost with
    that of the state. With `good_to_bad` 0 losses are independent.
    """

    good_to_bad: Probability = 0.0
    bad_to_good: Probability = 1.0
    in_good: Probability = 0.0
    in_bad: Probability = 1.0

    @property
    def share_bad(self) -> float:
        """Share of packets that meet the bad state; 0 where neither state is ever left."""
        changes = self.good_to_bad + self.bad_to_good
        return self.good_to_bad / changes if changes else 0.0

    @property
    def mean(self) -> float:
        """Share of packets lost in the long run."""
        bad = self.share_bad
        return bad * self.in_bad + (1 - bad) * self.in_good


class Bursts(Checked, frozen=True, kw_only=True):
    """Packet loss in bursts: the mean share lost, and the mean length of a burst in packets.

    Stands for `Loss` with nothing lost in the good state and everything in the bad one.
    """

    mean: Annotated[float, Meta(ge=0, lt=1)]
    length: Annotated[float, Meta(ge=1, le=1e9)]

    def faults(self) -> Iterator[Fault]:
        """More lost packets than bursts of this length can hold."""
        if self._good_to_bad > 1:
            yield Fault("length", f"a mean loss of {self.mean:g} needs longer bursts")

    @property
    def _good_to_bad(self) -> float:
        return self.mean / (1 - self.mean) / self.length

    def states(self) -> Loss:
        """The two states that give this mean and this length."""
        return Loss(good_to_bad=self._good_to_bad, bad_to_good=1 / self.length)


class SignalToNoise(Checked, frozen=True, kw_only=True):
    """Eb/N0 in dB, assumed linear in elevation between two values that are given.

    `low` holds at `low_elevation` degrees and below, `zenith` at 90 degrees.
    """

    low: Decibels
    zenith: Decibels
    low_elevation: Annotated[float, Meta(ge=0, lt=90)] = 5.0

    def bit_error_rate(self, elevation: float) -> float:
        """Of coherent BPSK without coding, assumed: erfc(sqrt(Eb/N0)) / 2."""
        risen = (elevation - self.low_elevation) / (_ZENITH - self.low_elevation)
        decibels = self.low + (self.zenith - self.low) * min(max(risen, 0.0), 1.0)
        return 0.5 * math.erfc(math.sqrt(10 ** (decibels / 10)))


class Settings(Checked, frozen=True, kw_only=True):
    """One direction of a link; by default without faults, delay or limit of rate."""

    rate: Rate | None = None
    """Bit/s of whole packets; None sends each in no time."""
    queue: Bytes = 1 << 20
    """Bytes that wait for the channel at most, the packet on it included; more are dropped."""
    in_flight: Bytes = 1 << 24
    """Bytes between both ends at most, whatever their state; more are dropped like `queue`'s."""
    delay: Seconds = 0.0
    """From a packet's last bit leaving to the packet's arrival."""
    jitter: Seconds = 0.0
    """Added to the delay, uniform from 0; it changes no order."""
    loss: Loss = Loss()
    bursts: Bursts | None = None
    """Instead of `loss`."""
    bit_error_rate: ErrorRate = 0.0
    """Share of bits inverted, independently (white Gaussian noise after a hard decision)."""
    signal_to_noise: SignalToNoise | None = None
    """Instead of `bit_error_rate`; needs contacts that come from an orbit."""
    duplicate: Probability = 0.0
    """Probability that a packet arrives twice."""
    reorder: Probability = 0.0
    """Probability that a packet is held back for `reorder_delay`, and others may overtake it."""
    reorder_delay: Seconds = 0.0
    truncate: Probability = 0.0
    """Probability that a packet loses its end; every shorter length is equally likely."""

    def faults(self) -> Iterator[Fault]:
        """Two settings for one thing, or half of one."""
        if self.bursts is not None and self.loss != Loss():
            yield Fault("bursts", "give loss or bursts, not both")
        if self.signal_to_noise is not None and self.bit_error_rate:
            yield Fault("signal_to_noise", "give bit_error_rate or signal_to_noise, not both")
        if self.reorder and not self.reorder_delay:
            yield Fault("reorder_delay", "must be above 0 where packets are reordered")

    def states(self) -> Loss:
        """The loss model that is meant, by whichever of its two forms."""
        return self.loss if self.bursts is None else self.bursts.states()
