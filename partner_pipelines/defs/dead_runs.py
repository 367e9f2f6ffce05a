"""Runs whose process was killed: Dagster would show them as started for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg

from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.runs import forget_run, is_alive

SENTENCE = "The process that ran this was killed: nobody holds the run's lock. The next run goes on from where it was."
# A run that was launched and does not hold its lock yet, or has just let it go, is not dead.
_GRACE = timedelta(minutes=2)
_UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def mark_dead_runs(instance: dg.DagsterInstance, data: DataDirectory) -> list[str]:
    """Runs that nobody runs are failed afterwards, with a sentence; returns their ids."""
    records = instance.get_run_records(dg.RunsFilter(statuses=_UNFINISHED))
    return [record.dagster_run.run_id for record in records if _mark(instance, data, record)]


def _mark(instance: dg.DagsterInstance, data: DataDirectory, record: dg.RunRecord) -> bool:
    run_id = record.dagster_run.run_id
    alive = is_alive(data.runs, run_id)
    # By the wall clock, as Dagster stamps it: ours was read when this process began
    if alive or (alive is None and datetime.now(UTC) - record.update_timestamp < _GRACE):
        return False
    # Looked at again: between the first look and the lock's, the run may have ended well.
    run = instance.get_run_by_id(run_id)
    if run is None or run.is_finished:
        return False
    instance.report_run_failed(run, SENTENCE)
    forget_run(data.runs, run_id)
    return True
