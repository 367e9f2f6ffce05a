"""The outbox's file: its tables, and one transaction in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from partner_pipelines.state.private_sqlite import PrivateSQLite

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
_BY_ITEM = "CREATE INDEX writes_by_item ON writes (connection, kind, coalesce(target, partner_id), id)"
_STEPS = (_CREATE, _BY_ITEM)
SCHEMA = len(_STEPS)


@contextmanager
def outbox_transaction(directory: Path) -> Iterator[sqlite3.Connection]:
    """The outbox's database in one transaction, which survives power loss afterwards. Raises StateError."""
    with _file(directory).opened() as database:
        database.row_factory = sqlite3.Row
        database.execute("BEGIN IMMEDIATE")
        try:
            yield database
        except BaseException:
            database.execute("ROLLBACK")
            raise
        database.execute("COMMIT")


def outbox_exists(directory: Path) -> bool:
    """Whether anything was ever put into it. Raises StateError."""
    return _file(directory).exists()


def copy_outbox(directory: Path, target: Path) -> None:
    """The outbox's database as it is between two transactions, in a new file of mode 0600. Raises StateError."""
    _file(directory).copy_to(target)


def next_revision(database: sqlite3.Connection) -> int:
    """A number that is larger than that of every change before."""
    (revision,) = database.execute("UPDATE counter SET revision = revision + 1 RETURNING revision").fetchone()
    return int(revision)


def _file(directory: Path) -> PrivateSQLite:
    return PrivateSQLite(directory / FILE, "outbox", _STEPS)
