"""What a run's events say while they come: progress for the command, and the report's facts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import dagster as dg
from dagster._core.events import JobFailureData, RunFailureReason

from partner_pipelines.defs.run_report import TableReport, Told, table_name

LAST_STEP = "audit__runs"


@dataclass(frozen=True, slots=True)
class FinishedStep:
    """A step that has ended. `tables` is what it said; `error` is None unless it broke off by itself."""

    name: str
    seconds: float
    tables: tuple[TableReport, ...] = ()
    error: str | None = None


Progress = Callable[[FinishedStep], None]


@dataclass
class RunWatch:
    """What the run's events say while they come."""

    progress: Progress | None
    told: Told = field(default_factory=Told)
    broken: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False
    _began: dict[str, float] = field(default_factory=dict)

    def see(self, event: dg.DagsterEvent) -> None:
        """The next event."""
        self.told.hear(event)
        if event.is_step_start and event.step_key is not None:
            self._began[event.step_key] = time.monotonic()
        if event.event_type is dg.DagsterEventType.RUN_CANCELED or _was_interrupted(event):
            self.interrupted = True
        if event.step_key is not None and (event.is_step_success or event.is_step_failure):
            self._end(event.step_key, reason_of(event) if event.is_step_failure else None)

    def _end(self, step: str, error: str | None) -> None:
        if error is not None:
            self.broken[step] = error
        if self._is_told(step):
            error = None
        if self.progress is not None:
            tables = tuple(report for report in self.told.reports if report.step_key == step)
            self.progress(FinishedStep(step, time.monotonic() - self._began.get(step, time.monotonic()), tables, error))

    def broken_tables(self, instance: dg.DagsterInstance, run_id: str) -> dict[str, str]:
        """The sentences of steps that broke off, by the tables they would have loaded."""
        tables = _planned_tables(instance, run_id) if self.broken else {}
        return {
            table: sentence
            for step, sentence in self.broken.items()
            if not self._is_told(step)
            for table in tables.get(step, [step])
        }

    def _is_told(self, step: str) -> bool:
        """The last step breaks off because of what the tables' own reports tell already."""
        return step.startswith(LAST_STEP) and any(report.failed for report in self.told.reports)


def reason_of(event: dg.DagsterEvent) -> str:
    """Why a step failed, in a sentence of our own, or by a class's name."""
    failure = event.step_failure_data
    if failure.user_failure_data is not None and failure.user_failure_data.description:
        return failure.user_failure_data.description
    name = failure.error.cls_name if failure.error is not None else None
    return "it was stopped" if name == dg.DagsterExecutionInterruptedError.__name__ else name or "it broke off"


def _was_interrupted(event: dg.DagsterEvent) -> bool:
    if event.event_type is not dg.DagsterEventType.RUN_FAILURE:
        return False
    data = event.event_specific_data  # None where a run was failed from outside
    return isinstance(data, JobFailureData) and data.failure_reason is RunFailureReason.UNEXPECTED_TERMINATION


def _planned_tables(instance: dg.DagsterInstance, run_id: str) -> dict[str | None, list[str]]:
    tables: dict[str | None, list[str]] = {}
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED):
        event = entry.dagster_event
        if event is not None and event.asset_key is not None:
            tables.setdefault(event.step_key, []).append(table_name(event.asset_key))
    return tables
