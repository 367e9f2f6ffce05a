"""SQL of the history tables, made from the table specs: every name is quoted, every value is a parameter."""
# ruff: noqa: S608 - what is put into the text are the specs' own names, quoted

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import lru_cache

from partner_pipelines.warehouse.quoting import commas, literal, quoted
from partner_pipelines.warehouse.table_statements import all_columns
from partner_pipelines.warehouse.tables import TABLES, Source, Table

HISTORY: dict[str, str] = {
    "resman.units": "history.units",
    "resman.leads": "history.leads",
    "openmoove.properties": "history.properties",
    "openmoove.milestones": "history.milestones",
}
"""The history of each table that has one."""

VERSION: dict[str, tuple[str, str]] = {
    "content_hash": ("VARCHAR", "The keyed hash of the row in this version, as in the table [internal]"),
    "valid_from": (
        "TIMESTAMPTZ",
        "Since when the row is known to be so: the time of the look or the event that showed it, our time [internal]",
    ),
    "valid_to": (
        "TIMESTAMPTZ",
        "When it ended: the next version's begin, or when the row was gone; null: it is so now [internal]",
    ),
    "deleted_at": ("TIMESTAMPTZ", "When the row was found gone, where that ended the version; else null [internal]"),
}


def content_columns(table: Table) -> list[str]:
    """What a version holds of the row besides its key: all that the hash is made of."""
    own = (column.name for column in table.columns if not column.volatile and column.name not in table.key)
    return [*own, *table.extras]


def history_columns(name: str) -> dict[str, tuple[str, str]]:
    """Every column of the table's history in its order: (type, description with the privacy class) by name."""
    table = TABLES[name]
    described = all_columns(table)
    columns = {column: described[column] for column in ("connection", *table.key, *content_columns(table))}
    kind, words = columns["connection"]
    return columns | {"connection": (kind, f"{words} [internal]")} | VERSION


def create_statements(name: str) -> list[str]:
    """The history of a table is there afterwards, and described."""
    table, history = TABLES[name], quoted(HISTORY[name])
    columns = history_columns(name)
    defined = commas(f"{quoted(column)} {kind}" for column, (kind, _) in columns.items())
    grain = f"{table.grain} and version of it (SCD type 2). Source: {name}"
    statements = [
        "CREATE SCHEMA IF NOT EXISTS history",
        f"CREATE TABLE IF NOT EXISTS {history} (\n    {defined}\n)",
        f"COMMENT ON TABLE {history} IS {literal(grain)}",
    ]
    for column, (_, description) in columns.items():
        statements.append(f"COMMENT ON COLUMN {history}.{quoted(column)} IS {literal(description)}")
    return statements


@lru_cache(maxsize=10)
def versions_statement(name: str) -> str:
    """The temporary table `versions`: a row for each changed, living row of `merged`.

    `opens`: it is another version, since `as_of`; else more is known of the one that is there.
    """
    table = TABLES[name]
    kept = commas(f"m.{quoted(column)}" for column in _stored(table))
    opens = " OR ".join(f"({_differs(table, n)} AND t.{quoted(s.as_of)} IS NOT NULL)" for n, s in _sources(table))
    told = ", ".join(f"CASE WHEN {_applies(table, n)} THEN m.{quoted(s.as_of)} END" for n, s in _sources(table))
    changed = ", ".join(f"CASE WHEN {_differs(table, n)} THEN m.{quoted(s.as_of)} END" for n, s in _sources(table))
    return f"""
CREATE OR REPLACE TEMP TABLE versions AS
SELECT {kept},
    m.deleted_before IS NOT NULL OR {opens} AS opens,
    CASE WHEN m.deleted_before IS NOT NULL THEN greatest({told}) ELSE greatest({changed}) END AS as_of
FROM merged AS m
JOIN {quoted(name)} AS t USING ({_keys(table)})
WHERE m.is_changed AND m.deleted_at IS NULL
"""


@lru_cache(maxsize=10)
def end_statement(name: str) -> str:
    """The versions that `versions` follows upon have ended; none before it began."""
    return f"""
UPDATE {quoted(HISTORY[name])} AS h SET valid_to = greatest(h.valid_from, v.as_of)
FROM versions AS v WHERE {_same(TABLES[name], "h", "v")} AND h.valid_to IS NULL AND v.opens
"""


@lru_cache(maxsize=10)
def complete_statement(name: str) -> str:
    """Of the versions that `versions` does not follow upon more is known."""
    table = TABLES[name]
    given = commas(f"{quoted(column)} = v.{quoted(column)}" for column in (*content_columns(table), "content_hash"))
    return f"""
UPDATE {quoted(HISTORY[name])} AS h SET {given}
FROM versions AS v WHERE {_same(table, "h", "v")} AND h.valid_to IS NULL AND NOT v.opens
"""


@lru_cache(maxsize=10)
def open_statement(name: str) -> str:
    """What `versions` brings begins, not before all that was has ended."""
    table = TABLES[name]
    taken = commas(f"v.{quoted(column)}" for column in _stored(table))
    return f"""
INSERT INTO {quoted(HISTORY[name])} ({_names(_stored(table))}, valid_from)
SELECT {taken}, greatest(v.as_of, e.ended)
FROM versions AS v
LEFT JOIN (
    SELECT {_keys(table)}, max(valid_to) AS ended
    FROM {quoted(HISTORY[name])} SEMI JOIN versions USING ({_keys(table)}) GROUP BY ALL
) AS e USING ({_keys(table)})
WHERE v.opens
"""


@lru_cache(maxsize=10)
def begin_statement(name: str) -> str:
    """The first version of each new row of `merged`, since the first of the looks that showed it."""
    table = TABLES[name]
    stored = _names(_stored(table))
    told = ", ".join(f"CASE WHEN {_applies(table, n)} THEN m.{quoted(s.as_of)} END" for n, s in _sources(table))
    return f"""
INSERT INTO {quoted(HISTORY[name])} ({stored}, valid_from)
SELECT {stored}, least({told}) FROM merged AS m WHERE m.is_new AND m.deleted_at IS NULL
"""


@lru_cache(maxsize=10)
def end_gone_statement(name: str) -> str:
    """The versions of rows that are marked as gone have ended."""
    return f"""
UPDATE {quoted(HISTORY[name])} AS h SET valid_to = greatest(h.valid_from, t.deleted_at), deleted_at = t.deleted_at
FROM {quoted(name)} AS t
WHERE t.deleted_at IS NOT NULL AND {_same(TABLES[name], "h", "t")} AND h.valid_to IS NULL
"""


def begin_with_rows_statement(name: str, present: Collection[str]) -> str:
    """A version for each living row, since the row last changed. `present`: the columns that the table has."""
    stored = _names(column for column in _stored(TABLES[name]) if column in present)
    return f"""
INSERT INTO {quoted(HISTORY[name])} ({stored}, valid_from)
SELECT {stored}, changed_at FROM {quoted(name)} WHERE deleted_at IS NULL
"""


def _stored(table: Table) -> list[str]:
    return ["connection", *table.key, *content_columns(table), "content_hash"]


def _sources(table: Table) -> list[tuple[int, Source]]:
    return list(enumerate(table.sources))


def _applies(table: Table, number: int) -> str:
    """Whether the source has news in `merged`: of a table with one source all of it is."""
    return f"m.applies_{number}" if len(table.sources) > 1 else "TRUE"


def _differs(table: Table, number: int) -> str:
    """Whether the source has news, and a column that it gives will be another."""
    source = table.sources[number]
    stored = set(content_columns(table))
    given = [column for column in source.columns if column in stored]
    given += [] if source.extra is None else [source.extra]
    differing = " OR ".join(f"m.{quoted(column)} IS DISTINCT FROM t.{quoted(column)}" for column in given)
    return f"({_applies(table, number)} AND ({differing or 'FALSE'}))"


def _same(table: Table, one: str, other: str) -> str:
    return " AND ".join(f"{one}.{quoted(key)} = {other}.{quoted(key)}" for key in ("connection", *table.key))


def _keys(table: Table) -> str:
    return _names(("connection", *table.key))


def _names(columns: Iterable[str]) -> str:
    return ", ".join(map(quoted, columns))
