"""The marts as assets. They are views, always as new as the tables: a materialization looks at them and draws."""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import dagster as dg

from partner_pipelines.defs.audit import DAILY_CHECKS, RUNS
from partner_pipelines.defs.columns import column_lineage, described_columns
from partner_pipelines.defs.known_by import build_key_checks
from partner_pipelines.defs.published import published_columns, published_lineage, query, query_each
from partner_pipelines.defs.resources import current_data, current_settings, sentences_only
from partner_pipelines.defs.run_report import ROWS, asset_key
from partner_pipelines.defs.table_assets import OWNERS
from partner_pipelines.report.charts import CHARTS, Ask, Chart
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.warehouse.history_statements import HISTORY
from partner_pipelines.warehouse.marts import MARTS, Mart
from partner_pipelines.warehouse.quoting import literal
from partner_pipelines.warehouse.thresholds import THRESHOLDS, Threshold, limits_of

GROUP = "marts"
TABLES = tuple(mart.table for mart in MARTS)
FRESHNESS = "marts.openmoove_freshness"
HEALTH = "marts.api_health"


def _spec(mart: Mart) -> dg.AssetSpec:
    return dg.AssetSpec(
        asset_key(mart.table),
        group_name=GROUP,
        description=(
            f"{mart.grain}.\n\nSource: {', '.join(mart.sources)}.\n\n"
            "Refresh: a view, as new as the tables; its picture is drawn every hour."
        ),
        owners=OWNERS,
        kinds={"duckdb"},
        tags={"personal_data": "as_tokens" if "[personal;" in mart.statements else "none"},
        deps=[asset_key(source) for source in mart.sources],
        metadata={"dagster/table_name": mart.table},
        skippable=True,
    )


@dg.multi_asset(name="marts", specs=[_spec(mart) for mart in MARTS], can_subset=True)
def marts(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
    """Counts the rows of each, and draws those that have a picture."""
    data = current_data()
    for mart in MARTS:
        if asset_key(mart.table) not in context.selected_asset_keys:
            continue
        with sentences_only(context):
            metadata = facts_of(data, mart.table, mart.sources)
            if mart.table in _PICTURES:
                metadata["picture"] = _shown(_PICTURES[mart.table](data))
        yield dg.MaterializeResult(asset_key=asset_key(mart.table), metadata=metadata)


def facts_of(data: DataDirectory, table: str, sources: Sequence[str] = ()) -> dict[str, dg.MetadataValue]:
    """How many rows a published table has, its columns, and for a view where they come from."""
    ((rows,),) = query(data, f"SELECT count(*) FROM {table}")  # noqa: S608 - a name of ours
    columns = described_columns(published_columns(data, table))
    facts: dict[str, dg.MetadataValue] = {
        ROWS: dg.MetadataValue.int(rows),
        "dagster/column_schema": dg.MetadataValue.table_schema(columns),
    }
    if sources:
        lineage = column_lineage(published_lineage(data, table), sources)
        facts["dagster/column_lineage"] = dg.MetadataValue.column_lineage(lineage)
    return facts


def _shown(picture: bytes) -> dg.MetadataValue:
    return dg.MetadataValue.md(f"![picture](data:image/png;base64,{base64.b64encode(picture).decode()})")


_AGES = """
    SELECT connection, list(detail_age_hours ORDER BY detail_age_hours NULLS LAST)
    FROM marts.openmoove_property_freshness WHERE NOT frozen GROUP BY ALL ORDER BY ALL
"""
_LEFT = "SELECT connection, reason, requests FROM marts.openmoove_backlog ORDER BY ALL"
_CLEAR = "SELECT connection, hours_until_clear FROM marts.openmoove_freshness ORDER BY ALL"


def _draw_freshness(data: DataDirectory) -> bytes:
    from partner_pipelines.pictures.freshness import Freshness, draw_freshness  # noqa: PLC0415 - for who draws

    ages, left, clear = query_each(data, [_AGES, _LEFT, _CLEAR])
    ages_of, clear_of = dict(ages), dict(clear)
    backlog: dict[str, dict[str, float]] = {}
    for connection, reason, requests in left:
        backlog.setdefault(connection, {})[reason] = requests
    found = [
        Freshness(name, ages_of.get(name, []), backlog.get(name, {}), clear_of.get(name))
        for name in sorted(clear_of | backlog)
    ]
    return draw_freshness(found, data.dagster / "matplotlib")


_HOURS = """
    SELECT
        date_trunc('hour', started_at), count(*), count(*) FILTER (outcome <> 'ok'),
        quantile_cont(latency_ms, 0.5), quantile_cont(latency_ms, 0.95), quantile_cont(latency_ms, 0.99)
    FROM audit.api_calls
    WHERE purpose = 'work' AND started_at > now() - INTERVAL 48 HOUR
    GROUP BY ALL ORDER BY ALL
"""
_SPENT = "SELECT connection, hour, share FROM marts.budget_use WHERE hour > now() - INTERVAL 48 HOUR ORDER BY ALL"


def _draw_health(data: DataDirectory) -> bytes:
    from partner_pipelines.pictures.health import Hour, draw_health  # noqa: PLC0415 - for who draws

    hours, spent = query_each(data, [_HOURS, _SPENT])
    budget: dict[str, list[tuple[datetime, float]]] = {}
    for connection, hour, share in spent:
        budget.setdefault(connection, []).append((hour, share))
    return draw_health([Hour(*row) for row in hours], budget, data.dagster / "matplotlib")


def _drawer(chart: Callable[[Ask], Chart]) -> Callable[[DataDirectory], bytes]:
    return lambda data: chart(partial(query, data)).draw(data.dagster / "matplotlib")


_PICTURES: Mapping[str, Callable[[DataDirectory], bytes]] = {
    FRESHNESS: _draw_freshness,
    HEALTH: _draw_health,
    **{mart: _drawer(chart) for mart, chart in CHARTS.items()},
}


@dg.asset_check(
    asset=asset_key(FRESHNESS),
    name="active_properties_are_fresh",
    description="Of each connection, as large a share as OPENMOOVE_FRESH_SHARE is younger than OPENMOOVE_FRESH_WITHIN",
)
def active_properties_are_fresh(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """A warning only: under a quota a first sync takes hours, and the backlog says how many."""
    offending: dict[str, Any] = {}
    with sentences_only(context):
        for connection in current_settings().openmoove:
            hours = connection.fresh_within.total_seconds() / 3600
            share = _fresh_share(current_data(), connection.name, hours)
            if share is not None and share < connection.fresh_share:
                offending[connection.name] = {"share": round(share, 4), "target": connection.fresh_share}
    return dg.AssetCheckResult(
        passed=not offending,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"offending": len(offending), "examples": dg.MetadataValue.json(offending)},
    )


def _fresh_share(data: DataDirectory, connection: str, hours: float) -> float | None:
    """None where there is no active property."""
    ((fresh, active),) = query(
        data,
        f"SELECT count(*) FILTER (detail_age_hours < {hours!r}), count(*) FROM marts.openmoove_property_freshness "  # noqa: S608 - a setting, a literal
        f"WHERE NOT frozen AND connection = {literal(connection)}",
    )
    return fresh / active if active else None


def _build_threshold_check(threshold: Threshold) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=asset_key(threshold.mart),
        name=threshold.name,
        description=f"{threshold.description}. What to do otherwise: {threshold.remedy}",
    )
    def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        with sentences_only(context):
            rows = query(current_data(), threshold.query(limits_of(current_settings())))
        return dg.AssetCheckResult(
            passed=not rows,
            metadata={"offending": len(rows), "examples": dg.MetadataValue.json(dict(rows))},
        )

    return check


CHECKS = [
    active_properties_are_fresh,
    *map(_build_threshold_check, THRESHOLDS),
    build_key_checks("marts__keys", {mart.table: mart.key for mart in MARTS}),
]

marts_job = dg.define_asset_job(
    "draw_marts",
    selection=dg.AssetSelection.assets(*map(asset_key, (*TABLES, *HISTORY.values(), RUNS)))
    - dg.AssetSelection.checks(*DAILY_CHECKS),
    description="Looks at the marts, judges them, draws their pictures, and records the run.",
)
