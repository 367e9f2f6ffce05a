"""Publishing: readers get an immutable copy under a number, and a link that says which one is current.

The working database is copied while nobody has it open: a copy of an open file could be half of a write, and opening
the file a second time would drop DuckDB's own lock on it.

A copy that is not as it was published (published_file.py) is left behind.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Collection
from pathlib import Path

from partner_pipelines.state.files import make_directory, state_errors, sync_directory
from partner_pipelines.warehouse.connection import Warehouse
from partner_pipelines.warehouse.published_file import checksum, is_usable, logs
from partner_pipelines.warehouse.schema import changes, note_change

VERSIONS_KEPT = 5
_PUBLIC_FILE = 0o444
_PUBLIC_DIRECTORY = 0o755


def publish(warehouse: Warehouse) -> Path:
    """What is committed can be read afterwards; returns the published file.

    Copies only when something changed that nobody else has published since, or when the current copy is not usable.

    Raises:
        StateError: the database, the disk; readers still have the version before.
    """
    link = warehouse.data.published
    with warehouse.locked():
        with state_errors("read", link):
            others = warehouse.published_since()
            if others is not None and is_usable(others):
                warehouse.published_is(others)
                return others
        version = _checkpointed(warehouse)
        with state_errors("publish", version):
            before = warehouse.published_version()
            if before == version and not is_usable(version):
                # Under a name of its own: whoever writes to that one may go on doing so
                version = _checkpointed(warehouse, anew=True)
            if before != version:
                make_directory(link.parent, _PUBLIC_DIRECTORY)
                _copy(warehouse.path, version)
                _point(link, version)
                _prune(link, {before, version})
        warehouse.published_is(version)
    return version


def _checkpointed(warehouse: Warehouse, *, anew: bool = False) -> Path:
    """Everything committed is in the one file; returns its name as a published copy, `anew`: a name it never had."""
    number = None if anew else warehouse.changes_when_left()
    if number is None:
        number = _opened_and_checkpointed(warehouse, anew=anew)
    return warehouse.data.published.with_name(f"warehouse-{number}-{checksum(warehouse.path)}.duckdb")


def _opened_and_checkpointed(warehouse: Warehouse, *, anew: bool) -> int:
    with warehouse.opened() as session:
        if anew:
            with session.transaction() as database:
                note_change(database)
        session.checkpoint()
        return changes(session.database)


def _copy(working: Path, version: Path) -> None:
    """A whole copy, on the disk, under its name; or nothing."""
    unfinished = version.with_name(f".{version.name}.{secrets.token_hex(4)}")
    try:
        with working.open("rb") as source, unfinished.open("xb") as target:
            _copy_bytes(source.fileno(), target.fileno())
            os.fchmod(target.fileno(), _PUBLIC_FILE)
            os.fsync(target.fileno())
        for log in logs(version):  # of a copy that had this name: DuckDB would take it for this one's
            log.unlink()
        unfinished.rename(version)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _copy_bytes(source: int, target: int) -> None:
    """In the kernel where it can: a file system that shares blocks copies nothing at all."""
    try:
        while os.copy_file_range(source, target, 1 << 30):
            pass
    except OSError:
        os.lseek(source, 0, os.SEEK_SET)
        os.lseek(target, 0, os.SEEK_SET)
        os.ftruncate(target, 0)
        with open(source, "rb", closefd=False) as reader, open(target, "wb", closefd=False) as writer:
            shutil.copyfileobj(reader, writer, 1 << 20)


def _point(link: Path, version: Path) -> None:
    unborn = link.with_name(f".{link.name}.{secrets.token_hex(4)}")
    unborn.symlink_to(version.name)
    unborn.rename(link)
    sync_directory(link.parent)


def _prune(link: Path, needed: Collection[Path | None]) -> None:
    """The last versions stay, for readers that open one by its name; what a killed process left goes.

    Those that are needed stay even if a clock that was ahead makes others look younger.
    """
    versions = sorted(link.parent.glob("warehouse-*.duckdb"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for old in versions[VERSIONS_KEPT:]:
        if old not in needed:
            for left in (*logs(old), old):
                left.unlink(missing_ok=True)
    for left in link.parent.glob(".*duckdb.*"):
        left.unlink(missing_ok=True)
