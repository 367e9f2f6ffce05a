"""The shape of the working database: made when it is new, brought up to date when it is older, refused when newer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection

from partner_pipelines.errors import NewerSchemaError
from partner_pipelines.warehouse.parameters import execute
from partner_pipelines.warehouse.sql_files import sql
from partner_pipelines.warehouse.statements import add_column_statements, create_statements
from partner_pipelines.warehouse.tables import TABLES

SCHEMA = 1
MIGRATIONS: dict[int, Callable[[DuckDBPyConnection], None]] = {}
"""What brings a database of schema N to N+1. New tables and columns need none: they are added by themselves."""


def ensure_schema(connection: DuckDBPyConnection, path: Path) -> None:
    """Every table is there afterwards, with every column. Raises NewerSchemaError. Call it outside a transaction."""
    facts = read_facts(connection)
    found = int(facts.get("schema", SCHEMA))
    if found > SCHEMA:
        raise NewerSchemaError(
            f"{path} was written by a newer version (schema {found}, this one knows {SCHEMA}): upgrade"
        )
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
    found = connection.execute("SELECT schema_name || '.' || table_name, column_name FROM duckdb_columns()").fetchall()
    for table in TABLES.values():
        present = {column for name, column in found if name == table.name}
        for statement in add_column_statements(table, present) if present else ():
            connection.execute(statement)


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
            ),
        )
    )
    return (*own, *(statement for table in TABLES.values() for statement in create_statements(table)))


@lru_cache(maxsize=1)
def _shape() -> str:
    return hashlib.sha256("\n".join(_statements()).encode()).hexdigest()
