"""The spool's SQLite database: transactions and errors.

WAL with synchronous=FULL: what was committed is on the disk. Rows that were erased are overwritten
(secure_delete), since the state of link security holds keys that must be forgotten.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from occulta.errors import OccultaError, Reason
from occulta.program.files import write_failure
from onboard.spool.schema import SCHEMA, VERSION

_WAL_KEPT = 1 << 22
_CACHE_KIB = 512
"""Of pages: without it the process would grow by two mebibytes as the spool fills."""
_PRAGMAS = (
    "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON",
    "cell_size_check = ON", f"journal_size_limit = {_WAL_KEPT}", f"cache_size = -{_CACHE_KIB}",
)
Row = tuple[Any, ...]
ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite raises; the second for a message that quotes a damaged database."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection without implicit transactions; raises one of `ERRORS`."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
    except ERRORS:
        connection.close()
        raise
    return connection


def failure(error: Exception) -> OccultaError:
    """The numbered reason of what SQLite could not do."""
    if error_code(error) & 0xFF == sqlite3.SQLITE_FULL:
        return OccultaError(Reason.DISK_FULL, "no room to write spool.db")
    return OccultaError(Reason.OUTPUT_UNWRITABLE, f"cannot write spool.db: {error}")


def error_code(error: Exception) -> int:
    """SQLite's extended code, 0 where there is none."""
    return getattr(error, "sqlite_errorcode", None) or 0


class Database:
    """One connection; transactions nest.

    Every method raises OccultaError for what SQLite cannot do: DISK_FULL or OUTPUT_UNWRITABLE.
    """

    def __init__(self, path: Path) -> None:
        self.changes = 0
        """Grows with every change of a row, and when changes are undone."""
        self._depth = 0
        self._afterwards: list[Callable[[], None]] = []
        try:
            # SQLite gives its other files the mode of this one.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._connection = connect(path)
        except ERRORS as error:
            raise failure(error) from None
        except OSError as error:
            raise write_failure(error, path) from None

    def initialise(self, fill: Callable[[], None]) -> None:
        """Make the tables, unless they are there, and let `fill` fill them, all or nothing."""
        if self.value("PRAGMA user_version") == VERSION:
            return
        with self.transaction():
            for statement in SCHEMA.split(";\n"):
                self._run(statement)
            fill()
            self._run(f"PRAGMA user_version = {VERSION}")

    def close(self) -> None:
        """It is no longer needed."""
        with suppress(*ERRORS):
            self._connection.close()

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
        return self._run(statement, *values).rowcount

    def insert(self, statement: str, *values: Any) -> int:
        """Insert a row; returns its number."""
        self.changes += 1
        return self._run(statement, *values).lastrowid or 0

    def rows(self, query: str, *values: Any) -> list[Row]:
        """All rows of an answer."""
        try:
            return self._run(query, *values).fetchall()
        except ERRORS as error:
            raise failure(error) from None

    def row(self, query: str, *values: Any) -> Row | None:
        """The first row of an answer."""
        return next(iter(self.rows(query, *values)), None)

    def value(self, query: str, *values: Any) -> Any:
        """The first column of the first row, None if there is no row."""
        row = self.row(query, *values)
        return row[0] if row else None

    def _run(self, statement: str, *values: Any) -> sqlite3.Cursor:
        if self._depth and not self._connection.in_transaction:
            # SQLite itself undoes a transaction when a disk is full: nothing may follow by itself.
            raise OccultaError(Reason.OUTPUT_UNWRITABLE, "the transaction was undone already")
        try:
            return self._connection.execute(statement, values)
        except ERRORS as error:
            raise failure(error) from None

    def _undo(self, statement: str) -> None:
        self.changes += 1
        if self._connection.in_transaction:
            with suppress(*ERRORS):
                self._connection.execute(statement)

    def _do_afterwards(self) -> None:
        actions, self._afterwards = self._afterwards, []
        for action in actions:
            action()
