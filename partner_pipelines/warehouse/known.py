"""What the warehouse knows, for planning what to ask next."""

from __future__ import annotations

from collections.abc import Sequence

from duckdb import DuckDBPyConnection

from partner_pipelines.partners.openmoove.plan import Known
from partner_pipelines.warehouse.parameters import execute, moments
from partner_pipelines.warehouse.sql_files import sql
from partner_pipelines.warehouse.table_statements import count_living_statement


def known_properties(database: DuckDBPyConnection, connection: str) -> list[Known]:
    """The living properties of a connection, by id."""
    found = execute(database, sql("known_properties"), {"connection": connection, **moments()}).fetchall()
    return [Known(*row) for row in found]


def living_rows(database: DuckDBPyConnection) -> dict[str, int]:
    """How many living rows each partner table has, over all connections."""
    return dict(database.execute(count_living_statement()).fetchall())


def lead_ids(database: DuckDBPyConnection, connection: str, property_ids: Sequence[str]) -> frozenset[str]:
    """The ids of a connection's leads at these properties, gone ones among them: their documents stay theirs."""
    found = execute(
        database,
        "SELECT id FROM resman.leads WHERE connection = $connection AND list_contains($property_ids, property_id)",
        {"connection": connection, "property_ids": list(property_ids)},
    ).fetchall()
    return frozenset(lead_id for (lead_id,) in found)
