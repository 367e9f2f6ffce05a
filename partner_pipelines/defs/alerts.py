"""Who hears of failed runs and failing checks, by what Dagster's own record says.

It is looked at, not listened to: the same look after each `sync` and at each tick of the daemon finds runs of every
kind, whoever started them, those found dead too; a look that was missed is made up for by the next one.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.definitions.assets.job.asset_job import IMPLICIT_ASSET_JOB_NAME  # no public name
from dagster._core.storage.asset_check_execution_record import (  # nor these
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
)

from partner_pipelines.defs import CODE_LOCATION
from partner_pipelines.defs.dead_runs import SENTENCE as DEAD
from partner_pipelines.defs.home import storage_errors
from partner_pipelines.defs.openmoove import FIRST
from partner_pipelines.defs.run_record import run_record
from partner_pipelines.defs.run_report import table_name
from partner_pipelines.defs.run_watch import LAST_STEP, reason_of
from partner_pipelines.defs.table_assets import EVERY_CONNECTION_LOADED
from partner_pipelines.errors import PartnerPipelinesError
from partner_pipelines.settings import Settings
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.warehouse.thresholds import THRESHOLDS

if TYPE_CHECKING:  # httpx and DuckDB load with the House
    from partner_pipelines.sync.house import House

TOLD = "partner_pipelines/told"
"""A failed run's tag: somebody was told of it, or had heard of its connections' trouble already."""
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
_RUNS_LOOKED_AT = 100
_RUNS, _CHECKS = "runs", "checks"
_FAILURES = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
_LONGEST = 1000
# The end of each run tells these by what they judge (sync/alerts.py), each connection for itself; the last is its run's
_TOLD_ELSEWHERE = {*(threshold.name for threshold in THRESHOLDS), "no_dead_letters", EVERY_CONNECTION_LOADED}


def tell_what_failed(instance: dg.DagsterInstance, settings: Settings) -> None:
    """Who has to hear of a failed run or a failing check has heard of it, and of its end; or will at the next call.

    Raises:
        PartnerPipelinesError: the data directory cannot be used.
    """
    from partner_pipelines.sync.house import open_house  # noqa: PLC0415 - see above

    with (
        open_house(settings, run_id=None, stop=StopSignal()) as house,
        storage_errors(house.data.dagster),
    ):
        _tell_runs(instance, house)
        _tell_checks(instance, house)
        house.notifier.catch_up()


def why_not_told(instance: dg.DagsterInstance, settings: Settings) -> str | None:
    """As `tell_what_failed`, for who must not fail by it: the reason why it could not be done."""
    try:
        tell_what_failed(instance, settings)
    except PartnerPipelinesError as error:
        return f"failures could not be told: {error}"
    except Exception as error:  # noqa: BLE001 - a run that has ended must not fail by who tells of it
        return f"failures could not be told: {type(error).__name__}, a mistake in this program"
    return None


def _tell_runs(instance: dg.DagsterInstance, house: House) -> None:
    """An incident a job: open while its latest run of these assets failed."""
    succeeded: dict[str, list[dg.DagsterRun]] = {}
    failing: set[str] = set()
    records = instance.get_run_records(dg.RunsFilter(statuses=_ENDED), limit=_RUNS_LOOKED_AT)
    for record in records:  # the latest first
        run = record.dagster_run
        if run.is_success:
            succeeded.setdefault(run.job_name, []).append(run)
        elif not any(_covers(later, run) for later in succeeded.get(run.job_name, ())):
            failing.add(run.job_name)
            if TOLD not in run.tags:
                _tell_run(instance, house, record)
    for job in succeeded.keys() - failing:
        if _incident(job) in house.notifier.open_incidents(_RUNS):
            house.notifier.resolve(_incident(job))


def _covers(later: dg.DagsterRun, run: dg.DagsterRun) -> bool:
    """Whether the later one did all that the other one should have done."""
    if not later.asset_selection:
        return True
    # A sync takes up what waits in inbox and outbox, whatever was selected
    wanted = (run.asset_selection or set()) - set(FIRST)
    return bool(wanted) and wanted <= later.asset_selection


def _incident(job: str) -> str:
    return f"run:{job}"


def _tell_run(instance: dg.DagsterInstance, house: House, record: dg.RunRecord) -> None:
    """Once a run. Whose connections' trouble was told already needs no second message."""
    run = record.dagster_run
    connections, sentence = _why(instance, run.run_id)
    known = bool(connections) and connections <= house.notifier.troubled_connections()
    if not known:
        called = "sync" if run.job_name == IMPLICIT_ASSET_JOB_NAME else f"the job {run.job_name}"
        at = f" at {', '.join(sorted(connections))}" if connections else ""
        house.notifier.notify(
            "system_alert",
            _incident(run.job_name),
            f"{called} failed{at} ({house.settings.environment})",
            f"{sentence[:_LONGEST]} (run {run.run_id}). What to do: see the run's page in Dagster's UI, then "
            "docs/recovery.md; the next run goes on from where this one was.",
            _RUNS,
            since=datetime.fromtimestamp(record.end_time, UTC) if record.end_time else None,
        )
    instance.add_run_tags(run.run_id, {TOLD: "by its connections" if known else "as a run"})


def _why(instance: dg.DagsterInstance, run_id: str) -> tuple[frozenset[str], str]:
    """The connections that failed, where nothing else did; and what failed, in sentences of our own."""
    record = run_record(instance, run_id)
    connections = frozenset(name for failed in record.failures.values() for name in failed)
    events = [entry.dagster_event for entry in instance.all_logs(run_id, of_type=_FAILURES) if entry.dagster_event]
    broken = {event.step_key: reason_of(event) for event in events if event.is_step_failure and event.step_key}
    others = {step: reason for step, reason in broken.items() if not (connections and step.startswith(LAST_STEP))}
    if connections and not others:
        return connections, record.sentence
    said = "; ".join(f"{step}: {reason}" for step, reason in sorted(others.items()))
    return frozenset(), said or (DEAD if DEAD in {event.message for event in events} else "It did not come to its end")


def _tell_checks(instance: dg.DagsterInstance, house: House) -> None:
    """An incident a check: open while its latest judgement is no. One that is being judged stays as it is."""
    graph = importlib.import_module(CODE_LOCATION).defs.resolve_asset_graph()
    keys = [key for key in graph.asset_check_keys if key.name not in _TOLD_ELSEWHERE]
    known = set(house.notifier.open_incidents(_CHECKS))
    for key, record in instance.event_log_storage.get_latest_asset_check_execution_by_key(keys).items():
        incident = f"check:{key.to_user_string()}"
        if record.status is AssetCheckExecutionRecordStatus.FAILED:
            _tell_check(house, incident, record, graph.get_check_spec(key).description or "")
        elif record.status is AssetCheckExecutionRecordStatus.SUCCEEDED and incident in known:
            house.notifier.resolve(incident)


def _tell_check(house: House, incident: str, record: AssetCheckExecutionRecord, claim: str) -> None:
    """Counts and names of the settings' connections: examples may be anything that a partner sent."""
    table = table_name(record.key.asset_key)
    facts = record.evaluation.metadata if record.evaluation is not None else {}
    connections = sorted(_named(house, facts))
    at = f" at {', '.join(connections)}" if connections else ""
    house.notifier.notify(
        "integration_team",
        incident,
        f"{table}: {record.key.name} does not hold{at} ({house.settings.environment})",
        f"{claim}. Offending: {_count(facts)}. What to do: see the check's page of {table} in Dagster's UI, which "
        "names them, then docs/recovery.md.",
        _CHECKS,
        since=datetime.fromtimestamp(record.create_timestamp, UTC),
    )


def _count(facts: Mapping[str, dg.MetadataValue]) -> int:
    value = facts["offending"].value if "offending" in facts else 1
    return value if isinstance(value, int) else 1


def _named(house: House, facts: Mapping[str, dg.MetadataValue]) -> set[str]:
    """A check names offenders as CONNECTION or CONNECTION/KEY, among its examples or by themselves."""
    examples = facts["examples"].value if "examples" in facts else {}
    offenders = [*facts, *(examples if isinstance(examples, dict) else ())]
    ours = {each.name for each in house.settings.resman} | {each.name for each in house.settings.openmoove}
    return {str(offender).partition("/")[0] for offender in offenders} & ours
