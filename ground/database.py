"""SQLite databases of the ground: schema, transactions, damage, errors.

WAL with synchronous=FULL: what was committed is on the disk. Each database has one writer; it says
nothing that the files beside it do not say too, so a damaged one is set aside and made again.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from occulta.errors import OccultaError, Reason
from occulta.program.files import sync_folder, write_failure

_PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "cell_size_check = ON")
_SIDE_FILES = ("-wal", "-shm")
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_UNREADABLE = {
    sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS,
}
_ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""Text that was damaged in a way which no check finds is no UTF-8."""
Row = tuple[Any, ...]


class Database:
    """A writer's connection. All methods raise OccultaError: DISK_FULL or OUTPUT_UNWRITABLE."""

    def __init__(self, path: Path, schema: str) -> None:
        """Made if it is missing; `schema` is a script that sets `user_version` too."""
        self._path = path
        try:
            self._connection = self._connect(schema)
        except _ERRORS as error:
            raise self._failure(error) from None
        except OSError as error:
            raise write_failure(error, path) from None

    def _connect(self, schema: str) -> sqlite3.Connection:
        # SQLite gives its other files the mode of this one.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(self._path, isolation_level=None)
        try:
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
            if not _schema_of(connection)[1:]:
                connection.executescript(f"BEGIN IMMEDIATE;{schema}COMMIT;")
        except _ERRORS:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """It is no longer needed."""
        with suppress(sqlite3.Error):
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes made inside, or none of them: an exception undoes them."""
        self.change("BEGIN IMMEDIATE")
        try:
            yield
            self.change("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # SQLite itself undoes one when the disk is full
                self._connection.execute("ROLLBACK")
            raise

    def change(self, statement: str, *values: Any) -> int:
        """Change rows; returns how many."""
        try:
            return self._connection.execute(statement, values).rowcount
        except _ERRORS as error:
            raise self._failure(error) from None

    def rows(self, query: str, *values: Any) -> list[Row]:
        """All rows of an answer."""
        try:
            return self._connection.execute(query, values).fetchall()
        except _ERRORS as error:
            raise self._failure(error) from None

    def row(self, query: str, *values: Any) -> Row | None:
        """The first row of an answer."""
        return next(iter(self.rows(query, *values)), None)

    def value(self, query: str, *values: Any) -> Any:
        """The first column of the first row, None if there is no row."""
        row = self.row(query, *values)
        return row[0] if row else None

    def _failure(self, error: Exception) -> OccultaError:
        if _code(error) & 0xFF == sqlite3.SQLITE_FULL:
            return OccultaError(Reason.DISK_FULL, f"no room to write {self._path.name}")
        return OccultaError(Reason.OUTPUT_UNWRITABLE, f"cannot write {self._path.name}: {error}")


class ReadOnlyDatabase(Database):
    """A reader's connection, be there a writer or not; raises OccultaError(INPUT_UNREADABLE)."""

    def _connect(self, schema: str) -> sqlite3.Connection:
        if not self._path.is_file():
            name, folder = self._path.name, self._path.parent
            raise OccultaError(Reason.INPUT_UNREADABLE, f"there is no {name} in {folder}")
        # By a URI, since a question mark in a plain name would end it.
        uri = f"{self._path.absolute().as_uri()}?mode=ro"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None)
        try:
            if _schema_of(connection) != _expected(schema):
                raise OccultaError(
                    Reason.INPUT_UNREADABLE, f"{self._path} is of another version"
                )
        except BaseException:
            connection.close()
            raise
        return connection

    def _failure(self, error: Exception) -> OccultaError:
        hint = "the node sets a damaged database aside when it starts, and makes it again"
        return OccultaError(Reason.INPUT_UNREADABLE, f"cannot read {self._path}: {error}", hint)


def open_database(path: Path, schema: str) -> tuple[Database, str | None]:
    """A database for its writer, and what was found damaged: that is set aside, and it is empty.

    The damaged one is renamed to `<name>.damaged-<n>`. Raises OccultaError: DISK_FULL or
    OUTPUT_UNWRITABLE.
    """
    try:
        damage = _find_damage(path, schema)
        said = f"{path.name} was damaged ({damage}); kept as {_set_aside(path)}" if damage else None
    except (sqlite3.Error, OSError) as error:
        raise OccultaError(Reason.OUTPUT_UNWRITABLE, f"cannot open {path}: {error}") from None
    return Database(path, schema), said


def _find_damage(path: Path, schema: str) -> str | None:
    """What is wrong with a database, None if nothing is; indexes are checked too."""
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(path)) as connection:
            found = _schema_of(connection)
            if found[1:] and found != _expected(schema):
                return "another version"
            said = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            return None if said == "ok" else str(said).replace("\n", " ")
    except _ERRORS as error:
        code = _code(error)
        if code & 0xFF in _DAMAGE or code in _UNREADABLE or isinstance(error, UnicodeDecodeError):
            return str(error)
        raise


def _expected(schema: str) -> list[Row]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(schema)
        return _schema_of(connection)


def _schema_of(connection: sqlite3.Connection) -> list[Row]:
    """The version, then each table and index."""
    version = connection.execute("PRAGMA user_version").fetchall()
    objects = "SELECT type, name, sql FROM sqlite_schema ORDER BY name"
    return [*version, *connection.execute(objects).fetchall()]


def _set_aside(path: Path) -> str:
    number = 1
    while path.with_name(f"{path.name}.damaged-{number}").exists():
        number += 1
    name = f"{path.name}.damaged-{number}"
    # The database goes last: what a crash leaves before is still found damaged.
    for suffix in (*_SIDE_FILES, ""):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(path.with_name(name + suffix))
    sync_folder(path.parent)
    return name


def _code(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", None) or 0
