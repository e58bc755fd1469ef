"""SQLite databases of the programs: connections, errors, damage.

WAL with synchronous=FULL: what was committed is on the disk. Each database has one writer.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from occulta.errors import OccultaError, Reason
from occulta.program.files import write_failure

PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "cell_size_check = ON")
ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite raises; the second for text that was damaged in a way which no check finds."""
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_OK}
"""Python itself raises some errors, without a code: text that is none."""
_UNREADABLE = {
    sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS,
}
Row = tuple[Any, ...]


def make(path: Path, pragmas: Sequence[str]) -> sqlite3.Connection:
    """As `connect`, to a file of mode 0600 that is made if it is missing; or raises OSError."""
    # SQLite gives its other files the mode of this one.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    return connect(path, pragmas)


def connect(path: Path, pragmas: Sequence[str]) -> sqlite3.Connection:
    """A connection without implicit transactions; raises one of `ERRORS`."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
    except ERRORS:
        connection.close()
        raise
    return connection


def failure(error: Exception, name: str) -> OccultaError:
    """The numbered reason of what SQLite could not do with the database of this name."""
    if _code(error) & 0xFF == sqlite3.SQLITE_FULL or _code(error) == sqlite3.SQLITE_IOERR_SHMSIZE:
        return OccultaError(Reason.DISK_FULL, f"no room to write {name}")
    return OccultaError(Reason.OUTPUT_UNWRITABLE, f"cannot write {name}: {error}")


def is_damage(error: Exception) -> bool:
    """Whether one of `ERRORS` is the database's own fault, rather than its disk's or another's."""
    return _code(error) & 0xFF in _DAMAGE or _code(error) in _UNREADABLE


def find_flaw(connection: sqlite3.Connection) -> str | None:
    """What SQLite itself finds wrong, indexes included; None for nothing."""
    found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    return None if found == "ok" else str(found).replace("\n", " ")


def schema_of(connection: sqlite3.Connection) -> list[Row]:
    """Each table and index: type, name, SQL."""
    return connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall()


def version_of(connection: sqlite3.Connection) -> int:
    """The schema's version, 0 in a new database."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def made_by(script: str) -> tuple[int, list[Row]]:
    """The version and schema of a database that this script has made."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(script)
        return version_of(connection), schema_of(connection)


class Database:
    """One connection.

    Every method raises OccultaError for what SQLite cannot do: DISK_FULL or OUTPUT_UNWRITABLE.
    """

    def __init__(self, path: Path, connect: Callable[[Path], sqlite3.Connection]) -> None:
        """`connect` may raise OSError and `ERRORS`."""
        self._path = path
        try:
            self._connection = connect(path)
        except ERRORS as error:
            raise self._failure(error) from None
        except OSError as error:
            raise write_failure(error, path) from None

    def close(self) -> None:
        """It is no longer needed."""
        with suppress(*ERRORS):
            self._connection.close()

    def change(self, statement: str, *values: Any) -> int:
        """Change rows; returns how many."""
        return self._run(statement, *values).rowcount

    def rows(self, query: str, *values: Any) -> list[Row]:
        """All rows of an answer."""
        try:
            return self._run(query, *values).fetchall()
        except ERRORS as error:
            raise self._failure(error) from None

    def row(self, query: str, *values: Any) -> Row | None:
        """The first row of an answer."""
        return next(iter(self.rows(query, *values)), None)

    def value(self, query: str, *values: Any) -> Any:
        """The first column of the first row, None if there is no row."""
        row = self.row(query, *values)
        return row[0] if row else None

    def _run(self, statement: str, *values: Any) -> sqlite3.Cursor:
        try:
            return self._connection.execute(statement, values)
        except ERRORS as error:
            raise self._failure(error) from None

    def _failure(self, error: Exception) -> OccultaError:
        return failure(error, self._path.name)


def _code(error: Exception) -> int:
    """SQLite's extended code, 0 where there is none."""
    return getattr(error, "sqlite_errorcode", None) or 0
