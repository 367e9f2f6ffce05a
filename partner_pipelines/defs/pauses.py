"""For sensors that launch a run when something waits: one at a time, and not again and again after failures."""

from __future__ import annotations

import time
from datetime import timedelta

import dagster as dg

_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=30), timedelta(minutes=10)
_FAILURES_SEEN = 6


def request_for_waiting(instance: dg.DagsterInstance, job: str) -> dg.RunRequest | dg.SkipReason:
    """A run of the job for what waits, unless one is under way, or the last ones failed a short time ago."""
    if _is_under_way(instance, job):
        return dg.SkipReason("A run is under way; what it leaves is the next one's.")
    pause = _pause_after_failures(instance, job)
    if pause > timedelta():
        return dg.SkipReason(f"The last run failed; the next one comes in {pause.total_seconds():.0f} s.")
    return dg.RunRequest()


def _is_under_way(instance: dg.DagsterInstance, job: str) -> bool:
    """Whether a run of the job has not ended."""
    return bool(instance.get_run_records(dg.RunsFilter(job_name=job, statuses=_UNFINISHED), limit=1))


def _pause_after_failures(instance: dg.DagsterInstance, job: str) -> timedelta:
    """How long to wait after runs that failed one after another: what failed them is rarely over in seconds."""
    records = instance.get_run_records(dg.RunsFilter(job_name=job), limit=_FAILURES_SEEN)
    failures = 0
    for record in records:
        if record.dagster_run.status is not dg.DagsterRunStatus.FAILURE:
            break
        failures += 1
    if not failures or records[0].end_time is None:
        return timedelta()
    pause: timedelta = min(_FIRST_PAUSE * 2 ** (failures - 1), _LONGEST_PAUSE)
    # By the wall clock, as Dagster stamps it; what ended "later" than now was stamped by a clock that was ahead
    since = timedelta(seconds=max(0.0, time.time() - records[0].end_time))
    return pause - since
