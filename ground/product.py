"""A product in the archive: its files, its row, and how far its recovery has come."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec

DATA, MANIFEST = "data", "manifest"
"""As they travel."""
CARRIER, PRIVATE, REPORT = "carrier.jpg", "private.bin", "report.json"
PRODUCTS, ITEMS = "products", "items"
"""Folders of the archive."""
ARCHIVE_DATABASE, ITEMS_DATABASE = "archive.db", "items.db"
REVERSIBLE, SEALED, PLAIN, SHARES = "reversible", "sealed", "plain", "shares"
_RECEIVED = {
    REVERSIBLE: "received.jpg", SEALED: "received.sealed", PLAIN: "received.jpg",
    SHARES: "received.occ",
}
_UNKNOWN = "received.bin"
"""Of a scheme that this version does not know: a later one may, and has a name for it."""


class State(StrEnum):
    """How far a product has come."""

    ARCHIVED = "archived"
    RECOVERING = "recovering"
    RECOVERED = "recovered"
    FAILED = "failed"
    NO_KEY = "no_key"
    SHARE = "share"
    """What came is as it was sent; the frame takes the shares of other holders too."""

SETTLED = (State.RECOVERED, State.FAILED, State.NO_KEY, State.SHARE)
"""States in which a recovery ends."""


def received_name(scheme: str) -> str:
    """The archive's name for a product's data; a scheme of later versions has no type."""
    return _RECEIVED.get(scheme, _UNKNOWN)


def received_names(scheme: str) -> tuple[str, ...]:
    """Every name that a version ever gave a product's data, the present one first."""
    return tuple(dict.fromkeys((received_name(scheme), _UNKNOWN)))


def product_folder(archive: Path, product: str) -> Path:
    """Where a product lies, its id in 32 hexadecimal digits."""
    return archive / PRODUCTS / product


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is told: the product, and whose signature it must bear to be authentic.

    `key` (Ed25519, 32 bytes) is None unless the manifest is authentic. `received_at` is for the
    report, in seconds since 1970-01-01 UTC: the one time that no signer can choose.
    """

    product: str
    key: bytes | None
    revoked: bool
    received_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A row of the archive. Times in seconds since 1970-01-01 UTC, the size in bytes.

    `satellite` names the known satellite whose signature over the manifest verified. `error` is a
    number of occulta.errors.Reason.
    """

    id: bytes
    frame_id: str
    scheme: str
    profile: str
    captured_at: float
    created_at: float
    received_at: float
    size: int
    sha256: bytes
    signer: bytes
    satellite: str | None
    revoked: bool
    state: State
    verdict: str | None
    error: int | None
    detail: str | None
    hint: str | None

    @property
    def authentic(self) -> bool:
        """Signed by a known satellite with a key that counts."""
        return self.satellite is not None and not self.revoked

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        error = {"number": self.error, "detail": self.detail, "hint": self.hint}
        return {
            "product": self.id.hex(), "frame_id": self.frame_id, "scheme": self.scheme,
            "profile": self.profile, "captured_at": self.captured_at,
            "created_at": self.created_at, "received_at": self.received_at, "bytes": self.size,
            "sha256": self.sha256.hex(), "signer": self.signer.hex(), "satellite": self.satellite,
            "authentic": self.authentic, "revoked": self.revoked, "state": self.state.value,
            "verdict": self.verdict, "error": None if self.error is None else error,
        }
