"""Writes: the table of them, what works the outbox off, the sensor that looks whether anything waits, the AI agent."""

from collections.abc import Iterator

import dagster as dg
from pydantic import Field

from partner_pipelines.defs import audit
from partner_pipelines.defs.pauses import request_for_waiting
from partner_pipelines.defs.published import query
from partner_pipelines.defs.resources import PartnerHouse, current_data, current_settings, sentences_only
from partner_pipelines.defs.run_report import asset_key
from partner_pipelines.defs.schedules import default_schedule_status, default_sensor_status
from partner_pipelines.defs.table_assets import OWNERS, WRITES, Event, materialized
from partner_pipelines.sync.outbox_work import something_to_send

JOB = "send_writes"
LOOK_SECONDS = 5
"""How often the sensor looks. It lists a directory and asks the outbox."""

_UNEXPLAINED = f"SELECT outbox_id FROM {WRITES} WHERE state = 'rejected' AND reason IS NULL ORDER BY ALL"  # noqa: S608 - a name of ours


def _long_unknown(hours: float) -> str:
    return (
        f"SELECT outbox_id FROM {WRITES} WHERE state = 'unknown' "  # noqa: S608 - a name of ours, a number of the settings
        f"AND uncertain_at < now() - to_seconds({hours * 3600!r}) ORDER BY ALL"
    )


@dg.multi_asset(
    name="audit__writes",
    specs=[
        dg.AssetSpec(
            asset_key(WRITES),
            group_name="audit",
            description=(
                "One row per write to a partner: what became of it, and when.\n\n"
                'Source: outbox/, resman_handshake.md, "2. API Endpoint Usage", openmoove_partner_api.md, '
                '"1. Create Client and Property".\n\n'
                "Refresh: seconds after something was put into the outbox, and at the begin of every sync."
            ),
            owners=OWNERS,
            kinds={"python", "duckdb"},
            tags={"personal_data": "none"},
            metadata={"dagster/table_name": WRITES},
        )
    ],
)
def writes(context: dg.AssetExecutionContext, house: PartnerHouse) -> Iterator[Event]:
    """Takes what was dropped, settles what is uncertain, sends what waits."""
    from partner_pipelines.sync.outbox_run import run_outbox  # noqa: PLC0415 - httpx and DuckDB load with the work

    outcome = house.work(context, run_outbox)
    yield materialized(context, outcome, WRITES)


@dg.asset_check(
    asset=asset_key(WRITES),
    name="no_write_stays_unknown",
    description=(
        "Whether a write had its effect is known within PARTNER_OUTBOX_UNKNOWN_HOURS; "
        "`partner-pipelines outbox list` names those that a person has to settle"
    ),
)
def no_write_stays_unknown(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Names the writes that are uncertain for too long."""
    return _judged(context, _long_unknown(current_settings().outbox_unknown_hours))


@dg.asset_check(
    asset=asset_key(WRITES),
    name="every_rejection_has_a_reason",
    description="Who reads that a write was rejected reads why",
)
def every_rejection_has_a_reason(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Names the rejected writes without one."""
    return _judged(context, _UNEXPLAINED)


def _judged(context: dg.AssetCheckExecutionContext, sql: str) -> dg.AssetCheckResult:
    with sentences_only(context):
        rows = query(current_data(), sql)
    return dg.AssetCheckResult(
        passed=not rows,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "offending": len(rows),
            "examples": dg.MetadataValue.json([outbox_id for (outbox_id,) in rows[:10]]),
        },
    )


send_job = dg.define_asset_job(
    JOB,
    selection=dg.AssetSelection.assets(asset_key(WRITES), asset_key(audit.RUNS)).without_checks(),
    description="Works the outbox off: takes dropped files, settles what is uncertain, sends what waits.",
)


class PushConfig(dg.Config):
    """What to push: a file's name below `outbox/files/`, or writes of the outbox by their number; never a person."""

    kind: str = ""
    file: str = ""
    outbox_ids: list[int] = Field(default_factory=list)


@dg.op(
    out=dg.Out(dg.Nothing), description="Queues a file of outbox/files/, or writes again by their number, and sends."
)
def push_what_is_named(
    context: dg.OpExecutionContext, house: PartnerHouse, config: PushConfig
) -> Iterator[dg.Output[None]]:
    """One push; its counts are in the output's metadata."""
    from partner_pipelines.sync.job_push import push_named  # noqa: PLC0415 - httpx and DuckDB load with the work

    pushed = house.work(context, lambda opened: push_named(opened, config.kind, config.file, config.outbox_ids))
    yield dg.Output(None, metadata={name: dg.MetadataValue.int(count) for name, count in pushed.items()})


@dg.job(description="Pushes a file that lies in outbox/files/, or sends writes again that the outbox has, by number.")
def push_writes() -> None:
    """For a person, in the launchpad."""
    push_what_is_named()


@dg.op(
    out=dg.Out(dg.Nothing), description="The AI leasing agent's record is there once per ResMan account, up to date."
)
def ensure_each_agent(context: dg.OpExecutionContext, house: PartnerHouse) -> Iterator[dg.Output[None]]:
    """Raises what the settings have wrong."""
    from partner_pipelines.sync.agents import ensure_agents as ensure  # noqa: PLC0415 - as above

    outcome, wrong = house.work(context, ensure)
    failed = outcome.tables[WRITES].failed
    if wrong or failed:
        raise dg.Failure("; ".join([*wrong, *(f"{name}: {why}" for name, why in failed.items())]), allow_retries=False)
    yield dg.Output(None, metadata={"requests": dg.MetadataValue.json(dict(outcome.requests))})


@dg.job(description="Makes sure that the configured AI leasing agent exists once per ResMan account, as configured.")
def ensure_agents() -> None:
    """The job of the schedule below."""
    ensure_each_agent()


def build_agents_schedule(timezone: str) -> dg.ScheduleDefinition:
    """Once a day, after the employees."""
    return dg.ScheduleDefinition(
        name="agents_daily",
        job=ensure_agents,
        cron_schedule="15 5 * * *",
        execution_timezone=timezone,
        description="Keeps the AI leasing agent's record (RESMAN_AGENT_EMAIL).",
        default_status=default_schedule_status(),
    )


@dg.sensor(
    name="outbox_drops",
    job=send_job,
    minimum_interval_seconds=LOOK_SECONDS,
    default_status=default_sensor_status(),
    description="Launches a run when writes wait, or are uncertain and have rested, and none is under way.",
)
def outbox_drops(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """One look."""
    if not something_to_send(current_data()):
        return dg.SkipReason("No write waits.")
    return request_for_waiting(context.instance, JOB)
