"""Eight syncs of the same tables, started together on an empty data directory, and one more: as if it had been one."""

from __future__ import annotations

import json
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from partner_pipelines.state.audit_verify import verify
from partner_pipelines_tests.cli.program import DEADLINE_SECONDS, Program
from partner_pipelines_tests.sandbox_process import SandboxProcess
from partner_pipelines_tests.sync.expected import differences, openmoove_tables, resman_table
from partner_pipelines_tests.sync.program import Program as Reader
from partner_pipelines_tests.sync.rounds import half_written

AT_ONCE = 8
SECRET = "a-secret-of-oak"
CONNECTIONS = """
[[connections]]
name = "elm"
partner = "resman"
base_url = "{base_url}"
client_id = "{env[RESMAN_CLIENT_ID]}"
client_secret = "env:ELM_SECRET"

[[connections]]
name = "oak"
partner = "resman"
base_url = "{base_url}"
client_id = "oak"
client_secret = "env:OAK_SECRET"

[[connections]]
name = "south"
partner = "openmoove"
base_url = "{base_url}/api/partners/"
api_key = "env:SOUTH_KEY"
"""
# One table of one partner and four of the other: each step more would be nine steps more
SYNC = ("sync", "--json", "--select", 'key:"resman/units" or key:"openmoove/*"')


def variables(sandbox: SandboxProcess, directory: Path) -> dict[str, str]:
    """Two accounts of ResMan and one of OpenMoove, all on one sandbox."""
    sandbox.control("POST", "clients", {"client_id": "oak", "client_secret": SECRET})
    file = directory / "connections.toml"
    file.write_text(CONNECTIONS.format(base_url=sandbox.base_url, env=sandbox.env))
    return {
        "PARTNER_CONNECTIONS": str(file),
        "ELM_SECRET": sandbox.env["RESMAN_CLIENT_SECRET"],
        "OAK_SECRET": SECRET,
        "SOUTH_KEY": sandbox.env["OPENMOOVE_API_KEY"],
    }


def sync_together(program: Program, environ: dict[str, str]) -> list[dict[str, Any]]:
    """The reports of so many syncs that were started at once, and of one after them; all of them ended well."""
    with ExitStack() as running:
        started = [running.enter_context(program.started(*SYNC, **environ)) for _ in range(AT_ONCE)]
        ended = [(process, *process.communicate(timeout=DEADLINE_SECONDS)) for process in started]
    last = program.run(*SYNC, **environ)
    assert [(process.returncode, err) for process, _, err in ended if process.returncode] == []
    assert last.returncode == 0, last.stderr
    return [json.loads(said.splitlines()[-1]) for said in (*(out for _, out, _ in ended), last.stdout)]


def check_rows(reader: Reader, reports: list[dict[str, Any]]) -> None:
    """Every row is there once for each account, and no two syncs say that they inserted it."""
    sandbox = reader.sandbox
    resman = {"resman.units": resman_table(sandbox.rows("resman_units"))}
    openmoove = openmoove_tables(sandbox.rows("openmoove_properties"))
    for connection, tables in (("elm", resman), ("oak", resman), ("south", openmoove)):
        assert differences(reader, tables, connection=connection) == []
    assert half_written(reader) == []
    for table, rows in (resman | openmoove).items():
        accounts = 2 if table in resman else 1
        assert reports[-1]["tables"][table]["rows"] == accounts * len(rows)
        assert sum(report["tables"][table]["inserted"] for report in reports) <= accounts * len(rows), table


def check_calls(reader: Reader) -> None:
    """What left is what is audited, each request once; each account of ResMan asked for one token."""
    log = reader.sandbox.log()
    audited = reader.column("SELECT request_id FROM audit.api_calls")
    assert sorted(audited) == sorted(entry["request_id"] for entry in log)
    assert [entry["path"] for entry in log].count("/oauth2/token") == 2
    tokens = reader.column("SELECT connection FROM audit.api_calls WHERE url LIKE '%/oauth2/token'")
    assert sorted(tokens) == ["elm", "oak"]
    assert verify(reader.data.segments).problems == []


def check_home(home: Path) -> None:
    """One Dagster home, whole, that knows all the runs."""
    unfinished = [path.name for path in home.parent.iterdir() if "unfinished" in path.name]
    assert unfinished == []
    for database in home.rglob("*.db"):
        if database.name != ".db":
            assert len(_rows(database, "SELECT version_num FROM alembic_version")) == 1
    assert _rows(home / "history" / "runs.db", "SELECT status FROM runs") == [("SUCCESS",)] * (AT_ONCE + 1)


def _rows(database: Path, sql: str) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(sql).fetchall()


@pytest.fixture
def sandbox() -> Any:
    with SandboxProcess.start("--properties", "3") as process:
        yield process


def test_eight_at_once_and_one_more_do_the_work_of_one(program: Program, sandbox: SandboxProcess) -> None:
    """Nine real commands, each of which loads Dagster: 20 s on two quiet processors."""
    reports = sync_together(program, variables(sandbox, program.home))
    reader = Reader(sandbox, program.place)
    check_rows(reader, reports)
    check_calls(reader)
    check_home(program.place / "dagster")
    assert program.living() == {}
