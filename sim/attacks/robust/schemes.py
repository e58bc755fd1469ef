"""What is compared: profiles of the robust scheme, and its lattices under other codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import numpy as np

from occulta.codec import crypto
from occulta.codec.fec.message import TurboCode
from occulta.codec.fec.turbo import Algorithm
from occulta.errors import OccultaError, Reason
from occulta.schemes.robust import extract, mark, message
from occulta.schemes.robust import picture as received
from occulta.schemes.robust.picture import Floats
from occulta.schemes.robust.picture import Picture as Received
from occulta.schemes.robust.profiles import Profile
from sim.attacks.picture import Picture, luminance
from sim.attacks.robust.codes import Code

_AS_GOOD = 1.25
"""No other view is tried where this many times the errors without attack are not exceeded."""
_UNIT, _CLAMP = 8.0, 255.0
"""LLRs of the turbo decoder are in eighths of a nat."""


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
    before: float
    """Share of the coded bits that were wrong before decoding."""
    after: float
    """Share of the message's bits that were wrong after decoding."""
    margin: float | None
    """Information received over information needed, dB; None for codes on hard bits."""


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
        """As `recover` does. Where that fails, what was wrong with the bits."""
        picture = _received(left)
        try:
            found = extract.recover(picture, sent.key, [self.profile], search=moved)
        except OccultaError as error:
            if error.reason is not Reason.NOT_RECOVERED:
                raise
            return self._lost(sent, picture)
        same = found.opened.private == sent.private
        before = found.corrected / max(1, found.compared)
        return Outcome(same, before, 0.0, found.margin)

    def _lost(self, sent: Sent, picture: Received) -> Outcome:
        return lost(sent, _soft_bits(self.profile, sent, picture), "maxlog")


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
        """From the signs of the soft bits: as the picture is, then in its likeliest view."""
        picture = _received(left)
        plain = self._decoded(sent, _soft_bits(self.profile, sent, picture, search=False))
        if plain.recovered or plain.before <= _AS_GOOD * self._clean(sent):
            return plain
        return self._decoded(sent, _soft_bits(self.profile, sent, picture))

    def _clean(self, sent: Sent) -> float:
        """Share of wrong bits with no attack."""
        marked = received.from_jpeg(sent.file)
        return wrong(_hard(_soft_bits(self.profile, sent, marked, search=False)), sent.coded)

    def _decoded(self, sent: Sent, llrs: Floats) -> Outcome:
        hard = _hard(llrs)
        after = wrong(self.code.decode(hard, len(sent.message)), sent.message)
        return Outcome(after == 0.0, wrong(hard, sent.coded), after, None)


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


def lost(sent: Sent, llrs: Floats, algorithm: Algorithm) -> Outcome:
    """Of a message that was not recovered from these soft bits."""
    scaled = np.clip(np.rint(llrs * _UNIT), -_CLAMP, _CLAMP).astype(np.int16)
    code = TurboCode(len(sent.message))
    decided = code.decode(memoryview(scaled.tobytes()).cast("h"), algorithm)
    return Outcome(
        False, wrong(_hard(llrs), sent.coded), wrong(decided.bits, sent.message),
        extract.margin(llrs, sent.coded, len(sent.message)),
    )


def wrong(bits: bytes, right: bytes) -> float:
    """The share of bits that differ, a byte each."""
    one, other = (np.frombuffer(each, np.uint8) for each in (bits, right))
    return float((one != other).mean())


def _received(left: Picture) -> Received:
    if left.pixels is None:
        return received.from_jpeg(left.file)
    return received.from_luminance(luminance(left.pixels))


def _soft_bits(profile: Profile, sent: Sent, picture: Received, search: bool = True) -> Floats:
    fingerprint = sent.key.public.fingerprint
    return extract.soft_bits(picture, profile, fingerprint, len(sent.coded), search)


def _hard(llrs: Floats) -> bytes:
    return (llrs < 0.0).tobytes()
