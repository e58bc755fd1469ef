"""The clear header of a share, and what it seals to the recipients.

    magic 0C C2 | version 1 | scheme 4 | profile | form | share index | threshold | holders |
    set id 16 | recipients 1 | per recipient: encapsulated key 32, wrapped share key 48 |
    size 2 | sealed: set key 32, MAC key 32, regions 1 + 16 * 8, part of the frame's key 0 or 32

The sealed part is under AES-256-GCM and bound to every byte before it; its size depends on the
form alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from occulta.codec import crypto
from occulta.codec.crypto import PrivateKey
from occulta.errors import OccultaError, Reason
from occulta.schemes.shares.regions import REGIONS_SIZE, Regions

MAGIC = b"\x0c\xc2"
VERSION = 1
SCHEME = 4
JPEG = 1
PAPER = 2
"""Numbers of the profiles."""
SET_ID_SIZE = 16
FIXED_SIZE = 26
MAX_HEADER_SIZE = 1024
MAX_HOLDERS = 16
MAX_RECIPIENTS = 9
"""As many as leave a share that is a sealed key below 1 KiB."""
KEY_SIZE = 32
"""Bytes of every key, so that AES-256 is what protects the frame throughout."""
STANZA_SIZE = crypto.ENCAPSULATED_SIZE + KEY_SIZE + crypto.TAG_SIZE
"""Bytes per recipient."""
INFO = b"occulta share" + MAGIC + bytes([VERSION, SCHEME])
"""The HPKE info string (RFC 9180, 5.1)."""
_SIZE_SIZE = 2


class Form(IntEnum):
    """What a share holds."""

    SEED = 1
    """Share A of two: the frame's key, sealed."""
    STREAM = 2
    """Share A of two: the key stream in full."""
    CIPHER = 3
    """Share B of two: the ciphertext."""
    THRESHOLD = 4
    """One of n: the ciphertext and a Shamir share of the key."""


PART_SIZES = {Form.SEED: KEY_SIZE, Form.STREAM: 0, Form.CIPHER: 0, Form.THRESHOLD: KEY_SIZE}
"""Bytes of the frame's key, or of a share of it, in the header of each form."""


@dataclass(frozen=True, slots=True)
class Clear:
    """The fields in the clear. `index` from 0; `threshold` of `holders` shares restore."""

    profile: int
    form: Form
    index: int
    threshold: int
    holders: int
    set_id: bytes
    recipients: int

    def encode(self) -> bytes:
        """FIXED_SIZE bytes."""
        numbers = (VERSION, SCHEME, self.profile, self.form)
        place = (self.index, self.threshold, self.holders)
        return MAGIC + bytes(numbers) + bytes(place) + self.set_id + bytes([self.recipients])

    @property
    def name(self) -> str:
        """`share a`, `share b`, ..."""
        return share_name(self.index)


@dataclass(frozen=True, slots=True)
class Secrets:
    """What a header seals.

    `set_key`: 32 bytes, the same in all shares of a set. `mac_key`: 32 bytes, of this share alone.
    `part`: the frame's key (seed), a share of it (threshold), nothing else.
    """

    set_key: bytes
    mac_key: bytes
    regions: Regions
    part: bytes


def share_name(index: int) -> str:
    """`share a` for index 0, `share b` for 1, ..."""
    return f"share {chr(ord('a') + index)}"


def seal_header(clear: Clear, stanzas: bytes, share_key: bytes, secrets: Secrets) -> bytes:
    """A whole header; `stanzas` hold the share key wrapped to each recipient."""
    payload = secrets.set_key + secrets.mac_key + secrets.regions.encode() + secrets.part
    size = len(payload) + crypto.TAG_SIZE
    open_part = clear.encode() + stanzas + size.to_bytes(_SIZE_SIZE, "big")
    return open_part + crypto.seal_once(share_key, open_part, payload)


def parse_clear(data: bytes) -> Clear:
    """The clear fields of what starts like a share.

    Raises OccultaError: NOT_A_SHARE, SHARE_VERSION, SHARE_ALTERED.
    """
    if data[:2] != MAGIC:
        raise OccultaError(Reason.NOT_A_SHARE, "not a share: it does not begin like one")
    if data[2:3] != bytes([VERSION]):
        version = f"{data[2]}" if len(data) > 2 else "unknown"
        is_later = data[2:3] > bytes([VERSION])
        hint = None if is_later else "the share was cut or altered: fetch it again"
        detail = f"a share of version {version} of the format"
        raise OccultaError(Reason.SHARE_VERSION, detail, hint)
    if len(data) < FIXED_SIZE or data[3] != SCHEME or data[5] not in [*Form]:
        raise OccultaError(Reason.SHARE_ALTERED, "the header of a share was cut or altered")
    index, threshold, holders = data[6:9]
    clear = Clear(data[4], Form(data[5]), index, threshold, holders, data[9:25], data[25])
    if not _is_possible(clear):
        raise OccultaError(Reason.SHARE_ALTERED, "the header of a share makes no sense")
    return clear


def _is_possible(clear: Clear) -> bool:
    if not 1 <= clear.recipients <= MAX_RECIPIENTS or clear.index >= clear.holders:
        return False
    if clear.form is Form.THRESHOLD:
        return 2 <= clear.threshold <= clear.holders <= MAX_HOLDERS
    return clear.threshold == clear.holders == 2 and clear.index == (clear.form is Form.CIPHER)


def header_size(clear: Clear) -> int:
    """Bytes of the whole header of such a share."""
    payload = 2 * KEY_SIZE + REGIONS_SIZE + PART_SIZES[clear.form]
    return _open_size(clear) + payload + crypto.TAG_SIZE


def open_header(data: bytes, clear: Clear, key: PrivateKey) -> Secrets:
    """Open the sealed part; `data` starts with the whole header.

    Raises OccultaError: WRONG_KEY where the key opens no stanza, SHARE_ALTERED.
    """
    whole, open_size = header_size(clear), _open_size(clear)
    if len(data) < whole:
        raise OccultaError(Reason.SHARE_ALTERED, f"{clear.name} ends within its header")
    stanzas = data[FIXED_SIZE : open_size - _SIZE_SIZE]
    share_key = crypto.unwrap(key, INFO, b"", stanzas, STANZA_SIZE)
    try:
        payload = crypto.open_once(share_key, data[:open_size], data[open_size:whole])
    except OccultaError:
        detail = f"the header of {clear.name} was altered"
        raise OccultaError(Reason.SHARE_ALTERED, detail) from None
    keys, rest = payload[: 2 * KEY_SIZE], payload[2 * KEY_SIZE :]
    try:
        regions = Regions.decode(rest[:REGIONS_SIZE])
    except ValueError as error:  # whoever has a public key can seal anything
        raise OccultaError(Reason.SHARE_ALTERED, f"{clear.name}: {error}") from None
    return Secrets(keys[:KEY_SIZE], keys[KEY_SIZE:], regions, rest[REGIONS_SIZE:])


def _open_size(clear: Clear) -> int:
    return FIXED_SIZE + clear.recipients * STANZA_SIZE + _SIZE_SIZE
