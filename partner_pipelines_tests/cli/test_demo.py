"""`demo`: its last lines are true, and what it leaves can be gone on with."""

from __future__ import annotations

import fcntl
import json
import re
import shlex
import shutil
import subprocess

import pytest

from partner_pipelines_tests.cli.finished_demo import FinishedDemo
from partner_pipelines_tests.cli.program import PROGRAM, Program, only_line

TABLES = {
    "audit.writes",
    "resman.units",
    "resman.leads",
    "resman.employees",
    "resman.documents",
    "resman.payments",
    "resman.maintenance",
    "openmoove.properties",
    "openmoove.sellers",
    "openmoove.team_members",
    "openmoove.milestones",
    "audit.api_calls",
    "audit.rejected_records",
    "audit.runs",
    "audit.scope_events",
    "audit.token_events",
    "audit.webhook_deliveries",
}


def test_its_last_lines_count_the_rows_that_a_query_counts(demo: FinishedDemo, reader: Program) -> None:
    told = {
        table: int(count.replace(",", ""))
        for table, count in re.findall(r"^(\w+\.\w+) +([\d,]+) rows$", demo.output, re.MULTILINE)
    }
    assert set(told) == TABLES
    assert told["openmoove.properties"] == 41
    for table in ("openmoove.milestones", "resman.leads"):
        finished = reader.run("query", "--format", "csv", f"SELECT count(*) FROM {table} WHERE deleted_at IS NULL")
        assert finished.stdout.split() == ["count_star()", str(told[table])]


def test_every_call_it_made_is_audited(demo: FinishedDemo) -> None:
    report = json.loads(demo.output.splitlines()[-1])
    made = sum(count for run in ("first", "second") for count in report[run]["requests"].values())
    assert f"\n{made:,} calls were made and audited; the trail's chains hold" in demo.output
    assert report["success"] is True
    assert report["data_dir"] == str(demo.data)


def test_the_second_sync_finds_what_changed_and_nothing_else(demo: FinishedDemo) -> None:
    tables = json.loads(demo.output.splitlines()[-1])["second"]["tables"]
    changes = {table: tuple(tables[table][name] for name in ("inserted", "updated", "deleted")) for table in tables}
    assert changes["openmoove.properties"] == (2, 8, 1)
    assert changes["resman.leads"] == (5, 0, 0)
    assert changes["resman.units"] == (0, 10, 0)
    assert "openmoove_properties: 2 created, 8 updated, 1 deleted" in demo.output


@pytest.mark.parametrize("label", ["Query it", "Dagster's UI"])
def test_the_commands_it_prints_work_as_they_are_printed(demo: FinishedDemo, label: str) -> None:
    (line,) = re.findall(rf"^{label}: +(.*?)(?:   \(then .*)?$", demo.output, re.MULTILINE)
    if "UI" in label:
        line += " --help"
    program = Program(demo.parent, demo.data)
    environ = {name: value for name, value in program.environ.items() if name != "PARTNER_DATA_DIR"}
    (demo.parent / ".env").unlink(missing_ok=True)
    finished = subprocess.run(
        ["sh", "-c", line], env=environ, cwd=demo.parent, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert "postcode" in finished.stdout or "--port" in finished.stdout
    assert PROGRAM in shlex.split(line)


def test_a_sync_goes_on_from_it_on_the_same_rows(demo: FinishedDemo, program: Program) -> None:
    shutil.copytree(demo.data, program.place, symlinks=True, ignore=shutil.ignore_patterns("dagster"))
    finished = program.run("sync", "--json", "--select", 'key:"resman/units"')
    assert finished.returncode == 0, finished.stderr
    units = json.loads(finished.stdout.splitlines()[-1])["tables"]["resman.units"]
    # the unit that the demo took away is missing for the second time
    assert (units["inserted"], units["updated"], units["deleted"]) == (0, 0, 1)


def test_a_directory_that_no_demo_made_is_left_alone(program: Program) -> None:
    mine = program.place / "demo" / "mine"
    mine.parent.mkdir(parents=True)
    mine.write_text("dear to me")
    finished = program.run("demo")
    assert finished.returncode == 2
    assert "is not a demo's data directory" in only_line(finished)
    assert mine.read_text() == "dear to me"


def test_where_the_data_directory_is_a_demo_already_the_next_one_takes_its_place(program: Program) -> None:
    """As README has it: after a demo, the shell's PARTNER_DATA_DIR is the demo's."""
    program.place.mkdir()
    (program.place / "environment.json").write_text('{"environment": "sandbox", "schema": 1, "demo": true}')
    (program.place / "left-over").touch()
    finished = program.run("demo", "--properties", "2", "--json")
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout.splitlines()[-1])["data_dir"] == str(program.place)
    assert not (program.place / "left-over").exists()
    assert not (program.place / "demo").exists()
    assert program.run("query", "FROM openmoove.properties").returncode == 0


@pytest.mark.parametrize("old", [True, False])
def test_a_bad_seed_costs_nobody_the_old_demo(program: Program, old: bool) -> None:
    demo = program.place / "demo"
    if old:
        demo.mkdir(parents=True)
        (demo / "environment.json").write_text('{"environment": "sandbox", "schema": 1, "demo": true}')
        (demo / "kept").write_text("what the last demo left")
    finished = program.run("demo", "--seed-dir", "nowhere")
    assert finished.returncode == 2
    assert "nowhere: no such directory" in only_line(finished)
    assert [path.name for path in program.place.iterdir() if path.name != "demo.lock"] == (["demo"] if old else [])
    assert not old or (demo / "kept").read_text() == "what the last demo left"


@pytest.mark.parametrize(
    ("lock", "said"), [("demo.lock", "another demo runs"), ("demo/state/sandbox/lock", "a command still works in")]
)
def test_a_demo_that_is_in_use_is_left_alone(program: Program, lock: str, said: str) -> None:
    held = program.place / lock
    held.parent.mkdir(parents=True)
    if held.parent != program.place:
        (program.place / "demo" / "environment.json").write_text(
            '{"environment": "sandbox", "schema": 1, "demo": true}'
        )
    with held.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        finished = program.run("demo")
    assert finished.returncode == 2
    assert said in only_line(finished)


def test_what_openmoove_told_by_webhook_was_received_and_applied(demo: FinishedDemo, reader: Program) -> None:
    (received,) = re.findall(r"webhooks: (\d+) received", demo.output)
    finished = reader.run(
        "query", "--format", "csv", "SELECT state, count(*) FROM audit.webhook_deliveries GROUP BY ALL"
    )
    states = dict(line.split(",") for line in finished.stdout.split()[1:])
    assert sum(int(count) for count in states.values()) == int(received) > 8
    assert set(states) <= {"applied", "waiting"}
