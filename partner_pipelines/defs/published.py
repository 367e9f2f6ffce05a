"""The published file as the UI shows it. Never the working one: a look at it would block whoever writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from partner_pipelines.models.fields import Privacy
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.warehouse.quoting import literal, quoted
from partner_pipelines.warehouse.tables import TABLES

PREVIEW_ROWS = 5
_LONGEST_SHOWN = 40


def preview(data: DataDirectory, table: str) -> str:
    """The rows that changed last, as a markdown table without personal columns."""
    spec = TABLES[table]
    shown = ["connection", *(column.name for column in spec.columns if column.privacy is not Privacy.PERSONAL)]
    columns = ", ".join(map(quoted, shown))
    keys = ", ".join(map(quoted, ("connection", *spec.key)))
    return _markdown(
        shown,
        query(
            data,
            f"SELECT {columns} FROM {quoted(table)} WHERE deleted_at IS NULL "  # noqa: S608 - names of the specs
            f"ORDER BY changed_at DESC, {keys} LIMIT {PREVIEW_ROWS}",
        ),
    )


def published_columns(data: DataDirectory, table: str) -> dict[str, tuple[str, str]]:
    """(type, description) of each column, by name, as the published file says."""
    schema, _, name = table.partition(".")
    sql = (
        "SELECT column_name, data_type, coalesce(comment, '') FROM duckdb_columns() "  # noqa: S608 - names of ours
        f"WHERE schema_name = {literal(schema)} AND table_name = {literal(name)} ORDER BY column_index"
    )
    found = query(data, sql)
    return {column: (kind, comment) for column, kind, comment in found}


def published_lineage(data: DataDirectory, view: str) -> dict[str, frozenset[tuple[str, str]]]:
    """(table, column) that each column of a published view is made of; nothing for a table."""
    from partner_pipelines.warehouse.lineage import column_origins  # noqa: PLC0415 - DuckDB loads when it is needed
    from partner_pipelines.warehouse.reading import published  # noqa: PLC0415 - as above

    with published(data) as database:
        return column_origins(database, view)


def query(data: DataDirectory, sql: str) -> list[tuple[Any, ...]]:
    """The rows of one query. Raises UsageError (nothing is published yet), StateError."""
    (rows,) = query_each(data, [sql])
    return rows


def query_each(data: DataDirectory, queries: Iterable[str]) -> list[list[tuple[Any, ...]]]:
    """The rows of each query, all of the same published file. Raises as `query`."""
    from partner_pipelines.warehouse.reading import published  # noqa: PLC0415 - DuckDB loads when it is needed

    with published(data) as database:
        return [database.execute(sql).fetchall() for sql in queries]


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [columns, ["---"] * len(columns), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    shown = "" if value is None else " ".join(str(value).split())
    shown = shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}…"
    return shown.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
