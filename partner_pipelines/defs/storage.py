"""Dagster's own SQLite files, with what it makes anew for every event kept: engines, compiled SQL, one connection.

Dagster makes a SQLAlchemy engine for each event, compiles its statements and closes the last connection, which makes
SQLite fold its log into the file: 18 ms an event, 298 events a sync (measured: docs/design.md). The files stay the
same: Dagster's plain storage opens them too.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import create_engine
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import StaticPool

_RUNS_KEPT = 16


class EventLogStorage(SqliteEventLogStorage):
    """Events in `history/runs/`: `index.db` and a file for each run."""

    def __init__(self, base_dir: str) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._tables: set[str] = set()
        super().__init__(base_dir)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        # The lock is what makes one connection enough for all threads
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def store_event(self, event: EventLogEntry) -> None:
        """As Dagster's, and whoever watches the run's file learns of it."""
        super().store_event(event)
        # The UI watches the run's file, which SQLite does not write before its log is long or its connection closed
        os.utime(self.path_for_shard(event.run_id))

    def has_table(self, table_name: str) -> bool:
        """Asked for every event; what is there stays."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def _engine(self, shard: str) -> Engine:
        engine = self._engines.pop(shard, None) or self._make_engine(shard)
        self._engines[shard] = engine
        if len(self._engines) > _RUNS_KEPT:
            oldest = next(name for name in self._engines if name != INDEX_SHARD_NAME)
            self._engines.pop(oldest).dispose()
        return engine

    def _make_engine(self, shard: str) -> Engine:
        arguments = {"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False}
        return create_engine(self.conn_string_for_shard(shard), poolclass=StaticPool, connect_args=arguments)

    def dispose(self) -> None:
        """Closes what is kept."""
        super().dispose()
        with self._db_lock:
            for engine in self._engines.values():
                engine.dispose()
            self._engines.clear()


class Storage(DagsterSqliteStorage):
    """What `dagster.yaml` names as `storage`."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        plain = self._event_log_storage
        self._event_log_storage = EventLogStorage(plain._base_dir)  # noqa: SLF001 - Dagster's own place for the files
        plain.dispose()

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Storage:
        """Dagster's way to make one."""
        return cls.from_local(inst_data=inst_data, **config_value)
