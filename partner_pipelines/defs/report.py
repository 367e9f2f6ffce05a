"""The weekly report as an asset: a file of its own, made of what is published when it is asked for."""

from datetime import timedelta

import dagster as dg

from partner_pipelines.clock import now
from partner_pipelines.defs.audit import DAILY_CHECKS, RUNS
from partner_pipelines.defs.marts import GROUP
from partner_pipelines.defs.resources import current_data, current_settings, sentences_only
from partner_pipelines.defs.run_report import asset_key
from partner_pipelines.defs.table_assets import OWNERS
from partner_pipelines.report.charts import CHARTS

REPORT = "reports.weekly"
_OLDEST = timedelta(days=8)
_TOLD_OF = ("marts.partner_health", "marts.openmoove_freshness", "resman.units", "resman.leads")


@dg.asset(
    key=asset_key(REPORT),
    group_name=GROUP,
    description=(
        "One file, reports/weekly.html: pictures of the marts, key figures, what is overdue and with whom, how the "
        "partners do, how fresh everything is.\n\n"
        f"Source: {', '.join((*CHARTS, *_TOLD_OF))}.\n\nRefresh: every Monday morning."
    ),
    owners=OWNERS,
    kinds={"html"},
    tags={"personal_data": "none"},
    deps=[asset_key(table) for table in (*CHARTS, *_TOLD_OF)],
)
def weekly_report(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Writes it."""
    from partner_pipelines.report.weekly import write_report  # noqa: PLC0415 - DuckDB loads when it is needed

    with sentences_only(context):
        settings = current_settings()
        report = write_report(current_data(), settings.timezone, settings.published_group)
    facts: dict[str, dg.MetadataValue] = {
        "path": dg.MetadataValue.path(report.path),
        "bytes": dg.MetadataValue.int(report.bytes),
    }
    if report.as_of is not None:
        facts["as_of"] = dg.MetadataValue.timestamp(report.as_of)
    return dg.MaterializeResult(metadata=facts)


@dg.asset_check(
    asset=asset_key(REPORT),
    name="report_is_of_this_week",
    description="reports/weekly.html is there, and was written within the last 8 days",
)
def report_is_of_this_week(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Asked of the file itself: somebody may have removed it."""
    with sentences_only(context):
        path = current_data().weekly_report
        written = path.stat().st_mtime if path.exists() else None
    fresh = written is not None and now().timestamp() - written < _OLDEST.total_seconds()
    return dg.AssetCheckResult(
        passed=fresh,
        metadata={"offending": 0 if fresh else 1, "examples": dg.MetadataValue.json([] if fresh else [str(path)])},
    )


report_job = dg.define_asset_job(
    "write_weekly_report",
    selection=dg.AssetSelection.assets(*map(asset_key, (REPORT, RUNS))) - dg.AssetSelection.checks(*DAILY_CHECKS),
    description="Writes reports/weekly.html, and records the run.",
)
