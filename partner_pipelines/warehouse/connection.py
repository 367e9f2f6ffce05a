"""The one way into the working database: the lock, the database for as long as the work takes, one transaction.

Writers wait for each other at a lock file, which the kernel hands on fairly; DuckDB's own lock never meets a second
process. Readers open published copies (reading.py) and meet neither.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection

from partner_pipelines.state.audit_segment import list_segments
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.files import locked, make_directory, state_errors, sync_directory
from partner_pipelines.state.versions import refuse_newer_segments
from partner_pipelines.warehouse.duckdb_errors import warehouse_errors
from partner_pipelines.warehouse.published_file import last_untouched
from partner_pipelines.warehouse.quoting import literal
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

    def checkpoint(self) -> None:
        """All that is committed is in the one file. Call it outside a transaction. Raises StateError."""
        with warehouse_errors(self.path):
            self.database.execute("CHECKPOINT working")


@dataclass(frozen=True, slots=True)
class _Left:
    """What the database and the published copy were when this process last had it open."""

    changes: int
    signature: tuple[int, ...] | None
    published: Path | None


_SMALL_WORK_BYTES = 64 * 1024 * 1024
"""To throw the engine away after each batch of a thousand rows, and to start it again, is a fifth of a write."""
_ROW_GROUP = "ROW_GROUP_SIZE 16384"
"""A checkpoint reads and writes the row group that is changed, every column of it. Of DuckDB's own 122,880 rows that
took 70 MiB when the milestones of 15,360 properties had filled the first."""
_SMALL_BLOCKS = f"{_ROW_GROUP}, BLOCK_SIZE 16384"
"""For a new database: some blocks of every column are held, 20 MiB less of the smallest ones than of DuckDB's own
262,144 bytes. A file keeps the size that it was made with."""
_NUMBER = re.compile(r"warehouse-(\d+)-")


class Warehouse:
    """The warehouse of one data directory; for any number of processes and threads, one writer at a time."""

    def __init__(self, data: DataDirectory, *, memory_limit: str = "96MB", threads: int = 1) -> None:
        self.data = data
        self._memory_limit = memory_limit
        self._threads = threads
        self._left: _Left | None = None
        self._engine: DuckDBPyConnection | None = None

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
        with _private_files(), warehouse_errors(self.path), self._open() as database:
            ensure_schema(database, self.path)
            session = Session(database, self.path)
            with session.transaction():
                load_trail(database, self.data.segments)
            yield session
            number = changes(database)
        self._left = _Left(number, self._signature(), self.published_version())

    def changes_when_left(self) -> int | None:
        """How often something was committed, if all of it is in the one file; None: only an opening can tell.

        Call it with the lock held. It is known when nobody has opened the database since this object closed it.
        """
        if self._left is None or self._left.signature is None or self._left.signature != self._signature():
            return None
        return self._left.changes

    def published_since(self) -> Path | None:
        """The current copy, if somebody published all that this object committed since it did so; else None.

        Call it with the lock held.
        """
        version = self.published_version()
        if self._left is None or version is None or version == self._left.published:
            return None
        number = _NUMBER.match(version.name)
        return version if number is not None and int(number[1]) >= self._left.changes else None

    def published_is(self, version: Path) -> None:
        """All that this object committed is in this copy. Call it with the lock held."""
        if self._left is not None:
            self._left = replace(self._left, published=version)

    def others_have_committed(self, number: int) -> None:
        """What we waited for is in the database since its change of this number. Call it with the lock held."""
        self._left = _Left(number, None, None)

    def published_version(self) -> Path | None:
        """The copy that readers are led to, whether it is there or not; None before the first."""
        link = self.data.published
        return link.parent / link.readlink() if link.is_symlink() else None

    def _signature(self) -> tuple[int, ...] | None:
        """Differs when the database was written; None while DuckDB's log says that the file is not all."""
        with state_errors("read", self.path):
            if not self.path.exists() or self.path.with_name(f"{self.path.name}.wal").exists():
                return None
            found = self.path.stat()
        return found.st_ino, found.st_mtime_ns, found.st_size

    def unpublished_changes(self) -> int:
        """How many changes the published copy lacks. Call it with the lock held, where there is a database.

        Changes nothing. Raises as `writing` does.
        """
        with warehouse_errors(self.path), self._attached(self.path) as database:
            read_known_facts(database, self.path)
            committed = changes(database)
        version = self.published_version()
        number = _NUMBER.match(version.name) if version is not None else None
        return committed - (int(number[1]) if number is not None else 0)

    def refuse_newer(self) -> None:
        """Returns when this version knows the database, and each segment of the trail that it has still to read.

        Raises as `writing` does; changes nothing.
        """
        finished: frozenset[str] = frozenset()
        with state_errors("read", self.path):
            is_there = self.path.exists()
        if is_there:
            with self.locked(), warehouse_errors(self.path), self._attached(self.path) as database:
                if read_known_facts(database, self.path):
                    finished = finished_segments(database)
        refuse_newer_segments(list_segments(self.data.segments, finished))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else opens the working database inside."""
        make_directory(self.data.warehouse, 0o755)
        with locked(self.data.warehouse / "writer.lock"):
            yield

    @contextmanager
    def _open(self) -> Iterator[DuckDBPyConnection]:
        with state_errors("make", self.path):
            if not self.path.exists():
                self._create()
        with self._attached(self.path) as database:
            yield database

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
        with self._attached(unborn, _ROW_GROUP if copy is not None else _SMALL_BLOCKS) as database:
            ensure_schema(database, unborn)
        unborn.rename(self.path)
        sync_directory(self.data.warehouse)

    @contextmanager
    def _attached(self, path: Path, options: str = _ROW_GROUP) -> Iterator[DuckDBPyConnection]:
        """The database file, opened in an engine that stays: to start one takes longer than most of the work.

        After an error the engine goes too: what it met may have made it useless, and the file be held. And after much
        work: it gives memory back only when it ends.
        """
        engine = self._engine = self._engine or self._start()
        try:
            engine.execute(f"ATTACH {literal(str(path))} AS working ({options})")
            with closing(engine.cursor()) as database:  # what is temporary ends with it
                database.execute("USE working")
                database.execute("SET TimeZone = 'UTC'")
                database.execute(sql("proven"))
                yield database
            worked_hard = _memory_in_use(engine) > _SMALL_WORK_BYTES
            engine.execute("DETACH working")
            if worked_hard:
                self._engine = None
                engine.close()
        except BaseException:
            self._engine = None
            engine.close()
            raise

    def _start(self) -> DuckDBPyConnection:
        return duckdb.connect(
            config={
                "memory_limit": self._memory_limit,
                "threads": self._threads,
                # The engine stays, what a merge took does not: without these a first sync peaks 70 MiB higher
                "allocator_flush_threshold": "4MB",
                "allocator_bulk_deallocation_flush_threshold": "8MB",
                "temp_directory": str(self.data.warehouse / "tmp"),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            },
        )


def _memory_in_use(engine: DuckDBPyConnection) -> int:
    found = engine.execute("SELECT sum(memory_usage_bytes) FROM duckdb_memory()").fetchone()
    return int(found[0]) if found else 0


@contextmanager
def _private_files() -> Iterator[None]:
    """What DuckDB makes is for this user alone, its log and what it spills too: it leaves the mode to the process."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)
