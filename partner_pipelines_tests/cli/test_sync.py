"""`sync`: what it prints, and how it ends."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing

import pytest

from partner_pipelines_tests.cli.program import DEADLINE_SECONDS, Program, only_line, wait_until

NOBODY_LISTENS = {
    "OPENMOOVE_BASE_URL": "http://127.0.0.1:9/",
    "OPENMOOVE_API_KEY": "a-key-of-my-own",
    "PARTNER_OPERATION_DEADLINE_SECONDS": "1",
}


def test_a_wrong_address_fails_its_tables_and_skips_the_other_partners(program: Program) -> None:
    finished = program.run("sync", "--json", "--select", 'key:"openmoove/*" or key:"resman/units"', **NOBODY_LISTENS)
    report = json.loads(finished.stdout.splitlines()[-1])
    assert finished.returncode == 1
    assert report["success"] is False
    assert set(report["failed"]) == {
        f"openmoove.{table}" for table in ("properties", "sellers", "team_members", "milestones")
    }
    assert report["skipped"]["resman.units"].endswith("RESMAN_CLIENT_ID and RESMAN_CLIENT_SECRET are not set")
    assert "Traceback" not in finished.stderr
    assert "a-key-of-my-own" not in finished.stdout + finished.stderr


ADDRESSES = {
    "openmoove": ("list_properties", "OPENMOOVE_BASE_URL (base_url in a file of connections)"),
    "resman": (
        "request_token",
        "RESMAN_BASE_URL and RESMAN_TOKEN_URL (base_url and token_url in a file of connections)",
    ),
}


def test_each_connection_that_failed_is_one_line_with_its_address_and_what_to_check(program: Program) -> None:
    finished = program.run(
        *("sync", "--select", 'key:"openmoove/*" or key:"resman/units" or key:"resman/leads"'),
        **NOBODY_LISTENS,
        RESMAN_BASE_URL="http://127.0.0.1:9",
        RESMAN_CLIENT_ID="an-id",
        RESMAN_CLIENT_SECRET="a-secret-of-my-own",
    )
    assert finished.returncode == 1
    tables = {
        "openmoove": "openmoove.properties, openmoove.sellers, openmoove.team_members, openmoove.milestones",
        "resman": "resman.leads, resman.units",
    }
    assert sorted(line for line in finished.stdout.splitlines() if line.startswith("FAILED: ")) == [
        f"FAILED: {connection}: {operation}: no whole answer from http://127.0.0.1:9: nobody listens there "
        f"(ConnectionRefusedError): check {settings} ({tables[connection]})"
        for connection, (operation, settings) in ADDRESSES.items()
    ]
    assert "of-my-own" not in finished.stdout + finished.stderr


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("resman/units or resman/leads", 'key:"resman/units"'),
        ("leads", 'key:"resman/leads"'),
        ("openmoove.milestone", 'key:"openmoove/milestones"'),
        ('key:"marts/leadfunnel"', 'key:"marts/lead_funnel"'),
        ("group:mart", "group:marts"),
    ],
)
def test_a_wrong_selection_is_a_short_line_with_what_was_meant(program: Program, said: str, meant: str) -> None:
    finished = program.run("sync", "--select", said, **NOBODY_LISTENS)
    assert finished.returncode == 2
    line = only_line(finished)
    assert f"write {meant} or" in line
    assert line.endswith("the groups are audit, history, marts, openmoove, resman, webhooks")  # as the UI lists them
    assert len(line) < 300


def test_another_environment_than_the_data_directorys_is_refused_before_anything_is_made(program: Program) -> None:
    program.place.mkdir()
    (program.place / "environment.json").write_text('{"environment": "staging", "schema": 1}')
    for words in (["sync"], ["up"]):
        finished = program.run(*words)
        assert finished.returncode == 2
        assert "belongs to the environment 'staging', PARTNER_ENV is 'sandbox'" in only_line(finished)
    assert [file.name for file in program.place.iterdir()] == ["environment.json"]


def test_steps_in_processes_of_their_own_import_nothing_from_the_working_directory(program: Program) -> None:
    program.set_traps()
    finished = program.run("sync", "--select", 'key:"resman/units"', PARTNER_EXECUTOR="multiprocess")
    assert finished.returncode == 0, finished.stderr
    assert program.caught() == ""


def test_a_full_disk_is_one_line(program: Program) -> None:
    finished = program.run("sync", before=("prlimit", "--fsize=65536"))
    assert finished.returncode == 1
    assert "cannot be used" in only_line(finished)


@pytest.mark.parametrize(
    ("number", "moment"),
    [(signal.SIGTERM, "its sandbox starts"), (signal.SIGINT, "it has called")],
    ids=str,
)
def test_a_signal_ends_it_with_one_line_and_leaves_nobody(
    program: Program, number: signal.Signals, moment: str
) -> None:
    with program.started("sync", "--json") as sync:
        if moment == "its sandbox starts":
            assert sync.stderr is not None
            assert sync.stderr.readline().startswith("Syncing into ")
        else:
            wait_until(lambda: _has_called(program), moment, 60)
        sync.send_signal(number)
        output, complaints = sync.communicate(timeout=DEADLINE_SECONDS)
    assert sync.returncode == 1
    assert "Traceback" not in complaints
    assert complaints.splitlines()[-1].startswith("partner-pipelines: stopped")
    if output:
        assert json.loads(output.splitlines()[-1])["success"] is False
    assert program.processes() == []
    assert _unfinished_runs(program) == 0


def _has_called(program: Program) -> bool:
    segments = (program.place / "audit" / "segments").glob("*.jsonl")
    return any(b'"kind":"outcome"' in segment.read_bytes() for segment in segments)


def _unfinished_runs(program: Program) -> int:
    """How many runs Dagster's UI would show as under way."""
    storage = program.place / "dagster" / "history" / "runs.db"
    if not storage.exists():
        return 0
    with closing(sqlite3.connect(storage)) as database:
        (count,) = database.execute(
            "SELECT count(*) FROM runs WHERE status IN ('STARTED', 'STARTING', 'NOT_STARTED', 'CANCELING')"
        ).fetchone()
    return int(count)


def test_a_misspelt_setting_is_one_line_and_stops_nothing(program: Program) -> None:
    finished = program.run("sync", "--select", 'key:"resman/units"', RESMAN_CLIENTID="x", **NOBODY_LISTENS)
    said = "partner-pipelines: RESMAN_CLIENTID is no setting and has no effect: did you mean RESMAN_CLIENT_ID?"
    assert finished.stderr.splitlines().count(said) == 1
    assert "Traceback" not in finished.stderr
