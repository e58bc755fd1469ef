"""What the node remembers of its links between runs: CFDP transactions, in one database."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ground.database import open_database
from occulta.link.cfdp import Snapshot, TransactionId

_SCHEMA = """
PRAGMA user_version = 1;
CREATE TABLE snapshots (
    source TEXT NOT NULL, sequence TEXT NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (source, sequence)
) WITHOUT ROWID;
"""
DATABASE = "links.db"


class LinkStore:
    """Snapshots of one entity. What was lost with a damaged database is sent and asked again."""

    def __init__(self, folder: Path) -> None:
        """Raises OccultaError: DISK_FULL or OUTPUT_UNWRITABLE."""
        self._database, self.notice = open_database(folder / DATABASE, _SCHEMA)
        self._unsaved: dict[TransactionId, Snapshot] = {}

    @property
    def is_saved(self) -> bool:
        """Whether all is durable that `save` was given."""
        return not self._unsaved

    def close(self) -> None:
        """It is no longer needed."""
        self._database.close()

    def load(self) -> dict[TransactionId, bytes]:
        """All snapshots; rows that are damaged go, and `notice` says so."""
        found = {}
        for source, sequence, data in self._database.rows("SELECT * FROM snapshots"):
            try:
                found[TransactionId(int(source), int(sequence))] = memoryview(data).tobytes()
            except (TypeError, ValueError):
                self._remove(source, sequence)
                self.notice = f"{DATABASE}: rows were damaged"
        return found

    def save(self, snapshots: Iterable[Snapshot]) -> None:
        """Replace snapshots, all or none of them; raises OccultaError.

        What could not be saved is saved by the next call.
        """
        self._unsaved.update({snapshot.key: snapshot for snapshot in snapshots})
        if self._unsaved:
            self._write()
            self._unsaved.clear()

    def _write(self) -> None:
        with self._database.transaction():
            for key, data in self._unsaved.values():
                source, sequence = str(key.source), str(key.sequence)
                if data is None:
                    self._remove(source, sequence)
                else:
                    self._database.change(
                        "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)", source, sequence, data
                    )

    def _remove(self, source: str, sequence: str) -> None:
        self._database.change(
            "DELETE FROM snapshots WHERE source = ? AND sequence = ?", source, sequence
        )
