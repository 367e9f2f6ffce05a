"""The shape of the working database: made when it is new, brought up to date when it is older, refused when newer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import closing
from functools import lru_cache
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection

from partner_pipelines.errors import NewerSchemaError
from partner_pipelines.warehouse.history import begin_history, history_statements
from partner_pipelines.warehouse.marts import mart_statements
from partner_pipelines.warehouse.parameters import execute
from partner_pipelines.warehouse.quoting import quoted
from partner_pipelines.warehouse.sql_files import sql
from partner_pipelines.warehouse.table_statements import create_statements
from partner_pipelines.warehouse.tables import TABLES

SCHEMA = 2
MIGRATIONS: dict[int, Callable[[DuckDBPyConnection], None]] = {1: begin_history}
"""What brings a database of schema N to N+1. New tables and columns need none: they are added by themselves, without
NOT NULL, where `_statements` names them."""


def ensure_schema(connection: DuckDBPyConnection, path: Path) -> None:
    """Every table is there afterwards, with every column. Raises NewerSchemaError. Call it outside a transaction."""
    facts = read_known_facts(connection, path)
    found = int(facts.get("schema", SCHEMA))
    if facts.get("shape") == _shape() and found == SCHEMA:
        return
    connection.begin()
    for version in range(found, SCHEMA):
        MIGRATIONS[version](connection)
    _add_columns(connection)
    for statement in _statements():
        connection.execute(statement)
    _write_facts(connection, facts | {"schema": str(SCHEMA), "shape": _shape()})
    note_change(connection)
    connection.commit()


def read_known_facts(connection: DuckDBPyConnection, path: Path) -> dict[str, str]:
    """What `internal.meta` says. Raises NewerSchemaError."""
    facts = read_facts(connection)
    NewerSchemaError.check(path, int(facts.get("schema", SCHEMA)), SCHEMA)
    return facts


def read_facts(connection: DuckDBPyConnection) -> dict[str, str]:
    """What `internal.meta` says; nothing for a new database. Call it outside a transaction."""
    try:
        found = connection.execute("SELECT name, value FROM internal.meta").fetchall()
    except duckdb.CatalogException:  # to look first whether it is there takes longer than all the rest of an opening
        return {}
    return dict(found)


def note_change(connection: DuckDBPyConnection) -> None:
    """What is committed with this is worth publishing."""
    connection.execute(
        "UPDATE internal.meta SET value = CAST(CAST(value AS BIGINT) + 1 AS VARCHAR) WHERE name = 'changes'"
    )


def changes(connection: DuckDBPyConnection) -> int:
    """How often something worth publishing was committed."""
    found = connection.execute("SELECT value FROM internal.meta WHERE name = 'changes'").fetchone()
    return int(found[0]) if found else 0


def _add_columns(connection: DuckDBPyConnection) -> None:
    """What the tables of a new database have and these lack: the statements that make them are their one home."""
    present = _columns(connection)
    if not present:
        return
    with closing(duckdb.connect()) as new:
        for statement in _statements():
            new.execute(statement)
        wanted = _columns(new)
    for table in wanted.keys() & present.keys():
        for column in wanted[table].keys() - present[table].keys():
            kind = wanted[table][column]
            connection.execute(f"ALTER TABLE {quoted(table)} ADD COLUMN {quoted(column)} {kind}")


def _columns(connection: DuckDBPyConnection) -> dict[str, dict[str, str]]:
    """The types of a database's columns, by table and name."""
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in connection.execute(
        "SELECT t.schema_name || '.' || t.table_name, column_name, data_type FROM duckdb_tables() t "
        "JOIN duckdb_columns() c USING (database_oid, table_oid) WHERE NOT t.temporary ORDER BY column_index"
    ).fetchall():
        found.setdefault(table, {})[column] = kind
    return found


def _write_facts(connection: DuckDBPyConnection, facts: dict[str, str]) -> None:
    connection.execute("DELETE FROM internal.meta")
    for name, value in ({"changes": "0"} | facts).items():
        execute(connection, "INSERT INTO internal.meta VALUES ($name, $value)", {"name": name, "value": value})


@lru_cache(maxsize=1)
def _statements() -> tuple[str, ...]:
    own = tuple(
        map(
            sql,
            (
                "internal",
                "api_calls",
                "token_events",
                "scope_events",
                "rejected_records",
                "runs",
                "webhook_deliveries",
                "webhook_state",
                "writes",
            ),
        )
    )
    tables = (statement for table in TABLES.values() for statement in create_statements(table))
    return (*own, *tables, *history_statements(), *mart_statements())


@lru_cache(maxsize=1)
def _shape() -> str:
    return hashlib.sha256("\n".join(_statements()).encode()).hexdigest()
