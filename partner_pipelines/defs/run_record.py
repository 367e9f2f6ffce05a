"""One row per run in `audit.runs`: what the run's own events say when everything else is done."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg

from partner_pipelines.clock import now
from partner_pipelines.defs.run_report import TELLING, Told

if TYPE_CHECKING:
    from partner_pipelines.sync.house import House


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run. `failures`: a sentence by table and connection."""

    run_id: str
    started_at: datetime
    failures: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    requests: Mapping[str, int] = field(default_factory=dict)
    backlog: Mapping[str, int] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """What failed, each sentence once: tables of one step fail for the same reason."""
        told = {
            f"{connection}: {sentence}"
            for by_connection in self.failures.values()
            for connection, sentence in by_connection.items()
        }
        return f"not every connection was loaded: {'; '.join(sorted(told))}"


def run_record(instance: dg.DagsterInstance, run_id: str) -> RunRecord:
    """What the run's steps said."""
    told = Told()
    for entry in instance.all_logs(run_id, of_type=TELLING):
        if entry.dagster_event is not None:
            told.hear(entry.dagster_event)
    found = instance.get_run_record_by_id(run_id)
    started = datetime.fromtimestamp(found.start_time, UTC) if found and found.start_time else now()
    failures = {report.table: report.failed for report in told.reports if report.failed}
    return RunRecord(run_id, started, failures, told.requests, told.backlog)


def record_run(house: House, record: RunRecord) -> int:
    """The row is in `audit.runs`, the whole trail in `audit.api_calls`, both published; how many runs there are."""
    from partner_pipelines.warehouse.parameters import execute  # noqa: PLC0415 - DuckDB loads with the work
    from partner_pipelines.warehouse.publish import publish  # noqa: PLC0415
    from partner_pipelines.warehouse.schema import note_change  # noqa: PLC0415
    from partner_pipelines.warehouse.sql_files import sql  # noqa: PLC0415
    from partner_pipelines.warehouse.writes import mark_written  # noqa: PLC0415

    with house.warehouse.writing() as database:
        mark_written(database)
        execute(database, sql("record_run"), _values(record))
        ((rows,),) = database.execute("SELECT count(*) FROM audit.runs").fetchall()
        note_change(database)
    publish(house.warehouse)
    return int(rows)


def _values(record: RunRecord) -> dict[str, str | int | datetime]:
    told = {name: json.dumps(dict(getattr(record, name))) for name in ("failures", "requests", "backlog")}
    return {
        "run_id": record.run_id,
        "started_at": record.started_at,
        "finished_at": now(),
        "success": int(not record.failures),
        **told,
    }
