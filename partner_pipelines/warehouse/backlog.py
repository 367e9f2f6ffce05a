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
    """Whether the tables say just this."""
    values: dict[str, Value] = {"connection": connection}
    backlog = "SELECT reason, properties, requests FROM internal.backlog WHERE connection = $connection"
    rates = "SELECT requests_per_hour FROM internal.rates WHERE connection = $connection"
    found = execute(database, backlog, values).fetchall()
    wanted = [(one.reason, one.properties, one.requests) for one in left]
    rate = execute(database, rates).fetchone()
    return sorted(found, key=str) == sorted(wanted, key=str) and (rate[0] if rate else None) == requests_per_hour


def record_backlog(
    database: DuckDBPyConnection, connection: str, left: list[Left], requests_per_hour: float | None
) -> None:
    """The tables say this of the connection from now on."""
    values: dict[str, Value] = {"connection": connection, "rate": requests_per_hour, "now": now()}
    execute(database, "DELETE FROM internal.backlog WHERE connection = $connection", values)
    execute(database, "DELETE FROM internal.rates WHERE connection = $connection")
    if requests_per_hour is not None:
        execute(database, "INSERT INTO internal.rates VALUES ($connection, $rate)")
    for one in left:
        row: dict[str, Value] = {"reason": one.reason, "properties": one.properties, "requests": one.requests}
        text = "INSERT INTO internal.backlog VALUES ($connection, $reason, $properties, $requests, $now)"
        execute(database, text, values | row)
    note_change(database)
