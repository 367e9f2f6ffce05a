"""The last step always runs, last, and fails the run when a connection failed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from partner_pipelines.defs.home import open_instance
from partner_pipelines.defs.running import run_sync
from partner_pipelines.settings import load_settings
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.stop import StopSignal
from partner_pipelines_tests.dagster.conftest import DEADLINE_SECONDS, published, start_sync

_CONNECTIONS = """
[[connections]]
name = "fine"
partner = "resman"
base_url = "{RESMAN_BASE_URL}"
client_id = "{RESMAN_CLIENT_ID}"
client_secret = "{RESMAN_CLIENT_SECRET}"

[[connections]]
name = "locked-out"
partner = "resman"
base_url = "{RESMAN_BASE_URL}"
client_id = "{RESMAN_CLIENT_ID}"
client_secret = "no longer the secret"
"""
_STEPS = {dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.STEP_SKIPPED}


@pytest.fixture
def two_connections(environ: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """One that works, one whose secret was changed; nothing of OpenMoove's."""
    path = tmp_path / "connections.toml"
    path.write_text(_CONNECTIONS.format_map(environ))
    kept = {name: value for name, value in environ.items() if not name.startswith(("RESMAN_", "OPENMOOVE_"))}
    return {**kept, "PARTNER_CONNECTIONS": str(path)}


def test_a_failed_connection_fails_the_run_at_its_last_step_after_everything_else(
    two_connections: dict[str, str], data: DataDirectory
) -> None:
    selection = 'key:"resman/units" or key:"openmoove/sellers" or key:"audit/api_calls"'
    report = run_sync(load_settings(two_connections), selection=selection, stop=StopSignal())
    assert not report.stopped
    assert list(report.skipped) == ["openmoove.sellers"]
    begun = _check(report.as_json(), data)
    assert begun[-1] == "audit__runs.end"
    assert {"openmoove", "audit__api_calls", "resman__units__claims"} < set(begun)


def test_the_same_with_a_process_for_each_step(two_connections: dict[str, str], data: DataDirectory) -> None:
    process = start_sync(two_connections, 'key:"resman/units"', PARTNER_EXECUTOR="multiprocess")
    told, _ = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 1
    begun = _check(json.loads(told.splitlines()[-1]), data)
    assert begun.index("audit__runs.end") > begun.index("resman__units")


def _check(report: dict[str, Any], data: DataDirectory) -> list[str | None]:
    """What both executors must show; gives the steps in the order in which they began."""
    assert report["success"] is False
    assert list(report["failed"]) == ["resman.units"]
    assert "locked-out: " in report["failed"]["resman.units"]
    assert report["tables"]["resman.units"]["rows"] > 0
    ((run_id, success, failures),) = published(data, "SELECT run_id, success, failures FROM audit.runs")
    assert (run_id, success) == (report["run_id"], False)
    assert list(json.loads(failures)["resman.units"]) == ["locked-out"]
    with open_instance(data) as instance:
        run = instance.get_run_by_id(run_id)
        assert run is not None
        assert run.status is dg.DagsterRunStatus.FAILURE
        _check_that_the_check_failed(instance)
        events = [entry.dagster_event for entry in instance.all_logs(run_id, of_type=_STEPS)]
    assert [event.step_key for event in events if event and event.is_step_failure] == ["audit__runs.end"]
    return [event.step_key for event in events if event and event.is_step_start]


def _check_that_the_check_failed(instance: dg.DagsterInstance) -> None:
    key = dg.AssetCheckKey(dg.AssetKey(["resman", "units"]), "every_connection_loaded")
    (check,) = instance.event_log_storage.get_asset_check_execution_history(key, limit=5)
    assert check.event is not None
    evaluation = check.event.asset_check_evaluation
    assert evaluation is not None
    assert not evaluation.passed
    assert "Traceback" not in str(evaluation.metadata["locked-out"].value)


def test_where_everything_is_skipped_the_last_step_runs_and_the_run_is_a_success(
    two_connections: dict[str, str], data: DataDirectory
) -> None:
    report = run_sync(load_settings(two_connections), selection="group:openmoove", stop=StopSignal())
    assert report.success
    assert len(report.skipped) == 4
    assert set(report.tables) == {"audit.runs"}
    assert published(data, "SELECT success FROM audit.runs") == [(True,)]
    with open_instance(data) as instance:
        observed = instance.fetch_observations(dg.AssetKey(["openmoove", "milestones"]), limit=5).records
        (told_why,) = [record.asset_observation for record in observed if record.asset_observation is not None]
        assert "skipped" in told_why.metadata
        assert instance.get_latest_materialization_event(dg.AssetKey(["openmoove", "milestones"])) is None
