"""Writes and Dagster: drops, the jobs for files and for the agent, the checks; and no person in Dagster's storage."""

from __future__ import annotations

import importlib
import shutil
import stat
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from partner_pipelines.clock import now
from partner_pipelines.defs import writes
from partner_pipelines.defs.home import open_instance
from partner_pipelines.defs.running import run_sync
from partner_pipelines.settings import Settings, load_settings
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.outbox import Draft, Outbox, Settled, State
from partner_pipelines.state.stop import StopSignal
from partner_pipelines_tests.cli.pushing import posts, write_csv
from partner_pipelines_tests.dagster.conftest import published
from partner_pipelines_tests.leaks.search import Canary, Search
from partner_pipelines_tests.sandbox_process import SandboxProcess

PEOPLE = {"first_name": "Zqdagna", "last_name": "Zqoutboxer", "email": "zq.dropped@canary.example"}
CLIENT = {
    **PEOPLE,
    "email": "zq.client@canary.example",
    "phone_number": "07700 958412",
    "property_address": "12 Outbox Lane, London",
    "property_postcode": "sw1a1aa",
    "conveyancer_email": "test-conveyancer@example.com",
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    """One whose rows may be changed."""
    with SandboxProcess.silent("--properties", "12") as process:
        yield process


@pytest.fixture
def instance(data: DataDirectory) -> Iterator[dg.DagsterInstance]:
    with open_instance(data) as opened:
        yield opened


def _definitions() -> dg.Definitions:
    # Not at the head: loading them warns, and that may only be said within a test
    definitions = importlib.import_module("partner_pipelines.definitions").defs
    assert isinstance(definitions, dg.Definitions)
    return definitions


def _drop(data: DataDirectory, kind: str, name: str, rows: Sequence[dict[str, str]]) -> Path:
    """As any tool does it: written elsewhere, then renamed."""
    place = data.outbox / kind
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    return write_csv(place / f"{name}.part", rows).rename(place / name)


def _tick(instance: dg.DagsterInstance) -> Any:
    return writes.outbox_drops(dg.build_sensor_context(instance=instance, definitions=_definitions()))


def _execute(instance: dg.DagsterInstance, job: str, **config: Any) -> dg.ExecuteInProcessResult:
    run_config = {"ops": {"push_what_is_named": {"config": config}}} if config else None
    definition = _definitions().resolve_job_def(job)
    return definition.execute_in_process(instance=instance, run_config=run_config, raise_on_error=False)


def _draft(key: str = "key", payload_hash: str = "hash", kind: str = "leads", connection: str = "resman") -> Draft:
    return Draft(kind, connection, key, PEOPLE, payload_hash, True, "test")


def _settle(data: DataDirectory, state: State, **more: Any) -> int:
    (queued,) = Outbox(data.outbox).put([_draft(f"{state} {more}")])
    Outbox(data.outbox).settle([Settled(queued.id, state, **more)])
    return queued.id


def test_the_sensor_asks_for_a_run_only_when_something_can_be_done(
    instance: dg.DagsterInstance, data: DataDirectory
) -> None:
    assert isinstance(_tick(instance), dg.SkipReason)
    for name in ("leads.csv.part", ".leads.csv", "leads.csv.rejected.csv"):
        _drop(data, "leads", name, [PEOPLE])
    assert isinstance(_tick(instance), dg.SkipReason), "none of these is a drop yet"
    drop = _drop(data, "leads", "leads.csv", [PEOPLE])
    assert isinstance(_tick(instance), dg.RunRequest)
    drop.unlink()
    _settle(data, "unknown")
    _settle(data, "unknown", rest_seconds=3600.0)
    _settle(data, "queued", rest_seconds=3600.0)
    _settle(data, "created")
    Outbox(data.outbox).put([_draft("unknown {}", "other")])
    assert isinstance(_tick(instance), dg.SkipReason), "a person's, resting, done, and behind one that is uncertain"
    _settle(data, "unknown", rest_seconds=0.0)
    assert isinstance(_tick(instance), dg.RunRequest)
    run = instance.create_run_for_job(_definitions().resolve_job_def(writes.JOB))
    assert "under way" in str(_tick(instance))
    instance.report_run_failed(run, "the test says so")
    assert "failed" in str(_tick(instance))


def test_what_nobody_can_send_launches_no_run_again_and_again(
    instance: dg.DagsterInstance, data: DataDirectory, sandbox: SandboxProcess
) -> None:
    """Two payments without their scope, and a lead of a connection that is not in the settings any more."""
    drafts = [_draft(f"payment {number}", kind="payments") for number in (1, 2)]
    Outbox(data.outbox).put([*drafts, _draft("lead", connection="gone")])
    assert isinstance(_tick(instance), dg.RunRequest)
    before = len(sandbox.log())
    assert _execute(instance, writes.JOB).success
    assert posts(sandbox, before) == 0
    assert isinstance(_tick(instance), dg.SkipReason)
    assert Outbox(data.outbox).counts() == {("resman", "payments", "queued"): 2, ("gone", "leads", "queued"): 1}


def test_a_dropped_file_is_sent_once_and_put_away_with_its_bad_lines_and_its_rows_name_their_writes(
    settings: Settings, instance: dg.DagsterInstance, data: DataDirectory, sandbox: SandboxProcess
) -> None:
    _drop(data, "leads", "people.csv", [PEOPLE, PEOPLE | {"email": "bad"}])
    _drop(data, "clients", "clients.csv", [CLIENT])
    _drop(data, "leads", "notes.txt", [PEOPLE])
    before = len(sandbox.log())
    result = _execute(instance, writes.JOB)
    assert result.success
    assert posts(sandbox, before) == 2
    done = {path.name.partition("-")[2]: path for path in (data.outbox / "done").glob("*/*")}
    assert set(done) == {
        *("people.csv", "people.csv.rejected.csv", "clients.csv", "notes.txt", "notes.txt.rejected.csv")
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in done.values()} == {0o600}
    assert done["people.csv.rejected.csv"].read_text().splitlines()[1:] == ["3,email,Enter a valid email address"]
    assert "the file: the name must end with .csv" in done["notes.txt.rejected.csv"].read_text()
    assert [path for kind in ("leads", "clients") for path in (data.outbox / kind).iterdir()] == []
    assert isinstance(_tick(instance), dg.SkipReason)
    _rows_name_their_writes(settings, data)
    _nobody_is_in_dagsters_storage(data)


def _rows_name_their_writes(settings: Settings, data: DataDirectory) -> None:
    assert run_sync(settings, selection='key:"resman/leads" or key:"openmoove/*"', stop=StopSignal()).success
    for table, kind in (("resman.leads", "leads"), ("openmoove.properties", "clients")):
        found = published(
            data,
            f"SELECT w.kind, w.state, w.source, w.line FROM {table} AS t JOIN audit.writes AS w USING (outbox_id)",
        )
        assert found == [(kind, "created", "drop", 2)], table


def _nobody_is_in_dagsters_storage(data: DataDirectory) -> None:
    values = {**PEOPLE, "client": CLIENT["email"], "phone": "+447700958412"}
    search = Search([Canary(name, value) for name, value in values.items()])
    assert search.tree(data.dagster) == []
    copy = data.root.parent / "copy.duckdb"
    shutil.copyfile(data.published, copy)  # this process has the other one open
    assert search.file(copy, "published") == []
    assert search.tree(data.root / "audit") == []


def test_a_drop_that_comes_again_is_sent_no_more(
    instance: dg.DagsterInstance, data: DataDirectory, sandbox: SandboxProcess
) -> None:
    row = PEOPLE | {"email": "zq.again@canary.example"}
    for name, sent in (("one.csv", 1), ("two.csv", 0)):
        _drop(data, "leads", name, [row])
        before = len(sandbox.log())
        assert _execute(instance, writes.JOB).success
        assert posts(sandbox, before) == sent


def test_the_job_pushes_a_file_by_its_name_and_writes_by_their_number(
    instance: dg.DagsterInstance, data: DataDirectory, sandbox: SandboxProcess
) -> None:
    place = data.outbox / "files"
    place.mkdir(mode=0o700, parents=True)
    row = PEOPLE | {"email": "zq.job@canary.example"}
    write_csv(place / "leads.csv", [row, PEOPLE | {"email": ""}, row | {"email": "bad"}])
    sandbox.fault("status", method="POST", path="/api/leads$", status=400, body={"last_name": ["No."]})
    first = _execute(instance, "push_writes", kind="leads", file="leads.csv")
    assert first.success
    assert _told(instance, first.run_id) == {"lines_rejected": 1, "lines_unchanged": 0, "rejected": 1, "created": 1}
    (refused,) = [write.id for write in Outbox(data.outbox).in_state("rejected")]
    again = _execute(instance, "push_writes", outbox_ids=[refused])
    assert _told(instance, again.run_id) == {"lines_rejected": 0, "lines_unchanged": 0, "created": 1}
    for wrong, says in (
        ({"kind": "leads", "file": "../leads/x.csv"}, "there is no such file in"),
        ({"kind": "units", "file": "leads.csv"}, "'units' cannot be written"),
        ({"outbox_ids": [refused]}, "are not there, done, on their way, or erased"),
        ({"kind": "leads", "file": "leads.csv", "outbox_ids": [1]}, "name a file and its kind, or outbox_ids"),
    ):
        failed = _execute(instance, "push_writes", **wrong)
        assert not failed.success
        assert says in _failure(instance, failed.run_id)
    _nobody_is_in_dagsters_storage(data)


def _told(instance: dg.DagsterInstance, run_id: str) -> dict[str, object]:
    (output,) = [
        entry.dagster_event.step_output_data
        for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_OUTPUT)
        if entry.dagster_event is not None
    ]
    return {name: value.value for name, value in output.metadata.items()}


def _failure(instance: dg.DagsterInstance, run_id: str) -> str:
    return "\n".join(
        str(entry.dagster_event.event_specific_data)
        for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
        if entry.dagster_event is not None
    )


def test_the_agent_is_made_once_kept_as_configured_and_not_doubled(
    instance: dg.DagsterInstance, data: DataDirectory, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESMAN_AGENT_EMAIL", "elise@example.com")
    assert _agents(instance, sandbox) == (1, [("Meet", "Elise", "Leasing Agent", "elise@example.com")])
    assert _agents(instance, sandbox)[0] == 0, "it is as configured"
    monkeypatch.setenv("RESMAN_AGENT_LAST_NAME", "Elisa")
    assert _agents(instance, sandbox) == (1, [("Meet", "Elisa", "Leasing Agent", "elise@example.com")])
    (row,) = [row for row in sandbox.rows("resman_employees") if row["email"] == "elise@example.com"]
    sandbox.change(resman={"employees": {"upsert": [row | {"last_name": "Else", "role": "Maintenance"}]}})
    assert _agents(instance, sandbox) == (1, [("Meet", "Elisa", "Leasing Agent", "elise@example.com")])
    somebody = row | {"id": "EMP_900", "email": "else@example.com", "last_name": "Elisa"}
    sandbox.change(resman={"employees": {"upsert": [somebody]}})
    monkeypatch.setenv("RESMAN_AGENT_EMAIL", "Else@example.com")
    assert _agents(instance, sandbox, "else@example.com") == (
        0,
        [("Meet", "Elisa", "Leasing Agent", "else@example.com")],
    )
    assert published(data, "SELECT DISTINCT source, kind FROM audit.writes") == [("agent", "employees")]


def _agents(
    instance: dg.DagsterInstance, sandbox: SandboxProcess, email: str = "elise@example.com"
) -> tuple[int, list[tuple[str, ...]]]:
    """How many writes a run of the job sent, and the agents that there are then."""
    before = len(sandbox.log())
    assert _execute(instance, "ensure_agents").success
    rows = [row for row in sandbox.rows("resman_employees") if row["email"] == email]
    return posts(sandbox, before), [(row["first_name"], row["last_name"], row["role"], row["email"]) for row in rows]


def test_an_agent_that_the_settings_have_wrong_fails_the_job_by_the_settings_name(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESMAN_AGENT_EMAIL", "elise@example.com")
    monkeypatch.setenv("RESMAN_AGENT_ROLE", "Leasing Agnet")
    failed = _execute(instance, "ensure_agents")
    assert not failed.success
    assert "resman: agent_role: Not a known word; did you mean Leasing Agent?" in _failure(instance, failed.run_id)


def test_the_checks_name_what_stays_uncertain_and_what_has_no_reason(
    settings: Settings, data: DataDirectory, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    _settle(data, "unknown", reason="its answer was lost")
    _settle(data, "rejected", reason="refused")
    assert _checks(instance, settings) == {"no_write_stays_unknown": [], "every_rejection_has_a_reason": []}
    monkeypatch.setenv("PARTNER_OUTBOX_UNKNOWN_HOURS", "0")
    bare = _settle(data, "rejected")
    assert _checks(instance, load_settings()) == {"no_write_stays_unknown": [1], "every_rejection_has_a_reason": [bare]}


def _checks(instance: dg.DagsterInstance, settings: Settings) -> dict[str, list[int]]:
    """What each check of a sync calls offending."""
    report = run_sync(settings, selection='key:"audit/writes"', stop=StopSignal())
    found: dict[str, Any] = {}
    for entry in instance.all_logs(report.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        assert entry.dagster_event is not None
        evaluation = entry.dagster_event.asset_check_evaluation_data
        examples = evaluation.metadata["examples"].value
        assert evaluation.passed is (not examples)
        found[evaluation.check_name] = examples
    return {name: found[name] for name in ("no_write_stays_unknown", "every_rejection_has_a_reason")}


def test_what_was_done_long_ago_keeps_no_persons_data(
    instance: dg.DagsterInstance, data: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its payload in the outbox nor its file; that it was, stays."""
    row = PEOPLE | {"email": "zq.forgotten@canary.example"}
    _drop(data, "leads", "old.csv", [row])
    assert _execute(instance, writes.JOB).success
    later = now() + timedelta(days=load_settings().outbox_keep_days + 1)
    monkeypatch.setattr("partner_pipelines.sync.outbox_run.now", lambda: later)
    assert _execute(instance, writes.JOB).success
    assert list((data.outbox / "done").glob("*/*")) == []
    assert Search([Canary("e-mail", row["email"]), Canary("name", PEOPLE["last_name"])]).tree(data.outbox) == []
    assert published(data, "SELECT state, count(*) FROM audit.writes GROUP BY ALL") == [("created", 1)]
