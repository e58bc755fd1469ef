"""Keys of the link: pre-shared link keys, and the CURVE keys of each hop.

CURVE keys are files of one line, `occulta-curve-key-1 HEX` (secret) or `occulta-curve-pub-1 HEX`.
Link keys are YAML, and both ends of a link hold the same file:

    keys:
      - {id: 1, role: commander, key: "64 hexadecimal digits"}
      - {id: 2, role: commander, key: "..."}

The first key is the one to start with, the others are spares. Files with secrets must be readable
by their owner alone, and no message quotes what they hold.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from occulta.errors import OccultaError, Reason
from occulta.link.endpoint import KEY_SIZE as CURVE_KEY_SIZE
from occulta.link.security import LinkKey, Role
from occulta.link.security.keys import KEY_IDS, KEY_SIZE
from occulta.program.config import load_yaml
from occulta.program.typed import Faults

MAX_SIZE = 1 << 16
"""Bytes of a key file; some 600 link keys."""
_CURVE_SECRET = "occulta-curve-key-1"
_CURVE_PUBLIC = "occulta-curve-pub-1"
_LINK_KEYS_HEAD = """\
# Link keys: keep them secret. The first is the one to start with, the others are spares.
"""
_Digits = Annotated[str, Meta(pattern=rf"\A[0-9a-f]{{{2 * KEY_SIZE}}}\Z")]


class _LinkKey(Struct, forbid_unknown_fields=True):
    id: Annotated[int, Meta(ge=0, lt=KEY_IDS)]
    role: Role
    key: _Digits


class _LinkKeys(Struct, forbid_unknown_fields=True):
    keys: Annotated[tuple[_LinkKey, ...], Meta(min_length=1)]


def encode_link_keys(keys: Sequence[LinkKey]) -> bytes:
    """The content of a file of link keys, which takes mode 0600."""
    lines = (f'  - {{id: {k.key_id}, role: {k.role}, key: "{k.raw.hex()}"}}\n' for k in keys)
    return (_LINK_KEYS_HEAD + "keys:\n" + "".join(lines)).encode()


def read_link_keys(path: str | Path) -> tuple[LinkKey, ...]:
    """At least one link key, the first to start with; every id stands once.

    Raises OccultaError: KEY_UNREADABLE, KEY_PERMISSIONS, KEY_MALFORMED.
    """
    try:
        document, twice = load_yaml(_read(path, is_secret=True))
        found = msgspec.convert(document, _LinkKeys).keys
    except Faults as error:
        raise _not_link_keys(path, error.found[0].place.partition(":")[0] or "line 1") from None
    except ValueError as error:
        _, is_inside, place = str(error).rpartition(" - at `")
        raise _not_link_keys(path, place.rstrip("`") if is_inside else "line 1") from None
    if twice or len({entry.id for entry in found}) < len(found):
        raise _refusal(Reason.KEY_MALFORMED, f"{path} gives something twice")
    return tuple(LinkKey(entry.id, entry.role, bytes.fromhex(entry.key)) for entry in found)


def encode_curve_secret(key: bytes) -> bytes:
    """The content of a CURVE secret key's file, which takes mode 0600."""
    return f"{_CURVE_SECRET} {key.hex()}\n".encode()


def encode_curve_public(key: bytes) -> bytes:
    """The content of a CURVE public key's file."""
    return f"{_CURVE_PUBLIC} {key.hex()}\n".encode()


def read_curve_secret(path: str | Path) -> bytes:
    """A CURVE secret key, 32 bytes.

    Raises OccultaError: KEY_UNREADABLE, KEY_PERMISSIONS, KEY_KIND, KEY_MALFORMED.
    """
    return _read_curve(path, _CURVE_SECRET)


def read_curve_public(path: str | Path) -> bytes:
    """A CURVE public key, 32 bytes; raises OccultaError as of `read_curve_secret`."""
    return _read_curve(path, _CURVE_PUBLIC)


def _not_link_keys(path: str | Path, place: str) -> OccultaError:
    return _refusal(Reason.KEY_MALFORMED, f"{path} is not a file of link keys: see {place}")


def _refusal(reason: Reason, detail: str) -> OccultaError:
    return OccultaError(reason, detail, "occulta-ground provision makes all keys of a link")


def _read_curve(path: str | Path, tag: str) -> bytes:
    content = _read(path, is_secret=tag == _CURVE_SECRET)
    words = content.decode("ascii", "replace").split()
    if words[:1] != [tag]:
        raise _refusal(Reason.KEY_KIND, f"{path} is no key that starts with {tag}")
    try:
        key = bytes.fromhex(" ".join(words[1:]))
    except ValueError:
        key = b""
    if len(key) != CURVE_KEY_SIZE:
        raise _refusal(
            Reason.KEY_MALFORMED, f"{path} does not hold {CURVE_KEY_SIZE} bytes in hexadecimal"
        )
    return key


def _read(path: str | Path, is_secret: bool) -> bytes:
    try:
        with open(path, "rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            content = stream.read(MAX_SIZE + 1)
    except OSError as error:
        detail = f"cannot read the key {path}: {error.strerror}"
        raise _refusal(Reason.KEY_UNREADABLE, detail) from None
    if is_secret and stat.S_IMODE(mode) & 0o077:
        raise OccultaError(Reason.KEY_PERMISSIONS, f"others may read the key {path}")
    if len(content) > MAX_SIZE:
        raise _refusal(Reason.KEY_MALFORMED, f"{path} is longer than {MAX_SIZE} bytes")
    return content
