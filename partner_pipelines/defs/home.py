"""DAGSTER_HOME: made whole or not at all, and opened.

Eight processes that first meet an empty home break it when each makes it for itself (alembic then finds two heads, for
ever). So one of them makes it in a temporary directory, under a lock, and renames it into place.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import DagsterInstance, __version__
from dagster._core.instance.ref import InstanceRef
from sqlalchemy.exc import SQLAlchemyError

from partner_pipelines.defs.storage import Storage
from partner_pipelines.errors import NewerSchemaError, StateError
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.files import locked, make_directory, state_errors, sync_directory, write_atomically
from partner_pipelines.state.versions import DAGSTER_HOME_SCHEMA as SCHEMA

STAMP = "partner_pipelines.json"

_STORAGE = """\
storage:
  custom:
    module: partner_pipelines.defs.storage
    class: Storage
    config:
      base_dir: {env: DAGSTER_HOME}
"""

_HEAD = """\
# Made once by partner-pipelines; what you change here stays.
# The storage is Dagster's own: SQLite files in this directory, opened by a class that keeps them open.
"""

CONFIG = (
    f"{_HEAD}{_STORAGE}"
    """\
telemetry:
  enabled: false
nux:
  enabled: false
# What a step prints is not kept: capturing it costs two more processes a run, and prints may hold anything.
compute_logs:
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
# Every step of every run would else stand in dagster/logs too, which grow until `up` is started again.
python_logs:
  python_log_level: WARNING
run_monitoring:
  enabled: true
  start_timeout_seconds: 180
  cancel_timeout_seconds: 180
  poll_interval_seconds: 30
concurrency:
  runs:
    max_concurrent_runs: 4
    # A schedule's next run waits for the one before it.
    tag_concurrency_limits:
      - key: dagster/schedule_name
        value:
          applyLimitPerUniqueValue: true
        limit: 1
code_servers:
  local_startup_timeout: 120
  reload_timeout: 60
retention:
  schedule:
    purge_after_days: {skipped: 7, success: 30, failure: 90, started: 30}
  sensor:
    purge_after_days: {skipped: 1, success: 7, failure: 30, started: 7}
"""
)

# Run-failure sensors look at 5 runs a tick unless this says more: an outage of an hour makes more.
ENVIRONMENT: Mapping[str, str] = {
    "DAGSTER_RUN_STATUS_SENSOR_PROCESS_LIMIT": "100",
    "DAGSTER_DISABLE_TELEMETRY": "1",
}


def open_instance(data: DataDirectory) -> DagsterInstance:
    """Dagster's record of runs and assets, made if it was not there. Close it: it is a context manager.

    Raises:
        NewerSchemaError: a newer version of this program or of Dagster wrote it.
        StateError: it cannot be made or read, or another program made it.
    """
    return _open(make_home(data))


def make_home(data: DataDirectory) -> Path:
    """DAGSTER_HOME, there and whole afterwards, of this version. Raises as `open_instance`."""
    home = data.dagster
    if _stamped_version(home) == __version__:
        return home
    make_directory(data.state)
    with locked(data.state / "dagster.lock"):
        found = _stamped_version(home)
        if found is None:
            _make_whole(home)
        elif found != __version__:
            _upgrade(home, found)
    return home


def home_environment(data: DataDirectory) -> dict[str, str]:
    """The variables by which a child process of Dagster finds the home."""
    return {**ENVIRONMENT, "DAGSTER_HOME": str(make_home(data))}


def _make_whole(home: Path) -> None:
    if home.exists():
        raise StateError(f"{home} was not made by this program: move it away, or use another PARTNER_DATA_DIR")
    unfinished = home.with_name(f".{home.name}.unfinished")
    with state_errors("make", home):
        shutil.rmtree(unfinished, ignore_errors=True)
        make_directory(unfinished)
        write_atomically(unfinished / "dagster.yaml", CONFIG.encode())
        _open_every_storage(unfinished)
        _write_stamp(unfinished)
        unfinished.rename(home)
        sync_directory(home.parent)


def _open_every_storage(home: Path) -> None:
    """Each storage makes its database when it is first opened, and alembic stamps it."""
    with storage_errors(home), _open(home) as instance:
        instance.get_runs_count()
        instance.all_instigator_state()
        instance.get_asset_records(None)


def _upgrade(home: Path, found: str) -> None:
    if _numbers(found) > _numbers(__version__):
        raise NewerSchemaError(home / STAMP, found, __version__, of="dagster")
    with storage_errors(home), _open(home) as instance:
        instance.upgrade()
    _write_stamp(home)


def _write_stamp(home: Path) -> None:
    write_atomically(home / STAMP, json.dumps({"schema": SCHEMA, "dagster": __version__}).encode() + b"\n")


def _stamped_version(home: Path) -> str | None:
    """The version of Dagster that wrote the home, None when it has no stamp."""
    stamp = home / STAMP
    with state_errors("read", stamp):
        try:
            content = stamp.read_bytes()
        except FileNotFoundError:
            return None
    try:
        values = json.loads(content)
        schema, version = int(values["schema"]), str(values["dagster"])
    except (ValueError, KeyError, TypeError) as error:
        raise StateError(f"{stamp} is not a stamp of this program: restore it, or move {home} away") from error
    NewerSchemaError.check(stamp, schema, SCHEMA)
    return version


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


@contextmanager
def storage_errors(home: Path) -> Iterator[None]:
    """Turns what SQLite and the disk say into a StateError of one line."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise StateError(f"Dagster's storage in {home} cannot be used: {_cause(home, error)}") from error


_SMALLEST_ROOM_BYTES = 64 * 1024


def _cause(home: Path, error: Exception) -> str:
    """SQLite says `disk I/O error` for most of what can be wrong with a disk."""
    with suppress(OSError):
        if shutil.disk_usage(home).free < _SMALLEST_ROOM_BYTES:
            return f"the disk is full: make room ({_one_line(error)})"
        if not os.access(home, os.W_OK):
            return f"this user may not write there, or the disk is read-only ({_one_line(error)})"
    return _one_line(error)


def _open(home: Path) -> DagsterInstance:
    with storage_errors(home):
        try:
            reference = InstanceRef.from_dir(str(home), overrides=_with_path(home))
            return DagsterInstance.from_ref(reference)
        except dg.DagsterError as error:
            raise StateError(f"{home / 'dagster.yaml'} cannot be used: {_one_line(error)}") from error


def _with_path(home: Path) -> dict[str, Any]:
    """The storage of `CONFIG` with the home's path: DAGSTER_HOME need not be set in this process.

    A home from before that class gets it too: the files are the same. Another storage that someone chose stays.
    """
    config = home / "dagster.yaml"
    text = config.read_text() if config.exists() else ""
    if _STORAGE not in text and re.search(r"^(run_|event_log_|schedule_)?storage:", text, re.MULTILINE):
        return {}
    ours = {"module": Storage.__module__, "class": Storage.__name__, "config": {"base_dir": str(home)}}
    return {"storage": {"custom": ours}}


def _one_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
