"""Pictures and messages of robust hiding, small ones."""

from __future__ import annotations

import io
import math
from functools import cache

import numpy as np
import pytest
from PIL import Image

from occulta.codec import crypto
from occulta.schemes.robust.extract import Found, recover
from occulta.schemes.robust.mark import CodedMarker, Marker
from occulta.schemes.robust.message import LEAST_BITS
from occulta.schemes.robust.picture import Picture, from_luminance
from occulta.schemes.robust.profiles import PROFILES, Profile
from tests.coefficient_pictures import gray, pillow_jpeg
from tests.support import KEY, runs_compiled

NAMES = list(PROFILES)
TRIED = NAMES if runs_compiled() else ["light"]
"""Profiles whose whole pictures are marked and read: one where the slow kernel does it."""
compiled_only = pytest.mark.skipif(not runs_compiled(), reason="slow on the plain kernel")
PRIVATE = b"a few private bytes"
"""In the smallest message of all, 25 bytes at most."""
FINGERPRINT = bytes(range(16))
CODED_SIZE = 3 * LEAST_BITS + 12


def side(profile: Profile) -> int:
    """Of the smallest square that carries a message, no multiple of 16 and a bit to spare."""
    return 8 * (math.isqrt(LEAST_BITS * profile.blocks_per_bit - 1) + 2) + 5


def coded(size: int = CODED_SIZE, seed: int = 1) -> bytes:
    """Random coded bits."""
    return np.random.default_rng(seed).integers(0, 2, size, dtype=np.uint8).tobytes()


def scene(seed: int, width: int, height: int) -> np.ndarray:
    """Smooth and rough places, as pictures have them; gray, a row of bytes for each line."""
    rng = np.random.default_rng(seed)
    cells = 2.0 ** rng.uniform(-1, 4.5, (-(-height // 16), -(-width // 16)))
    amount = np.kron(cells, np.ones((16, 16)))[:height, :width]
    rough = gray(seed, width, height, 1.0) + amount * rng.normal(0, 1, (height, width))
    return np.clip(np.rint(rough), 0, 255).astype(np.uint8)


@cache
def cover(name: str, seed: int = 1) -> bytes:
    """The smallest picture that carries a message."""
    size = side(PROFILES[name])
    return pillow_jpeg(scene(seed, size, size - 6), 85)


def marked_with(
    jpeg: bytes, name: str, private: bytes = PRIVATE, key: crypto.PrivateKey = KEY,
    signing_key: crypto.SigningKey | None = None,
) -> bytes:
    """A picture marked for a key."""
    marker = Marker(PROFILES[name], key.public, private, signing_key)
    return marker.feed(jpeg) + marker.finish()


@cache
def marked(name: str, seed: int = 1) -> bytes:
    """`cover`, marked with PRIVATE for KEY."""
    return marked_with(cover(name, seed), name)


def coded_marker(name: str, bits: bytes, kernel: str | None = None) -> CodedMarker:
    return CodedMarker(PROFILES[name], FINGERPRINT, lambda *_: bits, kernel=kernel)


def pixels(jpeg: bytes) -> np.ndarray:
    """The luminance as Pillow decodes it."""
    with Image.open(io.BytesIO(jpeg)) as image:
        image.draft("L", image.size)
        return np.asarray(image.convert("L"))


def seen(raster: np.ndarray) -> Picture:
    """A raster of any kind of numbers as received."""
    rounded = np.clip(np.rint(raster), 0, 255).astype(np.uint8)
    return from_luminance(np.ascontiguousarray(rounded))


def found_in(picture: Picture, name: str, search: bool = False) -> Found:
    """What is hidden for KEY, one profile tried; raises OccultaError."""
    return recover(picture, KEY, [PROFILES[name]], search)
