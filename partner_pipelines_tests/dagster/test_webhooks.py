"""Webhooks and Dagster: a run when something waits, one at a time, and before everything else in a sync."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from partner_pipelines.defs import webhooks
from partner_pipelines.defs.home import open_instance
from partner_pipelines.defs.running import run_sync
from partner_pipelines.settings import Settings
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.inbox import Inbox
from partner_pipelines.state.stop import StopSignal
from partner_pipelines_tests.dagster.conftest import published
from partner_pipelines_tests.receiver.process import event
from partner_pipelines_tests.sandbox_process import SandboxProcess


@pytest.fixture
def instance(data: DataDirectory) -> Iterator[dg.DagsterInstance]:
    with open_instance(data) as opened:
        yield opened


def _definitions() -> dg.Definitions:
    # Not at the head: loading them warns, and that may only be said within a test
    definitions = importlib.import_module("partner_pipelines.definitions").defs
    assert isinstance(definitions, dg.Definitions)
    return definitions


def _receive(data: DataDirectory, *bodies: bytes) -> None:
    inbox = Inbox(data.webhooks, data.key("webhooks"))
    inbox.make()
    for body in bodies:
        inbox.put("openmoove", {}, body, datetime.now(UTC))


def _tick(instance: dg.DagsterInstance) -> Any:
    context = dg.build_sensor_context(instance=instance, definitions=_definitions())
    return webhooks.webhook_drops(context)


def _run(instance: dg.DagsterInstance, status: dg.DagsterRunStatus) -> str:
    job = _definitions().resolve_job_def(webhooks.JOB)
    run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.NOT_STARTED)
    if status is dg.DagsterRunStatus.FAILURE:
        instance.report_run_failed(run, "the test says so")
    return run.run_id


def test_a_tick_launches_a_run_when_something_waits_and_none_is_under_way(
    instance: dg.DagsterInstance, data: DataDirectory
) -> None:
    assert isinstance(_tick(instance), dg.SkipReason)
    _receive(data, event(1))
    assert isinstance(_tick(instance), dg.RunRequest)
    run_id = _run(instance, dg.DagsterRunStatus.NOT_STARTED)
    _receive(data, event(2))
    assert "under way" in str(_tick(instance))
    run = instance.get_run_by_id(run_id)
    assert run is not None
    instance.report_run_canceled(run)
    assert isinstance(_tick(instance), dg.RunRequest), "what came between the ticks is not lost"


def test_after_a_failure_a_tick_waits_a_while(instance: dg.DagsterInstance, data: DataDirectory) -> None:
    _receive(data, event(1))
    _run(instance, dg.DagsterRunStatus.FAILURE)
    assert "failed" in str(_tick(instance))


def test_a_batch_that_a_killed_run_left_launches_one_too(instance: dg.DagsterInstance, data: DataDirectory) -> None:
    _receive(data, event(1))
    assert Inbox(data.webhooks, b"").claim() is not None
    assert isinstance(_tick(instance), dg.RunRequest)


def test_a_sync_applies_webhooks_first_whatever_it_selects(settings: Settings, data: DataDirectory) -> None:
    _receive(data, event(1), event(1), b"no json")
    report = run_sync(settings, selection='key:"resman/employees"', stop=StopSignal())
    assert report.success
    assert report.tables["audit.webhook_deliveries"]["inserted"] == 2
    states = published(data, "SELECT state, count(*) FROM audit.webhook_deliveries GROUP BY ALL ORDER BY ALL")
    assert states == [("dead_lettered", 1), ("waiting", 1)]


def test_the_job_of_the_sensor_asks_only_about_what_was_told(
    settings: Settings, data: DataDirectory, instance: dg.DagsterInstance, sandbox: SandboxProcess
) -> None:
    _receive(data, event(3, "property.created"))
    since = len(sandbox.log())
    result = _definitions().resolve_job_def(webhooks.JOB).execute_in_process(instance=instance)
    assert result.success
    asked = [entry["path"] for entry in sandbox.log()[since:]]
    assert asked == ["/api/partners/properties/3/detail/", "/api/partners/properties/3/milestones/"]
    assert published(data, "SELECT id FROM openmoove.properties WHERE deleted_at IS NULL") == [(3,)]
    assert settings.openmoove
