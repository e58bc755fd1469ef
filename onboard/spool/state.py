"""What other machines keep in the spool's database: values by key, snapshots of CFDP."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from onboard.spool.database import Database


class State:
    """Bytes that only their owners understand."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, key: str) -> bytes | None:
        """The value last put under a key."""
        found = self._database.value("SELECT value FROM state WHERE key = ?", key)
        return None if found is None else bytes(found)

    def put(self, values: Mapping[str, bytes]) -> None:
        """Replace values, all or none of them."""
        with self._database.transaction():
            for key, value in values.items():
                self._database.insert("INSERT OR REPLACE INTO state VALUES (?, ?)", key, value)

    def load_snapshots(self, namespace: str) -> dict[tuple[int, int], bytes]:
        """All snapshots of a namespace, by source and sequence number."""
        rows = self._database.rows(
            "SELECT source, sequence, data FROM snapshots WHERE namespace = ?", namespace
        )
        return {(int(source), int(sequence)): bytes(data) for source, sequence, data in rows}

    def save_snapshots(
        self, namespace: str, snapshots: Iterable[tuple[int, int, bytes | None]]
    ) -> None:
        """Replace snapshots (source, sequence, data), all or none of them; None removes one."""
        with self._database.transaction():
            for source, sequence, data in snapshots:
                key = namespace, str(source), str(sequence)
                if data is None:
                    self._database.change(
                        "DELETE FROM snapshots"
                        " WHERE namespace = ? AND source = ? AND sequence = ?", *key,
                    )
                else:
                    self._database.insert(
                        "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?, ?)", *key, data
                    )
