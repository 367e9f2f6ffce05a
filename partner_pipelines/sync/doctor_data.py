"""`doctor` on the data directory: stamp, room, rights, and the warehouse in it."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from partner_pipelines.errors import StateError
from partner_pipelines.settings import Settings
from partner_pipelines.state.data_directory import STAMP, DataDirectory, open_data_directory
from partner_pipelines.state.files import locked_within, make_directory, state_errors, write_synced
from partner_pipelines.state.versions import refuse_newer_state
from partner_pipelines.sync.doctor_findings import Finding
from partner_pipelines.sync.doctor_table import found, green
from partner_pipelines.warehouse.connection import Warehouse
from partner_pipelines.warehouse.published_file import is_usable
from partner_pipelines.warehouse.reading import open_published

_PROBE_BYTES = 64 * 1024
_PRIVATE = ("audit", "state", "webhooks", "outbox", "dagster")
_SECRET = ("keys", "tokens", "vault")
_MEBIBYTE = 1024 * 1024
_LOW_BYTES = 1024 * _MEBIBYTE
_FULL_BYTES = 64 * _MEBIBYTE
_COPIES = 6  # five are kept, and the next one is made before the oldest goes
_WAIT_SECONDS = 20.0


def check_data_directory(settings: Settings) -> Iterator[Finding]:
    """The directory is there afterwards, as for any command. Raises UsageError, StateError."""
    stamp = settings.data_dir / STAMP
    with state_errors("read", stamp):
        is_new = not stamp.exists()
    data = open_data_directory(settings.data_dir, settings.environment)
    refuse_newer_state(data)
    make_directory(data.state)
    _probe(data.state / f".doctor-{os.getpid()}")
    looked_at = list(_private_paths(data))
    shown, foreign = [path for path in looked_at if _is_open(path)], [path for path in looked_at if _is_foreign(path)]
    if shown:
        yield found("data_open", f"{_first(shown)} can be read or written by others")
    if foreign:
        yield found("data_foreign", f"{_first(foreign)} belongs to another user")
    if not shown and not foreign:
        yield green("data directory", f"{data.root}, {'made now, ' if is_new else ''}of {settings.environment}")


def _probe(path: Path) -> None:
    """As much as a first segment of the trail takes can be written and synced."""
    with state_errors("write", path):
        try:
            write_synced(path, bytes(_PROBE_BYTES))
        finally:
            path.unlink(missing_ok=True)


def _private_paths(data: DataDirectory) -> Iterator[Path]:
    with state_errors("read", data.root):
        for name in _PRIVATE:
            if (data.root / name).exists():
                yield data.root / name
        for name in _SECRET:
            if (data.state / name).exists():
                yield from (path for path in (data.state / name).iterdir() if path.is_file())


def _is_open(path: Path) -> bool:
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def _is_foreign(path: Path) -> bool:
    return path.stat().st_uid != os.geteuid()


def _first(paths: list[Path]) -> str:
    more = len(paths) - 1
    return f"{paths[0]}{f' and {more} more' if more else ''}"


def check_disk(data: DataDirectory) -> Iterator[Finding]:
    """Whether the next published copies find room."""
    database = Warehouse(data).path
    with state_errors("look at the disk of", data.root):
        there = next(path for path in (data.root, *data.root.parents) if path.exists())
        free = shutil.disk_usage(there).free
        files = os.statvfs(there)
        needed = database.stat().st_size if database.exists() else 0
    says = f"{free // _MEBIBYTE:,} MiB are free, the database takes {needed // _MEBIBYTE:,} MiB"
    if free < max(_FULL_BYTES, needed) or (files.f_files and not files.f_favail):
        yield found("disk_full", says)
    elif free < max(_LOW_BYTES, _COPIES * needed):
        yield found("disk_low", says)
    else:
        yield green("disk", says)


def check_warehouse(data: DataDirectory) -> Iterator[Finding]:
    """Whether it opens, and whether readers see all of it. Raises NewerSchemaError."""
    warehouse = Warehouse(data)
    with state_errors("read", warehouse.path):
        is_there = warehouse.path.exists() or warehouse.published_version() is not None
    if not is_there:
        yield found("warehouse_none", "nothing was loaded yet")
        return
    try:
        yield _of_published(data, warehouse, _missing_changes(warehouse))
    except StateError as error:
        yield found("warehouse_broken", str(error))


def _missing_changes(warehouse: Warehouse) -> int | None:
    """How many changes are not published; None while a writer has it. Raises StateError."""
    if not warehouse.path.exists():
        return 0  # it is made of the published copy when it is next opened
    with locked_within(warehouse.data.warehouse / "writer.lock", _WAIT_SECONDS) as held:
        return warehouse.unpublished_changes() if held else None


def _of_published(data: DataDirectory, warehouse: Warehouse, missing: int | None) -> Finding:
    version = warehouse.published_version()
    if missing is None:
        return found("warehouse_held", f"a writer has had {warehouse.path} for {_WAIT_SECONDS:.0f} s")
    with state_errors("read", data.published):
        usable = version is not None and version.exists() and is_usable(version)
    if version is None or not usable:
        return found("published_unusable", f"{data.published} leads to no copy that is as it was published")
    with closing(open_published(data)) as database:
        ((tables,),) = database.execute("SELECT count(*) FROM duckdb_tables()").fetchall()
    if missing > 0:
        return found("published_old", f"{version.name} lacks {missing:,} changes")
    return green("warehouse", f"it opens; {version.name} has all of it, {tables} tables")
