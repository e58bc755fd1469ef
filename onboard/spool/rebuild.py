"""A start: the database checked, and made again if it is damaged.

A damaged database is kept under another name. Products and items are then taken up from their
folders (reconcile.py): nothing that was acknowledged is lost, and what waited, was being sent or
was delivered to some of its destinations waits for all of them, with the priority it came with and
without holds. What other machines keep is copied as far as it can be read; each checks its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

from onboard.spool.check import find_damage, is_value
from onboard.spool.database import ERRORS, Database, Row, connect
from onboard.spool.files import sync, writing
from onboard.spool.notices import Notices

NAME = "spool.db"
_REBUILDING = "spool.db.rebuilding"
"""The damaged database while it is replaced, so that a crash meanwhile only repeats that."""
_SET_ASIDE = "spool.db.corrupt-"
MAX_SET_ASIDE = 4
"""Damaged databases kept, the latest."""
_LOG = "-wal"
_TABLES = {"state": "key, value", "snapshots": "namespace, source, sequence, data"}
"""What is copied from a damaged database."""
_MAX_SALVAGED = 100_000
"""Rows of a table: pages that refer to each other in a circle have no end."""


def open_database(folder: Path, notices: Notices) -> Database:
    """The database in a folder, new if need be; raises OccultaError."""
    path, damaged = folder / NAME, folder / _REBUILDING
    with writing(path):
        if damaged.exists() and not path.exists():
            _move(path, damaged, ("", _LOG))  # where a crash came between the two
        fault = find_damage(path) if path.exists() else None
        if fault is not None:
            notices.add(f"{NAME} is damaged ({fault}): it is made again from the folders")
            _set_aside(path, damaged)
    database = Database(path)
    try:
        database.initialise(lambda: _salvage(damaged, database, notices))
        with writing(path):
            _keep(damaged, notices)
    except BaseException:
        database.close()
        raise
    return database


def _set_aside(path: Path, damaged: Path) -> None:
    if damaged.exists():  # a new database is damaged before it was ever in use: begin it again
        for suffix in ("", _LOG):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
    else:
        _move(path, damaged, ("", _LOG))
    sync(path.parent)


def _keep(damaged: Path, notices: Notices) -> None:
    """The last of a rebuild: the damaged database takes its lasting name."""
    if not damaged.exists():
        return
    found = sorted(_numbers_set_aside(damaged.parent))
    kept = damaged.with_name(f"{_SET_ASIDE}{found[-1] + 1 if found else 1}")
    _move(damaged, kept, (_LOG, ""))
    for number in found[: max(len(found) + 1 - MAX_SET_ASIDE, 0)]:
        for suffix in (_LOG, ""):
            damaged.with_name(f"{_SET_ASIDE}{number}{suffix}").unlink(missing_ok=True)
    sync(damaged.parent)
    notices.add(f"the damaged {NAME} is kept as {kept.name}")


def _move(source: Path, target: Path, suffixes: tuple[str, str]) -> None:
    """A database and its log, without which it is not whole; raises OSError."""
    for suffix in suffixes:
        if os.path.lexists(f"{source}{suffix}"):
            os.replace(f"{source}{suffix}", f"{target}{suffix}")
    Path(f"{source}-shm").unlink(missing_ok=True)


def _numbers_set_aside(folder: Path) -> Iterator[int]:
    for path in folder.glob(f"{_SET_ASIDE}*"):
        number = path.name.removeprefix(_SET_ASIDE)
        if number.isdecimal():
            yield int(number)


def _salvage(damaged: Path, database: Database, notices: Notices) -> None:
    """Copy what other machines keep."""
    if not damaged.exists():
        return
    for table, columns in _TABLES.items():
        copied = 0
        for row in _readable(damaged, f"SELECT {columns} FROM {table}", notices):
            if is_value(row):
                places = ", ".join("?" * len(row))
                database.insert(f"INSERT OR REPLACE INTO {table} VALUES ({places})", *row)
                copied += 1
        notices.add(f"{copied} rows of table {table} are taken over")


def _readable(damaged: Path, query: str, notices: Notices) -> Iterator[Row]:
    """Rows up to the first that cannot be read."""
    try:
        with closing(connect(damaged)) as old:
            yield from islice(old.execute(query), _MAX_SALVAGED)
    except ERRORS as error:
        notices.add(f"the damaged database is not readable to its end: {error}")
