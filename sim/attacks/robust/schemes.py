"""What is compared: profiles of the robust scheme, and its lattices under other codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from occulta.codec import crypto
from occulta.codec.fec.message import TurboCode
from occulta.codec.fec.turbo import Algorithm
from occulta.errors import OccultaError, Reason
from occulta.schemes.robust import extract, mark, message
from occulta.schemes.robust import picture as received
from occulta.schemes.robust.extract import Found
from occulta.schemes.robust.picture import Floats
from occulta.schemes.robust.picture import Picture as Received
from occulta.schemes.robust.profiles import Profile
from sim.attacks.picture import Picture, luminance
from sim.attacks.robust.codes import Code

_NOTHING = -99.0
"""See `extract.margin`."""


class Sent(NamedTuple):
    """A marked picture and what is in it. Bits are one to a byte."""

    file: bytes
    message: bytes
    coded: bytes
    private: bytes
    key: crypto.PrivateKey


class Outcome(NamedTuple):
    """What came of one reception."""

    recovered: bool
    """The private data, exactly; of a code the whole message."""
    false: bool
    """The receiver took something else for the message. A code is told the right one: never."""
    before: float | None
    """Of the coded bits of which anything came, the share that was wrong before decoding."""
    after: float
    """Share of the message's bits that were wrong after decoding."""
    margin: float | None
    """Information received over information needed, dB; None: nothing, or a code on hard bits."""


class Scheme(Protocol):
    """A way to hide a message in a JPEG file and to find it again."""

    follows: ClassVar[bool]
    """Whether it finds its place in a picture that has moved."""

    @property
    def name(self) -> str:
        """As in the tables."""
        ...

    def send(self, jpeg: bytes, size: tuple[int, int], seed: int) -> Sent:
        """Mark with the largest message; `size` in pixels. Raises OccultaError."""
        ...

    def receive(self, sent: Sent, left: Picture, moved: bool) -> Outcome:
        """Read what an attack left; `moved`: the grid of blocks may lie elsewhere.

        Raises OccultaError where nothing of a picture can be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class Robust:
    """A profile as it is."""

    profile: Profile
    follows: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """Of the profile."""
        return self.profile.name

    def send(self, jpeg: bytes, size: tuple[int, int], seed: int) -> Sent:
        """As `protect` does, the code's bits kept for comparison."""
        most = message.most_bits(self.profile, *size)
        sealed, private, key = make_message(self.profile, most, seed)
        coded = TurboCode(len(sealed)).encode(sealed)
        file = mark.mark_coded(jpeg, self.profile, key.public.fingerprint, coded)
        return Sent(file, sealed, coded, private, key)

    def receive(self, sent: Sent, left: Picture, moved: bool) -> Outcome:
        """As `recover` does."""
        picture = _received(left)
        return judged(
            sent, lambda: extract.recover(picture, sent.key, [self.profile], search=moved),
            lambda: _soft_bits(self.profile, sent, picture), "maxlog",
        )


@dataclass(frozen=True, slots=True)
class Rival:
    """The lattice and the slots of a profile, under another code."""

    profile: Profile
    code: Code
    follows: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """Of the profile and the code."""
        return f"{self.profile.name} + {self.code.name}"

    def send(self, jpeg: bytes, size: tuple[int, int], seed: int) -> Sent:
        """The same messages as the profile's own."""
        most = message.most_bits(self.profile, *size)
        sealed, private, key = make_message(self.profile, most, seed)
        coded = self.code.encode(sealed)
        file = mark.mark_coded(jpeg, self.profile, key.public.fingerprint, coded)
        return Sent(file, sealed, coded, private, key)

    def receive(self, sent: Sent, left: Picture, moved: bool) -> Outcome:
        """As the picture is, then in its likeliest view."""
        picture = _received(left)
        plain = self._decoded(sent, _soft_bits(self.profile, sent, picture, search=False))
        if plain.recovered:
            return plain
        return self._decoded(sent, _soft_bits(self.profile, sent, picture))

    def _decoded(self, sent: Sent, llrs: Floats) -> Outcome:
        after = wrong(self.code.decode(llrs, sent.message), sent.message)
        return Outcome(after == 0.0, False, channel_errors(llrs, sent.coded), after, None)


def make_message(
    profile: Profile, most: int, seed: int
) -> tuple[bytes, bytes, crypto.PrivateKey]:
    """At most so many bits, full of private data; these; the recipient's key.

    HPKE draws for itself: two runs differ in the message, not in key and data. Raises OccultaError.
    """
    chance = np.random.default_rng([seed, profile.number])
    key = crypto.PrivateKey(chance.bytes(32))
    private = chance.bytes(max(1, message.room(most, signed=False)))
    return message.to_bits(message.seal(private, most, key.public)), private, key


def judged(
    sent: Sent, recover: Callable[[], Found], llrs: Callable[[], Floats], algorithm: Algorithm
) -> Outcome:
    """What a receiver found, or where it found nothing what is wrong with the soft bits.

    Raises OccultaError other than NOT_RECOVERED.
    """
    try:
        found = recover()
    except OccultaError as error:
        if error.reason is not Reason.NOT_RECOVERED:
            raise
        return _lost(sent, llrs(), algorithm)
    if found.opened.private != sent.private:
        return _lost(sent, llrs(), algorithm)._replace(false=True)
    return Outcome(True, False, found.corrected / found.compared, 0.0, found.margin)


def _lost(sent: Sent, llrs: Floats, algorithm: Algorithm) -> Outcome:
    decided = TurboCode(len(sent.message)).decode(extract.as_llrs(llrs), algorithm)
    margin = extract.margin(llrs, sent.coded, len(sent.message))
    return Outcome(
        False, False, channel_errors(llrs, sent.coded), wrong(decided.bits, sent.message),
        margin if margin > _NOTHING else None,
    )


def channel_errors(llrs: Floats, coded: bytes) -> float | None:
    """The share of wrong signs among the coded bits of which anything came (LLR not 0), if any."""
    came = llrs != 0.0
    return float(((llrs < 0.0) != _bits(coded))[came].mean()) if came.any() else None


def wrong(bits: bytes, right: bytes) -> float:
    """The share of bits that differ, a byte each."""
    return float((_bits(bits) != _bits(right)).mean())


def _bits(given: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(given, np.uint8)


def _received(left: Picture) -> Received:
    if left.pixels is None:
        return received.from_jpeg(left.file)
    return received.from_luminance(luminance(left.pixels))


def _soft_bits(profile: Profile, sent: Sent, picture: Received, search: bool = True) -> Floats:
    fingerprint = sent.key.public.fingerprint
    return extract.soft_bits(picture, profile, fingerprint, len(sent.coded), search)
