"""Webhooks: the table of deliveries, what applies them, and the sensor that looks whether any wait.

A run takes whatever waits when it begins, so a run is launched when something waits and none is under way: file names
and times play no part, and nothing is launched twice.
"""

from collections.abc import Iterator

import dagster as dg

from partner_pipelines.defs import audit, openmoove
from partner_pipelines.defs.openmoove import SCOPE, TOLD
from partner_pipelines.defs.pauses import request_for_waiting
from partner_pipelines.defs.published import query
from partner_pipelines.defs.resources import PartnerHouse, current_data, sentences_only
from partner_pipelines.defs.run_report import REQUESTS, asset_key
from partner_pipelines.defs.schedules import default_schedule_status, default_sensor_status
from partner_pipelines.defs.table_assets import OWNERS, Event, materialized
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.inbox import Inbox

DELIVERIES = openmoove.DELIVERIES
JOB = "apply_webhooks"
LOOK_SECONDS = 5
"""How often the sensor looks. It reads one name of a directory."""

_LONG_WAITING = f"""
    SELECT connection || '/' || property_id AS offence, count(*) AS times FROM {DELIVERIES}
    WHERE state = 'waiting' AND received_at < now() - INTERVAL 1 DAY GROUP BY ALL ORDER BY ALL
"""  # noqa: S608 - a name of ours
_DEAD = f"SELECT reason, count(*) FROM {DELIVERIES} WHERE state = 'dead_lettered' GROUP BY ALL ORDER BY ALL"  # noqa: S608


@dg.multi_asset(
    name="audit__webhook_deliveries",
    specs=[
        dg.AssetSpec(
            asset_key(DELIVERIES),
            group_name="webhooks",
            description=(
                "One row per delivery of a webhook; refused ones counted a minute, source and reason.\n\n"
                'Source: webhooks/inbox, openmoove_partner_api.md, "Webhooks".\n\n'
                "Refresh: seconds after something came, and at the begin of every sync."
            ),
            owners=OWNERS,
            kinds={"python", "duckdb"},
            tags={"personal_data": "as_tokens"},
            metadata={"dagster/table_name": DELIVERIES},
        )
    ],
)
def webhook_deliveries(context: dg.AssetExecutionContext, house: PartnerHouse) -> Iterator[Event]:
    """Applies what waits."""
    from partner_pipelines.sync.webhooks import apply_webhooks  # noqa: PLC0415 - DuckDB loads with the work

    outcome = house.work(context, apply_webhooks)
    yield materialized(context, outcome, DELIVERIES)


@dg.asset_check(
    asset=asset_key(DELIVERIES),
    name="no_news_waits_for_its_property",
    description="News of a property that is not in the warehouse waits for it: a day at most",
)
def no_news_waits(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Counts news that has waited for more than a day."""
    return _judged(context, _LONG_WAITING)


@dg.asset_check(
    asset=asset_key(DELIVERIES),
    name="no_dead_letters",
    description="Every delivery could be used; `partner-pipelines webhooks list` names those that could not",
)
def no_dead_letters(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Counts dead letters by their reason."""
    return _judged(context, _DEAD)


def _judged(context: dg.AssetCheckExecutionContext, sql: str) -> dg.AssetCheckResult:
    with sentences_only(context):
        rows = query(current_data(), sql)
    return dg.AssetCheckResult(
        passed=not rows,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "offending": sum(int(times) for _, times in rows),
            "examples": dg.MetadataValue.json({str(offence): int(times) for offence, times in rows[:10]}),
        },
    )


@dg.asset_check(
    asset=asset_key("openmoove.properties"),
    name="webhooks_tell_what_changes",
    description="Once a day, some properties of each connection are read again: what no webhook told is drift",
)
def webhooks_tell(context: dg.AssetCheckExecutionContext, house: PartnerHouse) -> dg.AssetCheckResult:
    """Samples, mends what it finds, and tells it."""
    from partner_pipelines.sync.drift import sample_drift  # noqa: PLC0415 - httpx and DuckDB load with the work

    found = house.work(context, sample_drift)
    return dg.AssetCheckResult(
        passed=not any(found.drifted.values()),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "compared": sum(found.compared.values()),
            "offending": sum(len(ids) for ids in found.drifted.values()),
            "examples": dg.MetadataValue.json({name: list(ids) for name, ids in found.drifted.items() if ids}),
            "unasked": dg.MetadataValue.json(dict(found.unasked)),
            REQUESTS: dg.MetadataValue.json(dict(found.compared)),
        },
    )


apply_job = dg.define_asset_job(
    JOB,
    selection=dg.AssetSelection.assets(*map(asset_key, (DELIVERIES, *openmoove.TABLES, audit.RUNS))).without_checks(),
    tags={SCOPE: TOLD},
    description="Applies the webhooks that wait, asks OpenMoove about what they told, and records the run.",
)

drift_job = dg.define_asset_job(
    "sample_drift",
    selection=dg.AssetSelection.checks(webhooks_tell),
    description="Reads some of OpenMoove's properties again, to see whether webhooks tell all that changes.",
)


def build_drift_schedule(timezone: str) -> dg.ScheduleDefinition:
    """The daily sample."""
    return dg.ScheduleDefinition(
        name="drift_daily",
        job=drift_job,
        cron_schedule="40 4 * * *",
        execution_timezone=timezone,
        description="Compares some properties with OpenMoove.",
        default_status=default_schedule_status(),
    )


def something_waits(data: DataDirectory) -> bool:
    """Whether a webhook waits to be applied."""
    return Inbox(data.webhooks, b"").waiting(most=1) > 0


@dg.sensor(
    name="webhook_drops",
    job=apply_job,
    minimum_interval_seconds=LOOK_SECONDS,
    default_status=default_sensor_status(),
    description="Launches a run when webhooks wait and none is under way: a batch a run.",
)
def webhook_drops(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """One look."""
    if not something_waits(current_data()):
        return dg.SkipReason("No webhook waits.")
    return request_for_waiting(context.instance, JOB)
