"""What is old enough goes, once a day: Dagster's runs with all that hangs on them, and segments of the trail."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
import sqlalchemy
from dagster._core.storage.event_log import SqlEventLogStorage, SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable  # delete_run leaves its rows

from partner_pipelines.clock import now
from partner_pipelines.defs.home import storage_errors
from partner_pipelines.defs.resources import current_data, current_settings, sentences_only
from partner_pipelines.defs.schedules import default_schedule_status
from partner_pipelines.settings import Settings
from partner_pipelines.state.audit_checkpoints import Checkpoints
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.sync.process_trail import checkpoint_places
from partner_pipelines.sync.purge import TrailPurge, purge_trail
from partner_pipelines.sync.retention import forget_personal

_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_CHUNK = 500  # run ids a statement


@dataclass(slots=True)
class Purge:
    """What went: ids of runs, segments of the trail, how many personal values."""

    runs: Sequence[str] = ()
    trail: TrailPurge = field(default_factory=TrailPurge)
    personal: int = 0


def purge_old(instance: dg.DagsterInstance, settings: Settings, data: DataDirectory, *, dry_run: bool = False) -> Purge:
    """What is older than the settings keep it is gone; with `dry_run`, only named.

    Raises:
        AuditUnavailableError, StateError, NewerSchemaError: no segment is gone whose record is not written.
    """
    purge = Purge()
    if settings.runs_keep_days is not None:
        with storage_errors(data.dagster):
            purge.runs = purge_runs(instance, now() - timedelta(days=settings.runs_keep_days), dry_run=dry_run)
    if settings.audit_keep_days is not None:
        before = now() - timedelta(days=settings.audit_keep_days)
        purge.trail = purge_trail(data, Checkpoints(checkpoint_places(settings, data)), before, dry_run=dry_run)
    if settings.personal_keep_days is not None:
        before = now() - timedelta(days=settings.personal_keep_days)
        purge.personal = forget_personal(data, before, dry_run=dry_run)
    return purge


def purge_runs(instance: dg.DagsterInstance, before: datetime, *, dry_run: bool = False) -> Sequence[str]:
    """Finished runs begun before a time are gone, but for those that an asset or a check shows as its latest.

    Returns their ids.
    """
    old = instance.get_run_ids(dg.RunsFilter(statuses=_FINISHED, created_before=before))
    shown = _shown_as_latest(instance)
    gone = [run_id for run_id in old if run_id not in shown]
    for start in range(0, 0 if dry_run else len(gone), _CHUNK):
        _delete(instance, gone[start : start + _CHUNK])
    return gone


def _shown_as_latest(instance: dg.DagsterInstance) -> set[str]:
    entries = [record.asset_entry for record in instance.get_asset_records()]
    latest = {entry.last_run_id for entry in entries}
    latest |= {entry.last_materialization.run_id for entry in entries if entry.last_materialization is not None}
    latest |= {entry.last_observation.run_id for entry in entries if entry.last_observation is not None}
    return {run_id for run_id in latest if run_id is not None} | _shown_by_checks(instance)


def _shown_by_checks(instance: dg.DagsterInstance) -> set[str]:
    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage)
    table = AssetCheckExecutionsTable.c
    latest = sqlalchemy.select(sqlalchemy.func.max(table.id)).group_by(table.asset_key, table.check_name)
    with storage.index_connection() as connection:
        found = connection.execute(sqlalchemy.select(table.run_id).where(table.id.in_(latest))).fetchall()
    return {run_id for (run_id,) in found}


def _delete(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> None:
    """The runs themselves go last: what a killed purge has left is found by them the next time."""
    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage)
    for run_id in run_ids:
        instance.compute_log_manager.delete_logs(prefix=[run_id])
        _delete_events(storage, run_id)
    with storage.index_connection() as connection:
        connection.execute(
            sqlalchemy.delete(AssetCheckExecutionsTable).where(AssetCheckExecutionsTable.c.run_id.in_(run_ids))
        )
    for run_id in run_ids:
        instance.run_storage.delete_run(run_id)


def _delete_events(storage: SqlEventLogStorage, run_id: str) -> None:
    if not isinstance(storage, SqliteEventLogStorage):
        storage.delete_events(run_id)
        return
    # Dagster empties the run's own database and leaves the file
    with storage.index_connection() as connection:
        storage.delete_events_for_run(connection, run_id)
    shard = storage.path_for_shard(run_id)
    for path in (shard, f"{shard}-wal", f"{shard}-shm"):
        Path(path).unlink(missing_ok=True)


@dg.op(
    out=dg.Out(dg.Nothing),
    description="Removes what PARTNER_RUNS_KEEP_DAYS, PARTNER_AUDIT_KEEP_DAYS, PARTNER_PERSONAL_KEEP_DAYS call old.",
)
def purge_what_is_old(context: dg.OpExecutionContext) -> Iterator[dg.Output[None]]:
    """One purge; what went, and what was old enough and stays, is in the output's metadata."""
    with sentences_only(context):
        purge = purge_old(context.instance, current_settings(), current_data())
    told = {
        "runs": dg.MetadataValue.int(len(purge.runs)),
        "segments": dg.MetadataValue.int(len(purge.trail.purged)),
        "records": dg.MetadataValue.int(purge.trail.records),
        "personal_values": dg.MetadataValue.int(purge.personal),
        "kept": dg.MetadataValue.json(purge.trail.kept),
    }
    yield dg.Output(None, metadata=told)


@dg.job(description="Removes old runs, and old segments of the audit trail whose calls are all in audit.api_calls.")
def purge() -> None:
    """The job of the schedule below."""
    purge_what_is_old()


def build_purge_schedule(timezone: str) -> dg.ScheduleDefinition:
    """Once a day, between the hours at which much is refreshed."""
    return dg.ScheduleDefinition(
        name="purge_daily",
        job=purge,
        cron_schedule="35 3 * * *",
        execution_timezone=timezone,
        description="Removes old runs and old segments of the audit trail.",
        default_status=default_schedule_status(),
    )
