"""What the benches of robust hiding mark, and with what."""

from __future__ import annotations

from pathlib import Path

from bench import data
from bench.noise import private_bytes
from occulta.codec import crypto
from occulta.schemes.robust import message
from occulta.schemes.robust.mark import Marker
from occulta.schemes.robust.profiles import PROFILES

KEY = crypto.PrivateKey(bytes(range(1, 33)))
QUALITY = 90
SMALL = 20
"""Bytes of private data in the smallest message."""
_CHUNK = 1 << 16


def mark(
    jpeg: bytes, name: str, private: bytes, recipient: crypto.PublicKey = KEY.public
) -> bytes:
    """The marked file; raises OccultaError."""
    marker = Marker(PROFILES[name], recipient, private)
    parts = [marker.feed(jpeg[at : at + _CHUNK]) for at in range(0, len(jpeg), _CHUNK)]
    return b"".join([*parts, marker.finish()])


def largest(name: str, width: int, height: int) -> bytes:
    """Private data that fills the largest message of a picture of so many pixels."""
    most = message.most_bits(PROFILES[name], width, height)
    return private_bytes(message.room(most, signed=False))


def squares(folder: Path) -> list[bytes]:
    """Gray pictures of 512x512 as JPEG files."""
    return [data.gray_jpeg(tile, QUALITY) for tile in data.tiles(folder, False)]
