"""What a step says about its tables, written to Dagster's events and read back from them.

Every selected table leaves one event: a materialization, or an observation when it gave nothing. Both carry the same
metadata, so that the run's last step and `sync --json` read what happened from the run itself, whatever the executor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from partner_pipelines.sync.results import SyncOutcome, TableResult

ROWS = "dagster/row_count"
_COUNTS = ("inserted", "updated", "deleted", "rejected")
_REASONS = ("skipped", "failed", "refused_deletions")
_EVENTS = {dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_OBSERVATION}


@dataclass(frozen=True, slots=True)
class TableReport:
    """One table of one run. `requests` and `backlog` are the whole step's: tables of one step share them."""

    table: str
    step_key: str
    materialized: bool
    rows: int
    counts: Mapping[str, int]
    skipped: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    requests: Mapping[str, int] = field(default_factory=dict)
    backlog: Mapping[str, int] = field(default_factory=dict)


def asset_key(table: str) -> dg.AssetKey:
    """Table `a.b` is the asset `a/b`."""
    return dg.AssetKey(table.split("."))


def table_name(key: dg.AssetKey) -> str:
    """The asset `a/b` is table `a.b`."""
    return ".".join(key.path)


def gave_something(result: TableResult) -> bool:
    """Whether the sync counts as a materialization: nobody skipped it whole, and it did not fail for everybody."""
    return not result.skipped_whole and bool(result.loaded or not result.failed)


def metadata_of(result: TableResult, outcome: SyncOutcome) -> dict[str, dg.MetadataValue]:
    """The facts of one table, as metadata. Empty ones are left out, the row count never."""
    backlog = {name: sum(reasons.values()) for name, reasons in outcome.backlog.items()}
    mappings = {name: getattr(result, name) for name in _REASONS} | {"requests": outcome.requests, "backlog": backlog}
    found: dict[str, dg.MetadataValue] = {ROWS: dg.MetadataValue.int(result.rows)}
    found |= {name: dg.MetadataValue.int(getattr(result, name)) for name in _COUNTS}
    return found | {name: dg.MetadataValue.json(dict(value)) for name, value in mappings.items() if value}


def table_reports(instance: dg.DagsterInstance, run_id: str) -> list[TableReport]:
    """What the run's steps said so far."""
    return list(_read(instance.all_logs(run_id, of_type=_EVENTS)))


def reports_of(event: dg.DagsterEvent) -> Iterable[TableReport]:
    """What one event says about a table: nothing, unless a sync left it."""
    if event.event_type not in _EVENTS or event.step_key is None:
        return
    materialized = event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION
    told: dg.AssetMaterialization | dg.AssetObservation = (
        event.step_materialization_data.materialization
        if materialized
        else event.asset_observation_data.asset_observation
    )
    facts = {name: value.value for name, value in told.metadata.items()}
    if ROWS in facts:
        yield _report(table_name(told.asset_key), event.step_key, facts, materialized=materialized)


def _read(entries: Iterable[dg.EventLogEntry]) -> Iterator[TableReport]:
    for entry in entries:
        if entry.dagster_event is not None:
            yield from reports_of(entry.dagster_event)


def _report(table: str, step_key: str, facts: Mapping[str, Any], *, materialized: bool) -> TableReport:
    return TableReport(
        table,
        step_key,
        materialized,
        facts[ROWS],
        {name: facts.get(name, 0) for name in _COUNTS},
        *(facts.get(name, {}) for name in ("skipped", "failed", "requests", "backlog")),
    )
