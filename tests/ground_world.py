"""An archive, and products delivered into its inbox: what the tests of the ground share."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from ground.archive import Archive
from ground.inbox import Offer
from ground.outcome import Outcome, encode_report
from ground.product import Product, State
from ground.trust import Revocation, Trust
from occulta.codec import crypto
from occulta.link.messages import (
    ManifestFile,
    ProductManifest,
    satellite_fingerprint,
    sign_manifest,
)
from occulta.program.keyfiles import encode_key
from occulta.schemes import sealed
from occulta.schemes.records import Record, encode_records
from occulta.schemes.reversible.hidden import declare
from tests.cli import scene
from tests.support import KEY, SATELLITE, fixed_sealer, mark

FOREIGN = crypto.SigningKey(bytes(range(5, 37)))
SIGNER = satellite_fingerprint(SATELLITE.public)
STRANGER = satellite_fingerprint(FOREIGN.public)
TRUST = Trust({"alpha": SATELLITE.public})
DATA = b"what was received"
CREATED = 2000.0
NOW = 5000.0


def product_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def name_of(number: int) -> str:
    return product_id(number).hex()


def manifest_of(
    number: int, data: bytes, signer: crypto.SigningKey = SATELLITE, **changes: Any
) -> bytes:
    facts = {
        "product_id": product_id(number), "frame_id": f"frame-{number}", "captured_at": 1000.0,
        "created_at": CREATED, "scheme": "reversible", "profile": "exact",
        "files": (ManifestFile("data", len(data), hashlib.sha256(data).digest()),),
    }
    return sign_manifest(ProductManifest(**facts | changes), signer)


def broken(manifest: bytes) -> bytes:
    """The same with a signature that does not verify."""
    return manifest[:-20] + bytes([manifest[-20] ^ 1]) + manifest[-19:]


def put(folder: Path, number: int, data: bytes | None, manifest: bytes | None) -> Path:
    """A product's files, as CFDP leaves them; those not given are still to come."""
    place = folder / name_of(number)
    place.mkdir(exist_ok=True)
    for name, content in (("data", data), ("manifest", manifest)):
        if content is not None:
            (place / name).write_bytes(content)
    return place


class World:
    """One archive's folder, opened as often as a test likes."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "archive"
        self.inbox = self.folder / "inbox/1"
        self.keys = root / "keys"
        self.keys.mkdir()
        self.trust = TRUST
        self.archive = self.open()
        self.inbox.mkdir()

    def open(self, **options: Any) -> Archive:
        """Open the archive anew."""
        if hasattr(self, "archive"):
            self.archive.close()
        self.archive = Archive(self.folder, self.trust, NOW, **options)
        return self.archive

    def deliver(
        self, number: int, data: bytes = DATA, signer: crypto.SigningKey = SATELLITE,
        **changes: Any,
    ) -> Offer | None:
        """Both files of a product arrive, and are offered."""
        put(self.inbox, number, data, manifest_of(number, data, signer, **changes))
        return self.archive.offer(self.inbox / name_of(number) / "manifest", NOW)

    def product(self, number: int) -> Product:
        """A product that is archived."""
        found = self.archive.product(product_id(number))
        assert found is not None
        return found

    def place(self, number: int) -> Path:
        """Where a product lies."""
        return self.folder / "products" / name_of(number)

    def key_files(self, *keys: crypto.PrivateKey) -> list[Path]:
        """Files of recipients' keys."""
        paths = [self.keys / f"{number}.key" for number, _ in enumerate(keys)]
        for path, key in zip(paths, keys, strict=True):
            path.write_bytes(encode_key(key))
            path.chmod(0o600)
        return paths

    def states(self) -> dict[str, str]:
        """The state of every product."""
        states = {state: number for state, (number, _) in self.archive.counts().items() if number}
        return {state.value: number for state, number in states.items()}


def revoked(since: float, signer: crypto.SigningKey = SATELLITE) -> Trust:
    """The usual satellite known, and a key revoked."""
    revocation = Revocation(satellite_fingerprint(signer.public), since)
    return Trust({"alpha": SATELLITE.public}, [revocation])


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def outcome(number: int, state: State = State.RECOVERED, **changes: Any) -> Outcome:
    """How a recovery of a product could end."""
    facts = {
        "product": name_of(number), "state": state, "authentic": state is State.RECOVERED,
        "revoked": False, "verdict": "intact, authentic",
    }
    return Outcome(**facts | changes)


def settle(world: World, number: int, state: State = State.RECOVERED, **changes: Any) -> None:
    """A recovery ends, and leaves a report as the worker does."""
    assert world.archive.begin_recovery(product_id(number)).product == name_of(number)
    said = outcome(number, state, **changes)
    facts = json.loads(msgspec.json.encode(said)) | {"signed": True}
    (world.place(number) / "report.json").write_bytes(encode_report(facts))
    world.archive.end_recovery(said)


# --- what products carry


@cache
def seal(
    data: bytes, signer: crypto.SigningKey | None = SATELLITE,
    recipients: tuple[crypto.PublicKey, ...] = (KEY.public,),
) -> bytes:
    """A sealed file."""
    stream = sealed.SealingStream(
        crypto.Sealer.create(sealed.context(bytes(8)), recipients, signer)
    )
    return stream.feed(data) + stream.finish()


@cache
def marked(
    payload: bytes, signer: crypto.SigningKey | None = SATELLITE, profile: str = "exact"
) -> bytes:
    """A picture that hides a payload."""
    sealer = fixed_sealer(profile, declare(len(payload), 0), signing_key=signer)
    return mark(scene(), payload, profile, sealer=sealer)


def cut(item: str, whole: bytes, *edges: int) -> list[Record]:
    """An item in pieces, cut at these offsets."""
    stops = [0, *edges, len(whole)]
    return [
        Record(item, start, len(whole), whole[start:stop])
        for start, stop in itertools.pairwise(stops)
    ]


def payload(*records: Record) -> bytes:
    """What a frame carries."""
    return encode_records(records)


def entries(report: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """A report's items by name."""
    return {entry["item"]: entry for entry in report["items"]}


class Crash(BaseException):
    """The power goes."""


def crash_at(step: str) -> Callable[[str], None]:
    """A checkpoint that ends it all at one step."""
    def checkpoint(reached: str) -> None:
        if reached == step:
            raise Crash

    return checkpoint
