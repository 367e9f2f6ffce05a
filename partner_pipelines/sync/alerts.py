"""What somebody has to hear of after a run: thresholds that are passed, connections that stay dead, dead letters.

Looked at as each run's last step, in whatever way the run was started. Each is one notification while it lasts and one
when it is over. Nothing here fails a run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from duckdb import DuckDBPyConnection

from partner_pipelines.clock import latest_proof, now
from partner_pipelines.recovery import Audience
from partner_pipelines.sync.house import House
from partner_pipelines.warehouse.reading import published
from partner_pipelines.warehouse.thresholds import THRESHOLDS, Limits, limits_of

DEAD_AFTER_RUNS = 3
"""So many runs in a row that could not load a connection, and it is dead: less may pass by itself."""
_RUNS_LOOKED_AT = 50


@dataclass(frozen=True, slots=True)
class Alert:
    """Something is wrong now. `incident` names it; `connection` is whose runs' failures it explains, if it does."""

    incident: str
    audience: Audience
    title: str
    body: str
    connection: str = ""
    since: datetime | None = None


def tell_alerts(house: House) -> None:
    """Who has to hear of something has heard of it, or will at the next run; what is over is told too."""
    with published(house.data) as database:
        alerts = list(find_alerts(database, limits_of(house.settings)))
    known = {alert.incident for alert in alerts}
    for alert in alerts:
        house.notifier.notify(
            alert.audience,
            alert.incident,
            alert.title,
            alert.body,
            _OPENED_BY,
            connection=alert.connection,
            since=alert.since,
        )
    for incident in house.notifier.open_incidents(_OPENED_BY):
        if incident not in known:
            house.notifier.resolve(incident)


_OPENED_BY = "alerts"


def find_alerts(database: DuckDBPyConnection, limits: Limits) -> Iterator[Alert]:
    """What is wrong now, by what the published tables say."""
    for threshold in THRESHOLDS:
        for breach in threshold.breaches(database, limits):
            yield Alert(
                f"{breach.threshold}:{breach.connection}",
                "system_alert",
                f"{breach.connection}: {breach.sentence}",
                f"{threshold.description}. What to do: {threshold.remedy}.",
                breach.connection,
            )
    yield from _dead_connections(database)
    yield from _dead_letters(database)
    yield from _damaged_trail(database)


def _dead_connections(database: DuckDBPyConnection) -> Iterator[Alert]:
    # What a clock that was ahead has stamped is not the latest
    is_proven = f"finished_at <= TIMESTAMPTZ '{latest_proof(now()).isoformat()}'"
    runs = database.execute(
        "SELECT finished_at, requests, failures FROM audit.runs "  # noqa: S608 - a time and a number of ours
        f"ORDER BY {is_proven} DESC, finished_at DESC LIMIT {_RUNS_LOOKED_AT}"
    ).fetchall()
    over: set[str] = set()
    failed: dict[str, list[datetime]] = {}
    sentences: dict[str, str] = {}
    for finished_at, requests, failures in runs:
        broken = _sentences(json.loads(failures))
        over |= json.loads(requests).keys() - broken.keys()
        for connection, sentence in broken.items():
            if connection not in over:
                failed.setdefault(connection, []).append(finished_at)
                sentences.setdefault(connection, sentence)
    for connection in sorted(failed):
        if len(failed[connection]) >= DEAD_AFTER_RUNS:
            yield Alert(
                f"dead:{connection}",
                "system_alert",
                f"{connection} could not be loaded in {DEAD_AFTER_RUNS} runs in a row",
                f"The last reason: {sentences[connection]}. What to do: see the run's page, then docs/recovery.md.",
                connection,
                min(failed[connection]),
            )


def _sentences(failures: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    return {connection: sentence for table in failures.values() for connection, sentence in table.items()}


def _dead_letters(database: DuckDBPyConnection) -> Iterator[Alert]:
    found = database.execute(
        "SELECT coalesce(connection, 'nobody'), count(*), min(received_at) FROM audit.webhook_deliveries "
        "WHERE state = 'dead_lettered' GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    for connection, count, since in found:
        yield Alert(
            f"dead_letters:{connection}",
            "integration_team",
            f"{connection}: webhooks that could not be used",
            f"{count} in all. What to do: `partner-pipelines webhooks list`, then `replay` or `drop`.",
            since=since,
        )


def _damaged_trail(database: DuckDBPyConnection) -> Iterator[Alert]:
    found = database.execute("SELECT segment FROM internal.segments WHERE damage IS NOT NULL ORDER BY ALL").fetchall()
    for (segment,) in found:
        yield Alert(
            f"trail:{segment}",
            "system_alert",
            f"the audit trail's segment {segment} is damaged",
            "Records of it were changed or lost. What to do: `audit verify` names the first bad record.",
        )
