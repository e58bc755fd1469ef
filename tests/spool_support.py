"""Spools on a disk, filled with small products: what the tests of the spool share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from occulta.errors import OccultaError, Reason
from occulta.link.messages import ManifestFile, ProductManifest, sign_manifest
from onboard.spool import Piece, Product, Spool
from tests.support import SATELLITE

GROUND, OTHER = 2, 3
OVERHEAD = 16
PLENTY = 1 << 20
CAMERA, PEER = "camera-1", "payload"


def open_spool(folder: Path, **changes: object) -> Spool:
    limits = {"max_bytes": PLENTY, "max_products": 10_000, "max_items": 100} | changes
    return Spool(folder, **limits)  # type: ignore[arg-type]


def product_of(
    number: int, data: bytes, priority: int = 100, destinations: tuple[int, ...] = (GROUND,),
    frame: str | None = None, camera: str = CAMERA,
) -> Product:
    return Product(
        number.to_bytes(16, "big"), frame or f"frame-{number}", camera, 1000.0 + number,
        2000.0 + number, "reversible", "exact", priority, destinations, len(data),
        hashlib.sha256(data).digest(),
    )


def manifest_of(product: Product) -> bytes:
    file = ManifestFile("data", product.size, product.sha256)
    return sign_manifest(
        ProductManifest(
            product.id, product.frame_id, product.captured_at, product.created_at, product.scheme,
            product.profile, (file,),
        ),
        SATELLITE,
    )


def store(
    spool: Spool, number: int, size: int = 100, priority: int = 100,
    destinations: tuple[int, ...] = (GROUND,), private: int = 0,
) -> tuple[Product, list[Piece]]:
    """Store a product of `size` bytes, and up to `private` bytes of the queue in it."""
    file = spool.products.begin(size, priority)
    try:
        pieces = spool.items.next_pieces(file, private, OVERHEAD)
        data = bytes([number % 256]) * size + b"".join(piece.data for piece in pieces)
        file.write(data)
        product = product_of(number, data, priority, destinations)
        parts = [piece.part for piece in pieces]
        assert spool.products.commit(file, product, manifest_of(product), parts) == product.id
    finally:
        file.discard()
    return product, pieces


def queue(spool: Spool, key: str, data: bytes, peer: str = PEER) -> None:
    file = spool.items.begin(peer, key, len(data))
    file.write(data)
    spool.items.commit(file)


def deliver(spool: Spool, product: Product, destination: int = GROUND) -> None:
    assert spool.deliveries.mark_sending(product.id, destination)
    assert spool.deliveries.mark_delivered(product.id, destination)


def still_queued(spool: Spool) -> dict[str, list[tuple[int, bytes]]]:
    """What no product carries: (offset, bytes) by item."""
    file = spool.products.begin(None, 0)
    found: dict[str, list[tuple[int, bytes]]] = {}
    for piece in spool.items.next_pieces(file, PLENTY, 0):
        found.setdefault(piece.item_key, []).append((piece.offset, piece.data))
    file.discard()
    return found


def waiting(spool: Spool, destination: int = GROUND) -> list[Product]:
    """Everything that waits, in order; nothing of it is changed."""
    class Undo(Exception):
        pass

    found = []
    try:
        with spool.transaction():
            while product := spool.deliveries.next_waiting(destination):
                found.append(product)
                spool.deliveries.mark_sending(product.id, destination)
            raise Undo
    except Undo:
        return found


def data_of(spool: Spool, product: Product) -> bytes:
    return (spool.products.folder / product.id.hex() / "data").read_bytes()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def refused(reason: Reason) -> Iterator[None]:
    """For `contextmanager`: exactly this reason."""
    with pytest.raises(OccultaError) as caught:
        yield
    assert caught.value.reason is reason


def cut(share: float) -> Callable[[Path], None]:
    """Damage: so much of a file is left."""
    def damage(path: Path) -> None:
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])

    return damage


# --- a spool to be damaged

ITEM = bytes(range(256)) * 4
STATE = {"sender": b"chain keys" * 40, "receiver": b"progress" * 40}
SNAPSHOTS = {(-1, -1): b"entity", (2, 7): b"transaction" * 100}


def fill(folder: Path, close: bool = True) -> tuple[Spool, list[Product]]:
    """Products of several priorities and destinations; three carry most of an item."""
    spool = open_spool(folder)
    queue(spool, "key", ITEM)
    queue(spool, "other", ITEM[:300])
    spool.state.put(STATE)
    rows = [(source, sequence, data) for (source, sequence), data in SNAPSHOTS.items()]
    spool.state.save_snapshots("down", rows)
    products = [
        store(spool, n, 2000 + n, n % 3, (GROUND, OTHER) if n % 2 else (GROUND,),
              private=300 + OVERHEAD if n in (2, 5, 8) else 0)[0]
        for n in range(12)
    ]
    spool.deliveries.mark_sending(products[3].id, GROUND)
    if close:
        spool.close()
    return spool, products


def by_priority(products: list[Product]) -> list[Product]:
    return sorted(products, key=lambda product: (product.priority, product.id))
