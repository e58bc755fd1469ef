"""SQLite databases of the ground: schema, transactions, readers, and what is done about damage.

A database says nothing that the files beside it do not say too, so a damaged one is set aside and
made again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from occulta.errors import OccultaError, Reason
from occulta.program import database, files
from occulta.program.database import ERRORS, Row, find_flaw, made_by, schema_of, version_of

__all__ = ["Database", "ReadOnlyDatabase", "Row", "open_database"]
_SIDE_FILES = ("-wal", "-shm")


class Database(database.Database):
    """A writer's connection."""

    def __init__(self, path: Path, schema: str) -> None:
        """Made if it is missing; `schema` is a script that sets `user_version` too."""
        super().__init__(path, lambda path: self._connect(path, schema))

    def _connect(self, path: Path, schema: str) -> sqlite3.Connection:
        connection = database.make(path, database.PRAGMAS)
        try:
            if not schema_of(connection):
                connection.executescript(f"BEGIN IMMEDIATE;{schema}COMMIT;")
        except ERRORS:
            connection.close()
            raise
        return connection

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


class ReadOnlyDatabase(Database):
    """A reader's connection, be there a writer or not; raises OccultaError(INPUT_UNREADABLE)."""

    def _connect(self, path: Path, schema: str) -> sqlite3.Connection:
        if not path.is_file():
            raise OccultaError(
                Reason.INPUT_UNREADABLE, f"there is no {path.name} in {path.parent}"
            )
        # By a URI, since a question mark in a plain name would end it.
        uri = f"{path.absolute().as_uri()}?mode=ro"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None)
        try:
            if (version_of(connection), schema_of(connection)) != made_by(schema):
                raise OccultaError(Reason.INPUT_UNREADABLE, f"{path} is of another version")
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
    except ERRORS as error:
        raise database.failure(error, path.name) from None
    except OSError as error:
        raise files.write_failure(error, path) from None
    return Database(path, schema), said


def _find_damage(path: Path, schema: str) -> str | None:
    """What is wrong with a database, None if nothing is; indexes are checked too."""
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(path)) as connection:
            found = schema_of(connection)
            if found and (version_of(connection), found) != made_by(schema):
                return "another version"
            return find_flaw(connection)
    except ERRORS as error:
        if database.is_damage(error):
            return str(error)
        raise


def _set_aside(path: Path) -> str:
    number = 1
    while path.with_name(f"{path.name}.damaged-{number}").exists():
        number += 1
    name = f"{path.name}.damaged-{number}"
    # The database goes last: what a crash leaves before is still found damaged.
    for suffix in (*_SIDE_FILES, ""):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(path.with_name(name + suffix))
    files.sync_folder(path.parent)
    return name
