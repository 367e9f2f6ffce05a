"""An in-memory database with views of the published tables that show personal values where tokens stand.

A value is found by the row's person, never by the token: equal tokens say that values are equal after normalisation,
not how the partner wrote them. What the vault does not hold (any more) stays a token.
"""
# ruff: noqa: S608 - what is put into the text are the specs' and the catalogue's own names, quoted

from __future__ import annotations

from pathlib import Path

from duckdb import DuckDBPyConnection

from partner_pipelines.state.tokenise import HIDDEN_NAME
from partner_pipelines.state.vault import Vault
from partner_pipelines.warehouse.decompose import REJECTED
from partner_pipelines.warehouse.history_statements import HISTORY
from partner_pipelines.warehouse.memory_file import json_lines
from partner_pipelines.warehouse.parameters import execute
from partner_pipelines.warehouse.quoting import literal, quoted
from partner_pipelines.warehouse.sql_files import sql
from partner_pipelines.warehouse.table_statements import person_expression
from partner_pipelines.warehouse.tables import TABLES, Table
from partner_pipelines.warehouse.webhooks import DELIVERIES

_TABLE_OF = {history: table for table, history in HISTORY.items()}


def create_full_views(database: DuckDBPyConnection, version: Path, vault: Path) -> None:
    """Every table and view of the published file is there under its name, with the vault's values in it."""
    database.execute(f"ATTACH {literal(str(version))} AS published (READ_ONLY)")
    rows = Vault(vault).read_all()
    described = (
        {"connection": row.connection, "kind": row.kind, "person_id": row.person_id, "field": row.field, "v": row.value}
        for row in rows
    )
    with json_lines(described) as file:
        execute(database, sql("load_vault"), {"file": file})
    for schema, name in _published(database):
        full_name = f"{schema}.{name}"
        database.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}")
        database.execute(f"CREATE VIEW {quoted(full_name)} AS {_view(full_name)}")


def _published(database: DuckDBPyConnection) -> list[tuple[str, str]]:
    return database.execute(
        """
        SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'published'
        UNION ALL
        SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = 'published' AND NOT internal
        """
    ).fetchall()


def _view(name: str) -> str:
    published = f"published.{quoted(name)}"
    if name in TABLES:
        table = TABLES[name]
        return _resolved(published, name, person_expression(table, "t"), _replacements(table))
    if name in _TABLE_OF:
        return _resolved_history(published, _TABLE_OF[name])
    if name == REJECTED:
        return _resolved(published, name, "t.table_name || ':' || t.raw", ["coalesce(p.kept['raw'], t.raw) AS raw"])
    if name == DELIVERIES:
        return _resolved(published, name, "t.delivery_id", [_unknown_fields("extra")])
    return f"SELECT * FROM {published}"


def _resolved(published: str, kind: str, person: str, replacements: list[str]) -> str:
    return (
        f"SELECT t.* REPLACE ({', '.join(replacements)}) FROM {published} AS t LEFT JOIN vault.persons AS p "
        f"ON p.connection = t.connection AND p.kind = {literal(kind)} AND p.person_id = {person}"
    )


def _resolved_history(published: str, name: str) -> str:
    """The vault holds each person's values of today: a version from before one of them changed keeps its token."""
    table = TABLES[name]
    keys = ("connection", *table.key)
    same = " AND ".join(f"now.{quoted(key)} = t.{quoted(key)}" for key in keys)
    columns = [
        f"CASE WHEN t.{quoted(column)} IS NOT DISTINCT FROM now.{quoted(column)} "
        f"THEN f.{quoted(column)} ELSE t.{quoted(column)} END AS {quoted(column)}"
        for column in (*table.forms, *table.extras)
    ]
    same_full = " AND ".join(f"f.{quoted(key)} = t.{quoted(key)}" for key in keys)
    return (
        f"SELECT t.* REPLACE ({', '.join(columns)}) FROM {published} AS t "
        f"LEFT JOIN published.{quoted(name)} AS now ON {same} LEFT JOIN ({_view(name)}) AS f ON {same_full}"
    )


def _replacements(table: Table) -> list[str]:
    values = [
        f"CASE WHEN t.{quoted(name)} IS NOT NULL "
        f"THEN coalesce(p.kept[{literal(name)}], t.{quoted(name)}) END AS {quoted(name)}"
        for name in table.forms
    ]
    return [*values, *(_unknown_fields(extra) for extra in table.extras)]


def _unknown_fields(extra: str) -> str:
    """The JSON object with each field's own JSON in it, in the place of its token."""
    shown = (
        f"CAST(to_json(e.key) AS VARCHAR) || ':' || coalesce(p.kept[{literal(extra + '.')} || e.key], to_json(e.value))"
    )
    hidden = f"p.kept[{literal(extra + HIDDEN_NAME)} || e.key]"
    part = f"coalesce(substring({hidden}, 2, length({hidden}) - 2), {shown})"
    entries = f"map_entries(CAST(t.{quoted(extra)} AS MAP(VARCHAR, VARCHAR)))"
    joined = f"array_to_string(list_transform({entries}, lambda e: {part}), ',')"
    return f"CASE WHEN t.{quoted(extra)} IS NOT NULL THEN CAST('{{' || {joined} || '}}' AS JSON) END AS {quoted(extra)}"
