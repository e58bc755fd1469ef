"""The spool's SQLite database, in which transactions nest.

Rows that were erased are overwritten (secure_delete), since the state of link security holds keys
that must be forgotten.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from occulta.errors import OccultaError, Reason
from occulta.program import database
from occulta.program.database import ERRORS, Row
from onboard.spool.schema import SCHEMA, VERSION

__all__ = ["ERRORS", "Database", "Row", "connect"]
_WAL_KEPT = 1 << 22
_CACHE_KIB = 256
"""Of pages: without it the process would grow by two mebibytes as the spool fills."""
_PRAGMAS = (
    *database.PRAGMAS, "foreign_keys = ON", "secure_delete = ON",
    f"journal_size_limit = {_WAL_KEPT}", f"cache_size = -{_CACHE_KIB}",
)


def connect(path: Path) -> sqlite3.Connection:
    """As `occulta.program.database.connect`, with the spool's settings."""
    return database.connect(path, _PRAGMAS)


class Database(database.Database):
    """One connection; transactions nest."""

    def __init__(self, path: Path) -> None:
        self.changes = 0
        """Grows with every change of a row, and when changes are undone."""
        self._depth = 0
        self._afterwards: list[Callable[[], None]] = []
        super().__init__(path, lambda path: database.make(path, _PRAGMAS))

    def initialise(self, fill: Callable[[], None]) -> None:
        """Make the tables, unless they are there, and let `fill` fill them, all or nothing."""
        if self.value("PRAGMA user_version") == VERSION:
            return
        with self.transaction():
            for statement in SCHEMA.split(";\n"):
                self._run(statement)
            fill()
            self._run(f"PRAGMA user_version = {VERSION}")

    @property
    def in_transaction(self) -> bool:
        """Whether changes stand together with others."""
        return self._depth > 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes made inside, or none of them: an exception undoes them.

        What is inside another transaction is undone by itself, and committed with the outer one.
        """
        depth = self._depth
        name = f"level{depth}"
        planned = len(self._afterwards)
        self._run(f"SAVEPOINT {name}" if depth else "BEGIN IMMEDIATE")
        self._depth += 1
        try:
            yield
            self._run(f"RELEASE {name}" if depth else "COMMIT")
        except BaseException:
            del self._afterwards[planned:]
            self._undo(f"ROLLBACK TO {name}" if depth else "ROLLBACK")
            raise
        finally:
            self._depth -= 1
        if not depth:
            self._do_afterwards()

    def afterwards(self, action: Callable[[], None]) -> None:
        """Do this once the changes are committed, at once where there is no transaction."""
        self._afterwards.append(action)
        if not self._depth:
            self._do_afterwards()

    def change(self, statement: str, *values: Any) -> int:
        """Change rows; returns how many."""
        self.changes += 1
        return super().change(statement, *values)

    def insert(self, statement: str, *values: Any) -> int:
        """Insert a row; returns its number."""
        self.changes += 1
        return self._run(statement, *values).lastrowid or 0

    def _run(self, statement: str, *values: Any) -> sqlite3.Cursor:
        if self._depth and not self._connection.in_transaction:
            # SQLite itself undoes a transaction when a disk is full: nothing may follow by itself.
            raise OccultaError(Reason.OUTPUT_UNWRITABLE, "the transaction was undone already")
        return super()._run(statement, *values)

    def _undo(self, statement: str) -> None:
        self.changes += 1
        if self._connection.in_transaction:
            with suppress(*ERRORS):
                self._connection.execute(statement)

    def _do_afterwards(self) -> None:
        actions, self._afterwards = self._afterwards, []
        for action in actions:
            action()
