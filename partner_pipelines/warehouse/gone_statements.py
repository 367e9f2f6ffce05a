"""SQL made from the table specs for rows that a listing, a complete answer or a 404 shows to be gone."""
# ruff: noqa: S608 - what is put into the text are the specs' own names, quoted

from __future__ import annotations

from functools import lru_cache

from partner_pipelines.warehouse.quoting import literal, proven, quoted
from partner_pipelines.warehouse.tables import GONE, TABLES, Table


@lru_cache(maxsize=100)
def count_gone_statement(name: str, filters: tuple[str, ...]) -> str:
    """Candidates, living rows within the filter, rows that came without a readable id.

    Parameters: as of `mark_gone_statement`, without $started_at.
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

    Parameters: $connection, $before, $started_at, $now, $latest, and $filter_N: the values of the Nth filtered column.
    """
    return f"""
UPDATE {quoted(name)} AS t
SET deleted_at = $started_at, changed_at = $now
WHERE {_within(name, filters)} AND {_ABSENT_ROW} AND {_not_rejected(name)}
"""


@lru_cache(maxsize=100)
def mark_absent_statement(name: str, source: str) -> str:
    """Marks rows that a complete answer of `source` for their parent does not list any more. Parameters: $now, $latest.

    Every row that such an answer lists carries the answer's fetched_at by now, or a later one.
    """
    fresh = "ANTI JOIN stale USING (source, connection, parent_id, fetched_at)"
    answers = f"answers {fresh} WHERE source = {literal(source)} AND complete"
    return _mark_rows_of_parents(TABLES[name], answers)


@lru_cache(maxsize=100)
def mark_gone_with_parent_statement(name: str) -> str:
    """Marks rows for whose parent the partner answered 404 after they were last seen. Parameters: $now, $latest."""
    return _mark_rows_of_parents(TABLES[name], f"answers WHERE source = {literal(GONE)}")


def _mark_rows_of_parents(table: Table, answers: str) -> str:
    assert table.parent is not None
    parent = quoted(table.parent)
    last_seen = f"coalesce({proven('t.fetched_at')}, '-infinity')"
    return f"""
UPDATE {quoted(table.name)} AS t
SET deleted_at = said.fetched_at, changed_at = $now
FROM (
    SELECT connection, CAST(parent_id AS BIGINT) AS parent, max(fetched_at) AS fetched_at
    FROM {answers}
    GROUP BY ALL
) AS said
WHERE t.connection = said.connection AND t.{parent} = said.parent AND t.deleted_at IS NULL
    AND {last_seen} < said.fetched_at
RETURNING t.connection
"""


_ABSENT_ROW = f"coalesce({proven('t.fetched_at')}, '-infinity') < $before"


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
        f"AND {proven('rejected.rejected_at')} >= $before"
    )


def _not_rejected(name: str) -> str:
    """A row that came and did not validate is not absent."""
    same = "rejected.record_key = CAST(t.id AS VARCHAR)"
    return f"NOT EXISTS (FROM audit.rejected_records AS rejected WHERE {_rejected_since(name)} AND {same})"
