"""What a step says about its tables, written to Dagster's events and read back from them.

Every selected table leaves one event: a materialization, or an observation when it gave nothing. Both carry the same
metadata, so that the run's last step and `sync --json` read what happened from the run itself, whatever the executor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from partner_pipelines.sync.results import SyncOutcome, TableResult

ROWS = "dagster/row_count"
REQUESTS = "requests"
"""How many requests a step made, by connection: a check that asks the partner says so under the same name."""

_COUNTS = ("inserted", "updated", "deleted", "rejected")
_REASONS = ("skipped", "failed", "refused_deletions")
_OF_STEP = (REQUESTS, "backlog", "remarks")
_OF_TABLES = {dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_OBSERVATION}
TELLING = {*_OF_TABLES, dg.DagsterEventType.ASSET_CHECK_EVALUATION}
"""The kinds of event that `Told` listens to."""


@dataclass(frozen=True, slots=True)
class TableReport:
    """One table of one run. What is the whole step's (`requests` and so on) its tables share."""

    table: str
    step_key: str
    materialized: bool
    rows: int
    counts: Mapping[str, int]
    skipped: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    refused_deletions: Mapping[str, str] = field(default_factory=dict)
    requests: Mapping[str, int] = field(default_factory=dict)
    backlog: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    remarks: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Told:
    """What the events of a run say, heard one by one."""

    reports: list[TableReport] = field(default_factory=list)
    _checks: dict[str, Mapping[str, int]] = field(default_factory=dict)

    def hear(self, event: dg.DagsterEvent) -> None:
        """The next event."""
        self.reports.extend(reports_of(event))
        self._checks.update(step_requests(event))

    @property
    def requests(self) -> dict[str, int]:
        """How many requests each connection made. The tables of one step tell the same, so one of them counts."""
        return _summed({**{report.step_key: report.requests for report in self.reports}, **self._checks})

    @property
    def backlog(self) -> dict[str, int]:
        """How much each connection has left to fetch."""
        return {name: sum(reasons.values()) for name, reasons in self.backlog_reasons.items()}

    @property
    def backlog_reasons(self) -> dict[str, dict[str, int]]:
        """How much each connection has left to fetch, by reason."""
        by_step = {report.step_key: report.backlog for report in self.reports}
        names = {name for backlog in by_step.values() for name in backlog}
        return {name: _summed({step: backlog.get(name, {}) for step, backlog in by_step.items()}) for name in names}

    @property
    def remarks(self) -> dict[str, str]:
        """Who else is at a connection's work, and why it ended early."""
        return {name: sentence for report in self.reports for name, sentence in report.remarks.items()}


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
    mappings: dict[str, Mapping[str, object]] = {name: getattr(result, name) for name in _REASONS}
    mappings |= {name: getattr(outcome, name) for name in _OF_STEP}
    found: dict[str, dg.MetadataValue] = {ROWS: dg.MetadataValue.int(result.rows)}
    found |= {name: dg.MetadataValue.int(getattr(result, name)) for name in _COUNTS}
    return found | {name: dg.MetadataValue.json(dict(value)) for name, value in mappings.items() if value}


def step_requests(event: dg.DagsterEvent) -> dict[str, Mapping[str, int]]:
    """The requests that a check's step made, by step and connection; a table's are in its report."""
    if event.event_type is not dg.DagsterEventType.ASSET_CHECK_EVALUATION or event.step_key is None:
        return {}
    told = event.asset_check_evaluation_data.metadata.get(REQUESTS)
    counts: Any = told.value if told is not None else {}
    return {event.step_key: counts} if counts else {}


def reports_of(event: dg.DagsterEvent) -> Iterable[TableReport]:
    """What one event says about a table: nothing, unless a sync left it."""
    if event.event_type not in _OF_TABLES or event.step_key is None:
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


def _report(table: str, step_key: str, facts: Mapping[str, Any], *, materialized: bool) -> TableReport:
    return TableReport(
        table,
        step_key,
        materialized,
        facts[ROWS],
        {name: facts.get(name, 0) for name in _COUNTS},
        *(facts.get(name, {}) for name in (*_REASONS, *_OF_STEP)),
    )


def _summed(by_step: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for counts in by_step.values():
        for connection, count in counts.items():
            total[connection] = total.get(connection, 0) + count
    return total
