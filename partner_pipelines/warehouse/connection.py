"""The one way into the working database: the lock, the database for as long as the work takes, one transaction.

Writers wait for each other at a lock file, which the kernel hands on fairly; DuckDB's own lock never meets a second
process. Readers open published copies (reading.py) and meet neither.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection

from partner_pipelines.state.audit_segment import list_segments
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.files import locked, make_directory, state_errors, sync_directory
from partner_pipelines.state.versions import refuse_newer_segments
from partner_pipelines.warehouse.duckdb_errors import warehouse_errors
from partner_pipelines.warehouse.published_file import last_untouched
from partner_pipelines.warehouse.schema import changes, ensure_schema, read_known_facts
from partner_pipelines.warehouse.sql_files import sql
from partner_pipelines.warehouse.trail import finished_segments, load_trail


@dataclass(frozen=True, slots=True)
class Session:
    """The working database while its lock is held."""

    database: DuckDBPyConnection
    path: Path

    @contextmanager
    def transaction(self) -> Iterator[DuckDBPyConnection]:
        """One transaction: committed at the end, rolled back by any exception. Raises WarehouseError, StateError."""
        with warehouse_errors(self.path):
            self.database.begin()
            try:
                yield self.database
                self.database.commit()
            except BaseException:
                with suppress(duckdb.Error):
                    self.database.rollback()
                raise


class Warehouse:
    """The warehouse of one data directory; for any number of processes and threads, one writer at a time."""

    def __init__(self, data: DataDirectory, *, memory_limit: str = "96MB", threads: int = 1) -> None:
        self.data = data
        self._memory_limit = memory_limit
        self._threads = threads
        self._left: tuple[int, tuple[int, ...]] | None = None

    @property
    def path(self) -> Path:
        """The working database."""
        return self.data.warehouse / "working.duckdb"

    @contextmanager
    def writing(self) -> Iterator[DuckDBPyConnection]:
        """The working database for one transaction; the calls of the trail are loaded before it.

        Raises:
            NewerSchemaError: a newer version of this program (or of DuckDB) wrote the database or the trail.
            WarehouseError: DuckDB refused the work; the tables are as they were.
            StateError: the database cannot be opened or written, the sentence says why.
        """
        with self.session() as session, session.transaction() as database:
            yield database

    @contextmanager
    def session(self) -> Iterator[Session]:
        """The working database under its lock, for transactions one after the other. Raises as `writing` does."""
        with self.locked(), self.opened() as session:
            yield session

    @contextmanager
    def opened(self) -> Iterator[Session]:
        """The working database for who holds the lock already; the calls of the trail are in it."""
        with _private_files(), warehouse_errors(self.path), closing(self._open()) as database:
            ensure_schema(database, self.path)
            session = Session(database, self.path)
            with session.transaction():
                load_trail(database, self.data.segments)
            yield session
            number = changes(database)
        signature = self._signature()
        self._left = None if signature is None else (number, signature)

    def changes_when_left(self) -> int | None:
        """How often something was committed, if all of it is in the one file; None: only an opening can tell.

        Call it with the lock held. It is known when nobody has opened the database since this object closed it.
        """
        if self._left is None or self._left[1] != self._signature():
            return None
        return self._left[0]

    def _signature(self) -> tuple[int, ...] | None:
        """Differs when the database was written; None while DuckDB's log says that the file is not all."""
        with state_errors("read", self.path):
            if not self.path.exists() or self.path.with_name(f"{self.path.name}.wal").exists():
                return None
            found = self.path.stat()
        return found.st_ino, found.st_mtime_ns, found.st_size

    def refuse_newer(self) -> None:
        """Returns when this version knows the database, and each segment of the trail that it has still to read.

        Raises as `writing` does; changes nothing.
        """
        finished: frozenset[str] = frozenset()
        with state_errors("read", self.path):
            is_there = self.path.exists()
        if is_there:
            with self.locked(), warehouse_errors(self.path), closing(self._connect(self.path)) as database:
                if read_known_facts(database, self.path):
                    finished = finished_segments(database)
        refuse_newer_segments(path for path in list_segments(self.data.segments) if path.stem not in finished)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else opens the working database inside."""
        make_directory(self.data.warehouse, 0o755)
        with locked(self.data.warehouse / "writer.lock"):
            yield

    def _open(self) -> DuckDBPyConnection:
        with state_errors("make", self.path):
            if not self.path.exists():
                self._create()
        return self._connect(self.path)

    def _create(self) -> None:
        """A new database under another name first: one that a kill left half-made could never be opened again.

        Where one was published before, somebody has removed the working one: it is made of the last copy, with all
        that this program alone knows (what was first seen when, how far the trail is loaded).
        """
        unborn = self.data.warehouse / ".working.duckdb"
        for left in (unborn, unborn.with_name(f"{unborn.name}.wal")):
            left.unlink(missing_ok=True)
        copy = last_untouched(self.data.published)
        if copy is not None:
            shutil.copyfile(copy, unborn)  # its mode is the process's: private (see `opened`)
        with closing(self._connect(unborn)) as database:
            ensure_schema(database, unborn)
        unborn.rename(self.path)
        sync_directory(self.data.warehouse)

    def _connect(self, path: Path) -> DuckDBPyConnection:
        database = duckdb.connect(
            path,
            config={
                "memory_limit": self._memory_limit,
                "threads": self._threads,
                "temp_directory": str(self.data.warehouse / "tmp"),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            },
        )
        database.execute("SET TimeZone = 'UTC'")
        database.execute(sql("proven"))
        return database


@contextmanager
def _private_files() -> Iterator[None]:
    """What DuckDB makes is for this user alone, its log and what it spills too: it leaves the mode to the process."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)
