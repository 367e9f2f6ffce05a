"""The file of one connection's claims: made, opened, begun anew where it is damaged or from before the last boot."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from partner_pipelines.errors import NewerSchemaError, StateError
from partner_pipelines.state.files import PRIVATE_FILE, state_errors
from partner_pipelines.state.process import boot_id

SCHEMA = 1

_CREATE = """
CREATE TABLE boot (id TEXT NOT NULL);
CREATE TABLE shares (
    share     INTEGER PRIMARY KEY,
    pid       INTEGER NOT NULL,
    started   INTEGER NOT NULL,
    namespace INTEGER NOT NULL,
    run_id    TEXT,
    since     INTEGER NOT NULL,
    until     REAL NOT NULL
);
CREATE TABLE claims (
    request TEXT PRIMARY KEY,
    share   INTEGER NOT NULL,
    done    INTEGER
) WITHOUT ROWID;
CREATE TABLE counter (done INTEGER NOT NULL);
INSERT INTO counter VALUES (0);
"""
# The counter counts what was done: a share has seen everything up to `since` in the warehouse.


def open_claims(path: Path) -> sqlite3.Connection:
    """The database, made anew when it is damaged or says nothing about now. Raises OSError, sqlite3.Error."""
    try:
        return _opened(path)
    except (_StaleError, sqlite3.DatabaseError) as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        path.unlink(missing_ok=True)
        path.with_name(f"{path.name}-journal").unlink(missing_ok=True)
        return _opened(path)


def is_open(path: Path, opened: os.stat_result) -> bool:
    """The file is the one that was opened, and not another one in its place."""
    with suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), opened)
    return False


@contextmanager
def claims_errors(path: Path) -> Iterator[None]:
    """What SQLite and the disk say becomes StateError."""
    with state_errors("use", path):
        try:
            yield
        except sqlite3.Error as error:
            raise StateError(f"the claims {path} cannot be used: {error}; the next sync begins them anew") from error


class _StaleError(Exception):
    """What the file says is not to be believed."""


def _opened(path: Path) -> sqlite3.Connection:
    # SQLite would make it readable for the group; its journal takes the mode of the database.
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE))
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        _prepare(database, path)
    except BaseException:
        database.close()
        raise
    return database


def _prepare(database: sqlite3.Connection, path: Path) -> None:
    # No power loss matters; a journal that stays spares two changes of the directory each time
    database.execute("PRAGMA synchronous = OFF")
    database.execute("PRAGMA journal_mode = PERSIST")
    (found,) = database.execute("PRAGMA user_version").fetchone()
    NewerSchemaError.check(path, found, SCHEMA)
    if found < SCHEMA:
        database.executescript(f"BEGIN IMMEDIATE; {_CREATE}")
        database.execute("INSERT INTO boot VALUES (?)", (boot_id(),))
        database.execute(f"PRAGMA user_version = {SCHEMA:d}")
        database.execute("COMMIT")
    elif database.execute("PRAGMA quick_check").fetchone() != ("ok",) or _boot(database) != boot_id():
        raise _StaleError


def _boot(database: sqlite3.Connection) -> str | None:
    found = database.execute("SELECT id FROM boot").fetchone()
    return found[0] if found else None
