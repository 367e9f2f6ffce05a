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
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from partner_pipelines.state.claims_file import claims_errors, is_open, open_claims
from partner_pipelines.state.files import locked, make_directory
from partner_pipelines.state.process import ProcessIdentity, current_process, seconds_since_boot

LEASE_SECONDS = 900.0
"""How long a share lives after its last word, where nobody can see whether its process does (another container)."""


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
        with self._thread, locked(lock), claims_errors(self._path):
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
        if self._database is None or not is_open(self._path, self._opened):
            self._close()
            self._database = open_claims(self._path)
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
