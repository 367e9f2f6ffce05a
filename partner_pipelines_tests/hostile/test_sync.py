"""Whole syncs against hostile partners: what is good is loaded, what is not is named, memory and time are bounded.

Two processes, each with many faults: on every list of ResMan; on the lists and the details of OpenMoove.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from partner_pipelines_tests.hostile.answers import (
    HTML,
    MEGABYTE,
    NEVER_ROWS,
    bomb,
    endless,
    huge,
    many,
    packed,
    page_of,
)
from partner_pipelines_tests.hostile.measured import MEBIBYTE
from partner_pipelines_tests.hostile.proxy import HostileProxy
from partner_pipelines_tests.hostile.whole import Synced, sync
from partner_pipelines_tests.sandbox_process import SandboxProcess
from partner_pipelines_tests.wire.raw_server import RawServer, answer

MOST_BYTES = 300 * MEBIBYTE
"""What a sync of good rows may take, by the issue; hostile ones get no more."""
OPENMOOVE = ("properties", "sellers", "team_members", "milestones")
RESMAN = ("units", "leads", "employees", "documents")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess.start("--properties", "40") as sandbox:
        yield sandbox
        assert sandbox.complaints() == ""


def row(body: Any) -> Any:
    return body


@pytest.fixture(scope="module")
def bad_resman(sandbox: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> Synced:
    """Every list of ResMan is hostile, OpenMoove is as ever."""
    with HostileProxy(sandbox.base_url) as proxy:
        proxy.spoil("/api/units", lambda _: bomb(row))
        proxy.spoil("/api/leads", lambda _: huge(row))
        proxy.spoil("/api/employees", endless(3))
        proxy.spoil("/api/documents", packed(many(b"{}", 30 * MEGABYTE)))
        return sync(tmp_path_factory.mktemp("resman"), proxy.env(sandbox.env))


def test_a_sync_of_hostile_lists_stays_within_the_memory_of_a_good_one(bad_resman: Synced) -> None:
    assert bad_resman.measured.peak_bytes < MOST_BYTES


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("units", "the body is larger than 33,554,432 bytes"),
        ("leads", "the body is larger than 33,554,432 bytes"),
        ("employees", "the list has no end after"),
        ("documents", "the body holds more rows or values than a partner's answer"),
    ],
)
def test_each_hostile_list_fails_its_table_with_one_line(bad_resman: Synced, table: str, said: str) -> None:
    assert bad_resman.measured.status == 1
    assert said in bad_resman.failure(f"resman.{table}", "resman")
    (line,) = [line for line in bad_resman.said if line.startswith("FAILED: ") and f"resman.{table}" in line]
    assert said in line


def test_the_other_partner_is_loaded_meanwhile(bad_resman: Synced, sandbox: SandboxProcess) -> None:
    assert set(bad_resman.report["failed"]) == {f"resman.{kind}" for kind in RESMAN}
    check_openmoove(bad_resman, sandbox, "openmoove", range(1, 41))
    assert "Traceback" not in bad_resman.measured.complaints


def check_openmoove(synced: Synced, sandbox: SandboxProcess, connection: str, ids: Any) -> None:
    """The details of these properties, and of no other, are there, with their milestones."""
    rows = {row["id"]: row for row in sandbox.rows("openmoove_properties")}
    found = synced.query(
        "SELECT id, address, title_number, milestones_count, (SELECT count(*) FROM openmoove.milestones AS m "
        "WHERE m.connection = p.connection AND m.property_id = p.id) FROM openmoove.properties AS p "
        f"WHERE connection = '{connection}' AND detail_fetched_at IS NOT NULL ORDER BY id"
    )
    expected = [(rows[key], len(rows[key]["milestones"])) for key in ids]
    assert found == [(row["id"], row["address"], row["title_number"], count, count) for row, count in expected]


_CONNECTIONS = """
[[connections]]
name = "resman"
partner = "resman"
base_url = "{proxy}"
client_id = "{RESMAN_CLIENT_ID}"
client_secret = "{RESMAN_CLIENT_SECRET}"

[[connections]]
name = "circling"
partner = "resman"
base_url = "{proxy}/circling"
token_url = "{proxy}/oauth2/token"
client_id = "{RESMAN_CLIENT_ID}"
client_secret = "{RESMAN_CLIENT_SECRET}"

[[connections]]
name = "bombed"
partner = "openmoove"
base_url = "{proxy}/bombed/"
api_key = "{OPENMOOVE_API_KEY}"

[[connections]]
name = "leading-away"
partner = "openmoove"
base_url = "{proxy}/leading-away/"
api_key = "{OPENMOOVE_API_KEY}"

[[connections]]
name = "south"
partner = "openmoove"
base_url = "{proxy}/api/partners/"
api_key = "{OPENMOOVE_API_KEY}"
"""
# Every third property, so that never ten failures follow each other; the rest is good
HOSTILE_DETAILS = {3 * place: name for place, name in enumerate(NEVER_ROWS, start=1)}
STILL_GOOD = 2


@pytest.fixture(scope="module")
def bad_openmoove(sandbox: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> tuple[Synced, list[bytes]]:
    """One sync of five connections, and what another host heard of it."""
    place = tmp_path_factory.mktemp("openmoove")
    with HostileProxy(sandbox.base_url) as proxy, RawServer(answer(b"{}")) as elsewhere:
        proxy.spoil("^/bombed/", lambda _: bomb(row))
        proxy.spoil("^/leading-away/", page_of(lambda request: elsewhere.origin + request.target))
        proxy.spoil("^/circling/api/units", page_of(lambda request: request.origin + request.target))
        proxy.spoil("^/circling/api/leads", page_of(lambda request: f"?page={1 + request.number % 2}"))
        proxy.spoil("^/circling/api/employees", answer(HTML))
        proxy.spoil("^/circling/api/documents", answer(b'[{"id": NaN}]'))
        for key, name in HOSTILE_DETAILS.items():
            proxy.spoil(f"/properties/{key}/detail/", lambda _, name=name: NEVER_ROWS[name](row))  # type: ignore[misc]
        whole = json.dumps(sandbox.rows("openmoove_properties")[STILL_GOOD - 1] | {"id": "2"})
        proxy.spoil("/properties/2/detail/", answer(f'{{"id": 7, "title_number": "old", {whole[1:]}'.encode()))
        (place / "connections.toml").write_text(_CONNECTIONS.format(proxy=proxy.origin, **sandbox.env))
        synced = sync(place, {"PARTNER_CONNECTIONS": str(place / "connections.toml"), "PARTNER_CONCURRENCY": "1"})
        return synced, elsewhere.requests


def test_hostile_details_stay_within_the_memory_of_good_ones(bad_openmoove: tuple[Synced, list[bytes]]) -> None:
    assert bad_openmoove[0].measured.peak_bytes < MOST_BYTES


def test_every_good_property_is_loaded_and_each_bad_one_is_left_for_the_next_sync(
    bad_openmoove: tuple[Synced, list[bytes]], sandbox: SandboxProcess
) -> None:
    synced, _ = bad_openmoove
    check_openmoove(synced, sandbox, "south", [key for key in range(1, 41) if key not in HOSTILE_DETAILS])
    assert synced.report["backlog"] == {"south": len(HOSTILE_DETAILS)}
    said = synced.failure("openmoove.properties", "south")
    assert said.startswith(f"{len(HOSTILE_DETAILS)} properties could not be read")


def test_each_connection_that_fails_is_named_with_its_reason(bad_openmoove: tuple[Synced, list[bytes]]) -> None:
    synced, _ = bad_openmoove
    assert synced.measured.status == 1
    assert "larger than 33,554,432 bytes" in synced.failure("openmoove.properties", "bombed")
    assert "points away from the list" in synced.failure("openmoove.properties", "leading-away")
    for kind, said in {"units": "in circles", "leads": "in circles", "employees": "JSON", "documents": "JSON"}.items():
        assert said in synced.failure(f"resman.{kind}", "circling")


def test_the_good_connection_of_the_other_partner_is_loaded(
    bad_openmoove: tuple[Synced, list[bytes]], sandbox: SandboxProcess
) -> None:
    for kind in RESMAN:
        expected = sorted(item["id"] for item in sandbox.rows(f"resman_{kind}"))
        found = bad_openmoove[0].query(f"SELECT id FROM resman.{kind} WHERE connection = 'resman' ORDER BY id")
        assert [key for (key,) in found] == expected


def test_another_host_hears_nothing(bad_openmoove: tuple[Synced, list[bytes]]) -> None:
    assert bad_openmoove[1] == []
