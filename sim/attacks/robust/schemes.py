"""What is compared: profiles of the robust scheme, and its lattices under other codes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple, Protocol

import numpy as np

from occulta.codec import crypto
from occulta.codec.fec.message import TurboCode
from occulta.errors import OccultaError, Reason
from occulta.schemes.robust import extract, mark, message
from occulta.schemes.robust.picture import Floats
from occulta.schemes.robust.picture import Picture as Received
from occulta.schemes.robust.profiles import PROFILES, Profile
from sim.attacks.robust.codes import CODES, Code

_JOINT = " + "
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

    @property
    def name(self) -> str:
        """As in the tables."""
        ...

    def send(self, jpeg: bytes, size: tuple[int, int], seed: int) -> Sent:
        """Mark with the largest message; `size` in pixels. Raises OccultaError."""
        ...

    def receive(self, sent: Sent, picture: Received, moved: bool) -> Outcome:
        """Read it; `moved`: the grid of blocks may lie elsewhere."""
        ...


@dataclass(frozen=True, slots=True)
class Robust:
    """A profile as it is."""

    profile: Profile

    @property
    def name(self) -> str:
        """Of the profile."""
        return self.profile.name

    def send(self, jpeg: bytes, size: tuple[int, int], seed: int) -> Sent:
        """As `protect` does, the code's bits kept for comparison."""
        sealed, private, key = _message(self.profile, size, seed)
        coded = TurboCode(len(sealed)).encode(sealed)
        file = mark.mark_coded(jpeg, self.profile, key.public.fingerprint, coded)
        return Sent(file, sealed, coded, private, key)

    def receive(self, sent: Sent, picture: Received, moved: bool) -> Outcome:
        """As `recover` does. Where that fails, what was wrong with the bits."""
        try:
            found = extract.recover(picture, sent.key, [self.profile], search=moved)
        except OccultaError as error:
            if error.reason is not Reason.NOT_RECOVERED:
                raise
            return self._lost(sent, picture)
        if found.opened.private != sent.private:
            raise AssertionError("a message that was never sent")
        before = found.corrected / max(1, found.compared)
        return Outcome(True, before, 0.0, found.margin)

    def _lost(self, sent: Sent, picture: Received) -> Outcome:
        llrs = _soft_bits(self.profile, sent, picture)
        scaled = np.clip(np.rint(llrs * _UNIT), -_CLAMP, _CLAMP).astype(np.int16)
        decided = TurboCode(len(sent.message)).decode(memoryview(scaled.tobytes()).cast("h"))
        margin = extract.margin(llrs, sent.coded, len(sent.message))
        return Outcome(
            False, _wrong(_hard(llrs), sent.coded), _wrong(decided.bits, sent.message), margin
        )


@dataclass(frozen=True, slots=True)
class Rival:
    """The lattice and the slots of a profile, under another code."""

    profile: Profile
    code: Code

    @property
    def name(self) -> str:
        """Of the profile and the code."""
        return f"{self.profile.name}{_JOINT}{self.code.name}"

    def send(self, jpeg: bytes, size: tuple[int, int], seed: int) -> Sent:
        """The same messages as the profile's own."""
        sealed, private, key = _message(self.profile, size, seed)
        coded = self.code.encode(sealed)
        file = mark.mark_coded(jpeg, self.profile, key.public.fingerprint, coded)
        return Sent(file, sealed, coded, private, key)

    def receive(self, sent: Sent, picture: Received, moved: bool) -> Outcome:
        """From the signs of the soft bits; what has moved is not searched for."""
        hard = _hard(_soft_bits(self.profile, sent, picture))
        after = _wrong(self.code.decode(hard, len(sent.message)), sent.message)
        return Outcome(after == 0.0, _wrong(hard, sent.coded), after, None)


def names(profiles: Iterable[str], codes: Iterable[str]) -> list[str]:
    """The schemes to compare: each profile, followed by its lattice under each other code."""
    listed = list(codes)
    return [name for p in profiles for name in (p, *(f"{p}{_JOINT}{code}" for code in listed))]


@cache
def by_name(name: str) -> Scheme:
    """One of `names`; raises OccultaError(USAGE) where its code's package is missing."""
    profile, _, code = name.partition(_JOINT)
    return Rival(PROFILES[profile], CODES[code]()) if code else Robust(PROFILES[profile])


def _message(
    profile: Profile, size: tuple[int, int], seed: int
) -> tuple[bytes, bytes, crypto.PrivateKey]:
    """As many bits as fit, the private data, the recipient's key. HPKE draws for itself."""
    chance = np.random.default_rng([seed, profile.number])
    key = crypto.PrivateKey(chance.bytes(32))
    most = message.most_bits(profile, *size)
    private = chance.bytes(max(1, message.room(most, signed=False)))
    return message.to_bits(message.seal(private, most, key.public)), private, key


def _soft_bits(profile: Profile, sent: Sent, picture: Received) -> Floats:
    return extract.soft_bits(picture, profile, sent.key.public.fingerprint, len(sent.coded))


def _hard(llrs: Floats) -> bytes:
    return (llrs < 0.0).tobytes()


def _wrong(bits: bytes, right: bytes) -> float:
    one, other = (np.frombuffer(each, np.uint8) for each in (bits, right))
    return float((one != other).mean())
