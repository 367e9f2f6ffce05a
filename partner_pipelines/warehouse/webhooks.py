"""What the warehouse knows of webhooks: what came, what is due because of it, the partners' clocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from duckdb import DuckDBPyConnection

from partner_pipelines.clock import now
from partner_pipelines.partners.openmoove.news import ClockBounds
from partner_pipelines.partners.openmoove.plan import Told, is_frozen
from partner_pipelines.state.heartbeat import Gap
from partner_pipelines.warehouse.known import known_properties
from partner_pipelines.warehouse.memory_file import json_lines
from partner_pipelines.warehouse.parameters import Value, execute, moments
from partner_pipelines.warehouse.schema import note_change
from partner_pipelines.warehouse.sql_files import sql

DELIVERIES = "audit.webhook_deliveries"
WEBHOOK_GAP = "webhook_gap"
"""Why something is due, beside WEBHOOK: `reason` in audit.api_calls."""


@dataclass(frozen=True, slots=True)
class KnownOfNews:
    """What is known of what an event is about; see `partners.openmoove.news.News`."""

    property_lives: bool
    sight_began_at: datetime | None
    sight_ended_at: datetime | None
    told_at: datetime | None
    duplicate_of: str | None


def known_of_news(database: DuckDBPyConnection, told: Sequence[Mapping[str, Any]]) -> list[KnownOfNews]:
    """For each event (connection, property_id, milestone_id, body_hash), in their order, what is known."""
    if not told:
        return []
    with json_lines({"place": place, **one} for place, one in enumerate(told)) as file:
        execute(database, sql("stage_webhooks"), {"file": file})
    found = execute(database, sql("known_of_webhooks"), moments()).fetchall()
    return [KnownOfNews(*row[1:]) for row in found]


def record_deliveries(
    database: DuckDBPyConnection, batch: str, run_id: str | None, rows: Sequence[Mapping[str, Any]]
) -> None:
    """The batch is done, with a row for each delivery."""
    with json_lines(rows) as file:
        execute(database, sql("insert_webhooks"), {"file": file, "batch": batch, "run": run_id})
    values: dict[str, Value] = {"batch": batch, "now": now()}
    execute(database, "INSERT INTO internal.webhook_batches VALUES ($batch, $now)", values)
    note_change(database)


def is_applied(database: DuckDBPyConnection, batch: str) -> bool:
    """Whether the batch's effect is committed."""
    text = "SELECT count(*) FROM internal.webhook_batches WHERE batch = $batch"
    return execute(database, text, {"batch": batch}).fetchone() != (0,)


def forget_batches(database: DuckDBPyConnection) -> None:
    """All files of batches are tidied away: nobody will ask for one again. Call it inside of `Inbox.applying`."""
    database.execute("DELETE FROM internal.webhook_batches")


def end_dead_letters(database: DuckDBPyConnection, ids: Sequence[str], state: str) -> None:
    """Dead letters that somebody has replayed or dropped have this state now."""
    text = f"UPDATE {DELIVERIES} SET state = $state WHERE list_contains($ids, delivery_id)"  # noqa: S608 - as above
    execute(database, text, {"ids": list(ids), "state": state})
    note_change(database)


def states_of(database: DuckDBPyConnection, batch: str) -> dict[str, tuple[str, str | None]]:
    """State and reason of each delivery of a batch, by its id."""
    text = f"SELECT delivery_id, state, reason FROM {DELIVERIES} WHERE batch = $batch"  # noqa: S608 - a name of ours
    found = execute(database, text, {"batch": batch}).fetchall()
    return {delivery_id: (state, reason) for delivery_id, state, reason in found}


def mark_due(database: DuckDBPyConnection, rows: Iterable[Mapping[str, Any]]) -> None:
    """Properties (connection, property_id, detail_since, milestones_since, reason) shall be asked."""
    with json_lines(rows) as file:
        execute(database, sql("mark_due"), {"file": file})


def due_properties(database: DuckDBPyConnection, connection: str) -> dict[int, Told]:
    """What shall be asked and was not since, the longest due first."""
    found = execute(database, sql("due_properties"), {"connection": connection, **moments()}).fetchall()
    return {property_id: Told(detail, milestones) for property_id, detail, milestones in found}


def settle(database: DuckDBPyConnection) -> None:
    """What was asked since it became due is not due any more; news that waited for a property that came is applied."""
    execute(database, sql("cap_due"), moments())
    execute(database, sql("settle_due"))
    changed = execute(database, sql("settle_waiting")).fetchone()
    if changed is not None and changed[0]:
        note_change(database)


def forget_due(database: DuckDBPyConnection, connection: str, property_ids: Sequence[int]) -> None:
    """The partner does not know these: asking again would not help."""
    values: dict[str, Value] = {"connection": connection, "ids": [str(property_id) for property_id in property_ids]}
    text = (
        "DELETE FROM internal.due WHERE connection = $connection AND list_contains($ids, CAST(property_id AS VARCHAR))"
    )
    execute(database, text, values)


def load_refusals(database: DuckDBPyConnection) -> None:
    """Refused deliveries, as the trail has them, are in the table."""
    changed = database.execute(sql("load_webhook_refusals")).fetchone()
    if changed is not None and changed[0]:
        note_change(database)


def mark_gap(database: DuckDBPyConnection, gap: Gap) -> int:
    """The connection's active properties are due because of the gap, once; how many."""
    values: dict[str, Value] = {"connection": gap.connection, "since": gap.since, "until": gap.until}
    same = "connection = $connection AND since = $since AND until IS NOT DISTINCT FROM CAST($until AS TIMESTAMPTZ)"
    known = f"SELECT count(*) FROM internal.webhook_gaps WHERE {same}"  # noqa: S608 - as above
    if execute(database, known, values).fetchone() != (0,):
        return 0
    execute(database, "INSERT INTO internal.webhook_gaps VALUES ($connection, $since, $until)")
    moment = now()
    active = [one.property_id for one in known_properties(database, gap.connection) if not is_frozen(one, moment)]
    due = {"connection": gap.connection, "detail_since": min(gap.until or moment, moment), "reason": WEBHOOK_GAP}
    mark_due(database, ({**due, "property_id": property_id} for property_id in active))
    return len(active)


def clock_bounds(database: DuckDBPyConnection) -> dict[str, ClockBounds]:
    """How far each connection's partner is ahead of us, as measured last."""
    found = database.execute("SELECT connection, at_least, at_most FROM internal.partner_clocks").fetchall()
    return {connection: ClockBounds(at_least, at_most) for connection, at_least, at_most in found}


def record_clock(database: DuckDBPyConnection, connection: str, bounds: ClockBounds) -> None:
    """Measured anew."""
    execute(database, "DELETE FROM internal.partner_clocks WHERE connection = $connection", {"connection": connection})
    values: dict[str, Value] = {
        "connection": connection,
        "at_least": repr(bounds.at_least),
        "at_most": repr(bounds.at_most),
        "now": now(),
    }
    execute(
        database,
        "INSERT INTO internal.partner_clocks "
        "VALUES ($connection, CAST($at_least AS DOUBLE), CAST($at_most AS DOUBLE), $now)",
        values,
    )


def record_published(database: DuckDBPyConnection) -> None:
    """Deliveries that were not published yet are about to be: how long that took is known now."""
    text = f"""
        UPDATE {DELIVERIES} SET seconds_to_published = epoch(CAST($now AS TIMESTAMPTZ)) - epoch(happened_at)
        WHERE applied_at IS NOT NULL AND seconds_to_published IS NULL
            AND happened_at <= applied_at -- not by a partner's clock that is ahead: that would be no duration
    """  # noqa: S608 - a name of ours
    execute(database, text, {"now": now()})
