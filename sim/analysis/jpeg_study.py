"""The `jpeg` profile on one file: share a is a sealed seed, share b is measured byte by byte."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from occulta.codec.crypto import FINGERPRINT_SIZE
from occulta.schemes.shares.header import (
    JPEG,
    KEY_SIZE,
    SET_ID_SIZE,
    STANZA_SIZE,
    Clear,
    Form,
    Secrets,
    seal_header,
)
from occulta.schemes.shares.keys import Share, ShareSet
from occulta.schemes.shares.raster import Box
from occulta.schemes.shares.regions import Regions
from occulta.schemes.shares.segments import SEGMENT_OVERHEAD
from occulta.schemes.shares.split import Splitter
from sim.analysis import noise
from sim.analysis.measures import Pixels, Statistics, statistics

Random = Callable[[int], bytes]
_CHUNK = 1 << 16


@dataclass(frozen=True)
class JpegStudy:
    """Sizes in bytes; statistics of rows of bytes: the file, and share b behind its header."""

    original_bytes: int
    share_a_bytes: int
    share_b_bytes: int
    header_bytes: int
    """Of share b; not measured, since its fields stand in the clear."""
    segments: int
    padding: int
    file: Pixels
    body: Pixels
    original: Statistics
    share_b: Statistics

    @property
    def framing(self) -> int:
        """Bytes of share b besides file, header and padding: 64 a segment, hashes, conclusion."""
        return self.share_b_bytes - self.original_bytes - self.header_bytes - self.padding

    @property
    def hashes(self) -> int:
        """Bytes of cell hashes and of the conclusion."""
        return self.framing - SEGMENT_OVERHEAD * self.segments

    @property
    def is_noise(self) -> bool:
        """Whether entropy and correlation of share b are those of noise."""
        size = self.body.size
        along = self.share_b.correlation.horizontal
        return noise.entropy(size).holds(self.share_b.entropy) and noise.correlation(
            size - 1
        ).holds(along)


def study(
    jpeg: bytes, regions: Sequence[Box], random: Random,
    progress: Callable[[int], None] = lambda done: None,
) -> JpegStudy:
    """Split and measure; `progress` gets the bytes of each chunk done.

    Raises OccultaError for a damaged file, ValueError for regions beyond 65,535 pixels.
    """
    made = _share_set(random, Regions(tuple((*region,) for region in regions)))
    splitter = Splitter(made)
    shares = bytearray(), bytearray()
    for at in range(0, len(jpeg), _CHUNK):
        chunk = jpeg[at : at + _CHUNK]
        _extend(shares, splitter.feed(chunk))
        progress(len(chunk))
    _extend(shares, splitter.finish())
    header = len(made.shares[1].header)
    file, body = _row(jpeg), _row(bytes(shares[1][header:]))
    return JpegStudy(
        len(jpeg), len(shares[0]), len(shares[1]), header, splitter.segments, splitter.padding,
        file, body, statistics(file), statistics(body),
    )


def _extend(shares: tuple[bytearray, bytearray], pieces: list[bytes]) -> None:
    for share, piece in zip(shares, pieces, strict=True):
        share.extend(piece)


def _row(data: bytes) -> Pixels:
    return np.frombuffer(data, np.uint8).reshape(1, -1)


def _share_set(random: Random, regions: Regions) -> ShareSet:
    """As keys.create_set makes one, for one recipient that nobody is.

    Random bytes stand for what is wrapped to its key: HPKE draws randomness of its own, and the
    shares would not be the same twice.
    """
    set_id, set_key, frame_key = random(SET_ID_SIZE), random(KEY_SIZE), random(KEY_SIZE)
    shares = []
    for index, (form, part) in enumerate(((Form.SEED, frame_key), (Form.CIPHER, b""))):
        clear = Clear(JPEG, form, index, 2, 2, set_id, 1)
        secrets = Secrets(set_key, random(KEY_SIZE), regions, part)
        header = seal_header(clear, random(STANZA_SIZE), random(KEY_SIZE), secrets)
        shares.append(Share(clear, header, secrets.mac_key))
    return ShareSet(set_key, frame_key, regions, random(FINGERPRINT_SIZE), tuple(shares))
