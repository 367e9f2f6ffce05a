"""Landed answers go into the tables: each file once, each row's latest news, whatever order they come in.

A killed process leaves either a file that is not merged, or one that `internal.landed` names: it is only removed then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from duckdb import DuckDBPyConnection

from partner_pipelines.state.files import state_errors
from partner_pipelines.state.landing import Landing
from partner_pipelines.state.versions import refuse_newer_landed
from partner_pipelines.warehouse import statements
from partner_pipelines.warehouse.connection import Session, Warehouse
from partner_pipelines.warehouse.gone_statements import mark_absent_statement, mark_gone_with_parent_statement
from partner_pipelines.warehouse.history import end_versions, record_versions
from partner_pipelines.warehouse.memory_file import memory_file
from partner_pipelines.warehouse.parameters import Value, bind, execute, moments
from partner_pipelines.warehouse.schema import note_change
from partner_pipelines.warehouse.sql_files import sql
from partner_pipelines.warehouse.tables import GONE, TABLES

_BYTES_AT_ONCE = 8 * 1024 * 1024
"""How much is merged in one transaction: it bounds the memory. About 2,000 properties with all their rows."""

_LISTED_BY = {"openmoove.milestones": "openmoove.milestones", "openmoove.team_members": "openmoove.detail"}
"""Rows of a property, and the source whose complete answer lists all of them."""


@dataclass(frozen=True, slots=True)
class TableChanges:
    """How many rows of one table came, changed and went; `updated` counts a row once in a run."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    rejected: int = 0

    def __add__(self, other: TableChanges) -> TableChanges:
        return TableChanges(
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.deleted + other.deleted,
            self.rejected + other.rejected,
        )


@dataclass(frozen=True, slots=True)
class MergeResult:
    """What was merged: changes by table name, and how many landed files they came from.

    `damaged`: files that are not what was landed, where they are kept now; what they held is still to be asked for.
    """

    tables: Mapping[str, TableChanges] = field(default_factory=dict)
    files: int = 0
    damaged: tuple[Path, ...] = ()

    def __add__(self, other: MergeResult) -> MergeResult:
        names = {**self.tables, **other.tables}
        none = TableChanges()
        summed = {name: self.tables.get(name, none) + other.tables.get(name, none) for name in names}
        return MergeResult(summed, self.files + other.files, self.damaged + other.damaged)


def merge_landed(
    warehouse: Warehouse, landing: Landing, run_started_at: datetime, *, connection: str | None = None
) -> MergeResult:
    """All that waits (of one connection, or of all) is in the tables afterwards, and its files are gone.

    Files that are damaged are set aside: the others go on without them.

    Args:
        warehouse: Its lock is taken; processes that merge at once take turns.
        landing: Where the answers wait.
        run_started_at: Rows that came or changed since then are not counted as `updated` again.
        connection: None for all of them.

    Raises:
        NewerSchemaError: a newer version of this program landed one of them.
        StateError: a file, the disk, DuckDB; what was merged before stays merged.
    """
    if not landing.waiting(connection):
        return MergeResult()
    common: dict[str, Value] = {"content_key": warehouse.data.key("content").hex(), "run": run_started_at}
    with warehouse.session() as session:
        landing.clean()
        waiting = _unmerged(session, landing, connection)
        damaged = [path for path in waiting if not landing.is_whole(path)]
        result = MergeResult()
        for files in _portions(path for path in waiting if path not in damaged):
            with session.transaction() as database:
                values = {"files": [str(path) for path in files], "names": [path.name for path in files]}
                bind(database, common | values | moments())
                result += _merge(database, len(files))
            landing.remove(files)
    # Last, so that after an error they still wait: whoever sets them aside says so
    return result + MergeResult(damaged=tuple(landing.set_aside(path) for path in damaged))


def _unmerged(session: Session, landing: Landing, connection: str | None) -> list[Path]:
    """What waits and is not merged. Removes what an earlier process merged and did not live to remove."""
    found = session.database.execute("SELECT file_name FROM internal.landed").fetchall()
    merged = {name for (name,) in found}
    waiting = landing.waiting()
    refuse_newer_landed(waiting)
    landing.remove(path for path in waiting if path.name in merged)
    mine = (path for path in waiting if path.name not in merged)
    return [path for path in mine if connection in (None, path.parent.name)]


def _portions(files: Iterable[Path]) -> Iterator[list[Path]]:
    portion: list[Path] = []
    size = 0
    for path in files:
        with state_errors("read", path):
            length = path.stat().st_size
        if portion and size + length > _BYTES_AT_ONCE:
            yield portion
            portion, size = [], 0
        portion.append(path)
        size += length
    if portion:
        yield portion


def _merge(database: DuckDBPyConnection, files: int) -> MergeResult:
    """One transaction's work on what is bound: stage, merge, mark what is gone, remember the files."""
    given = _read(database)
    changes = {name: _merge_table(database, name) for name in TABLES if name in given}
    for name, deleted in _mark_gone(database).items():
        changes[name] = changes.get(name, TableChanges()) + TableChanges(deleted=deleted)
    for name, rejected in _reject(database).items():
        changes[name] = changes.get(name, TableChanges()) + TableChanges(rejected=rejected)
    database.execute("DELETE FROM internal.landed")  # what was merged before is removed by now
    execute(database, "INSERT INTO internal.landed SELECT unnest($names), $now")
    note_change(database)
    return MergeResult(changes, files)


def _read(database: DuckDBPyConnection) -> set[str]:
    """The answers' heads, and which of them are stale; returns the tables that they give rows of."""
    execute(database, statements.read_heads_statement())
    if database.execute("SELECT count(parent_id) FROM answers").fetchone() != (0,):
        execute(database, sql("find_stale"))
    given = database.execute("SELECT DISTINCT unnest(gives) FROM answers").fetchall()
    return {name for (name,) in given}


def merge_told(database: DuckDBPyConnection, lines: Iterable[bytes], common: Mapping[str, Value]) -> MergeResult:
    """What webhooks told (`decompose.land_told_milestone`) is in the tables: it gives some columns of a row only.

    Call it in a transaction. `common` binds $content_key, $run, $now, $latest.
    """
    with memory_file(lines) as file:
        bind(database, {**common, "files": [file]})
        given = _read(database)
        changes = {name: _merge_table(database, name, partial=True) for name in TABLES if name in given}
        for name, rejected in _reject(database).items():
            changes[name] = changes.get(name, TableChanges()) + TableChanges(rejected=rejected)
    return MergeResult(changes)


def _merge_table(database: DuckDBPyConnection, name: str, *, partial: bool = False) -> TableChanges:
    execute(database, statements.stage_statement(name))
    execute(database, statements.keep_latest_statement(name))
    execute(database, statements.merged_statement(name, partial=partial))
    counted = execute(
        database,
        "SELECT count(*) FILTER (is_new), count(*) FILTER (is_changed), "
        "count(*) FILTER (is_changed AND (changed_before < $run OR changed_before > $latest)), count(*) FROM merged",
    ).fetchone()
    assert counted is not None
    inserted, changed, updated, rows = counted
    record_versions(database, name, inserted=inserted, changed=changed)
    execute(database, statements.insert_statement(name) if inserted == rows else statements.merge_statement(name))
    return TableChanges(inserted=inserted, updated=updated)


def _mark_gone(database: DuckDBPyConnection) -> Counter[str]:
    """Rows that the answers show to be gone, marked; how many by table."""
    sources = {source for (source,) in database.execute("SELECT DISTINCT source FROM answers").fetchall()}
    steps: list[tuple[str, str]] = []
    if GONE in sources:
        steps.append(("openmoove.properties", sql("mark_gone_properties")))
        steps += [(name, mark_gone_with_parent_statement(name)) for name in _LISTED_BY]
    steps += [(name, mark_absent_statement(name, source)) for name, source in _LISTED_BY.items() if source in sources]
    if steps or "openmoove.list" in sources:
        execute(database, sql("restore_sellers"))
        steps.append(("openmoove.sellers", sql("mark_sellers_without_property")))
    deleted: Counter[str] = Counter()
    for name, statement in steps:
        found = execute(database, statement).fetchone()
        deleted[name] += int(found[0]) if found else 0
    for name in +deleted:
        end_versions(database, name)
    return deleted


def _reject(database: DuckDBPyConnection) -> dict[str, int]:
    """Rows that do not validate are in audit.rejected_records afterwards; how many by table."""
    counted = database.execute(
        "SELECT r.table_name, count(*) FROM (SELECT unnest(rejected) AS r FROM answers) GROUP BY ALL"
    ).fetchall()
    if counted:
        execute(database, sql("merge_rejected"))
    return dict(counted)
