"""One transaction of a merge: staged, merged, what is gone is marked, and the changes counted by connection."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from duckdb import DuckDBPyConnection

from partner_pipelines.warehouse import merge_statements as statements
from partner_pipelines.warehouse.gone_statements import mark_absent_statement, mark_gone_with_parent_statement
from partner_pipelines.warehouse.history import end_versions, record_versions
from partner_pipelines.warehouse.memory_file import memory_file
from partner_pipelines.warehouse.parameters import Value, bind, execute
from partner_pipelines.warehouse.schema import note_change
from partner_pipelines.warehouse.sql_files import sql
from partner_pipelines.warehouse.tables import GONE, TABLES

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


Changes = Mapping[str, MergeResult]
"""What was merged, by connection."""


def merge_files(database: DuckDBPyConnection, files: Iterable[Path], common: Mapping[str, Value]) -> Changes:
    """These landed files are in the tables, and named in `internal.landed`. Call it in a transaction.

    `common` binds $content_key, $run, $connections, $runs (the begin of each connection's run), $now, $latest.
    """
    paths = list(files)
    values = {"files": [str(path) for path in paths], "names": [path.name for path in paths]}
    bind(database, {**common, **values})
    changes = _merge(database, partial=False)
    database.execute("DELETE FROM internal.landed")  # what was merged before is removed by now
    execute(database, "INSERT INTO internal.landed SELECT unnest($names), $now")
    note_change(database)
    return changes


def merge_told(database: DuckDBPyConnection, lines: Iterable[bytes], common: Mapping[str, Value]) -> MergeResult:
    """What webhooks told (`decompose.land_told_milestone`) is in the tables: it gives some columns of a row only.

    Call it in a transaction. `common` binds $content_key, $run, $now, $latest.
    """
    with memory_file(lines) as file:
        bind(database, {**common, "files": [file], "connections": [], "runs": []})
        return sum(_merge(database, partial=True).values(), MergeResult())


def _merge(database: DuckDBPyConnection, *, partial: bool) -> Changes:
    found: defaultdict[str, MergeResult] = defaultdict(MergeResult)

    def add(table: str, changes: Mapping[str, TableChanges]) -> None:
        for connection, changed in changes.items():
            found[connection] += MergeResult({table: changed})

    given = _read(database)
    for name in TABLES:
        if name in given:
            add(name, _merge_table(database, name, partial=partial))
    if not partial:  # what somebody tells of a row says nothing of others
        for name, deleted in _mark_gone(database):
            add(name, deleted)
    for name, rejected in _reject(database):
        add(name, rejected)
    return found


def _read(database: DuckDBPyConnection) -> set[str]:
    """The answers' heads, and which of them are stale; returns the tables that they give rows of."""
    execute(database, statements.read_heads_statement())
    if database.execute("SELECT count(parent_id) FROM answers").fetchone() != (0,):
        execute(database, sql("find_stale"))
    given = database.execute("SELECT DISTINCT unnest(gives) FROM answers").fetchall()
    return {name for (name,) in given}


_CHANGED_IN_OTHER_RUNS = """
is_changed AND (
    changed_before > $latest
    OR changed_before < coalesce(CAST($runs[list_position($connections, connection)] AS TIMESTAMPTZ), $run)
)
"""


def _merge_table(database: DuckDBPyConnection, name: str, *, partial: bool) -> dict[str, TableChanges]:
    execute(database, statements.stage_statement(name))
    execute(database, statements.keep_latest_statement(name))
    execute(database, statements.merged_statement(name, partial=partial))
    counted = execute(
        database,
        "SELECT connection, count(*) FILTER (is_new), count(*) FILTER (is_changed), "  # noqa: S608 - our own text
        f"count(*) FILTER ({_CHANGED_IN_OTHER_RUNS}), count(*) FROM merged GROUP BY connection",
    ).fetchall()
    inserted, changed, rows = (sum(row[place] for row in counted) for place in (1, 2, 4))
    record_versions(database, name, inserted=inserted, changed=changed)
    execute(database, statements.insert_statement(name) if inserted == rows else statements.merge_statement(name))
    return {connection: TableChanges(inserted=new, updated=updated) for connection, new, _, updated, _ in counted}


def _mark_gone(database: DuckDBPyConnection) -> Iterator[tuple[str, dict[str, TableChanges]]]:
    """Rows that the answers show to be gone, marked: how many, by table and connection."""
    sources = {source for (source,) in database.execute("SELECT DISTINCT source FROM answers").fetchall()}
    steps: list[tuple[str, str]] = []
    if GONE in sources:
        steps.append(("openmoove.properties", sql("mark_gone_properties")))
        steps += [(name, mark_gone_with_parent_statement(name)) for name in _LISTED_BY]
    steps += [(name, mark_absent_statement(name, source)) for name, source in _LISTED_BY.items() if source in sources]
    if steps or "openmoove.list" in sources:
        execute(database, sql("restore_sellers"))
        steps.append(("openmoove.sellers", sql("mark_sellers_without_property")))
    marked: set[str] = set()
    for name, statement in steps:
        deleted = Counter(connection for (connection,) in execute(database, statement).fetchall())
        yield name, {connection: TableChanges(deleted=count) for connection, count in deleted.items()}
        if deleted:
            marked.add(name)
    for name in marked:
        end_versions(database, name)


def _reject(database: DuckDBPyConnection) -> Iterator[tuple[str, dict[str, TableChanges]]]:
    """Rows that do not validate are in audit.rejected_records afterwards: how many, by table and connection."""
    counted = database.execute(
        "SELECT r.table_name, connection, count(*) FROM (SELECT connection, unnest(rejected) AS r FROM answers) "
        "GROUP BY ALL"
    ).fetchall()
    if counted:
        execute(database, sql("merge_rejected"))
    for name, connection, rejected in counted:
        yield name, {connection: TableChanges(rejected=rejected)}
