"""A data directory that an earlier commit wrote opens and goes on."""

from __future__ import annotations

import csv
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from partner_pipelines.state.data_directory import open_data_directory
from partner_pipelines.warehouse.connection import Warehouse
from partner_pipelines_tests.sync.expected import differences, openmoove_tables, resman_table
from partner_pipelines_tests.upgrade.upgraded import Upgraded, upgraded_once

KINDS = ("units", "leads", "employees", "documents")
COLUMNS = (
    "SELECT schema_name, table_name, column_name, data_type, comment FROM duckdb_columns() "
    "WHERE NOT internal ORDER BY ALL"
)


@pytest.fixture(scope="session")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Upgraded:
    return upgraded_once(tmp_path_factory)


def test_the_fixture_holds_what_it_should(upgraded: Upgraded) -> None:
    """Without these the tests below would show nothing."""
    before = upgraded.before
    assert before.rows_of_tables()["openmoove.properties"] == 20
    assert before.rows_of_tables()["audit.api_calls"] == len(before.ids("outcome"))
    assert len(before.ids("intent") - before.ids("outcome")) == 1
    assert len(before.landed()) == 24
    assert len(before.token_files()) == 1


def test_it_syncs_and_keeps_every_row(upgraded: Upgraded) -> None:
    assert upgraded.report["status"] == 0
    assert upgraded.report["failed"] == {}
    tables = upgraded.report["tables"]
    for name, count in upgraded.before.rows_of_tables().items():
        if not name.startswith("audit."):
            assert (tables[name]["rows"], tables[name]["inserted"], tables[name]["deleted"]) == (count, 0, 0)


def test_every_value_is_the_partners(upgraded: Upgraded) -> None:
    """Those that changed before the earlier sync was killed, too: the landed file held them."""
    rows = upgraded.before.rows
    tables = openmoove_tables(rows("openmoove_properties"))
    tables |= {f"resman.{kind}": resman_table(rows(f"resman_{kind}")) for kind in KINDS}
    assert differences(upgraded.program, tables) == []


def test_the_history_begins_with_what_is_there_and_goes_on(upgraded: Upgraded) -> None:
    """That commit kept none. What was landed then changes rows of twelve properties."""
    for table in ("resman.units", "resman.leads", "openmoove.properties", "openmoove.milestones"):
        history = f"history.{table.partition('.')[2]}"
        living = upgraded.program.column(f"SELECT content_hash FROM {table} WHERE deleted_at IS NULL ORDER BY ALL")
        current = f"SELECT content_hash FROM {history} WHERE valid_to IS NULL ORDER BY ALL"
        assert upgraded.program.column(current) == living
    first = upgraded.program.column("SELECT count(DISTINCT id) FROM history.properties WHERE valid_to IS NOT NULL")
    assert 0 < first[0] <= 12


def test_what_was_landed_then_is_merged_now(upgraded: Upgraded) -> None:
    """By the milestones' calls: some details are looked at again, by chance."""
    assert list((upgraded.data / "state" / "landing").glob("*/*.jsonl")) == []
    landed = {
        answer["parent_id"]: answer["request_id"]
        for answer in upgraded.before.landed()
        if answer["source"] == "openmoove.milestones"
    }
    found = upgraded.program.query("SELECT id, milestones_request_id FROM openmoove.properties")
    calls = {str(row["id"]): row["milestones_request_id"] for row in found}
    assert len(landed) == 12
    assert {key: calls[key] for key in landed} == landed


def test_calls_of_then_have_no_items_and_calls_of_now_have(upgraded: Upgraded) -> None:
    then = upgraded.before.ids("intent") | upgraded.before.in_doubt()
    now = upgraded.calls("items IS NOT NULL")
    assert upgraded.calls("items IS NULL") == then
    assert len(now) == sum(upgraded.report["requests"].values())
    counted = upgraded.program.query("SELECT DISTINCT operation, items FROM audit.api_calls WHERE items IS NOT NULL")
    items = {row["operation"]: row["items"] for row in counted}
    assert (items["list_properties"], items["request_token"]) == (20, 1)
    assert items["list_units"] == len(upgraded.before.rows("resman_units"))


def test_the_call_without_an_outcome_is_unknown_and_no_other_is(upgraded: Upgraded) -> None:
    before = upgraded.before
    unknown = upgraded.calls("outcome = 'unknown'")
    assert unknown == (before.ids("intent") - before.ids("outcome")) | before.in_doubt()


def test_the_trail_is_proved(upgraded: Upgraded) -> None:
    verified = upgraded.command.run("audit", "verify", "--json")
    assert verified.returncode == 0, verified.stderr
    assert json.loads(verified.stdout.splitlines()[-1])["problems"] == []


def test_queries_work_and_tokens_of_then_open_the_vault_of_then(upgraded: Upgraded) -> None:
    printed = upgraded.command.run("query", "SELECT id, email FROM resman.leads", "--format", "csv", "--full")
    assert printed.returncode == 0, printed.stderr
    found = {row["id"]: row["email"] for row in csv.DictReader(printed.stdout.splitlines())}
    assert found == {row["id"]: row["email"] or "" for row in upgraded.before.rows("resman_leads")}


def test_the_ledgers_go_on_and_the_access_token_is_renewed_in_its_place(upgraded: Upgraded) -> None:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip().encode()
    ledgers = [path.read_bytes() for path in (upgraded.data / "state" / "budget").glob("*.ledger")]
    assert len(ledgers) == 2
    assert all(boot in ledger for ledger in ledgers)
    (token,) = (upgraded.data / "state" / "tokens").glob("*.json")
    assert token.read_bytes() not in upgraded.before.token_files().values()


def test_the_run_that_was_killed_is_shown_as_failed(upgraded: Upgraded) -> None:
    with closing(sqlite3.connect(upgraded.data / "dagster" / "history" / "runs.db")) as runs:
        found = dict(runs.execute("SELECT status, count(*) FROM runs GROUP BY status").fetchall())
    assert found == {"SUCCESS": 3, "FAILURE": 1}


def test_the_tables_are_those_of_a_new_data_directory(upgraded: Upgraded, tmp_path: Path) -> None:
    new = Warehouse(open_data_directory(tmp_path / "new", "sandbox"))
    with new.session():
        pass
    shapes = []
    for path in (new.path, upgraded.data / "warehouse" / "working.duckdb"):
        with closing(duckdb.connect(path, read_only=True)) as database:
            shapes.append(database.execute(COLUMNS).fetchall())
    assert shapes[0] == shapes[1]
