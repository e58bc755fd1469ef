"""Drivers of splitting and gathering, with fixed keys and pictures of several segments."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Container, Iterable, Sequence
from functools import cache
from typing import NamedTuple

from occulta.codec import crypto
from occulta.limits import DEFAULT_LIMITS
from occulta.schemes.shares.gather import Gatherer
from occulta.schemes.shares.header import INFO, Clear, Secrets, seal_header
from occulta.schemes.shares.keys import ShareSet, create_set
from occulta.schemes.shares.regions import Regions
from occulta.schemes.shares.segments import (
    HEAD_SIZE,
    MARK_SIZE,
    Segment,
    SetKeys,
    ShareMac,
    body_size,
    encrypt,
    sizes_of,
)
from occulta.schemes.shares.split import Splitter
from tests import jpegs
from tests.support import KEY, SATELLITE

SET_ID = b"one set of share"
FORMS = ("seed", "stream", "threshold")
Shares = tuple[bytes, ...]


class Memory:
    """A share in memory. `most` is the largest piece ever read from it."""

    def __init__(self, data: bytes, name: str = "share") -> None:
        self.data = data
        self.name = name
        self.most = 0

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self, at: int, size: int) -> bytes:
        self.most = max(self.most, size)
        return self.data[at : at + size]


class Laid(NamedTuple):
    """A segment of a share: where it stands, and what is in it."""

    start: int
    size: int
    segment: Segment

    @property
    def data_start(self) -> int:
        return self.start + MARK_SIZE + HEAD_SIZE


def seeded(seed: int):
    """A source of randomness that repeats itself."""
    return random.Random(seed).randbytes


def make(
    form: str = "seed", seed: int = 1, holders: tuple[int, int] = (2, 3),
    recipients: Sequence[crypto.PrivateKey] = (KEY,), regions: Regions = Regions(),  # noqa: B008
    set_id: bytes = SET_ID,
) -> ShareSet:
    """Keys of a set; wrapping and Shamir's sharing differ from run to run."""
    return create_set(
        set_id, [key.public for key in recipients], seeded(seed),
        holders=holders if form == "threshold" else None, key_stream=form == "stream",
        regions=regions,
    )


def split(
    frame: bytes, made: ShareSet, chunks: Iterable[bytes] | None = None,
    signing: crypto.SigningKey | None = SATELLITE, kernel: str | None = None,
) -> Shares:
    """All shares of a frame."""
    splitter = Splitter(made, signing, DEFAULT_LIMITS, kernel)
    pieces = [splitter.feed(chunk) for chunk in ([frame] if chunks is None else chunks)]
    pieces.append(splitter.finish())
    return tuple(b"".join(parts) for parts in zip(*pieces, strict=True))


def sources(shares: Iterable[bytes]) -> list[Memory]:
    return [Memory(data, f"input {index}") for index, data in enumerate(shares)]


def gather(
    shares: Iterable[bytes], key: crypto.PrivateKey = KEY, kernel: str | None = None
) -> tuple[Gatherer, bytes]:
    """What was found, and the bytes restored."""
    gatherer = Gatherer(sources(shares), key, DEFAULT_LIMITS, kernel)
    return gatherer, b"".join(gatherer.restore())


@cache
def frame() -> bytes:
    """A picture of some five segments, with restart markers."""
    return jpegs.encode(5, 448, 320, quality=95, restart_marker_rows=1)


@cache
def shares_of(form: str) -> tuple[ShareSet, Shares]:
    """The shares of `frame`, made once."""
    made = make(form)
    return made, split(frame(), made)


def layout(made: ShareSet, share: bytes) -> list[Laid]:
    """The segments of a share that holds the ciphertext, by its own keys."""
    (header,) = {s.header for s in made.shares if share.startswith(s.header)}
    keys = SetKeys(made.set_key, made.shares[0].clear.set_id)
    found, at = [], len(header)
    while at < len(share):
        number = len(found)
        body = encrypt(made.frame_key, number, share[at + MARK_SIZE :][: 1 << 20])
        sizes = sizes_of(body)
        assert sizes is not None
        checked = keys.unpack(number, body[: body_size(sizes.segment)])
        assert checked is not None and checked.data_holds and checked.hashes_hold
        found.append(Laid(at, sizes.segment, checked.segment))
        at += sizes.segment
    return found


def cipher_index(form: str) -> int:
    """Which of the shares of a form holds ciphertext (the last one does)."""
    return 2 if form == "threshold" else 1


def flipped(data: bytes, at: int, mask: int = 1) -> bytes:
    """With one byte changed."""
    return data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]


def sealed(clear: Clear, payload: bytes | None = None, part: bytes = bytes(32)) -> bytes:
    """A header as anybody can make one who has the recipient's public key."""
    share_key = bytes(32)
    stanzas = crypto.wrap(KEY.public, INFO, b"", share_key)
    if payload is None:
        size = len(part) if clear.form in (1, 4) else 0
        secrets = Secrets(bytes(32), bytes(32), Regions(), part[:size])
        return seal_header(clear, stanzas, share_key, secrets)
    size = len(payload) + crypto.TAG_SIZE
    front = clear.encode() + stanzas + size.to_bytes(2, "big")
    return front + crypto.seal_once(share_key, front, payload)


def hostile(
    segments: Sequence[Segment], spoil: bool = False, broken: Container[int] = ()
) -> list[bytes]:
    """Both shares of a set whose MACs hold, around any segments.

    `spoil` alters a byte somewhere in each, `broken` the first JPEG byte of those.
    """
    made = make()
    keys = SetKeys(made.set_key, made.shares[0].clear.set_id)
    share = made.shares[1]
    mac = ShareMac(share.mac_key, share.header)
    out = bytearray(share.header)
    for number, segment in enumerate(segments):
        body = bytearray(keys.pack(number, segment))
        if spoil:
            body[60] ^= 1
        if number in broken:
            body[HEAD_SIZE] ^= 1
        cipher = encrypt(made.frame_key, number, bytes(body))
        mark = keys.mark(1, number)
        out += mark + cipher + mac.of(number, mark, hashlib.sha256(cipher).digest())
    return [made.shares[0].header, bytes(out)]
