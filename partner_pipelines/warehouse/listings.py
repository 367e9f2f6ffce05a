"""Lists that were read to their end: what is absent from them may be gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import orjson
from duckdb import DuckDBPyConnection

from partner_pipelines.warehouse.parameters import Value, execute


@dataclass(frozen=True, slots=True)
class Listing:
    """A finished list. `table` names what was listed, `rows` counts what came.

    `started_at` must be on the clock of the rows' `fetched_at`: the begin of the first page's request. `filter`: by
    column, the values that were asked for; `property_id` reaches rows of leads (documents, payments) through the lead.
    """

    table: str
    connection: str
    started_at: datetime
    finished_at: datetime
    rows: int
    filter: Mapping[str, Sequence[str]] = field(default_factory=dict)
    run_id: str | None = None

    @property
    def filter_text(self) -> str:
        """The filter as it is stored: equal for equal filters."""
        ordered = {name: sorted(values) for name, values in self.filter.items()}
        return orjson.dumps(ordered, option=orjson.OPT_SORT_KEYS).decode()


def record_listing(database: DuckDBPyConnection, listing: Listing) -> None:
    """The listing counts from now on. Record it after its rows are merged, or in the same transaction."""
    values: dict[str, Value] = {
        "listing": listing.table,
        "connection": listing.connection,
        "filter": listing.filter_text,
        "started_at": listing.started_at,
        "finished_at": listing.finished_at,
        "rows": listing.rows,
        "run_id": listing.run_id,
    }
    execute(
        database,
        "INSERT INTO internal.listings VALUES "
        "($listing, $connection, $filter, $started_at, $finished_at, $rows, $run_id)",
        values,
    )


def last_listing_started(
    database: DuckDBPyConnection, table: str, connection: str, before: datetime | None = None, filter_text: str = "{}"
) -> datetime | None:
    """When the last finished listing with this filter began (of those that began before `before`), if there is one."""
    found = execute(
        database,
        """
        SELECT max(started_at) FROM internal.listings
        WHERE listing = $table AND connection = $connection AND filter = $filter
            AND ($before IS NULL OR started_at < CAST($before AS TIMESTAMPTZ))
        """,
        {"table": table, "connection": connection, "filter": filter_text, "before": before},
    ).fetchone()
    started: datetime | None = found[0] if found else None
    return started
