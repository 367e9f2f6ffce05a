"""What the warehouse knows, for planning what to ask next."""

from __future__ import annotations

from duckdb import DuckDBPyConnection

from partner_pipelines.partners.openmoove.plan import Known
from partner_pipelines.warehouse.sql_files import sql
from partner_pipelines.warehouse.statements import count_living_statement


def known_properties(database: DuckDBPyConnection, connection: str) -> list[Known]:
    """The living properties of a connection, by id."""
    found = database.execute(sql("known_properties"), {"connection": connection}).fetchall()
    return [Known(*row) for row in found]


def living_rows(database: DuckDBPyConnection) -> dict[str, int]:
    """How many living rows each partner table has, over all connections."""
    return dict(database.execute(count_living_statement()).fetchall())
