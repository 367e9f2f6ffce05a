"""What the trail tells, as rows of the tables of `audit`. Every opening of the working database loads it first.

Rows that were rejected are there since they were merged; they are counted with them.
"""

from __future__ import annotations

from duckdb import DuckDBPyConnection

from partner_pipelines.errors import UsageError
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.sync.house import House
from partner_pipelines.sync.results import SyncOutcome, TableResult
from partner_pipelines.warehouse.publish import publish
from partner_pipelines.warehouse.reading import published

TABLES = ("audit.api_calls", "audit.token_events", "audit.scope_events", "audit.rejected_records")


def load_calls(house: House) -> SyncOutcome:
    """Every call that has ended is in the published tables, and every event. Raises StateError."""
    before = _published_rows(house.data)
    with house.warehouse.session():
        pass  # the opening loads the trail
    publish(house.warehouse)
    after = _published_rows(house.data)
    return SyncOutcome(
        {
            table: TableResult(table, rows=rows, inserted=rows - before.get(table, 0), loaded=("trail",))
            for table, rows in after.items()
        }
    )


def _published_rows(data: DataDirectory) -> dict[str, int]:
    try:
        with published(data) as database:
            known = {name for (name,) in database.execute(_NAMES).fetchall()}
            return {table: _count(database, table) for table in TABLES if table in known}
    except UsageError:
        return {}  # nothing is published yet


_NAMES = "SELECT schema_name || '.' || table_name FROM duckdb_tables()"


def _count(database: DuckDBPyConnection, table: str) -> int:
    ((rows,),) = database.execute(f"SELECT count(*) FROM {table}").fetchall()  # noqa: S608 - one of TABLES
    return int(rows)
