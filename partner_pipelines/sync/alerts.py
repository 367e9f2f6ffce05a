"""What somebody has to hear of after a run: thresholds that are passed, connections that stay dead, dead letters.

Looked at as each run's last step, in whatever way the run was started. Each is one notification while it lasts and one
when it is over. Nothing here fails a run.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from duckdb import DuckDBPyConnection

from partner_pipelines.recovery import Audience
from partner_pipelines.sync.house import House
from partner_pipelines.warehouse.reading import published
from partner_pipelines.warehouse.thresholds import THRESHOLDS, Limits, limits_of

DEAD_AFTER_RUNS = 3
"""So many runs in a row that could not load a connection, and it is dead: less may pass by itself."""
_RUNS_LOOKED_AT = 50


@dataclass(frozen=True, slots=True)
class Alert:
    """Something is wrong now. `incident` names it; `since` is told by when it was first told."""

    incident: str
    audience: Audience
    title: str
    body: str


def tell_alerts(house: House) -> None:
    """Who has to hear of something has heard of it, or will at the next run; what is over is told too."""
    with published(house.data) as database:
        alerts = list(find_alerts(database, limits_of(house.settings)))
    known = {alert.incident for alert in alerts}
    for alert in alerts:
        house.notifier.notify(alert.audience, alert.incident, alert.title, alert.body, opened_by=_OPENED_BY)
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
            )
    yield from _dead_connections(database)
    yield from _dead_letters(database)
    yield from _damaged_trail(database)


def _dead_connections(database: DuckDBPyConnection) -> Iterator[Alert]:
    runs = database.execute(
        f"SELECT requests, failures FROM audit.runs ORDER BY finished_at DESC LIMIT {_RUNS_LOOKED_AT}"  # noqa: S608 - a number of ours
    ).fetchall()
    over: set[str] = set()
    failed: Counter[str] = Counter()
    sentences: dict[str, str] = {}
    for requests, failures in ((json.loads(each) for each in run) for run in runs):
        broken = _sentences(failures)
        over |= requests.keys() - broken.keys()
        for connection, sentence in broken.items():
            if connection not in over:
                failed[connection] += 1
                sentences.setdefault(connection, sentence)
    for connection in sorted(failed):
        if failed[connection] >= DEAD_AFTER_RUNS:
            yield Alert(
                f"dead:{connection}",
                "system_alert",
                f"{connection} could not be loaded in {DEAD_AFTER_RUNS} runs in a row",
                f"The last reason: {sentences[connection]}. What to do: see the run's page, then docs/recovery.md.",
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
            f"{count} since {since:%Y-%m-%d %H:%M} UTC. What to do: `webhooks list`, then `replay` or `drop`.",
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
