"""What CFDP delivered, judged: is it a product's two files, and are they what its manifest says?

Each source has a folder of its own in the inbox, named by its entity id, so that no satellite can
touch what another one sends. What is refused is kept in `rejected/<label>-<n>/`: `received`, as it
lay in the inbox, and `reason.json`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ground.product import DATA, MANIFEST, Product
from occulta.codec.crypto import VerifyingKey
from occulta.link.drops import PacketError
from occulta.link.messages import (
    MAX_MANIFEST,
    ManifestFile,
    ProductManifest,
    SignedManifest,
    decode,
    open_manifest,
)
from occulta.program import files
from occulta.program.filestore import PARTS

REASON, RECEIVED = "reason.json", "received"
_MAX_SIGNED = MAX_MANIFEST + 256
_PRODUCT = re.compile(r"[0-9a-f]{32}")
_SOURCE = re.compile(r"[0-9]{1,20}")


class Rejection(StrEnum):
    """Why something is not archived."""

    STRAY = "stray"
    """Not a product's file."""
    MANIFEST = "manifest"
    """Malformed, or a known satellite's broken signature."""
    PRODUCT = "product"
    """Another product's manifest."""
    SIZE = "size"
    DIGEST = "digest"
    CONFLICT = "conflict"
    """The product is archived with other data, or as another known satellite's."""
    DAMAGED = "damaged"
    """It was archived, and its files are no longer what they were."""

class Disposition(StrEnum):
    """What became of something in the inbox."""

    ARCHIVED = "archived"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Offer:
    """The name in the inbox and what became of it; the product is None for what was rejected."""

    disposition: Disposition
    name: str
    product: Product | None = None
    rejection: Rejection | None = None
    detail: str = ""


class Rejected(Exception):
    """It is not archived: the reason and one line of detail."""

    def __init__(self, rejection: Rejection, detail: str) -> None:
        super().__init__(detail)
        self.rejection = rejection
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Pair:
    """A manifest and what it says of the data. `is_authentic`: a known satellite's signature."""

    manifest: ProductManifest
    data: ManifestFile
    signer: bytes
    is_authentic: bool


def is_product_name(name: str) -> bool:
    """Whether a folder bears a product's id."""
    return _PRODUCT.fullmatch(name) is not None


def entry_of(inbox: Path, path: Path) -> Path:
    """What is judged as a whole when a file was delivered; raises ValueError for a path elsewhere.

    That is what lies in a source's folder, or among the unfinished files; anything
    else in the inbox is judged by itself.
    """
    parts = path.relative_to(inbox).parts
    depth = 2 if parts[:1] == (PARTS,) or parts and _SOURCE.fullmatch(parts[0]) else 1
    if len(parts) < depth or ".." in parts:
        raise ValueError("not a file below the inbox")
    return inbox.joinpath(*parts[:depth])


def entries(inbox: Path) -> Iterator[Path]:
    """All that is judged as a whole; raises OSError."""
    for path in sorted(inbox.iterdir()):
        if not _SOURCE.fullmatch(path.name):
            yield from () if path.name == PARTS else (path,)
        elif path.is_dir():
            yield from sorted(path.iterdir())


def is_complete(folder: Path) -> bool:
    """Whether both files are there; raises Rejected for anything but these, or OSError."""
    if not is_product_name(folder.name) or not stat.S_ISDIR(folder.lstat().st_mode):
        raise Rejected(Rejection.STRAY, f"{folder.name!a} is not a product's folder")
    with os.scandir(folder) as entries:
        found = {entry.name: entry.is_file(follow_symlinks=False) for entry in entries}
    for name, is_file in found.items():
        if name not in (DATA, MANIFEST) or not is_file:
            raise Rejected(Rejection.STRAY, f"{name!a} is not a product's file")
    return len(found) == 2


def read_pair(folder: Path, known: Mapping[bytes, VerifyingKey]) -> Pair:
    """The manifest in a product's folder; raises Rejected, or OSError."""
    with open(folder / MANIFEST, "rb") as stream:
        content = stream.read(_MAX_SIGNED + 1)
    pair = _parse(content, known)
    if pair.manifest.product_id.hex() != folder.name:
        raise Rejected(Rejection.PRODUCT, f"the manifest of {pair.manifest.product_id.hex()}")
    return pair


def check_size(path: Path, expected: int) -> None:
    """Raises Rejected unless the file has so many bytes, or OSError."""
    size = path.lstat().st_size
    if size != expected:
        raise Rejected(Rejection.SIZE, f"{size} bytes of data, {expected} in the manifest")


def check_digest(path: Path, expected: bytes) -> None:
    """Raises Rejected unless the file has this SHA-256, or OSError."""
    with open(path, "rb") as stream:
        found = hashlib.file_digest(stream, "sha256").digest()
    if found != expected:
        raise Rejected(Rejection.DIGEST, "the data's digest is not the one in the manifest")


def _parse(content: bytes, known: Mapping[bytes, VerifyingKey]) -> Pair:
    try:
        signed = decode(content, SignedManifest, _MAX_SIGNED)
        manifest, is_authentic = open_manifest(content, known)
    except PacketError as error:
        raise Rejected(Rejection.MANIFEST, str(error)) from None
    data = next((file for file in manifest.files if file.name == DATA), None)
    if data is None:
        raise Rejected(Rejection.MANIFEST, "the manifest names no data")
    return Pair(manifest, data, signed.key_fingerprint, is_authentic)


class RejectedFolder:
    """What was refused, and why."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError."""
        self._folder = folder
        self._folder.mkdir(0o700, exist_ok=True)
        self._number = 0
        for entry in list(folder.iterdir()):
            number = entry.name.rpartition("-")[2]
            self._number = max(self._number, int(number) if number.isdecimal() else 0)
            if entry.is_dir() and not os.path.lexists(entry / RECEIVED):
                shutil.rmtree(entry)  # a crash came before the move: it is still to be judged

    def take(self, path: Path, error: Rejected, now: float) -> Path:
        """Move a file or folder here; returns its new folder. Raises OSError or OccultaError."""
        self._number += 1
        label = path.name if is_product_name(path.name) else "stray"
        place = self._folder / f"{label}-{self._number}"
        place.mkdir(0o700)
        reason = {
            "reason": error.rejection.value, "detail": error.detail, "name": path.name,
            "time": now,
        }
        with files.output(place / REASON, 0o600) as out:
            out.write((json.dumps(reason) + "\n").encode())
            out.publish()
        path.rename(place / RECEIVED)
        for folder in (place, self._folder, path.parent):
            files.sync_folder(folder)
        return place
