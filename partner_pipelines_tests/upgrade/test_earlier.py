"""A data directory that an earlier commit wrote opens and goes on."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from partner_pipelines.state.data_directory import open_data_directory
from partner_pipelines.warehouse.connection import Warehouse
from partner_pipelines_tests.cli.program import Program
from partner_pipelines_tests.sandbox_process import SandboxProcess
from partner_pipelines_tests.sync import program as sync_program
from partner_pipelines_tests.sync.expected import differences, sandbox_tables
from partner_pipelines_tests.upgrade.earlier import Earlier

# What was read then is not read again: what the landed file brings can be told from today's answers
NOTHING_DUE_BUT_THE_LIST = {
    "OPENMOOVE_LIST_MAX_AGE": "0",
    "OPENMOOVE_ACTIVE_MAX_AGE": "36500d",
    "OPENMOOVE_MILESTONES_MAX_AGE": "36500d",
}
COLUMNS = (
    "SELECT schema_name, table_name, column_name, data_type, comment FROM duckdb_columns() "
    "WHERE NOT internal ORDER BY ALL"
)


@dataclass
class Upgraded:
    """A sync of today's program on it: what the program said, and what there was before."""

    program: Program
    partners: sync_program.Program
    report: dict[str, Any]
    status: int
    rows_before: dict[str, int]
    landed_before: dict[str, str]
    calls_before: set[str]
    ended_before: set[str]
    tokens_before: dict[str, bytes]

    def rows(self, sql: str) -> list[dict[str, str]]:
        """What `query` prints."""
        printed = self.program.run("query", sql, "--format", "csv")
        assert printed.returncode == 0, printed.stderr
        return list(csv.DictReader(printed.stdout.splitlines()))

    def calls(self, where: str) -> set[str]:
        return {row["request_id"] for row in self.rows(f"SELECT request_id FROM audit.api_calls WHERE {where}")}


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgraded]:
    earlier = Earlier.unpack(tmp_path_factory.mktemp("earlier"))
    with SandboxProcess.start(seed_dir=earlier.root / "seed") as sandbox:
        earlier.move(sandbox.base_url)
        home = earlier.root / "home"
        home.mkdir()
        program = Program(home, earlier.data)
        limits = {name: value for name, value in earlier.env.items() if name.endswith("_RATE_LIMITS")}
        # The optional scopes are a part of a token's key, of which that commit knew nothing
        program.environ |= sandbox.env | limits | {"RESMAN_OPTIONAL_SCOPES": ""}
        before = (
            earlier.rows_of_tables(),
            {
                answer["parent_id"]: answer["request_id"]
                for answer in earlier.landed()
                if answer["source"].endswith("detail")
            },
            earlier.ids("intent"),
            earlier.ids("outcome"),
            {path.name: path.read_bytes() for path in (earlier.data / "state" / "tokens").glob("*.json")},
        )
        finished = program.run("sync", "--json", **NOTHING_DUE_BUT_THE_LIST)
        assert "Traceback" not in finished.stderr, finished.stderr
        report = json.loads(finished.stdout.splitlines()[-1])
        yield Upgraded(program, sync_program.Program(sandbox, earlier.data), report, finished.returncode, *before)


def test_the_fixture_holds_what_it_should(upgraded: Upgraded) -> None:
    """Without these the tests below would show nothing."""
    assert upgraded.rows_before["openmoove.properties"] == 20
    assert upgraded.rows_before["audit.api_calls"] == len(upgraded.ended_before)
    assert len(upgraded.calls_before - upgraded.ended_before) == 1
    assert len(upgraded.landed_before) == 12
    assert len(upgraded.tokens_before) == 1


def test_it_syncs_and_keeps_every_row(upgraded: Upgraded) -> None:
    assert upgraded.status == 0
    assert upgraded.report["failed"] == {}
    tables = upgraded.report["tables"]
    for name, count in upgraded.rows_before.items():
        if not name.startswith("audit."):
            assert (tables[name]["rows"], tables[name]["inserted"], tables[name]["deleted"]) == (count, 0, 0)


def test_every_value_is_the_partners(upgraded: Upgraded) -> None:
    """Those that changed before the earlier sync was killed, too: the landed file held them."""
    assert differences(upgraded.partners, sandbox_tables(upgraded.partners)) == []


def test_what_was_landed_then_is_merged_now(upgraded: Upgraded) -> None:
    assert list((upgraded.program.place / "state" / "landing").glob("*/*.jsonl")) == []
    found = upgraded.rows("SELECT id, request_id FROM openmoove.properties")
    details = {row["id"]: row["request_id"] for row in found}
    assert {key: details[key] for key in upgraded.landed_before} == upgraded.landed_before


def test_calls_of_then_have_no_items_and_calls_of_now_have(upgraded: Upgraded) -> None:
    old = upgraded.calls("items IS NULL")
    assert upgraded.calls_before <= old
    new = upgraded.rows("SELECT request_id, operation, items FROM audit.api_calls WHERE items IS NOT NULL")
    assert {(row["operation"], row["items"]) for row in new} >= {("list_properties", "20"), ("request_token", "1")}
    assert len(old) + len(new) == len(upgraded.calls_before) + sum(upgraded.report["requests"].values())


def test_the_call_without_an_outcome_is_unknown_and_no_other_is(upgraded: Upgraded) -> None:
    assert upgraded.calls("outcome = 'unknown'") == upgraded.calls_before - upgraded.ended_before


def test_the_trail_is_proved(upgraded: Upgraded) -> None:
    verified = upgraded.program.run("audit", "verify", "--json")
    assert verified.returncode == 0, verified.stderr
    assert json.loads(verified.stdout.splitlines()[-1])["problems"] == []


def test_tokens_of_then_open_the_vault_of_then(upgraded: Upgraded) -> None:
    printed = upgraded.program.run("query", "SELECT id, email FROM resman.leads", "--format", "csv", "--full")
    found = {row["id"]: row["email"] for row in csv.DictReader(printed.stdout.splitlines())}
    assert found == {row["id"]: row["email"] or "" for row in upgraded.partners.sandbox.rows("resman_leads")}


def test_the_ledgers_go_on_and_the_access_token_is_renewed_in_its_place(upgraded: Upgraded) -> None:
    state = upgraded.program.place / "state"
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip().encode()
    ledgers = [path.read_bytes() for path in (state / "budget").glob("*.ledger")]
    assert len(ledgers) == 2
    assert all(boot in ledger for ledger in ledgers)
    tokens = {path.name: path.read_bytes() for path in (state / "tokens").glob("*.json")}
    assert tokens.keys() == upgraded.tokens_before.keys()
    assert tokens != upgraded.tokens_before


def test_the_run_that_was_killed_is_shown_as_failed(upgraded: Upgraded) -> None:
    with closing(sqlite3.connect(upgraded.program.place / "dagster" / "history" / "runs.db")) as runs:
        found = dict(runs.execute("SELECT status, count(*) FROM runs GROUP BY status").fetchall())
    assert found == {"SUCCESS": 3, "FAILURE": 1}


def test_the_tables_are_those_of_a_new_data_directory(upgraded: Upgraded, tmp_path: Path) -> None:
    new = Warehouse(open_data_directory(tmp_path / "new", "sandbox"))
    with new.session():
        pass
    shapes = []
    for path in (new.path, upgraded.program.place / "warehouse" / "working.duckdb"):
        with closing(duckdb.connect(path, read_only=True)) as database:
            shapes.append(database.execute(COLUMNS).fetchall())
    assert shapes[0] == shapes[1]
