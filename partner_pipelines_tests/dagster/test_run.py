"""One whole run in this process, on a sandbox: what the command says, what Dagster shows, what stands in the tables."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest

from partner_pipelines.defs.home import open_instance
from partner_pipelines.defs.run_report import table_name
from partner_pipelines.defs.run_watch import FinishedStep
from partner_pipelines.defs.running import run_sync
from partner_pipelines.defs.sync_report import SyncReport
from partner_pipelines.errors import SettingsError, UsageError
from partner_pipelines.settings import Settings, load_settings
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.runs import dead_runs, living_runs
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.warehouse.tables import TABLES
from partner_pipelines_tests.dagster.conftest import published
from partner_pipelines_tests.sandbox_process import SandboxProcess

_NOT_GRANTED = {"resman.payments", "resman.maintenance"}
# Personal values of the rows as the sandbox sends them; none of them may reach Dagster's storage
_PERSONAL = ("first_name", "last_name", "email", "phone", "phone_number")


@pytest.fixture
def instance(data: DataDirectory) -> Iterator[dg.DagsterInstance]:
    with open_instance(data) as opened:
        yield opened


def _sync(
    settings: Settings, selection: str | None = None, *, idle: bool = False
) -> tuple[SyncReport, list[FinishedStep]]:
    steps: list[FinishedStep] = []
    report = run_sync(settings, selection=selection, stop=StopSignal(), progress=steps.append, idle=idle)
    return report, steps


def test_a_whole_sync_and_a_second_one(
    settings: Settings, data: DataDirectory, instance: dg.DagsterInstance, sandbox: SandboxProcess
) -> None:
    first, steps = _sync(settings)

    assert first.success, first
    assert list(first.as_json()) == [
        "success", "run_id", "tables", "skipped", "failed", "requests", "backlog", "seconds",
    ]  # fmt: skip
    loaded = [table for table in TABLES if table not in _NOT_GRANTED]
    assert set(first.tables) >= {*loaded, "audit.api_calls", "audit.token_events", "audit.scope_events", "audit.runs"}
    assert set(first.skipped) == _NOT_GRANTED
    assert all("is not granted" in reason for reason in first.skipped.values())
    assert not first.failed
    for table in loaded:
        ((rows,),) = published(data, f"SELECT count(*) FROM {table} WHERE deleted_at IS NULL")
        assert first.tables[table] == {"rows": rows, "inserted": rows, "updated": 0, "deleted": 0}
        assert rows > 0
    assert {step.name for step in steps} >= {"openmoove", "resman__units", "audit__runs.end"}
    assert steps[-1].name == "audit__runs.end"
    run = instance.get_run_by_id(first.run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.SUCCESS
    assert (*living_runs(data.runs), *dead_runs(data.runs)) == ()
    _check_checks(instance, first.run_id)
    _check_materializations(instance, first.run_id)
    _check_nothing_personal(data, sandbox)
    ((calls,),) = published(data, f"SELECT count(*) FROM audit.api_calls WHERE run_id = '{first.run_id}'")
    assert sum(first.requests.values()) == calls

    second, _ = _sync(settings, 'group:openmoove or key:"resman/units"')
    assert second.success
    assert {counts["inserted"] for table, counts in second.tables.items() if table in TABLES} == {0}
    assert published(data, "SELECT count(*), bool_and(success) FROM audit.runs") == [(2, True)]


def _check_checks(instance: dg.DagsterInstance, run_id: str) -> None:
    events = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    judged = [entry.dagster_event.asset_check_evaluation_data for entry in events if entry.dagster_event]
    assert {f"{check.asset_key.to_user_string()} {check.check_name}" for check in judged if not check.passed} == set()
    assert len(judged) > 50


def _check_materializations(instance: dg.DagsterInstance, run_id: str) -> None:
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        told = entry.asset_materialization
        assert told is not None
        facts = {name: value.value for name, value in told.metadata.items()}
        assert isinstance(facts["dagster/row_count"], int)
        table = table_name(told.asset_key)
        if table in TABLES:
            assert {"inserted", "updated", "deleted", "rejected", "requests", "preview"} <= set(facts)
            assert str(facts["preview"]).startswith("| connection | ")
            assert not set(TABLES[table].forms).intersection(str(facts["preview"]).partition("\n")[0].split(" | "))


def _check_nothing_personal(data: DataDirectory, sandbox: SandboxProcess) -> None:
    """Dagster's storage holds no person's value; the search finds what must be there."""
    stored = b"".join(path.read_bytes() for path in data.dagster.rglob("*") if path.is_file())
    leads = sandbox.rows("resman_leads")
    values = {str(lead[name]) for lead in leads for name in ("email", "phone", "phone_number") if lead.get(name)}
    assert values
    assert b"every_connection_loaded" in stored
    assert [value for value in values if value.encode() in stored] == []


def test_a_selection_syncs_what_it_names_and_records_the_run(settings: Settings) -> None:
    report, _ = _sync(settings, 'key:"resman/employees"')
    assert set(report.tables) == {"resman.employees", "audit.runs"}
    assert set(report.requests) == {"resman"}


def test_any_of_openmooves_tables_syncs_all_and_reports_the_selected(settings: Settings, data: DataDirectory) -> None:
    report, _ = _sync(settings, 'key:"openmoove/sellers"')
    assert set(report.tables) == {"openmoove.sellers", "audit.runs"}
    assert published(data, "SELECT count(*) > 0 FROM openmoove.milestones") == [(True,)]


@pytest.mark.parametrize(
    "selection",
    ["a/b or c/d", "((", "", 'key:"nope"', "group:nope", "status:failed", "changed_in_branch:NEW", "group:openmove"],
)
def test_a_wrong_selection_is_a_usage_error_that_names_it(settings: Settings, selection: str) -> None:
    with pytest.raises(UsageError, match="selects no asset") as caught:
        _sync(settings, selection)
    assert repr(selection) in str(caught.value)
    assert str(caught.value).count("group:openmoove") == 1


def test_with_no_partner_configured_nothing_is_begun(environ: dict[str, str], data: DataDirectory) -> None:
    bare = {name: value for name, value in environ.items() if not name.startswith(("RESMAN_", "OPENMOOVE_"))}
    with pytest.raises(SettingsError, match="no partner is configured"):
        _sync(load_settings(bare))
    assert not data.dagster.exists()


def test_a_stop_that_was_requested_before_ends_the_run_as_canceled(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    stop = StopSignal()
    stop.request("the test says so")
    report = run_sync(settings, selection="group:resman", stop=stop)
    assert report.stopped
    assert not report.success
    run = instance.get_run_by_id(report.run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.CANCELED


def test_what_breaks_a_step_off_is_told_by_table(settings: Settings, data: DataDirectory) -> None:
    data.segments.parent.mkdir(parents=True)
    data.segments.write_text("not a directory")  # the trail cannot be written: no call may be made
    report, _ = _sync(settings, 'key:"resman/units"')
    assert not report.success
    assert set(report.failed) >= {"resman.units"}
    assert "segments" in report.failed["resman.units"]


def test_a_milestone_that_openmoove_has_moved_on_from_is_told_as_a_warning(
    settings: Settings, instance: dg.DagsterInstance, sandbox: SandboxProcess
) -> None:
    _sync(settings, "group:openmoove")
    sandbox.change(openmoove={"complete_milestones": 12})
    # Nothing is due yet, so the change is not seen; and a sync that does no idle work spends no request on a look
    report, _ = _sync(settings, 'key:"openmoove/milestones"')
    assert (report.success, report.requests) == (True, {"openmoove": 0})
    report, _ = _sync(settings, 'key:"openmoove/milestones"', idle=True)
    assert (report.success, report.requests) == (True, {"openmoove": 5})
    key = dg.AssetCheckKey(dg.AssetKey(["openmoove", "milestones"]), "current_milestone_agrees")
    check = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)[0]
    assert check.event is not None
    evaluation = check.event.asset_check_evaluation
    assert evaluation is not None
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert evaluation.metadata["offending"].value
