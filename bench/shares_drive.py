"""Drives splitting and gathering in memory, with keys that repeat themselves."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.drive import KEY, chunks
from occulta.limits import DEFAULT_LIMITS
from occulta.schemes.shares.gather import Gatherer
from occulta.schemes.shares.keys import ShareSet, create_set
from occulta.schemes.shares.segments import (
    GRAIN,
    MARK_SIZE,
    MAX_SEGMENT,
    Segment,
    SetKeys,
    body_size,
    encrypt,
    sizes_of,
)
from occulta.schemes.shares.split import Splitter

FORMS = ("seed", "stream", "threshold")
HOLDERS = (2, 3)


class Memory:
    """A share in memory."""

    def __init__(self, name: str, data: bytes) -> None:
        self.name = name
        self.data = data

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data)

    def read(self, at: int, size: int) -> bytes:
        """Bytes from `at` on."""
        return self.data[at : at + size]


@dataclass(frozen=True, slots=True)
class Laid:
    """Where a segment stands behind the header of a share, and what is in it."""

    number: int
    at: int
    size: int
    segment: Segment


@dataclass(frozen=True, slots=True)
class Split:
    """A frame and its shares."""

    frame: bytes
    made: ShareSet
    shares: tuple[bytes, ...]
    padding: int
    segments: int

    @property
    def headers(self) -> list[int]:
        """Bytes of each header."""
        return [len(share.header) for share in self.made.shares]


def create(form: str, seed: str) -> ShareSet:
    """Keys of a set; HPKE and Shamir's sharing draw their own randomness."""
    chance = random.Random(seed)
    return create_set(
        chance.randbytes(16), [KEY.public], chance.randbytes,
        holders=HOLDERS if form == "threshold" else None, key_stream=form == "stream",
    )


def split(frame: bytes, made: ShareSet) -> Split:
    """All shares of a frame; raises OccultaError."""
    splitter = Splitter(made)
    pieces = [splitter.feed(chunk) for chunk in chunks(frame)]
    pieces.append(splitter.finish())
    shares = tuple(b"".join(parts) for parts in zip(*pieces, strict=True))
    return Split(frame, made, shares, splitter.padding, splitter.segments)


def gather(shares: Sequence[bytes]) -> tuple[Gatherer, bytes]:
    """What was found and the bytes restored; raises OccultaError."""
    sources = [Memory(f"input {number}", data) for number, data in enumerate(shares)]
    gatherer = Gatherer(sources, KEY, DEFAULT_LIMITS)
    return gatherer, b"".join(gatherer.restore())


def comes_back(done: Split, chosen: Sequence[bytes]) -> bool:
    """Whether these shares give the frame, bit for bit, and nothing speaks against it."""
    found, restored = gather(chosen)
    return found.is_intact and not found.damage.altered_shares and restored == done.frame


def layout(done: Split) -> list[Laid]:
    """The segments, read out of a share with ciphertext by the keys of the set."""
    keys = SetKeys(done.made.set_key, done.made.shares[0].clear.set_id)
    body = memoryview(done.shares[-1])[done.headers[-1] :]
    found: list[Laid] = []
    at = 0
    while at < len(body):
        number = len(found)
        head = encrypt(done.made.frame_key, number, bytes(body[at + MARK_SIZE :][:GRAIN]))
        sizes = sizes_of(head)
        if sizes is None or sizes.segment > MAX_SEGMENT:
            raise AssertionError(f"segment {number} cannot be read")
        sealed = bytes(body[at + MARK_SIZE :][: body_size(sizes.segment)])
        checked = keys.unpack(number, encrypt(done.made.frame_key, number, sealed))
        if checked is None or not (checked.data_holds and checked.hashes_hold):
            raise AssertionError(f"segment {number} does not verify")
        found.append(Laid(number, at, sizes.segment, checked.segment))
        at += sizes.segment
    return found


def joined(laid: Iterable[Laid]) -> bytes:
    """The bytes of the frame in these segments, the conclusion's excepted."""
    return b"".join(each.segment.data for each in laid if each.segment.kind < 2)
