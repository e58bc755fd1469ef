"""The keys of a set of shares: made where the frame is split, joined where it is restored."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from Crypto.Protocol.SecretSharing import Shamir

from occulta.codec import crypto
from occulta.codec.crypto import PublicKey
from occulta.errors import OccultaError, Reason
from occulta.schemes.shares.header import (
    INFO,
    JPEG,
    KEY_SIZE,
    MAX_HOLDERS,
    MAX_RECIPIENTS,
    Clear,
    Form,
    Secrets,
    seal_header,
)
from occulta.schemes.shares.regions import Regions

_HALF = KEY_SIZE // 2


@dataclass(frozen=True, slots=True)
class Share:
    """One share in the making: its header, and the key of its MACs."""

    clear: Clear
    header: bytes
    mac_key: bytes


@dataclass(frozen=True, slots=True)
class ShareSet:
    """Everything a Splitter needs. `create_set` makes one; golden tests give fixed bytes.

    `set_key` and `frame_key` are 32 bytes; `fingerprints` name the recipients (16 bytes each).
    """

    set_key: bytes
    frame_key: bytes
    regions: Regions
    fingerprints: bytes
    shares: tuple[Share, ...]


def create_set(
    set_id: bytes, recipients: Sequence[PublicKey], random: Callable[[int], bytes], *,
    holders: tuple[int, int] | None = None, key_stream: bool = False,
    regions: Regions = Regions(),  # noqa: B008 - immutable
) -> ShareSet:
    """Fresh keys for a frame. `holders` is (k, n), 2 <= k <= n <= 16; None is two of two.

    `key_stream`: share A of two is the key stream in full instead of the sealed key. Wrapping and
    Shamir's sharing draw their own randomness. Raises ValueError.
    """
    _check(set_id, recipients, holders, key_stream)
    set_key, frame_key = random(KEY_SIZE), random(KEY_SIZE)
    threshold, count = holders or (2, 2)
    if holders:
        forms = [Form.THRESHOLD] * count
        parts = divide(frame_key, threshold, count)
    else:
        forms = [Form.STREAM if key_stream else Form.SEED, Form.CIPHER]
        parts = [b"" if key_stream else frame_key, b""]
    shares = []
    for index, (form, part) in enumerate(zip(forms, parts, strict=True)):
        clear = Clear(JPEG, form, index, threshold, count, set_id, len(recipients))
        secrets = Secrets(set_key, random(KEY_SIZE), regions, part)
        share_key = random(KEY_SIZE)
        stanzas = b"".join(crypto.wrap(key, INFO, b"", share_key) for key in recipients)
        header = seal_header(clear, stanzas, share_key, secrets)
        shares.append(Share(clear, header, secrets.mac_key))
    fingerprints = b"".join(key.fingerprint for key in recipients)
    return ShareSet(set_key, frame_key, regions, fingerprints, tuple(shares))


def _check(
    set_id: bytes, recipients: Sequence[PublicKey], holders: tuple[int, int] | None,
    key_stream: bool,
) -> None:
    if len(set_id) != 16:
        raise ValueError("a set id has 16 bytes")
    if not 1 <= len(recipients) <= MAX_RECIPIENTS:
        raise ValueError(f"{len(recipients)} recipients: give 1 to {MAX_RECIPIENTS}")
    if holders and not 2 <= holders[0] <= holders[1] <= MAX_HOLDERS:
        raise ValueError(f"k of n holders: 2 <= k <= n <= {MAX_HOLDERS}")
    if holders and key_stream:
        raise ValueError("a key stream is a share of two of two")


def divide(key: bytes, threshold: int, holders: int) -> list[bytes]:
    """Shamir shares of a 32-byte key over GF(2^128), each half apart; share x is for holder x-1."""
    halves = [Shamir.split(threshold, holders, key[at : at + _HALF]) for at in (0, _HALF)]
    first, second = (dict(half) for half in halves)
    return [bytes(first[x] + second[x]) for x in range(1, holders + 1)]


def join(parts: dict[int, bytes]) -> bytes:
    """The key out of enough shares, by index from 0."""
    try:
        return b"".join(
            Shamir.combine([(index + 1, part[at : at + _HALF]) for index, part in parts.items()])
            for at in (0, _HALF)
        )
    except ValueError:
        detail = "the shares of the key do not fit together"
        raise OccultaError(Reason.SHARES_MIXED, detail) from None


def derive(set_key: bytes, purpose: bytes) -> bytes:
    """A 32-byte key of the set for one purpose (HMAC-SHA256)."""
    return hmac.digest(set_key, b"occulta share set " + purpose, "sha256")
