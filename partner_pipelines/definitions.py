"""The one Definitions object: what the UI shows is listed here.

It loads without credentials, without network, and makes no file.
"""

from __future__ import annotations

import dagster as dg

from partner_pipelines.defs import audit, history, mart_checks, marts, openmoove, report, resman, webhooks, writes
from partner_pipelines.defs.checks import CHECKS
from partner_pipelines.defs.executors import EXECUTORS
from partner_pipelines.defs.purge import build_purge_schedule, purge
from partner_pipelines.defs.resources import PartnerHouse
from partner_pipelines.defs.schedules import build_schedules, with_freshness
from partner_pipelines.defs.scopes import scopes_sensor
from partner_pipelines.defs.sensors import dead_runs_are_failed, failures_are_told
from partner_pipelines.defs.table_assets import WRITES
from partner_pipelines.settings import load_settings

_settings = load_settings()
_tables = (
    *resman.TABLES,
    WRITES,
    webhooks.DELIVERIES,
    *openmoove.TABLES,
    *audit.TABLES,
    *history.TABLES,
    *marts.TABLES,
    report.REPORT,
)

defs = dg.Definitions(
    assets=[
        with_freshness(asset)
        for asset in (
            *resman.ASSETS,
            writes.writes,
            webhooks.webhook_deliveries,
            openmoove.openmoove_tables,
            audit.api_calls,
            history.history,
            marts.marts,
            report.weekly_report,
            audit.build_runs(_tables),
        )
    ],
    asset_checks=[
        *CHECKS,
        openmoove.current_milestone_agrees,
        webhooks.no_news_waits,
        webhooks.no_dead_letters,
        webhooks.webhooks_tell,
        writes.no_write_stays_unknown,
        writes.every_rejection_has_a_reason,
        *marts.CHECKS,
        report.report_is_of_this_week,
        *mart_checks.CHECKS,
        *audit.CHECKS,
        *history.CHECKS,
    ],
    jobs=[
        purge,
        writes.send_job,
        writes.push_writes,
        writes.ensure_agents,
        webhooks.apply_job,
        webhooks.drift_job,
        openmoove.idle_job,
        marts.marts_job,
        report.report_job,
        audit.daily_job,
    ],
    schedules=[
        *build_schedules(_settings.timezone),
        build_purge_schedule(_settings.timezone),
        webhooks.build_drift_schedule(_settings.timezone),
        writes.build_agents_schedule(_settings.timezone),
    ],
    sensors=[dead_runs_are_failed, failures_are_told, scopes_sensor, webhooks.webhook_drops, writes.outbox_drops],
    executor=EXECUTORS[_settings.executor],
    resources={"house": PartnerHouse()},
)
