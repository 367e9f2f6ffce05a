"""The outbox's file: SQLite, opened for one transaction under a blocking lock, as the vault is and for its reasons."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from partner_pipelines.errors import NewerSchemaError, StateError
from partner_pipelines.state.files import PRIVATE_FILE, locked, make_directory, state_errors, sync_directory
from partner_pipelines.state.vault import copy_database

SCHEMA = 1
FILE = "outbox.sqlite"

_CREATE = """
CREATE TABLE writes (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    kind            TEXT NOT NULL,
    connection      TEXT NOT NULL,
    key             TEXT NOT NULL,
    is_natural      INTEGER NOT NULL,
    target          TEXT,
    payload         TEXT,
    payload_hash    TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    source          TEXT NOT NULL,
    line            INTEGER,
    label           TEXT,
    state           TEXT NOT NULL,
    action          TEXT,
    attempts        INTEGER NOT NULL DEFAULT 0,
    looks           INTEGER NOT NULL DEFAULT 0,
    partner_id      TEXT,
    operation_ids   TEXT NOT NULL DEFAULT '[]',
    request_ids     TEXT NOT NULL DEFAULT '[]',
    reason          TEXT,
    field_errors    TEXT,
    queued_at       TEXT NOT NULL,
    sent_at         TEXT,
    uncertain_at    TEXT,
    finished_at     TEXT,
    due             REAL,
    pid             INTEGER,
    started         INTEGER,
    namespace       INTEGER,
    boot            TEXT,
    revision        INTEGER NOT NULL
);
CREATE INDEX writes_by_key ON writes (kind, connection, key, id);
CREATE INDEX writes_by_state ON writes (state, connection, id);
CREATE INDEX writes_by_revision ON writes (revision);
CREATE TABLE counter (revision INTEGER NOT NULL);
INSERT INTO counter VALUES (0);
"""


@contextmanager
def outbox_transaction(directory: Path) -> Iterator[sqlite3.Connection]:
    """The outbox's database in one transaction, which survives power loss afterwards. Raises StateError."""
    path = directory / FILE
    make_directory(directory)
    with locked(path.with_name(f"{FILE}.lock")), _outbox_errors(path):
        _create_private(path)
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.row_factory = sqlite3.Row
            _prepare(database, path)
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
            except BaseException:
                database.execute("ROLLBACK")
                raise
            database.execute("COMMIT")


def outbox_exists(directory: Path) -> bool:
    """Whether anything was ever put into it. Raises StateError."""
    with state_errors("read", directory):
        return (directory / FILE).exists()


def copy_outbox(directory: Path, target: Path) -> None:
    """The outbox's database as it is between two transactions, in a new file of mode 0600. Raises StateError."""
    path = directory / FILE
    # No transaction of ours: SQLite copies nothing of a database that its own connection is writing to
    with (
        locked(path.with_name(f"{FILE}.lock")),
        _outbox_errors(path),
        state_errors("write", target),
        closing(sqlite3.connect(path, isolation_level=None)) as database,
    ):
        copy_database(database, target)


def next_revision(database: sqlite3.Connection) -> int:
    """A number that is larger than that of every change before."""
    (revision,) = database.execute("UPDATE counter SET revision = revision + 1 RETURNING revision").fetchone()
    return int(revision)


def _create_private(path: Path) -> None:
    # SQLite would make it readable for the group; its journal takes the mode of the database
    with state_errors("make", path):
        if not path.exists():
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE))
            sync_directory(path.parent)


def _prepare(database: sqlite3.Connection, path: Path) -> None:
    database.execute("PRAGMA synchronous = FULL")
    database.execute("PRAGMA secure_delete = ON")
    (found,) = database.execute("PRAGMA user_version").fetchone()
    NewerSchemaError.check(path, found, SCHEMA)
    if found < SCHEMA:
        database.executescript(f"BEGIN IMMEDIATE; {_CREATE} PRAGMA user_version = {SCHEMA:d}; COMMIT")


@contextmanager
def _outbox_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        # SQLite's sentences name files and tables, never values
        raise StateError(f"the outbox {path} cannot be used: {error}") from error
