"""What a sync left to fetch, as data: `marts.openmoove_backlog` shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from duckdb import DuckDBPyConnection

from partner_pipelines.clock import now
from partner_pipelines.partners.openmoove.plan import Work
from partner_pipelines.warehouse.parameters import Value, execute
from partner_pipelines.warehouse.schema import note_change

LIST = "list"


@dataclass(frozen=True, slots=True)
class Left:
    """What is left for one reason. `properties` is None where it is not about properties: the list."""

    reason: str
    properties: int | None
    requests: int


def backlog_of(works: Iterable[Work], pages: int | None = None) -> list[Left]:
    """What these works add up to, by reason; `pages`: and the list, which has so many."""
    properties: Counter[str] = Counter()
    requests: Counter[str] = Counter()
    for work in works:
        properties[work.reason] += 1
        requests[work.reason] += work.requests
    left = [Left(reason, properties[reason], requests[reason]) for reason in sorted(properties)]
    return left if pages is None else [*left, Left(LIST, None, max(pages, 1))]


def is_recorded(
    database: DuckDBPyConnection, connection: str, left: list[Left], requests_per_hour: float | None
) -> bool:
    """Whether the table says just this."""
    found = execute(
        database,
        "SELECT reason, properties, requests, requests_per_hour FROM internal.backlog WHERE connection = $connection",
        {"connection": connection},
    ).fetchall()
    wanted = [(one.reason, one.properties, one.requests, requests_per_hour) for one in left]
    return sorted(found, key=str) == sorted(wanted, key=str)


def record_backlog(
    database: DuckDBPyConnection, connection: str, left: list[Left], requests_per_hour: float | None
) -> None:
    """The table says this of the connection from now on."""
    execute(database, "DELETE FROM internal.backlog WHERE connection = $connection", {"connection": connection})
    for one in left:
        values: dict[str, Value] = {
            "connection": connection,
            "reason": one.reason,
            "properties": one.properties,
            "requests": one.requests,
            "rate": requests_per_hour,
            "now": now(),
        }
        execute(
            database,
            "INSERT INTO internal.backlog VALUES ($connection, $reason, $properties, $requests, $rate, $now)",
            values,
        )
    note_change(database)
