"""Old runs go with all that hangs on them; what the UI shows as an asset's latest stays."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from partner_pipelines.defs.home import open_instance
from partner_pipelines.defs.purge import purge, purge_runs
from partner_pipelines.defs.running import run_sync
from partner_pipelines.settings import Settings, load_settings
from partner_pipelines.state.audit_verify import verify
from partner_pipelines.state.data_directory import DataDirectory, open_data_directory
from partner_pipelines.state.stop import StopSignal
from partner_pipelines_tests.cli.program import made_once
from partner_pipelines_tests.dagster.conftest import published
from partner_pipelines_tests.sandbox_process import SandboxProcess
from partner_pipelines_tests.state.support_trail import intent, open_trail, outcome

SELECTION = 'key:"audit/api_calls" or key:"resman/employees"'
OLD = timedelta(days=40)
KEPT = timedelta(days=30)


@pytest.fixture(scope="module")
def template(sandbox: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that two runs have worked in, one after the other; one of the test processes makes it."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "two-runs"
    return made_once(shared, lambda directory: _sync_twice(sandbox, directory))


def _sync_twice(sandbox: SandboxProcess, directory: Path) -> None:
    directory.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)  # no `.env` of the developer's
        for name, value in {**sandbox.env, "PARTNER_DATA_DIR": str(directory / "data")}.items():
            patch.setenv(name, value)
        settings = load_settings()
        for _ in range(2):
            assert run_sync(settings, selection=SELECTION, stop=StopSignal()).success


@pytest.fixture
def data(template: Path, settings: Settings) -> DataDirectory:
    """A copy for one test; the first of the two runs is old in it, and has a tag, as a schedule's run has."""
    shutil.copytree(template / "data", settings.data_dir, symlinks=True)
    data = open_data_directory(settings.data_dir, settings.environment)
    with open_instance(data) as instance:
        _, first = [run.run_id for run in instance.get_runs()]
        instance.add_run_tags(first, {"dagster/schedule_name": "employees_daily"})
    make_old(data, first)
    return data


@pytest.fixture
def old(instance: dg.DagsterInstance) -> str:
    """The run that is old."""
    return instance.get_runs()[1].run_id


@pytest.fixture
def latest(instance: dg.DagsterInstance) -> str:
    """The run after it."""
    return instance.get_runs()[0].run_id


@pytest.fixture
def instance(data: DataDirectory) -> Iterator[dg.DagsterInstance]:
    with open_instance(data) as opened:
        yield opened


def cutoff() -> datetime:
    return datetime.now(UTC) - KEPT


def make_old(data: DataDirectory, run_id: str) -> None:
    stamp = (datetime.now(UTC) - OLD).strftime("%Y-%m-%d %H:%M:%S.%f")
    with closing(sqlite3.connect(data.dagster / "history" / "runs.db")) as database, database:
        changed = database.execute("UPDATE runs SET create_timestamp = ? WHERE run_id = ?", (stamp, run_id))
        assert changed.rowcount == 1


def traces(data: DataDirectory, run_id: str) -> set[str]:
    """Where Dagster's storage still knows the run: files that have its name, tables that have its id."""
    found = {path.name.replace(run_id, "RUN") for path in data.dagster.rglob(f"*{run_id}*")}
    for file in (data.dagster / "history" / "runs.db", data.dagster / "history" / "runs" / "index.db"):
        with closing(sqlite3.connect(file)) as database:
            for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                columns = [column[1] for column in database.execute(f"PRAGMA table_info({table})")]
                if "run_id" in columns:
                    ((rows,),) = database.execute(f"SELECT count(*) FROM {table} WHERE run_id = ?", (run_id,))
                    found |= {table} if rows else set()
    return found


def test_nothing_in_dagsters_storage_knows_an_old_run_any_more(
    instance: dg.DagsterInstance, data: DataDirectory, old: str, latest: str
) -> None:
    before, others = traces(data, old), traces(data, latest)
    assert {"RUN.db", "runs", "run_tags", "event_logs", "asset_check_executions"} <= before
    assert purge_runs(instance, cutoff(), dry_run=True) == [old]
    assert traces(data, old) == before
    assert purge_runs(instance, cutoff()) == [old]
    assert traces(data, old) == set()
    assert traces(data, latest) == others
    assert [run.run_id for run in instance.get_runs()] == [latest]
    assert purge_runs(instance, cutoff()) == []
    _shows_its_latest(instance, latest)


def test_a_run_that_an_asset_shows_as_its_latest_stays_however_old(
    instance: dg.DagsterInstance, data: DataDirectory, old: str, latest: str
) -> None:
    make_old(data, latest)
    assert purge_runs(instance, cutoff()) == [old]
    _shows_its_latest(instance, latest)


def _shows_its_latest(instance: dg.DagsterInstance, run_id: str) -> None:
    for key in (dg.AssetKey(["resman", "employees"]), dg.AssetKey(["audit", "runs"])):
        latest = instance.get_latest_materialization_event(key)
        assert latest is not None
        assert latest.run_id == run_id
    check = dg.AssetCheckKey(dg.AssetKey(["resman", "employees"]), "keys_are_unique_and_not_null")
    (execution,) = instance.event_log_storage.get_asset_check_execution_history(check, limit=5)
    assert execution.run_id == run_id


def test_a_run_that_is_not_finished_stays(instance: dg.DagsterInstance, data: DataDirectory, old: str) -> None:
    started = instance.create_run_for_job(purge)
    make_old(data, started.run_id)
    assert purge_runs(instance, cutoff()) == [old]
    assert instance.get_run_by_id(started.run_id) is not None


def test_the_daily_job_purges_runs_and_segments_and_tells_how_many(
    instance: dg.DagsterInstance, data: DataDirectory, old: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = _old_segment(data)
    ((calls,),) = published(data, "SELECT count(*) FROM audit.api_calls")
    monkeypatch.setenv("PARTNER_AUDIT_KEEP_DAYS", "90")
    assert load_settings().audit_keep_days == 90
    result = purge.execute_in_process(instance=instance)
    assert result.success
    told = {"runs": 1, "segments": 1, "records": 5, "personal_values": 0, "kept": {}}
    assert _told(instance, result.run_id) == told
    assert not segment.exists()
    assert traces(data, old) == set()
    report = verify(data.segments)
    assert report.problems == []
    assert list(report.purged) == [segment.stem]
    assert published(data, "SELECT count(*) FROM audit.api_calls") == [(calls + 1,)]


def _old_segment(data: DataDirectory) -> Path:
    known = set(data.segments.iterdir())
    trail = open_trail(data.segments)
    trail.record_outcome(trail.record_intent(intent()), outcome())
    trail.close()
    (segment,) = set(data.segments.iterdir()) - known
    moment = (datetime.now(UTC) - timedelta(days=100)).timestamp()
    os.utime(segment, (moment, moment))
    return segment


def _told(instance: dg.DagsterInstance, run_id: str) -> dict[str, object]:
    (output,) = [
        entry.dagster_event.step_output_data
        for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_OUTPUT)
        if entry.dagster_event is not None
    ]
    return {name: value.value for name, value in output.metadata.items()}
