"""Alerts end to end: a run's record and the partner's faults on one side, HTTP and SMTP servers on the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import dagster as dg
import pytest
from dagster._core.utils import make_new_run_id

from partner_pipelines.defs.home import open_instance
from partner_pipelines.defs.running import run_sync
from partner_pipelines.defs.sensors import dead_runs_are_failed, failures_are_told
from partner_pipelines.notify import post
from partner_pipelines.settings import load_settings
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.files import make_directory
from partner_pipelines.state.runs import run_lock
from partner_pipelines.state.stop import StopSignal
from partner_pipelines_tests.alert_receiver import AlertReceiver
from partner_pipelines_tests.mail_receiver import MailReceiver
from partner_pipelines_tests.sandbox_process import SandboxProcess
from partner_pipelines_tests.sync.program import ALL_DUE, read_trail

CANARY = "canary-8c41"
EMPLOYEES, UNITS_ALONE = 'key:"resman/employees"', 'key:"resman/units"'
UNITS = dg.AssetKey(["resman", "units"])


@dg.job
def nightly() -> None:
    """No step."""


@pytest.fixture
def receiver() -> Iterator[AlertReceiver]:
    with AlertReceiver() as receiver:
        yield receiver


@pytest.fixture
def alerted(
    environ: dict[str, str], receiver: AlertReceiver, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """An environment in which system and integration alerts go to the receiver, whose address is a secret."""
    address = receiver.address.replace("://", f"://pipelines:{CANARY}@")
    more = {"PARTNER_ALERTS_SYSTEM": address, "PARTNER_ALERTS_INTEGRATION": address, "RESMAN_RETRY_ON_FAILURE": "false"}
    for name, value in more.items():
        monkeypatch.setenv(name, value)
    yield environ | more
    sandbox.control("DELETE", "faults")


@pytest.fixture
def instance(alerted: dict[str, str], data: DataDirectory) -> Iterator[dg.DagsterInstance]:
    assert alerted
    with open_instance(data) as opened:
        yield opened


def sync(environ: dict[str, str], selection: str) -> bool:
    report = run_sync(load_settings(environ), selection=selection, stop=StopSignal())
    assert "notifications" not in report.remarks
    return report.success


def tick(instance: dg.DagsterInstance) -> None:
    """What the daemon does every 30 s."""
    for sensor in (dead_runs_are_failed, failures_are_told):
        assert isinstance(sensor(dg.build_sensor_context(instance=instance)), dg.SkipReason)


def judge(instance: dg.DagsterInstance, check: str, *, passed: bool) -> None:
    """The check has said this of `resman.units`; what offends may be anything that a partner sent."""
    offenders = {} if passed else {f"resman/{CANARY}": 1, CANARY: 2}
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=UNITS,
            check_name=check,
            passed=passed,
            metadata={"offending": len(offenders), "examples": dg.MetadataValue.json(offenders)},
        )
    )


def assert_told_no_secret(data: DataDirectory, receiver: AlertReceiver) -> None:
    assert CANARY not in str(receiver.messages)
    places = [data.segments, data.incidents]
    written = [path for place in places for path in place.rglob("*") if path.is_file()]
    assert written
    assert not [path for path in written if CANARY.encode() in path.read_bytes()]


def test_faults_that_raise_the_error_rate_are_one_message_and_one_mail_and_so_is_their_end(
    alerted: dict[str, str], data: DataDirectory, sandbox: SandboxProcess, receiver: AlertReceiver
) -> None:
    with MailReceiver() as mail:
        environ = {**alerted, **ALL_DUE, "PARTNER_ALERTS_SYSTEM": f"{receiver.address},{mail.address}"}
        sandbox.fault("status", status=503, path="/detail/$", times=2)  # of 27 calls
        assert sync(environ, "group:openmoove")
        assert sync(environ, 'key:"audit/api_calls"')
        (title,) = receiver.titles
        assert title == "openmoove: 7.4 % of 27 calls failed in the last 1 h"
        assert mail.subjects == [title]
        for told in (receiver.messages[0]["message"], mail.bodies[0]):
            assert "What to do: see marts.api_health" in told
            assert "Since 20" in told
            assert "@" not in told
        assert sync(environ, "group:openmoove")
        assert receiver.titles[1:] == mail.subjects[1:] == [f"over: {title}"]
    tries = [record["facts"] for record in read_trail(data.segments) if record.get("event") == "notification"]
    assert [(facts["reached"], facts["addresses"], facts.get("over")) for facts in tries] == [
        (2, 2, None), (2, 2, True),
    ]  # fmt: skip


def test_a_run_that_fails_again_and_again_is_told_once_and_its_end_is_the_success_of_what_failed(
    alerted: dict[str, str],
    instance: dg.DagsterInstance,
    data: DataDirectory,
    sandbox: SandboxProcess,
    receiver: AlertReceiver,
) -> None:
    sandbox.fault("status", status=500, path="/api/employees", times=None, body=CANARY)
    for _ in range(2):
        assert not sync(alerted, EMPLOYEES)
        tick(instance)
    (title,) = receiver.titles
    assert title == "sync failed at resman (sandbox)"
    text = receiver.messages[0]["message"]
    assert "status 500" in text
    assert instance.get_runs()[-1].run_id in text
    assert "What to do: see the run's page" in text
    assert "\nSince 20" in text
    assert sync(alerted, UNITS_ALONE)
    assert receiver.titles == [title], "something else that succeeds ends nothing"
    sandbox.control("DELETE", "faults")
    assert sync(alerted, EMPLOYEES)
    tick(instance)
    assert receiver.titles == [title, f"over: {title}"]
    assert_told_no_secret(data, receiver)


def test_a_failed_run_whose_connection_was_told_of_needs_no_second_message(
    alerted: dict[str, str], instance: dg.DagsterInstance, sandbox: SandboxProcess, receiver: AlertReceiver
) -> None:
    sandbox.fault("status", status=401, path="/api/employees", times=None)
    assert not sync(alerted, EMPLOYEES)
    tick(instance)
    sandbox.control("DELETE", "faults")
    assert sync(alerted, EMPLOYEES)
    tick(instance)
    title = "auth_failure at resman (sandbox)"
    assert receiver.titles == [title, f"over: {title}"]


def test_a_run_that_is_found_dead_is_told_and_retried_by_the_daemon_until_somebody_hears_it(
    instance: dg.DagsterInstance,
    data: DataDirectory,
    receiver: AlertReceiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = instance.create_run_for_job(nightly, run_id=make_new_run_id())
    begun = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, "nightly", message="begun")
    instance.report_dagster_event(begun, run_id=run.run_id)
    with suppress(KeyboardInterrupt), run_lock(data.runs, run.run_id):
        raise KeyboardInterrupt
    receiver.status = 500
    tick(instance)
    receiver.status = 200
    tick(instance)
    assert receiver.titles == [], "the address rests"
    monkeypatch.setattr(post, "REST_SECONDS", 0)
    for _ in range(2):
        tick(instance)
    assert receiver.titles == ["the job nightly failed (sandbox)"]
    assert "was killed" in receiver.messages[0]["message"]
    assert nightly.execute_in_process(instance=instance).success
    for _ in range(2):
        tick(instance)
    assert receiver.titles[1:] == ["over: the job nightly failed (sandbox)"]
    tries = [record["facts"] for record in read_trail(data.segments) if record.get("event") == "notification"]
    assert [facts["reached"] for facts in tries] == [0, 1, 1]


def test_a_failing_check_is_told_once_with_its_connection_and_without_what_the_partner_sent(
    instance: dg.DagsterInstance, data: DataDirectory, receiver: AlertReceiver
) -> None:
    for _ in range(2):
        judge(instance, "nothing_is_rejected", passed=False)
        judge(instance, "every_connection_loaded", passed=False)  # that is its run's failure
        tick(instance)
    title = "resman.units: nothing_is_rejected does not hold at resman (sandbox)"
    assert receiver.titles == [title]
    text = receiver.messages[0]["message"]
    assert "Every row that came validates" in text
    assert "Offending: 2. What to do: " in text
    judge(instance, "nothing_is_rejected", passed=True)
    tick(instance)
    assert receiver.titles == [title, f"over: {title}"]
    assert_told_no_secret(data, receiver)


def test_incidents_that_cannot_be_kept_do_not_break_a_sync(
    alerted: dict[str, str], data: DataDirectory, sandbox: SandboxProcess
) -> None:
    make_directory(data.state)
    data.incidents.write_text("no directory")
    sandbox.fault("status", status=401, path="/api/employees", times=None)
    report = run_sync(load_settings(alerted), selection=f"{EMPLOYEES} or {UNITS_ALONE}", stop=StopSignal())
    assert report.failed.keys() == {"resman.employees"}
    assert report.tables["resman.units"]["inserted"] > 0
    errors = [record["facts"].get("error") for record in read_trail(data.segments) if "facts" in record]
    assert any("incidents" in str(error) for error in errors)
