"""A partner's table as an asset: what the UI shows of it, and what a sync says about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import dagster as dg

from partner_pipelines.defs.columns import column_schema, described_columns
from partner_pipelines.defs.published import preview, published_columns
from partner_pipelines.defs.resources import current_data, sentences_only
from partner_pipelines.defs.run_report import asset_key, gave_something, metadata_of, table_name
from partner_pipelines.sync.results import SyncOutcome, TableResult
from partner_pipelines.warehouse.tables import TABLES

OWNERS = ("team:data-engineering",)
WRITES = "audit.writes"
EVERY_CONNECTION_LOADED = "every_connection_loaded"
NO_MASS_DELETION = "no_mass_deletion"

_CLAIMS = {
    EVERY_CONNECTION_LOADED: "No connection failed; one that is not configured or has no right is no failure",
    NO_MASS_DELETION: "No more rows seemed gone at once than can be believed (5 % and 10 rows): such are not marked",
}

Event = dg.MaterializeResult[None] | dg.AssetCheckResult


def table_spec(table: str, refresh: str) -> dg.AssetSpec:
    """The asset of a partner table. `refresh` says when its schedule runs."""
    spec = TABLES[table]
    return dg.AssetSpec(
        asset_key(table),
        group_name=spec.schema,
        description=f"{spec.grain.capitalize()}.\n\nSource: {spec.source}.\n\nRefresh: {refresh}.",
        owners=OWNERS,
        kinds={"python", "duckdb"},
        tags={"partner": spec.schema, "personal_data": "as_tokens" if spec.forms else "none"},
        metadata={"dagster/table_name": table, "dagster/column_schema": column_schema(spec)},
        skippable=True,
    )


def sync_check_specs(tables: Iterable[str]) -> list[dg.AssetCheckSpec]:
    """The claims that only the sync itself can judge."""
    return [
        dg.AssetCheckSpec(name, asset=asset_key(table), description=claim)
        for table in tables
        for name, claim in _CLAIMS.items()
    ]


def report(context: dg.AssetExecutionContext, outcome: SyncOutcome) -> Iterator[Event]:
    """What the sync has done, for the tables and checks that were selected.

    A table that gave nothing yields no materialization: what depends on it is skipped, and its last one stays true.
    """
    selected = {table_name(key) for key in context.selected_asset_keys}
    for table, result in outcome.tables.items():
        if table not in selected:
            continue
        metadata = metadata_of(result, outcome)
        if gave_something(result):
            with sentences_only(context):
                metadata["preview"] = dg.MetadataValue.md(preview(current_data(), table))
            yield dg.MaterializeResult(asset_key=asset_key(table), metadata=metadata)
        else:
            context.log_event(dg.AssetObservation(asset_key(table), metadata=metadata))
        yield from _judged(context, result)


def materialized(context: dg.AssetExecutionContext, outcome: SyncOutcome, table: str) -> dg.MaterializeResult[None]:
    """What a sync has done for a table of our own, with the columns as they are published."""
    with sentences_only(context):
        columns = published_schema(table)
    metadata = metadata_of(outcome.tables[table], outcome)
    return dg.MaterializeResult(asset_key=asset_key(table), metadata=metadata | {"dagster/column_schema": columns})


def published_schema(table: str) -> dg.MetadataValue:
    """The columns as they are published. Raises StateError."""
    return dg.MetadataValue.table_schema(described_columns(published_columns(current_data(), table)))


def _judged(context: dg.AssetExecutionContext, result: TableResult) -> Iterator[dg.AssetCheckResult]:
    found = {EVERY_CONNECTION_LOADED: result.failed, NO_MASS_DELETION: result.refused_deletions}
    for name, offending in found.items():
        key = dg.AssetCheckKey(asset_key(result.table), name)
        if key in context.selected_asset_check_keys:
            yield dg.AssetCheckResult(
                asset_key=key.asset_key,
                check_name=name,
                passed=not offending,
                metadata={"offending": len(offending), **offending},
            )
