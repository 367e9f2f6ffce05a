"""History (SCD type 2): each version of a row, written in the transaction that changes the row.

A version is what a row was between two merges that changed it. It ends when the next begins or when the row is found
gone; a row that comes back opens one. What is told of a row for the first time by a further source (the detail, after
the list) completes the version that is there: nothing changed, more is known.
"""

from __future__ import annotations

from functools import lru_cache

from duckdb import DuckDBPyConnection

from partner_pipelines.warehouse import history_statements as statements
from partner_pipelines.warehouse.history_statements import HISTORY
from partner_pipelines.warehouse.parameters import execute


def record_versions(database: DuckDBPyConnection, name: str, *, inserted: int, changed: int) -> None:
    """The versions that `merged` brings are in the history. Call it before `merged` goes into the table."""
    if name not in HISTORY:
        return
    if changed:
        execute(database, statements.versions_statement(name))
        execute(database, statements.end_statement(name))
        execute(database, statements.complete_statement(name))
        execute(database, statements.open_statement(name))
    if inserted:
        execute(database, statements.begin_statement(name))


def end_versions(database: DuckDBPyConnection, name: str) -> None:
    """The versions of rows that are gone have ended. Call it after rows were marked."""
    if name in HISTORY:
        database.execute(statements.end_gone_statement(name))


def begin_history(database: DuckDBPyConnection) -> None:
    """The history of an older database begins with the rows that are there (schema 1 to 2)."""
    for name in HISTORY:
        for statement in statements.create_statements(name):
            database.execute(statement)
        present = _columns(database, name)
        if present:
            database.execute(statements.begin_with_rows_statement(name, present))


def _columns(database: DuckDBPyConnection, name: str) -> frozenset[str]:
    found = database.execute(
        f"SELECT column_name FROM duckdb_columns() WHERE schema_name || '.' || table_name = '{name}'"  # noqa: S608 - a name of ours
    ).fetchall()
    return frozenset(column for (column,) in found)


@lru_cache(maxsize=1)
def history_statements() -> tuple[str, ...]:
    """What makes and describes the tables."""
    return tuple(statement for name in HISTORY for statement in statements.create_statements(name))
