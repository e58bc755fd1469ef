"""The tables of spool.db.

`products.bytes` is 0 once the files are gone; `parts.product` is NULL once it was delivered.

A frame becomes one product, or several: shares, each for its own destination. `products.first` is
the id of the first of them, its own for a product alone. `answers` is 1 where a camera that offers
the frame again is told this product: the first one, until one of them is damaged. Entity ids and
sequence numbers of CFDP have up to 64 bits, more than SQLite's integers: they are text.
"""

VERSION = 3
SCHEMA = """
CREATE TABLE products (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    frame_id TEXT NOT NULL, camera TEXT NOT NULL,
    captured_at REAL NOT NULL, created_at REAL NOT NULL,
    scheme TEXT NOT NULL, profile TEXT NOT NULL,
    priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 255),
    size INTEGER NOT NULL, sha256 BLOB NOT NULL, manifest_size INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    first BLOB NOT NULL CHECK (length(first) = 16),
    answers INTEGER NOT NULL CHECK (answers IN (0, 1)),
    state TEXT NOT NULL
        CHECK (state IN ('stored', 'damaged', 'delivered', 'cancelled', 'dropped'))
) STRICT;
CREATE UNIQUE INDEX product_frame ON products (camera, frame_id) WHERE answers = 1;
CREATE INDEX product_first ON products (first);
CREATE INDEX product_bytes ON products (bytes) WHERE bytes > 0;
CREATE INDEX product_history ON products (seq) WHERE bytes = 0;
CREATE INDEX product_importance ON products (priority DESC, seq) WHERE state = 'stored';
CREATE INDEX product_damaged ON products (seq) WHERE state = 'damaged';
CREATE TABLE deliveries (
    product INTEGER NOT NULL REFERENCES products ON DELETE CASCADE,
    destination INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'sending', 'delivered', 'cancelled')),
    priority INTEGER NOT NULL,
    PRIMARY KEY (product, destination)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_waiting ON deliveries (destination, priority, product)
    WHERE state = 'waiting';
CREATE INDEX delivery_sending ON deliveries (product, destination) WHERE state = 'sending';
CREATE TABLE holds (destination INTEGER PRIMARY KEY) STRICT;
CREATE TABLE items (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    peer TEXT NOT NULL,
    size INTEGER NOT NULL,
    carried INTEGER NOT NULL CHECK (carried BETWEEN 0 AND size),
    state TEXT NOT NULL CHECK (state IN ('queued', 'delivered'))
) STRICT;
CREATE INDEX item_queue ON items (seq) WHERE state = 'queued' AND carried < size;
CREATE INDEX item_bytes ON items (size, carried) WHERE state = 'queued';
CREATE INDEX item_history ON items (seq) WHERE state = 'delivered';
CREATE TABLE parts (
    item INTEGER NOT NULL REFERENCES items ON DELETE CASCADE,
    offset INTEGER NOT NULL,
    size INTEGER NOT NULL,
    product INTEGER REFERENCES products,
    PRIMARY KEY (item, offset)
) STRICT, WITHOUT ROWID;
CREATE INDEX part_product ON parts (product);
CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TABLE snapshots (
    namespace TEXT NOT NULL,
    source TEXT NOT NULL,
    sequence TEXT NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (namespace, source, sequence)
) STRICT;
"""
