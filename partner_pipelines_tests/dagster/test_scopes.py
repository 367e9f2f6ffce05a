"""The scopes sensor: a new scope is one row, one notification, one run; a withdrawn one parks its table."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from partner_pipelines.defs import CODE_LOCATION
from partner_pipelines.defs.home import open_instance
from partner_pipelines.defs.scopes import RUN_KEY, scopes_sensor
from partner_pipelines.defs.serving import serve
from partner_pipelines.settings import Settings, load_settings
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.stop import StopSignal
from partner_pipelines_tests.alert_receiver import AlertReceiver
from partner_pipelines_tests.dagster.conftest import published
from partner_pipelines_tests.ports import free_port
from partner_pipelines_tests.sandbox_process import SandboxProcess, wait_until
from partner_pipelines_tests.sync.program import read_trail

LAUNCH = ["leads", "units", "employees", "documents"]


@pytest.fixture
def receiver() -> Iterator[AlertReceiver]:
    with AlertReceiver() as receiver:
        yield receiver


@pytest.fixture
def watching(
    environ: dict[str, str], receiver: AlertReceiver, monkeypatch: pytest.MonkeyPatch, sandbox: SandboxProcess
) -> Iterator[dict[str, str]]:
    """An environment in which each tick is a look, and somebody hears of it; only launch scopes are granted."""
    more = {"RESMAN_SCOPE_PROBE_INTERVAL": "0", "PARTNER_ALERTS_INTEGRATION": receiver.address}
    for name, value in more.items():
        monkeypatch.setenv(name, value)
    yield environ | more
    grant(sandbox)


@pytest.fixture
def instance(data: DataDirectory) -> Iterator[dg.DagsterInstance]:
    with open_instance(data) as opened:
        yield opened


def grant(sandbox: SandboxProcess, *scopes: str) -> None:
    granted = {"client_id": sandbox.env["RESMAN_CLIENT_ID"], "granted": [*LAUNCH, *scopes]}
    sandbox.control("POST", "scopes", granted)


def tick(instance: dg.DagsterInstance) -> list[dg.RunRequest | dg.SkipReason]:
    found: Any = scopes_sensor(dg.build_sensor_context(instance=instance))
    return list(found)


def scope_events(data: DataDirectory) -> list[tuple[str, str]]:
    events = [record["facts"] for record in read_trail(data.segments) if record.get("event") == "scope"]
    unique = {facts["event_id"]: (facts["scope"], facts["event"]) for facts in events}
    assert len(unique) == len(events), "told twice"
    return list(unique.values())


def test_a_new_scope_asks_for_one_run_of_its_table_however_often_it_is_looked(
    watching: dict[str, str], data: DataDirectory, instance: dg.DagsterInstance, sandbox: SandboxProcess,
    receiver: AlertReceiver,
) -> None:  # fmt: skip
    assert watching
    (nothing,) = tick(instance)
    assert isinstance(nothing, dg.SkipReason)
    grant(sandbox, "payments")
    (first,), (second,) = tick(instance), tick(instance)
    assert isinstance(first, dg.RunRequest)
    assert isinstance(second, dg.RunRequest)
    assert first.run_key == second.run_key, "Dagster takes a key once"
    assert [key.to_user_string() for key in first.asset_selection or ()] == ["resman/payments", "audit/runs"]
    assert scope_events(data) == [("payments", "granted")]
    assert receiver.titles == ["ResMan: the scope payments was granted at resman"]
    job: dg.JobDefinition = importlib.import_module(CODE_LOCATION).defs.resolve_implicit_global_asset_job_def()
    instance.create_run_for_job(job, tags={RUN_KEY: str(first.run_key)})
    assert isinstance(tick(instance)[0], dg.SkipReason), "there is its run"


def test_a_connection_that_cannot_be_looked_at_is_named_and_stops_nothing(
    watching: dict[str, str], instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert watching
    monkeypatch.setenv("RESMAN_CLIENT_SECRET", "wrong")
    (skipped,) = tick(instance)
    assert isinstance(skipped, dg.SkipReason)
    assert "resman: request_token at resman" in str(skipped.skip_message)
    assert "invalid_client" in str(skipped.skip_message)


def test_while_up_runs_a_scope_that_is_granted_fills_its_table_a_withdrawn_one_parks_it_and_it_comes_back(
    watching: dict[str, str], data: DataDirectory, sandbox: SandboxProcess, receiver: AlertReceiver
) -> None:
    """The real daemon and the real sensor, every ten seconds; it takes as long as Dagster takes to start twice."""
    settings: Settings = load_settings(watching)
    with serve(settings, watching, port=free_port(), stop=StopSignal()), open_instance(data) as instance:
        wait_until(lambda: list(data.state.glob("scopes/*.json")), 180)
        grant(sandbox, "payments")
        wait_until(lambda: _rows(data) == len(sandbox.rows("resman_payments")), 180)
        assert scope_events(data) == [("payments", "granted")]
        grant(sandbox)
        wait_until(lambda: len(scope_events(data)) == 2, 180)
        wait_until(lambda: len(receiver.titles) == 2, 60)
        (run,) = instance.get_runs(dg.RunsFilter(tags={"scope": "payments"}))
        wait_until(lambda: instance.get_run_by_id(run.run_id).is_success, 120)  # type: ignore[union-attr]
        seen = sandbox.log()[-1]["n"]
        grant(sandbox, "payments")
        wait_until(lambda: len(scope_events(data)) == 3, 180)
        wait_until(lambda: len(receiver.titles) == 3, 60)
        # By a run of the sensor's, or by a schedule's that came before it
        wait_until(lambda: _listed(sandbox, seen), 180)
    words = ("granted", "withdrawn", "granted")
    assert scope_events(data) == [("payments", word) for word in words]
    assert receiver.titles == [f"ResMan: the scope payments was {word} at resman" for word in words]


def _listed(sandbox: SandboxProcess, since: int) -> bool:
    return any((entry["path"], entry["status"]) == ("/api/payments", 200) for entry in sandbox.log(since))


def _rows(data: DataDirectory) -> int:
    if not data.published.exists():
        return 0
    ((rows,),) = published(data, "SELECT count(*) FROM resman.payments")
    return int(rows)
