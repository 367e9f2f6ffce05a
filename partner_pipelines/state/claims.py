"""Who is at what: leases on requests, one file per connection, for all processes of the machine.

A run opens a share before it looks at the warehouse. What it claims nobody else asks for; what it has landed others,
who looked at the warehouse before that, are told as done. A claim is freed by its holder, with the holder's share,
or when the holder is found dead. Losing this file costs requests, never rows: so it is not synced, and one that is
damaged or from before the last boot is begun anew.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from partner_pipelines.errors import NewerSchemaError, StateError
from partner_pipelines.state.files import PRIVATE_FILE, locked, make_directory, state_errors
from partner_pipelines.state.process import ProcessIdentity, boot_id, current_process, seconds_since_boot

SCHEMA = 1
LEASE_SECONDS = 900.0
"""How long a share lives after its last word, where nobody can see whether its process does (another container)."""

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


class Holder(NamedTuple):
    """Who is at it."""

    run_id: str | None
    pid: int

    def __str__(self) -> str:
        """As a sentence names it."""
        return f"process {self.pid}" if self.run_id is None else f"the run {self.run_id} (process {self.pid})"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a request stands for one share. Neither held nor done: free."""

    holder: Holder | None = None
    done: bool = False


FREE = Standing()


class Claims:
    """The claims on one connection's requests."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def share(self, run_id: str | None) -> Share:
        """A share of the work, to be opened with `with`, before the look at the warehouse."""
        return Share(self._path, run_id)


class Share:
    """One run's part in a connection's requests. Thread-safe. Every method raises StateError, NewerSchemaError."""

    def __init__(self, path: Path, run_id: str | None) -> None:
        self._path = path
        self._run_id = run_id
        self._share = 0
        self._thread = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._opened: os.stat_result

    def __enter__(self) -> Self:
        with self._transaction() as database:
            _bury(database)
            row = (*_identity(), self._run_id, _counted(database), _lease())
            text = "INSERT INTO shares (pid, started, namespace, run_id, since, until) VALUES (?, ?, ?, ?, ?, ?)"
            self._share = database.execute(text, row).lastrowid or 0
        return self

    def __exit__(self, *_: object) -> None:
        with self._transaction() as database:
            self._leave(database)
            database.execute("DELETE FROM shares WHERE share = ?", (self._share,))
            _forget_what_all_have_seen(database)
        self._close()

    def look_again(self) -> None:
        """The holder looks at the warehouse once more: what is done by now it will see there."""
        with self._transaction() as database:
            database.execute("UPDATE shares SET since = ? WHERE share = ?", (_counted(database), self._share))
            _forget_what_all_have_seen(database)

    @contextmanager
    def claiming(self) -> Iterator[Claiming]:
        """One at a time: how requests stand, and claims on some of them."""
        with self._transaction() as database:
            _bury(database, but=self._share)
            self._enlist(database)
            yield Claiming(database, self._share)

    def settle(self, *, done: Collection[str], freed: Collection[str] = ()) -> None:
        """Claimed requests whose answers are landed, and others that are given up."""
        with self._transaction() as database:
            self._enlist(database)
            counted = _counted(database) + 1
            database.execute("UPDATE counter SET done = ?", (counted,))
            rows = [(request, self._share, counted) for request in done]
            database.executemany("INSERT OR REPLACE INTO claims VALUES (?, ?, ?)", rows)
            mine = [(request, self._share) for request in freed]
            database.executemany("DELETE FROM claims WHERE request = ? AND share = ? AND done IS NULL", mine)

    def _enlist(self, database: sqlite3.Connection) -> None:
        """The share stands in the file, though another process may have taken it for dead or begun the file anew."""
        row = (self._share, *_identity(), self._run_id, _counted(database), _lease())
        database.execute(
            "INSERT INTO shares VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET until = excluded.until", row
        )

    def _leave(self, database: sqlite3.Connection) -> None:
        database.execute("DELETE FROM claims WHERE share = ? AND done IS NULL", (self._share,))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        make_directory(self._path.parent)
        lock = self._path.with_name(f"{self._path.name}.lock")
        with self._thread, locked(lock), _errors(self._path):
            database = self._current()
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise
            database.execute("COMMIT")

    def _current(self) -> sqlite3.Connection:
        """The database stays open: to open it costs more than a claim. Another process may have begun the file anew."""
        if self._database is None or not _is_open(self._path, self._opened):
            self._close()
            self._database = _open(self._path)
            self._opened = self._path.stat()
        return self._database

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
        self._database = None


class Claiming:
    """Inside of `Share.claiming`: nobody else claims meanwhile."""

    def __init__(self, database: sqlite3.Connection, share: int) -> None:
        self._database = database
        self._share = share

    def standings(self, requests: Sequence[str]) -> Mapping[str, Standing]:
        """How each of these stands that is not free."""
        found = self._database.execute(
            """
            SELECT claims.request, claims.done, holders.run_id, holders.pid
            FROM claims JOIN shares AS mine ON mine.share = ?
            LEFT JOIN shares AS holders ON holders.share = claims.share
            WHERE claims.request IN (SELECT value FROM json_each(?))
            AND (claims.done > mine.since OR claims.done IS NULL AND claims.share <> mine.share)
            """,
            (self._share, json.dumps(requests)),
        )
        return {
            request: Standing(done=True) if done is not None else Standing(Holder(run_id, pid))
            for request, done, run_id, pid in found
        }

    def claim(self, requests: Collection[str]) -> None:
        """These are the share's own now; they must be free."""
        rows = [(request, self._share) for request in requests]
        self._database.executemany("INSERT OR REPLACE INTO claims VALUES (?, ?, NULL)", rows)


def _identity() -> tuple[int, int, int]:
    process = current_process()
    return process.pid, process.started, process.namespace


def _lease() -> float:
    return seconds_since_boot() + LEASE_SECONDS


def _counted(database: sqlite3.Connection) -> int:
    (counted,) = database.execute("SELECT done FROM counter").fetchone()
    return int(counted)


def _bury(database: sqlite3.Connection, but: int = 0) -> None:
    """The dead hold nothing; what they had landed stays done. `but`: the share that asks, which is alive."""
    for share, pid, started, namespace, until in database.execute(
        "SELECT share, pid, started, namespace, until FROM shares WHERE share <> ?", (but,)
    ).fetchall():
        if until < seconds_since_boot() or ProcessIdentity(pid, started, namespace).is_known_dead():
            database.execute("DELETE FROM claims WHERE share = ? AND done IS NULL", (share,))
            database.execute("DELETE FROM shares WHERE share = ?", (share,))


def _forget_what_all_have_seen(database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM claims WHERE done <= coalesce((SELECT min(since) FROM shares), done)")


def _is_open(path: Path, opened: os.stat_result) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), opened)
    return False


def _open(path: Path) -> sqlite3.Connection:
    """The database, made anew when it is damaged or says nothing about now. Raises OSError, sqlite3.Error."""
    try:
        return _opened(path)
    except (_StaleError, sqlite3.DatabaseError) as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        path.unlink(missing_ok=True)
        path.with_name(f"{path.name}-journal").unlink(missing_ok=True)
        return _opened(path)


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


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    with state_errors("use", path):
        try:
            yield
        except sqlite3.Error as error:
            raise StateError(f"the claims {path} cannot be used: {error}; the next sync begins them anew") from error
