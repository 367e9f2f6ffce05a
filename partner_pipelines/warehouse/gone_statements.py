"""SQL made from the table specs for rows that a listing does not show any more."""
# ruff: noqa: S608 - what is put into the text are the specs' own names, quoted

from __future__ import annotations

from functools import lru_cache

from partner_pipelines.warehouse.statements import literal, quoted
from partner_pipelines.warehouse.tables import TABLES, Table


@lru_cache(maxsize=100)
def count_gone_statement(name: str, filters: tuple[str, ...]) -> str:
    """Candidates, living rows within the filter, rows that came without a readable id.

    Parameters: as of `mark_gone_statement`, without $started_at and $now.
    """
    return f"""
SELECT
    count(*) FILTER ({_ABSENT_ROW}), count(*),
    (SELECT count(*) FROM audit.rejected_records AS rejected WHERE {_rejected_since(name)} AND record_key IS NULL)
FROM {quoted(name)} AS t
WHERE {_within(name, filters)} AND {_not_rejected(name)}
"""


@lru_cache(maxsize=100)
def mark_gone_statement(name: str, filters: tuple[str, ...]) -> str:
    """Marks living rows within the filter that were last seen before $before.

    Parameters: $connection, $before, $started_at, $now, and $filter_N: the values of the Nth filtered column.
    """
    return f"""
UPDATE {quoted(name)} AS t
SET deleted_at = $started_at, changed_at = $now
WHERE {_within(name, filters)} AND {_ABSENT_ROW} AND {_not_rejected(name)}
"""


_ABSENT_ROW = "t.fetched_at < $before"


def _within(name: str, filters: tuple[str, ...]) -> str:
    wanted = [f"{_filtered(TABLES[name], column)} IN (SELECT unnest($filter_{n}))" for n, column in enumerate(filters)]
    return " AND ".join(("t.connection = $connection", "t.deleted_at IS NULL", *wanted))


def _filtered(table: Table, column: str) -> str:
    names = {known.name for known in table.columns}
    if column in names:
        return f"CAST(t.{quoted(column)} AS VARCHAR)"
    if column == "property_id" and "prospect_id" in names:
        return (
            "(SELECT leads.property_id FROM resman.leads AS leads "
            "WHERE leads.connection = t.connection AND leads.id = t.prospect_id)"
        )
    raise ValueError(f"{table.name} has no column {column}")


def _rejected_since(name: str) -> str:
    return (
        f"rejected.connection = $connection AND rejected.table_name = {literal(name)} "
        "AND rejected.rejected_at >= $before"
    )


def _not_rejected(name: str) -> str:
    """A row that came and did not validate is not absent."""
    same = "rejected.record_key = CAST(t.id AS VARCHAR)"
    return f"NOT EXISTS (FROM audit.rejected_records AS rejected WHERE {_rejected_since(name)} AND {same})"
