"""When what is refreshed. Each job ends with the run's last step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition  # no public name

from partner_pipelines.defs import audit, marts, openmoove, report
from partner_pipelines.defs.run_report import asset_key
from partner_pipelines.warehouse.history_statements import HISTORY

SWITCH = "PARTNER_PIPELINES_SCHEDULES"
"""`up` sets it to `running` for its code server: the schedules then run unless somebody stopped one in the UI."""


@dataclass(frozen=True, slots=True)
class Refresh:
    """One job and its schedule. `every`: the longest time between two of its ticks."""

    job: str
    schedule: str
    tables: tuple[str, ...]
    cron: str
    every: timedelta
    description: str


_HOUR, _WEEK = timedelta(hours=1), timedelta(weeks=1)
REFRESHES = (
    Refresh(
        "refresh_units", "units_three_times_a_day", ("resman.units",), "0 6,14,20 * * *", 10 * _HOUR, "ResMan's units"
    ),
    Refresh("refresh_leads", "leads_every_15_minutes", ("resman.leads",), "*/15 * * * *", _HOUR / 4, "ResMan's leads"),
    Refresh(
        "refresh_employees", "employees_daily", ("resman.employees",), "0 5 * * *", 24 * _HOUR, "ResMan's employees"
    ),
    Refresh("refresh_documents", "documents_hourly", ("resman.documents",), "20 * * * *", _HOUR, "ResMan's documents"),
    Refresh("refresh_payments", "payments_hourly", ("resman.payments",), "25 * * * *", _HOUR, "ResMan's payments"),
    Refresh(
        "refresh_maintenance",
        "maintenance_hourly",
        ("resman.maintenance",),
        "30 * * * *",
        _HOUR,
        "ResMan's work orders",
    ),
    Refresh(
        "refresh_openmoove",
        "openmoove_hourly",
        (openmoove.DELIVERIES, *openmoove.TABLES),
        "0 * * * *",
        _HOUR,
        "OpenMoove's four tables",
    ),
    Refresh("load_api_calls", "api_calls_hourly", audit.TABLES, "50 * * * *", _HOUR, "the audit trail"),
)


def default_schedule_status() -> dg.DefaultScheduleStatus:
    """RUNNING below `up`, else STOPPED: `dg dev` must not call a partner because somebody looks at the graph."""
    running = dg.EnvVar(SWITCH).get_value() == "running"
    return dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED


def default_sensor_status() -> dg.DefaultSensorStatus:
    """As for schedules."""
    return dg.DefaultSensorStatus[default_schedule_status().name]


def build_schedules(timezone: str) -> list[dg.ScheduleDefinition]:
    """A schedule for each job."""
    idle = "Looks at OpenMoove's sales that are long done, each once in 30 days."
    judged = "Looks whether every call, event and run stands in the audit tables once."
    drawn = "Looks at the marts, judges them and draws their pictures."
    written = "Writes the weekly report on Monday mornings."
    return [
        *(_schedule(refresh, timezone) for refresh in REFRESHES),
        _schedule_of(openmoove.idle_job, "done_sales_daily", "30 3 * * *", timezone, idle),
        _schedule_of(marts.marts_job, "marts_hourly", "10 * * * *", timezone, drawn),
        _schedule_of(report.report_job, "weekly_report_mondays", "0 6 * * 1", timezone, written),
        _schedule_of(audit.daily_job, "audit_tables_daily", "15 4 * * *", timezone, judged),
    ]


def freshness_policies() -> Iterator[tuple[dg.AssetKey, dg.FreshnessPolicy]]:
    """When an asset is old: warned of when one refresh is missed, a failure when two are.

    A table that is skipped (no scope, no credentials) has never been fresh and is not judged.
    """
    refreshed = [(refresh.tables, refresh.every) for refresh in REFRESHES]
    views = ((*marts.TABLES, *HISTORY.values(), audit.RUNS), _HOUR)
    for tables, every in (*refreshed, views, ((report.REPORT,), _WEEK)):
        for table in tables:
            yield asset_key(table), dg.FreshnessPolicy.time_window(warn_window=2 * every, fail_window=3 * every)


def with_freshness(assets: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """The assets, each with its policy. One that is refreshed only when something comes has none: nothing is owed."""
    policies = dict(freshness_policies())
    return assets.map_asset_specs(lambda spec: spec.replace_attributes(freshness_policy=policies.get(spec.key)))


def _schedule(refresh: Refresh, timezone: str) -> dg.ScheduleDefinition:
    tables = (*refresh.tables, audit.RUNS)
    job = dg.define_asset_job(
        refresh.job,
        selection=dg.AssetSelection.assets(*map(asset_key, tables))
        - dg.AssetSelection.checks(*openmoove.IDLE_CHECKS, *audit.DAILY_CHECKS),
        description=f"Refreshes {refresh.description}, and records the run.",
    )
    return _schedule_of(job, refresh.schedule, refresh.cron, timezone, f"Refreshes {refresh.description}.")


def _schedule_of(
    job: UnresolvedAssetJobDefinition, name: str, cron: str, timezone: str, description: str
) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=name,
        job=job,
        cron_schedule=cron,
        execution_timezone=timezone,
        description=description,
        default_status=default_schedule_status(),
    )
