"""Six ways to alter a share at random, and what of it is left whole."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from bench.shares_drive import Laid
from occulta.schemes.shares.segments import (
    DATA_CHECK_SIZE,
    GRAIN,
    HASH_CHECK_SIZE,
    HEAD_SIZE,
    MAC_SIZE,
    MARK_SIZE,
)

DATA = MARK_SIZE + HEAD_SIZE
"""Where the JPEG bytes of a segment begin."""
_LONGEST = 16
"""Stretches have up to 2^16 bytes, or are whole segments."""


class Alteration:
    """One share altered once, by nothing but `chance`."""

    def __init__(
        self, old: bytes, header: int, laid: Sequence[Laid], others: Sequence[bytes],
        chance: random.Random,
    ) -> None:
        """`header`: its size; `laid`: the segments behind it; `others`: shares to splice from."""
        self._old = old
        self._header = header
        self._laid = laid
        self._others = others
        self._chance = chance
        self.kind = chance.choice(KINDS)
        self.flipped: int | None = None
        """Where the byte with the flipped bit stands."""
        self.kept: list[range] = []
        """Stretches of the old share that stand in the new one, moved or not; copies apart."""
        self.new = old
        """The altered share."""
        while self.new == old:
            self.new = _KINDS[self.kind](self)

    def keeps(self, start: int, end: int) -> bool:
        """Whether these bytes of the old share still stand together."""
        return any(kept.start <= start and end <= kept.stop for kept in self.kept)

    def flip(self) -> bytes:
        """One bit; every fourth in the framing of a segment rather than in its JPEG bytes."""
        at = self._chance.randrange(len(self._old))
        if not self._chance.randrange(4) and len(self._old) > self._header:
            laid = self._chance.choice(self._laid)
            inside = self._chance.choice(_framing(laid))
            at = self._header + laid.at + inside
        self.flipped = at
        self._keep(0, at, at + 1, len(self._old))
        changed = self._old[at] ^ 1 << self._chance.randrange(8)
        return self._old[:at] + bytes([changed]) + self._old[at + 1 :]

    def cut(self) -> bytes:
        """A stretch left out."""
        a, b = self._stretch()
        self._keep(0, a, b, len(self._old))
        return self._old[:a] + self._old[b:]

    def truncate(self) -> bytes:
        """The end left out."""
        end, _ = self._stretch()
        self._keep(0, end)
        return self._old[:end]

    def swap(self) -> bytes:
        """Two stretches of one length in each other's place."""
        a, b = self._stretch()
        size = min(b - a, len(self._old) // 2)
        c = self._chance.randrange(len(self._old) - size + 1)
        a, c = sorted((min(a, len(self._old) - size), c))
        size = min(size, c - a)
        old = self._old
        self._keep(0, a, a, a + size, a + size, c, c, c + size, c + size, len(old))
        return old[:a] + old[c : c + size] + old[a + size : c] + old[a : a + size] + old[c + size :]

    def splice(self) -> bytes:
        """A stretch of another share in its place, from the same offset or any."""
        a, b = self._stretch()
        other = self._chance.choice(self._others)
        at = a if self._chance.randrange(2) else self._chance.randrange(len(other))
        taken = other[at : at + b - a]
        self._keep(0, a, a + len(taken), len(self._old))
        return self._old[:a] + taken + self._old[a + len(taken) :]

    def insert(self) -> bytes:
        """Noise, or bytes of the share itself, put in."""
        a, b = self._stretch()
        at = self._chance.randrange(len(self._old) + 1)
        self._keep(0, at, at, len(self._old))
        inserted = self._old[a:b] if self._chance.randrange(2) else self._chance.randbytes(b - a)
        return self._old[:at] + inserted + self._old[at:]

    def _keep(self, *ends: int) -> None:
        self.kept = [range(a, b) for a, b in zip(ends[::2], ends[1::2], strict=True)]

    def _stretch(self) -> tuple[int, int]:
        """Of any size and place; some as whole kilobytes, some as whole segments."""
        size = int(2 ** self._chance.uniform(0, _LONGEST))
        a = self._chance.randrange(len(self._old))
        how = self._chance.randrange(4)
        if how == 0 and a > self._header:
            a -= (a - self._header) % GRAIN
            size = -(-size // GRAIN) * GRAIN
        elif how == 1 and len(self._old) > self._header:
            first = self._chance.randrange(len(self._laid))
            chosen = self._laid[first : first + 1 + self._chance.randrange(3)]
            a, size = self._header + chosen[0].at, sum(each.size for each in chosen)
        return a, min(a + size, len(self._old))


def _framing(laid: Laid) -> list[int]:
    """Places in a segment that hold no JPEG bytes nor padding."""
    end = DATA + len(laid.segment.data)
    behind = end + len(laid.segment.hashes) + DATA_CHECK_SIZE + HASH_CHECK_SIZE
    return [*range(DATA), *range(end, behind), *range(laid.size - MAC_SIZE, laid.size)]


_KINDS: dict[str, Callable[[Alteration], bytes]] = {
    "flipped bit": Alteration.flip, "cut": Alteration.cut, "swap": Alteration.swap,
    "splice": Alteration.splice, "insertion": Alteration.insert,
    "truncation": Alteration.truncate,
}
KINDS = tuple(_KINDS)
