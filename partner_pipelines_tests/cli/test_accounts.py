"""`scopes`, `revoke` and `restore` as a user meets them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest

from partner_pipelines_tests.cli.program import Program, only_line, wait_until
from partner_pipelines_tests.sandbox_process import SandboxProcess

LAUNCH = ["leads", "units", "employees", "documents"]
NOW = {"RESMAN_SCOPE_PROBE_INTERVAL": "0"}


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxProcess]:
    with SandboxProcess.start("--properties", "7500") as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: SandboxProcess, program: Program) -> Iterator[SandboxProcess]:
    program.environ |= running.env
    yield running
    running.control("DELETE", "faults")
    running.settings(latency_ms=0)
    running.control("POST", "scopes", {"client_id": running.env["RESMAN_CLIENT_ID"], "granted": LAUNCH})


def grant(sandbox: SandboxProcess, *scopes: str) -> None:
    granted = {"client_id": sandbox.env["RESMAN_CLIENT_ID"], "granted": [*LAUNCH, *scopes]}
    sandbox.control("POST", "scopes", granted)


def scopes_of(program: Program) -> dict[str, list[str]]:
    finished = program.run("scopes", "--json", **NOW)
    assert finished.returncode == 0, finished.stderr
    told: dict[str, list[str]] = json.loads(finished.stdout.splitlines()[-1])["connections"]["resman"]
    return told


def test_scopes_says_what_is_asked_granted_new_and_missing(program: Program, sandbox: SandboxProcess) -> None:
    assert scopes_of(program) == {
        "asked": LAUNCH,
        "granted": LAUNCH,
        "newly_granted": [],
        "missing": [],
        "optional": ["payments", "maintenance"],
    }
    grant(sandbox, "payments")
    told = scopes_of(program)
    assert (told["asked"], told["newly_granted"]) == ([*LAUNCH, "payments"], ["payments"])
    sandbox.control("POST", "scopes", {"client_id": sandbox.env["RESMAN_CLIENT_ID"], "granted": LAUNCH[1:]})
    told = scopes_of(program)
    assert (told["missing"], told["granted"], told["optional"]) == (["leads"], LAUNCH[1:], ["payments", "maintenance"])
    printed = program.run("scopes", **NOW).stdout
    assert "  missing        leads   (enable them" in printed
    assert re.search(r"^  as of          \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC ", printed, re.MULTILINE)


def test_a_scope_that_comes_back_is_noticed_by_a_sync_too_where_no_sensor_runs(
    program: Program, sandbox: SandboxProcess
) -> None:
    client = sandbox.env["RESMAN_CLIENT_ID"]
    employees = ("sync", "--json", "--select", 'key:"resman/employees"')

    def skipped() -> dict[str, str]:
        told: dict[str, str] = json.loads(program.run(*employees).stdout.splitlines()[-1])["skipped"]
        return told

    assert skipped() == {}
    sandbox.control("POST", "scopes", {"client_id": client, "granted": ["leads"]})
    assert "employees" in skipped()["resman.employees"], "a 403 from the wire"
    sandbox.control("POST", "scopes", {"client_id": client, "granted": LAUNCH})
    assert skipped() == {}
    assert {"resman", "openmoove"} >= {row["connection"] for row in _scope_events(program)}
    assert [row["event"] for row in _scope_events(program) if row["scope"] == "employees"] == ["withdrawn", "granted"]


def _scope_events(program: Program) -> list[dict[str, str]]:
    program.run("sync", "--select", 'key:"audit/scope_events"')
    query = "SELECT connection, scope, event FROM audit.scope_events ORDER BY found_at"
    rows: list[dict[str, str]] = json.loads(program.run("query", "--format", "json", query).stdout)
    return rows


def test_a_client_that_is_refused_is_not_asked_for_again_by_each_table(
    program: Program, sandbox: SandboxProcess
) -> None:
    seen = sandbox.log()[-1]["n"] if sandbox.log() else 0
    finished = program.run("sync", "--select", "group:resman", RESMAN_CLIENT_SECRET="another-one")
    assert finished.returncode == 1
    assert "invalid_client" in finished.stdout
    assert [entry["path"] for entry in sandbox.log(seen)] == ["/oauth2/token"]


def test_a_revoked_connection_is_named_where_nothing_is_due_too(program: Program, sandbox: SandboxProcess) -> None:
    assert sandbox
    select = ("--select", 'key:"openmoove/*"')
    environ = {"OPENMOOVE_LIST_MAX_AGE": "1d"}
    first = program.run("sync", *select, **environ, PARTNER_CONCURRENCY="16")
    assert first.returncode == 0, first.stdout
    told = program.run("revoke", "openmoove")
    assert "It is called with a key, not with tokens" in told.stdout
    again = program.run("sync", "--json", *select, **environ)
    report = json.loads(again.stdout.splitlines()[-1])
    assert again.returncode == 0
    assert "openmoove was revoked" in report["skipped"]["openmoove.properties"]


def test_revoke_in_the_middle_of_a_sync_of_10_000_items_stops_it_within_a_second(
    program: Program, sandbox: SandboxProcess
) -> None:
    assert len(sandbox.rows("resman_units")) == 10_000
    sandbox.settings(latency_ms=200)
    seen = sandbox.log()[-1]["n"] if sandbox.log() else 0
    with program.started("sync", "--json", "--select", 'key:"resman/units"') as sync:
        wait_until(lambda: len(sandbox.log(seen)) > 12, "the list is being read", 120)
        finished = program.run("revoke", "resman", "--json")
        assert finished.returncode == 0, finished.stderr
        output, _ = sync.communicate(timeout=120)
    marker = program.place / "state" / "revocations" / "resman.json"
    revoked_at = marker.stat().st_mtime
    later = [entry for entry in sandbox.log(seen) if entry["at"] > revoked_at + 1]
    assert [entry["path"] for entry in later if entry["path"] != "/oauth2/revoke"] == []
    assert [entry["status"] for entry in sandbox.log(seen) if entry["path"] == "/oauth2/revoke"] == [200]
    assert json.loads(finished.stdout.splitlines()[-1])["tokens_pending"] == 0
    assert sync.returncode == 1
    report = json.loads(output.splitlines()[-1])
    assert "resman was revoked at" in report["failed"]["resman.units"]
    assert "partner-pipelines restore resman" in report["failed"]["resman.units"]
    assert list((program.place / "state" / "tokens").glob("*.json")) == []


def test_a_revocation_that_the_partner_cannot_take_now_waits_and_is_tried_again(
    program: Program, sandbox: SandboxProcess
) -> None:
    scopes_of(program)
    sandbox.fault("status", status=503, path="/oauth2/revoke", times=1)
    finished = program.run("revoke", "resman", "--json")
    assert "tried again until the token expires" in finished.stdout
    assert json.loads(finished.stdout.splitlines()[-1])["tokens_pending"] == 1
    seen = sandbox.log()[-1]["n"]
    assert program.run("scopes").returncode == 1, "it is revoked, and says so"
    assert [(entry["path"], entry["status"]) for entry in sandbox.log(seen)] == [("/oauth2/revoke", 200)]
    assert list((program.place / "state" / "revocations" / "pending").iterdir()) == []


def test_the_sync_that_revokes_what_was_left_skips_the_connection_and_is_no_failure(
    program: Program, sandbox: SandboxProcess
) -> None:
    scopes_of(program)
    sandbox.fault("status", status=503, path="/oauth2/revoke", times=1)
    program.run("revoke", "resman")
    seen = sandbox.log()[-1]["n"]
    finished = program.run("sync", "--json", "--select", "group:resman")
    assert finished.returncode == 0, finished.stdout
    report = json.loads(finished.stdout.splitlines()[-1])
    assert report["failed"] == {}
    assert "resman was revoked at" in report["skipped"]["resman.documents"]
    assert [(entry["path"], entry["status"]) for entry in sandbox.log(seen)] == [("/oauth2/revoke", 200)]


def test_a_connection_that_is_not_there_is_one_line_that_names_those_that_are(
    program: Program, sandbox: SandboxProcess
) -> None:
    assert sandbox.env
    for command in ("revoke", "restore"):
        finished = program.run(command, "elm-park")
        assert finished.returncode == 2
        assert only_line(finished) == "there is no connection 'elm-park'; there are resman, openmoove"


def test_revoke_needs_no_partner_that_answers(program: Program) -> None:
    """Without a sandbox that runs and with nothing set: the credentials are out, and that is all that is known."""
    began = time.monotonic()
    finished = program.run("revoke", "openmoove")
    assert finished.returncode == 0, finished.stderr
    assert "openmoove is revoked" in finished.stdout
    assert time.monotonic() - began < 60
    assert (program.place / "state" / "revocations" / "openmoove.json").exists()
    assert "was already revoked" in program.run("revoke", "openmoove").stdout
    assert "may be called again" in program.run("restore", "openmoove").stdout
    assert "nothing to restore" in program.run("restore", "openmoove").stdout


def test_scopes_without_resman_says_what_is_missing(program: Program) -> None:
    finished = program.run("scopes", PARTNER_ENV="production", OPENMOOVE_API_KEY="om_x")
    assert finished.returncode == 2
    assert "ResMan is not configured: RESMAN_CLIENT_ID and RESMAN_CLIENT_SECRET are not set" in only_line(finished)
