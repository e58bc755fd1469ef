"""Known answers of the scheme shares, for `onboard/selftest.py`: cells, shares, chaotic maps.

Each function takes what is in `vectors.json` and returns bytes, always the same.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from occulta.codec import crypto
from occulta.codec.jpeg.cells import CellKeys, CellReader
from occulta.limits import DEFAULT_LIMITS
from occulta.schemes.shares import header, keys
from occulta.schemes.shares.header import Form
from occulta.schemes.shares.regions import Regions
from occulta.schemes.shares.split import Splitter

_SECRET = bytes(range(32))
_STANZA = bytes(range(header.STANZA_SIZE))
_SET_ID = bytes(range(header.SET_ID_SIZE))
_REGIONS = Regions(((20, 4, 40, 30),))
_SIGNING = crypto.SigningKey(bytes(range(3, 35)))
_CUT = ("exact-gray", "exact-restart")
"""Pictures of one scan with several rows of cells; the second has restart intervals."""
_SETS = (
    (Form.SEED, Form.CIPHER), (Form.STREAM, Form.CIPHER), (Form.THRESHOLD,) * 3,
)
_TERMS = 500


def cells(vectors: Mapping[str, Any]) -> bytes:
    """Cuts and hashes of the cells of pictures."""
    return repr([_stretches(_picture(vectors, name)) for name in _CUT]).encode()


def _picture(vectors: Mapping[str, Any], name: str) -> bytes:
    return base64.b64decode(vectors["pictures"][name]["original"])


def _stretches(picture: bytes) -> list[tuple[object, ...]]:
    reader = CellReader(DEFAULT_LIMITS, CellKeys(_SECRET))
    found = reader.feed(picture) + reader.finish()
    return [tuple(stretch) for stretch in found if stretch.cut is not None]


def shares(vectors: Mapping[str, Any]) -> bytes:
    """All shares of a picture, in every form."""
    picture = _picture(vectors, _CUT[1])
    return b"".join(_split(picture, forms) for forms in _SETS)


def _split(picture: bytes, forms: tuple[Form, ...]) -> bytes:
    splitter = Splitter(_made(forms), _SIGNING)
    pieces = zip(splitter.feed(picture), splitter.finish(), strict=True)
    return b"".join(first + last for first, last in pieces)


def _made(forms: tuple[Form, ...]) -> keys.ShareSet:
    """A set from fixed bytes, as `keys.create_set` makes one from random ones."""
    made = tuple(_share(index, form, len(forms)) for index, form in enumerate(forms))
    return keys.ShareSet(_SECRET, _SECRET[::-1], _REGIONS, _STANZA[:16], made)


def _share(index: int, form: Form, holders: int) -> keys.Share:
    clear = header.Clear(header.JPEG, form, index, 2, holders, _SET_ID, 1)
    mac_key = bytes([index]) * header.KEY_SIZE
    secrets = header.Secrets(_SECRET, mac_key, _REGIONS, bytes(header.PART_SIZES[form]))
    return keys.Share(clear, header.seal_header(clear, _STANZA, _SECRET, secrets), mac_key)


def shared_key(_: Mapping[str, Any]) -> bytes:
    """A key divided and joined again: the parts are random, what they give is not."""
    parts = dict(enumerate(keys.divide(_SECRET, 2, 3)))
    return b"".join(keys.join({a: parts[a], b: parts[b]}) for a, b in ((0, 1), (2, 0), (1, 2)))


def diffusion(_: Mapping[str, Any]) -> bytes:
    """Terms of both maps in both forms, and diffusion with them, there and back."""
    from occulta.codec import chaos  # no other part of the flight daemon has it

    literal = chaos.key_matrices(_SECRET[:16], _TERMS, literal=True)
    a, b = chaos.key_matrices(_SECRET[:16], _TERMS)
    share = chaos.diffuse(bytes(_TERMS), a, b)
    return b"".join((*literal, a, b, share, chaos.gather(share, a, b)))
