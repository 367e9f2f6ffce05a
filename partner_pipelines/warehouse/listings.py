"""Lists that were read to their end: what is absent from them may be gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import orjson
from duckdb import DuckDBPyConnection

from partner_pipelines.warehouse.parameters import Value, execute, moments


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
    database: DuckDBPyConnection, table: str, connection: str, filter_text: str = "{}"
) -> datetime | None:
    """When the last finished listing with this filter began; None where there is none, or its stamp proves nothing.

    The last is the one that was recorded last: the clock may have been stepped since the one before it.
    """
    found = execute(
        database,
        """
        SELECT proven(arg_max(started_at, rowid), $latest) FROM internal.listings
        WHERE listing = $table AND connection = $connection AND filter = $filter
        """,
        {"table": table, "connection": connection, "filter": filter_text, **moments()},
    ).fetchone()
    started: datetime | None = found[0] if found else None
    return started
