"""A start: rows and folders agree again.

A product that is named but has no row, after a crash or where the database was lost, is whole: it
is verified and taken up, with what it carries. A row whose files are not as it says is damaged.

Shares of a frame come by one name, so that either all are found or none; some alone are what is
left where the database was lost after others were delivered. They are taken up too, but their frame
is not known any more: a camera is never told that a frame is stored of which a share may be lost.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import NamedTuple

from onboard.spool.database import Database
from onboard.spool.files import (
    fault_of,
    fault_of_product,
    file_size,
    remove,
    size_of_product,
    unpack,
    writing,
)
from onboard.spool.folders import SET
from onboard.spool.items import Items, item_path, parse_name
from onboard.spool.notices import Notices
from onboard.spool.products import Products
from onboard.spool.records import (
    DATA,
    MANIFEST,
    MAX_MANIFEST_FILE,
    RECORD,
    Product,
    Record,
    check_manifest,
    read_record,
)
from onboard.spool.rows import Rows

_ID = re.compile(r"[0-9a-f]{32}")
_SET = re.compile(rf"[0-9a-f]{{32}}{re.escape(SET)}")
_CHUNK = 1 << 20


def reconcile(
    database: Database, rows: Rows, products: Products, items: Items, notices: Notices
) -> None:
    """Make rows and folders agree; raises OccultaError."""
    with writing(products.folder.parent), database.transaction():
        _reconcile_items(items, notices)
        _unpack_sets(products.folder)
        _reconcile_products(rows, products, notices)


def _reconcile_items(items: Items, notices: Notices) -> None:
    rows = items.rows()
    queued = {key: (peer, size) for peer, key, size, state in rows if state == "queued"}
    delivered = {(peer, key, size) for peer, key, size, state in rows if state == "delivered"}
    for key, (peer, size) in queued.items():
        fault = fault_of(item_path(items.folder, peer, key, size), "file", size)
        if fault is not None:
            items.give_up(key, fault)
    adopted = 0
    for path in sorted(items.folder.iterdir(), key=_age):
        found = parse_name(path.name)
        if found is None:
            notices.add(f"items/{path.name} is none of the spool's: left alone")
            continue
        peer, key, size = found
        if found in delivered or queued.get(key, (peer, size)) != (peer, size):
            remove(path)  # a crash came before it
        elif key not in queued:
            adopted += _adopt_item(path, *found, items, notices)
    if adopted:
        notices.add(f"items taken up again: {adopted}")


def _adopt_item(
    path: Path, peer: str, key: str, size: int, items: Items, notices: Notices
) -> bool:
    fault = fault_of(path, "file", size)
    if fault is None:
        items.adopt(peer, key, size)
        return True
    remove(path)
    notices.add(f"item {key} is lost: {fault}")
    return False


def _unpack_sets(folder: Path) -> None:
    """A crash came before the products of a frame took their own names."""
    for name in [entry.name for entry in os.scandir(folder)]:
        if _SET.fullmatch(name) and (folder / name).is_dir():
            unpack(folder / name)


def _reconcile_products(rows: Rows, products: Products, notices: Notices) -> None:
    names = {entry.name for entry in os.scandir(products.folder)}
    for seq, product_id, state, size, manifest_size, total in rows.every():
        name = bytes(product_id).hex()
        place = products.folder / name
        fault = fault_of_product(place, size, manifest_size) if state == "stored" else None
        if fault is not None:
            products.damage(seq, fault, size_of_product(place))
        elif total == 0 and name in names:
            remove(place)  # a crash came before it
        names.discard(name)
    found = [_Found.read(products.folder / name) for name in names if _ID.fullmatch(name)]
    there = {product.record.product.id for product in found if product.record and not product.fault}
    adopted = sum(
        _adopt(product, there, products, notices) for product in sorted(found, key=_Found.order)
    )
    if adopted:
        notices.add(f"products taken up again: {adopted}")
    for name in sorted(names):
        if not _ID.fullmatch(name):
            notices.add(f"products/{name} is none of the spool's: left alone")


class _Found(NamedTuple):
    """A product's folder without a row, and what is wrong with it."""

    place: Path
    record: Record | None
    fault: str | None

    @classmethod
    def read(cls, place: Path) -> _Found:
        record = None
        try:
            record, _ = read_record(place / RECORD)
            check_manifest(record.product, _read(place / MANIFEST, MAX_MANIFEST_FILE))
            _check_data(place / DATA, record.product)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            return cls(place, record, why or "unreadable")
        return cls(place, record, None)

    def order(self) -> tuple[float, bytes, int]:
        """By age; products of one frame as they were stored."""
        if self.record is None:
            return 0.0, bytes.fromhex(self.place.name), 0
        product, shares = self.record.product, self.record.shares
        return product.created_at, self.record.first, shares.index(product.id) if shares else 0


def _adopt(found: _Found, there: set[bytes], products: Products, notices: Notices) -> bool:
    """`there` are the products without a row that are whole."""
    name, total = found.place.name, size_of_product(found.place)
    record = found.record
    if record is None or found.fault is not None:
        own = bytes.fromhex(name)
        product, first = (record.product, record.first) if record else (_unknown(own), own)
        products.adopt_damaged(product, first, total, found.fault or "")
        return False
    product = record.product
    if products.known_frame(product.camera, product.frame_id) not in (None, record.first):
        remove(found.place)  # refused, stored again later: the later one counts
        notices.add(f"product {name} is removed: its frame is stored already")
        return False
    is_whole = there.issuperset(record.shares)
    products.adopt(record, file_size(found.place / MANIFEST), total, is_whole)
    return True


def _unknown(product_id: bytes) -> Product:
    """What is known of a product whose record is damaged."""
    return Product(product_id, "", "", 0, 0, "", "", 255, (), 0, bytes(32))


def _check_data(path: Path, product: Product) -> None:
    digest = hashlib.sha256()
    size = 0
    with open(path, "rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    if (size, digest.digest()) != (product.size, product.sha256):
        raise ValueError("size or digest of the data is not what its record says")


def _read(path: Path, limit: int) -> bytes:
    with open(path, "rb") as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"its {path.name} is too long")
    return data


def _age(path: Path) -> tuple[int, str]:
    return path.lstat().st_mtime_ns, path.name
