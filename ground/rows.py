"""Rows of `archive.db`.

`reported` is whose word the product's report.json takes it for: 1 authentic, 2 revoked signer.
`changed` numbers the changes of all rows, so that a reader can follow them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ground.database import Database, Row
from ground.inbox import Pair
from ground.outcome import Outcome
from ground.product import Product, State

SCHEMA = """
CREATE TABLE products (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    frame_id TEXT NOT NULL, scheme TEXT NOT NULL, profile TEXT NOT NULL,
    captured_at REAL NOT NULL, created_at REAL NOT NULL, received_at REAL NOT NULL,
    size INTEGER NOT NULL, sha256 BLOB NOT NULL,
    signer BLOB NOT NULL, satellite TEXT, revoked INTEGER NOT NULL,
    state TEXT NOT NULL
        CHECK (state IN ('archived', 'recovering', 'recovered', 'failed', 'no_key', 'share')),
    verdict TEXT, error INTEGER, detail TEXT, hint TEXT,
    reported INTEGER NOT NULL DEFAULT 0,
    has_items INTEGER NOT NULL DEFAULT 0, lacks_key INTEGER NOT NULL DEFAULT 0,
    changed INTEGER NOT NULL UNIQUE
) STRICT;
CREATE INDEX product_state ON products (state, seq, size);
CREATE INDEX product_waiting ON products (scheme, seq) WHERE state = 'archived';
CREATE INDEX product_signer ON products (signer, satellite);
CREATE INDEX product_misreported ON products (seq)
    WHERE state IN ('recovered', 'share')
    AND reported <> (satellite IS NOT NULL AND NOT revoked) + 2 * revoked;
CREATE TABLE recipients (fingerprint BLOB PRIMARY KEY) STRICT;
PRAGMA user_version = 2;
"""
_COLUMNS = (
    "id, frame_id, scheme, profile, captured_at, created_at, received_at, size, sha256, signer,"
    " satellite, revoked, state, verdict, error, detail, hint"
)
_GIVEN = "(SELECT seq FROM sqlite_sequence WHERE name = 'products')"
_NEXT = f"(SELECT max(coalesce(max(changed), 0), coalesce({_GIVEN}, 0)) + 1 FROM products)"
_TOLD = "(satellite IS NOT NULL AND NOT revoked) + 2 * revoked"
_OWN_FAULTS = "(error BETWEEN 200 AND 299 OR error >= 600)"
"""Errors of this side, which the next start may find mended."""


def product_of(row: Row) -> Product:
    """The product in a row of `_COLUMNS`."""
    found: dict[str, Any] = dict(zip(_COLUMNS.split(", "), row, strict=True))
    found |= {"state": State(found["state"]), "revoked": bool(found["revoked"])}
    return Product(**found)


def insert(
    database: Database, pair: Pair, satellite: str | None, revoked: bool, received_at: float
) -> None:
    """A product that was just archived."""
    manifest = pair.manifest
    database.change(
        "INSERT INTO products (id, frame_id, scheme, profile, captured_at, created_at,"
        " received_at, size, sha256, signer, satellite, revoked, state, changed)"
        f" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'archived', {_NEXT})",
        manifest.product_id, manifest.frame_id, manifest.scheme, manifest.profile,
        manifest.captured_at, manifest.created_at, received_at, pair.data.size, pair.data.sha256,
        pair.signer, satellite, revoked,
    )


def ids(database: Database) -> set[bytes]:
    """Of all products."""
    return {row[0] for row in database.rows("SELECT id FROM products")}


def product(database: Database, product_id: bytes) -> Product | None:
    """One product."""
    row = database.row(f"SELECT {_COLUMNS} FROM products WHERE id = ?", product_id)
    return None if row is None else product_of(row)


def ids_of_scheme(database: Database, scheme: str) -> list[bytes]:
    """Of the products of a scheme."""
    found = database.rows("SELECT id FROM products WHERE scheme = ?", scheme)
    return [row[0] for row in found]


def all_products(database: Database) -> list[Product]:
    """Oldest first."""
    return [product_of(row) for row in database.rows(
        f"SELECT {_COLUMNS} FROM products ORDER BY seq"
    )]


def changed_since(database: Database, number: int) -> tuple[list[Product], int]:
    """Products that changed after a change of this number, and the number of the last change."""
    found = database.rows(
        f"SELECT changed, {_COLUMNS} FROM products WHERE changed > ? ORDER BY changed", number
    )
    return [product_of(row[1:]) for row in found], found[-1][0] if found else number


def last_change(database: Database) -> int:
    """The number of the last change."""
    return int(database.value("SELECT coalesce(max(changed), 0) FROM products"))


def next_archived(database: Database, scheme: str | None = None) -> Product | None:
    """The oldest product whose recovery has not begun, of a scheme if one is named."""
    which, values = ("", []) if scheme is None else (" AND scheme = ?", [scheme])
    row = database.row(
        f"SELECT {_COLUMNS} FROM products WHERE state = 'archived'{which} ORDER BY seq LIMIT 1",
        *values,
    )
    return None if row is None else product_of(row)


def counts(database: Database) -> dict[State, tuple[int, int]]:
    """Products and bytes of their data, for each state."""
    found = database.rows("SELECT state, count(*), sum(size) FROM products GROUP BY state")
    return dict.fromkeys(State, (0, 0)) | {
        State(state): (number, size) for state, number, size in found
    }


def set_state(database: Database, product_id: bytes, state: State) -> None:
    """Begin a recovery, or ask for another."""
    database.change(
        f"UPDATE products SET state = ?, changed = {_NEXT} WHERE id = ?", state.value, product_id
    )


def forget(database: Database, product_id: bytes) -> None:
    """A product whose id is another's. The number of its last change is not given again."""
    with database.transaction():
        database.change(
            "UPDATE sqlite_sequence SET seq = max(seq, (SELECT max(changed) FROM products))"
            " WHERE name = 'products'"
        )
        database.change("DELETE FROM products WHERE id = ?", product_id)


def settle(database: Database, product_id: bytes, outcome: Outcome) -> None:
    """A recovery has ended."""
    error = outcome.error
    database.change(
        "UPDATE products SET state = ?, verdict = ?, error = ?, detail = ?, hint = ?,"
        f" reported = ?, has_items = ?, lacks_key = ?, changed = {_NEXT} WHERE id = ?",
        outcome.state.value, outcome.verdict, error and error.number, error and error.detail,
        error and error.hint, outcome.authentic + 2 * outcome.revoked, bool(outcome.items),
        outcome.lacks_key, product_id,
    )


def restate(database: Database, product_id: bytes, verdict: str) -> None:
    """The report was corrected, and says what the row says."""
    database.change(
        f"UPDATE products SET verdict = ?, reported = {_TOLD}, changed = {_NEXT} WHERE id = ?",
        verdict, product_id,
    )


def restart(database: Database) -> None:
    """What was interrupted, or failed for a fault of this side, is recovered again."""
    _again(database, f"state = 'recovering' OR state = 'failed' AND {_OWN_FAULTS}")


def recover_items_again(database: Database) -> int:
    """The items of private data were lost: ask for each product that carried some."""
    return _again(database, "has_items")


def set_recipients(database: Database, fingerprints: Collection[bytes]) -> int:
    """The keys at hand; with one that is new, what lacked a key is recovered again."""
    before = {row[0] for row in database.rows("SELECT fingerprint FROM recipients")}
    if before == set(fingerprints):
        return 0
    with database.transaction():
        database.change("DELETE FROM recipients")
        for fingerprint in set(fingerprints):
            database.change("INSERT INTO recipients VALUES (?)", fingerprint)
        return _again(database, "lacks_key") if set(fingerprints) - before else 0


def _again(database: Database, condition: str) -> int:
    return database.change(
        "UPDATE products SET state = 'archived',"
        f" changed = seq + (SELECT max(changed) FROM products) "
        f" WHERE state <> 'archived' AND ({condition})"
    )


# --- whose signatures count


def signers(database: Database) -> list[tuple[bytes, str | None]]:
    """Each signer, and the satellite it was known as."""
    return [(row[0], row[1]) for row in database.rows(
        "SELECT DISTINCT signer, satellite FROM products"
    )]


def signed_by_unknown(database: Database, signer: bytes) -> list[bytes]:
    """Products of a key that was not known."""
    found = database.rows(
        "SELECT id FROM products WHERE signer = ? AND satellite IS NULL", signer
    )
    return [row[0] for row in found]


def set_satellite(database: Database, product_id: bytes, satellite: str | None) -> None:
    """The manifest's signature verified."""
    database.change("UPDATE products SET satellite = ? WHERE id = ?", satellite, product_id)


def rename_satellite(database: Database, signer: bytes, satellite: str | None) -> None:
    """A known key bears another name, or is known no longer."""
    database.change(
        "UPDATE products SET satellite = ? WHERE signer = ? AND satellite IS NOT NULL",
        satellite, signer,
    )


def set_revoked(database: Database, signer: bytes, since: float) -> None:
    """The key counts until this time, infinity for one that was not revoked."""
    database.change(
        "UPDATE products SET revoked = created_at >= ?2"
        " WHERE signer = ?1 AND revoked <> (created_at >= ?2)", signer, since,
    )


def misreported(database: Database) -> list[Product]:
    """Products whose report speaks for their signer, and says something else than their row."""
    return [product_of(row) for row in database.rows(
        f"SELECT {_COLUMNS} FROM products"
        f" WHERE state IN ('recovered', 'share') AND reported <> {_TOLD}"
    )]
