"""One frame through its scheme, chunk by chunk."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from occulta.codec import crypto
from occulta.schemes import sealed
from occulta.schemes.reversible import PROFILES, SCHEME, open_marker
from occulta.schemes.reversible.hidden import SealedSource, declare
from occulta.schemes.reversible.mark import Marker
from occulta.schemes.shares.header import SET_ID_SIZE
from occulta.schemes.shares.keys import create_set
from occulta.schemes.shares.split import Splitter

REVERSIBLE, SEALED, PLAIN, SHARES = "reversible", "sealed", "plain", "shares"
SCHEMES = (REVERSIBLE, SEALED, PLAIN, SHARES)
NO_PROFILE = "none"
SHARES_PROFILE = "jpeg"
_SPLIT = 1 << 16
"""Bytes split at once: all shares of them are in memory together."""
_TWO = 2
_EFFORT = 1
"""Frames come once: plan with a quarter to spare where only their beginning is known."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Who may open what is sealed, and who vouches for it."""

    recipients: tuple[crypto.PublicKey, ...]
    signing: crypto.SigningKey | None


class Stream(Protocol):
    """A scheme at work: the shape that all share."""

    def feed(self, chunk: bytes) -> bytes:
        """Take a chunk of the frame; return protected bytes; raises OccultaError."""

    def finish(self) -> bytes:
        """The frame has ended; return the rest; raises OccultaError."""


class Plain:
    """No scheme: the frame as it is."""

    def feed(self, chunk: bytes) -> bytes:
        """The chunk."""
        return chunk

    def finish(self) -> bytes:
        """Nothing."""
        return b""


def open_stream(
    scheme: str, profile: str, keys: Keys, product_id: bytes, payload: bytes = b""
) -> Stream:
    """A stream of the scheme named but `shares`; only `reversible` carries a payload.

    `product_id` has 16 bytes; what is sealed is bound to the first eight. Raises ValueError for an
    unknown scheme or profile, and for a payload that the scheme cannot carry.
    """
    if payload and scheme != REVERSIBLE:
        raise ValueError(f"the scheme {scheme} carries no payload")
    bound = product_id[: crypto.PRODUCT_ID_SIZE]
    if scheme == PLAIN:
        return Plain()
    if scheme == SEALED:
        sealer = crypto.Sealer.create(sealed.context(bound), keys.recipients, keys.signing)
        return sealed.SealingStream(sealer)
    if scheme != REVERSIBLE or profile not in PROFILES:
        raise ValueError(f"no scheme {scheme} with the profile {profile}")
    context = crypto.Context(SCHEME, PROFILES[profile], bound)
    size = declare(len(payload), _EFFORT)
    sealer = crypto.Sealer.create(context, keys.recipients, keys.signing, size)
    source = SealedSource(sealer, io.BytesIO(payload).read, len(payload), _EFFORT)
    return open_marker(PROFILES[profile], source)


class ShareStream:
    """A frame on its way into its shares: each has a sink of its own, and nothing is put out."""

    def __init__(self, splitter: Splitter, sinks: Sequence[Callable[[bytes], object]]) -> None:
        self._splitter = splitter
        self._sinks = sinks

    def feed(self, chunk: bytes) -> bytes:
        """Take a chunk of the frame; raises OccultaError, of a sink too."""
        for at in range(0, len(chunk), _SPLIT):
            self._put(self._splitter.feed(chunk[at : at + _SPLIT]))
        return b""

    def finish(self) -> bytes:
        """The frame has ended; raises OccultaError, of a sink too."""
        self._put(self._splitter.finish())
        return b""

    def _put(self, pieces: list[bytes]) -> None:
        for sink, piece in zip(self._sinks, pieces, strict=True):
            sink(piece)


def open_shares(
    keys: Keys, random: Callable[[int], bytes], sinks: Sequence[Callable[[bytes], object]],
    threshold: int | None, *, is_jpeg: bool = True,
) -> ShareStream:
    """A stream into one share for each sink, 2 to 16 of them, `threshold` of which restore.

    Two holders get the two-of-two form: the sealed key for the first, the ciphertext for the other.
    More get k of n; `threshold` is from 2 up to their number. What is no JPEG, or a damaged one,
    goes as segments of bytes, with `is_jpeg` false. Raises ValueError.
    """
    count = len(sinks)
    holders = None if count == _TWO else (threshold or count, count)
    made = create_set(random(SET_ID_SIZE), keys.recipients, random, holders=holders)
    return ShareStream(Splitter(made, keys.signing, cells=is_jpeg), sinks)


def finish_in_pieces(stream: Stream) -> Iterator[bytes]:
    """The rest of a frame that has ended, each piece after a bounded time; raises OccultaError.

    What was yielded counts only if the end is reached without an error.
    """
    if isinstance(stream, Marker):
        yield from stream.finish_in_pieces()
    else:
        yield stream.finish()


def counts(stream: Stream) -> tuple[int, int]:
    """(8x8 blocks, hidden bytes) of a stream that has ended; none where the scheme parses none."""
    if isinstance(stream, Marker):
        return stream.blocks, stream.hidden_bits // 8
    return 0, 0
