"""What is wrong with a spool's database before it is used: its structure, its values, its folders.

A full check, indexes included: the database is small, the files lie beside it. SQLite has no
checksums, and bits may flip in what is well formed; so rows are compared with the record of their
product and with the names of their files, which say the same.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from occulta.program.database import failure, find_flaw, is_damage, made_by, schema_of, version_of
from onboard.spool.database import ERRORS, Row, connect
from onboard.spool.items import parse_name
from onboard.spool.records import (
    MANIFEST,
    MAX_MANIFEST_FILE,
    RECORD,
    Part,
    Record,
    check_manifest,
    read_record,
)
from onboard.spool.schema import SCHEMA, VERSION

_NUMBER = re.compile(r"-?[0-9]{1,20}")


def find_damage(path: Path) -> str | None:
    """What is wrong with a database, None if nothing is.

    Raises OccultaError: OUTPUT_UNWRITABLE or DISK_FULL for what is no fault of the database.
    """
    try:
        with closing(connect(path)) as connection:
            return _find_damage(connection, path.parent)
    except ERRORS as error:
        if is_damage(error):
            return str(error)
        raise failure(error, path.name) from None


def _find_damage(connection: sqlite3.Connection, folder: Path) -> str | None:
    version = version_of(connection)
    if version not in (0, VERSION):
        return f"version {version} is unknown"
    flaw = find_flaw(connection)
    if flaw is not None:
        return flaw
    if schema_of(connection) != (made_by(SCHEMA)[1] if version else []):
        return "the schema differs"
    return _find_disagreement(connection, folder) if version else None


def _find_disagreement(connection: sqlite3.Connection, folder: Path) -> str | None:
    if connection.execute("PRAGMA foreign_key_check").fetchone():
        return "a row refers to none"
    if not all(is_value(row) for row in _values(connection)):
        return "the state of a machine has no name"
    return (
        _disagreeing_item(connection, folder / "items")
        or _disagreeing_part(connection)
        or _disagreeing_product(connection, folder / "products")
    )


def _values(connection: sqlite3.Connection) -> Iterator[Row]:
    yield from connection.execute("SELECT key, value FROM state")
    yield from connection.execute("SELECT namespace, source, sequence, data FROM snapshots")


def is_value(row: Row) -> bool:
    """Whether a row is what other machines keep: a key or namespace, numbers if any, bytes."""
    key, *numbers, value = row
    typed = isinstance(value, bytes) and all(isinstance(text, str) for text in (key, *numbers))
    return typed and all(map(_NUMBER.fullmatch, numbers))


def _disagreeing_item(connection: sqlite3.Connection, folder: Path) -> str | None:
    files: dict[str, set[tuple[str, int]]] = {}
    for path in folder.iterdir():
        found = parse_name(path.name)
        if found is not None:
            peer, key, size = found
            files.setdefault(key, set()).add((peer, size))
    for peer, key, size, state in connection.execute("SELECT peer, key, size, state FROM items"):
        if state == "queued" and key in files and (peer, size) not in files[key]:
            return f"item {key} has another peer or size"
    return None


def _disagreeing_part(connection: sqlite3.Connection) -> str | None:
    """Parts of an item lie one behind the other, and are counted in its row."""
    ends: dict[int, int] = {}
    totals: dict[int, int] = {}
    for item, offset, size in connection.execute(
        "SELECT item, offset, size FROM parts ORDER BY item, offset"
    ):
        if offset < ends.get(item, 0) or size < 1:
            return "parts of an item overlap"
        ends[item] = offset + size
        totals[item] = totals.get(item, 0) + size
    for item, size, carried in connection.execute(
        "SELECT seq, size, carried FROM items WHERE state = 'queued'"
    ):
        if ends.get(item, 0) > size or totals.get(item, 0) != carried:
            return "an item's parts are not as counted"
    return None


def _disagreeing_product(connection: sqlite3.Connection, folder: Path) -> str | None:
    for row in connection.execute(
        "SELECT seq, id, frame_id, camera, captured_at, created_at, scheme, profile, priority,"
        " size, sha256, manifest_size, bytes, first FROM products WHERE state = 'stored'"
    ).fetchall():
        name = row[1].hex()
        if not _agrees(connection, row, folder / name):
            return f"product {name} is another in its record"
    return None


def _agrees(connection: sqlite3.Connection, row: Row, place: Path) -> bool:
    """Whether a row says the same as a record; True where the record cannot tell."""
    try:
        record, record_size = read_record(place / RECORD)
    except (OSError, ValueError):
        return True
    seq, priority, manifest_size, size, first = row[0], row[8], row[11], row[12], row[13]
    product = record.product
    if row[1:8] + row[9:11] != (
        product.id, product.frame_id, product.camera, product.captured_at, product.created_at,
        product.scheme, product.profile, product.size, product.sha256,
    ):
        return False
    if first != record.first or size != product.size + manifest_size + record_size:
        return False
    return (
        _manifest_agrees(record, manifest_size, place / MANIFEST)
        and _deliveries_agree(connection, seq, priority, record)
        and _parts_agree(connection, seq, record)
    )


def _manifest_agrees(record: Record, size: int, path: Path) -> bool:
    """Where a manifest is whole, it has the size that the row says."""
    try:
        with open(path, "rb") as stream:
            manifest = stream.read(MAX_MANIFEST_FILE)
        if len(manifest) != size:
            check_manifest(record.product, manifest)
    except (OSError, ValueError):
        return True
    return len(manifest) == size


def _deliveries_agree(
    connection: sqlite3.Connection, seq: int, priority: int, record: Record
) -> bool:
    rows = connection.execute(
        "SELECT destination, priority FROM deliveries WHERE product = ? ORDER BY destination",
        (seq,),
    ).fetchall()
    return rows == [(number, priority) for number in sorted(record.product.destinations)]


def _parts_agree(connection: sqlite3.Connection, seq: int, record: Record) -> bool:
    """Parts of items that were given up are in the record only."""
    rows = connection.execute(
        "SELECT key, offset, parts.size FROM parts JOIN items ON item = seq WHERE product = ?",
        (seq,),
    )
    return {Part(*row) for row in rows} <= set(record.parts)
