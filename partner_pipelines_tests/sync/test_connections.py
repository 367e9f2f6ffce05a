"""Several connections: each loads what is its own, and one that fails leaves the others as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from partner_pipelines_tests.sandbox_process import SandboxProcess
from partner_pipelines_tests.sync.expected import differences, openmoove_tables, resman_table
from partner_pipelines_tests.sync.program import Program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FILE = """
[[connections]]
name = "elm"
partner = "resman"
base_url = "{good.base_url}"
client_id = "{good.env[RESMAN_CLIENT_ID]}"
client_secret = "env:ELM_SECRET"

[[connections]]
name = "oak"
partner = "resman"
base_url = "{bad.base_url}"
client_id = "{bad.env[RESMAN_CLIENT_ID]}"
client_secret = "env:OAK_SECRET"

[[connections]]
name = "north"
partner = "openmoove"
base_url = "{bad.base_url}/api/partners/"
api_key = "file:{keys}/north"

[[connections]]
name = "south"
partner = "openmoove"
base_url = "{good.base_url}/api/partners/"
api_key = "file:{keys}/south"
"""
GOOD = {"resman": "elm", "openmoove": "south"}
BAD = {"resman": "oak", "openmoove": "north"}


@pytest.fixture(scope="module")
def bad() -> Iterator[SandboxProcess]:
    """The server that will fail, with other rows than the good one."""
    with SandboxProcess.start("--properties", "8") as sandbox:
        yield sandbox


@pytest.fixture
def four(lasting: SandboxProcess, bad: SandboxProcess, tmp_path: Path) -> Iterator[Program]:
    """Two connections of each partner, those of the bad server between the others."""
    secret = lasting.env["RESMAN_CLIENT_SECRET"]
    for name in ("north", "south"):
        (tmp_path / name).write_text(lasting.env["OPENMOOVE_API_KEY"])
    (tmp_path / "connections.toml").write_text(FILE.format(good=lasting, bad=bad, keys=tmp_path))
    settings = {
        "PARTNER_CONNECTIONS": str(tmp_path / "connections.toml"),
        "ELM_SECRET": secret,
        "OAK_SECRET": secret,
    }
    program = Program(lasting, tmp_path / "data", **settings)
    yield program
    program.close()
    bad.control("DELETE", "faults")
    client = {"client_id": bad.env["RESMAN_CLIENT_ID"], "client_secret": secret}
    bad.control("POST", "clients", client)
    bad.control("POST", "keys", {"api_key": bad.env["OPENMOOVE_API_KEY"]})


def check_rows(program: Program, sandbox: SandboxProcess, names: dict[str, str]) -> None:
    units = {"resman.units": resman_table(sandbox.rows("resman_units"))}
    assert differences(program, units, connection=names["resman"]) == []
    properties = openmoove_tables(sandbox.rows("openmoove_properties"))
    assert differences(program, properties, connection=names["openmoove"]) == []


def test_each_connection_loads_its_own_rows_under_its_name(four: Program, bad: SandboxProcess) -> None:
    synced = four.sync("properties", "units")
    check_rows(four, four.sandbox, GOOD)
    check_rows(four, bad, BAD)
    assert synced.tables["resman.units"].rows == 16 + 10
    assert synced.tables["openmoove.properties"].loaded == ("north", "south")
    # one list and two requests for each property; a token and one list
    assert synced.requests == {"north": 1 + 8 * 2, "south": 1 + 12 * 2, "elm": 2, "oak": 2}


def revoked(_program: Program, bad: SandboxProcess) -> None:
    bad.control("DELETE", f"clients/{bad.env['RESMAN_CLIENT_ID']}")
    bad.control("DELETE", f"keys/{bad.env['OPENMOOVE_API_KEY']}")


def failing(_program: Program, bad: SandboxProcess) -> None:
    bad.fault("status", status=500, times=None)


def with_wrong_secrets(program: Program, _bad: SandboxProcess) -> None:
    program.variables["OAK_SECRET"] = "wrong"
    (program.data.root.parent / "north").write_text("om_wrong")


def speaking_html(_program: Program, bad: SandboxProcess) -> None:
    bad.fault("body", body="<html>sorry</html>", content_type="text/html", times=None)


@pytest.mark.parametrize(
    ("breaks", "said"),
    [
        (revoked, {"oak": "invalid_client", "north": "status 401"}),
        (failing, {"oak": "status 500", "north": "status 500"}),
        (with_wrong_secrets, {"oak": "invalid_client", "north": "status 401"}),
        (speaking_html, {"oak": "no JSON", "north": "not JSON"}),
    ],
)
def test_one_connection_that_fails_is_named_and_the_other_is_loaded(
    four: Program, bad: SandboxProcess, breaks: Callable[[Program, SandboxProcess], None], said: dict[str, str]
) -> None:
    breaks(four, bad)
    synced = four.sync("properties", "units")
    check_rows(four, four.sandbox, GOOD)
    for table, connection in (("resman.units", "oak"), ("openmoove.properties", "north")):
        result = synced.tables[table]
        assert result.failed.keys() == {connection}
        assert said[connection] in result.failed[connection]
        assert result.loaded == (GOOD[table.partition(".")[0]],)


def test_a_connection_that_fails_one_day_keeps_its_rows_and_goes_on_the_next(
    four: Program, bad: SandboxProcess
) -> None:
    four.sync("properties", "units")
    speaking_html(four, bad)
    failed = four.sync("properties", "units", env={"OPENMOOVE_LIST_MAX_AGE": "0"})
    assert failed.tables["resman.units"].failed.keys() == {"oak"}
    check_rows(four, bad, BAD)
    bad.control("DELETE", "faults")
    assert four.sync("properties", "units").tables["resman.units"].failed == {}
    check_rows(four, bad, BAD)


def test_a_secret_that_is_gone_in_mid_work_is_its_connections_failure(four: Program) -> None:
    settings = four.settings()
    (four.data.root.parent / "north").unlink()
    synced = four.sync("properties", settings=settings)
    result = synced.tables["openmoove.properties"]
    assert result.loaded == ("south",)
    assert "north" in result.failed["north"]


def test_a_client_id_that_is_gone_in_mid_work_is_its_connections_failure_too(four: Program) -> None:
    file = four.data.root.parent / "elm-id"
    file.write_text(four.sandbox.env["RESMAN_CLIENT_ID"])
    toml = four.data.root.parent / "connections.toml"
    good = f'client_id = "{four.sandbox.env["RESMAN_CLIENT_ID"]}"'
    toml.write_text(toml.read_text().replace(good, f'client_id = "file:{file}"', 1))
    settings = four.settings()
    file.unlink()
    synced = four.sync("units", settings=settings)
    assert synced.tables["resman.units"].loaded == ("oak",)
    assert "elm-id" in synced.tables["resman.units"].failed["elm"]


def test_a_scope_that_is_missing_skips_its_table_alone(steady: Program) -> None:
    client_id = steady.sandbox.env["RESMAN_CLIENT_ID"]
    steady.sandbox.control("POST", "scopes", {"client_id": client_id, "granted": ["units"]})
    synced = steady.sync("units", "leads")
    leads = synced.tables["resman.leads"]
    assert leads.skipped.keys() == {"resman"}
    assert "the scope 'leads' is not granted (granted: units)" in leads.skipped["resman"]
    assert (leads.failed, leads.loaded, leads.skipped_whole) == ({}, (), True)
    assert synced.tables["resman.units"].rows == 16
    assert "/api/leads" not in synced.paths


def test_a_partner_without_credentials_is_skipped_with_the_reason(steady: Program) -> None:
    for name in ("RESMAN_CLIENT_ID", "RESMAN_CLIENT_SECRET"):
        del steady.variables[name]
    synced = steady.sync("properties", "units")
    units = synced.tables["resman.units"]
    assert units.skipped == {"resman": "RESMAN_CLIENT_ID and RESMAN_CLIENT_SECRET are not set"}
    assert (units.rows, units.failed, units.skipped_whole) == (0, {}, True)
    assert synced.tables["openmoove.properties"].rows == 12
    assert synced.requests.keys() == {"openmoove"}
